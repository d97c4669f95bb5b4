/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Measure - all that runs in the kernel, one object.
 *
 * A socket in scope carries an entry (connection.bpf.h); an entry belongs to an edge; an edge has a
 * slot of counters in memory that the agent maps (edge.bpf.h). Nothing is sent as an event.
 *
 *	lifecycle   connect, establish, close       always
 *	loss        drops, resets                   always
 *	operations  reads and writes                layer Operations
 *	messages    what is spoken                  layer Protocol
 *	kernel_tls  TLS that the kernel makes       layer Protocol
 *	datagrams   the same of UDP                 layer Operations
 *	turns       response and unread times       layer Operations
 *	trampolines begins of operations            layer Operations, where fentry is to be had
 *	slices      the same by system calls        elsewhere, a fraction of the time
 *	members     fork, exit                      only for scopes that are sets of processes
 *	walk        older sockets; fold             when the agent asks
 */
#include "bpf/connection.bpf.h"
#include "bpf/slices.bpf.h"

#include "bpf/lifecycle.bpf.h"
#include "bpf/loss.bpf.h"
#include "bpf/members.bpf.h"
#include "bpf/operations.bpf.h"
#include "bpf/trampolines.bpf.h"
#include "bpf/walk.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
