/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Yaml - JSON as block YAML: only what JSON needs. Texts are quoted as in JSON, which YAML 1.2
 * reads the same, so that no text is taken for a number, a date or "no".
 */
#include <jansson.h>

#include "lib/core/buffer.h"

void npt_yaml_append(struct npt_buffer *out, const json_t *value);
