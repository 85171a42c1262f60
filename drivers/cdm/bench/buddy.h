/* SPDX-License-Identifier: GPL-2.0 */
/* The allocator that GPU drivers share, with the lock that each of them has around it. */
#ifndef _CDM_BENCH_BUDDY_H
#define _CDM_BENCH_BUDDY_H

#include <linux/gpu_buddy.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/sizes.h>

/* How much memory it has to give */
#define BENCH_BUDDY_SIZE	SZ_64M

struct bench_buddy {
	struct gpu_buddy buddy;
	struct mutex lock; /* of @buddy, which has none */
	u64 size; /* of one allocation */
};

/* Ended by gpu_buddy_fini() */
static inline int bench_buddy_init(struct bench_buddy *of, unsigned int order)
{
	of->size = PAGE_SIZE << order;
	mutex_init(&of->lock);
	return gpu_buddy_init(&of->buddy, BENCH_BUDDY_SIZE, PAGE_SIZE);
}

/* One block is taken, so that its other half is free as it is: nothing is split or merged */
static inline int bench_buddy_hold(struct bench_buddy *of, struct list_head *held)
{
	return gpu_buddy_alloc_blocks(&of->buddy, 0, BENCH_BUDDY_SIZE, of->size, of->size, held, 0);
}

/* One allocation and free */
static inline int bench_buddy_once(struct bench_buddy *of)
{
	LIST_HEAD(blocks);
	int rc;

	mutex_lock(&of->lock);
	rc = gpu_buddy_alloc_blocks(&of->buddy, 0, BENCH_BUDDY_SIZE, of->size, of->size, &blocks,
				    0);
	mutex_unlock(&of->lock);
	if (rc)
		return rc;
	mutex_lock(&of->lock);
	gpu_buddy_free_list(&of->buddy, &blocks, 0);
	mutex_unlock(&of->lock);
	return 0;
}

#endif /* _CDM_BENCH_BUDDY_H */
