/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

bool npt_terminal_is(FILE *file)
{
	return isatty(fileno(file)) == 1;
}

bool npt_terminal_has_colour(FILE *file)
{
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

	return npt_terminal_is(file) && !(no_colour && no_colour[0]) && term && term[0] &&
	       strcmp(term, "dumb") != 0;
}

static struct winsize size_of(FILE *file)
{
	struct winsize size = { .ws_row = 0 };

	(void)ioctl(fileno(file), TIOCGWINSZ, &size);
	if (size.ws_col == 0)
		size.ws_col = 80;
	if (size.ws_row == 0)
		size.ws_row = 24;
	return size;
}

size_t npt_terminal_width(FILE *file)
{
	return size_of(file).ws_col;
}

size_t npt_terminal_height(FILE *file)
{
	return size_of(file).ws_row;
}
