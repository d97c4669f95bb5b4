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

#define CODES_MAX 1024

struct code {
	uint32_t number;
	char *name; /* without the enum's own prefix */
};

struct npt_features {
	int arguments[NPT_TRACEPOINT_COUNT]; /* -1: there is none */
	uint32_t tracepoint_ids[NPT_TRACEPOINT_COUNT];
	uint32_t functions[NPT_FUNCTION_COUNT];
	struct {
		struct code *codes;
		size_t count;
	} families[NPT_CODE_FAMILIES];
};

/* The verifier's words are many lines: they go out as they are, on debug only. */
__attribute__((format(printf, 2, 0))) static int print_libbpf(enum libbpf_print_level level,
							      const char *format, va_list args)
{
	if (level == LIBBPF_DEBUG || !npt_log_enabled(NPT_LOG_DEBUG))
		return 0;
	return vfprintf(stderr, format, args);
}

static int count_arguments(const struct btf *kernel, const char *tracepoint, uint32_t *id_ret)
{
	npt_auto_free char *symbol = npt_format("btf_trace_%s", tracepoint);
	const struct btf_type *type;
	int id = btf__find_by_name_kind(kernel, symbol, BTF_KIND_TYPEDEF);

	if (id <= 0)
		return -1;
	*id_ret = (uint32_t)id;
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
		[NPT_TRACEPOINT_DATA_READY] = "sk_data_ready",
		[NPT_TRACEPOINT_SPACE_ADJUST] = "tcp_rcv_space_adjust",
		[NPT_TRACEPOINT_FREE_SKB] = "kfree_skb",
		[NPT_TRACEPOINT_SEND_RESET] = "tcp_send_reset",
		[NPT_TRACEPOINT_RECEIVE_RESET] = "tcp_receive_reset",
		[NPT_TRACEPOINT_RETRANSMIT] = "tcp_retransmit_skb",
		[NPT_TRACEPOINT_COPY] = "skb_copy_datagram_iovec",
	};

	for (size_t i = 0; i < NPT_TRACEPOINT_COUNT; i++)
		features->arguments[i] =
			count_arguments(kernel, names[i], &features->tracepoint_ids[i]);
}

static void read_functions(struct npt_features *features, const struct btf *kernel)
{
	static const char *const names[NPT_FUNCTION_COUNT] = {
		[NPT_FUNCTION_SENDMSG] = "inet_sendmsg",
		[NPT_FUNCTION_SENDMSG6] = "inet6_sendmsg",
		[NPT_FUNCTION_RECVMSG] = "inet_recvmsg",
		[NPT_FUNCTION_RECVMSG6] = "inet6_recvmsg",
		[NPT_FUNCTION_SENDPAGE] = "inet_sendpage",
		[NPT_FUNCTION_ACCEPT] = "inet_accept",
		[NPT_FUNCTION_RELEASE] = "inet_release",
		[NPT_FUNCTION_DYNPTR] = "bpf_dynptr_from_skb",
	};

	for (size_t i = 0; i < NPT_FUNCTION_COUNT; i++) {
		int id = btf__find_by_name_kind(kernel, names[i], BTF_KIND_FUNC);

		features->functions[i] = id > 0 ? (uint32_t)id : 0;
	}
}

/* The enums of one family; a subsystem's values carry its number in their upper half. */
static const struct {
	enum npt_code_family family;
	const char *type;
	const char *prefix;
	const char *module; /* where it may be instead of the kernel itself */
} code_types[] = {
	{ NPT_CODE_DROP, "skb_drop_reason", "SKB_DROP_REASON_", NULL },
	{ NPT_CODE_DROP, "qdisc_drop_reason", "", NULL },
	{ NPT_CODE_DROP, "ovs_drop_reason", "", "openvswitch" },
	{ NPT_CODE_DROP, "mac80211_drop_reason", "", "mac80211" },
	{ NPT_CODE_RESET, "sk_rst_reason", "SK_RST_REASON_", NULL },
};

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : text;
}

static void read_codes(struct npt_features *features, const struct btf *btf, size_t which)
{
	enum npt_code_family family = code_types[which].family;
	int id = btf__find_by_name_kind(btf, code_types[which].type, BTF_KIND_ENUM);
	const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (__u32)id) : NULL;
	size_t there = features->families[family].count, count = type ? btf_vlen(type) : 0;
	struct code *codes;

	if (count > CODES_MAX - there)
		count = CODES_MAX - there;
	if (count == 0)
		return;
	codes = npt_realloc(features->families[family].codes, there + count, sizeof(*codes));
	for (size_t i = 0; i < count; i++) {
		const struct btf_enum *value = &btf_enum(type)[i];
		const char *name = btf__name_by_offset(btf, value->name_off);

		codes[there + i].number = (uint32_t)value->val;
		codes[there + i].name = npt_strdup(skip_prefix(name, code_types[which].prefix));
	}
	features->families[family].codes = codes;
	features->families[family].count = there + count;
}

static void read_all_codes(struct npt_features *features, struct btf *kernel)
{
	for (size_t i = 0; i < NPT_ARRAY_SIZE(code_types); i++) {
		struct btf *module = NULL;

		read_codes(features, kernel, i);
		if (!code_types[i].module)
			continue;
		module = btf__load_module_btf(code_types[i].module, kernel);
		if (module &&
		    btf__find_by_name_kind(kernel, code_types[i].type, BTF_KIND_ENUM) <= 0)
			read_codes(features, module, i);
		btf__free(module);
	}
}

static bool has_member(const struct btf *kernel, const char *structure, const char *member)
{
	int id = btf__find_by_name_kind(kernel, structure, BTF_KIND_STRUCT);
	const struct btf_type *type = id > 0 ? btf__type_by_id(kernel, (__u32)id) : NULL;

	for (__u16 i = 0; type && i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(kernel, btf_members(type)[i].name_off);

		if (name && strcmp(name, member) == 0)
			return true;
	}
	return false;
}

/*
 * Kernels whose socket storage has this member (7.x) clear an entry's pointer to its storage when
 * the socket goes, and their iterator follows it without looking again (seen in 7.3.4:
 * __bpf_sk_storage_map_seq_show+0x98): whoever walks while connections close may crash the kernel.
 */
static int check_walk(const struct btf *kernel, struct npt_error *err)
{
	if (!has_member(kernel, "bpf_local_storage_elem", "state") || getenv(NPT_UNSAFE_KERNEL))
		return 0;
	return npt_error_set(err, EOPNOTSUPP,
			     "this kernel may crash when its sockets are walked (a bug of its "
			     "iterator, docs/kernels.md): " NPT_UNSAFE_KERNEL
			     "=1 measures nevertheless");
}

int npt_features_new(struct npt_features **features_ret, struct npt_error *err)
{
	npt_auto(npt_features_free) struct npt_features *features = npt_alloc(1, sizeof(*features));
	struct btf *kernel;
	int r;

	(void)libbpf_set_print(print_libbpf);
	kernel = btf__load_vmlinux_btf();
	if (!kernel)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel has no BTF (/sys/kernel/btf/vmlinux): it needs "
				     "CONFIG_DEBUG_INFO_BTF");
	r = check_walk(kernel, err);
	if (r == 0) {
		read_tracepoints(features, kernel);
		read_functions(features, kernel);
		read_all_codes(features, kernel);
	}
	btf__free(kernel);
	(void)malloc_trim(0);
	if (r < 0)
		return r;
	*features_ret = npt_take(features);
	return 0;
}

void npt_features_free(struct npt_features *features)
{
	if (!features)
		return;
	for (size_t i = 0; i < NPT_CODE_FAMILIES; i++) {
		for (size_t j = 0; j < features->families[i].count; j++)
			free(features->families[i].codes[j].name);
		free(features->families[i].codes);
	}
	free(features);
}

int npt_features_tracepoint(const struct npt_features *features, enum npt_tracepoint tracepoint)
{
	return features->arguments[tracepoint];
}

uint32_t npt_features_tracepoint_id(const struct npt_features *features,
				    enum npt_tracepoint tracepoint)
{
	return features->tracepoint_ids[tracepoint];
}

uint32_t npt_features_function(const struct npt_features *features, enum npt_function function)
{
	return features->functions[function];
}

void npt_features_code_name(const struct npt_features *features, enum npt_code_family family,
			    uint32_t code, char *out, size_t size_bytes)
{
	const struct code *codes = features->families[family].codes;

	for (size_t i = 0; i < features->families[family].count; i++) {
		if (codes[i].number != code)
			continue;
		(void)snprintf(out, size_bytes, "%s", codes[i].name);
		return;
	}
	(void)snprintf(out, size_bytes, "REASON_%u", code);
}

uint32_t npt_features_reason(const struct npt_features *features, const char *name)
{
	const struct code *codes = features->families[NPT_CODE_DROP].codes;

	for (size_t i = 0; i < features->families[NPT_CODE_DROP].count; i++) {
		if (strcmp(codes[i].name, name) == 0)
			return codes[i].number;
	}
	return 0;
}
