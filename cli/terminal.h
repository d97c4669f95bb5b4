/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Terminal - whether somebody looks, and with what: width, colour (only on a terminal, and not if
 * NO_COLOR is set or TERM is dumb).
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

bool npt_terminal_is(FILE *file);
bool npt_terminal_has_colour(FILE *file);
/* Columns of the terminal; 80 if it does not say. */
size_t npt_terminal_width(FILE *file);
size_t npt_terminal_height(FILE *file);
