/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The classifier alone, to be run by BPF_PROG_TEST_RUN: the state and the message are in a map, the
 * state afterwards, too. Only for tests.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/protocol/classify.h"

struct npt_classify_call {
	struct npt_bpf_classified now;
	struct npt_bpf_message message;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct npt_classify_call);
} npt_call SEC(".maps");

SEC("syscall")
int npt_classify(void *context)
{
	__u32 key = 0;
	struct npt_classify_call *call = bpf_map_lookup_elem(&npt_call, &key);

	if (!call)
		return 0;
	return npt_protocol_next(&call->now, &call->message);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
