/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call's probe sees its result, so it has to be where the caller's address is at the stack
 * pointer. On a function's entry that is mostly an instruction that is single-stepped, twenty times
 * as dear; but OpenSSL's functions are thin, and the one that all wrappers of a direction lead to
 * begins with a push.
 */
#include "agent/tls/probes.h"

#include <elf.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/tls/site.h"
#include "bpf/measure.h"
#include "lib/core/alloc.h"

#define CODE_BYTES_MIN    256 /* of a function whose size is not known, or is small */
#define CODE_BYTES_CALLEE 4096

struct choice {
	const struct npt_tls_library *library;
	const struct npt_tls_probes_options *options;
	int fd;
	enum npt_architecture architecture;
	struct npt_tls_probes *probes;
	uint8_t *code; /* NPT_SITE_CODE_BYTES_MAX */
	size_t code_bytes;
};

static void append(char text[NPT_TLS_TEXT_BYTES], const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text + length, NPT_TLS_TEXT_BYTES - length, format, arguments);
	va_end(arguments);
}

/* Of a file that may shrink, or have been made by anybody: what there is of it. */
static bool read_code(struct choice *choice, uint64_t offset, uint64_t size_bytes)
{
	size_t wanted = size_bytes < CODE_BYTES_MIN ? CODE_BYTES_MIN : (size_t)size_bytes;
	ssize_t got;

	if (offset > INT64_MAX)
		return false;
	if (wanted > NPT_SITE_CODE_BYTES_MAX)
		wanted = NPT_SITE_CODE_BYTES_MAX;
	got = pread(choice->fd, choice->code, wanted, (off_t)offset);
	choice->code_bytes = got > 0 ? (size_t)got : 0;
	return got > 0;
}

static struct npt_site_options site_options(const struct choice *choice, unsigned arguments)
{
	return (struct npt_site_options){
		.architecture = choice->architecture,
		.arguments = arguments,
		.long_nops = choice->options->long_nops,
	};
}

static void add(struct choice *choice, enum npt_tls_probe_kind kind, const char *name,
		uint64_t entry, const struct npt_site *site, uint64_t cookie)
{
	struct npt_tls_probes *probes = choice->probes;
	struct npt_tls_probe *probe;

	if (probes->count == NPT_TLS_PROBES_MAX)
		return;
	probe = &probes->probes[probes->count++];
	*probe = (struct npt_tls_probe){ .kind = kind,
					 .offset = entry + site->offset,
					 .cookie = cookie,
					 .stepped = site->how == NPT_UPROBE_STEPPED };
	(void)snprintf(probe->function, sizeof(probe->function), "%.47s", name);
	if (kind == NPT_TLS_PROBE_FREE)
		return;
	append(probes->how, "%s%s", probes->how[0] ? ", " : "", name);
	if (site->offset)
		append(probes->how, "+%" PRIu32, site->offset);
}

static void refuse(struct choice *choice, const char *name, const char *why)
{
	append(choice->probes->why, "%s%s: %s", choice->probes->why[0] ? "; " : "", name, why);
}

/* At the function's own entry, or wherever its result can still be seen. */
static void add_call(struct choice *choice, const struct npt_tls_function *function,
		     uint64_t cookie)
{
	struct npt_site_options options = site_options(choice, 5);
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_site site;

	options.returns = true;
	options.naive = choice->options->naive;
	if (!read_code(choice, function->offset, function->size_bytes))
		refuse(choice, function->name, "cannot be read");
	else if (npt_site_choose(choice->code, choice->code_bytes, &options, &site, &err) < 0)
		refuse(choice, function->name, err.text);
	else if (!site.returns)
		refuse(choice, function->name, "its result cannot be seen at any place");
	else
		add(choice, NPT_TLS_PROBE_CALL, function->name, function->offset, &site, cookie);
}

static bool is_write(enum npt_tls_role role)
{
	return role == NPT_TLS_WRITE || role == NPT_TLS_WRITE_EX || role == NPT_TLS_WRITE_EX2;
}

static bool is_call(enum npt_tls_role role)
{
	return is_write(role) || role == NPT_TLS_READ || role == NPT_TLS_READ_EX;
}

static enum npt_bpf_tls_form form_of(enum npt_tls_role role)
{
	return role == NPT_TLS_READ || role == NPT_TLS_WRITE ? NPT_TLS_RETURNS_BYTES
							     : NPT_TLS_RETURNS_ONE;
}

/* The function that this wrapper leads to, as an offset in the file; 0: none. */
static uint64_t callee_of(struct choice *choice, const struct npt_tls_function *function)
{
	struct npt_site_options options = site_options(choice, 2);
	int64_t distance = 0;

	if (!read_code(choice, function->offset, function->size_bytes))
		return 0;
	if (npt_site_callee(choice->code, choice->code_bytes, &options, &distance, NULL) < 0)
		return 0;
	if (distance < 0 && (uint64_t)-distance >= function->offset)
		return 0;
	return function->offset + (uint64_t)distance;
}

/* That all wrappers of the direction lead to; 0: there is none, or only one that says so. */
static uint64_t common_callee(struct choice *choice, bool writes)
{
	uint64_t common = 0;
	size_t count = 0;

	for (size_t i = 0; i < choice->library->function_count; i++) {
		const struct npt_tls_function *function = &choice->library->functions[i];
		uint64_t callee;

		if (!is_call(function->role) || is_write(function->role) != writes)
			continue;
		callee = callee_of(choice, function);
		if (!callee || (common && callee != common))
			return 0;
		common = callee;
		count++;
	}
	return count > 1 ? common : 0;
}

/* A function of the list has a probe of its own: never a second one within it. */
static bool is_listed(const struct choice *choice, uint64_t offset)
{
	for (size_t i = 0; i < choice->library->function_count; i++) {
		if (choice->library->functions[i].offset == offset)
			return true;
	}
	return false;
}

/*
 * One probe for all wrappers, if it is there and cheap: it has session, buffer, size, (flags,)
 * where to put the bytes, and returns 1.
 */
static bool add_callee(struct choice *choice, bool writes)
{
	struct npt_site_options options = site_options(choice, 5);
	uint64_t callee = choice->options->naive ? 0 : common_callee(choice, writes);
	struct npt_site site;

	options.returns = true;
	if (!callee || is_listed(choice, callee) || !read_code(choice, callee, CODE_BYTES_CALLEE) ||
	    npt_site_choose(choice->code, choice->code_bytes, &options, &site, NULL) < 0 ||
	    !site.returns || site.how == NPT_UPROBE_STEPPED)
		return false;
	add(choice, NPT_TLS_PROBE_CALL, writes ? "SSL_write's callee" : "SSL_read's callee", callee,
	    &site, NPT_TLS_COOKIE(NPT_TLS_RETURNS_ONE, writes));
	return true;
}

static void add_direction(struct choice *choice, bool writes)
{
	if (choice->library->kind != NPT_TLS_GNUTLS && add_callee(choice, writes))
		return;
	for (size_t i = 0; i < choice->library->function_count; i++) {
		const struct npt_tls_function *function = &choice->library->functions[i];

		if (is_call(function->role) && is_write(function->role) == writes)
			add_call(choice, function, NPT_TLS_COOKIE(form_of(function->role), writes));
	}
}

static void add_free(struct choice *choice)
{
	for (size_t i = 0; i < choice->library->function_count; i++) {
		const struct npt_tls_function *function = &choice->library->functions[i];
		struct npt_site_options options = site_options(choice, 1);
		struct npt_site site;

		if (function->role != NPT_TLS_FREE)
			continue;
		if (read_code(choice, function->offset, function->size_bytes) &&
		    npt_site_choose(choice->code, choice->code_bytes, &options, &site, NULL) == 0)
			add(choice, NPT_TLS_PROBE_FREE, function->name, function->offset, &site, 0);
	}
}

static void add_go(struct choice *choice)
{
	for (size_t i = 0; i < choice->library->function_count; i++) {
		const struct npt_tls_function *function = &choice->library->functions[i];
		struct npt_site_options options = site_options(choice, 3);
		struct npt_error err = NPT_ERROR_NONE;
		struct npt_site site;

		if (function->role != NPT_TLS_WRITE)
			continue;
		options.convention = NPT_CONVENTION_GO;
		if (!read_code(choice, function->offset, function->size_bytes))
			refuse(choice, function->name, "cannot be read");
		else if (npt_site_choose(choice->code, choice->code_bytes, &options, &site, &err) <
			 0)
			refuse(choice, function->name, err.text);
		else
			add(choice, NPT_TLS_PROBE_GO_WRITE, function->name, function->offset, &site,
			    0);
	}
	if (choice->probes->count > 0)
		append(choice->probes->how, ", reads are not seen");
}

static bool is_machine(const struct npt_tls_library *library, enum npt_architecture *architecture)
{
	*architecture =
		library->machine == EM_AARCH64 ? NPT_ARCHITECTURE_ARM64 : NPT_ARCHITECTURE_X86_64;
#if defined(__aarch64__)
	return library->machine == EM_AARCH64;
#else
	return library->machine == EM_X86_64;
#endif
}

static void choose(struct choice *choice)
{
	switch (choice->library->kind) {
	case NPT_TLS_OPENSSL:
	case NPT_TLS_BORINGSSL:
	case NPT_TLS_LIBRESSL:
	case NPT_TLS_GNUTLS:
		add_direction(choice, true);
		add_direction(choice, false);
		if (choice->probes->count > 0)
			add_free(choice);
		break;
	case NPT_TLS_GO:
		add_go(choice);
		break;
	case NPT_TLS_RUSTLS:
		append(choice->probes->why,
		       "rustls does its input and output elsewhere: which connection a call "
		       "belongs to is not known");
		break;
	case NPT_TLS_KIND_UNKNOWN:
	case NPT_TLS_NSS:
	case NPT_TLS_JSSE:
	case NPT_TLS_KINDS:
		break;
	}
	if (choice->probes->count == 0 && !choice->probes->why[0])
		append(choice->probes->why, "%s",
		       choice->library->why[0] ? choice->library->why
					       : "none of its functions is known");
}

void npt_tls_probes_choose(const struct npt_tls_library *library, int fd,
			   const struct npt_tls_probes_options *options,
			   struct npt_tls_probes *probes_ret)
{
	npt_auto_free uint8_t *code = npt_alloc(1, NPT_SITE_CODE_BYTES_MAX);
	struct choice choice = {
		.library = library, .options = options, .fd = fd, .probes = probes_ret, .code = code
	};

	memset(probes_ret, 0, sizeof(*probes_ret));
	if (is_machine(library, &choice.architecture))
		choose(&choice);
	else
		append(probes_ret->why, "made for another machine than this one");
}
