/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that an earlier process left in the spool: it is a window, which can be spooled again and
 * is still the same, or it is removed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool.h"
#include "lib/core/alloc.h"

#define SPOOL_BYTES_MAX (64U * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[4096];

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void remove_directory(void)
{
	(void)rmdir(directory);
}

static void make_directory(void)
{
	const char *parent = getenv("TMPDIR");

	(void)snprintf(directory, sizeof(directory), "%s/npt-fuzz-spool-XXXXXX",
		       parent && parent[0] ? parent : "/tmp");
	must(mkdtemp(directory) != NULL);
	(void)atexit(remove_directory);
}

static void leave_file(const char *path, const uint8_t *data, size_t size)
{
	npt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
}

static bool same(const struct npt_upload_window *a, const struct npt_upload_window *b)
{
	return strcmp(a->url, b->url) == 0 && strcmp(a->token, b->token) == 0 &&
	       strcmp(a->task_uid, b->task_uid) == 0 && strcmp(a->pod_uid, b->pod_uid) == 0 &&
	       strcmp(a->instance, b->instance) == 0 && a->sequence == b->sequence &&
	       a->size_bytes == b->size_bytes && memcmp(a->data, b->data, a->size_bytes) == 0;
}

static void spool_again(struct npt_spool *spool)
{
	const struct npt_spool_entry *entry = npt_spool_at(spool, 0);
	struct npt_upload_window window, again;
	npt_auto_free char *block = NULL, *block_again = NULL;

	must(npt_spool_read(entry, &window, &block, NULL) == 0);
	must(strcmp(window.task_uid, entry->task_uid) == 0);
	must(strcmp(window.pod_uid, entry->pod_uid) == 0);
	must(window.size_bytes == entry->size_bytes);
	must(npt_spool_append(spool, &window, NULL) == 0);
	must(npt_spool_read(npt_spool_at(spool, 1), &again, &block_again, NULL) == 0);
	must(same(&window, &again));
	npt_spool_remove(spool, 1);
	npt_spool_remove(spool, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto(npt_spool_free) struct npt_spool *spool = NULL;
	npt_auto_free char *path = NULL;

	if (directory[0] == '\0')
		make_directory();
	path = npt_format("%s/000000000000002a", directory);
	leave_file(path, data, size);
	must(npt_spool_open(&spool, directory, SPOOL_BYTES_MAX, NULL) == 0);
	must(npt_spool_count(spool) <= 1);
	must((access(path, F_OK) == 0) == (npt_spool_count(spool) == 1));
	if (npt_spool_count(spool) == 1)
		spool_again(spool);
	must(access(path, F_OK) < 0);
	return 0;
}
