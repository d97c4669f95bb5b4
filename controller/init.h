/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Init - npt-controller init: the CA, the certificate and the ingest key, each made once.
 */
#include "controller/controller.h"

/* Creates Secret npt-tls, ConfigMap npt-ca, Secret npt-ingest-key where they are absent. */
int npt_init(const struct npt_controller_options *options, struct npt_error *err);
