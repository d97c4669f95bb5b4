/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/exports/skywalking_process.h"

#include "tests/support/test.h"

static void a_service_is_a_pods_name_without_what_its_controller_added(void)
{
	static const struct {
		const char *pod, *service;
	} cases[] = {
		{ "reviews-v3-7f5d9c8b6-x2x4q", "reviews-v3.shop" }, /* a Deployment */
		{ "fluentd-x2x4q", "fluentd.shop" },                 /* a DaemonSet, a Job */
		{ "kafka-0", "kafka.shop" },                         /* a StatefulSet */
		{ "kafka-12", "kafka.shop" },
		{ "single", "single.shop" },
		{ "my-aeiou", "my-aeiou.shop" }, /* no letters of Kubernetes' */
		{ "x2x4q", "x2x4q.shop" },
		{ "-x2x4q", "-x2x4q.shop" },
		{ "", ".shop" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		char service[NPT_SW_NAME_BYTES];

		npt_sw_service_of_pod("shop", cases[i].pod, service);
		NPT_CHECK_STR(service, cases[i].service);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(a_service_is_a_pods_name_without_what_its_controller_added),
};
NPT_TEST_MAIN(tests)
