/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Client hellos - recorded from programs that this project does not link, each for "localhost".
 */
#include <stddef.h>

#define NPT_TEST_CLIENT_HELLOS 5

struct npt_test_client_hello {
	const char *name;
	const char *alpn; /* offered, with "," between */
	const char *hex;  /* the handshake message with its head of 4 bytes */
};

extern const struct npt_test_client_hello npt_test_client_hellos[NPT_TEST_CLIENT_HELLOS];
