/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "lib/model/report.h"
#include "tests/support/test.h"

static void a_protocol_reads_as_people_write_it(void)
{
	static const struct {
		const char *protocol;
		enum npt_tls tls;
		const char *transport;
		const char *title;
	} cases[] = {
		{ "http1", NPT_TLS_NO, "tcp", "HTTP" },
		{ "http1", NPT_TLS_UNKNOWN, "tcp", "HTTP" },
		{ "http1", NPT_TLS_YES, "tcp", "HTTPS" },
		{ "http", NPT_TLS_YES, "tcp", "HTTPS" },
		{ "http2", NPT_TLS_NO, "tcp", "HTTP/2" },
		{ "http2", NPT_TLS_YES, "tcp", "HTTP/2 (TLS)" },
		{ "grpc", NPT_TLS_NO, "tcp", "gRPC" },
		{ "mysql", NPT_TLS_NO, "tcp", "MySQL" },
		{ "mysql", NPT_TLS_YES, "tcp", "MySQL (TLS)" },
		{ "dns", NPT_TLS_NO, "udp", "DNS" },
		{ "quic", NPT_TLS_YES, "udp", "QUIC" },
		{ "unknown", NPT_TLS_NO, "tcp", "TCP" },
		{ "unknown", NPT_TLS_YES, "tcp", "TCP (TLS)" },
		{ "unknown", NPT_TLS_UNKNOWN, "udp", "UDP" },
		{ "", NPT_TLS_UNKNOWN, "tcp", "TCP" },
		{ "of-tomorrow", NPT_TLS_NO, "tcp", "of-tomorrow" },
		{ "of-tomorrow-abc", NPT_TLS_YES, "tcp", "of-tomorrow-abc (TLS)" },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(cases); i++) {
		struct npt_edge edge = { .tls = cases[i].tls };
		char title[NPT_PROTOCOL_TITLE_BYTES];

		(void)snprintf(edge.protocol, sizeof(edge.protocol), "%s", cases[i].protocol);
		(void)snprintf(edge.transport, sizeof(edge.transport), "%s", cases[i].transport);
		npt_edge_protocol_title(&edge, title);
		NPT_CHECK_STR(title, cases[i].title);
	}
}

static void only_a_name_is_known(void)
{
	NPT_CHECK(npt_protocol_is_known("http1"));
	NPT_CHECK(!npt_protocol_is_known("unknown"));
	NPT_CHECK(!npt_protocol_is_known(""));
}

static const struct npt_test tests[] = {
	NPT_TEST(a_protocol_reads_as_people_write_it),
	NPT_TEST(only_a_name_is_known),
};
NPT_TEST_MAIN(tests)
