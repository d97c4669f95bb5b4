/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Selector - kubectl's text form of a label selector ("app=web,tier in (a,b),!old") as the object
 * that a resource holds.
 */
#include <jansson.h>

#include "lib/core/error.h"

/* {"matchLabels": ..., "matchExpressions": ...}, the caller's; -EINVAL with where it is wrong. */
int npt_selector_parse(const char *text, json_t **selector_ret, struct npt_error *err);
