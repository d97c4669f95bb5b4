/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a function, of both architectures, C and Go: a site that is chosen can be reached
 * from the entry by instructions that leave the wanted registers alone, and is no further than
 * allowed. The first byte is options, the rest code.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/tls/site.h"
#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"

#define RETURNS_MAX 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* Where the instruction ends; size if there is none. */
static size_t step(const uint8_t *code, size_t size, const struct npt_site_options *options,
		   size_t at, struct npt_instruction *instruction)
{
	if (npt_instruction_decode(options->architecture, code + at, size - at, instruction) < 0)
		return size;
	must(instruction->length > 0 && instruction->length <= size - at);
	must(instruction->length <= NPT_INSTRUCTION_BYTES_MAX);
	must(instruction->uprobe < NPT_UPROBE_COUNT);
	must(!instruction->opaque || instruction->writes == NPT_REGISTERS_ALL);
	must(instruction->stack_known || !instruction->stack_change);
	return at + instruction->length;
}

static void walk(const uint8_t *code, size_t size, const struct npt_site_options *options,
		 const struct npt_site *site)
{
	uint32_t wanted =
		npt_site_arguments(options->architecture, options->convention, options->arguments);
	struct npt_instruction instruction;
	int32_t stack_change = 0;
	size_t at = 0;

	while (at < site->offset) {
		at = step(code, size, options, at, &instruction);
		must(!(instruction.writes & wanted) && !instruction.opaque);
		must(instruction.store != NPT_STORE_MEMORY && instruction.stack_known);
		must(instruction.flow == NPT_FLOW_NEXT ||
		     (instruction.flow == NPT_FLOW_BRANCH &&
		      options->convention == NPT_CONVENTION_GO));
		stack_change += instruction.stack_change;
	}
	must(at == site->offset && at < size && stack_change == site->stack_change);
	(void)step(code, size, options, at, &instruction);
	must(instruction.uprobe == site->how && site->how != NPT_UPROBE_REFUSED);
	must(!site->returns || options->architecture == NPT_ARCHITECTURE_ARM64 ||
	     stack_change == 0);
	must(!options->naive || site->offset == 0);
	must(!options->returns || site->returns);
}

static void check_returns(const uint8_t *code, size_t size, const struct npt_site_options *options)
{
	struct npt_instruction instruction;
	uint32_t offsets[RETURNS_MAX];
	size_t count = 0;

	if (npt_site_returns(options->architecture, code, size, offsets, RETURNS_MAX, &count,
			     NULL) < 0)
		return;
	for (size_t i = 0; i < count && i < RETURNS_MAX; i++) {
		must(offsets[i] < size && (i == 0 || offsets[i] > offsets[i - 1]));
		(void)step(code, size, options, offsets[i], &instruction);
		must(instruction.flow == NPT_FLOW_RETURN);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct npt_site_options options = { .distance_max = 0 };
	struct npt_instruction instruction;
	struct npt_site site;
	npt_auto_free uint8_t *code = NULL;
	int64_t callee;

	if (size == 0)
		return 0;
	options.architecture = data[0] & 1 ? NPT_ARCHITECTURE_ARM64 : NPT_ARCHITECTURE_X86_64;
	options.convention = data[0] & 2 ? NPT_CONVENTION_GO : NPT_CONVENTION_C;
	options.long_nops = data[0] & 4;
	options.naive = data[0] & 8;
	options.returns = data[0] & 16;
	options.arguments = data[0] >> 5;
	code = npt_memdup(data + 1, size - 1);
	size--;
	for (size_t at = 0; at < size;)
		at = step(code, size, &options, at, &instruction);
	if (npt_site_choose(code, size, &options, &site, NULL) == 0)
		walk(code, size, &options, &site);
	(void)npt_site_callee(code, size, &options, &callee, NULL);
	check_returns(code, size, &options);
	return 0;
}
