/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of processes is given by a control group's path or by /proc: those whose container it is.
 * Their children are followed in the kernel, so a process that forks while we look is found either
 * way: as a child of a member, or by looking again.
 */
#include "agent/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <signal.h>

#include "agent/proc.h"
#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/parse.h"

#define MEMBERS_MAX 16384

static void add_member(struct npt_target_set *set, uint32_t pid)
{
	if (set->members_count >= MEMBERS_MAX)
		return;
	set->members = npt_realloc(set->members, set->members_count + 1, sizeof(*set->members));
	set->members[set->members_count++] = pid;
}

struct descendants {
	struct npt_target_set *set;
	bool grew;
};

/* A number of /proc/PID/status; name is "PPid" or "Tgid". 0: there is no such process. */
static uint32_t read_status(uint32_t pid, const char *name)
{
	npt_auto_free char *path = npt_format("/proc/%u/status", pid);
	npt_auto_fclose FILE *file = fopen(path, "re");
	char line[256];
	uint64_t value;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, name, 4) != 0 || strncmp(line + 4, ":\t", 2) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		return npt_parse_u64(line + 6, 0, INT32_MAX, &value) == 0 ? (uint32_t)value : 0;
	}
	return 0;
}

static bool is_member(const struct npt_target_set *set, uint32_t pid)
{
	for (size_t i = 0; i < set->members_count; i++) {
		if (set->members[i] == pid)
			return true;
	}
	return false;
}

static bool add_child(uint32_t pid, void *context)
{
	struct descendants *descendants = context;

	if (!is_member(descendants->set, pid) &&
	    is_member(descendants->set, read_status(pid, "PPid"))) {
		add_member(descendants->set, pid);
		descendants->grew = true;
	}
	return true;
}

static int find_process(uint32_t pid, struct npt_target_set *set, struct npt_error *err)
{
	struct descendants descendants = { .set = set, .grew = true };
	uint32_t process = read_status(pid, "Tgid");

	if (process != 0 && process != pid)
		return npt_error_set(err, EINVAL, "%u is a thread: give its process, --pid %u", pid,
				     process);
	set->by_process = true;
	add_member(set, pid);
	while (descendants.grew) {
		descendants.grew = false;
		npt_proc_each(add_child, &descendants);
	}
	return npt_proc_open_netns(pid, &set->netns_fd, err);
}

struct container_search {
	struct npt_target_set *set;
	const char *id;
};

static bool add_if_in_container(uint32_t pid, void *context)
{
	struct container_search *search = context;
	char id[NPT_CONTAINER_ID_BYTES];

	npt_proc_container_id(pid, id, sizeof(id));
	if (id[0] && strncmp(id, search->id, strlen(search->id)) == 0)
		add_member(search->set, pid);
	return true;
}

static int find_container(const char *id, struct npt_target_set *set, struct npt_error *err)
{
	struct container_search search = { .set = set, .id = id };

	if (strlen(id) < 12 || strspn(id, "0123456789abcdef") != strlen(id))
		return npt_error_set(err, EINVAL,
				     "'%s' is no container id: at least its first 12 hexadecimal "
				     "digits",
				     id);
	set->by_process = true;
	npt_proc_each(add_if_in_container, &search);
	if (set->members_count == 0)
		return npt_error_set(err, ESRCH, "no process runs in a container %s", id);
	return npt_proc_open_netns(set->members[0], &set->netns_fd, err);
}

static void read_group_processes(const char *path, struct npt_target_set *set)
{
	npt_auto_free char *file_path = npt_format("%s/cgroup.procs", path);
	npt_auto_fclose FILE *file = fopen(file_path, "re");
	char line[32];
	uint64_t pid;

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (npt_parse_u64(line, 1, INT32_MAX, &pid) == 0)
			add_member(set, (uint32_t)pid);
	}
}

#define GROUP_DEPTH_MAX 16

static void read_groups(const char *path, unsigned int depth, struct npt_target_set *set)
{
	npt_auto_closedir DIR *directory = opendir(path);
	struct dirent *entry;

	read_group_processes(path, set);
	while (depth < GROUP_DEPTH_MAX && directory && (entry = readdir(directory))) {
		npt_auto_free char *below = NULL;

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		below = npt_format("%s/%s", path, entry->d_name);
		read_groups(below, depth + 1, set);
	}
}

static int find_group(const char *path, struct npt_target_set *set, struct npt_error *err)
{
	npt_auto_free char *list = npt_format("%s/cgroup.procs", path);

	if (access(list, R_OK) < 0)
		return npt_error_set(err, errno == EACCES ? EPERM : ESRCH,
				     "cannot read the control group %s: %s", path,
				     npt_errno_name(errno));
	set->by_process = true;
	read_groups(path, 0, set);
	if (set->members_count == 0)
		return npt_error_set(err, ESRCH, "no process is in the control group %s", path);
	return npt_proc_open_netns(set->members[0], &set->netns_fd, err);
}

static int find_namespace(const char *path, struct npt_target_set *set, struct npt_error *err)
{
	uint32_t inode;
	int r;

	/* Without O_NONBLOCK a FIFO would be waited for. */
	set->netns_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (set->netns_fd < 0)
		return npt_error_set(err, errno == EACCES ? EPERM : ESRCH,
				     "cannot open the network namespace %s: %s", path,
				     npt_errno_name(errno));
	r = npt_proc_netns_inode(set->netns_fd, &inode, err);
	return r < 0 ? npt_error_wrap(err, "%s", path) : 0;
}

/*
 * The child: waits until it is measured, then becomes the command. The socket ends with that; if it
 * cannot, the error goes there.
 */
static _Noreturn void become(char **command, int socket_fd)
{
	sigset_t none;
	char go;
	int failure;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (read(socket_fd, &go, 1) != 1)
		_exit(127);
	(void)execvp(command[0], command);
	failure = errno;
	(void)!write(socket_fd, &failure, sizeof(failure));
	_exit(127);
}

static int start_command(char **command, struct npt_target_set *set, struct npt_error *err)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return npt_error_set(err, errno, "cannot make a socket pair: %s",
				     npt_errno_name(errno));
	set->command_pid = fork();
	if (set->command_pid == 0) {
		(void)close(ends[1]);
		become(command, ends[0]);
	}
	(void)close(ends[0]);
	set->release_fd = ends[1];
	if (set->command_pid < 0)
		return npt_error_set(err, errno, "cannot fork: %s", npt_errno_name(errno));
	set->by_process = true;
	add_member(set, (uint32_t)set->command_pid);
	return npt_proc_open_netns((uint32_t)set->command_pid, &set->netns_fd, err);
}

int npt_target_find(const struct npt_run_options *options, struct npt_target_set *set_ret,
		    struct npt_error *err)
{
	switch (options->target) {
	case NPT_RUN_PID:
		return find_process(options->pid, set_ret, err);
	case NPT_RUN_CONTAINER:
		return find_container(options->text, set_ret, err);
	case NPT_RUN_CGROUP:
		return find_group(options->text, set_ret, err);
	case NPT_RUN_NETNS:
		return find_namespace(options->text, set_ret, err);
	case NPT_RUN_COMMAND:
		return start_command(options->command, set_ret, err);
	}
	return -EINVAL;
}

int npt_target_release(struct npt_target_set *set, const char *command, struct npt_error *err)
{
	npt_auto_close int fd = npt_take_fd(&set->release_fd);
	int failure;

	if (fd < 0)
		return 0;
	if (send(fd, "g", 1, MSG_NOSIGNAL) != 1 ||
	    read(fd, &failure, sizeof(failure)) != (ssize_t)sizeof(failure))
		return 0; /* it runs, or was killed already */
	return npt_error_set(err, failure == EACCES ? EPERM : ESRCH, "cannot run '%s': %s", command,
			     npt_errno_name(failure));
}

void npt_target_done(struct npt_target_set *set)
{
	if (set->release_fd >= 0)
		(void)close(npt_take_fd(&set->release_fd));
	if (set->netns_fd >= 0)
		(void)close(npt_take_fd(&set->netns_fd));
	free(set->members);
	set->members = NULL;
	set->members_count = 0;
}
