/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Interrupt - what Ctrl-C does: it ends the program and takes its socket away, or, where a command
 * has to finish something first, asks for the end; the second one ends the program then.
 */
#include <stdbool.h>
#include <stdint.h>

/* SIGINT, SIGTERM, SIGHUP from now on. */
void npt_interrupt_setup(void);
/* Files that are removed if a signal ends the program; NULL: none any more. Borrowed. */
void npt_interrupt_set_socket(const char *path, const char *directory);
/* From now on the first signal only asks. */
void npt_interrupt_ask_first(void);
bool npt_interrupt_asked(void);
/* Waits; ends early when asked. */
void npt_interrupt_pause(uint64_t ms);
