/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk goes from the entry straight on. It passes what leaves the wanted registers and other
 * memory than the frame alone and moves the stack pointer by a known number. It ends at a call, a
 * return, a jump, and at a branch (which all may be sites themselves, as they are executed before
 * they go elsewhere), with one exception: a Go function asks first whether its stack is large
 * enough; if not, the branch leads to a block that lets it grow and jumps back to the entry. Such
 * a branch is passed, and what lies before it is executed again.
 *
 * Jumps back from further on are found by reading all of the function once: their targets within
 * the distance are marked. Indirect jumps are not followed: compilers make them for switches,
 * whose cases do not lie before the switch's own function has saved a register. Neither are jumps
 * from other functions.
 */
#include "agent/tls/site.h"

#include <errno.h>

#define DISTANCE_DEFAULT 160
#define DISTANCE_MAX     512
#define GROW_STEPS       64 /* instructions in the block that lets the stack grow */
#define BLOCKS_MAX       4

struct walk {
	const uint8_t *code;
	size_t size_bytes;
	const struct npt_site_options *options;
	uint32_t wanted;
	size_t distance_max;
	size_t looked_at_bytes;
	bool targets[DISTANCE_MAX + 1]; /* jumped to, but for the entry */
	size_t entry_jumps;             /* jumps to the entry, but from blocks */
	size_t blocks[BLOCKS_MAX];      /* jumps to the entry from blocks that were passed */
	size_t blocks_count;
	int32_t stack_change; /* so far */
	bool returns;         /* a return probe would find the caller */
};

static bool decode(const struct walk *walk, size_t at, struct npt_instruction *instruction)
{
	return at < walk->size_bytes &&
	       npt_instruction_decode(walk->options->architecture, walk->code + at,
				      walk->size_bytes - at, instruction) == 0;
}

static bool goes_to(const struct npt_instruction *instruction)
{
	return instruction->flow == NPT_FLOW_BRANCH || instruction->flow == NPT_FLOW_JUMP;
}

/* Where it goes; false if that is not within the code. */
static bool target_of(const struct walk *walk, size_t at, const struct npt_instruction *instruction,
		      size_t *target_ret)
{
	int64_t target = (int64_t)at + instruction->target;

	if (target < 0 || target >= (int64_t)walk->size_bytes)
		return false;
	*target_ret = (size_t)target;
	return true;
}

static void mark_jumps(struct walk *walk)
{
	struct npt_instruction instruction;
	size_t at = 0, target;

	for (; decode(walk, at, &instruction); at += instruction.length) {
		bool calls_inside = instruction.flow == NPT_FLOW_CALL && instruction.target != 0;

		if ((!goes_to(&instruction) && !calls_inside) ||
		    !target_of(walk, at, &instruction, &target))
			continue;
		if (target == 0)
			walk->entry_jumps += goes_to(&instruction); /* a call is another call */
		else if (target <= walk->distance_max)
			walk->targets[target] = true;
	}
	walk->looked_at_bytes = at;
}

/* The block at the target of a branch that lets the stack grow: straight, then to the entry. */
static bool comes_back(struct walk *walk, size_t at)
{
	struct npt_instruction instruction;
	size_t target;

	for (int i = 0; i < GROW_STEPS && decode(walk, at, &instruction); i++) {
		if (instruction.flow == NPT_FLOW_JUMP) {
			if (!target_of(walk, at, &instruction, &target))
				return false;
			if (target == 0)
				break;
			at = target;
			continue;
		}
		if (instruction.flow != NPT_FLOW_NEXT && instruction.flow != NPT_FLOW_CALL)
			return false;
		at += instruction.length;
	}
	if (!decode(walk, at, &instruction) || instruction.flow != NPT_FLOW_JUMP ||
	    !target_of(walk, at, &instruction, &target) || target != 0)
		return false;
	for (size_t i = 0; i < walk->blocks_count; i++) {
		if (walk->blocks[i] == at)
			return true;
	}
	if (walk->blocks_count == BLOCKS_MAX)
		return false;
	walk->blocks[walk->blocks_count++] = at;
	/* Where the sweep did not get, it has not counted it either. */
	if (at < walk->looked_at_bytes && walk->entry_jumps > 0)
		walk->entry_jumps--;
	return true;
}

/* Executed once per call, if the walk has come to it. */
static bool once(const struct walk *walk, size_t at)
{
	if (walk->entry_jumps > 0)
		return false;
	for (size_t i = 1; i <= at && i <= walk->distance_max; i++) {
		if (walk->targets[i])
			return false;
	}
	return true;
}

/* Leaves alone what a probe behind it wants to see. */
static bool is_harmless(const struct walk *walk, const struct npt_instruction *instruction)
{
	return !instruction->opaque && !(instruction->writes & walk->wanted) &&
	       instruction->stack_known && instruction->store != NPT_STORE_MEMORY;
}

static void pass(struct walk *walk, const struct npt_instruction *instruction)
{
	uint32_t caller = (uint32_t)1 << NPT_ARM64_LINK | (uint32_t)1 << NPT_ARM64_SP;

	walk->stack_change += instruction->stack_change;
	if (walk->options->convention == NPT_CONVENTION_GO)
		return;
	if (walk->options->architecture == NPT_ARCHITECTURE_X86_64)
		walk->returns = walk->stack_change == 0;
	else if ((instruction->writes & caller) || instruction->store != NPT_STORE_NONE)
		walk->returns = false; /* x30 may be signed or saved, and is restored from there */
}

static void fill(const struct walk *walk, size_t at, const struct npt_instruction *instruction,
		 struct npt_site *site)
{
	*site = (struct npt_site){
		.offset = (uint32_t)at,
		.how = instruction->uprobe,
		.nop5 = instruction->uprobe == NPT_UPROBE_LONG_NOP && instruction->length == 5,
		.repeats = !once(walk, at),
		.returns = walk->returns,
		.stack_change = walk->stack_change,
		.looked_at_bytes = (uint32_t)walk->looked_at_bytes,
	};
}

/* 1: an emulated site; 0: a stepped one or, with how REFUSED, none. */
static int search(struct walk *walk, struct npt_site *site)
{
	struct npt_instruction instruction;
	size_t at = 0, target = 0;

	for (; at <= walk->distance_max && decode(walk, at, &instruction);
	     at += instruction.length) {
		if (walk->options->convention == NPT_CONVENTION_GO &&
		    instruction.flow == NPT_FLOW_BRANCH) {
			if (!target_of(walk, at, &instruction, &target))
				return -ENODATA;
			if (is_harmless(walk, &instruction) && comes_back(walk, target)) {
				site->how = NPT_UPROBE_REFUSED; /* what was found is repeated */
				continue;
			}
		}
		if (npt_uprobe_is_emulated(instruction.uprobe, walk->options->long_nops) &&
		    once(walk, at)) {
			fill(walk, at, &instruction, site);
			return 1;
		}
		if (site->how == NPT_UPROBE_REFUSED && instruction.uprobe != NPT_UPROBE_REFUSED)
			fill(walk, at, &instruction, site);
		if (instruction.flow != NPT_FLOW_NEXT || !is_harmless(walk, &instruction))
			break;
		pass(walk, &instruction);
		if (walk->options->returns && !walk->returns)
			break;
	}
	return 0;
}

static struct walk begin(const uint8_t *code, size_t size_bytes,
			 const struct npt_site_options *options)
{
	struct walk walk = {
		.code = code,
		.size_bytes = size_bytes,
		.options = options,
		.distance_max = options->distance_max ? options->distance_max : DISTANCE_DEFAULT,
		.returns = options->convention == NPT_CONVENTION_C,
	};

	if (walk.size_bytes > NPT_SITE_CODE_BYTES_MAX)
		walk.size_bytes = NPT_SITE_CODE_BYTES_MAX;
	if (walk.distance_max > DISTANCE_MAX)
		walk.distance_max = DISTANCE_MAX;
	walk.wanted =
		npt_site_arguments(options->architecture, options->convention, options->arguments);
	return walk;
}

int npt_site_choose(const uint8_t *code, size_t size_bytes, const struct npt_site_options *options,
		    struct npt_site *site_ret, struct npt_error *err)
{
	struct walk walk = begin(code, size_bytes, options);
	struct npt_site site = { .how = NPT_UPROBE_REFUSED };
	struct npt_instruction first;

	if (options->returns && options->convention == NPT_CONVENTION_GO)
		return npt_error_set(err, EOPNOTSUPP, "a return probe would crash a Go program");
	if (!decode(&walk, 0, &first))
		return npt_error_set(err, EBADMSG, "the function begins with no known instruction");
	mark_jumps(&walk);
	if (options->naive)
		fill(&walk, 0, &first, &site);
	else if (search(&walk, &site) == -ENODATA)
		return npt_error_set(err, ENODATA, "its stack check leads out of the %zu bytes",
				     walk.size_bytes);
	if (site.how == NPT_UPROBE_REFUSED)
		return npt_error_set(err, EOPNOTSUPP, "no instruction of its begin takes a uprobe");
	*site_ret = site;
	return 0;
}

int npt_site_callee(const uint8_t *code, size_t size_bytes, const struct npt_site_options *options,
		    int64_t *callee_ret, struct npt_error *err)
{
	struct walk walk = begin(code, size_bytes, options);
	struct npt_instruction instruction;

	for (size_t at = 0; at <= walk.distance_max && decode(&walk, at, &instruction);
	     at += instruction.length) {
		int64_t target = (int64_t)at + instruction.target;
		bool outside = target < 0 || target >= (int64_t)walk.size_bytes;

		if (instruction.flow == NPT_FLOW_CALL ||
		    (instruction.flow == NPT_FLOW_JUMP && outside)) {
			*callee_ret = target;
			return 0;
		}
		if ((instruction.flow != NPT_FLOW_NEXT && instruction.flow != NPT_FLOW_BRANCH) ||
		    !is_harmless(&walk, &instruction))
			break;
	}
	return npt_error_set(err, ENOENT, "it hands its arguments to no other function");
}

uint32_t npt_site_arguments(enum npt_architecture architecture, enum npt_convention convention,
			    unsigned count)
{
	/* rdi rsi rdx rcx r8 r9; rax rbx rcx rdi rsi r8 r9 r10 r11, and g in r14. */
	static const uint8_t c_x86[] = { 7, 6, 2, 1, 8, 9 };
	static const uint8_t go_x86[] = { 0, 3, 1, 7, 6, 8, 9, 10, 11 };
	bool go = convention == NPT_CONVENTION_GO;
	uint32_t mask;

	if (architecture == NPT_ARCHITECTURE_ARM64) { /* x0 up; g in x28 */
		unsigned most = go ? 16 : 8;

		mask = ((uint32_t)1 << (count < most ? count : most)) - 1;
		return go ? mask | (uint32_t)1 << 28 : mask;
	}
	mask = go ? (uint32_t)1 << 14 : 0;
	for (unsigned i = 0; i < count && i < (go ? sizeof(go_x86) : sizeof(c_x86)); i++)
		mask |= (uint32_t)1 << (go ? go_x86 : c_x86)[i];
	return mask;
}

int npt_site_returns(enum npt_architecture architecture, const uint8_t *code, size_t size_bytes,
		     uint32_t *offsets, size_t max, size_t *count_ret, struct npt_error *err)
{
	struct npt_instruction instruction;
	size_t count = 0;

	for (size_t at = 0; at < size_bytes; at += instruction.length) {
		if (at > NPT_SITE_CODE_BYTES_MAX ||
		    npt_instruction_decode(architecture, code + at, size_bytes - at, &instruction) <
			    0)
			return npt_error_set(err, EBADMSG, "no known instruction at +%#zx", at);
		if (instruction.flow != NPT_FLOW_RETURN)
			continue;
		if (count < max)
			offsets[count] = (uint32_t)at;
		count++;
	}
	*count_ret = count;
	return 0;
}
