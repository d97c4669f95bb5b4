/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Merge - the Report is the sum of its Windows; everybody who adds uses this.
 */
#include "lib/model/report.h"

/*
 * Adds counters and histograms, takes gauges (open, queue), identity and label (npt_edge_relabel)
 * from the later one. There is no finding afterwards: it is made of the sum, when the sum is
 * complete.
 */
void npt_edge_merge(struct npt_edge *into, const struct npt_edge *later);
/*
 * Adds a later window: edges that are the same (npt_edge_same) are merged, others are appended.
 * start stays, durationMillis grows to the later one's end, sequence, cost, lost and unavailable
 * become the later one's (they are totals), as do lines of TLS (npt_report_merge_tls).
 */
void npt_report_merge(struct npt_report *into, const struct npt_report *later);
/*
 * Takes over what the later one knows of what is spoken: protocol and confidence, tls, facts of a
 * handshake. What it does not know stays as it was.
 */
void npt_edge_relabel(struct npt_edge *into, const struct npt_edge *later);
/* Takes over the later one's lines of TLS: a line of the same process and library is replaced. */
void npt_report_merge_tls(struct npt_report *into, const struct npt_report *later);
/*
 * Same process, role, peer, transport and number of label: the identity of an edge. Which protocol
 * it speaks is none of it: that becomes known late.
 */
bool npt_edge_same(const struct npt_edge *a, const struct npt_edge *b);
/*
 * The same number for edges that are the same, of whatever window; how others name an edge, as 16
 * hexadecimal digits. Stable: it is in addresses that people keep.
 */
uint64_t npt_edge_key(const struct npt_edge *edge);
void npt_edge_id(const struct npt_edge *edge, char id_ret[static NPT_EDGE_ID_BYTES]);
/* False: it is no such id. */
bool npt_edge_key_from_id(const char *id, uint64_t *key_ret);
