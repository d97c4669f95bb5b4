/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is spoken: the kernel labels edges and tells records of TLS handshakes; what those say of
 * the inside is written back to the label, which both sides change by compare and exchange.
 */
#include <errno.h>

#include <bpf/bpf.h>

#include "agent/probe/probe_private.h"

#define FIRST_BYTES __builtin_offsetof(struct npt_bpf_tls_event, bytes)

static int take_event(void *context, void *data, size_t size_bytes)
{
	struct npt_probe *probe = context;
	const struct npt_bpf_tls_event *event = data;

	if (size_bytes >= FIRST_BYTES && event->captured_bytes <= size_bytes - FIRST_BYTES)
		probe->tell_tls(probe->tell_context, event);
	return 0;
}

static int take_process(void *context, void *data, size_t size_bytes)
{
	struct npt_probe *probe = context;
	const struct npt_bpf_tls_process *process = data;

	if (size_bytes >= sizeof(*process))
		probe->tell_process(probe->tell_process_context, process);
	return 0;
}

int npt_probe_open_tls(struct npt_probe *probe, struct npt_error *err)
{
	if (!probe->options.protocol)
		return 0;
	probe->tls_events = ring_buffer__new(bpf_map__fd(probe->skeleton->maps.npt_tls_events),
					     take_event, probe, NULL);
	if (!probe->tls_events)
		return npt_error_set(err, errno, "cannot read TLS handshakes: %s",
				     npt_errno_name(errno));
	if (!probe->skeleton->rodata->npt_layer_tls)
		return 0;
	probe->tls_processes = ring_buffer__new(
		bpf_map__fd(probe->skeleton->maps.npt_tls_processes), take_process, probe, NULL);
	if (!probe->tls_processes)
		return npt_error_set(err, errno, "cannot read which processes use TLS: %s",
				     npt_errno_name(errno));
	return 0;
}

int npt_probe_tls_program(const struct npt_probe *probe, enum npt_tls_program program)
{
	const __typeof__(probe->skeleton->progs) *programs = &probe->skeleton->progs;
	const struct bpf_program *const all[NPT_TLS_PROGRAMS] = {
		[NPT_TLS_PROGRAM_BEGIN] = programs->npt_tls_call_begin,
		[NPT_TLS_PROGRAM_END] = programs->npt_tls_call_end,
		[NPT_TLS_PROGRAM_GO_WRITE] = programs->npt_tls_go_write,
		[NPT_TLS_PROGRAM_FREE] = programs->npt_tls_free,
	};
	int fd = program < NPT_TLS_PROGRAMS ? bpf_program__fd(all[program]) : -1;

	return fd < 0 ? -1 : fd;
}

int npt_probe_tls_processes_fd(const struct npt_probe *probe)
{
	return probe->tls_processes ? ring_buffer__epoll_fd(probe->tls_processes) : -1;
}

void npt_probe_read_tls_processes(struct npt_probe *probe, npt_probe_tell_process *tell,
				  void *context)
{
	if (!probe->tls_processes)
		return;
	probe->tell_process = tell;
	probe->tell_process_context = context;
	(void)ring_buffer__consume(probe->tls_processes);
}

uint64_t npt_probe_tls_unassigned(const struct npt_probe *probe, uint32_t pid, uint64_t start_ns)
{
	const struct npt_bpf_process_key key = { .start_ns = start_ns, .pid = pid };
	__s64 calls = 0;

	(void)bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.npt_tls_unassigned), &key,
				  &calls);
	return calls > 0 ? (uint64_t)calls : 0; /* one whose coming found no room may have gone */
}

void npt_probe_forget_tls_unassigned(struct npt_probe *probe, uint32_t pid, uint64_t start_ns)
{
	const struct npt_bpf_process_key key = { .start_ns = start_ns, .pid = pid };

	(void)bpf_map_delete_elem(bpf_map__fd(probe->skeleton->maps.npt_tls_unassigned), &key);
}

void npt_probe_read_tls(struct npt_probe *probe, npt_probe_tell_tls *tell, void *context)
{
	if (!probe->tls_events)
		return;
	probe->tell_tls = tell;
	probe->tell_context = context;
	(void)ring_buffer__consume(probe->tls_events);
}

static bool is_http(uint32_t protocol)
{
	return protocol == NPT_PROTOCOL_HTTP || protocol == NPT_PROTOCOL_HTTP1 ||
	       protocol == NPT_PROTOCOL_HTTP2;
}

/* 0: it stays what it is. */
static uint32_t renamed(uint32_t label, uint32_t protocol, uint32_t confidence_percent)
{
	uint32_t now = NPT_LABEL_PROTOCOL(label);

	if (NPT_LABEL_TLS(label) != NPT_BPF_TLS_YES ||
	    (label & (NPT_LABEL_FINAL | NPT_LABEL_READ)) || now == protocol)
		return 0;
	if (now == NPT_PROTOCOL_UNKNOWN)
		return NPT_LABEL(protocol, NPT_BPF_TLS_YES, confidence_percent);
	if (!is_http(now) || !is_http(protocol) || now == NPT_PROTOCOL_HTTP)
		return 0;
	return NPT_LABEL(NPT_PROTOCOL_HTTP, NPT_BPF_TLS_YES, confidence_percent);
}

void npt_probe_name_inner(struct npt_probe *probe, uint32_t slot, uint32_t protocol,
			  uint32_t confidence_percent)
{
	struct npt_bpf_speech *speech = &probe->speeches[slot % NPT_SLOTS_MAX];
	uint32_t label = __atomic_load_n(&speech->label, __ATOMIC_RELAXED), now;

	do {
		now = renamed(label, protocol, confidence_percent);
	} while (now && !__atomic_compare_exchange_n(&speech->label, &label, now, false,
						     __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}
