/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * gopclntab - the table of functions that each Go program carries for its own stack traces. It is
 * there in stripped programs, too.
 */
#include "agent/tls/elf_file.h"

#define NPT_GO_VERSION_BYTES 32

/* "1.22.4" of a Go program, by its build information. -ENOENT if it is none. */
int npt_go_version(struct npt_elf *elf, char version_ret[NPT_GO_VERSION_BYTES],
		   struct npt_error *err);
/*
 * Looks for functions by their whole names ("crypto/tls.(*Conn).Read"). functions[i] is set for
 * each one that is found, the others are zeroed; size_bytes reaches to the next function. -ENOENT
 * without a table, -EBADMSG if it contradicts itself.
 */
int npt_gopclntab_find(struct npt_elf *elf, const char *const *names, size_t count,
		       struct npt_elf_symbol *functions, struct npt_error *err);
