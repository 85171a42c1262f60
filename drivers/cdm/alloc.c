// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: pages for drivers.
 *
 * Every page that is handed out is counted in its memory block's counter, so that the
 * block's offlining can be refused at once instead of spinning over a page that only the
 * driver can give back.
 *
 * An allocation is a read-side critical section of RCU from its look at the state to its
 * count, and so is a free. Whoever has changed the state, or isolated a block, waits for a
 * grace period and then finds every page counted.
 */
#include <linux/cdm.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "cdm_core.h"

/*
 * MOVABLE and HIGHMEM together select ZONE_MOVABLE, the only zone of the node. Neither
 * reclaim bit: by default a device's memory is not paged, and nothing here may sleep.
 * No HARDWALL: the device belongs to the driver, not to the calling task's cpuset.
 */
#define CDM_GFP (__GFP_THISNODE | __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_NOWARN)

/* The counter of the memory block that a page of the device is in */
static atomic_t *held_by(struct cdm_device *cdm, unsigned long pfn)
{
	const struct cdm_range *range = cdm->ranges;
	atomic_t *held = cdm->held;

	for (; PFN_PHYS(pfn) - range->start >= range->size; range++)
		held += range->size / memory_block_size_bytes();
	return held + (PFN_PHYS(pfn) - range->start) / memory_block_size_bytes();
}

static struct page *try_alloc(struct cdm_device *cdm, gfp_t gfp, unsigned int order)
{
	struct page *page = NULL;

	rcu_read_lock();
	if (cdm_state(cdm) == CDM_ONLINE)
		page = __alloc_pages(gfp, order, cdm->config.nid, &cdm->nodes);
	if (page)
		atomic_add(1 << order, held_by(cdm, page_to_pfn(page)));
	rcu_read_unlock();
	return page;
}

/* How often mm is asked to free memory, where it was granted to: others take some of it */
#define CDM_ALLOC_ATTEMPTS 3

/* Give what lies idle on the CPUs' lists another chance, then what mm may free */
static struct page *alloc_harder(struct cdm_device *cdm, gfp_t gfp, unsigned int order)
{
	struct page *page = NULL;
	int i;

	if (cdm_node_drain_pcp(cdm->config.nid))
		page = try_alloc(cdm, gfp, order);
	for (i = 0; !page && i < CDM_ALLOC_ATTEMPTS; i++) {
		if (cdm_state(cdm) != CDM_ONLINE || !cdm_node_make_room(cdm->config.nid, order))
			break;
		page = try_alloc(cdm, gfp, order);
	}
	return page;
}

/**
 * cdm_alloc_pages() - allocate pages on a device
 * @cdm: the device
 * @order: 2^order contiguous pages, 0 to MAX_PAGE_ORDER; above 0 a compound page
 * @flags: CDM_ALLOC_ZERO, or the pages have whatever they hold: the device clears
 *	faster, and until then no user may see them. CDM_ALLOC_ATOMIC where the caller
 *	cannot sleep: what lies on other CPUs' free lists is then out of reach.
 *
 * Neither falls back to another node nor wakes the OOM killer. Reclaims and compacts on the
 * device alone, and only where its driver granted %CDM_CAP_RECLAIM or %CDM_CAP_COMPACTION:
 * then the caller must hold no lock that reclaim could want. The calling task's cpuset and
 * memory policy do not matter.
 *
 * Context: Process context, may sleep; any context but NMI with CDM_ALLOC_ATOMIC.
 * Return: pages on the device's node; NULL when it has none left, is not online or is
 * being drained, or when @order is too large.
 */
struct page *cdm_alloc_pages(struct cdm_device *cdm, unsigned int order, unsigned int flags)
{
	gfp_t gfp = CDM_GFP;
	struct page *page;

	if (order > MAX_PAGE_ORDER)
		return NULL;
	if (order)
		gfp |= __GFP_COMP;
	if (flags & CDM_ALLOC_ZERO)
		gfp |= __GFP_ZERO;

	page = try_alloc(cdm, gfp, order);
	if (unlikely(!page) && !(flags & CDM_ALLOC_ATOMIC) && cdm_state(cdm) == CDM_ONLINE)
		page = alloc_harder(cdm, gfp, order);
	return page;
}
EXPORT_SYMBOL_GPL(cdm_alloc_pages);

static bool has_bad_page(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order);

	return cdm_node_next_bad(pfn, end) < end;
}

/**
 * cdm_free_pages() - give pages back
 * @cdm: the device that they came from
 * @page: what cdm_alloc_pages() returned
 * @order: the order that it was called with
 *
 * A page that comes back after cdm_device_remove() has given it up stays lost.
 *
 * Context: Any context that may free pages: not NMI. Does not sleep.
 */
void cdm_free_pages(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	atomic_t *held = held_by(cdm, page_to_pfn(page));

	rcu_read_lock();
	if (READ_ONCE(cdm->abandoned))
		; /* lost */
	else if (unlikely(READ_ONCE(cdm->has_bad_pages)) && order && has_bad_page(page, order))
		cdm_node_free_around_bad(page, order);
	else
		__free_pages(page, order);
	/* After the free, so that a count of 0 means that the block's pages are back */
	atomic_sub(1 << order, held);
	rcu_read_unlock();
}
EXPORT_SYMBOL_GPL(cdm_free_pages);

static unsigned long sum_held(const atomic_t *held, unsigned long nr_blocks)
{
	unsigned long pages = 0;

	while (nr_blocks--)
		pages += atomic_read(held++);
	return pages;
}

/* Pages that drivers hold in the blocks of a range, which is aligned to blocks */
unsigned long cdm_held_pages_in(struct cdm_device *cdm, unsigned long start_pfn,
				unsigned long nr_pages)
{
	return sum_held(held_by(cdm, start_pfn), PFN_PHYS(nr_pages) / memory_block_size_bytes());
}

unsigned long cdm_held_pages(struct cdm_device *cdm)
{
	return sum_held(cdm->held, cdm->nr_blocks);
}
