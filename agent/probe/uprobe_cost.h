/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Uprobe cost - what a probe on a TLS library's call adds to it on this machine, measured on
 * functions of our own: it differs twentyfold between machines and between instructions.
 */
#include "agent/probe/probe.h"

struct npt_uprobe_cost {
	uint32_t call_ns;         /* begin and result, on an instruction that is emulated */
	uint32_t stepped_call_ns; /* on one that is single-stepped */
};

/* 0: could not be measured. Takes some 50 ms, most of it the kernel's own for setting probes. */
struct npt_uprobe_cost npt_uprobe_cost_measure(const struct npt_probe *probe);
