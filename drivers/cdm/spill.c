// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: system RAM for what does not fit on a device, within a budget.
 *
 * A page counts from before it is allocated until nobody refers to it. The driver's word
 * that it has no more use for it is not enough: a process may have it mapped, or pinned.
 * The page allocator tells nobody of the last reference, so the driver's own is kept, in a
 * list, until it is the only one.
 *
 * Locking: spill_used is exact without a lock, a share is taken before its page is
 * allocated and put back after it was freed. lingering_lock protects the list, and page->lru
 * of the pages in it, which are on no other.
 */
#include <linux/atomic.h>
#include <linux/cdm.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "cdm_core.h"

/* How soon somebody looks whether the last reference has gone; a spill in need looks, too */
#define COLLECT_AFTER HZ

static void put_share(struct cdm_device *cdm, unsigned int order)
{
	atomic_long_sub(1L << order, &cdm->spill_used);
}

static bool take_share(struct cdm_device *cdm, unsigned int order)
{
	long max = min(READ_ONCE(cdm->config.spill_max) >> PAGE_SHIFT, (u64)LONG_MAX);
	long used = atomic_long_read(&cdm->spill_used);

	do {
		if (used + (1L << order) > max)
			return false;
	} while (!atomic_long_try_cmpxchg(&cdm->spill_used, &used, used + (1L << order)));
	return true;
}

/* Free what only the list refers to any more; returns whether something else is left */
static bool collect(struct cdm_device *cdm)
{
	struct page *page, *next;
	unsigned int order;
	unsigned long flags;
	bool any;

	spin_lock_irqsave(&cdm->lingering_lock, flags);
	list_for_each_entry_safe(page, next, &cdm->lingering, lru) {
		if (page_count(page) > 1)
			continue;
		list_del(&page->lru);
		order = compound_order(page);
		__free_pages(page, order);
		put_share(cdm, order);
	}
	any = !list_empty(&cdm->lingering);
	spin_unlock_irqrestore(&cdm->lingering_lock, flags);
	return any;
}

static void collect_work(struct work_struct *work)
{
	struct cdm_device *cdm = container_of(work, struct cdm_device, collection.work);

	if (collect(cdm))
		schedule_delayed_work(&cdm->collection, COLLECT_AFTER);
}

void cdm_spill_init(struct cdm_device *cdm)
{
	INIT_LIST_HEAD(&cdm->lingering);
	spin_lock_init(&cdm->lingering_lock);
	INIT_DELAYED_WORK(&cdm->collection, collect_work);
}

/* The device has gone, and its budget with it: what lingers is whoever's that refers to it */
void cdm_spill_exit(struct cdm_device *cdm)
{
	struct page *page, *next;

	cancel_delayed_work_sync(&cdm->collection);
	list_for_each_entry_safe(page, next, &cdm->lingering, lru) {
		list_del(&page->lru);
		__free_pages(page, compound_order(page));
	}
}

/**
 * cdm_spill() - allocate system RAM for a device
 * @cdm: the device
 * @order: 2^order pages; above 0 a compound page
 * @flags: CDM_ALLOC_ZERO, CDM_ALLOC_ATOMIC
 *
 * Context: as cdm_alloc_pages().
 * Return: pages of the RAM that is nearest to the device; NULL when the budget does not
 * suffice, or when there is no RAM that could be had without killing somebody.
 */
struct page *cdm_spill(struct cdm_device *cdm, unsigned int order, unsigned int flags)
{
	gfp_t gfp = flags & CDM_ALLOC_ATOMIC ? GFP_NOWAIT : GFP_KERNEL | __GFP_RETRY_MAYFAIL;
	struct page *page;

	if (order)
		gfp |= __GFP_COMP;
	if (flags & CDM_ALLOC_ZERO)
		gfp |= __GFP_ZERO;

	if (!take_share(cdm, order)) {
		collect(cdm);
		if (!take_share(cdm, order))
			return NULL;
	}
	/* Memory of the kernel's kind: the device's node is only where to begin to look */
	page = __alloc_pages(gfp | __GFP_NOWARN, order, cdm->config.nid, NULL);
	if (!page) {
		put_share(cdm, order);
		return NULL;
	}
	atomic_long_add(1L << order, &cdm->spilled);
	return page;
}

/* The other half of cdm_free_pages(), in its context */
void cdm_free_spilled(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	if (page_count(page) == 1) {
		__free_pages(page, order);
		put_share(cdm, order);
		return;
	}
	scoped_guard(spinlock_irqsave, &cdm->lingering_lock)
		list_add(&page->lru, &cdm->lingering);
	schedule_delayed_work(&cdm->collection, COLLECT_AFTER);
}

/**
 * cdm_bring_back() - move a spilled page to the device
 * @cdm: the device
 * @page: what cdm_alloc_pages() returned, and cdm_page_is_spilled() says
 * @order: the order that it was called with
 * @flags: CDM_ALLOC_NO_EVICT
 *
 * The caller has unmapped it, and nobody else uses it.
 *
 * Context: Process context, may sleep.
 * Return: the pages that replace it, and @page is freed; -EINVAL for a page that is not
 * spilled, -EBUSY when somebody else refers to it, -ENOMEM when the device is still full,
 * -EHWPOISON when its content cannot be read: then nothing has changed.
 */
struct page *cdm_bring_back(struct cdm_device *cdm, struct page *page, unsigned int order,
			    unsigned int flags)
{
	struct page *back;
	int rc;

	if (!cdm_page_is_spilled(cdm, page))
		return ERR_PTR(-EINVAL);
	if (page_count(page) != 1)
		return ERR_PTR(-EBUSY);
	back = cdm_alloc_pages(cdm, order, flags & CDM_ALLOC_NO_EVICT);
	if (!back)
		return ERR_PTR(-ENOMEM);
	rc = cdm_copy(cdm, back, page, 1UL << order);
	if (rc) {
		cdm_free_pages(cdm, back, order);
		return ERR_PTR(rc);
	}
	cdm_free_pages(cdm, page, order);
	return back;
}
EXPORT_SYMBOL_GPL(cdm_bring_back);
