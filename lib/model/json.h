/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Json - small readers and writers over jansson, for the codecs of this folder only.
 *
 * Readers check types: a missing field keeps the default, a wrong type is an error. The first error
 * stops a reader: later reads do nothing, so that a codec checks once at its end.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "lib/core/error.h"
#include "lib/core/histogram.h"
#include "lib/model/report.h"

struct npt_json_reader {
	struct npt_error *err;
	int result; /* 0 or -EBADMSG */
};

/* "what" names the field in the error. */
void npt_json_fail(struct npt_json_reader *reader, const char *what, const char *why);
/* Text that fits; longer is an error. */
void npt_json_text(struct npt_json_reader *reader, const json_t *object, const char *key, char *out,
		   size_t size_bytes);
/* 0 .. max. */
uint64_t npt_json_u64(struct npt_json_reader *reader, const json_t *object, const char *key,
		      uint64_t max);
bool npt_json_bool(struct npt_json_reader *reader, const json_t *object, const char *key);
/* NULL if it is missing; not an object, or an array with more than max elements, is an error. */
json_t *npt_json_object(struct npt_json_reader *reader, const json_t *object, const char *key);
json_t *npt_json_array(struct npt_json_reader *reader, const json_t *object, const char *key,
		       size_t max);
/* The position of the text in names; a text that is none of them is an error. */
unsigned int npt_json_enum(struct npt_json_reader *reader, const json_t *object, const char *key,
			   const char *(*name_of)(unsigned int value), unsigned int count);

/* Saturates at 2^53-1. */
json_t *npt_json_number(uint64_t value);
/* Bytes that are not UTF-8 become "?". */
json_t *npt_json_string(const char *text);
void npt_json_set(json_t *object, const char *key, json_t *value);
void npt_json_set_text(json_t *object, const char *key, const char *text);
/* Only if it is not "" / not 0. */
void npt_json_set_some_text(json_t *object, const char *key, const char *text);
void npt_json_set_number(json_t *object, const char *key, uint64_t value);
void npt_json_set_some_number(json_t *object, const char *key, uint64_t value);
/* Sparse: [lower bound in us, count], ascending. */
json_t *npt_json_buckets(const struct npt_histogram *histogram);
/* How an answer about a task begins: kind, apiVersion, task, start, durationMillis. */
json_t *npt_json_head(const char *kind, const struct npt_report *head);
