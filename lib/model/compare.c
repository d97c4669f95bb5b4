/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics, on plain numbers; who is compared with whom is in comparison.c.
 */
#include "lib/model/compare.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define REPLICA_SET_HASH_MIN 6
#define REPLICA_SET_HASH_MAX 10
#define POD_SUFFIX           5

static struct npt_difference unknown(void)
{
	return (struct npt_difference){ .change = NPT_CHANGE_UNKNOWN, .p = 1 };
}

/* Two-sided, of a value that is normally distributed with mean 0 and deviation 1. */
static double p_of(double z)
{
	return erfc(fabs(z) / sqrt(2));
}

static enum npt_change change_of(double p, double size, double size_min)
{
	if (p > NPT_COMPARE_P_MAX || fabs(size) < size_min)
		return NPT_CHANGE_NONE;
	return size > 0 ? NPT_CHANGE_MORE : NPT_CHANGE_LESS;
}

struct npt_difference npt_compare_times(const struct npt_histogram *a,
					const struct npt_histogram *b)
{
	double n = (double)a->count, m = (double)b->count, all = n + m;
	double below = 0, difference = 0, ties = 0, variance;
	struct npt_difference result;

	if (a->count < NPT_COMPARE_TIMES_MIN || b->count < NPT_COMPARE_TIMES_MIN)
		return unknown();
	for (size_t i = 0; i < NPT_HISTOGRAM_BUCKETS; i++) {
		double in_a = (double)a->buckets[i], in_b = (double)b->buckets[i];
		double tied = in_a + in_b;

		/* For each time of a in here: longer ones of b, less shorter ones. */
		difference += in_a * ((m - below - in_b) - below);
		below += in_b;
		ties += tied * (tied * tied - 1);
	}
	result.delta = difference / (n * m);
	/* U is (difference + nm) / 2; its variance with ties: */
	variance = n * m / 12 * (all + 1 - ties / (all * (all - 1)));
	result.p = variance > 0 ? p_of(difference / 2 / sqrt(variance)) : 1;
	result.change = change_of(result.p, result.delta, NPT_COMPARE_DELTA_MIN);
	return result;
}

struct npt_difference npt_compare_parts(uint64_t part_a, uint64_t whole_a, uint64_t part_b,
					uint64_t whole_b)
{
	double n = (double)whole_a, m = (double)whole_b;
	double share_a = (double)part_a / n, share_b = (double)part_b / m;
	double share = (double)(part_a + part_b) / (n + m);
	struct npt_difference result;

	if (whole_a < NPT_COMPARE_SEGMENTS_MIN || whole_b < NPT_COMPARE_SEGMENTS_MIN ||
	    part_a > whole_a || part_b > whole_b)
		return unknown();
	if (part_a + part_b < NPT_COMPARE_RETRANSMITS_MIN)
		return (struct npt_difference){ .change = NPT_CHANGE_NONE, .p = 1 };
	result.delta = share_b - share_a;
	result.p = share < 1 ? p_of(result.delta / sqrt(share * (1 - share) * (1 / n + 1 / m))) : 1;
	result.change = change_of(result.p, result.delta, 0);
	return result;
}

const char *npt_change_name(enum npt_change change)
{
	static const char *const names[] = {
		[NPT_CHANGE_UNKNOWN] = "unknown",
		[NPT_CHANGE_NONE] = "none",
		[NPT_CHANGE_LESS] = "less",
		[NPT_CHANGE_MORE] = "more",
	};

	return names[change];
}

/*
 * What Kubernetes makes up has no vowels, so that it makes no words, and no 0, 1 or 3
 * (apimachinery, util/rand).
 */
static bool is_made_up(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!strchr("bcdfghjklmnpqrstvwxz2456789", text[i]))
			return false;
	}
	return true;
}

static bool is_number(const char *text)
{
	size_t length = strspn(text, "0123456789");

	return length > 0 && length <= 4 && text[length] == '\0';
}

void npt_compare_workload(const char *pod, char workload_ret[static NPT_NAME_BYTES])
{
	char *dash;

	(void)snprintf(workload_ret, NPT_NAME_BYTES, "%s", pod);
	dash = strrchr(workload_ret, '-');
	if (!dash || dash == workload_ret)
		return;
	if (is_number(dash + 1)) { /* of a StatefulSet */
		*dash = '\0';
		return;
	}
	if (strlen(dash + 1) != POD_SUFFIX || !is_made_up(dash + 1, POD_SUFFIX))
		return;
	*dash = '\0';
	dash = strrchr(workload_ret, '-');
	if (dash && dash != workload_ret && strlen(dash + 1) >= REPLICA_SET_HASH_MIN &&
	    strlen(dash + 1) <= REPLICA_SET_HASH_MAX && is_made_up(dash + 1, strlen(dash + 1)))
		*dash = '\0';
}
