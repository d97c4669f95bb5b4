/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's BTF is megabytes in memory, so it is read once and only what was asked is kept.
 *
 * A BTF tracepoint is known to BTF as a typedef btf_trace_<name> of a pointer to its function type,
 * whose first parameter is a void pointer that programs do not see.
 */
#include "agent/probe/features.h"

#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"

#define REASONS_MAX 1024

struct reason {
	uint32_t number;
	char *name; /* without SKB_DROP_REASON_ */
};

struct npt_features {
	int arguments[NPT_TRACEPOINT_COUNT]; /* -1: there is none */
	struct reason *reasons;
	size_t reasons_count;
};

/* The verifier's words are many lines: they go out as they are, on debug only. */
__attribute__((format(printf, 2, 0))) static int print_libbpf(enum libbpf_print_level level,
							      const char *format, va_list args)
{
	if (level == LIBBPF_DEBUG || !npt_log_enabled(NPT_LOG_DEBUG))
		return 0;
	return vfprintf(stderr, format, args);
}

static int count_arguments(const struct btf *kernel, const char *tracepoint)
{
	npt_auto_free char *symbol = npt_format("btf_trace_%s", tracepoint);
	const struct btf_type *type;
	int id = btf__find_by_name_kind(kernel, symbol, BTF_KIND_TYPEDEF);

	if (id <= 0)
		return -1;
	type = btf__type_by_id(kernel, (__u32)id);
	type = btf__type_by_id(kernel, type->type);
	if (!type || btf_kind(type) != BTF_KIND_PTR)
		return -1;
	type = btf__type_by_id(kernel, type->type);
	if (!type || btf_kind(type) != BTF_KIND_FUNC_PROTO)
		return -1;
	return (int)btf_vlen(type) - 1;
}

static void read_tracepoints(struct npt_features *features, const struct btf *kernel)
{
	static const char *const names[NPT_TRACEPOINT_COUNT] = {
		[NPT_TRACEPOINT_SET_STATE] = "inet_sock_set_state",
		[NPT_TRACEPOINT_SEND_LENGTH] = "sock_send_length",
		[NPT_TRACEPOINT_SEND_LOCKED] = "tcp_sendmsg_locked",
		[NPT_TRACEPOINT_FREE_SKB] = "kfree_skb",
	};

	for (size_t i = 0; i < NPT_TRACEPOINT_COUNT; i++)
		features->arguments[i] = count_arguments(kernel, names[i]);
}

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : text;
}

static void read_reasons(struct npt_features *features, const struct btf *kernel)
{
	int id = btf__find_by_name_kind(kernel, "skb_drop_reason", BTF_KIND_ENUM);
	const struct btf_type *type = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;
	size_t count = type ? btf_vlen(type) : 0;

	if (count > REASONS_MAX)
		count = REASONS_MAX;
	features->reasons = npt_alloc(count, sizeof(*features->reasons));
	features->reasons_count = count;
	for (size_t i = 0; i < count; i++) {
		const struct btf_enum *value = &btf_enum(type)[i];
		const char *name = btf__name_by_offset(kernel, value->name_off);

		features->reasons[i].number = (uint32_t)value->val;
		features->reasons[i].name = npt_strdup(skip_prefix(name, "SKB_DROP_REASON_"));
	}
}

int npt_features_new(struct npt_features **features_ret, struct npt_error *err)
{
	npt_auto(npt_features_free) struct npt_features *features = npt_alloc(1, sizeof(*features));
	struct btf *kernel;

	(void)libbpf_set_print(print_libbpf);
	kernel = btf__load_vmlinux_btf();
	if (!kernel)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel has no BTF (/sys/kernel/btf/vmlinux): it needs "
				     "CONFIG_DEBUG_INFO_BTF");
	read_tracepoints(features, kernel);
	read_reasons(features, kernel);
	btf__free(kernel);
	(void)malloc_trim(0);
	*features_ret = npt_take(features);
	return 0;
}

void npt_features_free(struct npt_features *features)
{
	if (!features)
		return;
	for (size_t i = 0; i < features->reasons_count; i++)
		free(features->reasons[i].name);
	free(features->reasons);
	free(features);
}

int npt_features_tracepoint(const struct npt_features *features, enum npt_tracepoint tracepoint)
{
	return features->arguments[tracepoint];
}

void npt_features_reason_name(const struct npt_features *features, uint32_t reason, char *out,
			      size_t size_bytes)
{
	for (size_t i = 0; i < features->reasons_count; i++) {
		if (features->reasons[i].number != reason)
			continue;
		(void)snprintf(out, size_bytes, "%s", features->reasons[i].name);
		return;
	}
	(void)snprintf(out, size_bytes, "REASON_%u", reason);
}

uint32_t npt_features_reason(const struct npt_features *features, const char *name)
{
	for (size_t i = 0; i < features->reasons_count; i++) {
		if (strcmp(features->reasons[i].name, name) == 0)
			return features->reasons[i].number;
	}
	return 0;
}
