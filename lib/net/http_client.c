/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What libcurl would do by itself and we do not want: trust the system's CA directory beside our
 * file (CAPATH), keep a parsed CA store for a day although the file was rotated
 * (CA_CACHE_TIMEOUT), follow redirects, use signals. HTTP/1.1; who asks
 * for HTTP/2 gets a connection per request: libcurl sends no PING, so a dead one would hang every
 * stream on it, and 7.88 cannot use one again that it began without asking ("prior knowledge").
 *
 * Each client drives one easy handle through a multi handle of its own, only because that one can
 * be woken up by another thread; the connection stays in the multi handle between requests.
 */
#include "lib/net/http_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "lib/core/clock.h"
#include "lib/core/parse.h"

#define CONNECT_TIMEOUT_MS     10000L
#define TIMEOUT_MS_DEFAULT     30000
#define RESPONSE_BYTES_DEFAULT (4U * 1024 * 1024)
#define ERROR_BODY_BYTES       (64U * 1024)
#define USER_TIMEOUT_MS        45000
#define RETRY_AFTER_MAX        3600
#define POLL_MS                1000

struct npt_http_client {
	CURL *curl;
	CURLM *multi;
	atomic_bool cancelled;
	char *ca_file;
	char *cert_file;
	char *key_file;
	char *ca_pem;
	char *cert_pem;
	char *key_pem;
	char *unix_socket;
	struct curl_slist *connect_to;
	bool system_trust;
	bool plain_anywhere;
	bool http2;
	char *user_agent;
};

/* One request on its way. */
struct transfer {
	struct npt_http_client *client;
	const struct npt_http_request *request;
	struct npt_buffer body;
	size_t received_bytes;
	unsigned int retry_after_seconds;
	int stopped; /* what on_data returned, or why we ended it; 0: nobody did */
	bool too_large;
};

static void init_curl(void)
{
	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static char *copy_or_null(const char *text)
{
	return text ? npt_strdup(text) : NULL;
}

int npt_http_client_new(const struct npt_http_client_options *options,
			struct npt_http_client **client_ret, struct npt_error *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	npt_auto(npt_http_client_free) struct npt_http_client *client =
		npt_alloc(1, sizeof(*client));

	(void)pthread_once(&once, init_curl);
	client->curl = curl_easy_init();
	client->multi = curl_multi_init();
	if (!client->curl || !client->multi)
		return npt_error_set(err, ENOMEM, "cannot start libcurl");
	client->ca_file = copy_or_null(options->ca_file);
	client->cert_file = copy_or_null(options->cert_file);
	client->key_file = copy_or_null(options->key_file);
	client->ca_pem = copy_or_null(options->ca_pem);
	client->cert_pem = copy_or_null(options->cert_pem);
	client->key_pem = copy_or_null(options->key_pem);
	client->unix_socket = copy_or_null(options->unix_socket);
	if (options->connect_to) {
		npt_auto_free char *rule = npt_format("::%s", options->connect_to);

		client->connect_to = curl_slist_append(NULL, rule);
	}
	client->system_trust = options->system_trust;
	client->plain_anywhere = options->plain_anywhere;
	client->http2 = options->http2;
	client->user_agent =
		npt_strdup(options->user_agent ? options->user_agent : "npt/" NPT_VERSION);
	*client_ret = npt_take(client);
	return 0;
}

void npt_http_client_free(struct npt_http_client *client)
{
	if (!client)
		return;
	if (client->curl)
		curl_easy_cleanup(client->curl);
	if (client->multi)
		(void)curl_multi_cleanup(client->multi);
	free(client->ca_file);
	free(client->cert_file);
	free(client->key_file);
	free(client->ca_pem);
	free(client->cert_pem);
	if (client->key_pem)
		explicit_bzero(client->key_pem, strlen(client->key_pem));
	free(client->key_pem);
	free(client->unix_socket);
	curl_slist_free_all(client->connect_to);
	free(client->user_agent);
	free(client);
}

void npt_http_client_cancel(struct npt_http_client *client)
{
	atomic_store(&client->cancelled, true);
	(void)curl_multi_wakeup(client->multi);
}

int npt_http_client_pause(struct npt_http_client *client, uint64_t ms)
{
	uint64_t until = npt_clock_boottime_ns() + ms * NPT_NS_PER_MS, now;

	while (!atomic_load(&client->cancelled) && (now = npt_clock_boottime_ns()) < until) {
		uint64_t left_ms = (until - now) / NPT_NS_PER_MS + 1;

		(void)curl_multi_poll(client->multi, NULL, 0,
				      left_ms < POLL_MS ? (int)left_ms : POLL_MS, NULL);
	}
	return atomic_load(&client->cancelled) ? -ECANCELED : 0;
}

static int set_dead_peer_detection(void *context, curl_socket_t fd, curlsocktype purpose)
{
	const int probes = 3, timeout_ms = USER_TIMEOUT_MS;

	(void)context;
	(void)purpose;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	return CURL_SOCKOPT_OK;
}

static size_t take_header(char *data, size_t size, size_t count, void *context)
{
	static const char name[] = "retry-after:";
	struct transfer *transfer = context;
	size_t length = size * count;
	npt_auto_free char *value = NULL;
	uint64_t seconds;

	if (transfer->request->on_header)
		transfer->request->on_header(transfer->request->context, data, length);
	if (length < sizeof(name) || strncasecmp(data, name, sizeof(name) - 1) != 0)
		return length;
	value = npt_strndup(data + sizeof(name) - 1, length - (sizeof(name) - 1));
	value[strcspn(value, "\r\n")] = '\0';
	if (npt_parse_u64(value + strspn(value, " "), 0, RETRY_AFTER_MAX, &seconds) == 0)
		transfer->retry_after_seconds = (unsigned int)seconds;
	return length;
}

static int refuse_size(struct transfer *transfer)
{
	transfer->too_large = true;
	return -EMSGSIZE;
}

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	const struct npt_http_request *request = transfer->request;
	size_t length = size * count;
	long status = 0;
	int r;

	(void)curl_easy_getinfo(transfer->client->curl, CURLINFO_RESPONSE_CODE, &status);
	transfer->received_bytes += length;
	if (request->max_response_bytes && transfer->received_bytes > request->max_response_bytes)
		r = refuse_size(transfer);
	else if (request->on_data && status < 300)
		r = request->on_data(request->context, data, length);
	else
		r = npt_buffer_append(&transfer->body, data, length) < 0 ? refuse_size(transfer)
									 : 0;
	if (r < 0) {
		transfer->stopped = r;
		return CURL_WRITEFUNC_ERROR;
	}
	return length;
}

static bool is_loopback_url(const char *url)
{
	static const char *const prefixes[] = { "http://127.0.0.1:", "http://[::1]:",
						"http://localhost:" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(prefixes); i++) {
		if (strncmp(url, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* PEM that is borrowed for as long as the client lives. */
static void set_text(CURL *curl, CURLoption option, char *pem)
{
	struct curl_blob blob = { .data = pem, .len = strlen(pem), .flags = CURL_BLOB_NOCOPY };

	(void)curl_easy_setopt(curl, option, &blob);
}

static void set_security(struct npt_http_client *client)
{
	CURL *curl = client->curl;

	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https,http");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (!client->ca_file && client->ca_pem)
		set_text(curl, CURLOPT_CAINFO_BLOB, client->ca_pem);
	else if (client->ca_file || !client->system_trust)
		(void)curl_easy_setopt(curl, CURLOPT_CAINFO,
				       client->ca_file ? client->ca_file : "");
	if (client->ca_file || client->ca_pem || !client->system_trust)
		(void)curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	(void)curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 0L);
	if (!client->cert_file && client->cert_pem && client->key_pem) {
		set_text(curl, CURLOPT_SSLCERT_BLOB, client->cert_pem);
		set_text(curl, CURLOPT_SSLKEY_BLOB, client->key_pem);
	} else {
		(void)curl_easy_setopt(curl, CURLOPT_SSLCERT, client->cert_file);
		(void)curl_easy_setopt(curl, CURLOPT_SSLKEY, client->key_file);
	}
	/* A proxy of the environment is not for us: everything we dial is inside the cluster. */
	(void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static void set_timing(struct npt_http_client *client, const struct npt_http_request *request)
{
	CURL *curl = client->curl;
	uint64_t timeout_ms = request->timeout_ms ? request->timeout_ms : TIMEOUT_MS_DEFAULT;

	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
			       client->http2 ? (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE
					     : (long)CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, client->http2 ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, 30L);
	(void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, 10L);
	(void)curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, set_dead_peer_detection);
	if (request->silence_seconds) {
		(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
		(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME,
				       (long)request->silence_seconds);
	}
}

static struct curl_slist *make_headers(const struct npt_http_request *request)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	const struct {
		const char *format, *value;
	} optional[] = {
		{ "Authorization: Bearer %s", request->bearer },
		{ "Content-Type: %s", request->content_type },
		{ "Accept: %s", request->accept },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(optional); i++) {
		npt_auto_free char *prefix = NULL;
		npt_auto_free char *line = NULL;

		if (!optional[i].value)
			continue;
		prefix = npt_strndup(optional[i].format, strlen(optional[i].format) - 2);
		line = npt_format("%s%s", prefix, optional[i].value);
		headers = curl_slist_append(headers, line);
	}
	for (size_t i = 0; request->headers && request->headers[i]; i++)
		headers = curl_slist_append(headers, request->headers[i]);
	return headers;
}

static void set_request(struct transfer *transfer, struct curl_slist *headers)
{
	const struct npt_http_request *request = transfer->request;
	CURL *curl = transfer->client->curl;

	curl_easy_reset(curl);
	set_security(transfer->client);
	set_timing(transfer->client, request);
	(void)curl_easy_setopt(curl, CURLOPT_URL, request->url);
	(void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, transfer->client->unix_socket);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECT_TO, transfer->client->connect_to);
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, transfer->client->user_agent);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (request->body || strcmp(request->method, "GET") != 0) {
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				       (curl_off_t)request->body_bytes);
		(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
				       request->body ? request->body : "");
	}
	(void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
	if (request->accept_gzip)
		(void)curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip");
}

static int code_of(CURLcode code)
{
	static const struct {
		CURLcode curl;
		int code;
	} table[] = {
		{ CURLE_COULDNT_CONNECT, ECONNREFUSED }, { CURLE_OPERATION_TIMEDOUT, ETIMEDOUT },
		{ CURLE_PARTIAL_FILE, ECONNRESET },      { CURLE_GOT_NOTHING, ECONNRESET },
		{ CURLE_RECV_ERROR, ECONNRESET },        { CURLE_SEND_ERROR, ECONNRESET },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(table); i++) {
		if (table[i].curl == code)
			return table[i].code;
	}
	return EIO;
}

static int explain(const struct transfer *transfer, CURLcode code, const char *detail,
		   struct npt_error *err)
{
	const char *text = detail[0] ? detail : curl_easy_strerror(code);

	if (transfer->stopped == -ECANCELED)
		return npt_error_set(err, ECANCELED, "cancelled");
	if (transfer->too_large)
		return npt_error_set(err, EMSGSIZE, "%.200s: the answer is larger than allowed",
				     transfer->request->url);
	if (transfer->stopped < 0)
		return transfer->stopped; /* on_data set its own error */
	return npt_error_set(err, code_of(code), "%.200s: %s", transfer->request->url, text);
}

static bool is_cancelled(const struct transfer *transfer)
{
	const struct npt_http_request *request = transfer->request;

	return atomic_load(&transfer->client->cancelled) ||
	       (request->is_cancelled && request->is_cancelled(request->context));
}

/* Drives the transfer to its end; cancelling is answered within a poll, or at a wake-up. */
static CURLcode drive(struct transfer *transfer)
{
	CURLM *multi = transfer->client->multi;
	CURLcode code = CURLE_ABORTED_BY_CALLBACK;
	int running = 1, left;
	CURLMsg *message;

	if (curl_multi_add_handle(multi, transfer->client->curl) != CURLM_OK)
		return CURLE_FAILED_INIT;
	while (running) {
		if (is_cancelled(transfer)) {
			transfer->stopped = -ECANCELED;
			break;
		}
		if (curl_multi_perform(multi, &running) != CURLM_OK)
			break;
		if (running)
			(void)curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
	}
	while ((message = curl_multi_info_read(multi, &left))) {
		if (message->msg == CURLMSG_DONE)
			code = message->data.result;
	}
	(void)curl_multi_remove_handle(multi, transfer->client->curl);
	return code;
}

/* A line break in the token file would be a header of somebody else's making. */
static int check_request(const struct npt_http_client *client,
			 const struct npt_http_request *request, struct npt_error *err)
{
	const char *bearer = request->bearer ? request->bearer : "";

	if (strncmp(request->url, "https://", 8) != 0 && !client->plain_anywhere &&
	    !is_loopback_url(request->url))
		return npt_error_set(err, EINVAL, "%.200s: only https:// is spoken", request->url);
	for (; *bearer; bearer++) {
		if ((unsigned char)*bearer <= ' ' || (unsigned char)*bearer >= 0x7f)
			return npt_error_set(err, EINVAL,
					     "%.200s: the token holds characters that no token has",
					     request->url);
	}
	return 0;
}

int npt_http_perform(struct npt_http_client *client, const struct npt_http_request *request,
		     struct npt_http_response *response_ret, struct npt_error *err)
{
	size_t max_bytes =
		request->max_response_bytes ? request->max_response_bytes : RESPONSE_BYTES_DEFAULT;
	struct transfer transfer = {
		.client = client,
		.request = request,
		.body = NPT_BUFFER(request->on_data ? ERROR_BODY_BYTES : max_bytes),
	};
	char detail[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers;
	long status = 0;
	CURLcode code;
	int r = check_request(client, request, err);

	if (r < 0)
		return r;
	headers = make_headers(request);
	set_request(&transfer, headers);
	(void)curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, detail);
	code = drive(&transfer);
	(void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_reset(client->curl); /* forgets headers, the error buffer and the transfer */
	curl_slist_free_all(headers);
	if (code != CURLE_OK) {
		npt_buffer_done(&transfer.body);
		return explain(&transfer, code, detail, err);
	}
	*response_ret = (struct npt_http_response){
		.status = (unsigned int)status,
		.body_bytes = transfer.body.size_bytes,
		.retry_after_seconds = transfer.retry_after_seconds,
	};
	response_ret->body = npt_buffer_take(&transfer.body);
	return 0;
}

void npt_http_response_done(struct npt_http_response *response)
{
	free(response->body);
	response->body = NULL;
	response->body_bytes = 0;
}

char *npt_http_escape(const char *text)
{
	static const char digits[] = "0123456789ABCDEF";
	char *escaped = npt_alloc(strlen(text) * 3 + 1, 1), *out = escaped;

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    strchr("-._~", c)) {
			*out++ = (char)c;
		} else {
			*out++ = '%';
			*out++ = digits[c >> 4];
			*out++ = digits[c & 15];
		}
	}
	return escaped;
}
