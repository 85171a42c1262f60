// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: what a driver's allocations want of the page allocator beside
 * pages: more of what is free, and pieces larger than its own.
 *
 * For such a piece alloc_contig_range() takes a range, and moves away what is in it. What is
 * on a device is there because somebody named it, so only ranges that are free are taken.
 */
#include <linux/cdm_node.h>
#include <linux/cpuset.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/memory_hotplug.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>
#include <linux/wait.h>

#include "cdm.h"
#include "internal.h"

/**
 * cdm_node_alloc_pages() - allocate pages of a node for a driver
 * @gfp: with __GFP_THISNODE
 * @order: 2^order pages, 0 to MAX_PAGE_ORDER
 * @nid: the node
 * @nodes: that node
 *
 * The calling task's cpuset does not matter.
 *
 * Context: as alloc_pages().
 * Return: the pages or NULL.
 */
struct page *cdm_node_alloc_pages(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes)
{
	/* Without a mask it would be the cpuset's, where there is one */
	return __alloc_pages(gfp, order, nid, cpusets_enabled() ? nodes : NULL, ALLOC_DEFAULT);
}
EXPORT_SYMBOL_GPL(cdm_node_alloc_pages);

/* As many as are freed together */
static unsigned int cdm_put_some(struct folio_batch *batch, unsigned int nr, struct page **pages,
				 const struct cdm_block *block)
{
	unsigned int i, last = 0;

	for (i = 0; i < nr; i++) {
		struct page *page = pages[i];

		if (!cdm_block_has(block, page))
			break;
		/* A single one is a folio */
		if (put_page_testzero(page))
			batch->folios[last++] = (struct folio *)page;
	}
	batch->nr = last;
	if (last)
		free_unref_folios(batch);
	return i;
}

/**
 * cdm_node_put_pages() - drop the references to single pages of one block, and free those that it
 *	was the last one of
 * @nr: how many there are
 * @pages: which
 * @block: which block
 *
 * Context: Any but NMI.
 * Return: how many from the first one on were of that block.
 */
unsigned int cdm_node_put_pages(unsigned int nr, struct page **pages,
				const struct cdm_block *block)
{
	struct folio_batch batch;
	unsigned int done, part;

	folio_batch_init(&batch);
	for (done = 0; done < nr; done += part) {
		part = cdm_put_some(&batch, min(nr - done, FOLIO_BATCH_SIZE), pages + done, block);
		if (!part)
			break;
	}
	return done;
}
EXPORT_SYMBOL_GPL(cdm_node_put_pages);

/**
 * cdm_node_make_room() - let mm free memory of a node, as far as it may
 * @nid: a tagged node
 * @order: 2^order contiguous pages are wanted, 0 to MAX_PAGE_ORDER
 *
 * Reclaims and compacts by what the node was granted; never another node, and without the
 * OOM killer.
 *
 * Context: Process context, may sleep, not within reclaim of its own.
 * Return: whether there was that much free at a moment; it may be somebody else's by now.
 */
bool cdm_node_make_room(int nid, unsigned int order)
{
	gfp_t gfp = GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NOWARN;
	nodemask_t nodes = nodemask_of_node(nid);
	struct page *page;

	if (!cdm_node_may(nid, CDM_CAP_RECLAIM) && !cdm_node_may(nid, CDM_CAP_COMPACTION))
		return false;
	/* Without compaction, more reclaim makes no larger blocks */
	if (!order || cdm_node_may(nid, CDM_CAP_COMPACTION))
		gfp |= __GFP_RETRY_MAYFAIL;
	else
		gfp |= __GFP_NORETRY;
	page = __alloc_pages(gfp, order, nid, &nodes, ALLOC_DEFAULT);
	if (page)
		__free_pages(page, order);
	return page;
}
EXPORT_SYMBOL_GPL(cdm_node_make_room);

/*
 * While a node's kswapd is awake, some kernels look elsewhere first, and they tell it by nobody
 * waiting to be woken. A device that nothing reclaims from has no kswapd, and would be avoided by
 * those who prefer it. So somebody sleeps there whom nothing wakes.
 */
static struct wait_queue_entry cdm_sleepers[MAX_NUMNODES];

static int cdm_sleep_on(struct wait_queue_entry *sleeper, unsigned int mode, int flags, void *key)
{
	return 0;
}

/* When the first block of @nid comes online; again if it did not. Under mem_hotplug_lock. */
void cdm_add_sleeper(int nid)
{
	struct wait_queue_entry *sleeper = &cdm_sleepers[nid];

	if (!CDM_KSWAPD_IS_AVOIDED || sleeper->func)
		return;
	init_waitqueue_func_entry(sleeper, cdm_sleep_on);
	add_wait_queue(&NODE_DATA(nid)->kswapd_wait, sleeper);
}

/* When @nid has no memory any more: its struct pgdat may be used anew */
void cdm_remove_sleeper(int nid)
{
	struct wait_queue_entry *sleeper = &cdm_sleepers[nid];

	if (!sleeper->func)
		return;
	remove_wait_queue(&NODE_DATA(nid)->kswapd_wait, sleeper);
	sleeper->func = NULL;
}

/*
 * A zone's per-CPU lists go away with its last page. Who looks at them holds this for read, and
 * has seen that no block of the node is going offline; who offlines one has it for write, for a
 * moment, after having said so. Not mem_hotplug_lock, under which mappings are locked: who
 * allocates may have locked one.
 */
static DECLARE_RWSEM(cdm_pcp_lock);
static nodemask_t cdm_offlining_map;

void cdm_close_pcp(int nid)
{
	node_set(nid, cdm_offlining_map);
	/* Nobody looks any more who has not seen it */
	down_write(&cdm_pcp_lock);
	up_write(&cdm_pcp_lock);
}

void cdm_open_pcp(int nid)
{
	node_clear(nid, cdm_offlining_map);
}

static unsigned long cdm_pcp_pages(struct zone *zone)
{
	unsigned long pages = 0;
	int cpu;

	for_each_online_cpu(cpu)
		pages += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);
	return pages;
}

/**
 * cdm_node_drain_pcp() - give free pages on per-CPU lists back to the buddy allocator
 * @nid: a tagged node
 *
 * The lists may hold an eighth of the node, on CPUs that will not ask for it.
 *
 * Context: Process context, may sleep, also under mmap_lock. Takes cdm_pcp_lock for read and
 * pcpu_drain_mutex.
 * Return: whether it makes sense to look again; false while a block is being offlined, whose
 * lists mm has emptied and keeps empty.
 */
bool cdm_node_drain_pcp(int nid)
{
	struct zone *zone = &NODE_DATA(nid)->node_zones[ZONE_MOVABLE];
	bool any = false;

	down_read(&cdm_pcp_lock);
	if (!node_isset(nid, cdm_offlining_map)) {
		/* What others have drained since the caller looked is free by now */
		any = cdm_pcp_pages(zone) || zone_page_state(zone, NR_FREE_PAGES);
		drain_all_pages(zone);
	}
	up_read(&cdm_pcp_lock);
	return any;
}
EXPORT_SYMBOL_GPL(cdm_node_drain_pcp);

/*
 * Whether a block of 2^@order is found in a CDM node's @zone now that the CPUs' lists are empty.
 * False where there was nothing on them: who looks again and finds nothing has nothing to wait
 * for. Under oom_lock, which nobody waits for who has one of those that are taken here.
 */
bool cdm_collect_free(struct zone *zone, unsigned int order)
{
	int nid = zone_to_nid(zone);

	guard(rwsem_read)(&cdm_pcp_lock);
	if (!node_state(nid, N_CDM) || node_isset(nid, cdm_offlining_map) || !cdm_pcp_pages(zone))
		return false;
	drain_all_pages(zone);
	return zone_watermark_ok(zone, order, min_wmark_pages(zone), ZONE_MOVABLE, 0);
}

/**
 * cdm_node_shortage() - how many pages a node lacks for one more to be found
 * @nid: a tagged node
 *
 * The page allocator keeps a reserve. A list of a CPU may have been filled from below it, and
 * what comes back may be counted on its CPU only: vmstat adds up when a CPU has more than a
 * threshold, in either direction.
 *
 * Context: Process context, may sleep.
 * Return: pages; 0 where any that comes back is found, and for a node that goes offline.
 */
unsigned long cdm_node_shortage(int nid)
{
	struct zone *zone = &NODE_DATA(nid)->node_zones[ZONE_MOVABLE];
	unsigned long free = zone_page_state(zone, NR_FREE_PAGES), wanted = min_wmark_pages(zone);

	/* The threshold is freed with the lists */
	guard(rwsem_read)(&cdm_pcp_lock);
	if (node_isset(nid, cdm_offlining_map))
		return 0;
#ifdef CONFIG_SMP
	wanted += 2 * raw_cpu_ptr(zone->per_cpu_zonestats)->stat_threshold;
#endif
	return max(wanted, free) - free;
}
EXPORT_SYMBOL_GPL(cdm_node_shortage);

/**
 * cdm_node_free_pages() - how much of a node is free
 * @nid: a tagged node
 *
 * Context: Any.
 * Return: pages, of which the last few that each CPU took or gave may be missing.
 */
unsigned long cdm_node_free_pages(int nid)
{
	return sum_zone_node_page_state(nid, NR_FREE_PAGES);
}
EXPORT_SYMBOL_GPL(cdm_node_free_pages);

/* One at a time: two that find the same range would keep each other from it */
static DEFINE_MUTEX(cdm_contig_lock);

/* How much from @pfn on is of one free block, online; 0 for none. A snapshot. */
static unsigned long free_from(unsigned long pfn)
{
	unsigned int order, size;
	unsigned long head;
	struct page *page;

	if (!pfn_to_online_page(pfn))
		return 0;
	for (order = 0; order <= MAX_PAGE_ORDER; order++) {
		head = ALIGN_DOWN(pfn, 1UL << order);
		page = pfn_to_page(head);
		if ((order && head == pfn) || !PageBuddy(page))
			continue;
		/* No order any more, where somebody takes it meanwhile */
		size = min_t(unsigned long, buddy_order_unsafe(page), MAX_PAGE_ORDER);
		if (head + (1UL << size) > pfn)
			return head + (1UL << size) - pfn;
	}
	return 0;
}

/*
 * Where a piece may begin, in pages. With pages of 64 KiB the largest block has 512 MiB: a piece
 * of a few MiB does not have a place of its own there. Of small ones several would find room in
 * one place; so there are fewer to look at.
 */
static unsigned long alignment_of(unsigned long nr_pages)
{
	unsigned long align = max(roundup_pow_of_two(nr_pages), SZ_2M / PAGE_SIZE);

	return min_t(unsigned long, align, MAX_ORDER_NR_PAGES);
}

/* Where from @pfn on @nr_pages are free, aligned; @end if nowhere before it */
static unsigned long find_free(unsigned long pfn, unsigned long end, unsigned long nr_pages)
{
	unsigned long align = alignment_of(nr_pages), first = ALIGN(pfn, align), part;

	for (pfn = first; pfn < end && pfn - first < nr_pages; cond_resched()) {
		part = free_from(pfn);
		if (part) {
			pfn += part;
		} else {
			first = ALIGN(pfn + 1, align);
			pfn = first;
		}
	}
	return first + nr_pages <= end ? first : end;
}

/*
 * A piece of one of the page allocator's blocks. What is isolated for a larger one is the whole
 * block: with pages of 64 KiB 512 MiB, in which others would find nothing meanwhile.
 */
static struct page *alloc_block(int nid, unsigned long nr_pages)
{
	unsigned int order = ilog2(alignment_of(nr_pages));
	nodemask_t nodes = nodemask_of_node(nid);
	struct page *page;
	unsigned long i;

	if (nr_pages > MAX_ORDER_NR_PAGES)
		return NULL;
	page = cdm_node_alloc_pages(CDM_GFP & ~__GFP_COMP, order, nid, &nodes);
	if (!page)
		return NULL;
	split_page(page, order);
	for (i = nr_pages; i < 1UL << order; i++)
		__free_page(page + i);
	return page;
}

static struct page *alloc_in(const struct cdm_range *range, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(range->start), end = PHYS_PFN(range->start + range->size);

	/* Somebody may take a page of what was free: then the next one */
	for (; (pfn = find_free(pfn, end, nr_pages)) < end; pfn += alignment_of(nr_pages))
		if (!alloc_contig_range(pfn, pfn + nr_pages, ACR_FLAGS_NONE,
					GFP_KERNEL | __GFP_NOWARN))
			return pfn_to_page(pfn);
	return NULL;
}

/**
 * cdm_node_alloc_contig() - allocate a piece of a device's memory that is free
 * @nid: the device's node
 * @ranges: the memory
 * @nr: how many ranges
 * @nr_pages: how many pages, not 0
 * @gfp: __GFP_ZERO or 0
 *
 * Context: Process context, under mem_hotplug_lock. Sleeps.
 * Return: the first of @nr_pages single pages, aligned to that number rounded up to a power of
 * two, but to 2 MiB at least, and MAX_ORDER_NR_PAGES at most; NULL when no such range is free.
 */
struct page *cdm_node_alloc_contig(int nid, const struct cdm_range *ranges, unsigned int nr,
				   unsigned long nr_pages, gfp_t gfp)
{
	struct page *page;
	unsigned long i;

	if (!IS_ENABLED(CONFIG_CONTIG_ALLOC))
		return NULL;
	page = alloc_block(nid, nr_pages);
	scoped_guard(mutex, &cdm_contig_lock)
		for (i = 0; !page && i < nr; i++)
			page = alloc_in(&ranges[i], nr_pages);
	/* Not by alloc_contig_range(), which clears all of the blocks that the piece is cut from */
	for (i = 0; page && (gfp & __GFP_ZERO) && i < nr_pages; i++, cond_resched())
		clear_highpage(page + i);
	return page;
}
EXPORT_SYMBOL_GPL(cdm_node_alloc_contig);
