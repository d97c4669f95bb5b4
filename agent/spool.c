/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file is six lines of text (URL, token, task, pod, instance, sequence), an empty line, and the
 * window's bytes. Its name is a number that only grows, so the order of names is the order of time.
 */
#include "agent/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/parse.h"

#define HEADER_LINES   6
#define FILE_BYTES_MAX (16U * 1024 * 1024)
#define NAME_DIGITS    16

struct npt_spool {
	char *directory;
	uint64_t max_bytes;
	uint64_t used_bytes;
	uint64_t next_number;
	struct npt_spool_entry *entries;
	size_t count;
	size_t capacity;
};

static void free_entry(struct npt_spool_entry *entry)
{
	free(entry->task_uid);
	free(entry->pod_uid);
	free(entry->path);
}

void npt_spool_free(struct npt_spool *spool)
{
	if (!spool)
		return;
	for (size_t i = 0; i < spool->count; i++)
		free_entry(&spool->entries[i]);
	free(spool->entries);
	free(spool->directory);
	free(spool);
}

static void add_entry(struct npt_spool *spool, char *path, const struct npt_upload_window *window,
		      uint64_t size_bytes)
{
	if (spool->count == spool->capacity) {
		spool->capacity = spool->capacity ? spool->capacity * 2 : 64;
		spool->entries =
			npt_realloc(spool->entries, spool->capacity, sizeof(*spool->entries));
	}
	spool->entries[spool->count++] = (struct npt_spool_entry){
		.task_uid = npt_strdup(window->task_uid),
		.pod_uid = npt_strdup(window->pod_uid),
		.path = path,
		.size_bytes = size_bytes,
	};
	spool->used_bytes += size_bytes;
}

static int read_file(const char *path, char **block_ret, size_t *size_ret)
{
	npt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	npt_auto(npt_buffer_done) struct npt_buffer content = NPT_BUFFER(FILE_BYTES_MAX);
	char piece[16384];
	ssize_t size;

	if (fd < 0)
		return -errno;
	while ((size = read(fd, piece, sizeof(piece))) > 0) {
		if (npt_buffer_append(&content, piece, (size_t)size) < 0)
			return -EMSGSIZE;
	}
	if (size < 0)
		return -errno;
	*size_ret = content.size_bytes;
	*block_ret = npt_buffer_take(&content);
	return 0;
}

/* Cuts the header into its lines; the rest is the window. */
static int parse_block(char *block, size_t size_bytes, struct npt_upload_window *window)
{
	char *lines[HEADER_LINES + 1], *at = block, *end = block + size_bytes;
	uint64_t sequence;

	for (size_t i = 0; i <= HEADER_LINES; i++) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		if (!newline)
			return -EBADMSG;
		*newline = '\0';
		lines[i] = at;
		at = newline + 1;
	}
	if (lines[HEADER_LINES][0] != '\0' || npt_parse_u64(lines[5], 0, UINT64_MAX, &sequence) < 0)
		return -EBADMSG;
	*window = (struct npt_upload_window){
		.url = lines[0],
		.token = lines[1],
		.task_uid = lines[2],
		.pod_uid = lines[3],
		.instance = lines[4],
		.sequence = sequence,
		.data = at,
		.size_bytes = (size_t)(end - at),
	};
	return 0;
}

int npt_spool_read(const struct npt_spool_entry *entry, struct npt_upload_window *window_ret,
		   char **block_ret, struct npt_error *err)
{
	npt_auto_free char *block = NULL;
	size_t size_bytes = 0;
	int r = read_file(entry->path, &block, &size_bytes);

	if (r >= 0)
		r = parse_block(block, size_bytes, window_ret);
	if (r < 0)
		return npt_error_set(err, -r, "cannot read the spooled window %s: %s", entry->path,
				     npt_errno_name(-r));
	*block_ret = npt_take(block);
	return 0;
}

/* 16 hexadecimal digits, or those with ".part": ours. */
static bool is_ours(const char *name)
{
	npt_auto_free char *digits = npt_strndup(name, NAME_DIGITS);
	uint64_t number;

	return strlen(digits) == NAME_DIGITS && npt_parse_hex_u64(digits, &number) == 0 &&
	       (name[NAME_DIGITS] == '\0' || strcmp(name + NAME_DIGITS, ".part") == 0);
}

static void find_file(struct npt_spool *spool, const char *name)
{
	npt_auto_free char *path = npt_format("%s/%s", spool->directory, name);
	struct npt_spool_entry entry = { .path = path };
	struct npt_upload_window window;
	npt_auto_free char *block = NULL;
	uint64_t number;

	if (!is_ours(name))
		return;
	if (strlen(name) != NAME_DIGITS || npt_parse_hex_u64(name, &number) < 0 ||
	    npt_spool_read(&entry, &window, &block, NULL) < 0) {
		(void)unlink(path); /* half a window */
		return;
	}
	if (number >= spool->next_number)
		spool->next_number = number + 1;
	add_entry(spool, npt_strdup(path), &window, window.size_bytes);
}

static int by_path(const void *left, const void *right)
{
	const struct npt_spool_entry *a = left, *b = right;

	return strcmp(a->path, b->path);
}

int npt_spool_open(struct npt_spool **spool_ret, const char *directory, uint64_t max_bytes,
		   struct npt_error *err)
{
	npt_auto(npt_spool_free) struct npt_spool *spool = npt_alloc(1, sizeof(*spool));
	npt_auto_closedir DIR *listing = NULL;
	struct dirent *entry;

	spool->directory = npt_strdup(directory);
	spool->max_bytes = max_bytes;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return npt_error_set(err, errno, "cannot make the spool %s: %s", directory,
				     npt_errno_name(errno));
	listing = opendir(directory);
	if (!listing || access(directory, W_OK) < 0)
		return npt_error_set(err, errno, "cannot use the spool %s: %s", directory,
				     npt_errno_name(errno));
	while ((entry = readdir(listing))) {
		if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN)
			find_file(spool, entry->d_name);
	}
	if (spool->count > 0)
		qsort(spool->entries, spool->count, sizeof(*spool->entries), by_path);
	*spool_ret = npt_take(spool);
	return 0;
}

size_t npt_spool_count(const struct npt_spool *spool)
{
	return spool->count;
}

const struct npt_spool_entry *npt_spool_at(const struct npt_spool *spool, size_t index)
{
	return index < spool->count ? &spool->entries[index] : NULL;
}

bool npt_spool_has_room(const struct npt_spool *spool, size_t size_bytes)
{
	return spool->used_bytes + size_bytes <= spool->max_bytes;
}

static int write_whole(const char *path, const char *header, const void *data, size_t size_bytes)
{
	npt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *parts[] = { header, data };
	size_t sizes[] = { strlen(header), size_bytes };

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < 2; i++) {
		while (sizes[i] > 0) {
			ssize_t done = write(fd, parts[i], sizes[i]);

			if (done < 0)
				return -errno;
			parts[i] += done;
			sizes[i] -= (size_t)done;
		}
	}
	return 0;
}

int npt_spool_append(struct npt_spool *spool, const struct npt_upload_window *window,
		     struct npt_error *err)
{
	npt_auto_free char *path = npt_format("%s/%016llx", spool->directory,
					      (unsigned long long)spool->next_number++);
	npt_auto_free char *part = npt_format("%s.part", path);
	npt_auto_free char *header = npt_format(
		"%s\n%s\n%s\n%s\n%s\n%llu\n\n", window->url, window->token, window->task_uid,
		window->pod_uid, window->instance, (unsigned long long)window->sequence);
	int r = write_whole(part, header, window->data, window->size_bytes);

	if (r >= 0 && rename(part, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(part);
		return npt_error_set(err, -r, "cannot write to the spool %s: %s", spool->directory,
				     npt_errno_name(-r));
	}
	add_entry(spool, npt_take(path), window, window->size_bytes);
	return 0;
}

void npt_spool_remove(struct npt_spool *spool, size_t index)
{
	struct npt_spool_entry *entry = &spool->entries[index];

	(void)unlink(entry->path);
	spool->used_bytes -= entry->size_bytes;
	free_entry(entry);
	memmove(entry, entry + 1, (spool->count - index - 1) * sizeof(*entry));
	spool->count--;
}
