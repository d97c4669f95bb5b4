/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection at a time, numbered: what another thread sends carries the number of the
 * connection that it saw, and is dropped if that one has ended meanwhile. The number is published
 * before on_open is called, so that whoever hears of the connection from there can send on it.
 *
 * The TLS context is ours, since libwebsockets would add the system's authorities; before each dial
 * its trust is replaced by what the CA file holds then.
 */
#include "lib/net/websocket.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <libwebsockets.h>

#include "lib/core/alloc.h"
#include "lib/core/backoff.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/core/queue.h"
#include "lib/net/lws_setup.h"
#include "lib/net/resolve.h"
#include "lib/net/tls.h"
#include "lib/net/url.h"

#define ADDRESSES_MAX   64
#define MESSAGES_MAX    4096
#define TOKEN_BYTES_MAX 16384
#define CONNECT_SECONDS 10
#define CLOSE_MS        500
#define NAME_RETRY_MS   5000 /* at most, while the name is unknown: the server has no part in it */
#define REASON_BYTES    256

struct message {
	uint64_t connection;
	size_t size_bytes;
	unsigned char data[]; /* LWS_PRE, then size_bytes */
};

struct npt_websocket {
	struct npt_websocket_options options; /* defaults filled in; strings are owned below */
	char *ca_file;
	char *token_file;
	struct npt_url url;
	struct lws_protocols protocols[2];
	lws_retry_bo_t idle;
	SSL_CTX *ssl;
	struct lws_context *context;
	pthread_t thread;
	bool started;
	atomic_bool stop;
	struct npt_queue *outgoing; /* of message, from any thread */
	atomic_size_t outgoing_bytes;
	atomic_uint_least64_t published; /* number of the open connection; 0: none */

	/* The thread's own: */
	struct lws *wsi;
	uint64_t connection; /* number of the open one, else 0 */
	uint64_t last_connection;
	bool dialing;
	bool closing;
	bool unresolved;       /* the last dial did not get past the name */
	bool refusing;         /* what comes is too large: nothing is read any more */
	unsigned int failures; /* since the last message from the server */
	char *token;
	struct npt_buffer incoming;
	char reason[REASON_BYTES];
	char addresses[ADDRESSES_MAX][NI_MAXHOST];
	size_t addresses_count; /* those not tried yet */
	lws_sorted_usec_list_t timer;
};

static void dial(struct npt_websocket *websocket);

static void dial_on_timer(lws_sorted_usec_list_t *timer)
{
	dial(lws_container_of(timer, struct npt_websocket, timer));
}

static void drop_outgoing(struct npt_websocket *websocket)
{
	struct message *message;

	while ((message = npt_queue_pop(websocket->outgoing))) {
		atomic_fetch_sub(&websocket->outgoing_bytes, message->size_bytes);
		free(message);
	}
}

/* The connection has ended, or could not be made. */
static void ended(struct npt_websocket *websocket, const char *reason)
{
	uint64_t delay_ms = 0, max_ms = websocket->options.retry_ms_max;

	if (websocket->unresolved && max_ms > NAME_RETRY_MS)
		max_ms = NAME_RETRY_MS;
	atomic_store(&websocket->published, 0);
	websocket->connection = 0;
	websocket->wsi = NULL;
	websocket->dialing = false;
	drop_outgoing(websocket);
	npt_buffer_done(&websocket->incoming);
	free(websocket->token);
	websocket->token = NULL;
	if (websocket->options.on_close)
		websocket->options.on_close(websocket->options.context, reason);
	if (atomic_load(&websocket->stop))
		return;
	if (websocket->failures > 0) /* the first time at once */
		delay_ms = npt_backoff_ms(websocket->failures, websocket->options.retry_ms_first,
					  max_ms);
	websocket->failures++;
	lws_sul_schedule(websocket->context, 0, &websocket->timer, dial_on_timer,
			 (lws_usec_t)(delay_ms * 1000 + 1));
}

static int read_token(struct npt_websocket *websocket, struct npt_error *err)
{
	npt_auto_fclose FILE *file = NULL;
	npt_auto_free char *token = npt_alloc(TOKEN_BYTES_MAX + 1, 1);
	size_t length;

	if (!websocket->token_file)
		return 0;
	file = fopen(websocket->token_file, "re");
	if (!file)
		return npt_error_set(err, errno, "cannot read the token %s: %s",
				     websocket->token_file, strerror(errno));
	length = fread(token, 1, TOKEN_BYTES_MAX + 1, file);
	while (length > 0 && (token[length - 1] == '\n' || token[length - 1] == '\r'))
		length--;
	if (length == 0 || length > TOKEN_BYTES_MAX)
		return npt_error_set(err, EINVAL, "the token %s is %s", websocket->token_file,
				     length == 0 ? "empty" : "too long");
	free(websocket->token);
	websocket->token = npt_format("Bearer %.*s", (int)length, token);
	return 0;
}

static int prepare(struct npt_websocket *websocket, struct npt_error *err)
{
	int r = read_token(websocket, err);

	websocket->unresolved = false;
	if (r == 0 && websocket->url.tls)
		r = npt_tls_trust_only(websocket->ssl, websocket->ca_file, err);
	if (r == 0 && websocket->addresses_count == 0) {
		r = npt_resolve(websocket->url.host, websocket->addresses, ADDRESSES_MAX,
				&websocket->addresses_count, err);
		websocket->unresolved = r < 0;
	}
	return r;
}

static void dial(struct npt_websocket *websocket)
{
	struct lws_client_connect_info info = { 0 };
	struct npt_error err = NPT_ERROR_NONE;
	npt_auto_free char *host = npt_format("%s:%u", websocket->url.host, websocket->url.port);

	if (prepare(websocket, &err) < 0) {
		ended(websocket, err.text);
		return;
	}
	info.context = websocket->context;
	info.address = websocket->addresses[--websocket->addresses_count];
	info.port = (int)websocket->url.port;
	info.path = websocket->url.path;
	info.host = host;
	info.origin = host;
	info.ssl_connection = websocket->url.tls ? LCCSCF_USE_SSL : 0;
	info.local_protocol_name = websocket->protocols[0].name;
	info.retry_and_idle_policy = &websocket->idle;
	info.alpn = "http/1.1";
	info.opaque_user_data = websocket;
	websocket->reason[0] = '\0';
	websocket->dialing = true;
	if (!lws_client_connect_via_info(&info) && websocket->dialing)
		ended(websocket, "cannot connect");
}

static int append_authorization(struct npt_websocket *websocket, struct lws *wsi, void *in,
				size_t length)
{
	unsigned char **at = in;

	if (!websocket->token)
		return 0;
	return -lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
					     (const unsigned char *)websocket->token,
					     (int)strlen(websocket->token), at, *at + length);
}

static int opened(struct npt_websocket *websocket, struct lws *wsi)
{
	websocket->dialing = false;
	websocket->wsi = wsi;
	websocket->connection = ++websocket->last_connection;
	websocket->refusing = false;
	npt_buffer_init(&websocket->incoming, websocket->options.max_frame_bytes);
	atomic_store(&websocket->published, websocket->connection);
	if (websocket->options.on_open)
		websocket->options.on_open(websocket->options.context);
	return 0;
}

static int received(struct npt_websocket *websocket, const char *data, size_t size_bytes)
{
	struct npt_buffer *incoming = &websocket->incoming;

	if (websocket->refusing)
		return 0;
	if (npt_buffer_append(incoming, data, size_bytes) < 0) {
		(void)snprintf(websocket->reason, sizeof(websocket->reason),
			       "the server sent a message of more than %zu bytes",
			       websocket->options.max_frame_bytes);
		websocket->refusing = true;
		(void)lws_callback_on_writable(websocket->wsi);
		return 0;
	}
	if (!lws_is_final_fragment(websocket->wsi))
		return 0;
	websocket->failures = 0;
	if (websocket->options.on_message)
		websocket->options.on_message(websocket->options.context, incoming->data,
					      incoming->size_bytes);
	npt_buffer_done(incoming);
	return 0;
}

static int writeable(struct npt_websocket *websocket)
{
	struct message *message;
	int written;

	/* Not from the receiving callback: libwebsockets 4.1 would write on behind its buffer. */
	if (websocket->refusing) {
		lws_close_reason(websocket->wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, NULL, 0);
		return -1;
	}
	message = npt_queue_pop(websocket->outgoing);
	if (!message) {
		if (websocket->closing)
			lws_close_reason(websocket->wsi, LWS_CLOSE_STATUS_GOINGAWAY, NULL, 0);
		return websocket->closing ? -1 : 0;
	}
	atomic_fetch_sub(&websocket->outgoing_bytes, message->size_bytes);
	written = (int)message->size_bytes;
	if (message->connection == websocket->connection)
		written = lws_write(websocket->wsi, message->data + LWS_PRE, message->size_bytes,
				    LWS_WRITE_TEXT);
	if (written < (int)message->size_bytes) {
		free(message);
		return -1;
	}
	free(message);
	(void)lws_callback_on_writable(websocket->wsi);
	return 0;
}

/* The code and the words of the server's close frame. */
static void peer_closes(struct npt_websocket *websocket, const unsigned char *in, size_t length)
{
	unsigned int code = length >= 2 ? (unsigned int)in[0] << 8 | in[1] : 1005;
	int text_length = length > 2 ? (int)(length - 2) : 0;

	(void)snprintf(websocket->reason, sizeof(websocket->reason),
		       "closed by the server: %u%s%.*s", code, text_length > 0 ? " " : "",
		       text_length, text_length > 0 ? (const char *)in + 2 : "");
}

static void dial_failed(struct npt_websocket *websocket, struct lws *wsi, const char *text)
{
	unsigned int status = lws_http_client_http_response(wsi);
	const SSL *ssl = lws_get_ssl(wsi);
	npt_auto_free char *reason = NULL;

	if (!websocket->dialing)
		return;
	if (ssl && SSL_get_verify_result(ssl) != X509_V_OK)
		reason = npt_format("its certificate is not trusted: %s",
				    X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	else if (status >= 200)
		reason = npt_format("the server answered %u", status);
	else
		reason = npt_format("cannot connect: %s", text ? text : "no reason given");
	ended(websocket, reason);
}

static void woken(struct npt_websocket *websocket)
{
	if (!websocket->wsi)
		return;
	websocket->closing |= atomic_load(&websocket->stop);
	(void)lws_callback_on_writable(websocket->wsi);
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t length)
{
	struct npt_websocket *websocket = lws_context_user(lws_get_context(wsi));

	(void)user;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum" /* libwebsockets has a hundred reasons */
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_authorization(websocket, wsi, in, length);
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		return opened(websocket, wsi);
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return received(websocket, in, length);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return writeable(websocket);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		peer_closes(websocket, in, length);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		dial_failed(websocket, wsi, in);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		if (websocket->wsi == wsi)
			ended(websocket,
			      websocket->reason[0] ? websocket->reason : "the connection was lost");
		return 0;
	case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
		woken(websocket);
		return 0;
	default:
		return 0;
	}
#pragma GCC diagnostic pop
}

static void *run(void *argument)
{
	struct npt_websocket *websocket = argument;
	uint64_t deadline = UINT64_MAX;

	dial(websocket);
	while (npt_clock_monotonic_ns() < deadline) {
		if (lws_service(websocket->context, 0) < 0)
			break;
		if (!atomic_load(&websocket->stop))
			continue;
		if (!websocket->wsi)
			break;
		if (deadline == UINT64_MAX) {
			deadline = npt_clock_monotonic_ns() + CLOSE_MS * NPT_NS_PER_MS;
			woken(websocket);
			lws_set_timeout(websocket->wsi, PENDING_TIMEOUT_USER_OK, 1);
		}
	}
	lws_sul_schedule(websocket->context, 0, &websocket->timer, NULL, LWS_SET_TIMER_USEC_CANCEL);
	return NULL;
}

static int check_options(const struct npt_websocket_options *options, struct npt_url *url_ret,
			 struct npt_error *err)
{
	int r = npt_url_parse(options->url, "ws", url_ret, err);

	if (r < 0)
		return r;
	if (!url_ret->tls && !npt_url_is_loopback(url_ret))
		return npt_error_set(err, EINVAL,
				     "%s: only a loopback address may be dialled "
				     "without TLS",
				     options->url);
	if (url_ret->tls && !options->ca_file)
		return npt_error_set(err, EINVAL, "%s: a CA file is needed", options->url);
	return 0;
}

static struct npt_websocket *websocket_new(const struct npt_websocket_options *options,
					   const struct npt_url *url)
{
	struct npt_websocket *websocket = npt_alloc(1, sizeof(*websocket));
	struct npt_websocket_options *own = &websocket->options;

	*own = *options;
	own->max_queued_bytes = own->max_queued_bytes ? own->max_queued_bytes : 4194304;
	own->retry_ms_first = own->retry_ms_first ? own->retry_ms_first : 1000;
	own->retry_ms_max = own->retry_ms_max ? own->retry_ms_max : 30000;
	websocket->url = *url;
	if (options->ca_file)
		websocket->ca_file = npt_strdup(options->ca_file);
	if (options->token_file)
		websocket->token_file = npt_strdup(options->token_file);
	websocket->outgoing = npt_queue_new(MESSAGES_MAX, free);
	websocket->protocols[0] = (struct lws_protocols){ .name = "npt", .callback = callback };
	websocket->idle = (lws_retry_bo_t){
		.secs_since_valid_ping = (uint16_t)(own->ping_seconds ? own->ping_seconds : 10),
		.secs_since_valid_hangup = (uint16_t)(own->dead_seconds ? own->dead_seconds : 30),
	};
	return websocket;
}

static int make_context(struct npt_websocket *websocket, struct npt_error *err)
{
	struct lws_context_creation_info info = { 0 };

	websocket->ssl = SSL_CTX_new(TLS_client_method());
	if (!websocket->ssl)
		return npt_error_set(err, ENOMEM, "cannot set up OpenSSL");
	npt_tls_limit(websocket->ssl);
	info.port = CONTEXT_PORT_NO_LISTEN;
	info.protocols = websocket->protocols;
	info.user = websocket;
	info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
		       LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS | LWS_SERVER_OPTION_VALIDATE_UTF8 |
		       LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES;
	info.provided_client_ssl_ctx = websocket->ssl;
	info.timeout_secs = CONNECT_SECONDS;
	info.connect_timeout_secs = CONNECT_SECONDS;
	info.max_http_header_data2 = TOKEN_BYTES_MAX + 4096;
	info.pt_serv_buf_size = TOKEN_BYTES_MAX + 8192; /* the request's headers are made there */
	info.retry_and_idle_policy = &websocket->idle;
	npt_lws_log_setup();
	npt_lws_limit_files(256);
	websocket->context = lws_create_context(&info);
	if (!websocket->context)
		return npt_error_set(err, ENOMEM, "cannot set up libwebsockets");
	return 0;
}

int npt_websocket_start(const struct npt_websocket_options *options,
			struct npt_websocket **websocket_ret, struct npt_error *err)
{
	npt_auto(npt_websocket_free) struct npt_websocket *websocket = NULL;
	struct npt_url url;
	int r = check_options(options, &url, err);

	if (r < 0)
		return r;
	websocket = websocket_new(options, &url);
	r = make_context(websocket, err);
	if (r < 0)
		return r;
	r = pthread_create(&websocket->thread, NULL, run, websocket);
	if (r != 0)
		return npt_error_set(err, r, "cannot start a thread: %s", strerror(r));
	websocket->started = true;
	*websocket_ret = npt_take(websocket);
	return 0;
}

void npt_websocket_free(struct npt_websocket *websocket)
{
	if (!websocket)
		return;
	atomic_store(&websocket->stop, true);
	if (websocket->started) {
		lws_cancel_service(websocket->context);
		(void)pthread_join(websocket->thread, NULL);
	}
	if (websocket->context)
		lws_context_destroy(websocket->context);
	SSL_CTX_free(websocket->ssl);
	drop_outgoing(websocket);
	npt_queue_free(websocket->outgoing);
	npt_buffer_done(&websocket->incoming);
	free(websocket->token);
	free(websocket->ca_file);
	free(websocket->token_file);
	free(websocket);
}

int npt_websocket_send(struct npt_websocket *websocket, const char *data, size_t size_bytes)
{
	uint64_t connection = atomic_load(&websocket->published);
	struct message *message;

	if (pthread_equal(pthread_self(), websocket->thread))
		connection = websocket->connection;
	if (connection == 0)
		return -ENOTCONN;
	if (atomic_fetch_add(&websocket->outgoing_bytes, size_bytes) + size_bytes >
	    websocket->options.max_queued_bytes) {
		atomic_fetch_sub(&websocket->outgoing_bytes, size_bytes);
		return -ENOSPC;
	}
	message = npt_alloc(1, sizeof(*message) + LWS_PRE + size_bytes);
	message->connection = connection;
	message->size_bytes = size_bytes;
	memcpy(message->data + LWS_PRE, data, size_bytes);
	if (npt_queue_push(websocket->outgoing, message) < 0) {
		atomic_fetch_sub(&websocket->outgoing_bytes, size_bytes);
		free(message);
		return -ENOSPC;
	}
	lws_cancel_service(websocket->context);
	return 0;
}
