/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the benchmark module share. */
#ifndef _CDM_BENCH_H
#define _CDM_BENCH_H

#include <linux/timekeeping.h>
#include <linux/timex.h>
#include <linux/types.h>

/* Of one measurement: the least of so many rounds counts, the others had an interrupt */
#define BENCH_ROUNDS	64
#define BENCH_BATCH	256

/*
 * In a virtual machine that counts instructions: instructions. Counters of others than x86 have a
 * frequency of their own; the clock that goes by them is in nanoseconds, with steps of some.
 */
static inline u64 bench_clock(void)
{
	return IS_ENABLED(CONFIG_X86) ? get_cycles() : ktime_get_raw_fast_ns();
}

/**
 * struct bench_request - what is to be measured
 * @how: a word that the benchmark knows
 * @order: of the pages
 * @nid: on which node; NUMA_NO_NODE for what the kernel chooses
 */
struct bench_request {
	char how[16];
	unsigned int order;
	int nid;
};

/**
 * struct bench - something that can be measured
 * @name: what it is called
 * @run: measures it; @lowest is as of bench_clock(), for @ops of it. Returns 0,
 *	-ENOMEM, -ENODEV for a node that it cannot be measured on, -EINVAL for an unknown word.
 */
struct bench {
	const char *name;
	int (*run)(const struct bench_request *request, u64 *lowest, unsigned int *ops);
};

extern const struct bench bench_pages[];
extern const struct bench bench_cdm[];
extern const struct bench bench_peers[];
extern const struct bench bench_parallel[];

/* One round after the other, by what they are given; @round says 0 or an error */
int bench_lowest(int (*round)(void *data), void *data, u64 *lowest);

struct dentry;
int bench_calls_init(struct dentry *dir);
void bench_calls_exit(void);

#endif /* _CDM_BENCH_H */
