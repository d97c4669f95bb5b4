/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file: its functions by symbols or by Go's table, and its constants for what cannot lie
 * hidden: a library that was linked in carries the name of its source file (of a place where errors
 * are made) and its version, with or without symbols. "ssl/ssl_lib.c" is OpenSSL's,
 * "ssl/ssl_lib.cc" BoringSSL's.
 *
 * Which functions: those that everything else goes through. One that is a mere jump to another of
 * the list is left out (GnuTLS's send to send2, OpenSSL's write_ex to write_ex2). That BoringSSL's
 * read goes through its peek, and LibreSSL's _ex forms through the others, is for the probe to
 * know: it counts the outermost.
 *
 * rustls does no input and output. A program that blocks calls Reader::read and Writer::write; one
 * with tokio-rustls from 0.26 on calls Reader::into_first_chunk and then Reader::consume. All of
 * them may be inlined; Rust's calling convention is not promised, but has been that of C for two
 * words.
 */
#include "agent/tls/library.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "agent/tls/elf_file.h"
#include "agent/tls/gopclntab.h"
#include "agent/tls/library_private.h"

#define SCAN_BYTES_MAX (64U << 20)
#define JUMP_BYTES_MAX 16 /* arguments set to 0, and a jump */

#if defined(__x86_64__)
#define OWN_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define OWN_MACHINE EM_AARCH64
#else
#define OWN_MACHINE EM_NONE
#endif

enum family { FAMILY_SSL, FAMILY_GNUTLS, FAMILY_RUSTLS, FAMILIES };

struct wanted {
	const char *name;
	enum family family;
	enum npt_tls_role role;
};

#define OPENSSL(function, role_)                                                                   \
	{                                                                                          \
		.name = "SSL_" function, .family = FAMILY_SSL, .role = (role_)                     \
	}
#define GNUTLS(function, role_)                                                                    \
	{                                                                                          \
		.name = "gnutls_" function, .family = FAMILY_GNUTLS, .role = (role_)               \
	}
#define RUSTLS(pattern, role_)                                                                     \
	{                                                                                          \
		.name = (pattern), .family = FAMILY_RUSTLS, .role = (role_)                        \
	}

static const struct wanted wanted[] = {
	OPENSSL("read", NPT_TLS_READ),
	OPENSSL("read_ex", NPT_TLS_READ_EX),
	OPENSSL("peek", NPT_TLS_PEEK),
	OPENSSL("peek_ex", NPT_TLS_PEEK_EX),
	OPENSSL("write", NPT_TLS_WRITE),
	OPENSSL("write_ex", NPT_TLS_WRITE_EX),
	OPENSSL("write_ex2", NPT_TLS_WRITE_EX2),
	OPENSSL("sendfile", NPT_TLS_SENDFILE),
	OPENSSL("do_handshake", NPT_TLS_HANDSHAKE),
	OPENSSL("shutdown", NPT_TLS_SHUTDOWN),
	OPENSSL("free", NPT_TLS_FREE),
	OPENSSL("set_fd", NPT_TLS_SET_FD),
	OPENSSL("set_rfd", NPT_TLS_SET_FD),
	OPENSSL("set_wfd", NPT_TLS_SET_FD),
	GNUTLS("record_recv", NPT_TLS_READ),
	GNUTLS("record_recv_seq", NPT_TLS_READ),
	GNUTLS("record_send2", NPT_TLS_WRITE),
	GNUTLS("record_send", NPT_TLS_WRITE),
	GNUTLS("handshake", NPT_TLS_HANDSHAKE),
	GNUTLS("bye", NPT_TLS_SHUTDOWN),
	GNUTLS("deinit", NPT_TLS_FREE),
	RUSTLS("_ZN*rustls..conn..*Reader$u20$as$u20$std..io..Read$GT$4read17h*", NPT_TLS_READ),
	RUSTLS("_ZN*rustls..conn..*Writer$u20$as$u20$std..io..Write$GT$5write17h*", NPT_TLS_WRITE),
	RUSTLS("_ZN*rustls..conn..*Reader$u20$as$u20$std..io..BufRead$GT$7consume17h*",
	       NPT_TLS_CONSUME),
	RUSTLS("_ZN6rustls4conn*6Reader16into_first_chunk17h*", NPT_TLS_CHUNK),
	RUSTLS("_RNvX*6rustls4conn*6ReaderNt*2io4Read4read", NPT_TLS_READ),
	RUSTLS("_RNvX*6rustls4conn*6ReaderNt*2io7BufRead7consume", NPT_TLS_CONSUME),
	RUSTLS("_RNvM*6rustls4conn*6Reader16into_first_chunk", NPT_TLS_CHUNK),
	RUSTLS("_RNvX*6rustls4conn*6WriterNt*2io5Write5write", NPT_TLS_WRITE),
};

/* None of them whole, so that this program is not taken for one that has them. */
enum text { TEXT_OPENSSL, TEXT_LIBRESSL, TEXT_SOURCE, TEXT_GNUTLS, TEXT_RUSTLS, TEXTS };
static const char *const texts[TEXTS] = {
	[TEXT_OPENSSL] = "OpenSSL ", [TEXT_LIBRESSL] = "LibreSSL ", [TEXT_SOURCE] = "ssl/ssl_lib.",
	[TEXT_GNUTLS] = "GnuTLS ",   [TEXT_RUSTLS] = "/rustls-",
};

struct look {
	struct npt_tls_library families[FAMILIES];
	char versions[TEXTS][NPT_TLS_VERSION_BYTES];
	bool is_boringssl; /* its source, or its name in what it calls OpenSSL's version */
	bool is_source;
	bool whole; /* all constants were looked at */
};

/* By wanted's order; a function in both tables of symbols, or by two names, is one. */
static void add_function(struct npt_tls_library *library, enum npt_tls_role role, const char *name,
			 const struct npt_elf_symbol *symbol)
{
	struct npt_tls_function *function;

	for (size_t i = 0; i < library->function_count; i++)
		if (library->functions[i].offset == symbol->offset)
			return;
	if (library->function_count == NPT_TLS_FUNCTIONS_MAX)
		return;
	function = &library->functions[library->function_count++];
	*function = (struct npt_tls_function){ .role = role,
					       .offset = symbol->offset,
					       .size_bytes = symbol->size_bytes };
	(void)snprintf(function->name, sizeof(function->name), "%s", name);
}

static void take_function(size_t number, const char *name, const struct npt_elf_symbol *symbol,
			  void *context)
{
	struct look *look = context;

	add_function(&look->families[wanted[number].family], wanted[number].role, name, symbol);
}

/* "3.0.17" and "1.1.1w" at the beginning of a text, with what may follow; else "". */
static bool take_version(const char *text, const char *ends, char *version_ret)
{
	size_t length = strspn(text, "0123456789."), dots = 0;

	for (size_t i = 0; i < length; i++)
		dots += text[i] == '.';
	if (dots < 2 || text[0] < '0' || text[0] > '9')
		return false;
	length += strspn(text + length, "abcdefghijklmnopqrstuvwxyz");
	if (length >= NPT_TLS_VERSION_BYTES || !strchr(ends, text[length]))
		return false;
	memcpy(version_ret, text, length);
	version_ret[length] = '\0';
	return true;
}

static bool take_text(size_t number, const char *text, void *context)
{
	struct look *look = context;
	const char *rest = text + strlen(texts[number]);
	char *version = look->versions[number];

	if (number == TEXT_SOURCE) {
		look->is_boringssl = look->is_boringssl || strncmp(rest, "cc", 2) == 0;
		look->is_source = look->is_source || look->is_boringssl || strcmp(rest, "c") == 0;
		return look->is_source;
	}
	if (number == TEXT_OPENSSL && strstr(text, "compatible; BoringSSL"))
		look->is_boringssl = true;
	return take_version(rest, number == TEXT_RUSTLS ? "/" : "-+ ", version);
}

static bool has_role(const struct npt_tls_library *library, enum npt_tls_role role)
{
	for (size_t i = 0; i < library->function_count; i++)
		if (library->functions[i].role == role)
			return true;
	return false;
}

static bool is_usable(const struct npt_tls_library *library)
{
	return (has_role(library, NPT_TLS_READ) || has_role(library, NPT_TLS_READ_EX) ||
		has_role(library, NPT_TLS_CONSUME)) &&
	       (has_role(library, NPT_TLS_WRITE) || has_role(library, NPT_TLS_WRITE_EX));
}

/* A function that is only a jump to the other one would tell each call twice. */
static void drop_jump(struct npt_tls_library *library, const char *name, const char *other)
{
	size_t at = library->function_count;
	bool both = false;

	for (size_t i = 0; i < library->function_count; i++) {
		const struct npt_tls_function *function = &library->functions[i];

		if (strcmp(function->name, name) == 0 && function->size_bytes <= JUMP_BYTES_MAX)
			at = i;
		both = both || strcmp(function->name, other) == 0;
	}
	if (!both || at == library->function_count)
		return;
	library->function_count--;
	memmove(&library->functions[at], &library->functions[at + 1],
		(library->function_count - at) * sizeof(library->functions[0]));
}

static void say_how(struct npt_tls_library *library, const char *name, bool executable)
{
	if (executable)
		(void)snprintf(library->how, sizeof(library->how),
			       "symbols of the executable (static)");
	else
		(void)snprintf(library->how, sizeof(library->how), "symbols of %.64s", name);
}

static void add_library(struct npt_tls_file *file, const struct npt_tls_library *library)
{
	if (file->count < NPT_TLS_FILE_LIBRARIES)
		file->libraries[file->count++] = *library;
}

static void add_unusable(struct npt_tls_file *file, enum npt_tls_kind kind, uint16_t machine,
			 const char *version, const char *why)
{
	struct npt_tls_library library = { .kind = kind, .machine = machine };

	(void)snprintf(library.version, sizeof(library.version), "%s", version);
	(void)snprintf(library.why, sizeof(library.why), "%s", why);
	add_library(file, &library);
}

static void add_go(struct npt_elf *elf, struct npt_tls_file *file)
{
	static const char *const names[] = {
		"crypto/tls.(*Conn).Read",
		"crypto/tls.(*Conn).Write",
		"crypto/tls.(*Conn).handshakeContext",
		"crypto/tls.(*Conn).Close",
	};
	static const enum npt_tls_role roles[] = { NPT_TLS_READ, NPT_TLS_WRITE, NPT_TLS_HANDSHAKE,
						   NPT_TLS_SHUTDOWN };
	struct npt_tls_library library = { .kind = NPT_TLS_GO, .how = "gopclntab" };
	struct npt_elf_symbol functions[NPT_ARRAY_SIZE(names)];
	struct npt_error err = NPT_ERROR_NONE;

	library.machine = npt_elf_machine(elf);
	if (npt_go_version(elf, library.version, NULL) < 0 && !npt_elf_section(elf, ".gopclntab") &&
	    !npt_elf_section(elf, ".data.rel.ro.gopclntab"))
		return;
	if (npt_gopclntab_find(elf, names, NPT_ARRAY_SIZE(names), functions, &err) < 0) {
		library.how[0] = '\0';
		(void)snprintf(library.why, sizeof(library.why), "a Go program, but %.100s",
			       err.text);
		add_library(file, &library);
		return;
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++)
		if (functions[i].offset != 0)
			add_function(&library, roles[i], names[i], &functions[i]);
	if (is_usable(&library)) /* else it is a program without crypto/tls */
		add_library(file, &library);
}

static void add_ssl(const struct look *look, const char *name, bool executable, uint16_t machine,
		    struct npt_tls_file *file)
{
	struct npt_tls_library library = look->families[FAMILY_SSL];
	bool libressl = look->versions[TEXT_LIBRESSL][0] != '\0';
	const char *version =
		libressl ? look->versions[TEXT_LIBRESSL] : look->versions[TEXT_OPENSSL];

	drop_jump(&library, "SSL_write_ex", "SSL_write_ex2");
	library.kind = look->is_boringssl ? NPT_TLS_BORINGSSL
		       : libressl         ? NPT_TLS_LIBRESSL
					  : NPT_TLS_OPENSSL;
	library.machine = machine;
	if (library.kind == NPT_TLS_BORINGSSL)
		version = ""; /* it has none */
	if (is_usable(&library)) {
		(void)snprintf(library.version, sizeof(library.version), "%s", version);
		say_how(&library, name, executable);
		add_library(file, &library);
	} else if (look->is_source) {
		add_unusable(file, library.kind, machine, version,
			     library.kind == NPT_TLS_BORINGSSL
				     ? "statically linked BoringSSL without symbols"
				     : "statically linked OpenSSL without symbols");
	} else if (version[0] && strncmp(name, "libcrypto", 9) == 0) {
		file->crypto_kind = library.kind;
		(void)snprintf(file->crypto_version, sizeof(file->crypto_version), "%s", version);
	}
}

static void add_gnutls(struct look *look, const char *name, bool executable, uint16_t machine,
		       struct npt_tls_file *file)
{
	struct npt_tls_library *library = &look->families[FAMILY_GNUTLS];

	drop_jump(library, "gnutls_record_send", "gnutls_record_send2");
	if (!is_usable(library))
		return;
	library->kind = NPT_TLS_GNUTLS;
	library->machine = machine;
	memcpy(library->version, look->versions[TEXT_GNUTLS], sizeof(library->version));
	say_how(library, name, executable);
	add_library(file, library);
}

static void add_rustls(const struct look *look, const char *name, bool executable, uint16_t machine,
		       struct npt_tls_file *file)
{
	struct npt_tls_library library = look->families[FAMILY_RUSTLS];
	const char *version = look->versions[TEXT_RUSTLS];

	if (is_usable(&library)) {
		library.kind = NPT_TLS_RUSTLS;
		library.machine = machine;
		(void)snprintf(library.version, sizeof(library.version), "%s", version);
		say_how(&library, name, executable);
		add_library(file, &library);
	} else if (version[0]) {
		add_unusable(file, NPT_TLS_RUSTLS, machine, version,
			     "rustls whose functions have no symbols, or are inlined");
	}
}

enum npt_tls_kind npt_tls_kind_of_name(const char *name)
{
	static const struct {
		const char *prefix;
		enum npt_tls_kind kind;
	} names[] = {
		{ "libssl3.so", NPT_TLS_NSS },   { "libssl", NPT_TLS_OPENSSL },
		{ "libgnutls-", NPT_TLS_KINDS }, { "libgnutls", NPT_TLS_GNUTLS },
		{ "libjvm.so", NPT_TLS_JSSE },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(names); i++)
		if (strncmp(name, names[i].prefix, strlen(names[i].prefix)) == 0)
			return names[i].kind;
	return NPT_TLS_KINDS;
}

/* Probes are for the machine's own instructions. */
static void check_machine(struct npt_tls_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		struct npt_tls_library *library = &file->libraries[i];

		if (library->function_count == 0 || library->machine == OWN_MACHINE)
			continue;
		library->function_count = 0;
		library->how[0] = '\0';
		(void)snprintf(library->why, sizeof(library->why),
			       "made for another machine than this one");
	}
}

static int look_into(struct npt_elf *elf, struct look *look, struct npt_error *err)
{
	const char *names[NPT_ARRAY_SIZE(wanted)];
	int rc;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(wanted); i++)
		names[i] = wanted[i].name;
	rc = npt_elf_find_functions(elf, names, NPT_ARRAY_SIZE(names), take_function, look, err);
	if (rc < 0)
		return rc;
	rc = npt_elf_find_texts(elf, texts, TEXTS, SCAN_BYTES_MAX, take_text, look, err);
	look->whole = rc == 1;
	return rc < 0 ? rc : 0;
}

void npt_tls_analyse(int fd, const char *name, bool executable, struct npt_tls_file *file_ret)
{
	npt_auto(npt_elf_free) struct npt_elf *elf = NULL;
	enum npt_tls_kind kind = npt_tls_kind_of_name(name);
	bool matters = executable || kind != NPT_TLS_KINDS;
	struct npt_error err = NPT_ERROR_NONE;
	struct look look = { .whole = false };
	uint16_t machine;

	*file_ret = (struct npt_tls_file){ .count = 0 };
	if (npt_elf_open(fd, &elf, &err) < 0) {
		if (matters)
			add_unusable(file_ret, kind == NPT_TLS_KINDS ? NPT_TLS_KIND_UNKNOWN : kind,
				     0, "", err.text);
		return;
	}
	machine = npt_elf_machine(elf);
	if (npt_elf_is_packed(elf)) {
		add_unusable(file_ret, NPT_TLS_KIND_UNKNOWN, machine, "",
			     "packed by UPX: what runs is not what is in the file");
		return;
	}
	if (kind == NPT_TLS_JSSE)
		add_unusable(file_ret, kind, machine, "",
			     "JSSE is compiled at run time: no place for a probe");
	if (kind == NPT_TLS_NSS)
		add_unusable(file_ret, kind, machine, "",
			     "NSS reads and writes by NSPR's functions, which are not only TLS's");
	/* GnuTLS behind OpenSSL's names: GnuTLS itself is there, too. */
	if (kind == NPT_TLS_JSSE || kind == NPT_TLS_NSS || strncmp(name, "libgnutls-", 10) == 0)
		return;
	add_go(elf, file_ret);
	if (look_into(elf, &look, &err) < 0) {
		if (matters)
			add_unusable(file_ret, NPT_TLS_KIND_UNKNOWN, machine, "", err.text);
		return;
	}
	add_ssl(&look, name, executable, machine, file_ret);
	add_gnutls(&look, name, executable, machine, file_ret);
	add_rustls(&look, name, executable, machine, file_ret);
	if (executable && !look.whole && file_ret->count == 0)
		add_unusable(file_ret, NPT_TLS_KIND_UNKNOWN, machine, "",
			     "only the first 64 MiB of its constants were looked through");
	check_machine(file_ret);
}
