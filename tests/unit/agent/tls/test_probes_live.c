/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probes that are chosen on this machine's libraries, as traps in this process: what they see
 * of calls whose arguments and results are known.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "agent/tls/probes.h"
#include "bpf/measure.h"
#include "lib/core/alloc.h"
#include "tests/support/test.h"
#include "tests/support/trap.h"

struct scene {
	void *library;
	struct npt_tls_probes probes;
	struct npt_test_trap traps[NPT_TLS_PROBES_MAX];
	bool running;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Sets the probes of a library that the dynamic linker finds. */
static void begin(struct scene *scene, const char *name,
		  const struct npt_tls_probes_options *options)
{
	npt_auto_free struct npt_tls_file *file = npt_alloc(1, sizeof(*file));
	const struct npt_tls_library *library = &file->libraries[0];
	struct link_map *map = NULL;
	npt_auto_close int fd = -1;
	uint8_t *first;

	*scene = (struct scene){ .library = dlopen(name, RTLD_NOW) };
	must(scene->library && dlinfo(scene->library, RTLD_DI_LINKMAP, &map) == 0);
	fd = open(map->l_name, O_RDONLY | O_CLOEXEC);
	npt_tls_analyse(fd, name, false, file);
	npt_tls_probes_choose(library, fd, options, &scene->probes);
	NPT_CHECK_STR(scene->probes.why, "");
	must(library->function_count > 0);
	/* All of its code is one segment. */
	first = dlsym(scene->library, library->functions[0].name);
	for (size_t i = 0; i < scene->probes.count; i++) {
		const struct npt_tls_probe *probe = &scene->probes.probes[i];

		scene->traps[i].at = first + (probe->offset - library->functions[0].offset);
		scene->traps[i].result = probe->kind == NPT_TLS_PROBE_CALL;
		scene->traps[i].returns_one =
			NPT_TLS_COOKIE_FORM(probe->cookie) == NPT_TLS_RETURNS_ONE;
	}
	scene->running = npt_test_traps_begin(scene->traps, scene->probes.count);
	if (!scene->running)
		npt_test_skip("there are traps on x86-64 only");
}

static void end(struct scene *scene)
{
	npt_test_traps_end();
	(void)dlclose(scene->library);
}

static void forget(struct scene *scene)
{
	for (size_t i = 0; i < scene->probes.count; i++) {
		struct npt_test_trap *trap = &scene->traps[i];

		trap->hits = trap->returns = 0;
		trap->returned = trap->bytes = 0;
		memset(trap->arguments, 0, sizeof(trap->arguments));
	}
}

/* The one that was hit, once; NULL if it was none or not this kind. */
static const struct npt_test_trap *hit(const struct scene *scene, enum npt_tls_probe_kind kind,
				       bool writes)
{
	const struct npt_test_trap *found = NULL;
	unsigned hits = 0;

	for (size_t i = 0; i < scene->probes.count; i++) {
		const struct npt_tls_probe *probe = &scene->probes.probes[i];

		hits += scene->traps[i].hits;
		if (scene->traps[i].hits > 0 && probe->kind == kind &&
		    NPT_TLS_COOKIE_WRITES(probe->cookie) == writes)
			found = &scene->traps[i];
	}
	return hits == 1 ? found : NULL;
}

/* What bpf/tls_calls.bpf.h makes of it. */
static int64_t moved(const struct npt_test_trap *trap)
{
	int32_t result = (int32_t)trap->returned;

	if (result <= 0)
		return 0;
	if (!trap->returns_one)
		return result;
	return result == 1 ? (int64_t)trap->bytes : -1;
}

static void check_call(struct scene *scene, bool writes, const void *session, const void *buffer,
		       size_t size, int64_t expected)
{
	const struct npt_test_trap *trap = hit(scene, NPT_TLS_PROBE_CALL, writes);

	if (!NPT_CHECK(trap != NULL))
		return;
	NPT_CHECK(trap->arguments[0] == (uint64_t)(uintptr_t)session);
	NPT_CHECK(trap->arguments[1] == (uint64_t)(uintptr_t)buffer);
	NPT_CHECK_INT(trap->arguments[2], size);
	NPT_CHECK_INT(trap->returns, 1);
	NPT_CHECK_INT(moved(trap), expected);
	forget(scene);
}

struct pair {
	SSL *client, *server;
};

/* Without certificates; in memory. */
static SSL *end_new(bool is_server, BIO *bio)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());
	SSL *ssl;

	must(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION) == 1 &&
	     SSL_CTX_set_cipher_list(context, "aNULL:@SECLEVEL=0") == 1);
	ssl = SSL_new(context);
	SSL_CTX_free(context);
	SSL_set_bio(ssl, bio, bio);
	if (is_server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

static void shake_hands(struct pair *pair)
{
	BIO *client, *server;

	must(BIO_new_bio_pair(&client, 65536, &server, 65536) == 1);
	pair->client = end_new(false, client);
	pair->server = end_new(true, server);
	for (int i = 0; i < 8; i++) {
		(void)SSL_do_handshake(pair->client);
		(void)SSL_do_handshake(pair->server);
	}
	must(SSL_is_init_finished(pair->client) == 1 && SSL_is_init_finished(pair->server) == 1);
}

static void check_openssl(const struct npt_tls_probes_options *options)
{
	struct scene scene;
	struct pair pair;
	char out[100] = "GET / HTTP/1.1", in[200];
	size_t bytes = 0;

	begin(&scene, "libssl.so.3", options);
	if (!scene.running)
		return;
	shake_hands(&pair);
	NPT_CHECK(hit(&scene, NPT_TLS_PROBE_CALL, false) == NULL);
	forget(&scene);
	NPT_CHECK_INT(SSL_write(pair.client, out, 100), 100);
	check_call(&scene, true, pair.client, out, 100, 100);
	NPT_CHECK_INT(SSL_peek(pair.server, in, 200), 100);
	NPT_CHECK_INT(SSL_peek_ex(pair.server, in, 200, &bytes), 1);
	for (size_t i = 0; i < scene.probes.count; i++)
		NPT_CHECK_INT(scene.traps[i].hits, 0);
	NPT_CHECK_INT(SSL_read(pair.server, in, 60), 60);
	check_call(&scene, false, pair.server, in, 60, 60);
	NPT_CHECK_INT(SSL_read_ex(pair.server, in, 200, &bytes), 1);
	check_call(&scene, false, pair.server, in, 200, 40);
	NPT_CHECK_INT(SSL_write_ex(pair.server, out, 1, &bytes), 1);
	check_call(&scene, true, pair.server, out, 1, 1);
	NPT_CHECK(SSL_read(pair.server, in, 200) < 0);
	check_call(&scene, false, pair.server, in, 200, 0);
	NPT_CHECK_INT(SSL_read_ex(pair.server, in, 200, &bytes), 0);
	check_call(&scene, false, pair.server, in, 200, 0);
	SSL_free(pair.client);
	NPT_CHECK(hit(&scene, NPT_TLS_PROBE_FREE, false) != NULL);
	for (size_t i = 0; i < scene.probes.count; i++)
		NPT_CHECK(scene.traps[i].hits == 0 ||
			  scene.traps[i].arguments[0] == (uint64_t)(uintptr_t)pair.client);
	end(&scene);
	SSL_free(pair.server);
}

static void calls_of_openssl_are_seen_as_they_are(void)
{
	static const struct npt_tls_probes_options options = { .naive = false };

	check_openssl(&options);
}

static void so_they_are_at_the_entries(void)
{
	static const struct npt_tls_probes_options options = { .naive = true };

	check_openssl(&options);
}

/* Not connected: each call fails, but is seen. */
static void calls_of_gnutls_are_seen_as_they_are(void)
{
	static const struct npt_tls_probes_options options = { .naive = false };
	int (*init)(void **session, unsigned flags);
	intptr_t (*send)(void *session, const void *data, size_t size);
	intptr_t (*receive)(void *session, void *data, size_t size);
	void (*deinit)(void *session);
	const struct npt_test_trap *freed;
	struct scene scene;
	void *session = NULL;
	char data[100] = "GET / HTTP/1.1";

	begin(&scene, "libgnutls.so.30", &options);
	if (!scene.running)
		return;
	*(void **)&init = dlsym(scene.library, "gnutls_init");
	*(void **)&send = dlsym(scene.library, "gnutls_record_send");
	*(void **)&receive = dlsym(scene.library, "gnutls_record_recv");
	*(void **)&deinit = dlsym(scene.library, "gnutls_deinit");
	NPT_CHECK_INT(init(&session, 2 /* GNUTLS_CLIENT */), 0);
	NPT_CHECK(send(session, data, 33) < 0);
	check_call(&scene, true, session, data, 33, 0);
	NPT_CHECK(receive(session, data, 44) < 0);
	check_call(&scene, false, session, data, 44, 0);
	deinit(session);
	freed = hit(&scene, NPT_TLS_PROBE_FREE, false);
	NPT_CHECK(freed && freed->arguments[0] == (uint64_t)(uintptr_t)session);
	end(&scene);
}

/* On Debian's libraries of this machine: what makes them cheap. */
static void most_of_them_are_cheap(void)
{
#if defined(__x86_64__)
	static const struct npt_tls_probes_options options = { .naive = false };
	struct scene scene;

	begin(&scene, "libssl.so.3", &options);
	NPT_CHECK_INT(scene.probes.count, 3);
	for (size_t i = 0; i < scene.probes.count; i++)
		NPT_CHECK(!scene.probes.probes[i].stepped);
	end(&scene);
#else
	npt_test_skip("on arm64 the begins of functions are stepped");
#endif
}

static const struct npt_test tests[] = {
	NPT_TEST(calls_of_openssl_are_seen_as_they_are),
	NPT_TEST(so_they_are_at_the_entries),
	NPT_TEST(calls_of_gnutls_are_seen_as_they_are),
	NPT_TEST(most_of_them_are_cheap),
};
NPT_TEST_MAIN(tests)
