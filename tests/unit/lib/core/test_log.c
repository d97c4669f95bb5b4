/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/core/log.h"

#include <errno.h>

#include "tests/support/test.h"

static void takes_levels_and_formats_by_their_names(void)
{
	enum npt_log_level level = NPT_LOG_ERROR;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK_INT(npt_log_options_parse("debug", "json", &level, &err), 0);
	NPT_CHECK_INT(level, NPT_LOG_DEBUG);
	NPT_CHECK_INT(npt_log_options_parse("warning", NULL, &level, &err), 0);
	NPT_CHECK_INT(level, NPT_LOG_WARNING);
	NPT_CHECK_INT(npt_log_options_parse("error", "text", &level, &err), 0);
	NPT_CHECK_INT(level, NPT_LOG_ERROR);
}

static void says_what_they_can_be(void)
{
	enum npt_log_level level = NPT_LOG_INFO;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK_INT(npt_log_options_parse("loud", "text", &level, &err), -EINVAL);
	NPT_CHECK_STR(err.text, "--log-level loud is not a level: error, warning, info or debug");
	NPT_CHECK_INT(npt_log_options_parse("", "text", &level, &err), -EINVAL);
	NPT_CHECK_INT(npt_log_options_parse("debug", "xml", &level, &err), -EINVAL);
	NPT_CHECK_STR(err.text, "--log-format xml is neither text nor json");
	NPT_CHECK_INT(level, NPT_LOG_INFO); /* as it was */
}

static const struct npt_test tests[] = {
	NPT_TEST(takes_levels_and_formats_by_their_names),
	NPT_TEST(says_what_they_can_be),
};
NPT_TEST_MAIN(tests)
