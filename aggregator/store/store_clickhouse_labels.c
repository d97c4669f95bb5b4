/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ClickHouse gives each different label of an edge once, with the time of the last window that said
 * it, in order of those times. That is all that is needed: of two windows that say the same the
 * later one counts, and field by field the later word wins, so who said it between says nothing
 * new.
 */
#include "aggregator/store/store_clickhouse_labels.h"

#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/model/report_merge.h"
#include "lib/model/report_protobuf.h"

#define EDGES_MAX       262144
#define LABEL_BYTES_MAX (64UL * 1024)
#define SQL_BYTES_MAX   (200UL * 1024)

/* A later word on the edge of the last label. */
static int relabel(struct npt_clickhouse_label *label, const struct npt_rowbinary_value *said,
		   struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(LABEL_BYTES_MAX);
	npt_auto_free struct npt_edge *before = npt_alloc(1, sizeof(*before));
	npt_auto_free struct npt_edge *later = npt_alloc(1, sizeof(*later));

	if (npt_edge_from_protobuf(label->data, label->size_bytes, before, err) < 0 ||
	    npt_edge_from_protobuf(said->text, said->size_bytes, later, err) < 0)
		return npt_error_set(err, EBADMSG, "store: a label cannot be read");
	npt_edge_relabel(before, later);
	npt_edge_label_to_protobuf(before, &text);
	free(label->data);
	label->size_bytes = text.size_bytes;
	label->data = npt_buffer_take(&text);
	return 0;
}

static int add(void *context, const struct npt_rowbinary_value *values, struct npt_error *err)
{
	struct npt_clickhouse_labels *labels = context;
	struct npt_clickhouse_label *last =
		labels->count ? &labels->labels[labels->count - 1] : NULL;

	if (last && last->edge_key == values[0].number)
		return relabel(last, &values[1], err);
	if (last && last->edge_key > values[0].number)
		return npt_error_set(err, EBADMSG, "store: labels are not in order");
	if (labels->count == EDGES_MAX)
		return npt_error_set(err, EMSGSIZE,
				     "too many edges for one answer: ask pod by pod");
	if ((labels->count & (labels->count - 1)) == 0)
		labels->labels = npt_realloc(labels->labels, labels->count ? labels->count * 2 : 1,
					     sizeof(*labels->labels));
	labels->labels[labels->count++] = (struct npt_clickhouse_label){
		.edge_key = values[0].number,
		.data = npt_memdup(values[1].text, values[1].size_bytes ? values[1].size_bytes : 1),
		.size_bytes = values[1].size_bytes,
	};
	return 0;
}

int npt_clickhouse_labels_read(struct npt_clickhouse *connection, const char *task_uid,
			       const char *condition, struct npt_clickhouse_labels *labels_ret,
			       struct npt_error *err)
{
	npt_auto(npt_buffer_done) struct npt_buffer sql = NPT_BUFFER(SQL_BYTES_MAX);
	npt_auto(npt_buffer_done) struct npt_buffer uid = NPT_BUFFER(SQL_BYTES_MAX);
	npt_auto(npt_clickhouse_labels_done) struct npt_clickhouse_labels labels = { .count = 0 };
	struct npt_clickhouse_query query = { .types = "ns", .on_row = add, .context = &labels };
	int r;

	npt_clickhouse_quote(&uid, task_uid);
	r = npt_buffer_appendf(
		&sql,
		"SELECT edge_key, label FROM (SELECT edge_key, label, max(start_unix_ms) AS said,"
		" max(written) AS heard FROM npt_windows WHERE is_edge = 1 AND task_uid = %s AND"
		" label != '' AND pod_uid IN (SELECT pod_uid FROM npt_windows WHERE is_edge = 1 AND"
		" task_uid = %s AND %s) AND edge_key IN (SELECT edge_key FROM npt_windows WHERE"
		" is_edge = 1 AND task_uid = %s AND %s) GROUP BY edge_key, label)"
		" ORDER BY edge_key, said, heard",
		uid.data, uid.data, condition, uid.data, condition);
	if (r < 0)
		return npt_error_set(err, EMSGSIZE, "too many windows at once");
	query.sql = sql.data;
	r = npt_clickhouse_select(connection, &query, err);
	if (r < 0)
		return r;
	npt_clickhouse_labels_done(labels_ret);
	*labels_ret = labels;
	labels = (struct npt_clickhouse_labels){ .count = 0 };
	return 0;
}

const struct npt_clickhouse_label *npt_clickhouse_labels_find(
	const struct npt_clickhouse_labels *labels, uint64_t edge_key)
{
	size_t low = 0, high = labels->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (labels->labels[middle].edge_key == edge_key)
			return &labels->labels[middle];
		if (labels->labels[middle].edge_key < edge_key)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void npt_clickhouse_labels_done(struct npt_clickhouse_labels *labels)
{
	for (size_t i = 0; i < labels->count; i++)
		free(labels->labels[i].data);
	free(labels->labels);
	*labels = (struct npt_clickhouse_labels){ .count = 0 };
}
