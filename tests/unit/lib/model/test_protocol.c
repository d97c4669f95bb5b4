/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/protocol.h"

#include <string.h>

#include "bpf/protocol.h"
#include "tests/support/test.h"

static void has_a_name_of_its_own_for_each(void)
{
	NPT_CHECK_STR(npt_protocol_name(NPT_PROTOCOL_UNKNOWN), "unknown");
	for (unsigned i = 1; i < NPT_PROTOCOL_COUNT; i++) {
		for (unsigned k = 0; k < i; k++)
			NPT_CHECK(strcmp(npt_protocol_name(i), npt_protocol_name(k)) != 0);
		NPT_CHECK(strspn(npt_protocol_name(i), "abcdefghijklmnopqrstuvwxyz0123456789") ==
			  strlen(npt_protocol_name(i)));
	}
}

static void calls_what_it_does_not_know_unknown(void)
{
	NPT_CHECK_STR(npt_protocol_name(NPT_PROTOCOL_COUNT), "unknown");
	NPT_CHECK_STR(npt_protocol_name(~0U), "unknown");
}

static void keeps_the_names_that_users_know(void)
{
	NPT_CHECK_STR(npt_protocol_name(NPT_PROTOCOL_HTTP1), "http1");
	NPT_CHECK_STR(npt_protocol_name(NPT_PROTOCOL_GRPC), "grpc");
	NPT_CHECK_STR(npt_protocol_name(NPT_PROTOCOL_POSTGRESQL), "postgresql");
	NPT_CHECK_STR(npt_protocol_name(NPT_PROTOCOL_AMQP1), "amqp1");
}

static const struct npt_test tests[] = {
	NPT_TEST(has_a_name_of_its_own_for_each),
	NPT_TEST(calls_what_it_does_not_know_unknown),
	NPT_TEST(keeps_the_names_that_users_know),
};

NPT_TEST_MAIN(tests)
