/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's functions that applications call are thin: all of one direction call a common one,
 * (session, buffer, size, [flags,] *bytes), which returns 1. That begins with a push, so a probe
 * there costs a tenth of one on each of them, and it sees the reads and writes that the library
 * makes itself (BIO_f_ssl). It has no symbol, so it is told by how it is called, and nothing is
 * guessed:
 *
 *	the _ex form hands all its arguments on to it, as they are (npt_site_callee)
 *	every function of the direction calls it, and no other function that is known does
 *	it is none of them itself (LibreSSL's _ex forms call the plain ones), nor in another segment
 *	it begins with an instruction that is emulated, where a return probe may be (a PLT's entry
 *	does not)
 *
 * Where that is not so (the compiler has put it into each of them, BoringSSL) the functions
 * themselves are probed, at a price.
 */
#include "agent/tls/probes.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/tls/elf_file.h"
#include "agent/tls/site.h"
#include "bpf/measure.h"
#include "lib/core/alloc.h"
#include "lib/core/parse.h"

#define UNKNOWN_BYTES    4096 /* of code, where a function's size is not known */
#define CALLEE_ARGUMENTS 5    /* with flags */
#define GO_ARGUMENTS     3    /* receiver, and the first two words of the slice */

struct chooser {
	const struct npt_tls_library *library;
	const struct npt_tls_probes_options *options;
	struct npt_elf *elf;
	enum npt_architecture architecture;
	struct npt_tls_probes *probes;
};

struct code {
	uint8_t *bytes;
	size_t size;
};

static const struct form {
	enum npt_bpf_tls_form form; /* 0: not probed for its result */
	bool writes;
	unsigned arguments;
} forms[NPT_TLS_ROLES] = {
	[NPT_TLS_READ] = { NPT_TLS_RETURNS_BYTES, false, 3 },
	[NPT_TLS_READ_EX] = { NPT_TLS_RETURNS_ONE, false, 4 },
	[NPT_TLS_WRITE] = { NPT_TLS_RETURNS_BYTES, true, 3 },
	[NPT_TLS_WRITE_EX] = { NPT_TLS_RETURNS_ONE, true, 4 },
	[NPT_TLS_WRITE_EX2] = { NPT_TLS_RETURNS_ONE, true, 5 },
};

static void code_done(struct code *code)
{
	free(code->bytes);
}
NPT_DEFINE_AUTO_DONE(struct code, code_done)

/* To a text of NPT_TLS_TEXT_BYTES. */
__attribute__((format(printf, 2, 3))) static void say(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list arguments;

	if (length > 0 && length + 2 < NPT_TLS_TEXT_BYTES) {
		memcpy(text + length, "; ", 3);
		length += 2;
	}
	va_start(arguments, format);
	(void)vsnprintf(text + length, NPT_TLS_TEXT_BYTES - length, format, arguments);
	va_end(arguments);
}

/* The executable segment that has this place of the file; NULL if there is none. */
static const struct npt_elf_segment *segment_of(const struct chooser *chooser, uint64_t offset)
{
	size_t count;
	const struct npt_elf_segment *segments = npt_elf_segments(chooser->elf, &count);

	for (size_t i = 0; i < count; i++)
		if (segments[i].executable && offset >= segments[i].offset &&
		    offset - segments[i].offset < segments[i].file_bytes)
			return &segments[i];
	return NULL;
}

static int read_code(const struct chooser *chooser, uint64_t offset, uint64_t size_bytes,
		     struct code *code_ret, struct npt_error *err)
{
	const struct npt_elf_segment *segment = segment_of(chooser, offset);
	struct code code;
	uint64_t most;

	if (!segment)
		return npt_error_set(err, EFAULT, "it is in no executable part of the file");
	most = segment->file_bytes - (offset - segment->offset);
	if (most > NPT_SITE_CODE_BYTES_MAX)
		most = NPT_SITE_CODE_BYTES_MAX;
	code.size = (size_t)(size_bytes < most ? size_bytes : most);
	code.bytes = npt_alloc(code.size, 1);
	if (npt_elf_read(chooser->elf, offset, code.bytes, code.size, err) < 0) {
		free(code.bytes);
		return -EIO;
	}
	*code_ret = code;
	return 0;
}

static uint64_t size_of(const struct npt_tls_function *function)
{
	return function->size_bytes ? function->size_bytes : UNKNOWN_BYTES;
}

static int find_site(const struct chooser *chooser, uint64_t offset, uint64_t size_bytes,
		     const struct npt_site_options *wanted, struct npt_site *site_ret,
		     struct npt_error *err)
{
	struct npt_site_options options = *wanted;
	npt_auto(code_done) struct code code = { .bytes = NULL };
	int rc = read_code(chooser, offset, size_bytes, &code, err);

	if (rc < 0)
		return rc;
	options.architecture = chooser->architecture;
	options.long_nops = chooser->options->long_nops;
	options.naive = chooser->options->naive;
	rc = npt_site_choose(code.bytes, code.size, &options, site_ret, err);
	if (rc < 0)
		return rc;
	if (options.returns && !site_ret->returns)
		return npt_error_set(err, EOPNOTSUPP, "a return probe would crash it");
	return 0;
}

static bool is_stepped(const struct chooser *chooser, const struct npt_site *site)
{
	return !npt_uprobe_is_emulated(site->how, chooser->options->long_nops);
}

static void add(const struct chooser *chooser, const struct npt_tls_probe *wanted,
		const struct npt_site *site)
{
	struct npt_tls_probes *probes = chooser->probes;
	struct npt_tls_probe *probe = &probes->probes[probes->count];
	char place[16] = "";

	for (size_t i = 0; i < probes->count; i++)
		if (probes->probes[i].offset == wanted->offset + site->offset)
			return;
	if (probes->count == NPT_TLS_PROBES_MAX) {
		say(probes->why, "%s: more than %d probes", wanted->function, NPT_TLS_PROBES_MAX);
		return;
	}
	if (site->offset > 0)
		(void)snprintf(place, sizeof(place), "+0x%x", (unsigned)site->offset);
	*probe = *wanted;
	probe->offset += site->offset;
	probe->stepped = is_stepped(chooser, site);
	(void)snprintf(probe->function, sizeof(probe->function), "%.*s%s",
		       (int)(sizeof(probe->function) - 1 - strlen(place)), wanted->function, place);
	say(probes->how, "%s (%s)", probe->function, npt_uprobe_name(site->how));
	probes->count++;
}

/* In the function itself. */
static void choose_in(const struct chooser *chooser, const struct npt_tls_function *function,
		      enum npt_tls_probe_kind kind, const struct npt_site_options *options)
{
	const struct form *form = &forms[function->role];
	struct npt_tls_probe probe = { .kind = kind, .offset = function->offset };
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_site site;

	if (kind == NPT_TLS_PROBE_CALL)
		probe.cookie = NPT_TLS_COOKIE(form->form, form->writes);
	(void)snprintf(probe.function, sizeof(probe.function), "%.*s",
		       (int)sizeof(probe.function) - 1, function->name);
	if (find_site(chooser, function->offset, size_of(function), options, &site, &err) < 0) {
		say(chooser->probes->why, "%s: %.90s", probe.function, err.text);
		return;
	}
	if (kind == NPT_TLS_PROBE_GO_WRITE && site.repeats && !chooser->options->naive) {
		say(chooser->probes->why, "%s: no place that is passed once per call",
		    probe.function);
		return;
	}
	add(chooser, &probe, &site);
}

static bool is_wrapper(const struct npt_tls_function *function, bool writes)
{
	return forms[function->role].form != 0 && forms[function->role].writes == writes;
}

/* The _ex form of a direction, the one with more arguments; NULL if there is none, or no other. */
static const struct npt_tls_function *ex_form(const struct npt_tls_library *library, bool writes)
{
	const struct npt_tls_function *found = NULL;
	size_t count = 0;

	for (size_t i = 0; i < library->function_count; i++) {
		const struct npt_tls_function *function = &library->functions[i];

		if (!is_wrapper(function, writes))
			continue;
		count++;
		if (forms[function->role].form == NPT_TLS_RETURNS_ONE &&
		    (!found || forms[function->role].arguments > forms[found->role].arguments))
			found = function;
	}
	return count > 1 ? found : NULL;
}

/* Whether a function has a call or a jump to that place: 1, 0, or an error if that is not known. */
static int calls(const struct chooser *chooser, const struct npt_tls_function *function,
		 uint64_t place)
{
	npt_auto(code_done) struct code code = { .bytes = NULL };
	struct npt_instruction instruction;

	if (function->size_bytes == 0 ||
	    read_code(chooser, function->offset, function->size_bytes, &code, NULL) < 0)
		return -ENODATA;
	for (size_t at = 0; at < code.size; at += instruction.length) {
		if (npt_instruction_decode(chooser->architecture, code.bytes + at, code.size - at,
					   &instruction) < 0)
			return -ENODATA;
		if (instruction.target != 0 &&
		    function->offset + at + (uint64_t)instruction.target == place)
			return 1;
	}
	return 0;
}

/* All of the direction call it, no other one does, and it is none of them. */
static bool is_common(const struct chooser *chooser, uint64_t place, bool writes)
{
	for (size_t i = 0; i < chooser->library->function_count; i++) {
		const struct npt_tls_function *function = &chooser->library->functions[i];

		if (function->offset == place ||
		    calls(chooser, function, place) != is_wrapper(function, writes))
			return false;
	}
	return true;
}

/* To the next function that is known: what is behind it jumps to others' begins. */
static uint64_t size_at(const struct npt_tls_library *library, uint64_t place)
{
	uint64_t size = UNKNOWN_BYTES;

	for (size_t i = 0; i < library->function_count; i++) {
		uint64_t offset = library->functions[i].offset;

		if (offset > place && offset - place < size)
			size = offset - place;
	}
	return size;
}

static void name_behind(const struct npt_tls_library *library, bool writes, char *name, size_t size)
{
	const char *before = "behind ";

	for (size_t i = 0; i < library->function_count; i++) {
		size_t length = strlen(name);

		if (!is_wrapper(&library->functions[i], writes))
			continue;
		(void)snprintf(name + length, size - length, "%s%s", before,
			       library->functions[i].name);
		before = ", ";
	}
}

/* In the function that does the work of a direction; false if there is none that is cheap. */
static bool choose_behind(const struct chooser *chooser, bool writes)
{
	const struct npt_tls_function *wrapper = ex_form(chooser->library, writes);
	struct npt_site_options options = { .architecture = chooser->architecture };
	struct npt_tls_probe probe = { .kind = NPT_TLS_PROBE_CALL };
	npt_auto(code_done) struct code code = { .bytes = NULL };
	struct npt_site site;
	int64_t distance;

	if (!wrapper || read_code(chooser, wrapper->offset, size_of(wrapper), &code, NULL) < 0)
		return false;
	options.arguments = forms[wrapper->role].arguments;
	if (npt_site_callee(code.bytes, code.size, &options, &distance, NULL) < 0)
		return false;
	probe.offset = wrapper->offset + (uint64_t)distance;
	if (segment_of(chooser, probe.offset) != segment_of(chooser, wrapper->offset) ||
	    !is_common(chooser, probe.offset, writes))
		return false;
	options.arguments = CALLEE_ARGUMENTS;
	options.returns = true;
	if (find_site(chooser, probe.offset, size_at(chooser->library, probe.offset), &options,
		      &site, NULL) < 0 ||
	    is_stepped(chooser, &site))
		return false;
	probe.cookie = NPT_TLS_COOKIE(NPT_TLS_RETURNS_ONE, writes);
	name_behind(chooser->library, writes, probe.function, sizeof(probe.function));
	add(chooser, &probe, &site);
	return true;
}

static void choose_calls(const struct chooser *chooser, bool writes)
{
	struct npt_site_options options = { .returns = true };

	if (!chooser->options->naive && choose_behind(chooser, writes))
		return;
	for (size_t i = 0; i < chooser->library->function_count; i++) {
		const struct npt_tls_function *function = &chooser->library->functions[i];

		options.arguments = forms[function->role].arguments;
		if (is_wrapper(function, writes))
			choose_in(chooser, function, NPT_TLS_PROBE_CALL, &options);
	}
}

static void choose_c(const struct chooser *chooser)
{
	static const struct npt_site_options options = { .arguments = 1 };

	choose_calls(chooser, false);
	choose_calls(chooser, true);
	for (size_t i = 0; i < chooser->library->function_count; i++)
		if (chooser->library->functions[i].role == NPT_TLS_FREE)
			choose_in(chooser, &chooser->library->functions[i], NPT_TLS_PROBE_FREE,
				  &options);
}

/* 26 of "1.26.3"; 0 if it is not known. */
static uint64_t go_minor(const char *version)
{
	char digits[4] = "";
	uint64_t minor = 0;
	size_t length;

	if (strncmp(version, "1.", 2) != 0)
		return 0;
	length = strspn(version + 2, "0123456789");
	if (length >= sizeof(digits))
		return 0;
	memcpy(digits, version + 2, length);
	return npt_parse_u64(digits, 0, 999, &minor) < 0 ? 0 : minor;
}

static void choose_go(const struct chooser *chooser)
{
	static const struct npt_site_options options = { .convention = NPT_CONVENTION_GO,
							 .arguments = GO_ARGUMENTS };
	uint64_t first = chooser->architecture == NPT_ARCHITECTURE_ARM64 ? 18 : 17;
	struct npt_tls_probes *probes = chooser->probes;

	if (go_minor(chooser->library->version) < first) {
		say(probes->why, "before Go 1.%u arguments are not in registers", (unsigned)first);
		return;
	}
	for (size_t i = 0; i < chooser->library->function_count; i++)
		if (chooser->library->functions[i].role == NPT_TLS_WRITE)
			choose_in(chooser, &chooser->library->functions[i], NPT_TLS_PROBE_GO_WRITE,
				  &options);
	if (probes->count > 0)
		say(probes->how, "reads of Go are not counted: its stacks move, so a return probe "
				 "would crash it");
}

static void choose(const struct chooser *chooser)
{
	switch (chooser->library->kind) {
	case NPT_TLS_OPENSSL:
	case NPT_TLS_BORINGSSL:
	case NPT_TLS_LIBRESSL:
	case NPT_TLS_GNUTLS:
		choose_c(chooser);
		return;
	case NPT_TLS_GO:
		choose_go(chooser);
		return;
	case NPT_TLS_RUSTLS:
		say(chooser->probes->why, "rustls does its input and output elsewhere: which "
					  "connection a call belongs to is not known");
		return;
	case NPT_TLS_KIND_UNKNOWN:
	case NPT_TLS_NSS:
	case NPT_TLS_JSSE:
	case NPT_TLS_KINDS:
		break;
	}
	say(chooser->probes->why, "no function of it is known");
}

void npt_tls_probes_choose(const struct npt_tls_library *library, int fd,
			   const struct npt_tls_probes_options *options,
			   struct npt_tls_probes *probes_ret)
{
	struct chooser chooser = { .library = library, .options = options, .probes = probes_ret };
	npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	*probes_ret = (struct npt_tls_probes){ .count = 0 };
	if (library->function_count == 0) {
		say(probes_ret->why, "%s", library->why);
		return;
	}
	if (library->machine != EM_X86_64 && library->machine != EM_AARCH64) {
		say(probes_ret->why, "made for another machine than this one");
		return;
	}
	if (npt_elf_open(fd, &elf, &err) < 0) {
		say(probes_ret->why, "%.120s", err.text);
		return;
	}
	chooser.elf = elf;
	chooser.architecture =
		library->machine == EM_AARCH64 ? NPT_ARCHITECTURE_ARM64 : NPT_ARCHITECTURE_X86_64;
	choose(&chooser);
}
