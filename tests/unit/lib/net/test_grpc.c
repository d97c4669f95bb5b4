/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/grpc.h"

#include <errno.h>

#include "tests/support/test.h"

static void a_message_comes_back_out_of_its_frame(void)
{
	npt_auto(npt_buffer_done) struct npt_buffer framed = NPT_BUFFER(16);
	const void *data = NULL;
	size_t size_bytes = 0;

	NPT_CHECK_INT(npt_grpc_append(&framed, "hello", 5), 0);
	NPT_CHECK_INT(framed.size_bytes, 10);
	NPT_CHECK_INT(npt_grpc_unframe(framed.data, framed.size_bytes, &data, &size_bytes, NULL),
		      0);
	NPT_CHECK(size_bytes == 5 && memcmp(data, "hello", 5) == 0);
	NPT_CHECK_INT(npt_grpc_append(&framed, "hello", 5), -EMSGSIZE);
	NPT_CHECK_INT(framed.size_bytes, 10);
}

static void a_frame_that_is_none_is_refused(void)
{
	static const struct {
		const char *body;
		size_t bytes;
		int result;
	} bad[] = {
		{ "", 0, -ENODATA },
		{ "\0\0\0\0", 4, -EBADMSG },
		{ "\1\0\0\0\0", 5, -EBADMSG },         /* compressed */
		{ "\0\0\0\0\2a", 6, -EBADMSG },        /* cut off */
		{ "\0\0\0\0\1ab", 7, -EBADMSG },       /* more behind it */
		{ "\0\xff\xff\xff\xff", 5, -EBADMSG }, /* 4 GiB */
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(bad); i++) {
		const void *data = NULL;
		size_t size_bytes = 0;

		NPT_CHECK_INT(npt_grpc_unframe(bad[i].body, bad[i].bytes, &data, &size_bytes, NULL),
			      bad[i].result);
	}
}

static void the_status_is_found_in_any_header(void)
{
	struct npt_grpc_answer answer = { .status = NPT_GRPC_UNKNOWN };
	static const char message[] = "Grpc-Message: come later\r\n";

	npt_grpc_take_header(&answer, "content-type: a\r\n", 17);
	NPT_CHECK(!answer.has_status);
	npt_grpc_take_header(&answer, "grpc-status: 14\r\n", 17);
	NPT_CHECK(answer.has_status && answer.status == NPT_GRPC_UNAVAILABLE);
	npt_grpc_take_header(&answer, "grpc-status: 1e3\r\n", 18);
	NPT_CHECK_INT(answer.status, NPT_GRPC_UNKNOWN);
	npt_grpc_take_header(&answer, message, sizeof(message) - 1);
	NPT_CHECK_STR(answer.message, "come later");
}

static const struct npt_test tests[] = {
	NPT_TEST(a_message_comes_back_out_of_its_frame),
	NPT_TEST(a_frame_that_is_none_is_refused),
	NPT_TEST(the_status_is_found_in_any_header),
};
NPT_TEST_MAIN(tests)
