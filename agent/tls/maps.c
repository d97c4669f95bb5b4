/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of /proc/PID/maps ends in a path that the process chose: it may hold blanks, " (deleted)",
 * anything but a line break (which is written as \012). So a path is only a hint, and a file is the
 * mapped one only if its inode says so.
 *
 * Neither device nor inode need be what stat() says: an overlay shows its own device there and, on
 * some kernels, the lower file's inode in maps; btrfs has a device for each subvolume. Where they
 * differ, the file is mapped here, too, and the line that this makes in our own maps is compared:
 * one kernel writes both by the same rule.
 *
 * The way to the file is looked for below the process's root without leaving it, whatever links its
 * owner put there. A process that changed its root after it had mapped the file (haproxy does) is
 * reached by way of its parents, as far as they share its mounts.
 */
#include "agent/tls/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include <linux/openat2.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/parse.h"

#define MAPS_BYTES_MAX (16U << 20)
#define CHUNK_BYTES    (64U << 10)
#define PARENTS_MAX    8
#define STAT_BYTES     1024
#define DELETED        " (deleted)"

struct line {
	uint64_t begin, end, offset, inode, major, minor;
	bool executable;
	const char *path; /* not ended */
	size_t path_length;
};

/* The hexadecimal number in front of a character; moves behind that. */
static bool take_hex(const char **at, const char *end, char stop, uint64_t *value_ret)
{
	const char *begin = *at, *place = memchr(begin, stop, (size_t)(end - begin));
	char digits[17];
	size_t length = place ? (size_t)(place - begin) : sizeof(digits);

	if (length >= sizeof(digits))
		return false;
	memcpy(digits, begin, length);
	digits[length] = '\0';
	*at = place + 1;
	return npt_parse_hex_u64(digits, value_ret) == 0;
}

/* "begin-end rwxp offset major:minor inode   path" */
static bool parse_line(const char *at, const char *end, struct line *line)
{
	char digits[21];
	size_t length = 0;

	if (!take_hex(&at, end, '-', &line->begin) || !take_hex(&at, end, ' ', &line->end) ||
	    end - at < 5 || at[4] != ' ')
		return false;
	line->executable = at[2] == 'x';
	at += 5;
	if (!take_hex(&at, end, ' ', &line->offset) || !take_hex(&at, end, ':', &line->major) ||
	    !take_hex(&at, end, ' ', &line->minor))
		return false;
	while (at < end && *at != ' ' && length < sizeof(digits) - 1)
		digits[length++] = *at++;
	digits[length] = '\0';
	if (npt_parse_u64(digits, 0, UINT64_MAX, &line->inode) < 0)
		return false;
	while (at < end && *at == ' ')
		at++;
	line->path = at;
	line->path_length = (size_t)(end - at);
	return line->end > line->begin && line->major <= UINT32_MAX && line->minor <= UINT32_MAX;
}

/* Line breaks are the only characters that the kernel writes otherwise. */
static char *unescape(const char *path, size_t length)
{
	char *out = npt_strndup(path, length), *to = out;

	for (const char *from = out; *from;) {
		bool escaped = strncmp(from, "\\012", 4) == 0;

		*to++ = escaped ? '\n' : *from;
		from += escaped ? 4 : 1;
	}
	*to = '\0';
	return out;
}

static void add_line(struct npt_maps *maps, const struct line *line)
{
	static const size_t suffix = sizeof(DELETED) - 1;
	struct npt_mapped_file *file;
	size_t length = line->path_length;

	if (line->inode == 0) {
		bool system = length > 1 && line->path[0] == '[' && line->path[1] == 'v';

		maps->anonymous_bytes += system ? 0 : line->end - line->begin;
		return;
	}
	for (size_t i = maps->count; i-- > 0;)
		if (maps->files[i].inode == line->inode &&
		    maps->files[i].device_major == line->major &&
		    maps->files[i].device_minor == line->minor)
			return;
	if (maps->count == NPT_MAPS_FILES_MAX) {
		maps->other_count++;
		return;
	}
	if (maps->count % 64 == 0)
		maps->files = npt_realloc(maps->files, maps->count + 64, sizeof(*maps->files));
	file = &maps->files[maps->count++];
	*file = (struct npt_mapped_file){
		.address = line->begin,
		.offset_bytes = line->offset,
		.size_bytes = line->end - line->begin,
		.inode = line->inode,
		.device_major = (uint32_t)line->major,
		.device_minor = (uint32_t)line->minor,
	};
	if (length > suffix && memcmp(line->path + length - suffix, DELETED, suffix) == 0) {
		file->deleted = true;
		length -= suffix;
	}
	file->path = unescape(line->path, length);
}

void npt_maps_parse(const char *text, size_t size_bytes, struct npt_maps *maps_ret)
{
	const char *end = text + size_bytes;

	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct line line;

		stop = stop ? stop : end;
		if (parse_line(text, stop, &line) && line.executable)
			add_line(maps_ret, &line);
		text = stop + 1;
	}
}

void npt_maps_done(struct npt_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		free(maps->files[i].path);
	free(maps->files);
	*maps = (struct npt_maps){ .pid = 0 };
}

static int read_file(uint32_t pid, struct npt_buffer *text, struct npt_error *err)
{
	npt_auto_free char *path = npt_format("/proc/%u/maps", pid);
	npt_auto_free char *chunk = npt_alloc(1, CHUNK_BYTES);
	npt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : 1;

	while (got > 0) {
		got = read(fd, chunk, CHUNK_BYTES);
		if (got > 0 && npt_buffer_append(text, chunk, (size_t)got) < 0)
			return 0; /* the rest is not looked at */
	}
	if (got == 0)
		return 0;
	if (errno == ENOENT || errno == ESRCH)
		return npt_error_set(err, ESRCH, "there is no process %u", pid);
	return npt_error_set(err, errno == EACCES ? EPERM : errno,
			     "cannot read the mappings of process %u (%s): it needs root, or the "
			     "capability SYS_PTRACE",
			     pid, npt_errno_name(errno));
}

/* Which of the files is the program: by its number, else by its name. */
static void mark_executable(struct npt_maps *maps)
{
	npt_auto_free char *link = npt_format("/proc/%u/exe", maps->pid);
	char name[PATH_MAX + sizeof(DELETED)];
	ssize_t length = readlink(link, name, sizeof(name) - 1);
	static const size_t suffix = sizeof(DELETED) - 1;
	struct stat status;

	if (length < 0 || stat(link, &status) < 0)
		return;
	name[length] = '\0';
	if ((size_t)length > suffix && strcmp(name + (size_t)length - suffix, DELETED) == 0)
		name[(size_t)length - suffix] = '\0';
	for (size_t i = 0; i < maps->count; i++)
		if (maps->files[i].inode == status.st_ino &&
		    strcmp(maps->files[i].path, name) == 0) {
			maps->files[i].executable = true;
			return;
		}
	for (size_t i = 0; i < maps->count; i++)
		if (strcmp(maps->files[i].path, name) == 0) {
			maps->files[i].executable = true;
			return;
		}
}

int npt_maps_read(uint32_t pid, struct npt_maps *maps_ret, struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(MAPS_BYTES_MAX);
	int rc = read_file(pid, &text, err);

	if (rc < 0)
		return rc;
	*maps_ret = (struct npt_maps){ .pid = pid };
	npt_maps_parse(text.data ? text.data : "", text.size_bytes, maps_ret);
	mark_executable(maps_ret);
	return 0;
}

/* Whether the file that is open here makes the same line in maps as it does there. */
static bool is_mapped_alike(int fd, const struct npt_mapped_file *file)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(MAPS_BYTES_MAX);
	void *page = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0);
	const char *at, *end;
	bool alike = false;

	if (page == MAP_FAILED)
		return false;
	if (read_file((uint32_t)getpid(), &text, NULL) == 0 && text.data) {
		end = text.data + text.size_bytes;
		for (at = text.data; at < end && !alike;) {
			const char *stop = memchr(at, '\n', (size_t)(end - at));
			struct line line;

			stop = stop ? stop : end;
			alike = parse_line(at, stop, &line) && line.begin == (uintptr_t)page &&
				line.inode == file->inode && line.major == file->device_major &&
				line.minor == file->device_minor;
			at = stop + 1;
		}
	}
	(void)munmap(page, 1);
	return alike;
}

/*
 * Opens path below a root. First without access to its content: what is no regular file may do
 * something when it is opened. 0, or -ESTALE for another file, -ENOENT and others.
 */
static int open_below(int root, const char *path, const struct npt_mapped_file *file, int *fd_ret)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	npt_auto_close int place = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	npt_auto_free char *name = NULL;
	npt_auto_close int fd = -1;
	struct stat status;

	if (place < 0)
		return -errno;
	if (fstat(place, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -ESTALE;
	name = npt_format("/proc/self/fd/%d", place);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (file &&
	    (status.st_ino != file->inode || major(status.st_dev) != file->device_major ||
	     minor(status.st_dev) != file->device_minor) &&
	    !is_mapped_alike(fd, file))
		return -ESTALE;
	*fd_ret = npt_take_fd(&fd);
	return 0;
}

/* The root of a process, and the path without that of the root where it begins with it. */
static int open_root(uint32_t pid, const char **path)
{
	npt_auto_free char *link = npt_format("/proc/%u/root", pid);
	char name[PATH_MAX];
	ssize_t length = readlink(link, name, sizeof(name));

	if (length > 1 && (size_t)length < sizeof(name) &&
	    strncmp(*path, name, (size_t)length) == 0 && (*path)[length] == '/')
		*path += length;
	return open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool share_mounts(uint32_t pid, uint32_t other)
{
	npt_auto_free char *left = npt_format("/proc/%u/ns/mnt", pid);
	npt_auto_free char *right = npt_format("/proc/%u/ns/mnt", other);
	struct stat own, others;

	return stat(left, &own) == 0 && stat(right, &others) == 0 && own.st_ino == others.st_ino;
}

/* 0 if it cannot be known. The name in front of it may hold any character. */
static uint32_t parent_of(uint32_t pid)
{
	npt_auto_free char *path = npt_format("/proc/%u/stat", pid);
	npt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[STAT_BYTES];
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	char *at;
	uint64_t parent;

	text[size > 0 ? size : 0] = '\0';
	at = strrchr(text, ')');
	if (!at || strlen(at) < 5)
		return 0;
	at += 4; /* ") S " */
	at[strcspn(at, " ")] = '\0';
	return npt_parse_u64(at, 1, INT32_MAX, &parent) == 0 ? (uint32_t)parent : 0;
}

static int open_by_path(uint32_t pid, const struct npt_mapped_file *file, int *fd_ret)
{
	npt_auto_free char *with_suffix = npt_format("%s" DELETED, file->path);
	uint32_t holder = pid;
	int first = 0;

	for (size_t i = 0; i < PARENTS_MAX && holder != 0; i++) {
		const char *path = file->path, *other = with_suffix;
		npt_auto_close int root = open_root(holder, &path);
		int rc = root < 0 ? -errno : open_below(root, path, file, fd_ret);

		/* The suffix may be the file's own. */
		if (rc < 0 && root >= 0 && file->deleted) {
			other += path - file->path;
			if (open_below(root, other, file, fd_ret) == 0)
				return 0;
		}
		if (rc == 0)
			return 0;
		if (first == 0 || first == -ENOENT)
			first = rc;
		holder = parent_of(holder);
		if (holder != 0 && !share_mounts(pid, holder))
			break;
	}
	return first;
}

int npt_maps_open_name(uint32_t pid, const char *path, int *fd_ret)
{
	npt_auto_free char *name = npt_format("/proc/%u/root", pid);
	npt_auto_close int root = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return root < 0 ? -errno : open_below(root, path, NULL, fd_ret);
}

int npt_maps_open(uint32_t pid, const struct npt_mapped_file *file, int *fd_ret,
		  struct npt_error *err)
{
	int rc;

	if (file->executable) { /* leads to it, even if it has no name any more */
		npt_auto_free char *link = npt_format("/proc/%u/exe", pid);
		int fd = open(link, O_RDONLY | O_CLOEXEC);

		if (fd >= 0) {
			*fd_ret = fd;
			return 0;
		}
	}
	if (file->path[0] != '/')
		return npt_error_set(err, ENOENT, "a file without a name");
	rc = open_by_path(pid, file, fd_ret);
	if (rc == -ESTALE)
		return npt_error_set(err, ESTALE, "replaced on disk while in use");
	if (rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP)
		return npt_error_set(err, ENOENT, "%s",
				     file->deleted ? "deleted while in use"
						   : "not to be found below the process's root");
	if (rc < 0)
		return npt_error_set(err, rc == -EACCES ? EPERM : -rc, "cannot open the file: %s",
				     npt_errno_name(-rc));
	return 0;
}
