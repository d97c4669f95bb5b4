/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which programs load and attach is decided by what the kernel has, never by its version: a program
 * whose hook is missing is left out and its metric becomes unavailable.
 *
 * Trampolines are tried with an empty program: BTF may list a function, and the kernel (or a
 * security module) refuse to hook it all the same.
 */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "agent/probe/probe_private.h"
#include "agent/probe/uprobe_multi.h"
#include "lib/core/alloc.h"

/* enum npt_call_kind in bpf/slices.bpf.h. */
enum { CALL_READ = 1, CALL_ACCEPT = 2, CALL_CLOSE = 3 };

static const struct {
	long number;
	__u8 kind;
} timed_calls[] = {
	{ SYS_read, CALL_READ },      { SYS_readv, CALL_READ },    { SYS_recvfrom, CALL_READ },
	{ SYS_recvmsg, CALL_READ },   { SYS_recvmmsg, CALL_READ }, { SYS_accept, CALL_ACCEPT },
	{ SYS_accept4, CALL_ACCEPT }, { SYS_close, CALL_CLOSE },
};

/* enum npt_call_shape in bpf/messages.bpf.h. */
enum { SHAPE_BUFFER = 1, SHAPE_VECTOR = 2, SHAPE_MESSAGE = 3 };

static const struct {
	long number;
	__u8 shape;
} shaped_calls[] = {
	{ SYS_read, SHAPE_BUFFER },      { SYS_write, SHAPE_BUFFER },
	{ SYS_recvfrom, SHAPE_BUFFER },  { SYS_sendto, SHAPE_BUFFER },
	{ SYS_readv, SHAPE_VECTOR },     { SYS_writev, SHAPE_VECTOR },
	{ SYS_recvmsg, SHAPE_MESSAGE },  { SYS_sendmsg, SHAPE_MESSAGE },
	{ SYS_recvmmsg, SHAPE_MESSAGE }, { SYS_sendmmsg, SHAPE_MESSAGE },
};

int npt_probe_explain_load(int r, struct npt_error *err)
{
	if (r == -EPERM)
		return npt_error_set(err, EPERM,
				     "loading BPF programs was refused: run as root, or with the "
				     "capabilities BPF and PERFMON");
	return npt_error_set(
		err, EOPNOTSUPP,
		"the kernel refused the BPF programs (%s); --log-level debug shows its "
		"words",
		npt_errno_name(-r));
}

static bool can_trampoline(const struct npt_features *features)
{
	static const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_load_opts options;
	npt_auto_close int program = -1;
	npt_auto_close int link = -1;

	memset(&options, 0, sizeof(options)); /* libbpf looks at the padding too */
	options.sz = sizeof(options);
	options.expected_attach_type = BPF_TRACE_FENTRY;
	options.attach_btf_id = npt_features_function(features, NPT_FUNCTION_SENDMSG);
	if (!options.attach_btf_id)
		return false;
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "npt_nothing", "GPL", nothing,
				NPT_ARRAY_SIZE(nothing), &options);
	if (program < 0)
		return false;
	link = bpf_raw_tracepoint_open(NULL, program);
	return link >= 0;
}

/* A program that makes a dynptr of a packet: a kernel may have the function, and not for tracing.
 */
static bool can_read_packets(const struct npt_features *features)
{
	__s32 function = (__s32)npt_features_function(features, NPT_FUNCTION_DYNPTR);
	const struct bpf_insn make_dynptr[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_1 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2 },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_X,
		  .dst_reg = BPF_REG_3,
		  .src_reg = BPF_REG_10 },
		{ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -16 },
		{ .code = BPF_JMP | BPF_CALL, .src_reg = BPF_PSEUDO_KFUNC_CALL, .imm = function },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_load_opts options;
	npt_auto_close int program = -1;

	memset(&options, 0, sizeof(options)); /* libbpf looks at the padding too */
	options.sz = sizeof(options);
	options.expected_attach_type = BPF_TRACE_RAW_TP;
	options.attach_btf_id = npt_features_tracepoint_id(features, NPT_TRACEPOINT_COPY);
	if (!options.attach_btf_id || !function)
		return false;
	program = bpf_prog_load(BPF_PROG_TYPE_TRACING, "npt_packets", "GPL", make_dynptr,
				NPT_ARRAY_SIZE(make_dynptr), &options);
	return program >= 0;
}

static bool has(const struct npt_probe *probe, enum npt_tracepoint tracepoint, int arguments)
{
	return npt_features_tracepoint(probe->features, tracepoint) >= arguments;
}

static void look_at_losses(struct npt_probe *probe)
{
	struct npt_probe_abilities *abilities = &probe->abilities;

	abilities->drops = has(probe, NPT_TRACEPOINT_FREE_SKB, 3);
	abilities->drop_receivers = has(probe, NPT_TRACEPOINT_FREE_SKB, 4);
	abilities->resets = has(probe, NPT_TRACEPOINT_SEND_RESET, 2) &&
			    has(probe, NPT_TRACEPOINT_RECEIVE_RESET, 1);
	abilities->reset_reasons = has(probe, NPT_TRACEPOINT_SEND_RESET, 3);
	abilities->tail_loss = has(probe, NPT_TRACEPOINT_RETRANSMIT, 2);
}

static int look_at_operations(struct npt_probe *probe, struct npt_error *err)
{
	struct npt_probe_abilities *abilities = &probe->abilities;

	abilities->lengths = has(probe, NPT_TRACEPOINT_SEND_LENGTH, 3);
	abilities->trampolines = !probe->options.no_trampolines && can_trampoline(probe->features);
	abilities->operations = abilities->lengths || abilities->trampolines;
	abilities->write_begin =
		abilities->trampolines || has(probe, NPT_TRACEPOINT_SEND_LOCKED, 1);
	abilities->data_ready = has(probe, NPT_TRACEPOINT_DATA_READY, 1);
	abilities->splice = has(probe, NPT_TRACEPOINT_SPACE_ADJUST, 1);
	if (!abilities->operations && probe->options.operations)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel lacks the tracepoint sock_send_length (6.3+) and "
				     "refuses fentry: leave out the layer Operations (--layers "
				     "Base)");
	return 0;
}

/* Both directions, by packets and the begin of writes, or by what operations have read and written.
 */
static void look_at_messages(struct npt_probe *probe)
{
	struct npt_probe_abilities *abilities = &probe->abilities;

	abilities->packets = can_read_packets(probe->features);
	abilities->messages =
		abilities->packets && (probe->options.operations || abilities->write_begin);
}

static void look_at_tls_calls(struct npt_probe *probe)
{
	struct npt_probe_abilities *abilities = &probe->abilities;

	abilities->tls_calls = abilities->messages && npt_uprobe_multi_is_there();
}

int npt_probe_look(struct npt_probe *probe, struct npt_error *err)
{
	int r;

	if (!has(probe, NPT_TRACEPOINT_SET_STATE, 3))
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel lacks the tracepoint inet_sock_set_state (4.16+)");
	/* Socket storage is older, its use in tracing is not; task storage came with that. */
	r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);
	if (r == -EPERM)
		return npt_probe_explain_load(r, err);
	if (r != 1)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel lacks socket storage for tracing (5.11+)");
	look_at_losses(probe);
	if (probe->options.operations || probe->options.protocol)
		r = look_at_operations(probe, err);
	else
		r = 0;
	if (r >= 0 && probe->options.protocol)
		look_at_messages(probe);
	if (r >= 0 && probe->options.tls)
		look_at_tls_calls(probe);
	return r;
}

/* The first hooks are those of the layer Base. */
#define BASE_HOOKS 6

struct choice {
	struct bpf_program *program;
	bool wanted;
};

static bool function(const struct npt_probe *probe, enum npt_function id)
{
	return npt_features_function(probe->features, id) != 0;
}

/* Everything that hooks something, in the order in which it is attached: ends before begins. */
static size_t list_hooks(struct npt_probe *probe, struct choice choices[NPT_PROBE_HOOKS_MAX])
{
	const struct npt_probe_abilities *can = &probe->abilities;
	bool operations = probe->options.operations;
	bool protocol = probe->options.protocol && can->messages;
	bool trampolines = operations && can->trampolines;
	bool begins = (operations || protocol) && can->write_begin;
	bool ends = trampolines && !can->lengths;
	__typeof__(probe->skeleton->progs) *programs = &probe->skeleton->progs;
	const struct choice all[] = {
		{ programs->npt_set_state, true },
		{ programs->npt_state_twin, true },
		{ programs->npt_drop, can->drops },
		{ programs->npt_send_reset, can->resets },
		{ programs->npt_receive_reset, can->resets },
		{ programs->npt_retransmit, can->tail_loss },
		{ programs->npt_write_end, operations && can->lengths },
		{ programs->npt_read_end, operations && can->lengths },
		{ programs->npt_read_spliced, operations && can->splice },
		{ programs->npt_send_end, ends },
		{ programs->npt_send6_end, ends && function(probe, NPT_FUNCTION_SENDMSG6) },
		{ programs->npt_sendpage_end, ends && function(probe, NPT_FUNCTION_SENDPAGE) },
		{ programs->npt_recv_end, ends },
		{ programs->npt_recv6_end, ends && function(probe, NPT_FUNCTION_RECVMSG6) },
		{ programs->npt_accept_end, trampolines && function(probe, NPT_FUNCTION_ACCEPT) },
		{ programs->npt_close_end, trampolines && function(probe, NPT_FUNCTION_RELEASE) },
		{ programs->npt_close_begin, trampolines && function(probe, NPT_FUNCTION_RELEASE) },
		{ programs->npt_data_ready, operations && can->data_ready },
		{ programs->npt_copied, protocol && can->packets },
		{ programs->npt_tls_fork, protocol && can->tls_calls },
		{ programs->npt_tls_exec, protocol && can->tls_calls },
		{ programs->npt_write_begin, begins && !can->trampolines },
		{ programs->npt_send_begin, begins && can->trampolines },
		{ programs->npt_send6_begin,
		  begins && can->trampolines && function(probe, NPT_FUNCTION_SENDMSG6) },
		{ programs->npt_recv_begin, trampolines },
		{ programs->npt_recv6_begin,
		  trampolines && function(probe, NPT_FUNCTION_RECVMSG6) },
	};

	_Static_assert(NPT_ARRAY_SIZE(all) <= NPT_PROBE_HOOKS_MAX, "room for all hooks");
	memcpy(choices, all, sizeof(all));
	return NPT_ARRAY_SIZE(all);
}

static void set_constants(struct npt_probe *probe)
{
	const struct npt_features *features = probe->features;
	__typeof__(probe->skeleton->rodata) rodata = probe->skeleton->rodata;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(timed_calls); i++)
		rodata->npt_call_kinds[timed_calls[i].number] = timed_calls[i].kind;
	for (size_t i = 0; i < NPT_ARRAY_SIZE(shaped_calls); i++)
		rodata->npt_call_shapes[shaped_calls[i].number] = shaped_calls[i].shape;
	rodata->npt_layer_operations = probe->options.operations;
	rodata->npt_layer_protocol = probe->options.protocol && probe->abilities.messages;
	rodata->npt_layer_tls = probe->options.tls && probe->abilities.tls_calls;
	rodata->npt_splice_number = SYS_splice;
	rodata->npt_sendto_number = SYS_sendto;
	rodata->npt_sendmsg_number = SYS_sendmsg;
	rodata->npt_sendmmsg_number = SYS_sendmmsg;
	rodata->npt_reason_not_specified = npt_features_reason(features, "NOT_SPECIFIED");
	rodata->npt_reason_queue_purge = npt_features_reason(features, "QUEUE_PURGE");
	rodata->npt_reason_consumed = npt_features_reason(features, "SKB_CONSUMED");
	rodata->npt_reason_tcp_close = npt_features_reason(features, "TCP_CLOSE");
	rodata->npt_drop_arguments =
		(__u32)npt_features_tracepoint(features, NPT_TRACEPOINT_FREE_SKB);
	rodata->npt_reset_arguments =
		(__u32)npt_features_tracepoint(features, NPT_TRACEPOINT_SEND_RESET);
	rodata->npt_retransmit_arguments =
		(__u32)npt_features_tracepoint(features, NPT_TRACEPOINT_RETRANSMIT);
	rodata->npt_sees_write_begin = probe->abilities.write_begin;
}

/* These are attached by the process, to its libraries; our libbpf knows no section's name for it.
 */
static void choose_tls_calls(struct npt_probe *probe)
{
	const struct npt_probe_abilities *can = &probe->abilities;
	struct npt_bpf_measure *skeleton = probe->skeleton;
	struct bpf_program *const all[] = {
		skeleton->progs.npt_tls_call_begin,
		skeleton->progs.npt_tls_call_end,
		skeleton->progs.npt_tls_go_write,
		skeleton->progs.npt_tls_free,
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(all); i++) {
		(void)bpf_program__set_autoload(all[i], can->tls_calls);
		(void)bpf_program__set_expected_attach_type(
			all[i], (enum bpf_attach_type)NPT_ATTACH_UPROBE_MULTI);
	}
	if (can->tls_calls)
		return;
	(void)bpf_map__set_max_entries(skeleton->maps.npt_tls_sessions, 1);
	(void)bpf_map__set_max_entries(skeleton->maps.npt_tls_unassigned, 1);
	(void)bpf_map__set_max_entries(skeleton->maps.npt_tls_told, 1);
	(void)bpf_map__set_max_entries(skeleton->maps.npt_tls_processes,
				       (__u32)sysconf(_SC_PAGESIZE));
}

void npt_probe_choose(struct npt_probe *probe)
{
	struct npt_bpf_measure *skeleton = probe->skeleton;
	bool slices = probe->options.operations && !probe->abilities.trampolines;
	struct choice choices[NPT_PROBE_HOOKS_MAX];
	size_t count = list_hooks(probe, choices);

	for (size_t i = 0; i < count; i++)
		(void)bpf_program__set_autoload(choices[i].program, choices[i].wanted);
	(void)bpf_program__set_autoload(skeleton->progs.npt_sys_enter, slices);
	(void)bpf_program__set_autoload(skeleton->progs.npt_sys_exit, slices);
	choose_tls_calls(probe);
	set_constants(probe);
}

static int attach(struct bpf_program *program, struct bpf_link **link_ret, struct npt_error *err)
{
	struct bpf_link *link = bpf_program__attach(program);

	if (!link)
		return npt_error_set(err, errno == EPERM || errno == EACCES ? EPERM : EOPNOTSUPP,
				     "cannot attach %s: %s", bpf_program__name(program),
				     npt_errno_name(errno));
	*link_ret = link;
	return 0;
}

int npt_probe_attach(struct npt_probe *probe, enum npt_probe_link id, struct bpf_program *program,
		     struct npt_error *err)
{
	return attach(program, &probe->links[id], err);
}

int npt_probe_attach_hooks(struct npt_probe *probe, struct npt_error *err)
{
	struct choice choices[NPT_PROBE_HOOKS_MAX];
	size_t count = list_hooks(probe, choices);
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		if (choices[i].wanted)
			r = attach(choices[i].program, &probe->hooks[i], err);
	}
	return r;
}

void npt_probe_stop_operations(struct npt_probe *probe)
{
	for (int i = NPT_PROBE_HOOKS_MAX - 1; i >= BASE_HOOKS; i--) {
		(void)bpf_link__destroy(probe->hooks[i]);
		probe->hooks[i] = NULL;
	}
}
