/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The classifier alone, to be run by BPF_PROG_TEST_RUN: state and message are global variables, and
 * the state afterwards, too. Only for tests.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/protocol/classify.h"

#define ROUNDS 1000

struct npt_bpf_classified npt_now;
struct npt_bpf_message npt_message;
__u64 npt_spent_ns;

SEC("syscall")
int npt_classify(void *context)
{
	return npt_protocol_next(&npt_now, &npt_message);
}

/* The same a thousand times from the same state, to see how long it takes. */
SEC("syscall")
int npt_classify_time(void *context)
{
	struct npt_bpf_classified begin = npt_now, now;
	__u64 start = bpf_ktime_get_ns();

	for (int i = 0; i < ROUNDS; i++) {
		now = begin;
		npt_protocol_next(&now, &npt_message);
	}
	npt_spent_ns = (bpf_ktime_get_ns() - start) / ROUNDS;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
