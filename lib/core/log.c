/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line is built in a bounded buffer (a longer one is cut and says so) and written at once, so
 * that lines of several threads do not mix.
 */
#include "lib/core/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/core/buffer.h"
#include "lib/core/clock.h"

#define LINE_BYTES_MAX 8192

static struct {
	const char *program;
	enum npt_log_level level;
	bool json;
} log_state = { .program = "npt", .level = NPT_LOG_INFO };

static const char *const level_names[] = {
	[NPT_LOG_ERROR] = "error",
	[NPT_LOG_WARNING] = "warning",
	[NPT_LOG_INFO] = "info",
	[NPT_LOG_DEBUG] = "debug",
};

void npt_log_setup(const char *program, enum npt_log_level level, bool json)
{
	log_state.program = program;
	log_state.level = level;
	log_state.json = json;
}

int npt_log_options_parse(const char *level, const char *format, enum npt_log_level *level_ret,
			  struct npt_error *err)
{
	size_t i = 0;

	while (i < NPT_ARRAY_SIZE(level_names) && strcmp(level, level_names[i]) != 0)
		i++;
	if (i == NPT_ARRAY_SIZE(level_names))
		return npt_error_set(err, EINVAL,
				     "--log-level %s is not a level: error, warning, info or debug",
				     level);
	if (format && strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
		return npt_error_set(err, EINVAL, "--log-format %s is neither text nor json",
				     format);
	*level_ret = (enum npt_log_level)i;
	return 0;
}

bool npt_log_enabled(enum npt_log_level level)
{
	return level <= log_state.level;
}

static void append_quoted(struct npt_buffer *line, const char *value)
{
	(void)npt_buffer_append_text(line, "\"");
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (c == '"' || c == '\\')
			(void)npt_buffer_appendf(line, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			(void)npt_buffer_appendf(line, "\\u%04x", c);
		else
			(void)npt_buffer_append(line, value, 1);
	}
	(void)npt_buffer_append_text(line, "\"");
}

static void append_pair(struct npt_buffer *line, const char *key, const char *value)
{
	if (log_state.json) {
		(void)npt_buffer_append_text(line, ",");
		append_quoted(line, key);
		(void)npt_buffer_append_text(line, ":");
	} else {
		(void)npt_buffer_appendf(line, " %s=", key);
	}
	append_quoted(line, value);
}

static void append_head(struct npt_buffer *line, enum npt_log_level level, const char *event)
{
	char now[NPT_RFC3339_BYTES];

	npt_rfc3339_ms(npt_clock_unix_ms(), now);
	if (log_state.json) {
		(void)npt_buffer_appendf(line,
					 "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\"",
					 now, level_names[level], log_state.program);
		append_pair(line, "event", event);
	} else {
		(void)npt_buffer_appendf(line, "%s %s %s: %s", now, log_state.program,
					 level_names[level], event);
	}
}

void npt_log(enum npt_log_level level, const char *event, ...)
{
	npt_auto(npt_buffer_done) struct npt_buffer line = NPT_BUFFER(LINE_BYTES_MAX);
	const char *key;
	va_list args;

	if (!npt_log_enabled(level))
		return;
	append_head(&line, level, event);
	va_start(args, event);
	while ((key = va_arg(args, const char *))) {
		const char *value = va_arg(args, const char *);

		append_pair(&line, key, value ? value : "");
	}
	va_end(args);
	line.max_bytes += 8;
	(void)npt_buffer_append_text(&line, log_state.json ? "}\n" : "\n");
	if (write(STDERR_FILENO, line.data, line.size_bytes) < 0)
		return; /* nobody is left to tell */
}

const char *npt_log_u64(uint64_t value)
{
	static __thread char texts[8][24];
	static __thread unsigned int next;
	char *text = texts[next++ % 8];

	(void)snprintf(text, sizeof(texts[0]), "%llu", (unsigned long long)value);
	return text;
}
