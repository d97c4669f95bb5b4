/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handler does only what may be done in one: unlink(), rmdir() and _exit(). The paths are set
 * before the handler may read them, and never changed but to NULL.
 */
#include "cli/interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "lib/core/clock.h"

static _Atomic(const char *) socket_path, socket_directory;
static atomic_bool is_asking, was_asked;

static void on_signal(int number)
{
	const char *path = atomic_load(&socket_path), *directory = atomic_load(&socket_directory);
	int saved = errno;

	if (atomic_load(&is_asking) && !atomic_exchange(&was_asked, true)) {
		errno = saved;
		return;
	}
	if (path)
		(void)unlink(path);
	if (directory)
		(void)rmdir(directory);
	_exit(128 + number);
}

void npt_interrupt_setup(void)
{
	const struct sigaction action = { .sa_handler = on_signal };

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

void npt_interrupt_set_socket(const char *path, const char *directory)
{
	atomic_store(&socket_path, path);
	atomic_store(&socket_directory, directory);
}

void npt_interrupt_ask_first(void)
{
	atomic_store(&is_asking, true);
}

bool npt_interrupt_asked(void)
{
	return atomic_load(&was_asked);
}

void npt_interrupt_pause(uint64_t ms)
{
	uint64_t end_ns = npt_clock_monotonic_ns() + ms * NPT_NS_PER_MS;
	const struct timespec step = { .tv_nsec = 50 * (long)NPT_NS_PER_MS };

	/* In small steps: a signal between a look at the flag and the sleep is seen soon. */
	while (!npt_interrupt_asked() && npt_clock_monotonic_ns() < end_ns)
		(void)nanosleep(&step, NULL);
}
