/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All files with code that a process has mapped are looked at, not only those with a known name:
 * the extension modules of Python and Java bring their own library. That is affordable because each
 * file is looked into once, as long as the cache remembers it.
 */
#include "agent/tls/library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/tls/library_private.h"
#include "agent/tls/maps.h"
#include "lib/core/alloc.h"

#define NS_PER_S INT64_C(1000000000)

struct entry {
	struct npt_tls_file_id id;
	struct npt_tls_file *file; /* NULL: no TLS in it */
	uint64_t used;             /* the cache's clock; 0: empty */
	uint32_t next;             /* in its bucket, + 1; 0 ends */
};

struct npt_tls_file_cache {
	struct entry *entries;
	uint32_t *buckets; /* the first entry + 1; 0: none */
	size_t max, count;
	uint64_t clock, analyses;
};

struct npt_tls_file_cache *npt_tls_file_cache_new(size_t files_max)
{
	struct npt_tls_file_cache *cache = npt_alloc(1, sizeof(*cache));

	cache->max = files_max ? files_max : 1;
	cache->entries = npt_alloc(cache->max, sizeof(*cache->entries));
	cache->buckets = npt_alloc(cache->max, sizeof(*cache->buckets));
	return cache;
}

void npt_tls_file_cache_free(struct npt_tls_file_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->count; i++)
		free(cache->entries[i].file);
	free(cache->entries);
	free(cache->buckets);
	free(cache);
}

uint64_t npt_tls_file_cache_analyses(const struct npt_tls_file_cache *cache)
{
	return cache->analyses;
}

bool npt_tls_is_same_file(const struct npt_tls_file_id *left, const struct npt_tls_file_id *right)
{
	return left->device == right->device && left->inode == right->inode &&
	       left->size_bytes == right->size_bytes && left->changed_ns == right->changed_ns;
}

static int read_id(int fd, struct npt_tls_file_id *id_ret)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return -errno;
	*id_ret = (struct npt_tls_file_id){
		.device = status.st_dev,
		.inode = status.st_ino,
		.size_bytes = (uint64_t)status.st_size,
		.changed_ns = status.st_ctim.tv_sec * NS_PER_S + status.st_ctim.tv_nsec,
	};
	return 0;
}

static uint32_t *bucket_of(struct npt_tls_file_cache *cache, const struct npt_tls_file_id *id)
{
	uint64_t hash = (id->inode ^ id->device << 40) * UINT64_C(0x9e3779b97f4a7c15);

	return &cache->buckets[(hash >> 32) % cache->max];
}

/* Takes the entry out of its bucket and forgets what it held. */
static void evict(struct npt_tls_file_cache *cache, size_t number)
{
	struct entry *entry = &cache->entries[number];
	uint32_t *link = bucket_of(cache, &entry->id);

	while (*link != number + 1)
		link = &cache->entries[*link - 1].next;
	*link = entry->next;
	free(entry->file);
	*entry = (struct entry){ .used = 0 };
}

static size_t find_room(struct npt_tls_file_cache *cache)
{
	size_t oldest = 0;

	if (cache->count < cache->max)
		return cache->count++;
	for (size_t i = 1; i < cache->count; i++)
		if (cache->entries[i].used < cache->entries[oldest].used)
			oldest = i;
	evict(cache, oldest);
	return oldest;
}

/* What is in the file, from memory or by looking; borrowed until the next call, NULL if no TLS. */
static const struct npt_tls_file *look_up(struct npt_tls_file_cache *cache, int fd,
					  const struct npt_tls_file_id *id, const char *name,
					  bool executable)
{
	npt_auto_free struct npt_tls_file *file = NULL;
	struct npt_tls_file_id after;
	struct entry *entry;
	uint32_t *bucket = bucket_of(cache, id);
	size_t room;

	for (uint32_t i = *bucket; i != 0; i = cache->entries[i - 1].next) {
		entry = &cache->entries[i - 1];
		if (!npt_tls_is_same_file(&entry->id, id))
			continue;
		entry->used = ++cache->clock;
		return entry->file;
	}
	file = npt_alloc(1, sizeof(*file));
	npt_tls_analyse(fd, name, executable, file);
	cache->analyses++;
	/* Written to meanwhile: what was seen may be half of each. */
	if (read_id(fd, &after) < 0 || !npt_tls_is_same_file(&after, id))
		return NULL;
	room = find_room(cache);
	entry = &cache->entries[room];
	bucket = bucket_of(cache, id);
	*entry = (struct entry){ .id = *id, .used = ++cache->clock, .next = *bucket };
	*bucket = (uint32_t)room + 1;
	if (file->count > 0 || file->crypto_version[0])
		entry->file = npt_take(file);
	return entry->file;
}

struct parts { /* the libcryptos of a process */
	struct {
		enum npt_tls_kind kind;
		char version[NPT_TLS_VERSION_BYTES];
		char path[NPT_TLS_PATH_BYTES];
	} part[NPT_TLS_PROCESS_LIBRARIES];
	size_t count;
};

struct collection {
	struct npt_tls_found *found;
	size_t count;
	struct parts parts;
};

static void set_path(char out[NPT_TLS_PATH_BYTES], const char *path)
{
	(void)snprintf(out, NPT_TLS_PATH_BYTES, "%.*s", NPT_TLS_PATH_BYTES - 1, path);
}

static struct npt_tls_found *add_found(struct collection *all, const struct npt_mapped_file *mapped)
{
	struct npt_tls_found *found;

	if (all->count == NPT_TLS_PROCESS_LIBRARIES)
		return NULL;
	found = &all->found[all->count++];
	*found = (struct npt_tls_found){ .inode = mapped->inode, .executable = mapped->executable };
	set_path(found->path, mapped->path);
	return found;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A file that cannot be reached matters only if it is known to be one. */
static void add_unreachable(struct collection *all, const struct npt_mapped_file *mapped,
			    const char *why)
{
	enum npt_tls_kind kind = npt_tls_kind_of_name(base_name(mapped->path));
	struct npt_tls_found *found;

	if (kind == NPT_TLS_KINDS && !mapped->executable)
		return;
	found = add_found(all, mapped);
	if (!found)
		return;
	found->library.kind = kind == NPT_TLS_KINDS ? NPT_TLS_KIND_UNKNOWN : kind;
	(void)snprintf(found->library.why, sizeof(found->library.why), "%.*s",
		       NPT_TLS_TEXT_BYTES - 1, why);
}

static void add_file(struct npt_tls_file_cache *cache, uint32_t pid,
		     const struct npt_mapped_file *mapped, struct collection *all)
{
	struct npt_error err = NPT_ERROR_NONE;
	const struct npt_tls_file *file;
	struct npt_tls_file_id id;
	npt_auto_close int fd = -1;

	if (npt_maps_open(pid, mapped, &fd, &err) < 0) {
		add_unreachable(all, mapped, err.text);
		return;
	}
	if (read_id(fd, &id) < 0)
		return;
	file = look_up(cache, fd, &id, base_name(mapped->path), mapped->executable);
	for (size_t i = 0; file && i < file->count; i++) {
		struct npt_tls_found *found = add_found(all, mapped);

		if (!found)
			return;
		found->library = file->libraries[i];
		found->file = id;
	}
	if (file && file->crypto_version[0] && all->parts.count < NPT_TLS_PROCESS_LIBRARIES) {
		size_t at = all->parts.count++;

		all->parts.part[at].kind = file->crypto_kind;
		memcpy(all->parts.part[at].version, file->crypto_version,
		       sizeof(file->crypto_version));
		set_path(all->parts.part[at].path, mapped->path);
	}
}

static bool same_folder(const char *left, const char *right)
{
	size_t length = (size_t)(base_name(left) - left);

	return length == (size_t)(base_name(right) - right) && memcmp(left, right, length) == 0;
}

/* A libssl has no version of its own: it is that of the libcrypto beside it, or of the only one. */
static void take_versions(struct collection *all)
{
	for (size_t i = 0; i < all->count; i++) {
		struct npt_tls_found *found = &all->found[i];
		size_t chosen = all->parts.count == 1 ? 0 : NPT_TLS_PROCESS_LIBRARIES;

		if (found->library.kind != NPT_TLS_OPENSSL || found->library.version[0] ||
		    found->library.function_count == 0) /* whatever that file is */
			continue;
		for (size_t j = 0; j < all->parts.count; j++)
			if (same_folder(found->path, all->parts.part[j].path))
				chosen = j;
		if (chosen == NPT_TLS_PROCESS_LIBRARIES)
			continue;
		found->library.kind = all->parts.part[chosen].kind;
		memcpy(found->library.version, all->parts.part[chosen].version,
		       sizeof(found->library.version));
	}
}

/* The program itself, where none of its code is mapped from its file (a packed one). */
static struct npt_mapped_file only_executable(void)
{
	static char path[] = "exe";

	return (struct npt_mapped_file){ .executable = true, .path = path };
}

int npt_tls_libraries_of(struct npt_tls_file_cache *cache, uint32_t pid,
			 struct npt_tls_found found_ret[NPT_TLS_PROCESS_LIBRARIES],
			 size_t *count_ret, struct npt_error *err)
{
	npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 0 };
	struct npt_mapped_file self = only_executable();
	npt_auto_free struct collection *all = NULL;
	bool has_executable = false;
	int rc = npt_maps_read(pid, &maps, err);

	if (rc < 0)
		return rc;
	all = npt_alloc(1, sizeof(*all));
	all->found = found_ret;
	for (size_t i = 0; i < maps.count; i++) {
		add_file(cache, pid, &maps.files[i], all);
		has_executable = has_executable || maps.files[i].executable;
	}
	if (!has_executable && maps.anonymous_bytes > 0)
		add_file(cache, pid, &self, all);
	take_versions(all);
	*count_ret = all->count;
	return 0;
}

int npt_tls_found_open(uint32_t pid, const struct npt_tls_found *found, int *fd_ret,
		       struct npt_error *err)
{
	npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 0 };
	struct npt_mapped_file self = only_executable();
	const struct npt_mapped_file *mapped = found->executable ? &self : NULL;
	struct npt_tls_file_id id;
	npt_auto_close int fd = -1;
	int rc = npt_maps_read(pid, &maps, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; !mapped && i < maps.count; i++)
		if (maps.files[i].inode == found->inode &&
		    strncmp(maps.files[i].path, found->path, sizeof(found->path) - 1) == 0)
			mapped = &maps.files[i];
	if (!mapped)
		return npt_error_set(err, ESTALE, "not mapped any more");
	rc = npt_maps_open(pid, mapped, &fd, err);
	if (rc < 0)
		return rc;
	if (read_id(fd, &id) < 0 || !npt_tls_is_same_file(&id, &found->file))
		return npt_error_set(err, ESTALE, "changed since it was looked into");
	*fd_ret = npt_take_fd(&fd);
	return 0;
}

int npt_tls_found_open_early(uint32_t pid, const struct npt_tls_found *found, int *fd_ret,
			     struct npt_error *err)
{
	struct npt_tls_file_id id;
	npt_auto_close int fd = -1;
	int rc;

	if (found->executable)
		return npt_tls_found_open(pid, found, fd_ret, err);
	rc = npt_maps_open_name(pid, found->path, &fd);
	if (rc < 0)
		return npt_error_set(err, -rc, "cannot open the file: %s", npt_errno_name(-rc));
	if (read_id(fd, &id) < 0 || !npt_tls_is_same_file(&id, &found->file))
		return npt_error_set(err, ESTALE, "changed since it was looked into");
	*fd_ret = npt_take_fd(&fd);
	return 0;
}

const char *npt_tls_kind_name(enum npt_tls_kind kind)
{
	static const char *const names[NPT_TLS_KINDS] = {
		[NPT_TLS_KIND_UNKNOWN] = "unknown",
		[NPT_TLS_OPENSSL] = "OpenSSL",
		[NPT_TLS_BORINGSSL] = "BoringSSL",
		[NPT_TLS_LIBRESSL] = "LibreSSL",
		[NPT_TLS_GNUTLS] = "GnuTLS",
		[NPT_TLS_GO] = "Go crypto/tls",
		[NPT_TLS_RUSTLS] = "rustls",
		[NPT_TLS_NSS] = "NSS",
		[NPT_TLS_JSSE] = "JSSE",
	};

	return kind < NPT_TLS_KINDS ? names[kind] : names[NPT_TLS_KIND_UNKNOWN];
}

const char *npt_tls_role_name(enum npt_tls_role role)
{
	static const char *const names[NPT_TLS_ROLES] = {
		[NPT_TLS_READ] = "read",           [NPT_TLS_READ_EX] = "read_ex",
		[NPT_TLS_PEEK] = "peek",           [NPT_TLS_PEEK_EX] = "peek_ex",
		[NPT_TLS_WRITE] = "write",         [NPT_TLS_WRITE_EX] = "write_ex",
		[NPT_TLS_WRITE_EX2] = "write_ex2", [NPT_TLS_SENDFILE] = "sendfile",
		[NPT_TLS_HANDSHAKE] = "handshake", [NPT_TLS_SHUTDOWN] = "shutdown",
		[NPT_TLS_CONSUME] = "consume",     [NPT_TLS_CHUNK] = "chunk",
		[NPT_TLS_FREE] = "free",           [NPT_TLS_SET_FD] = "set_fd",
	};

	return role < NPT_TLS_ROLES ? names[role] : "unknown";
}
