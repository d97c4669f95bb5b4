/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that reads JSON from outside goes through these checks.
 */
#include "lib/model/json.h"

#include "lib/core/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

#define NUMBER_MAX ((UINT64_C(1) << 53) - 1)

void npt_json_fail(struct npt_json_reader *reader, const char *what, const char *why)
{
	if (reader->result == 0)
		reader->result = npt_error_set(reader->err, EBADMSG, "%s %s", what, why);
}

void npt_json_text(struct npt_json_reader *reader, const json_t *object, const char *key, char *out,
		   size_t size_bytes)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value) || reader->result < 0)
		return;
	if (!json_is_string(value))
		npt_json_fail(reader, key, "is not text");
	else if (json_string_length(value) >= size_bytes ||
		 strlen(json_string_value(value)) != json_string_length(value))
		npt_json_fail(reader, key, "is too long or has a NUL in it");
	else
		memcpy(out, json_string_value(value), json_string_length(value) + 1);
}

uint64_t npt_json_u64(struct npt_json_reader *reader, const json_t *object, const char *key,
		      uint64_t max)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value) || reader->result < 0)
		return 0;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
	    (uint64_t)json_integer_value(value) > max) {
		npt_json_fail(reader, key, "is not a number in range");
		return 0;
	}
	return (uint64_t)json_integer_value(value);
}

bool npt_json_bool(struct npt_json_reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value) || reader->result < 0)
		return false;
	if (!json_is_boolean(value))
		npt_json_fail(reader, key, "is neither true nor false");
	return json_is_true(value);
}

json_t *npt_json_object(struct npt_json_reader *reader, const json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value) || reader->result < 0)
		return NULL;
	if (!json_is_object(value)) {
		npt_json_fail(reader, key, "is not an object");
		return NULL;
	}
	return value;
}

json_t *npt_json_array(struct npt_json_reader *reader, const json_t *object, const char *key,
		       size_t max)
{
	json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value) || reader->result < 0)
		return NULL;
	if (!json_is_array(value) || json_array_size(value) > max) {
		npt_json_fail(reader, key, "is not an array or has too many elements");
		return NULL;
	}
	return value;
}

unsigned int npt_json_enum(struct npt_json_reader *reader, const json_t *object, const char *key,
			   const char *(*name_of)(unsigned int value), unsigned int count)
{
	const json_t *value = json_object_get(object, key);

	if (!value || json_is_null(value) || reader->result < 0)
		return 0;
	for (unsigned int i = 0; json_is_string(value) && i < count; i++) {
		if (strcmp(json_string_value(value), name_of(i)) == 0)
			return i;
	}
	npt_json_fail(reader, key, "is none of the known words");
	return 0;
}

json_t *npt_json_number(uint64_t value)
{
	return json_integer((json_int_t)(value < NUMBER_MAX ? value : NUMBER_MAX));
}

json_t *npt_json_string(const char *text)
{
	json_t *string = json_string(text);
	npt_auto_free char *clean = NULL;

	if (string)
		return string;
	clean = npt_strdup(text);
	for (char *at = clean; *at; at++) {
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	}
	return json_string(clean);
}

void npt_json_set(json_t *object, const char *key, json_t *value)
{
	(void)json_object_set_new(object, key, value);
}

void npt_json_set_text(json_t *object, const char *key, const char *text)
{
	npt_json_set(object, key, npt_json_string(text));
}

void npt_json_set_some_text(json_t *object, const char *key, const char *text)
{
	if (text[0] != '\0')
		npt_json_set_text(object, key, text);
}

void npt_json_set_number(json_t *object, const char *key, uint64_t value)
{
	npt_json_set(object, key, npt_json_number(value));
}

void npt_json_set_some_number(json_t *object, const char *key, uint64_t value)
{
	if (value > 0)
		npt_json_set_number(object, key, value);
}

json_t *npt_json_buckets(const struct npt_histogram *histogram)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		json_t *pair;

		if (histogram->buckets[i] == 0)
			continue;
		pair = json_array();
		(void)json_array_append_new(pair, npt_json_number(npt_histogram_lower_micros(i)));
		(void)json_array_append_new(pair, npt_json_number(histogram->buckets[i]));
		(void)json_array_append_new(array, pair);
	}
	return array;
}

json_t *npt_json_head(const char *kind, const struct npt_report *head)
{
	json_t *object = json_object(), *task = json_object();
	char start[NPT_RFC3339_BYTES];

	npt_json_set_text(object, "kind", kind);
	npt_json_set_text(object, "apiVersion", "netprof.io/v1alpha1");
	npt_json_set_text(task, "namespace", head->task.namespace_name);
	npt_json_set_text(task, "name", head->task.name);
	npt_json_set_text(task, "uid", head->task.uid);
	npt_json_set(object, "task", task);
	npt_rfc3339_ms(head->start_unix_ms, start);
	npt_json_set_text(object, "start", start);
	npt_json_set_number(object, "durationMillis", head->duration_ms);
	return object;
}
