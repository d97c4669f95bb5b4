/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A SELECT's answer is held back by the server until it is complete (wait_end_of_query), so that an
 * error on the way is a status and not a tail of text behind rows.
 *
 * What went wrong is told by the number in "Code: 60, ..." of the answer; its HTTP status differs
 * between versions.
 */
#include "aggregator/store/clickhouse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/parse.h"
#include "lib/net/http_client.h"
#include "lib/net/url.h"

#define STATEMENT_TIMEOUT_MS 10000
#define SELECT_SECONDS       20
#define PAUSE_NS             NPT_NS_PER_SECOND
#define SELECT_BYTES_MAX     (1024UL * 1024 * 1024)
#define PENDING_BYTES_MAX    (8UL * 1024 * 1024) /* bytes of rows that are not whole yet */
#define PASSWORD_BYTES_MAX   4096

struct npt_clickhouse_server {
	char *base; /* http://HOST:PORT */
	char *name;
	char *user; /* NULL: the server's default user */
	char *database;
	char *password_file;
	char *ca_file;
	bool allow_plain_http;
	atomic_uint_least64_t asked_again_ns; /* monotonic; nobody asks before */
	atomic_bool silent;                   /* said once, until it answers again */
	atomic_bool refusing;                 /* the same of what is read */
};

struct npt_clickhouse {
	struct npt_clickhouse_server *server;
	struct npt_http_client *http;
};

/* ---- the server ---- */

/* Takes USER@ out of the URL, since it is no part of the address. */
static int split_user(const char *url, char **user_ret, char **rest_ret, struct npt_error *err)
{
	const char *host = strstr(url, "://"), *at;
	npt_auto_free char *user = NULL;

	if (!host)
		return npt_error_set(err, EINVAL, "bad URL '%.200s': unknown scheme", url);
	host += 3;
	at = host + strcspn(host, "@/?");
	if (*at != '@') {
		*rest_ret = npt_strdup(url);
		return 0;
	}
	user = npt_strndup(host, (size_t)(at - host));
	if (!user[0] || strchr(user, ':'))
		return npt_error_set(err, EINVAL,
				     "the store's URL holds %s before the '@': the password "
				     "belongs into a file, see --store-password-file",
				     user[0] ? "a password" : "no user");
	*rest_ret = npt_format("%.*s%s", (int)(host - url), url, at + 1);
	*user_ret = npt_take(user);
	return 0;
}

static int check_database(const char *name, struct npt_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_";
	size_t length = strlen(name);

	if (length > 0 && length < 64 && strspn(name, allowed) == length)
		return 0;
	return npt_error_set(
		err, EINVAL,
		"the store's URL ends in no database: http(s)://USER@HOST:PORT/DATABASE"
		", of letters, digits and '_'");
}

static int set_address(struct npt_clickhouse_server *server, const char *text,
		       struct npt_error *err)
{
	npt_auto_free char *rest = NULL;
	struct npt_url url;
	bool brackets;
	int r = split_user(text, &server->user, &rest, err);

	if (r == 0)
		r = npt_url_parse(rest, "http", &url, err);
	if (r == 0)
		r = check_database(url.path + 1, err);
	if (r < 0)
		return r;
	if (!url.tls && !server->allow_plain_http && !npt_url_is_loopback(&url))
		return npt_error_set(err, EINVAL,
				     "the store's URL is plain http to another host: use https, or "
				     "say --store-plain-http");
	if (url.tls && !server->ca_file)
		return npt_error_set(err, EINVAL, "a store by https needs --store-ca FILE");
	brackets = strchr(url.host, ':') != NULL;
	server->base = npt_format("http%s://%s%s%s:%u", url.tls ? "s" : "", brackets ? "[" : "",
				  url.host, brackets ? "]" : "", url.port);
	server->database = npt_strdup(url.path + 1);
	server->name = npt_format("%s/%s", server->base, server->database);
	return 0;
}

int npt_clickhouse_server_new(const struct npt_clickhouse_options *options,
			      struct npt_clickhouse_server **server_ret, struct npt_error *err)
{
	npt_auto(npt_clickhouse_server_free) struct npt_clickhouse_server *server =
		npt_alloc(1, sizeof(*server));
	int r;

	server->allow_plain_http = options->allow_plain_http;
	if (options->password_file)
		server->password_file = npt_strdup(options->password_file);
	if (options->ca_file)
		server->ca_file = npt_strdup(options->ca_file);
	r = set_address(server, options->url, err);
	if (r < 0)
		return r;
	*server_ret = npt_take(server);
	return 0;
}

void npt_clickhouse_server_free(struct npt_clickhouse_server *server)
{
	if (!server)
		return;
	free(server->base);
	free(server->name);
	free(server->user);
	free(server->database);
	free(server->password_file);
	free(server->ca_file);
	free(server);
}

const char *npt_clickhouse_database(const struct npt_clickhouse_server *server)
{
	return server->database;
}

const char *npt_clickhouse_name(const struct npt_clickhouse_server *server)
{
	return server->name;
}

int npt_clickhouse_connect(struct npt_clickhouse_server *server,
			   struct npt_clickhouse **connection_ret, struct npt_error *err)
{
	struct npt_http_client_options options = { .ca_file = server->ca_file,
						   .plain_anywhere = server->allow_plain_http };
	npt_auto(npt_clickhouse_free) struct npt_clickhouse *connection =
		npt_alloc(1, sizeof(*connection));
	int r = npt_http_client_new(&options, &connection->http, err);

	if (r < 0)
		return r;
	connection->server = server;
	*connection_ret = npt_take(connection);
	return 0;
}

void npt_clickhouse_free(struct npt_clickhouse *connection)
{
	if (!connection)
		return;
	npt_http_client_free(connection->http);
	free(connection);
}

/* ---- errors ---- */

/* ErrorCodes of ClickHouse that mean something to us. */
static int meaning_of(uint64_t code)
{
	static const struct {
		uint64_t code;
		int meaning;
	} table[] = {
		{ 60, ENOENT },  /* UNKNOWN_TABLE */
		{ 81, ENOENT },  /* UNKNOWN_DATABASE */
		{ 192, EACCES }, /* UNKNOWN_USER */
		{ 193, EACCES }, /* WRONG_PASSWORD */
		{ 194, EACCES }, /* REQUIRED_PASSWORD */
		{ 291, EACCES }, /* DATABASE_ACCESS_DENIED */
		{ 497, EACCES }, /* ACCESS_DENIED */
		{ 516, EACCES }, /* AUTHENTICATION_FAILED */
		{ 243, ENOSPC }, /* NOT_ENOUGH_SPACE */
		{ 159, EAGAIN }, /* TIMEOUT_EXCEEDED */
		{ 160, EAGAIN }, /* TOO_SLOW */
		{ 202, EAGAIN }, /* TOO_MANY_SIMULTANEOUS_QUERIES */
		{ 209, EAGAIN }, /* SOCKET_TIMEOUT */
		{ 210, EAGAIN }, /* NETWORK_ERROR */
		{ 236, EAGAIN }, /* ABORTED */
		{ 241, EAGAIN }, /* MEMORY_LIMIT_EXCEEDED */
		{ 242, EAGAIN }, /* TABLE_IS_READ_ONLY */
		{ 252, EAGAIN }, /* TOO_MANY_PARTS */
		{ 279, EAGAIN }, /* ALL_CONNECTION_TRIES_FAILED */
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(table); i++) {
		if (table[i].code == code)
			return table[i].meaning;
	}
	return EIO;
}

/* "Code: 60, e.displayText() = ...": 60; 0 if it says no such thing, as a proxy's answer. */
static uint64_t code_in(const char *body)
{
	static const char begin[] = "Code: ";
	npt_auto_free char *digits = NULL;
	uint64_t code = 0;

	if (strncmp(body, begin, sizeof(begin) - 1) != 0)
		return 0;
	body += sizeof(begin) - 1;
	digits = npt_strndup(body, strspn(body, "0123456789"));
	(void)npt_parse_u64(digits, 0, 100000, &code);
	return code;
}

static int refused(const struct npt_clickhouse *connection,
		   const struct npt_http_response *response, struct npt_error *err)
{
	const char *body = response->body ? response->body : "";
	uint64_t code = code_in(body);
	int meaning = meaning_of(code);

	if (code == 0)
		meaning = response->status == 401 || response->status == 403 ? EACCES : EAGAIN;
	return npt_error_set(err, meaning, "ClickHouse at %s answers %u: %.*s",
			     connection->server->name, response->status,
			     (int)strcspn(body, "\n") < 300 ? (int)strcspn(body, "\n") : 300, body);
}

/* The address is in our sentence; libcurl's reason stands behind the address in its own. */
static int unanswered(const struct npt_clickhouse *connection, const char *url, int r,
		      const struct npt_error *cause, struct npt_error *err)
{
	size_t length = strnlen(url, 200);
	const char *reason = cause->text;

	if (strncmp(reason, url, length) == 0 && strncmp(reason + length, ": ", 2) == 0)
		reason += length + 2;
	if (r != -ECONNREFUSED && r != -ECONNRESET && r != -ETIMEDOUT && r != -EIO)
		return npt_error_set(err, r == -ECANCELED ? ECANCELED : EBADMSG,
				     "ClickHouse at %s: %s", connection->server->name, reason);
	return npt_error_set(err, EAGAIN, "ClickHouse at %s does not answer: %s",
			     connection->server->name, reason);
}

static void note_silence(struct npt_clickhouse_server *server, const struct npt_error *err)
{
	atomic_store(&server->asked_again_ns, npt_clock_monotonic_ns() + PAUSE_NS);
	if (!atomic_exchange(&server->silent, true))
		npt_log_error("the store does not answer", "error", err->text);
}

static void note_answer(struct npt_clickhouse_server *server)
{
	if (atomic_load(&server->silent) && atomic_exchange(&server->silent, false))
		npt_log_info("the store answers again", "store", server->name);
}

/* ---- statements ---- */

/* The first line of the file. */
static int read_password(const struct npt_clickhouse_server *server, char **password_ret,
			 struct npt_error *err)
{
	char text[PASSWORD_BYTES_MAX];
	npt_auto_close int fd = -1;
	ssize_t size;

	if (!server->password_file)
		return 0;
	fd = open(server->password_file, O_RDONLY | O_CLOEXEC);
	size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (size < 0)
		return npt_error_set(err, EACCES, "cannot read the store's password file %s: %s",
				     server->password_file, strerror(errno));
	text[size] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	*password_ret = npt_strdup(text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

static int ask(struct npt_clickhouse *connection, struct npt_http_request *request,
	       struct npt_http_response *response_ret, struct npt_error *err)
{
	struct npt_clickhouse_server *server = connection->server;
	npt_auto_free char *password = NULL;
	struct npt_error cause = NPT_ERROR_NONE, said = NPT_ERROR_NONE;
	int r = read_password(server, &password, err);

	if (r < 0)
		return r;
	if (npt_clock_monotonic_ns() < atomic_load(&server->asked_again_ns))
		return npt_error_set(err, EAGAIN, "ClickHouse at %s does not answer", server->name);
	request->method = "POST";
	request->user = server->user;
	request->password = password;
	r = npt_http_perform(connection->http, request, response_ret, &cause);
	if (password)
		explicit_bzero(password, strlen(password));
	if (r < 0) {
		r = unanswered(connection, request->url, r, &cause, &said);
		if (r == -EAGAIN)
			note_silence(server, &said);
		return npt_error_set(err, -r, "%s", said.text);
	}
	note_answer(server);
	return 0;
}

static int finish(const struct npt_clickhouse *connection, const struct npt_http_response *response,
		  struct npt_error *err)
{
	return response->status == 200 ? 0 : refused(connection, response, err);
}

/* Whoever writes says for himself that he could not. */
static void note_reading(struct npt_clickhouse_server *server, int r, const struct npt_error *err)
{
	if (r == 0 && atomic_load(&server->refusing) && atomic_exchange(&server->refusing, false))
		npt_log_info("the store is read again", "store", server->name);
	if (r < 0 && r != -ENOENT && !atomic_exchange(&server->refusing, true))
		npt_log_error("the store cannot be read", "error", err->text);
}

int npt_clickhouse_run(struct npt_clickhouse *connection, const char *sql, bool in_database,
		       struct npt_error *err)
{
	const struct npt_clickhouse_server *server = connection->server;
	npt_auto(npt_http_response_done) struct npt_http_response response = { .status = 0 };
	npt_auto_free char *url =
		npt_format("%s/?%s%s", server->base, in_database ? "database=" : "",
			   in_database ? server->database : "");
	struct npt_http_request request = { .url = url,
					    .body = sql,
					    .body_bytes = strlen(sql),
					    .timeout_ms = STATEMENT_TIMEOUT_MS };
	int r = ask(connection, &request, &response, err);

	return r < 0 ? r : finish(connection, &response, err);
}

int npt_clickhouse_insert(struct npt_clickhouse *connection, const char *sql, const char *settings,
			  const struct npt_buffer *rows, struct npt_error *err)
{
	const struct npt_clickhouse_server *server = connection->server;
	npt_auto(npt_http_response_done) struct npt_http_response response = { .status = 0 };
	npt_auto_free char *query = npt_http_escape(sql);
	npt_auto_free char *url = npt_format("%s/?database=%s%s&query=%s", server->base,
					     server->database, settings, query);
	struct npt_http_request request = { .url = url,
					    .content_type = "application/octet-stream",
					    .body = rows->data,
					    .body_bytes = rows->size_bytes,
					    .timeout_ms = STATEMENT_TIMEOUT_MS };
	int r = ask(connection, &request, &response, err);

	return r < 0 ? r : finish(connection, &response, err);
}

struct reading {
	const struct npt_clickhouse_query *query;
	struct npt_buffer pending;
	struct npt_error *err;
	bool enough;
	int failed;
};

/* As many whole rows as there are; what is left waits for more. */
static int take_rows(struct reading *reading, size_t *used)
{
	const struct npt_clickhouse_query *query = reading->query;
	struct npt_rowbinary_value values[NPT_ROWBINARY_COLUMNS_MAX];

	for (;;) {
		size_t size = 0;
		int r = npt_rowbinary_row(query->types, reading->pending.data + *used,
					  reading->pending.size_bytes - *used, values, &size);

		if (r == -EAGAIN || reading->pending.size_bytes == *used)
			return 0;
		if (r < 0)
			return npt_error_set(reading->err, EBADMSG,
					     "ClickHouse's answer is not of the columns asked for");
		*used += size;
		r = query->on_row(query->context, values, reading->err);
		if (r != 0) {
			reading->enough = r > 0;
			return r;
		}
	}
}

static int on_data(void *context, const char *data, size_t size_bytes)
{
	struct reading *reading = context;
	struct npt_buffer *pending = &reading->pending;
	size_t used = 0;
	int r = npt_buffer_append(pending, data, size_bytes);

	if (r == 0)
		r = take_rows(reading, &used);
	else
		r = npt_error_set(reading->err, EBADMSG, "a row of ClickHouse's is too large");
	if (r != 0) {
		reading->failed = r;
		return -ECANCELED;
	}
	memmove(pending->data, pending->data + used, pending->size_bytes - used);
	pending->size_bytes -= used;
	return 0;
}

int npt_clickhouse_select(struct npt_clickhouse *connection,
			  const struct npt_clickhouse_query *query, struct npt_error *err)
{
	const struct npt_clickhouse_server *server = connection->server;
	npt_auto(npt_http_response_done) struct npt_http_response response = { .status = 0 };
	npt_auto_free char *sql = npt_format("%s FORMAT RowBinary", query->sql);
	unsigned int seconds = query->seconds ? query->seconds : SELECT_SECONDS;
	/* The server gives up before we do, and says so. */
	npt_auto_free char *url =
		npt_format("%s/?database=%s&wait_end_of_query=1&max_execution_time=%u",
			   server->base, server->database, seconds - 1);
	struct reading reading = { .query = query,
				   .pending = NPT_BUFFER(PENDING_BYTES_MAX),
				   .err = err };
	struct npt_http_request request = { .url = url,
					    .body = sql,
					    .body_bytes = strlen(sql),
					    .timeout_ms = seconds * 1000UL,
					    .max_response_bytes = SELECT_BYTES_MAX,
					    .on_data = on_data,
					    .context = &reading };
	struct npt_error ended = NPT_ERROR_NONE;
	size_t left;
	int r = ask(connection, &request, &response, &ended);

	left = reading.pending.size_bytes;
	npt_buffer_done(&reading.pending);
	if (reading.enough)
		return 0;
	if (reading.failed < 0)
		return reading.failed;
	if (r == 0) {
		r = finish(connection, &response, &ended);
		note_reading(connection->server, r, &ended);
	}
	if (r == 0 && left > 0)
		r = npt_error_set(&ended, EBADMSG, "ClickHouse's answer ends within a row");
	if (r < 0)
		return npt_error_set(err, -r, "%s", ended.text);
	return 0;
}

void npt_clickhouse_quote(struct npt_buffer *sql, const char *text)
{
	(void)npt_buffer_append_text(sql, "'");
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			(void)npt_buffer_append_text(sql, "\\");
		(void)npt_buffer_append(sql, text, 1);
	}
	(void)npt_buffer_append_text(sql, "'");
}
