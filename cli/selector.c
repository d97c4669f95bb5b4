/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A requirement is KEY, !KEY, KEY = VALUE, KEY == VALUE, KEY != VALUE, KEY in (A,B) or
 * KEY notin (A,B). Whether keys and values are well formed is the API server's to say.
 */
#include "cli/selector.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

#define BLANKS "\t "
#define ENDS   "\t ,()=!"

static const char *skip(const char *at)
{
	return at + strspn(at, BLANKS);
}

static int fail(const char *at, struct npt_error *err)
{
	return npt_error_set(err, EINVAL,
			     "-l: cannot read '%.60s'; write app=web,tier in (a,b),!old", at);
}

/* A word of a key, a value or an operator; NULL if there is none. Moves *at behind it. */
static char *take_word(const char **at)
{
	const char *from = skip(*at);
	size_t length = strcspn(from, ENDS);

	*at = from + length;
	return length ? npt_strndup(from, length) : NULL;
}

static bool take(const char **at, const char *text)
{
	const char *from = skip(*at);

	if (strncmp(from, text, strlen(text)) != 0)
		return false;
	*at = from + strlen(text);
	return true;
}

static void add_expression(json_t *selector, const char *key, const char *operator, json_t * values)
{
	json_t *list = json_object_get(selector, "matchExpressions");
	json_t *expression = json_pack("{s:s, s:s}", "key", key, "operator", operator);

	if (values)
		(void)json_object_set_new(expression, "values", values);
	if (!list) {
		list = json_array();
		(void)json_object_set_new(selector, "matchExpressions", list);
	}
	(void)json_array_append_new(list, expression);
}

/* Of one key two different values can be asked for only as expressions, of which none is met. */
static void add_equal(json_t *selector, const char *key, const char *value)
{
	json_t *labels = json_object_get(selector, "matchLabels");

	if (!labels) {
		labels = json_object();
		(void)json_object_set_new(selector, "matchLabels", labels);
	}
	if (json_object_get(labels, key))
		add_expression(selector, key, "In", json_pack("[s]", value));
	else
		(void)json_object_set_new(labels, key, json_string(value));
}

static json_t *take_set(const char **at)
{
	json_t *values = json_array();

	if (!take(at, "("))
		goto bad;
	do {
		npt_auto_free char *value = take_word(at);

		if (!value)
			goto bad;
		(void)json_array_append_new(values, json_string(value));
	} while (take(at, ","));
	if (take(at, ")"))
		return values;
bad:
	json_decref(values);
	return NULL;
}

/* Behind "KEY". */
static int take_rest(json_t *selector, const char *key, const char **at, struct npt_error *err)
{
	const char *from = *at;
	npt_auto_free char *operator= NULL;
	json_t *values;

	if (take(at, "==") || take(at, "=")) {
		npt_auto_free char *value = take_word(at);

		add_equal(selector, key, value ? value : "");
		return 0;
	}
	if (take(at, "!=")) {
		npt_auto_free char *value = take_word(at);

		add_expression(selector, key, "NotIn", json_pack("[s]", value ? value : ""));
		return 0;
	}
	operator= take_word(at);
	if (!operator) {
		add_expression(selector, key, "Exists", NULL);
		return 0;
	}
	if (strcmp(operator, "in") != 0 && strcmp(operator, "notin") != 0)
		return fail(from, err);
	values = take_set(at);
	if (!values)
		return fail(from, err);
	add_expression(selector, key, strcmp(operator, "in") == 0 ? "In" : "NotIn", values);
	return 0;
}

static int take_requirement(json_t *selector, const char **at, struct npt_error *err)
{
	const char *from = skip(*at);
	bool absent = take(at, "!");
	npt_auto_free char *key = take_word(at);

	if (!key)
		return fail(from, err);
	if (!absent)
		return take_rest(selector, key, at, err);
	add_expression(selector, key, "DoesNotExist", NULL);
	return 0;
}

int npt_selector_parse(const char *text, json_t **selector_ret, struct npt_error *err)
{
	json_t *selector = json_object();
	const char *at = text;
	int r;

	do {
		r = take_requirement(selector, &at, err);
	} while (r == 0 && take(&at, ","));
	if (r == 0 && *skip(at))
		r = fail(skip(at), err);
	if (r < 0)
		json_decref(selector);
	else
		*selector_ret = selector;
	return r;
}
