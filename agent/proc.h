/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Proc - what /proc says about a process: start, namespace, container. Every read is bounded and a
 * process may be gone at any moment.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/error.h"

#define NPT_CONTAINER_ID_BYTES 80

/* The network namespace of a process, kept open by the descriptor. -ESRCH, -EPERM. */
int npt_proc_open_netns(uint32_t pid, int *fd_ret, struct npt_error *err);
/* The inode number of an open network namespace; -EINVAL if the file is none. */
int npt_proc_netns_inode(int fd, uint32_t *inode_ret, struct npt_error *err);
/* Neither gone nor ending: then its memory and files are gone already, or soon. */
bool npt_proc_is_running(uint32_t pid);
/* The container's id (64 hexadecimal digits) from /proc/PID/cgroup; "" if it is in none. */
void npt_proc_container_id(uint32_t pid, char *out, size_t size_bytes);
/* The pod's UID from /proc/PID/cgroup, with dashes; "" if it is in none. */
void npt_proc_pod_uid(uint32_t pid, char *out, size_t size_bytes);
/* The same from the text of such a file; pure. */
void npt_proc_parse_cgroup(const char *text, char *container_id, size_t container_bytes,
			   char *pod_uid, size_t pod_bytes);
/* Calls visit for each process of the machine until it returns false. */
void npt_proc_each(bool (*visit)(uint32_t pid, void *context), void *context);
