/* SPDX-License-Identifier: Apache-2.0 */
/* What both architectures share; each one's decoder has a file of its own. */
#include "agent/tls/instruction.h"

int npt_instruction_decode(enum npt_architecture architecture, const uint8_t *code,
			   size_t size_bytes, struct npt_instruction *instruction_ret)
{
	if (architecture == NPT_ARCHITECTURE_ARM64)
		return npt_instruction_decode_arm64(code, size_bytes, instruction_ret);
	return npt_instruction_decode_x86(code, size_bytes, instruction_ret);
}

bool npt_uprobe_is_emulated(enum npt_uprobe uprobe, bool long_nops)
{
	return uprobe >= NPT_UPROBE_PUSH || (uprobe == NPT_UPROBE_LONG_NOP && long_nops);
}

const char *npt_uprobe_name(enum npt_uprobe uprobe)
{
	static const char *const names[NPT_UPROBE_COUNT] = {
		[NPT_UPROBE_REFUSED] = "refused",   [NPT_UPROBE_STEPPED] = "stepped",
		[NPT_UPROBE_LONG_NOP] = "long nop", [NPT_UPROBE_PUSH] = "push",
		[NPT_UPROBE_NOP] = "nop",           [NPT_UPROBE_JUMP] = "jump",
		[NPT_UPROBE_CALL] = "call",         [NPT_UPROBE_ADDRESS] = "address",
	};

	return names[uprobe];
}
