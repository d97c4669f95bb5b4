/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A function for each kind of instruction, which is its first: to be probed, and called without
 * arguments. Of the machine that it is compiled for; empty on others than x86-64.
 */
#include <stddef.h>

struct site_kind {
	const char *name;
	void (*function)(void);
};

extern const struct site_kind site_kinds[];
extern const size_t site_kinds_count;
