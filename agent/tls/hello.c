/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine of steps: each asks for some bytes to be passed over and some to be gathered, and is
 * called when they are there. What is asked for is never more than what is left of the message, so
 * that no length can lead out of it; within the extensions the same holds since they must end where
 * the message does.
 */
#include "agent/tls/hello.h"

#include <string.h>

#include "lib/core/cleanup.h"

#define SESSION_ID_MAX 32
#define DRAFT_MAJOR    0x7f /* of TLS 1.3 */
#define FIXED_BYTES    35   /* version, random, length of the session id */

enum step {
	STEP_FIXED,
	STEP_CIPHERS,
	STEP_METHODS,
	STEP_CHOICE,
	STEP_EXTENSIONS,
	STEP_HEAD,
	STEP_BODY,
	STEP_END
};

enum extension {
	EXTENSION_SNI = 0,
	EXTENSION_ALPN = 16,
	EXTENSION_PSK = 41,
	EXTENSION_EARLY_DATA = 42,
	EXTENSION_VERSIONS = 43,
};

/* "HelloRetryRequest" as a random number: RFC 8446 4.1.3. */
static const uint8_t retry_random[32] = { 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11,
					  0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
					  0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e,
					  0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c };

static uint16_t two(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* What comes next; false if the message is too short for it. */
static bool expect(struct npt_tls_hello *hello, enum step step, uint32_t pass_over, uint16_t wanted)
{
	if (pass_over > hello->left || wanted > hello->left - pass_over)
		return false;
	hello->step = (uint8_t)step;
	hello->pass_over = pass_over;
	hello->wanted = wanted;
	hello->gathered = 0;
	return true;
}

bool npt_tls_host_name(const uint8_t *bytes, size_t size_bytes, char name_ret[NPT_TLS_SNI_BYTES])
{
	name_ret[0] = '\0';
	if (size_bytes == 0 || size_bytes >= NPT_TLS_SNI_BYTES || bytes[0] == '.')
		return false;
	for (size_t i = 0; i < size_bytes; i++) {
		bool upper = bytes[i] >= 'A' && bytes[i] <= 'Z';

		/* "_" is in names of Istio's clusters and of services. */
		if (!upper && !(bytes[i] >= 'a' && bytes[i] <= 'z') &&
		    !(bytes[i] >= '0' && bytes[i] <= '9') && bytes[i] != '-' && bytes[i] != '_' &&
		    bytes[i] != '.') {
			name_ret[0] = '\0';
			return false;
		}
		name_ret[i] = (char)(upper ? bytes[i] - 'A' + 'a' : bytes[i]);
		name_ret[i + 1] = '\0';
	}
	return true;
}

/* RFC 6066 3: a list of names, of which only the one of a host was ever defined. */
static bool read_sni(struct npt_tls_hello *hello)
{
	const uint8_t *bytes = hello->bytes;
	uint16_t length;

	if (hello->server) /* "I have used it" has no body */
		return hello->extension_bytes == 0;
	if (hello->extension_bytes > NPT_TLS_FIELD_BYTES) {
		hello->sni_refused = true;
		return true;
	}
	if (hello->extension_bytes < 5 || two(bytes) + 2 != hello->extension_bytes)
		return false;
	length = two(bytes + 3);
	if (length + 5 > hello->extension_bytes)
		return false;
	hello->sni_refused = bytes[2] != 0 || length + 5 != hello->extension_bytes ||
			     !npt_tls_host_name(bytes + 5, length, hello->sni);
	return true;
}

static bool read_alpn(struct npt_tls_hello *hello)
{
	hello->alpn_there = true;
	return npt_tls_alpn_parse(&hello->alpn, hello->bytes, hello->gathered,
				  hello->extension_bytes);
}

static bool read_psk(struct npt_tls_hello *hello)
{
	hello->psk = true;
	return !hello->server || hello->extension_bytes == 2;
}

static bool read_early_data(struct npt_tls_hello *hello)
{
	hello->early_data = !hello->server;
	return true;
}

/* What a client can do is a list, and of no interest; what a server has chosen is a number. */
static bool read_versions(struct npt_tls_hello *hello)
{
	if (!hello->server)
		return true;
	if (hello->extension_bytes != 2)
		return false;
	hello->version = two(hello->bytes);
	return hello->bytes[0] == 3 || hello->bytes[0] == DRAFT_MAJOR;
}

static const struct {
	enum extension extension;
	bool (*read)(struct npt_tls_hello *hello);
} extensions[] = {
	{ EXTENSION_SNI, read_sni },           { EXTENSION_ALPN, read_alpn },
	{ EXTENSION_PSK, read_psk },           { EXTENSION_EARLY_DATA, read_early_data },
	{ EXTENSION_VERSIONS, read_versions },
};
_Static_assert(NPT_ARRAY_SIZE(extensions) <= 8, "a bit of seen for each");

static bool next_extension(struct npt_tls_hello *hello, uint32_t pass_over)
{
	if (hello->left == pass_over)
		return expect(hello, STEP_END, pass_over, 0);
	return expect(hello, STEP_HEAD, pass_over, 4);
}

static bool on_fixed(struct npt_tls_hello *hello)
{
	uint8_t id_bytes = hello->bytes[FIXED_BYTES - 1];

	hello->version = two(hello->bytes);
	hello->retry = hello->server && memcmp(hello->bytes + 2, retry_random, 32) == 0;
	if (id_bytes > SESSION_ID_MAX || hello->bytes[0] != 3)
		return false;
	return hello->server ? expect(hello, STEP_CHOICE, id_bytes, 3)
			     : expect(hello, STEP_CIPHERS, id_bytes, 2);
}

static bool on_ciphers(struct npt_tls_hello *hello)
{
	uint16_t length = two(hello->bytes);

	return length >= 2 && length % 2 == 0 && expect(hello, STEP_METHODS, length, 1);
}

/* Hellos older than TLS 1.2 may end without extensions. */
static bool expect_extensions(struct npt_tls_hello *hello, uint32_t pass_over)
{
	if (hello->left == pass_over)
		return expect(hello, STEP_END, pass_over, 0);
	return expect(hello, STEP_EXTENSIONS, pass_over, 2);
}

static bool on_methods(struct npt_tls_hello *hello)
{
	return hello->bytes[0] > 0 && expect_extensions(hello, hello->bytes[0]);
}

static bool on_choice(struct npt_tls_hello *hello)
{
	hello->cipher = two(hello->bytes);
	return expect_extensions(hello, 0);
}

static bool on_extensions(struct npt_tls_hello *hello)
{
	return two(hello->bytes) == hello->left && next_extension(hello, 0);
}

static bool on_body(struct npt_tls_hello *hello)
{
	uint32_t rest = (uint32_t)hello->extension_bytes - hello->gathered;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(extensions); i++) {
		uint8_t bit = (uint8_t)(1U << i);

		if (extensions[i].extension != hello->extension)
			continue;
		if (hello->seen & bit || !extensions[i].read(hello))
			return false;
		hello->seen |= bit;
	}
	return next_extension(hello, rest);
}

static bool on_head(struct npt_tls_hello *hello)
{
	uint16_t length = two(hello->bytes + 2);
	bool interesting = false;

	hello->extension = two(hello->bytes);
	hello->extension_bytes = length;
	if (length > hello->left)
		return false;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(extensions); i++)
		interesting = interesting || extensions[i].extension == hello->extension;
	if (!interesting)
		return next_extension(hello, length);
	if (length > NPT_TLS_FIELD_BYTES)
		length = NPT_TLS_FIELD_BYTES;
	if (!expect(hello, STEP_BODY, 0, length))
		return false;
	return length > 0 || on_body(hello);
}

static bool (*const steps[])(struct npt_tls_hello *hello) = {
	[STEP_FIXED] = on_fixed,   [STEP_CIPHERS] = on_ciphers,       [STEP_METHODS] = on_methods,
	[STEP_CHOICE] = on_choice, [STEP_EXTENSIONS] = on_extensions, [STEP_HEAD] = on_head,
	[STEP_BODY] = on_body,
};

static void give_up(struct npt_tls_hello *hello)
{
	hello->malformed = true;
	hello->sni[0] = '\0';
	memset(&hello->alpn, 0, sizeof(hello->alpn));
}

void npt_tls_hello_begin(struct npt_tls_hello *hello, bool server, uint32_t message_bytes)
{
	memset(hello, 0, sizeof(*hello));
	hello->server = server;
	hello->left = message_bytes;
	if (!expect(hello, STEP_FIXED, 0, FIXED_BYTES))
		give_up(hello);
}

void npt_tls_hello_feed(struct npt_tls_hello *hello, const uint8_t *bytes, size_t size_bytes)
{
	while (size_bytes > 0 && hello->left > 0 && !hello->malformed) {
		uint32_t want = hello->pass_over ? hello->pass_over
						 : (uint32_t)(hello->wanted - hello->gathered);
		uint32_t take = size_bytes < want ? (uint32_t)size_bytes : want;

		if (hello->pass_over) {
			hello->pass_over -= take;
		} else if (bytes) {
			memcpy(hello->bytes + hello->gathered, bytes, take);
			hello->gathered = (uint16_t)(hello->gathered + take);
		} else {
			give_up(hello);
			return;
		}
		hello->left -= take;
		size_bytes -= take;
		bytes = bytes ? bytes + take : NULL;
		if (hello->pass_over == 0 && hello->step != STEP_END &&
		    hello->gathered == hello->wanted && !steps[hello->step](hello))
			give_up(hello);
	}
	hello->complete = hello->left == 0 && hello->step == STEP_END && !hello->malformed;
}
