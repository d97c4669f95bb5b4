/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Labels - what edges speak, put together of what all windows of their pods said of it.
 */
#include "aggregator/store/clickhouse.h"

struct npt_clickhouse_label {
	uint64_t edge_key;
	char *data; /* as npt_edge_label_to_protobuf() made it */
	size_t size_bytes;
};

struct npt_clickhouse_labels {
	struct npt_clickhouse_label *labels; /* by edge_key */
	size_t count;
};

/* Of the edges in the rows of task_uid for which the condition (SQL) holds. */
int npt_clickhouse_labels_read(struct npt_clickhouse *connection, const char *task_uid,
			       const char *condition, struct npt_clickhouse_labels *labels_ret,
			       struct npt_error *err);
/* NULL: nothing is known. */
const struct npt_clickhouse_label *npt_clickhouse_labels_find(
	const struct npt_clickhouse_labels *labels, uint64_t edge_key);
void npt_clickhouse_labels_done(struct npt_clickhouse_labels *labels);
NPT_DEFINE_AUTO_DONE(struct npt_clickhouse_labels, npt_clickhouse_labels_done)
