/* SPDX-License-Identifier: Apache-2.0 */
/* What is understood is said again in the same way, and its sums are sums. */
#include <stdlib.h>
#include <string.h>

#include "lib/model/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_histogram(const struct npt_histogram *histogram)
{
	uint64_t count = 0;

	for (size_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++)
		count += histogram->buckets[i];
	if (count != histogram->count)
		abort();
	(void)npt_histogram_quantile_micros(histogram, 950);
}

static void check_held(const struct npt_channel_message *message)
{
	for (size_t i = 0; i < message->held_count; i++) {
		for (size_t j = 0; j < message->held[i].pods_count; j++)
			check_histogram(&message->held[i].pods[j].rtt);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *message = NULL;
	npt_auto(npt_channel_message_free) struct npt_channel_message *again = NULL;
	npt_auto_free char *first = NULL, *second = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_channel_decode((const char *)data, size, &message, &err) < 0) {
		if (message || err.code == 0)
			abort();
		return 0;
	}
	if (message->type == NPT_CHANNEL_OTHER)
		return 0; /* of a later version: nothing that this one could say */
	check_held(message);
	first = npt_channel_encode(message);
	/* Fields that were left out are said: a frame near its limit may outgrow it. */
	if (strlen(first) > NPT_CHANNEL_FRAME_BYTES)
		return 0;
	if (npt_channel_decode(first, strlen(first), &again, &err) < 0)
		abort();
	second = npt_channel_encode(again);
	if (strcmp(first, second) != 0)
		abort();
	return 0;
}
