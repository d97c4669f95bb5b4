/* SPDX-License-Identifier: Apache-2.0 */
/* What is accepted must be said again in the same way. */
#include <assert.h>
#include <string.h>

#include "lib/model/report_protobuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto(npt_report_free) struct npt_report *report = NULL;
	npt_auto(npt_report_free) struct npt_report *again = NULL;
	npt_auto_free void *first = NULL, *second = NULL;
	size_t first_size, second_size;
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_report_from_protobuf(data, size, &report, &err) < 0)
		return 0;
	npt_report_to_protobuf(report, &first, &first_size);
	if (npt_report_from_protobuf(first, first_size, &again, &err) < 0)
		__builtin_trap();
	npt_report_to_protobuf(again, &second, &second_size);
	if (first_size != second_size || memcmp(first, second, first_size) != 0)
		__builtin_trap();
	free(npt_report_to_json(report));
	return 0;
}
