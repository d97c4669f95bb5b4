/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/tls_peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

#define BEGIN_NS UINT64_C(1000000000)
#define MS_NS    UINT64_C(1000000)

struct pair {
	SSL *client, *server;
	struct npt_test_tls *tls;
	uint64_t now_ns;
};

static void must(bool ok)
{
	if (!ok) {
		ERR_print_errors_fp(stderr);
		abort();
	}
}

/* "h2 http/1.1" as a list on the wire. */
static size_t alpn_wire(const char *names, unsigned char *out, size_t size_bytes)
{
	size_t at = 0;

	while (*names) {
		size_t length = strcspn(names, " ");

		must(at + 1 + length < size_bytes);
		out[at] = (unsigned char)length;
		memcpy(out + at + 1, names, length);
		at += 1 + length;
		names += length + (names[length] == ' ');
	}
	return at;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_bytes,
		       const unsigned char *in, unsigned int in_bytes, void *context)
{
	static unsigned char wanted[256];
	size_t size = alpn_wire(context, wanted, sizeof(wanted));
	unsigned char *chosen = NULL;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, out_bytes, wanted, (unsigned int)size, in, in_bytes) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static unsigned int client_psk(SSL *ssl, const char *hint, char *identity, unsigned int max,
			       unsigned char *key, unsigned int key_max)
{
	(void)ssl;
	(void)hint;
	(void)key_max;
	(void)snprintf(identity, max, "npt");
	memset(key, 7, 16);
	return 16;
}

static unsigned int server_psk(SSL *ssl, const char *identity, unsigned char *key,
			       unsigned int key_max)
{
	(void)ssl;
	(void)identity;
	(void)key_max;
	memset(key, 7, 16);
	return 16;
}

static void set_common(SSL_CTX *context, const struct npt_test_tls_options *options)
{
	int most = options->version_max ? options->version_max : TLS1_3_VERSION;
	int least = options->version_min ? options->version_min : most;
	npt_auto_free char *ciphers =
		npt_format("%s:@SECLEVEL=0", options->ciphers ? options->ciphers : "ALL");

	must(SSL_CTX_set_min_proto_version(context, least) == 1);
	must(SSL_CTX_set_max_proto_version(context, most) == 1);
	must(SSL_CTX_set_cipher_list(context, ciphers) == 1);
	if (options->suite)
		must(SSL_CTX_set_ciphersuites(context, options->suite) == 1);
	if (options->padding)
		must(SSL_CTX_set_block_padding(context, options->padding) == 1);
	if (options->fragment)
		must(SSL_CTX_set_max_send_fragment(context, options->fragment) == 1);
	(void)SSL_CTX_set_options(context, options->no_tickets ? SSL_OP_NO_TICKET : 0);
}

static void use_certificate(SSL_CTX *context, const struct npt_test_ca *ca, const char *file)
{
	npt_auto_free char *certificate = npt_format("%s/%s.crt", ca->directory, file);
	npt_auto_free char *key = npt_format("%s/%s.key", ca->directory, file);

	must(SSL_CTX_use_certificate_chain_file(context, certificate) == 1);
	must(SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1);
}

/* OpenSSL's macros want text that is not constant. */
static void set_groups(SSL_CTX *context, const char *names)
{
	npt_auto_free char *copy = names ? npt_strdup(names) : NULL;

	if (copy)
		must(SSL_CTX_set1_groups_list(context, copy) == 1);
}

void *npt_test_tls_server(const struct npt_test_ca *ca, const struct npt_test_tls_options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	must(context != NULL);
	set_common(context, options);
	use_certificate(context, ca, "server");
	(void)SSL_CTX_set_session_id_context(context, (const unsigned char *)"npt", 3);
	set_groups(context, options->server_groups);
	if (options->ask_certificate || options->ask_kindly)
		SSL_CTX_set_verify(
			context,
			SSL_VERIFY_PEER |
				(options->ask_kindly ? 0 : SSL_VERIFY_FAIL_IF_NO_PEER_CERT),
			NULL);
	if (!options->client_distrusted)
		must(SSL_CTX_load_verify_locations(context, ca->ca_file, NULL) == 1);
	if (options->early_data)
		must(SSL_CTX_set_max_early_data(context, 4096) == 1);
	if (options->psk)
		SSL_CTX_set_psk_server_callback(context, server_psk);
	return context;
}

void npt_test_tls_server_free(void *server)
{
	SSL_CTX_free(server);
}

void npt_test_tls_session_free(void *session)
{
	SSL_SESSION_free(session);
}

static SSL *client_new(const struct npt_test_ca *ca, const struct npt_test_tls_options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	npt_auto_free char *sni = options->sni ? npt_strdup(options->sni) : NULL;
	unsigned char alpn[256];
	SSL *ssl;

	set_common(context, options);
	set_groups(context, options->client_groups);
	if (options->client_certificate)
		use_certificate(context, ca, options->client_certificate);
	if (!options->distrust)
		must(SSL_CTX_load_verify_locations(context, ca->ca_file, NULL) == 1);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (options->psk)
		SSL_CTX_set_psk_client_callback(context, client_psk);
	ssl = SSL_new(context);
	if (sni)
		must(SSL_set_tlsext_host_name(ssl, sni) == 1);
	if (options->client_alpn)
		must(SSL_set_alpn_protos(ssl, alpn,
					 (unsigned int)alpn_wire(options->client_alpn, alpn,
								 sizeof(alpn))) == 0);
	if (options->session && *options->session)
		must(SSL_set_session(ssl, *options->session) == 1);
	SSL_CTX_free(context);
	SSL_set_connect_state(ssl);
	return ssl;
}

static void join(struct pair *pair)
{
	SSL_set_bio(pair->client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_bio(pair->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

/* What one side has written goes to the other; false if it wrote nothing. */
static bool carry(struct pair *pair, bool from_client)
{
	BIO *from = SSL_get_wbio(from_client ? pair->client : pair->server);
	BIO *to = SSL_get_rbio(from_client ? pair->server : pair->client);
	char *bytes;
	long size = BIO_get_mem_data(from, &bytes);

	if (size <= 0)
		return false;
	pair->now_ns += MS_NS;
	npt_test_conversation_add(&pair->tls->said, from_client, pair->now_ns, bytes, (size_t)size);
	must(BIO_write(to, bytes, (int)size) == size);
	(void)BIO_reset(from);
	return true;
}

static void shake(struct pair *pair, bool early)
{
	unsigned char data[256];
	size_t done;

	/* As long as a Finished with SHA-384: the length alone does not tell them apart. */
	if (early)
		must(SSL_write_early_data(pair->client, memset(data, 'e', 52), 52, &done) == 1);
	for (int i = 0; i < 16; i++) {
		bool moved;

		if (i > 0 || !early)
			(void)SSL_do_handshake(pair->client);
		moved = carry(pair, true);
		if (early)
			(void)SSL_read_early_data(pair->server, data, sizeof(data), &done);
		(void)SSL_do_handshake(pair->server);
		moved = carry(pair, false) || moved;
		if (!moved)
			break;
	}
}

static void talk(struct pair *pair)
{
	char data[64];

	(void)SSL_write(pair->client, "ping", 4);
	(void)carry(pair, true);
	(void)SSL_read(pair->server, data, sizeof(data));
	(void)SSL_write(pair->server, "pong", 4);
	(void)carry(pair, false);
	(void)SSL_read(pair->client, data, sizeof(data));
	(void)SSL_shutdown(pair->client);
	(void)carry(pair, true);
	(void)SSL_shutdown(pair->server); /* without it the server forgets the session */
	(void)carry(pair, false);
}

void npt_test_tls_talk(const struct npt_test_ca *ca, const struct npt_test_tls_options *options,
		       struct npt_test_tls *tls_ret)
{
	SSL_CTX *context = options->server ? options->server : npt_test_tls_server(ca, options);
	struct pair pair = { .tls = tls_ret, .now_ns = BEGIN_NS };
	void *alpn = NULL;

	memset(tls_ret, 0, sizeof(*tls_ret));
	if (options->server_alpn)
		alpn = npt_strdup(options->server_alpn);
	SSL_CTX_set_alpn_select_cb(context, alpn ? choose_alpn : NULL, alpn);
	pair.client = client_new(ca, options);
	pair.server = SSL_new(context);
	SSL_set_accept_state(pair.server);
	join(&pair);
	shake(&pair, options->early_data && options->session && *options->session);
	tls_ret->client_done = SSL_is_init_finished(pair.client);
	tls_ret->server_done = SSL_is_init_finished(pair.server);
	if (tls_ret->client_done && tls_ret->server_done) {
		talk(&pair);
		tls_ret->resumed = SSL_session_reused(pair.client);
		tls_ret->version = (uint16_t)SSL_version(pair.client);
		tls_ret->cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(pair.client));
		if (options->session) {
			SSL_SESSION_free(*options->session);
			*options->session = SSL_get1_session(pair.client);
		}
	}
	ERR_clear_error();
	SSL_free(pair.client);
	SSL_free(pair.server);
	if (!options->server)
		SSL_CTX_free(context);
	free(alpn);
}
