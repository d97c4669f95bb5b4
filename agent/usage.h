/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Usage - what this process itself has used so far.
 */
#include <stdint.h>

/* User and system time of all threads since the start. */
uint64_t npt_usage_cpu_ns(void);
/* Resident set; what is mapped of BPF maps is part of it. */
uint64_t npt_usage_rss_bytes(void);
