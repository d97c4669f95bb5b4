/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/error.h"

#include <errno.h>

#include "tests/support/test.h"

static void wraps_context_in_front(void)
{
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK(npt_error_set(&err, EINVAL, "path '%s' is not absolute", "pods") == -EINVAL);
	NPT_CHECK(npt_error_wrap(&err, "informer '%s'", "pods") == -EINVAL);
	NPT_CHECK_STR(err.text, "informer 'pods': path 'pods' is not absolute");
}

static void works_without_an_object(void)
{
	NPT_CHECK(npt_error_set(NULL, ENOENT, "no") == -ENOENT);
	NPT_CHECK(npt_error_wrap(NULL, "no") < 0);
}

static void cuts_a_long_text_and_keeps_the_context(void)
{
	struct npt_error err = NPT_ERROR_NONE;

	(void)npt_error_set(&err, EIO, "%0600d", 1);
	(void)npt_error_wrap(&err, "context");
	NPT_CHECK(strncmp(err.text, "context: 000", 12) == 0);
	NPT_CHECK(strlen(err.text) < NPT_ERROR_TEXT_BYTES);
}

static void names_errors(void)
{
	NPT_CHECK_STR(npt_errno_name(ECONNREFUSED), "ECONNREFUSED");
	NPT_CHECK_STR(npt_errno_name(4711), "errno 4711");
}

static const struct npt_test tests[] = {
	NPT_TEST(wraps_context_in_front),
	NPT_TEST(works_without_an_object),
	NPT_TEST(cuts_a_long_text_and_keeps_the_context),
	NPT_TEST(names_errors),
};
NPT_TEST_MAIN(tests)
