/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process-wide settings: idempotent, so that the order of server and client does not matter.
 */
#include "lib/net/lws_setup.h"

#include <pthread.h>
#include <string.h>
#include <sys/resource.h>

#include <libwebsockets.h>

#include "lib/core/log.h"

#define FILES_MAX 65536

static void emit(int level, const char *line)
{
	char text[256];
	size_t length = strcspn(line, "\n");

	(void)level;
	if (length >= sizeof(text))
		length = sizeof(text) - 1;
	memcpy(text, line, length);
	text[length] = '\0';
	npt_log_debug("libwebsockets", "message", text);
}

static void set_log(void)
{
	lws_set_log_level(LLL_ERR | LLL_WARN, emit);
}

void npt_lws_log_setup(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, set_log);
}

void npt_lws_limit_files(size_t needed)
{
	struct rlimit limit;
	rlim_t wanted;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	wanted = limit.rlim_cur;
	if (wanted < needed)
		wanted = needed;
	else if (wanted > FILES_MAX)
		wanted = needed > FILES_MAX ? needed : FILES_MAX;
	if (wanted > limit.rlim_max)
		wanted = limit.rlim_max;
	if (wanted == limit.rlim_cur)
		return;
	limit.rlim_cur = wanted;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}
