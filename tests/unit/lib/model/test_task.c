/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "tests/support/test.h"

#define TIMES "'durationSeconds': 60, 'intervalSeconds': 5"

/* JSON that reads well: ' stands for ", @ for the word. */
static json_t *json_of(const char *text, const char *word)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(1U << 20);
	json_t *object;

	for (; *text; text++) {
		if (*text == '@')
			(void)npt_buffer_append_text(&out, word);
		else
			(void)npt_buffer_append(&out, *text == '\'' ? "\"" : text, 1);
	}
	object = json_loadb(out.data, out.size_bytes, JSON_ALLOW_NUL, NULL);
	if (!NPT_CHECK(object != NULL))
		printf("%s\n", out.data);
	return object;
}

static int read_object(const char *text, const char *word, struct npt_task *task,
		       struct npt_error *err)
{
	json_t *object = json_of(text, word);
	int r;

	memset(task, 0, sizeof(*task));
	r = npt_task_from_json(object, task, err);
	json_decref(object);
	return r;
}

/* A task of this spec; task->invalid says whether it can be carried out. */
static void read_spec(const char *spec, const char *word, struct npt_task *task)
{
	npt_auto_free char *text =
		npt_format("{'metadata': {'name': 'slow', 'uid': 'u'}, 'spec': %s}", spec);

	NPT_CHECK_INT(read_object(text, word, task, NULL), 0);
}

static void read_selector(const char *selector, const char *word, struct npt_task *task)
{
	npt_auto_free char *spec =
		npt_format("{" TIMES ", 'target': {'podSelector': %s}}", selector);

	read_spec(spec, word, task);
}

static void read_target(const char *target, const char *word, struct npt_task *task)
{
	npt_auto_free char *spec = npt_format("{" TIMES ", 'target': %s}", target);

	read_spec(spec, word, task);
}

/* With a target that is right, and the fields that the test is about. */
static void read_fields(const char *fields, struct npt_task *task)
{
	npt_auto_free char *spec = npt_format("{'target': {'podNames': ['web-1']}, %s}", fields);

	read_spec(spec, "", task);
}

static void check_invalid(struct npt_task *task, const char *why)
{
	if (!NPT_CHECK(strstr(task->invalid, why)))
		NPT_CHECK_STR(task->invalid, why);
	NPT_CHECK(task->selector == NULL);
	npt_task_done(task);
}

static void a_selector_becomes_the_text_that_the_api_server_takes(void)
{
	static const struct {
		const char *selector, *text;
	} cases[] = {
		{ "{'matchLabels': {'app': 'reviews'}}", "app=reviews" },
		{ "{'matchLabels': {'app': 'reviews', 'example.com/tier': ''}}",
		  "app=reviews,example.com/tier=" },
		{ "{'matchExpressions': [{'key': 'tier', 'operator': 'In', 'values': ['a', 'b']}]}",
		  "tier in (a,b)" },
		{ "{'matchExpressions': [{'key': 'tier', 'operator': 'NotIn', 'values': ['a']}]}",
		  "tier notin (a)" },
		{ "{'matchExpressions': [{'key': 'tier', 'operator': 'Exists'}]}", "tier" },
		{ "{'matchExpressions': [{'key': 'tier', 'operator': 'DoesNotExist'}]}", "!tier" },
		{ "{'matchExpressions': [{'key': 'old', 'operator': 'DoesNotExist'},"
		  " {'key': 'tier', 'operator': 'In', 'values': ['a']}],"
		  " 'matchLabels': {'app': 'web'}}",
		  "app=web,!old,tier in (a)" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_task task;

		read_selector(cases[i].selector, "", &task);
		NPT_CHECK_STR(task.invalid, "");
		NPT_CHECK_STR(task.selector, cases[i].text);
		npt_task_done(&task);
	}
}

/* Wherever a label stands: "a,b" in the text form would be two terms. */
static const char *const label_places[] = {
	"{'matchLabels': {'app': '@'}}",
	"{'matchLabels': {'@': 'web'}}",
	"{'matchExpressions': [{'key': '@', 'operator': 'Exists'}]}",
	"{'matchExpressions': [{'key': 'app', 'operator': 'In', 'values': ['web', '@']}]}",
	"{'matchExpressions': [{'key': 'app', 'operator': 'NotIn', 'values': ['@']}]}",
};

static void a_label_that_would_mean_something_else_is_refused(void)
{
	static const char *const words[] = { "a,b", "a)", "(a",   "a b",  " a",
					     "a=b", "!a", "a\\n", "a\\t", "\xc3\xa9" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(label_places); i++) {
		for (size_t j = 0; j < NPT_ARRAY_SIZE(words); j++) {
			struct npt_task task;

			read_selector(label_places[i], words[j], &task);
			check_invalid(&task, "spec: podSelector has what can be no label");
		}
	}
}

static void the_nearest_label_that_can_be_is_accepted(void)
{
	static const char *const words[] = { "a-b", "a_b", "a.b", "a/b", "ab", "A0" };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(label_places); i++) {
		for (size_t j = 0; j < NPT_ARRAY_SIZE(words); j++) {
			struct npt_task task;

			read_selector(label_places[i], words[j], &task);
			NPT_CHECK_STR(task.invalid, "");
			NPT_CHECK(task.selector && strstr(task.selector, words[j]));
			npt_task_done(&task);
		}
	}
}

static void a_selector_that_is_none_is_refused(void)
{
	static const struct {
		const char *selector, *why;
	} cases[] = {
		{ "{}", "podSelector is empty" },
		{ "{'matchLabels': {}, 'matchExpressions': []}", "podSelector is empty" },
		{ "[]", "podSelector is not an object" },
		{ "{'matchLabels': []}", "matchLabels is not an object" },
		{ "{'matchLabels': {'app': 5}}", "matchLabels has something that is no text" },
		{ "{'matchExpressions': {}}", "matchExpressions is not an array" },
		{ "{'matchExpressions': [{'key': 'a', 'operator': 'Gt', 'values': ['1']}]}",
		  "operator is none of In, NotIn, Exists, DoesNotExist" },
		{ "{'matchExpressions': [{'key': 'a', 'operator': 'In', 'values': [1]}]}",
		  "values has something that is no text" },
		{ "{'matchExpressions': ['a']}", "operator is none of" },
		{ "{'matchLabels': {'': 'x'}}", "matchLabels has one without a name" },
		{ "{'matchLabels': {'app': 'x\\u0000,b'}}", "matchLabels has something" },
		{ "{'matchExpressions': [{'key': 'a', 'operator': 'In'}]}",
		  "values that do not fit" },
		{ "{'matchExpressions': [{'key': 'a', 'operator': 'Exists', 'values': ['1']}]}",
		  "values that do not fit" },
		{ "{'matchExpressions': [{'operator': 'Exists'}]}", "has no key" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_task task;

		read_selector(cases[i].selector, "", &task);
		check_invalid(&task, cases[i].why);
	}
}

static void a_selector_longer_than_its_maximum_is_refused_not_cut(void)
{
	/* "app=" and the value: the last that fits, the first that does not. */
	for (size_t extra = 0; extra <= 1; extra++) {
		size_t length = NPT_TASK_SELECTOR_BYTES - strlen("app=") + extra;
		npt_auto_free char *word = npt_alloc(length + 1, 1);
		struct npt_task task;

		memset(word, 'a', length);
		read_selector("{'matchLabels': {'app': '@'}}", word, &task);
		if (extra == 0)
			NPT_CHECK_INT(strlen(task.selector), NPT_TASK_SELECTOR_BYTES);
		else
			check_invalid(&task, "podSelector is too long");
		npt_task_done(&task);
	}
}

static void pods_can_be_named_and_containers_chosen(void)
{
	struct npt_task task;

	read_target("{'podNames': ['web-1', 'web-2'], 'containers': ['app', 'envoy']}", "", &task);
	NPT_CHECK_STR(task.invalid, "");
	NPT_CHECK(task.selector == NULL);
	NPT_CHECK_STR(task.names[0], "web-1");
	NPT_CHECK_STR(task.names[1], "web-2");
	NPT_CHECK_STR(task.names[2], "");
	NPT_CHECK_STR(task.containers[0], "app");
	NPT_CHECK_STR(task.containers[1], "envoy");
	NPT_CHECK_STR(task.containers[2], "");
}

static void a_target_without_pods_is_refused(void)
{
	static const struct {
		const char *target, *why;
	} cases[] = {
		{ "{}", "target names no pods" },
		{ "null", "target names no pods" },
		{ "{'podNames': []}", "target names no pods" },
		{ "{'podNames': 'web-1'}", "podNames is not an array" },
		{ "{'podNames': [5]}", "podNames has something that is no text" },
		{ "{'podNames': ['a', '', 'b']}", "podNames has something that is no name" },
		{ "{'podNames': ['a\\u0000b']}", "podNames has something that is no text" },
		{ "{'podNames': ['a'], 'containers': [null]}",
		  "containers has something that is no text" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_task task;

		read_target(cases[i].target, "", &task);
		check_invalid(&task, cases[i].why);
	}
}

/* count texts of this length, with "," between. */
static char *texts(size_t count, size_t length)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(1U << 20);

	for (size_t i = 0; i < count; i++) {
		(void)npt_buffer_append_text(&out, i > 0 ? "," : "");
		(void)npt_buffer_append_text(&out, "\"");
		for (size_t j = 0; j < length; j++)
			(void)npt_buffer_append_text(&out, "n");
		(void)npt_buffer_append_text(&out, "\"");
	}
	return npt_buffer_take(&out);
}

static void names_are_bounded_in_number_and_length(void)
{
	static const struct {
		const char *target;
		size_t count, length;
		const char *why;
	} cases[] = {
		{ "{'podNames': [@]}", 64, 253, "" },
		{ "{'podNames': [@]}", 65, 3, "podNames is not an array or has too many elements" },
		{ "{'podNames': [@]}", 1, 254, "podNames has something that is no name" },
		{ "{'podNames': ['a'], 'containers': [@]}", 16, 63, "" },
		{ "{'podNames': ['a'], 'containers': [@]}", 17, 3, "containers is not an array" },
		{ "{'podNames': ['a'], 'containers': [@]}", 1, 64, "containers has something" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *names = texts(cases[i].count, cases[i].length);
		struct npt_task task;

		read_target(cases[i].target, names, &task);
		if (cases[i].why[0] != '\0')
			check_invalid(&task, cases[i].why);
		else
			NPT_CHECK_STR(task.invalid, "");
	}
}

static void layers_are_those_that_were_asked_for(void)
{
	struct npt_task task;

	read_fields(TIMES ", 'layers': ['TLS', 'Base']", &task);
	NPT_CHECK_STR(task.invalid, "");
	NPT_CHECK(task.layers[NPT_LAYER_BASE]);
	NPT_CHECK(task.layers[NPT_LAYER_TLS]);
	NPT_CHECK(!task.layers[NPT_LAYER_OPERATIONS]);
	NPT_CHECK(!task.layers[NPT_LAYER_PROTOCOL]);
	NPT_CHECK(!task.layers[NPT_LAYER_REQUESTS]);
	read_fields(TIMES ", 'layers': ['Base', 'base']", &task);
	check_invalid(&task, "layers has one that does not exist");
	read_fields(TIMES ", 'layers': [1]", &task);
	check_invalid(&task, "layers has one that does not exist");
}

static void all_numbers_are_read(void)
{
	struct npt_task task;

	read_fields(TIMES ", 'limits': {'maxTargets': 7, 'maxEdgesPerPod': 8},"
			  " 'budget': {'cpuMillicores': 9, 'memoryMiB': 10},"
			  " 'startDeadlineSeconds': 11, 'cancel': true",
		    &task);
	NPT_CHECK_STR(task.invalid, "");
	NPT_CHECK_INT(task.duration_seconds, 60);
	NPT_CHECK_INT(task.interval_seconds, 5);
	NPT_CHECK_INT(task.max_targets, 7);
	NPT_CHECK_INT(task.max_edges_per_pod, 8);
	NPT_CHECK_INT(task.budget_cpu_millicores, 9);
	NPT_CHECK_INT(task.budget_memory_mib, 10);
	NPT_CHECK_INT(task.start_deadline_seconds, 11);
	NPT_CHECK(task.cancel);
}

static void limits_that_are_left_out_have_defaults(void)
{
	struct npt_task task;

	read_fields(TIMES, &task);
	NPT_CHECK_STR(task.invalid, "");
	NPT_CHECK_INT(task.max_targets, 50);
	NPT_CHECK_INT(task.max_edges_per_pod, 1024);
	NPT_CHECK_INT(task.start_deadline_seconds, 60);
	NPT_CHECK(!task.cancel);
}

static void numbers_out_of_range_are_refused_their_neighbours_accepted(void)
{
	static const struct {
		const char *fields, *why; /* "": accepted */
	} cases[] = {
		{ "'durationSeconds': 1, 'intervalSeconds': 1", "" },
		{ "'durationSeconds': 3600, 'intervalSeconds': 60", "" },
		{ "'durationSeconds': 3601, 'intervalSeconds': 60", "durationSeconds is not" },
		{ "'durationSeconds': 0, 'intervalSeconds': 60", "durationSeconds or" },
		{ "'durationSeconds': -1, 'intervalSeconds': 60", "durationSeconds is not" },
		{ "'durationSeconds': 1.5, 'intervalSeconds': 60", "durationSeconds is not" },
		{ "'durationSeconds': '60', 'intervalSeconds': 5", "durationSeconds is not" },
		{ "'durationSeconds': 60, 'intervalSeconds': 61", "intervalSeconds is not" },
		{ "'durationSeconds': 60, 'intervalSeconds': 0", "intervalSeconds is missing" },
		{ "'durationSeconds': 60", "intervalSeconds is missing" },
		{ TIMES ", 'limits': {'maxTargets': 5000, 'maxEdgesPerPod': 4096}", "" },
		{ TIMES ", 'limits': {'maxTargets': 5001}", "maxTargets is not" },
		{ TIMES ", 'limits': {'maxEdgesPerPod': 4097}", "maxEdgesPerPod is not" },
		{ TIMES ", 'limits': []", "limits is not an object" },
		{ TIMES ", 'startDeadlineSeconds': 3600", "" },
		{ TIMES ", 'startDeadlineSeconds': 3601", "startDeadlineSeconds is not" },
		{ TIMES ", 'budget': {'memoryMiB': 4294967295}", "" },
		{ TIMES ", 'budget': {'memoryMiB': 4294967296}", "memoryMiB is not" },
		{ TIMES ", 'cancel': false", "" },
		{ TIMES ", 'cancel': 'yes'", "cancel is neither true nor false" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_task task;

		read_fields(cases[i].fields, &task);
		if (cases[i].why[0] != '\0')
			check_invalid(&task, cases[i].why);
		else
			NPT_CHECK_STR(task.invalid, "");
	}
}

static void an_object_that_does_not_say_which_task_it_is_fails(void)
{
	static const char *const objects[] = {
		"{}",
		"[]",
		"{'metadata': {'name': 'slow'}}",
		"{'metadata': {'uid': 'u'}}",
		"{'metadata': {'name': '', 'uid': 'u'}}",
		"{'metadata': {'name': 5, 'uid': 'u'}}",
		"{'metadata': {'name': 'slow', 'uid': {}}}",
		"{'metadata': {'name': 'slow', 'uid': '@'}}",
	};
	npt_auto_free char *long_uid = npt_alloc(NPT_UID_BYTES + 1, 1);

	memset(long_uid, 'u', NPT_UID_BYTES);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(objects); i++) {
		struct npt_error err = NPT_ERROR_NONE;
		struct npt_task task;

		NPT_CHECK_INT(read_object(objects[i], long_uid, &task, &err), -EBADMSG);
		NPT_CHECK(err.text[0] != '\0');
		NPT_CHECK(task.selector == NULL && task.uid[0] == '\0');
	}
}

static void a_task_that_cannot_be_carried_out_is_known_all_the_same(void)
{
	struct npt_task task;

	NPT_CHECK_INT(read_object("{'metadata': {'namespace': 'shop', 'name': 'slow', 'uid': 'u',"
				  " 'resourceVersion': '7', 'generation': 3}, 'spec': {}}",
				  "", &task, NULL),
		      0);
	NPT_CHECK_STR(task.namespace_name, "shop");
	NPT_CHECK_STR(task.name, "slow");
	NPT_CHECK_STR(task.uid, "u");
	NPT_CHECK_STR(task.resource_version, "7");
	NPT_CHECK_INT(task.generation, 3);
	check_invalid(&task, "spec: target names no pods");
}

static void an_earlier_status_says_when_it_began_and_whether_it_is_over(void)
{
	static const struct {
		const char *status;
		uint64_t started_unix_ms;
		bool finished;
	} cases[] = {
		{ "{'startTime': '2026-01-01T00:00:01Z', 'finished': true}", 1767225601000, true },
		{ "{'startTime': '2026-01-01T00:00:01Z', 'finished': false}", 1767225601000,
		  false },
		{ "{'finished': 'true'}", 0, false },
		{ "{'startTime': 'yesterday'}", 0, false },
		{ "{'startTime': 5}", 0, false },
		{ "null", 0, false },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		npt_auto_free char *text =
			npt_format("{'metadata': {'name': 'slow', 'uid': 'u', 'creationTimestamp':"
				   " '2026-01-01T00:00:00Z'}, 'status': %s}",
				   cases[i].status);
		struct npt_task task;

		NPT_CHECK_INT(read_object(text, "", &task, NULL), 0);
		NPT_CHECK_INT(task.created_unix_ms, 1767225600000);
		NPT_CHECK_INT(task.started_unix_ms, cases[i].started_unix_ms);
		NPT_CHECK(task.finished == cases[i].finished);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(a_selector_becomes_the_text_that_the_api_server_takes),
	NPT_TEST(a_label_that_would_mean_something_else_is_refused),
	NPT_TEST(the_nearest_label_that_can_be_is_accepted),
	NPT_TEST(a_selector_that_is_none_is_refused),
	NPT_TEST(a_selector_longer_than_its_maximum_is_refused_not_cut),
	NPT_TEST(pods_can_be_named_and_containers_chosen),
	NPT_TEST(a_target_without_pods_is_refused),
	NPT_TEST(names_are_bounded_in_number_and_length),
	NPT_TEST(layers_are_those_that_were_asked_for),
	NPT_TEST(all_numbers_are_read),
	NPT_TEST(limits_that_are_left_out_have_defaults),
	NPT_TEST(numbers_out_of_range_are_refused_their_neighbours_accepted),
	NPT_TEST(an_object_that_does_not_say_which_task_it_is_fails),
	NPT_TEST(a_task_that_cannot_be_carried_out_is_known_all_the_same),
	NPT_TEST(an_earlier_status_says_when_it_began_and_whether_it_is_over),
};
NPT_TEST_MAIN(tests)
