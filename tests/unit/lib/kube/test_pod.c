/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/kube/pod.h"

#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/buffer.h"
#include "tests/support/test.h"

static void read_pod(const char *text, struct npt_pod *pod)
{
	json_t *object = json_loads(text, 0, NULL);

	NPT_CHECK(object != NULL);
	memset(pod, 0xff, sizeof(*pod));
	npt_pod_from_json(object, pod);
	json_decref(object);
}

static void all_fields_are_read(void)
{
	struct npt_pod pod;

	read_pod("{\"metadata\":{\"namespace\":\"shop\",\"name\":\"web-1\",\"uid\":\"u1\","
		 "\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},"
		 "\"spec\":{\"nodeName\":\"n1\",\"hostNetwork\":true},"
		 "\"status\":{\"podIP\":\"10.1.2.3\",\"phase\":\"Running\"}}",
		 &pod);
	NPT_CHECK_STR(pod.namespace_name, "shop");
	NPT_CHECK_STR(pod.name, "web-1");
	NPT_CHECK_STR(pod.uid, "u1");
	NPT_CHECK_STR(pod.node, "n1");
	NPT_CHECK_STR(pod.ip, "10.1.2.3");
	NPT_CHECK_STR(pod.phase, "Running");
	NPT_CHECK(pod.host_network);
	NPT_CHECK(pod.deleting);
	NPT_CHECK_INT(pod.containers_count, 0);
}

static void init_and_ephemeral_containers_count_once_they_have_an_id(void)
{
	struct npt_pod pod;

	read_pod("{\"status\":{\"containerStatuses\":["
		 "{\"name\":\"app\",\"containerID\":\"containerd://aa\"},{\"name\":\"waiting\"},"
		 "{\"name\":\"odd\",\"containerID\":\"aa\"}],"
		 "\"initContainerStatuses\":[{\"name\":\"envoy\",\"containerID\":\"cri-o://bb\"}],"
		 "\"ephemeralContainerStatuses\":[{\"name\":\"dbg\",\"containerID\":\"docker://"
		 "cc\"}]}}",
		 &pod);
	NPT_CHECK_INT(pod.containers_count, 3);
	NPT_CHECK_STR(pod.containers[0].name, "app");
	NPT_CHECK_STR(pod.containers[0].id, "aa");
	NPT_CHECK_STR(pod.containers[1].name, "envoy");
	NPT_CHECK_STR(pod.containers[1].id, "bb");
	NPT_CHECK_STR(pod.containers[2].id, "cc");
	NPT_CHECK(!pod.host_network);
	NPT_CHECK(!pod.deleting);
}

static void what_is_of_another_type_reads_as_missing(void)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"metadata\":[],\"spec\":7,\"status\":\"x\"}",
		"{\"metadata\":{\"name\":5,\"uid\":null},\"spec\":{\"nodeName\":{},"
		"\"hostNetwork\":\"true\"},\"status\":{\"podIP\":[],\"containerStatuses\":[1,null,"
		"{\"containerID\":8}]}}",
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(texts); i++) {
		struct npt_pod pod;

		read_pod(texts[i], &pod);
		NPT_CHECK_STR(pod.name, "");
		NPT_CHECK_STR(pod.uid, "");
		NPT_CHECK_STR(pod.node, "");
		NPT_CHECK_STR(pod.ip, "");
		NPT_CHECK(!pod.host_network);
		NPT_CHECK_INT(pod.containers_count, 0);
	}
}

/* What fits exactly is kept, one character more leaves it out; never a cut name. */
static void what_is_too_long_is_left_out(void)
{
	for (size_t extra = 0; extra <= 1; extra++) {
		char name[NPT_NAME_BYTES + 1] = "", id[81] = "";
		npt_auto_free char *text = NULL;
		struct npt_pod pod;

		memset(name, 'n', NPT_NAME_BYTES - 1 + extra);
		memset(id, 'd', sizeof(pod.containers[0].id) - 1 + extra);
		text = npt_format(
			"{\"metadata\":{\"name\":\"%s\"},\"status\":{\"containerStatuses\":"
			"[{\"name\":\"c\",\"containerID\":\"x://%s\"}]}}",
			name, id);
		read_pod(text, &pod);
		NPT_CHECK_STR(pod.name, extra ? "" : name);
		NPT_CHECK_INT(pod.containers_count, extra ? 0 : 1);
		NPT_CHECK(extra || strcmp(pod.containers[0].id, id) == 0);
	}
}

static void more_containers_than_allowed_are_left_out(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer text = NPT_BUFFER(65536);
	struct npt_pod pod;

	(void)npt_buffer_append_text(&text, "{\"status\":{\"containerStatuses\":[{}");
	for (unsigned int i = 0; i <= NPT_CHANNEL_CONTAINERS_MAX; i++)
		(void)npt_buffer_appendf(&text, ",{\"containerID\":\"x://%u\"}", i);
	(void)npt_buffer_append_text(&text, "]}}");
	read_pod(text.data, &pod);
	NPT_CHECK_INT(pod.containers_count, NPT_CHANNEL_CONTAINERS_MAX);
	NPT_CHECK_STR(pod.containers[0].name, "");
}

static const struct npt_test tests[] = {
	NPT_TEST(all_fields_are_read),
	NPT_TEST(init_and_ephemeral_containers_count_once_they_have_an_id),
	NPT_TEST(what_is_of_another_type_reads_as_missing),
	NPT_TEST(what_is_too_long_is_left_out),
	NPT_TEST(more_containers_than_allowed_are_left_out),
};
NPT_TEST_MAIN(tests)
