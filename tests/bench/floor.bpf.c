/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Floor - programs that do nothing, on the hooks that Operations uses: what no tool can go below.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("tp_btf/sock_send_length")
int floor_send(void *ctx)
{
	return 0;
}

SEC("tp_btf/sock_recv_length")
int floor_recv(void *ctx)
{
	return 0;
}

SEC("tp_btf/tcp_sendmsg_locked")
int floor_begin(void *ctx)
{
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
