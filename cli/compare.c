/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cli/commands.h"

int npt_command_compare(const struct npt_cli_options *options, struct npt_error *err)
{
	(void)options;
	return npt_error_set(err, ENOSYS, "not there yet");
}
