/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/identity.h"

#include "tests/support/test.h"

static void writes_addresses_and_endpoints(void)
{
	static const uint8_t v4[16] = { [10] = 0xff, [11] = 0xff, 10, 1, 2, 3 };
	static const uint8_t v6[16] = { [0] = 0xfd, [15] = 1 };
	char text[NPT_ENDPOINT_BYTES];

	npt_identity_address(v4, text);
	NPT_CHECK_STR(text, "10.1.2.3");
	npt_identity_address(v6, text);
	NPT_CHECK_STR(text, "fd00::1");
	npt_identity_endpoint(v4, 80, text);
	NPT_CHECK_STR(text, "10.1.2.3:80");
	npt_identity_endpoint(v6, 65535, text);
	NPT_CHECK_STR(text, "[fd00::1]:65535");
}

static const struct npt_test tests[] = {
	NPT_TEST(writes_addresses_and_endpoints),
};
NPT_TEST_MAIN(tests)
