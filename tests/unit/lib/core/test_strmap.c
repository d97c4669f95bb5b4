/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/strmap.h"

#include <errno.h>
#include <stdio.h>

#include "lib/core/alloc.h"
#include "tests/support/test.h"

static void keeps_the_order_of_insertion(void)
{
	npt_auto(npt_strmap_free) struct npt_strmap *map = npt_strmap_new(10, free);

	NPT_CHECK(npt_strmap_set(map, "b", npt_strdup("1")) == 0);
	NPT_CHECK(npt_strmap_set(map, "a", npt_strdup("2")) == 0);
	NPT_CHECK(npt_strmap_set(map, "c", npt_strdup("3")) == 0);
	npt_strmap_remove(map, "a");
	NPT_CHECK(npt_strmap_set(map, "b", npt_strdup("4")) == 0);
	NPT_CHECK_INT(npt_strmap_count(map), 2);
	NPT_CHECK_STR(npt_strmap_key_at(map, 0), "b");
	NPT_CHECK_STR(npt_strmap_value_at(map, 0), "4");
	NPT_CHECK_STR(npt_strmap_key_at(map, 1), "c");
	NPT_CHECK(npt_strmap_key_at(map, 2) == NULL);
}

static void refuses_more_than_its_maximum(void)
{
	npt_auto(npt_strmap_free) struct npt_strmap *map = npt_strmap_new(1, NULL);
	int value = 0;

	NPT_CHECK(npt_strmap_set(map, "a", &value) == 0);
	NPT_CHECK(npt_strmap_set(map, "b", &value) == -ENOSPC);
	NPT_CHECK(npt_strmap_set(map, "a", NULL) == 0);
	NPT_CHECK(npt_strmap_get(map, "b") == NULL);
}

static void finds_each_of_many_through_growth_and_removal(void)
{
	npt_auto(npt_strmap_free) struct npt_strmap *map = npt_strmap_new(1000, NULL);
	static int values[1000];
	char key[16];

	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "key-%d", i);
		NPT_CHECK(npt_strmap_set(map, key, &values[i]) == 0);
	}
	for (int i = 0; i < 1000; i += 3) {
		(void)snprintf(key, sizeof(key), "key-%d", i);
		NPT_CHECK(npt_strmap_steal(map, key) == &values[i]);
	}
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(key, sizeof(key), "key-%d", i);
		NPT_CHECK(npt_strmap_get(map, key) == (i % 3 ? &values[i] : NULL));
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(keeps_the_order_of_insertion),
	NPT_TEST(refuses_more_than_its_maximum),
	NPT_TEST(finds_each_of_many_through_growth_and_removal),
};
NPT_TEST_MAIN(tests)
