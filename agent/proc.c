/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control group paths: cgroupfs has .../pod<uid>/<container id>, the systemd driver
 * ...-pod<uid with _>.slice/cri-containerd-<id>.scope; on v1 each hierarchy repeats it.
 */
#include "agent/proc.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <linux/nsfs.h>
#include <linux/sched.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/parse.h"

#define FLAGS_FIELD         9 /* of /proc/PID/stat, proc(5) */
#define PF_EXITING          0x4
#define CGROUP_FILE_BYTES   8192
#define CONTAINER_ID_DIGITS 64
#define POD_UID_CHARACTERS  36

int npt_proc_open_netns(uint32_t pid, int *fd_ret, struct npt_error *err)
{
	npt_auto_free char *path = npt_format("/proc/%u/ns/net", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		*fd_ret = fd;
		return 0;
	}
	if (errno == ENOENT || errno == ESRCH)
		return npt_error_set(err, ESRCH, "there is no process %u", pid);
	return npt_error_set(
		err, errno == EACCES ? EPERM : errno,
		"cannot open the network namespace of process %u (%s): it needs root, or "
		"the capability SYS_PTRACE",
		pid, npt_errno_name(errno));
}

int npt_proc_netns_inode(int fd, uint32_t *inode_ret, struct npt_error *err)
{
	struct stat status;

	if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
		return npt_error_set(err, EINVAL, "the file is not a network namespace");
	if (fstat(fd, &status) < 0)
		return npt_error_set(err, errno, "cannot look at the network namespace: %s",
				     npt_errno_name(errno));
	*inode_ret = (uint32_t)status.st_ino;
	return 0;
}

bool npt_proc_is_running(uint32_t pid)
{
	npt_auto_free char *path = npt_format("/proc/%u/stat", pid);
	npt_auto_fclose FILE *file = fopen(path, "re");
	char text[512] = "";
	const char *field;

	if (!file || fread(text, 1, sizeof(text) - 1, file) == 0)
		return false;
	field = strrchr(text, ')'); /* a name may hold any character */
	for (int i = 2; field && i < FLAGS_FIELD; i++)
		field = strchr(field + 1, ' ');
	return field && !(strtoul(field, NULL, 10) & PF_EXITING);
}

static size_t span_hex(const char *text)
{
	size_t length = 0;

	while (isxdigit((unsigned char)text[length]))
		length++;
	return length;
}

static void copy_bounded(char *out, size_t size_bytes, const char *text, size_t length)
{
	if (length >= size_bytes)
		length = size_bytes - 1;
	memcpy(out, text, length);
	out[length] = '\0';
}

/* "pod" and 36 characters of a UID, with dashes or the systemd driver's underscores. */
static bool take_pod_uid(const char *at, char *out, size_t size_bytes)
{
	char uid[POD_UID_CHARACTERS + 1];

	for (size_t i = 0; i < POD_UID_CHARACTERS; i++) {
		char character = at[i] == '_' ? '-' : at[i];

		if (!isxdigit((unsigned char)character) && character != '-')
			return false;
		uid[i] = character;
	}
	copy_bounded(out, size_bytes, uid, POD_UID_CHARACTERS);
	return true;
}

static void parse_path(const char *path, char *container_id, size_t container_bytes, char *pod_uid,
		       size_t pod_bytes)
{
	for (const char *at = path; *at; at++) {
		bool begins = at == path || !isxdigit((unsigned char)at[-1]);

		if (strncmp(at, "pod", 3) == 0 && strlen(at + 3) >= POD_UID_CHARACTERS)
			(void)take_pod_uid(at + 3, pod_uid, pod_bytes);
		if (begins && span_hex(at) == CONTAINER_ID_DIGITS)
			copy_bounded(container_id, container_bytes, at, CONTAINER_ID_DIGITS);
	}
}

void npt_proc_parse_cgroup(const char *text, char *container_id, size_t container_bytes,
			   char *pod_uid, size_t pod_bytes)
{
	container_id[0] = '\0';
	pod_uid[0] = '\0';
	while (*text) {
		const char *end = strchrnul(text, '\n');
		npt_auto_free char *line = npt_strndup(text, (size_t)(end - text));
		const char *path = strchr(line, '/');

		if (path && (container_id[0] == '\0' || pod_uid[0] == '\0'))
			parse_path(path, container_id, container_bytes, pod_uid, pod_bytes);
		text = *end ? end + 1 : end;
	}
}

static void read_cgroup(uint32_t pid, char *container_id, char *pod_uid)
{
	npt_auto_free char *path = npt_format("/proc/%u/cgroup", pid);
	npt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[CGROUP_FILE_BYTES];
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	text[size > 0 ? size : 0] = '\0';
	npt_proc_parse_cgroup(text, container_id, NPT_CONTAINER_ID_BYTES, pod_uid,
			      NPT_CONTAINER_ID_BYTES);
}

void npt_proc_container_id(uint32_t pid, char *out, size_t size_bytes)
{
	char container_id[NPT_CONTAINER_ID_BYTES], pod_uid[NPT_CONTAINER_ID_BYTES];

	read_cgroup(pid, container_id, pod_uid);
	copy_bounded(out, size_bytes, container_id, strlen(container_id));
}

void npt_proc_pod_uid(uint32_t pid, char *out, size_t size_bytes)
{
	char container_id[NPT_CONTAINER_ID_BYTES], pod_uid[NPT_CONTAINER_ID_BYTES];

	read_cgroup(pid, container_id, pod_uid);
	copy_bounded(out, size_bytes, pod_uid, strlen(pod_uid));
}

void npt_proc_each(bool (*visit)(uint32_t pid, void *context), void *context)
{
	npt_auto_closedir DIR *directory = opendir("/proc");
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		uint64_t pid;

		if (npt_parse_u64(entry->d_name, 1, INT32_MAX, &pid) == 0 &&
		    !visit((uint32_t)pid, context))
			return;
	}
}
