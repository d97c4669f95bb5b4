/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGINT is ignored in the child from before its exec, which Go programs respect; and the kernel
 * ends it (PR_SET_PDEATHSIG) if we are killed.
 */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/core/buffer.h"
#include "lib/core/clock.h"

#define STOP_WAIT_MS 2000
#define EXEC_FAILED  127

static void become(const char *const *argv, int output, int errors, pid_t parent)
{
	int input = open("/dev/null", O_RDONLY);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXEC_FAILED);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0)
		_exit(EXEC_FAILED);
	(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(2, "cannot run %s: %s\n", argv[0],
		errno == ENOENT ? "it is not in PATH" : strerror(errno));
	_exit(EXEC_FAILED);
}

int npt_child_start(const char *const *argv, struct npt_child *child_ret, struct npt_error *err)
{
	npt_auto_close int errors = memfd_create("npt-child", MFD_CLOEXEC);
	pid_t parent = getpid(), pid;
	int ends[2];

	if (errors < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return npt_error_set(err, errno, "cannot start %s: %s", argv[0], strerror(errno));
	pid = fork();
	if (pid == 0)
		become(argv, ends[1], errors, parent);
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return npt_error_set(err, errno, "cannot start %s: %s", argv[0], strerror(errno));
	}
	*child_ret =
		(struct npt_child){ .pid = pid, .output = ends[0], .errors = npt_take_fd(&errors) };
	return 0;
}

void npt_child_last_error(const struct npt_child *child, char *line, size_t size_bytes)
{
	char tail[1024];
	off_t size = child->errors >= 0 ? lseek(child->errors, 0, SEEK_END) : 0;
	off_t from = size > (off_t)sizeof(tail) - 1 ? size - (off_t)sizeof(tail) + 1 : 0;
	ssize_t length = size > 0 ? pread(child->errors, tail, sizeof(tail) - 1, from) : 0;
	char *begin;

	line[0] = '\0';
	while (length > 0 && strchr("\r\n ", tail[length - 1]))
		length--;
	if (length <= 0)
		return;
	tail[length] = '\0';
	begin = strrchr(tail, '\n');
	(void)snprintf(line, size_bytes, "%s", begin ? begin + 1 : tail);
}

/* What it said as the reason that it ended. */
static int say_ended(struct npt_child *child, int code, struct npt_error *err)
{
	char words[400];

	npt_child_last_error(child, words, sizeof(words));
	return npt_error_set(err, code, "kubectl: %s",
			     words[0] ? words : "it ended without a word");
}

int npt_child_read_line(struct npt_child *child, uint64_t timeout_ms, char *line, size_t size_bytes,
			struct npt_error *err)
{
	uint64_t end_ns = npt_clock_monotonic_ns() + timeout_ms * NPT_NS_PER_MS;
	size_t length = 0;

	while (true) {
		struct pollfd waited = { .fd = child->output, .events = POLLIN };
		uint64_t now_ns = npt_clock_monotonic_ns();
		char c;
		int ready;

		if (now_ns >= end_ns)
			return npt_error_set(err, ETIMEDOUT, "kubectl did not answer in %llu s",
					     (unsigned long long)(timeout_ms / 1000));
		ready = poll(&waited, 1, (int)((end_ns - now_ns) / NPT_NS_PER_MS) + 1);
		if (ready < 0 && errno != EINTR)
			return npt_error_set(err, errno, "cannot read from kubectl");
		if (ready <= 0)
			continue;
		if (read(child->output, &c, 1) != 1)
			return say_ended(child, EPIPE, err);
		if (c == '\n') {
			line[length] = '\0';
			return 0;
		}
		if (length + 1 < size_bytes)
			line[length++] = c;
	}
}

int npt_child_finish(struct npt_child *child, size_t max_bytes, char **text_ret,
		     struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(max_bytes);
	char piece[4096];
	ssize_t length;
	int status = 0;

	while ((length = read(child->output, piece, sizeof(piece))) > 0 ||
	       (length < 0 && errno == EINTR)) {
		if (length > 0 && npt_buffer_append(&text, piece, (size_t)length) < 0)
			return npt_error_set(err, EMSGSIZE, "kubectl printed more than %zu bytes",
					     max_bytes);
	}
	explicit_bzero(piece, sizeof(piece));
	while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
		;
	child->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return say_ended(child, EIO, err);
	*text_ret = npt_buffer_take(&text);
	return 0;
}

void npt_child_stop(struct npt_child *child)
{
	const struct timespec pause = { .tv_nsec = 10 * (long)NPT_NS_PER_MS };

	if (child->pid > 0) {
		(void)kill(child->pid, SIGTERM);
		for (int waited_ms = 0; waitpid(child->pid, NULL, WNOHANG) == 0; waited_ms += 10) {
			if (waited_ms == STOP_WAIT_MS)
				(void)kill(child->pid, SIGKILL);
			(void)nanosleep(&pause, NULL);
		}
	}
	if (child->output >= 0)
		(void)close(child->output);
	if (child->errors >= 0)
		(void)close(child->errors);
	*child = (struct npt_child)NPT_CHILD_NONE;
}
