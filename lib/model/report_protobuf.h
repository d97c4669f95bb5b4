/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report as Protocol Buffers (window.proto): for volume, where JSON is for people.
 *
 * Decoders take hostile input: they bound memory, sizes and numbers (2^53-1), refuse what report.h
 * could not have written, and ignore fields that they do not know.
 */
#include <stddef.h>

#include "lib/core/buffer.h"
#include "lib/model/report.h"

/* Larger messages are refused before they are looked at. */
#define NPT_REPORT_PROTOBUF_BYTES_MAX (8UL * 1024 * 1024)

/* Numbers saturate at 2^53-1. *data_ret is the caller's to free. */
void npt_report_to_protobuf(const struct npt_report *report, void **data_ret,
			    size_t *size_bytes_ret);
/* -EBADMSG: not such a message; -EMSGSIZE: more than report.h can hold. */
int npt_report_from_protobuf(const void *data, size_t size_bytes, struct npt_report **report_ret,
			     struct npt_error *err);

/* The report without its edges. */
void npt_report_head_to_protobuf(const struct npt_report *report, struct npt_buffer *out);
/*
 * Which edge it is; what is known by now of what it speaks, nothing if nothing is; what was
 * counted. One after the other they are the whole edge; of a label that is there twice the later
 * one counts.
 */
void npt_edge_identity_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out);
void npt_edge_label_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out);
void npt_edge_counters_to_protobuf(const struct npt_edge *edge, struct npt_buffer *out);
/* On failure what is in *edge_ret means nothing. */
int npt_edge_from_protobuf(const void *data, size_t size_bytes, struct npt_edge *edge_ret,
			   struct npt_error *err);
