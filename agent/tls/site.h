/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Site - where in a function a uprobe is cheap and still sees the arguments: the first instruction
 * on the way from the entry that the kernel emulates, is executed once per call whatever the call
 * does, and has the argument registers as the caller left them.
 *
 * Pure: bytes in, an offset out. The bytes are another program's and may be anything.
 */
#include "agent/tls/instruction.h"
#include "lib/core/error.h"

enum npt_convention {
	NPT_CONVENTION_C,  /* System V, AAPCS64 */
	NPT_CONVENTION_GO, /* Go's registers, 1.17+ (arm64: 1.18+); with g */
};

struct npt_site_options {
	enum npt_architecture architecture;
	enum npt_convention convention;
	unsigned arguments;    /* how many integer or pointer arguments are wanted in registers */
	uint32_t distance_max; /* bytes to walk from the entry; 0: 160 */
	bool long_nops;        /* this kernel emulates NPT_UPROBE_LONG_NOP */
	bool returns;          /* the probe is a return probe or a session: see npt_site.returns */
	bool naive;            /* the entry, whatever it costs: for comparison */
};

struct npt_site {
	uint32_t offset;     /* bytes from the entry: the distance walked */
	enum npt_uprobe how; /* never NPT_UPROBE_REFUSED; STEPPED: an expensive one */
	bool nop5;           /* the kernel may optimise it (x86-64, 6.18+) */
	bool repeats;        /* the function jumps back to it: may be hit twice in one call */
	/*
	 * The kernel finds the caller there: uretprobes and sessions replace the return address
	 * that is at the stack pointer (x86-64) or in x30 (arm64), so anywhere else they would
	 * overwrite what the function has saved, and crash it.
	 */
	bool returns;
	int32_t stack_change;     /* the stack pointer there less that at the entry, bytes, <= 0 */
	uint32_t looked_at_bytes; /* how much of the function was seen for jumps back */
};

#define NPT_SITE_CODE_BYTES_MAX (256 * 1024) /* more is not looked at */

/*
 * code: the function from its entry, best all of it (to see jumps back), at least 256 bytes if it
 * has them. Go's functions begin again after their stack has grown, so all of them is needed.
 * If nothing within the distance is emulated and executed once, it is the first instruction that
 * takes a probe, and "how" and "repeats" say how bad that is.
 *
 * -EBADMSG: the entry cannot be read; -EOPNOTSUPP: a uprobe can be nowhere in it; -ENODATA: the
 * check of the stack in a Go function leads to code that was not given.
 */
int npt_site_choose(const uint8_t *code, size_t size_bytes, const struct npt_site_options *options,
		    struct npt_site *site_ret, struct npt_error *err);

/*
 * The function that does the work of a thin wrapper, which hands the arguments on: OpenSSL 3's
 * SSL_read and SSL_read_ex both call one that begins with a push, so that a session there costs a
 * tenth of one on the wrapper. It is the first function that is called, or jumped to, while the
 * wanted registers are as at the entry, on the way on which no branch is taken. callee_ret: its
 * entry less this one's, bytes. -ENOENT: there is none.
 *
 * An int that is extended on the way is written: ask for the arguments before it only. What else
 * the function is called by, and whether it is in the file at all (not a PLT's entry), is the
 * caller's to see; that two wrappers lead to the same one is a good sign.
 */
int npt_site_callee(const uint8_t *code, size_t size_bytes, const struct npt_site_options *options,
		    int64_t *callee_ret, struct npt_error *err);

/* The registers of the first arguments, as a mask; more than there are gives all. */
uint32_t npt_site_arguments(enum npt_architecture architecture, enum npt_convention convention,
			    unsigned count);

/*
 * Offsets of all return instructions of a function, in order; count_ret may be more than max, of
 * which the first max are there. To be reported, not to be probed: a return is single-stepped.
 * -EBADMSG: the code cannot be read to its end, as there is data in it.
 */
int npt_site_returns(enum npt_architecture architecture, const uint8_t *code, size_t size_bytes,
		     uint32_t *offsets, size_t max, size_t *count_ret, struct npt_error *err);
