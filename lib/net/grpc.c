/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame is a byte that says whether the message is compressed, its length in four bytes, and the
 * message. A call that fails at once has its status in the headers, all others in the trailers.
 * libcurl 7.88 loses trailers that come in one read with the end of the message: so a whole message
 * without a status, which no failed call has, counts as a success.
 */
#include "lib/net/grpc.h"

#include <errno.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/parse.h"

#define FRAME_BYTES 5

int npt_grpc_append(struct npt_buffer *messages, const void *data, size_t size_bytes)
{
	const unsigned char frame[FRAME_BYTES] = { 0, (unsigned char)(size_bytes >> 24),
						   (unsigned char)(size_bytes >> 16),
						   (unsigned char)(size_bytes >> 8),
						   (unsigned char)size_bytes };

	if (size_bytes > UINT32_MAX ||
	    messages->size_bytes + FRAME_BYTES + size_bytes > messages->max_bytes)
		return -EMSGSIZE;
	(void)npt_buffer_append(messages, frame, sizeof(frame));
	return npt_buffer_append(messages, data, size_bytes);
}

int npt_grpc_unframe(const void *body, size_t body_bytes, const void **data_ret,
		     size_t *size_bytes_ret, struct npt_error *err)
{
	const unsigned char *frame = body;
	size_t size_bytes;

	if (body_bytes == 0)
		return npt_error_set(err, ENODATA, "no message");
	if (body_bytes < FRAME_BYTES)
		return npt_error_set(err, EBADMSG, "a frame of %zu bytes", body_bytes);
	if (frame[0] != 0)
		return npt_error_set(err, EBADMSG, "a compressed message, which was not asked for");
	size_bytes =
		(size_t)frame[1] << 24 | (size_t)frame[2] << 16 | (size_t)frame[3] << 8 | frame[4];
	if (size_bytes != body_bytes - FRAME_BYTES)
		return npt_error_set(err, EBADMSG, "a message of %zu bytes in %zu", size_bytes,
				     body_bytes - FRAME_BYTES);
	*data_ret = frame + FRAME_BYTES;
	*size_bytes_ret = size_bytes;
	return 0;
}

/* The value behind "name:", cut to what fits; false: it is another header. */
static bool value_of(const char *line, size_t size_bytes, const char *name, char *out,
		     size_t out_bytes)
{
	size_t length = strlen(name), used = 0;

	if (size_bytes <= length || strncasecmp(line, name, length) != 0)
		return false;
	for (size_t i = length; i < size_bytes && used + 1 < out_bytes; i++) {
		if (line[i] == '\r' || line[i] == '\n' || line[i] == '\0')
			break;
		if (line[i] != ' ' || used > 0)
			out[used++] = line[i];
	}
	out[used] = '\0';
	return true;
}

void npt_grpc_take_header(struct npt_grpc_answer *answer, const char *line, size_t size_bytes)
{
	char text[16];
	uint64_t status;

	if (value_of(line, size_bytes, "grpc-status:", text, sizeof(text))) {
		answer->has_status = true;
		answer->status = npt_parse_u64(text, 0, 255, &status) == 0 ? (unsigned int)status
									   : NPT_GRPC_UNKNOWN;
	} else {
		(void)value_of(line, size_bytes, "grpc-message:", answer->message,
			       sizeof(answer->message));
	}
}

struct running {
	const struct npt_grpc_call *call;
	struct npt_grpc_answer *answer;
};

static void take_header(void *context, const char *line, size_t size_bytes)
{
	npt_grpc_take_header(((struct running *)context)->answer, line, size_bytes);
}

static bool is_cancelled(void *context)
{
	const struct npt_grpc_call *call = ((struct running *)context)->call;

	return call->is_cancelled && call->is_cancelled(call->context);
}

static const char **make_headers(const struct npt_grpc_call *call)
{
	const char **headers;
	size_t count = 0;

	while (call->headers && call->headers[count])
		count++;
	headers = npt_alloc(count + 2, sizeof(*headers));
	headers[0] = "TE: trailers";
	for (size_t i = 0; i < count; i++)
		headers[i + 1] = call->headers[i];
	return headers;
}

int npt_grpc_perform(struct npt_http_client *client, const struct npt_grpc_call *call,
		     struct npt_grpc_answer *answer_ret, struct npt_error *err)
{
	npt_auto(npt_grpc_answer_done) struct npt_grpc_answer answer = { .status =
										 NPT_GRPC_UNKNOWN };
	npt_auto_free const char **headers = make_headers(call);
	struct running running = { .call = call, .answer = &answer };
	struct npt_http_response response = { .status = 0 };
	const struct npt_http_request request = {
		.method = "POST",
		.url = call->url,
		.content_type = "application/grpc",
		.headers = headers,
		.body = call->messages->data,
		.body_bytes = call->messages->size_bytes,
		.timeout_ms = call->timeout_ms,
		.max_response_bytes = call->max_answer_bytes,
		.on_header = take_header,
		.is_cancelled = is_cancelled,
		.context = &running,
	};
	int r = npt_http_perform(client, &request, &response, err);

	if (r < 0)
		return r;
	answer.body = response.body;
	if (response.status != 200)
		return npt_error_set(err, EBADMSG, "%.200s: HTTP status %u", call->url,
				     response.status);
	r = npt_grpc_unframe(response.body, response.body_bytes, &answer.data, &answer.size_bytes,
			     err);
	if (r == 0 && !answer.has_status)
		answer.status = NPT_GRPC_OK;
	if (r < 0 && (r != -ENODATA || answer.status == NPT_GRPC_OK))
		return npt_error_wrap(err, "%.200s", call->url);
	*answer_ret = answer;
	answer.body = NULL;
	return 0;
}

void npt_grpc_answer_done(struct npt_grpc_answer *answer)
{
	free(answer->body);
	answer->body = NULL;
	answer->data = NULL;
}
