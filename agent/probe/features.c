/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A BTF tracepoint is known to BTF as a typedef btf_trace_<name> of a pointer to its function type,
 * whose first parameter is a void pointer that programs do not see.
 */
#include "agent/probe/features.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include "lib/core/alloc.h"

struct npt_features {
	struct btf *kernel;
	const struct btf_type *reasons; /* enum skb_drop_reason, or NULL */
};

int npt_features_new(struct npt_features **features_ret, struct npt_error *err)
{
	npt_auto(npt_features_free) struct npt_features *features = npt_alloc(1, sizeof(*features));
	int id;

	features->kernel = btf__load_vmlinux_btf();
	if (!features->kernel)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel has no BTF (/sys/kernel/btf/vmlinux): it needs "
				     "CONFIG_DEBUG_INFO_BTF");
	id = btf__find_by_name_kind(features->kernel, "skb_drop_reason", BTF_KIND_ENUM);
	if (id > 0)
		features->reasons = btf__type_by_id(features->kernel, (__u32)id);
	*features_ret = npt_take(features);
	return 0;
}

void npt_features_free(struct npt_features *features)
{
	if (!features)
		return;
	btf__free(features->kernel);
	free(features);
}

int npt_features_tracepoint(const struct npt_features *features, const char *name)
{
	npt_auto_free char *symbol = npt_format("btf_trace_%s", name);
	const struct btf_type *type;
	int id = btf__find_by_name_kind(features->kernel, symbol, BTF_KIND_TYPEDEF);

	if (id <= 0)
		return -1;
	type = btf__type_by_id(features->kernel, (__u32)id);
	type = btf__type_by_id(features->kernel, type->type);
	if (!type || btf_kind(type) != BTF_KIND_PTR)
		return -1;
	type = btf__type_by_id(features->kernel, type->type);
	if (!type || btf_kind(type) != BTF_KIND_FUNC_PROTO)
		return -1;
	return (int)btf_vlen(type) - 1;
}

static const char *skip_prefix(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : text;
}

void npt_features_reason_name(const struct npt_features *features, uint32_t reason, char *out,
			      size_t size_bytes)
{
	const struct btf_enum *values = features->reasons ? btf_enum(features->reasons) : NULL;

	for (int i = 0; values && i < btf_vlen(features->reasons); i++) {
		if ((uint32_t)values[i].val != reason)
			continue;
		(void)snprintf(
			out, size_bytes, "%s",
			skip_prefix(btf__name_by_offset(features->kernel, values[i].name_off),
				    "SKB_DROP_REASON_"));
		return;
	}
	(void)snprintf(out, size_bytes, "REASON_%u", reason);
}

uint32_t npt_features_reason(const struct npt_features *features, const char *name)
{
	const struct btf_enum *values = features->reasons ? btf_enum(features->reasons) : NULL;

	for (int i = 0; values && i < btf_vlen(features->reasons); i++) {
		if (strcmp(btf__name_by_offset(features->kernel, values[i].name_off), name) == 0)
			return (uint32_t)values[i].val;
	}
	return 0;
}
