/* SPDX-License-Identifier: Apache-2.0 */
/* Mappings whose paths the process chose: each file has a path and an inode, and is there once. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tls/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	npt_auto(npt_maps_done) struct npt_maps maps = { .pid = 1 };

	npt_maps_parse((const char *)data, size, &maps);
	must(maps.count <= NPT_MAPS_FILES_MAX && maps.count <= size);
	for (size_t i = 0; i < maps.count; i++) {
		const struct npt_mapped_file *file = &maps.files[i];

		must(file->path && strlen(file->path) < size && file->inode != 0);
		must(file->size_bytes > 0 && !file->executable);
		for (size_t j = 0; j < i; j++)
			must(maps.files[j].inode != file->inode ||
			     maps.files[j].device_major != file->device_major ||
			     maps.files[j].device_minor != file->device_minor);
	}
	return 0;
}
