/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS library - which ones a process uses, and where in their files the functions are.
 *
 * Thread: one at a time per cache. A library that cannot be handled has no functions and a reason.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"

#define NPT_TLS_FUNCTIONS_MAX     24
#define NPT_TLS_FUNCTION_BYTES    96
#define NPT_TLS_VERSION_BYTES     32
#define NPT_TLS_TEXT_BYTES        160
#define NPT_TLS_PATH_BYTES        512
#define NPT_TLS_FILE_LIBRARIES    4  /* in one file */
#define NPT_TLS_PROCESS_LIBRARIES 16 /* in one process */

enum npt_tls_kind {
	NPT_TLS_KIND_UNKNOWN,
	NPT_TLS_OPENSSL,
	NPT_TLS_BORINGSSL,
	NPT_TLS_LIBRESSL,
	NPT_TLS_GNUTLS,
	NPT_TLS_GO,
	NPT_TLS_RUSTLS,
	NPT_TLS_NSS,
	NPT_TLS_JSSE,
	NPT_TLS_KINDS,
};

/*
 * What a function does. All names of one role have the same arguments (OpenSSL's family and GnuTLS:
 * session first, then buffer and size; Go: receiver and slice, in Go's own registers; rustls:
 * reader or writer, buffer, size, and it returns 0 and the bytes in two registers). A function may
 * call another one of the list: only the outermost counts.
 */
enum npt_tls_role {
	NPT_TLS_READ,    /* returns the bytes, or <= 0 */
	NPT_TLS_READ_EX, /* returns 1, the bytes by the fourth argument */
	NPT_TLS_PEEK,    /* like READ, but what it gives is read again later */
	NPT_TLS_PEEK_EX,
	NPT_TLS_WRITE,     /* returns the bytes, or <= 0 */
	NPT_TLS_WRITE_EX,  /* returns 1, the bytes by the fourth argument */
	NPT_TLS_WRITE_EX2, /* the same with flags as the fourth, the bytes by the fifth (3.3) */
	NPT_TLS_SENDFILE,  /* session, descriptor, offset, size, flags; returns the bytes; kTLS only
			    */
	NPT_TLS_HANDSHAKE, /* session */
	NPT_TLS_SHUTDOWN,  /* session */
	NPT_TLS_FREE,      /* session; it may be another one's address afterwards */
	NPT_TLS_SET_FD,    /* session, descriptor: OpenSSL's SSL_set_fd, _rfd, _wfd */
	NPT_TLS_CONSUME,   /* rustls: reader, bytes; they were read out of the last chunk */
	NPT_TLS_CHUNK,     /* rustls: reader; returns address (0: none) and size in two registers */
	NPT_TLS_ROLES,
};

struct npt_tls_function {
	enum npt_tls_role role;
	uint64_t offset; /* in the file */
	uint64_t size_bytes;
	char name[NPT_TLS_FUNCTION_BYTES]; /* cut */
};

struct npt_tls_library {
	enum npt_tls_kind kind;
	uint16_t machine;                    /* EM_... of its file */
	char version[NPT_TLS_VERSION_BYTES]; /* "3.0.17"; "" if unknown */
	char how[NPT_TLS_TEXT_BYTES];        /* "symbols of libssl.so.3", "gopclntab" */
	char why[NPT_TLS_TEXT_BYTES];        /* why there are no functions; "" if there are */
	struct npt_tls_function functions[NPT_TLS_FUNCTIONS_MAX];
	size_t function_count;
};

/*
 * Who a file is. Not its build ID: whoever makes a file chooses that, and could make us look up
 * another file's functions in it, and put a probe into the middle of an instruction.
 */
struct npt_tls_file_id {
	uint64_t device, inode, size_bytes;
	int64_t changed_ns; /* st_ctim: by no system call to be set back */
};

bool npt_tls_is_same_file(const struct npt_tls_file_id *left, const struct npt_tls_file_id *right);

/* What is in one file. */
struct npt_tls_file {
	struct npt_tls_library libraries[NPT_TLS_FILE_LIBRARIES];
	size_t count;
	/* It is a libcrypto: the version that belongs to a libssl beside it. "" if it is none. */
	enum npt_tls_kind crypto_kind;
	char crypto_version[NPT_TLS_VERSION_BYTES];
};

/* A library as one process has it. */
struct npt_tls_found {
	struct npt_tls_library library;
	struct npt_tls_file_id file;   /* all zero if the file could not be opened */
	char path[NPT_TLS_PATH_BYTES]; /* as the process sees it; cut */
	uint64_t inode;                /* of the mapping */
	bool executable;               /* the program itself */
};

/* What is known of files, shared by all processes; bounded, the one longest unused goes first. */
struct npt_tls_file_cache;
struct npt_tls_file_cache *npt_tls_file_cache_new(size_t files_max);
void npt_tls_file_cache_free(struct npt_tls_file_cache *cache);
NPT_DEFINE_AUTO(struct npt_tls_file_cache *, npt_tls_file_cache_free)
/* How many files were looked into (and not found in the cache) since it was made. */
uint64_t npt_tls_file_cache_analyses(const struct npt_tls_file_cache *cache);

/*
 * Looks into an open file; its name is without the folder. What it is not understood is a library
 * of an unknown kind with the reason, if it is the program itself or has a TLS library's name.
 */
void npt_tls_analyse(int fd, const char *name, bool executable, struct npt_tls_file *file_ret);

/*
 * All that a process uses, up to NPT_TLS_PROCESS_LIBRARIES. -ESRCH if it is gone, -EPERM; a file
 * that cannot be opened or understood is a line with its reason if its name is one of a TLS
 * library, else nothing.
 */
int npt_tls_libraries_of(struct npt_tls_file_cache *cache, uint32_t pid,
			 struct npt_tls_found found_ret[NPT_TLS_PROCESS_LIBRARIES],
			 size_t *count_ret, struct npt_error *err);
/*
 * The file again, to attach to (as /proc/self/fd/N: a name could lead elsewhere by then). -ESTALE
 * if it is not the same any more.
 */
int npt_tls_found_open(uint32_t pid, const struct npt_tls_found *found, int *fd_ret,
		       struct npt_error *err);
/* The same where the process has not mapped it yet: by its name. */
int npt_tls_found_open_early(uint32_t pid, const struct npt_tls_found *found, int *fd_ret,
			     struct npt_error *err);

const char *npt_tls_kind_name(enum npt_tls_kind kind); /* "OpenSSL", "Go crypto/tls" */
const char *npt_tls_role_name(enum npt_tls_role role); /* "read", "write_ex" */
