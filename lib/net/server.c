/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of the server: options, context, thread, certificates, stop.
 *
 * libwebsockets may be called from one thread only, but for lws_cancel_service(). So other threads
 * put what they want into two queues and wake the loop, which empties them in the one callback
 * that a wake-up leads to. The context outlives the thread, so that a late wake-up hits nothing.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"
#include "lib/net/lws_setup.h"
#include "lib/net/server_private.h"

#define HEADER_BYTES_MAX    16384
#define HEADER_POOL_MAX     1024
#define RELOAD_MICROS       (2 * LWS_US_PER_SEC)
#define KEEP_ALIVE_SECONDS  60
#define COMMANDS_PER_SOCKET 4
#define FLUSH_MS            100 /* for the last answers and close frames */

void npt_server_wake(struct npt_server *server)
{
	lws_cancel_service(server->context);
}

struct npt_connection *npt_connection_of(struct lws *wsi)
{
	return wsi ? lws_get_opaque_user_data(wsi) : NULL;
}

char *npt_connection_header(struct npt_connection *connection, enum lws_token_indexes token)
{
	int length = lws_hdr_total_length(connection->wsi, token);
	npt_auto_free char *value = NULL;

	if (length < 0 || length >= HEADER_BYTES_MAX)
		return NULL;
	value = npt_alloc((size_t)length + 2, 1);
	if (length > 0 && lws_hdr_copy(connection->wsi, value, length + 1, token) < 0)
		return NULL;
	return npt_take(value);
}

static int accept_filter(struct npt_server *server)
{
	uint64_t open = atomic_load(&server->stats.connections);

	if (server->draining || open >= server->options.max_connections) {
		atomic_fetch_add(&server->stats.refused_connections, 1);
		return 1;
	}
	return 0;
}

static int connection_begin(struct npt_server *server, struct lws *wsi)
{
	struct npt_connection *connection = npt_alloc(1, sizeof(*connection));

	connection->server = server;
	connection->wsi = wsi;
	(void)lws_get_peer_simple(wsi, connection->client, sizeof(connection->client));
	lws_set_opaque_user_data(wsi, connection);
	LIST_INSERT_HEAD(&server->connections, connection, entry);
	atomic_fetch_add(&server->stats.connections, 1);
	return 0;
}

static void connection_end(struct npt_connection *connection)
{
	npt_exchange_connection_gone(connection);
	npt_socket_connection_gone(connection);
	lws_set_opaque_user_data(connection->wsi, NULL);
	LIST_REMOVE(connection, entry);
	atomic_fetch_sub(&connection->server->stats.connections, 1);
	npt_connection_opening_done(connection);
	free(connection);
}

static void take_from_queues(struct npt_server *server)
{
	struct npt_exchange *exchange;
	struct npt_command *command;

	while ((exchange = npt_queue_pop(server->answered)))
		npt_exchange_answered(exchange);
	while ((command = npt_queue_pop(server->commands)))
		npt_socket_command(server, command);
	if (atomic_load(&server->drain) && !server->draining) {
		server->draining = true;
		npt_socket_close_all(server);
	}
}

static void reload_certificate(lws_sorted_usec_list_t *timer)
{
	struct npt_server *server = lws_container_of(timer, struct npt_server, reload_timer);
	struct npt_tls_stamp stamp;

	npt_tls_stamp(server->cert_file, server->key_file, &stamp);
	if (server->ssl && !npt_tls_stamp_same(&stamp, &server->stamp)) {
		if (npt_tls_use_pair(server->ssl, server->cert_file, server->key_file, NULL) == 0)
			atomic_fetch_add(&server->stats.certificate_reloads, 1);
		else
			atomic_fetch_add(&server->stats.certificate_failures, 1);
		server->stamp = stamp;
	}
	lws_sul_schedule(server->context, 0, timer, reload_certificate, RELOAD_MICROS);
}

static int connection_callback(struct npt_connection *connection, enum lws_callback_reasons reason,
			       void *in, size_t length)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wswitch-enum" /* libwebsockets has a hundred reasons */
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		return npt_exchange_begin(connection, in, length);
	case LWS_CALLBACK_HTTP_BODY:
		return npt_exchange_body(connection, in, length);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return npt_exchange_complete(connection);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return npt_exchange_writeable(connection);
	case LWS_CALLBACK_CLOSED_HTTP:
		npt_exchange_connection_gone(connection);
		return 0;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return npt_socket_check_upgrade(connection, in);
	case LWS_CALLBACK_ESTABLISHED:
		return npt_socket_opened(connection);
	case LWS_CALLBACK_RECEIVE:
		return npt_socket_received(connection, in, length);
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return npt_socket_writeable(connection);
	case LWS_CALLBACK_TIMER:
		return npt_socket_timer(connection);
	case LWS_CALLBACK_CLOSED:
		npt_socket_connection_gone(connection);
		return 0;
	case LWS_CALLBACK_RAW_CONNECTED: /* the CONNECT method leads here */
	case LWS_CALLBACK_RAW_ADOPT:
	case LWS_CALLBACK_RAW_RX:
		return -1;
	case LWS_CALLBACK_WSI_DESTROY:
		connection_end(connection);
		return 0;
	default:
		return 0;
	}
#pragma GCC diagnostic pop
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		    size_t length)
{
	struct npt_server *server = lws_context_user(lws_get_context(wsi));
	struct npt_connection *connection;

	if (reason == LWS_CALLBACK_FILTER_NETWORK_CONNECTION)
		return accept_filter(server);
	if (reason == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED)
		return connection_begin(server, wsi);
	if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
		take_from_queues(server);
		return 0;
	}
	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
		server->ssl = user;
		npt_tls_limit(server->ssl);
		return 0;
	}
	connection = npt_connection_of(wsi);
	return connection ? connection_callback(connection, reason, in, length) : 0;
}

/* "ADDRESS:PORT" into iface (NULL: all addresses) and port. */
static int parse_listen(struct npt_server *server, const char *listen, struct npt_error *err)
{
	const char *colon = strrchr(listen, ':');
	size_t length = colon ? (size_t)(colon - listen) : 0;
	uint64_t port;

	if (!colon || npt_parse_u64(colon + 1, 0, 65535, &port) < 0)
		return npt_error_set(err, EINVAL,
				     "cannot listen on '%s': say ADDRESS:PORT or :PORT", listen);
	if (length >= 2 && listen[0] == '[' && colon[-1] == ']')
		server->iface = npt_strndup(listen + 1, length - 2);
	else if (length > 0)
		server->iface = npt_strndup(listen, length);
	server->port = (unsigned int)port;
	return 0;
}

static bool is_loopback(const char *address)
{
	struct in6_addr six;
	struct in_addr four;

	if (!address)
		return false;
	if (inet_pton(AF_INET, address, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static int check_options(struct npt_server *server, struct npt_error *err)
{
	const struct npt_server_options *options = &server->options;
	int r = parse_listen(server, options->listen, err);
	unsigned char address[16];

	if (r < 0)
		return r;
	if (server->iface && inet_pton(AF_INET, server->iface, address) != 1 &&
	    inet_pton(AF_INET6, server->iface, address) != 1)
		return npt_error_set(err, EINVAL, "cannot listen on '%s': not an IP address",
				     options->listen);
	if (!options->tls_cert != !options->tls_key)
		return npt_error_set(err, EINVAL,
				     "a certificate needs its key, and a key its "
				     "certificate");
	if (options->loopback_only && !is_loopback(server->iface))
		return npt_error_set(err, EINVAL,
				     "cannot listen on '%s': what everybody may read is served on "
				     "a loopback address only",
				     options->listen);
	if (options->tls_cert)
		return npt_tls_check_pair(options->tls_cert, options->tls_key, err);
	if (!options->plain_anywhere && !is_loopback(server->iface))
		return npt_error_set(err, EINVAL,
				     "plain HTTP is for loopback addresses only, not for '%s': "
				     "give a certificate and its key",
				     options->listen);
	return 0;
}

static void fill_defaults(struct npt_server_options *options)
{
	if (options->max_connections == 0)
		options->max_connections = 1024;
	if (options->max_requests == 0)
		options->max_requests = 256;
	if (options->max_bodies_bytes == 0)
		options->max_bodies_bytes = 64UL * 1024 * 1024;
	if (options->ping_seconds == 0)
		options->ping_seconds = 10;
	if (options->dead_seconds == 0)
		options->dead_seconds = 30;
	if (options->header_seconds == 0)
		options->header_seconds = 20;
}

static void free_exchange(void *item)
{
	npt_exchange_free(item);
}

static struct npt_server *server_new(const struct npt_server_options *options)
{
	struct npt_server *server = npt_alloc(1, sizeof(*server));
	size_t max;

	server->options = *options;
	fill_defaults(&server->options);
	max = server->options.max_connections;
	if (options->tls_cert)
		server->cert_file = npt_strdup(options->tls_cert);
	if (options->tls_key)
		server->key_file = npt_strdup(options->tls_key);
	server->answered = npt_queue_new(server->options.max_requests, free_exchange);
	server->commands = npt_queue_new(max * COMMANDS_PER_SOCKET + 256, free);
	server->sockets = npt_alloc(max, sizeof(*server->sockets));
	server->queued_by_slot = npt_alloc(max, sizeof(*server->queued_by_slot));
	server->free_slots = npt_alloc(max, sizeof(*server->free_slots));
	for (size_t i = 0; i < max; i++)
		server->free_slots[server->free_slots_count++] = (uint32_t)(max - 1 - i);
	server->next_generation = 1;
	server->protocols[0] = (struct lws_protocols){ .name = "npt", .callback = callback };
	server->idle = (lws_retry_bo_t){
		.secs_since_valid_ping = (uint16_t)server->options.ping_seconds,
		.secs_since_valid_hangup = (uint16_t)server->options.dead_seconds,
	};
	return server;
}

static void fill_info(const struct npt_server *server, struct lws_context_creation_info *info)
{
	size_t max = server->options.max_connections;

	info->port = (int)server->port;
	info->iface = server->iface;
	info->protocols = server->protocols;
	info->user = (void *)(uintptr_t)server;
	info->options = LWS_SERVER_OPTION_FAIL_UPON_UNABLE_TO_BIND |
			LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_VALIDATE_UTF8 |
			LWS_SERVER_OPTION_NO_LWS_SYSTEM_STATES;
	if (server->iface && !strchr(server->iface, ':'))
		info->options |= LWS_SERVER_OPTION_DISABLE_IPV6;
	if (server->cert_file) {
		info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info->ssl_cert_filepath = server->cert_file;
		info->ssl_private_key_filepath = server->key_file;
		info->alpn = "http/1.1";
		info->provided_client_ssl_ctx = server->unused_client_ssl;
	}
	info->max_http_header_data2 = HEADER_BYTES_MAX;
	info->max_http_header_pool2 = (unsigned int)(max < HEADER_POOL_MAX ? max : HEADER_POOL_MAX);
	info->timeout_secs = server->options.header_seconds;
	info->timeout_secs_ah_idle = server->options.header_seconds;
	info->keepalive_timeout = KEEP_ALIVE_SECONDS;
	info->retry_and_idle_policy = &server->idle;
	info->server_string = "npt";
	info->vhost_name = "npt";
}

static int listen_now(struct npt_server *server, struct npt_error *err)
{
	struct lws_context_creation_info info = { 0 };

	server->unused_client_ssl = SSL_CTX_new(TLS_client_method());
	fill_info(server, &info);
	server->context = lws_create_context(&info);
	if (!server->context)
		return npt_error_set(err, ENOMEM, "cannot set up libwebsockets");
	errno = 0;
	server->vhost = lws_create_vhost(server->context, &info);
	if (!server->vhost && !server->iface) { /* a kernel without IPv6 */
		info.options |= LWS_SERVER_OPTION_DISABLE_IPV6;
		server->vhost = lws_create_vhost(server->context, &info);
	}
	if (!server->vhost)
		return npt_error_set(err, errno ? errno : EADDRINUSE, "cannot listen on %s: %s",
				     server->options.listen, strerror(errno ? errno : EADDRINUSE));
	server->port = (unsigned int)lws_get_vhost_listen_port(server->vhost);
	return 0;
}

static void *serve(void *argument)
{
	struct npt_server *server = argument;

	while (!atomic_load(&server->stop)) {
		if (lws_service(server->context, 0) < 0)
			break;
	}
	lws_sul_schedule(server->context, 0, &server->reload_timer, NULL,
			 LWS_SET_TIMER_USEC_CANCEL);
	return NULL;
}

int npt_server_start(const struct npt_server_options *options, struct npt_server **server_ret,
		     struct npt_error *err)
{
	npt_auto(npt_server_free) struct npt_server *server = server_new(options);
	int r = check_options(server, err);

	if (r < 0)
		return r;
	npt_lws_log_setup();
	npt_lws_limit_files(server->options.max_connections + 128);
	r = listen_now(server, err);
	if (r < 0)
		return r;
	if (server->cert_file) {
		npt_tls_stamp(server->cert_file, server->key_file, &server->stamp);
		lws_sul_schedule(server->context, 0, &server->reload_timer, reload_certificate,
				 RELOAD_MICROS);
	}
	r = pthread_create(&server->thread, NULL, serve, server);
	if (r != 0)
		return npt_error_set(err, r, "cannot start the service thread: %s", strerror(r));
	server->started = true;
	*server_ret = npt_take(server);
	return 0;
}

static void pause_ms(unsigned int ms)
{
	struct timespec pause = { .tv_nsec = ms * 1000000L };

	(void)nanosleep(&pause, NULL);
}

void npt_server_stop(struct npt_server *server, unsigned int timeout_ms)
{
	struct npt_connection *connection;
	uint64_t deadline = npt_clock_monotonic_ns() + timeout_ms * NPT_NS_PER_MS;

	if (!server->started)
		return;
	atomic_store(&server->drain, true);
	npt_server_wake(server);
	while (atomic_load(&server->outstanding) > 0 && npt_clock_monotonic_ns() < deadline)
		pause_ms(5);
	if (timeout_ms > 0)
		pause_ms(FLUSH_MS);
	atomic_store(&server->stop, true);
	npt_server_wake(server);
	(void)pthread_join(server->thread, NULL);
	server->started = false;
	/* What is still in handlers' hands must not lead back to connections that end now. */
	LIST_FOREACH(connection, &server->connections, entry)
	npt_exchange_connection_gone(connection);
	npt_queue_close(server->answered);
	npt_queue_close(server->commands);
}

void npt_server_free(struct npt_server *server)
{
	if (!server)
		return;
	npt_server_stop(server, 0);
	if (server->context)
		lws_context_destroy(server->context);
	SSL_CTX_free(server->unused_client_ssl);
	npt_queue_free(server->answered);
	npt_queue_free(server->commands);
	free(server->sockets);
	free(server->queued_by_slot);
	free(server->free_slots);
	free(server->cert_file);
	free(server->key_file);
	free(server->iface);
	free(server);
}

unsigned int npt_server_port(const struct npt_server *server)
{
	return server->port;
}

void npt_server_stats(struct npt_server *server, struct npt_server_stats *stats_ret)
{
	*stats_ret = (struct npt_server_stats){
		.connections = atomic_load(&server->stats.connections),
		.sockets = atomic_load(&server->stats.sockets),
		.requests = atomic_load(&server->stats.requests),
		.refused_connections = atomic_load(&server->stats.refused_connections),
		.refused_requests = atomic_load(&server->stats.refused_requests),
		.closed_slow_peers = atomic_load(&server->stats.closed_slow_peers),
		.refused_frames = atomic_load(&server->stats.refused_frames),
		.certificate_reloads = atomic_load(&server->stats.certificate_reloads),
		.certificate_failures = atomic_load(&server->stats.certificate_failures),
	};
}
