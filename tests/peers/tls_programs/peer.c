// SPDX-License-Identifier: Apache-2.0
/*
 * A TLS peer over any libssl, which it opens by name: 1.1.1, 3.x, of glibc or of musl, before the
 * measurement or in the middle of it.
 *
 * Usage: peer server|client key=value... (see tls_world.py, which knows them for all languages)
 * Prints what it did as a line of JSON when it is ready and after each line on stdin; a client
 * first makes its requests. With number=N they ask for body N, N+1, ... modulo 23 (GET
 * /SIZE?NUMBER), whose i-th byte is letter NUMBER + i modulo 23; without, for one of x alone. A
 * client ends with 1 if it gets another body. Ends with stdin. Prototypes are its own: no header
 * has to fit the library.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS_MAX       8
#define BODY_BYTES_MAX    (8 << 20)
#define BODIES            23 /* different ones: a prime, so that no two blocks of one are alike */
#define HEAD_BYTES_MAX    4096
#define READ_BYTES        16384
#define TCP_INFO_BYTES    256
#define BYTES_RECEIVED_AT 128
#define BYTES_SENT_AT     200
#define BYTES_RETRANS_AT  208 /* of those that were sent */
#define SSL_FILETYPE_PEM  1
#define SSL_VERIFY_PEER   1
#define SET_HOSTNAME      55 /* SSL_CTRL_SET_TLSEXT_HOSTNAME */
#define HOST_NAME         0  /* TLSEXT_NAMETYPE_host_name */

#define FUNCTIONS(X)                                                                               \
	X(const void *, TLS_method, (void))                                                        \
	X(const char *, OpenSSL_version, (int))                                                    \
	X(void *, SSL_CTX_new, (const void *))                                                     \
	X(int, SSL_CTX_use_certificate_chain_file, (void *, const char *))                         \
	X(int, SSL_CTX_use_PrivateKey_file, (void *, const char *, int))                           \
	X(int, SSL_CTX_load_verify_locations, (void *, const char *, const char *))                \
	X(void, SSL_CTX_set_verify, (void *, int, void *))                                         \
	X(void *, SSL_new, (void *))                                                               \
	X(int, SSL_set_fd, (void *, int))                                                          \
	X(long, SSL_ctrl, (void *, int, long, void *))                                             \
	X(int, SSL_connect, (void *))                                                              \
	X(int, SSL_accept, (void *))                                                               \
	X(int, SSL_read, (void *, void *, int))                                                    \
	X(int, SSL_write, (void *, const void *, int))                                             \
	X(int, SSL_read_ex, (void *, void *, size_t, size_t *))                                    \
	X(int, SSL_write_ex, (void *, const void *, size_t, size_t *))                             \
	X(int, SSL_shutdown, (void *))                                                             \
	X(void, SSL_free, (void *))                                                                \
	X(const char *, SSL_get_version, (const void *))                                           \
	X(const void *, SSL_get_current_cipher, (const void *))                                    \
	X(const char *, SSL_CIPHER_standard_name, (const void *))                                  \
	X(const char *, SSL_get_servername, (const void *, int))                                   \
	X(int, SSL_session_reused, (const void *))

static struct {
#define MEMBER(type, name, arguments) type(*name) arguments;
	FUNCTIONS(MEMBER)
} tls;

/* What one process did, in memory that its parent reads. */
struct end {
	atomic_int pid;
	atomic_ullong requests, handshakes, writes, written, reads, read, wire_sent, wire_received;
	char version[16], cipher[64], sni[128];
	atomic_int resumed;
};

static struct {
	const char *role, *dir, *lib, *sni;
	int port, requests, size, hold, late, ex, workers, reconnect, number;
} options = { .lib = "libssl.so.3", .dir = ".", .sni = "peer.test", .requests = 1, .size = 1000 };

static struct end *ends; /* the first is this process's, or a worker's each */
static struct end *mine;
static void *context;
static unsigned char body[BODY_BYTES_MAX], numbered[BODIES + BODY_BYTES_MAX];

static void fail(const char *what)
{
	fprintf(stderr, "peer: %s: %m\n", what);
	exit(1);
}

static void parse(int count, char **arguments)
{
	static const struct {
		const char *key;
		const char **text;
		int *number;
	} known[] = {
		{ "dir", &options.dir, NULL },
		{ "lib", &options.lib, NULL },
		{ "sni", &options.sni, NULL },
		{ "port", NULL, &options.port },
		{ "requests", NULL, &options.requests },
		{ "size", NULL, &options.size },
		{ "hold", NULL, &options.hold },
		{ "late", NULL, &options.late },
		{ "ex", NULL, &options.ex },
		{ "workers", NULL, &options.workers },
		{ "reconnect", NULL, &options.reconnect },
		{ "number", NULL, &options.number },
	};

	options.role = count > 1 ? arguments[1] : "";
	for (int i = 2; i < count; i++) {
		char *value = strchr(arguments[i], '=');

		if (!value)
			fail(arguments[i]);
		*value++ = 0;
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++) {
			if (strcmp(known[k].key, arguments[i]) != 0)
				continue;
			if (known[k].text)
				*known[k].text = value;
			else
				*known[k].number = (int)strtol(value, NULL, 10);
		}
	}
	if (options.size < 0 || options.size > BODY_BYTES_MAX || options.workers > WORKERS_MAX)
		fail("size or workers");
}

static void open_library(void)
{
	char path[4096];
	void *library = dlopen(options.lib, RTLD_NOW | RTLD_LOCAL);
	int server = strcmp(options.role, "server") == 0;

	if (!library) {
		fprintf(stderr, "peer: %s\n", dlerror());
		exit(1);
	}
#define FIND(type, name, arguments)                                                                \
	*(void **)&tls.name = dlsym(library, #name);                                               \
	if (!tls.name)                                                                             \
		fail(#name);
	FUNCTIONS(FIND)
	context = tls.SSL_CTX_new(tls.TLS_method());
	snprintf(path, sizeof(path), "%s/%s", options.dir, server ? "server.pem" : "ca.pem");
	if (!server) {
		if (tls.SSL_CTX_load_verify_locations(context, path, NULL) != 1)
			fail(path);
		tls.SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		return;
	}
	if (tls.SSL_CTX_use_certificate_chain_file(context, path) != 1)
		fail(path);
	snprintf(path, sizeof(path), "%s/server.key", options.dir);
	if (tls.SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1)
		fail(path);
}

static void print_truth(void)
{
	int count = options.workers ? options.workers : 1;

	printf("{\"library\": \"%s\", \"ends\": [", context ? tls.OpenSSL_version(0) : "");
	for (int i = 0; i < count; i++)
		printf("%s{\"pid\": %d, \"role\": \"%s\", \"requests\": %llu, \"handshakes\": "
		       "%llu, "
		       "\"tls\": {\"writes\": %llu, \"written\": %llu, \"reads\": %llu, \"read\": "
		       "%llu}, "
		       "\"wire\": {\"sent\": %llu, \"received\": %llu}, \"version\": \"%s\", "
		       "\"cipher\": \"%s\", \"sni\": \"%s\", \"alpn\": \"\", \"resumed\": %s}",
		       i ? ", " : "", ends[i].pid, options.role, ends[i].requests,
		       ends[i].handshakes, ends[i].writes, ends[i].written, ends[i].reads,
		       ends[i].read, ends[i].wire_sent, ends[i].wire_received, ends[i].version,
		       ends[i].cipher, ends[i].sni, ends[i].resumed ? "true" : "false");
	printf("]}\n");
	fflush(stdout);
}

static void note_handshake(void *ssl)
{
	const char *sni = tls.SSL_get_servername(ssl, HOST_NAME);

	snprintf(mine->version, sizeof(mine->version), "%s", tls.SSL_get_version(ssl));
	snprintf(mine->cipher, sizeof(mine->cipher), "%s",
		 tls.SSL_CIPHER_standard_name(tls.SSL_get_current_cipher(ssl)));
	snprintf(mine->sni, sizeof(mine->sni), "%s", sni ? sni : "");
	mine->resumed = tls.SSL_session_reused(ssl);
	mine->handshakes++;
}

static int put(void *ssl, const void *bytes, size_t size)
{
	size_t written = 0;

	mine->writes++; /* before: who has the answer finds it counted */
	mine->written += size;
	if (options.ex ? tls.SSL_write_ex(ssl, bytes, size, &written) != 1
		       : tls.SSL_write(ssl, bytes, (int)size) != (int)size)
		return -1;
	return 0;
}

/* Bytes read, 0 or less at the end. */
static int get(void *ssl, void *bytes, size_t size)
{
	size_t took = 0;
	int result;

	if (options.ex)
		result = tls.SSL_read_ex(ssl, bytes, size, &took) == 1 ? (int)took : 0;
	else
		result = tls.SSL_read(ssl, bytes, (int)size);
	if (result > 0) {
		mine->reads++;
		mine->read += (unsigned)result;
	}
	return result;
}

/* What the kernel says that the connection has moved; no C library's tcp_info is long enough. */
static void add_wire(int fd, unsigned long long *sent, unsigned long long *received)
{
	unsigned long long info[TCP_INFO_BYTES / sizeof(unsigned long long)] = { 0 };
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &size))
		fail("TCP_INFO");
	*sent += info[BYTES_SENT_AT / sizeof(info[0])] - info[BYTES_RETRANS_AT / sizeof(info[0])];
	*received += info[BYTES_RECEIVED_AT / sizeof(info[0])];
}

/* The head of a message, with its end; 0 when the connection has ended, else its length. */
static int get_head(void *ssl, char *head, int *have)
{
	*have = 0;
	while (*have < HEAD_BYTES_MAX - 1) {
		int took = get(ssl, head + *have, (size_t)(HEAD_BYTES_MAX - 1 - *have));
		char *end;

		if (took <= 0)
			return 0;
		*have += took;
		head[*have] = 0;
		end = strstr(head, "\r\n\r\n");
		if (end)
			return (int)(end - head) + 4;
	}
	return 0;
}

/* The body that goes with a request's "?NUMBER"; without one it is of x alone. */
static const unsigned char *body_of(const char *query)
{
	return *query == '?' ? numbered + strtoul(query + 1, NULL, 10) % BODIES : body;
}

static void *serve(void *argument)
{
	int fd = (int)(intptr_t)argument, have;
	const unsigned char *content;
	char head[HEAD_BYTES_MAX];
	void *ssl = tls.SSL_new(context);

	tls.SSL_set_fd(ssl, fd);
	if (tls.SSL_accept(ssl) != 1)
		goto out;
	note_handshake(ssl);
	while (get_head(ssl, head, &have)) {
		char *query = head;
		long size = strncmp(head, "GET /", 5) == 0 ? strtol(head + 5, &query, 10) : 0;
		int length;

		if (size < 0 || size > BODY_BYTES_MAX)
			break;
		content = body_of(query);
		mine->requests++;
		length = snprintf(head, sizeof(head),
				  "HTTP/1.1 200 OK\r\nContent-Length: %ld\r\n\r\n", size);
		if (put(ssl, head, (size_t)length) || (size && put(ssl, content, (size_t)size)))
			break;
	}
	tls.SSL_shutdown(ssl);
out:
	tls.SSL_free(ssl);
	close(fd);
	return NULL;
}

static void *accept_all(void *argument)
{
	int listener = (int)(intptr_t)argument, one = 1;

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd))
			fail("thread");
		pthread_detach(thread);
	}
	return NULL;
}

static struct sockaddr_in address(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons((uint16_t)options.port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int open_listener(void)
{
	struct sockaddr_in here = address();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) || listen(fd, 256))
		fail("listen");
	return fd;
}

static void serve_here(int listener)
{
	pthread_t thread;

	mine->pid = getpid();
	if (pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)listener))
		fail("thread");
}

static void start_workers(int listener)
{
	for (int i = 0; i < options.workers; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		mine = &ends[i];
		serve_here(listener);
		for (;;)
			pause();
	}
}

/* The client's connection, -1 while there is none. */
static int connection = -1;
static void *session;

static void connect_to_server(void)
{
	struct sockaddr_in there = address();
	int one = 1;

	connection = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(connection, (struct sockaddr *)&there, sizeof(there)))
		fail("connect");
	setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	session = tls.SSL_new(context);
	tls.SSL_set_fd(session, connection);
	if (options.sni[0])
		tls.SSL_ctrl(session, SET_HOSTNAME, HOST_NAME, (void *)(uintptr_t)options.sni);
	if (tls.SSL_connect(session) != 1)
		fail("handshake");
	note_handshake(session);
}

static void check_body(const void *bytes, const unsigned char *wanted, size_t size)
{
	if (memcmp(bytes, wanted, size) != 0) {
		fprintf(stderr, "peer: another body than was asked for\n");
		exit(1);
	}
}

static void request(void)
{
	char head[HEAD_BYTES_MAX], query[16] = "", *length;
	const unsigned char *wanted;
	int begin, have;
	long rest;

	if (options.number)
		snprintf(query, sizeof(query), "?%llu",
			 ((unsigned)options.number + mine->requests) % BODIES);
	wanted = body_of(query);
	snprintf(head, sizeof(head), "GET /%d%s HTTP/1.1\r\nHost: peer.test\r\n\r\n", options.size,
		 query);
	if (put(session, head, strlen(head)))
		fail("write");
	begin = get_head(session, head, &have);
	length = begin ? strcasestr(head, "content-length:") : NULL;
	if (!length)
		fail("response");
	rest = strtol(length + 15, NULL, 10) - (have - begin);
	if (strncmp(head, "HTTP/1.1 200", 12) != 0 || rest + have - begin != options.size)
		fail(head);
	check_body(head + begin, wanted, (size_t)(have - begin));
	wanted += have - begin;
	while (rest > 0) {
		static char bytes[READ_BYTES];
		int took = get(session, bytes, rest < READ_BYTES ? (size_t)rest : READ_BYTES);

		if (took <= 0)
			fail("body");
		check_body(bytes, wanted, (size_t)took);
		wanted += took;
		rest -= took;
	}
	mine->requests++;
}

static void run_batch(int count)
{
	static unsigned long long sent, received; /* of connections that are over */
	unsigned long long sent_now, received_now;

	for (int i = 0; i < count; i++) {
		if (connection < 0)
			connect_to_server();
		request();
		if (!options.reconnect)
			continue;
		tls.SSL_shutdown(session);
		add_wire(connection, &sent, &received);
		tls.SSL_free(session);
		close(connection);
		connection = -1;
	}
	sent_now = sent;
	received_now = received;
	if (connection >= 0)
		add_wire(connection, &sent_now, &received_now);
	mine->wire_sent = sent_now;
	mine->wire_received = received_now;
}

static void start(void)
{
	int server = strcmp(options.role, "server") == 0;
	int listener;

	mine->pid = getpid();
	if (!options.late)
		open_library();
	listener = server ? open_listener() : -1;
	if (server && options.workers)
		start_workers(listener);
	else if (server && !options.late)
		serve_here(listener);
	else if (options.hold)
		run_batch(1);
	print_truth();

	for (char line[16]; fgets(line, sizeof(line), stdin);) {
		if (options.late && !context) {
			open_library();
			if (server)
				serve_here(listener);
		}
		if (!server)
			run_batch(options.requests);
		print_truth();
	}
}

int main(int count, char **arguments)
{
	parse(count, arguments);
	signal(SIGPIPE, SIG_IGN);
	ends = mmap(NULL, WORKERS_MAX * sizeof(*ends), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ends == MAP_FAILED)
		fail("memory");
	mine = &ends[0];
	memset(body, 'x', sizeof(body));
	for (size_t i = 0; i < sizeof(numbered); i++)
		numbered[i] = (unsigned char)('a' + i % BODIES);
	start();
	_exit(0);
}
