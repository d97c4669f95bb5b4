/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call itself: the libbpf that we build with (1.1) does not know these links, nor do
 * its headers. The layout is that of the kernel's include/uapi/linux/bpf.h, union bpf_attr,
 * link_create.uprobe_multi.
 */
#include "agent/probe/uprobe_multi.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <linux/bpf.h>

#include "lib/core/cleanup.h"

#define FLAG_RETURN 1   /* BPF_F_UPROBE_MULTI_RETURN */
#define ENOTSUPP    524 /* the kernel's own, which no header of user space has */

struct link_create {
	uint32_t program_fd;
	uint32_t target_fd; /* 0 */
	uint32_t attach_type;
	uint32_t flags; /* 0 */
	uint64_t path;
	uint64_t offsets;
	uint64_t reference_counters; /* of USDT; 0 */
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t path_fd; /* of newer kernels; 0 */
};
_Static_assert(offsetof(struct link_create, path) == 16, "the kernel's layout");
_Static_assert(offsetof(struct link_create, pid) == 56, "the kernel's layout");

static uint64_t address_of(const void *object)
{
	return (uint64_t)(uintptr_t)object;
}

static int create_link(const struct link_create *link)
{
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, link, sizeof(*link));

	return fd < 0 ? -errno : (int)fd;
}

static int attach(const struct link_create *link, const char *path, struct npt_error *err)
{
	int fd = create_link(link);

	if (fd >= 0)
		return fd;
	if (fd == -EINVAL && !npt_uprobe_multi_is_there())
		return npt_error_set(err, EOPNOTSUPP, "the kernel lacks uprobe.multi (6.6+)");
	if (fd == -ENOTSUPP)
		return npt_error_set(err, ENOTSUP,
				     "%u uprobes in %s: the kernel refuses an instruction there",
				     link->count, path);
	return npt_error_set(err, -fd, "%u uprobes in %s: %s", link->count, path, strerror(-fd));
}

static int attach_as(uint32_t attach_type, uint32_t multi_flags, struct link_create link,
		     const char *path, struct npt_error *err)
{
	link.attach_type = attach_type;
	link.multi_flags = multi_flags;
	link.path = address_of(path);
	if (link.count == 0 || link.count > NPT_UPROBES_MAX)
		return npt_error_set(err, EINVAL, "%u uprobes in %s: at most %d", link.count, path,
				     NPT_UPROBES_MAX);
	return attach(&link, path, err);
}

static struct link_create describe(int program_fd, const uint64_t *offsets, const uint64_t *cookies,
				   size_t count, pid_t pid)
{
	return (struct link_create){
		.program_fd = (uint32_t)program_fd,
		.offsets = address_of(offsets),
		.cookies = address_of(cookies),
		.count = count > NPT_UPROBES_MAX ? NPT_UPROBES_MAX + 1 : (uint32_t)count,
		.pid = (uint32_t)pid,
	};
}

int npt_uprobe_multi_attach(int program_fd, const char *path, const uint64_t *offsets,
			    const uint64_t *cookies, size_t count, pid_t pid, bool is_return,
			    struct npt_error *err)
{
	return attach_as(NPT_ATTACH_UPROBE_MULTI, is_return ? FLAG_RETURN : 0,
			 describe(program_fd, offsets, cookies, count, pid), path, err);
}

int npt_uprobe_session_attach(int program_fd, const char *path, const uint64_t *offsets,
			      const uint64_t *cookies, size_t count, pid_t pid,
			      struct npt_error *err)
{
	return attach_as(NPT_ATTACH_UPROBE_SESSION, 0,
			 describe(program_fd, offsets, cookies, count, pid), path, err);
}

/*
 * A link to the root folder, which is no file: the kernel says EBADF where it knows such links,
 * after it has looked at all else.
 */
static bool is_there(uint32_t attach_type)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	const struct bpf_prog_load_opts options = {
		.sz = sizeof(options),
		.expected_attach_type = (enum bpf_attach_type)attach_type,
	};
	const uint64_t offset = 0;
	npt_auto_close int program_fd = -1;
	struct link_create link;
	int fd;

	program_fd =
		bpf_prog_load(BPF_PROG_TYPE_KPROBE, "npt_nothing", "GPL", nothing, 2, &options);
	if (program_fd < 0)
		return false;
	link = describe(program_fd, &offset, NULL, 1, 0);
	link.attach_type = attach_type;
	link.path = address_of("/");
	fd = create_link(&link);
	if (fd >= 0)
		(void)close(fd);
	return fd == -EBADF;
}

bool npt_uprobe_multi_is_there(void)
{
	return is_there(NPT_ATTACH_UPROBE_MULTI);
}

bool npt_uprobe_session_is_there(void)
{
	return is_there(NPT_ATTACH_UPROBE_SESSION);
}
