// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: system RAM for what does not fit on a device, within a budget.
 *
 * A page counts from before it is allocated until nobody refers to it (linger.c). Who walks
 * pfns (compaction, say) may take a reference after the last look, and drop it as soon as it
 * has seen what the page is: for that moment the page is nobody's any more, and not free yet.
 *
 * The count is the node's: what outlives a registration counts for the next one, or who
 * registers again and again would have a budget each time.
 *
 * Locking: the count is exact without a lock, a share is taken before its page is
 * allocated and put back after it was freed. A share is taken in a read-side critical
 * section of RCU from its look at @leaving on; who sets that waits for a grace period, and
 * then finds what drivers hold in spill_held. @outliving has its own lock; outliving_lock
 * lets only one at a time free what is in it.
 */
#include <linux/atomic.h>
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <trace/events/cdm.h>

#include "cdm_core.h"

/* How soon somebody looks again at what has outlived its device */
#define LOOK_AFTER HZ

/* Pages that count, for each node */
static atomic_long_t *spill_used;

/* Pages that linger and whose device has gone, with their orders and nodes */
static DEFINE_XARRAY(outliving);
static DEFINE_MUTEX(outliving_lock);

#define ORDER_BITS 8

static void *nid_and_order(int nid, unsigned int order)
{
	return xa_mk_value((unsigned long)nid << ORDER_BITS | order);
}

static int nid_of(void *entry)
{
	return xa_to_value(entry) >> ORDER_BITS;
}

static unsigned int order_of(void *entry)
{
	return xa_to_value(entry) & GENMASK(ORDER_BITS - 1, 0);
}

static void put_share(struct cdm_device *cdm, unsigned int order)
{
	atomic_long_sub(1L << order, cdm->spill_used);
}

static bool take_share(struct cdm_device *cdm, unsigned int order)
{
	long max = min(READ_ONCE(cdm->config.spill_max) >> PAGE_SHIFT, (u64)LONG_MAX);
	long used = atomic_long_read(cdm->spill_used);

	guard(rcu)();
	if (READ_ONCE(cdm->leaving))
		return false;
	do {
		if (used + (1L << order) > max)
			return false;
	} while (!atomic_long_try_cmpxchg(cdm->spill_used, &used, used + (1L << order)));
	atomic_long_add(1L << order, &cdm->spill_held);
	return true;
}

/* Free what nobody else refers to any more */
static void collect_outliving(void)
{
	unsigned long pfn;
	void *entry;

	guard(mutex)(&outliving_lock);
	xa_for_each(&outliving, pfn, entry) {
		cond_resched();
		if (page_count(pfn_to_page(pfn)) != 1)
			continue;
		xa_erase(&outliving, pfn);
		__free_pages(pfn_to_page(pfn), order_of(entry));
		atomic_long_sub(1L << order_of(entry), spill_used + nid_of(entry));
	}
}

static void collection_work(struct work_struct *work)
{
	collect_outliving();
	if (!xa_empty(&outliving))
		schedule_delayed_work(to_delayed_work(work), LOOK_AFTER);
}

static DECLARE_DELAYED_WORK(collection, collection_work);

/**
 * cdm_spill_outlives() - have a page count on whose device goes
 * @cdm: the device, whose last reference has gone
 * @page: a page that lingers
 * @order: its order
 *
 * Context: Process context, may sleep.
 */
void cdm_spill_outlives(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	xa_store(&outliving, page_to_pfn(page), nid_and_order(cdm->config.nid, order),
		 GFP_KERNEL | __GFP_NOFAIL);
	schedule_delayed_work(&collection, LOOK_AFTER);
}

/* What was a driver's is nobody's any more */
static void free_share(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	cdm_will_not_linger(cdm, page);
	__free_pages(page, order);
	put_share(cdm, order);
}

static struct page *alloc_ram(struct cdm_device *cdm, unsigned int order, unsigned int flags)
{
	gfp_t gfp = flags & CDM_ALLOC_ATOMIC ? GFP_NOWAIT : GFP_KERNEL;
	struct page *page;

	/* Nobody waits for compaction: there is the device, and there are smaller pieces */
	gfp |= order ? __GFP_NORETRY | __GFP_COMP : __GFP_RETRY_MAYFAIL;
	if (flags & CDM_ALLOC_ZERO)
		gfp |= __GFP_ZERO;
	/* Memory of the kernel's kind: the device's node is only where to begin to look */
	page = alloc_pages_node(cdm->config.nid, gfp | __GFP_NOWARN, order);
	if (page && !cdm_may_linger(cdm, page, order)) {
		__free_pages(page, order);
		return NULL;
	}
	return page;
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
	struct page *page;

	if (!take_share(cdm, order)) {
		if (flags & CDM_ALLOC_ATOMIC)
			return NULL;
		cdm_collect(cdm);
		collect_outliving();
		if (!take_share(cdm, order))
			return NULL;
	}
	page = alloc_ram(cdm, order, flags);
	if (!page) {
		atomic_long_sub(1L << order, &cdm->spill_held);
		put_share(cdm, order);
		return NULL;
	}
	atomic_long_add(1L << order, &cdm->spilled);
	trace_cdm_spill(cdm->dev.id, cdm->config.nid, 1UL << order,
			atomic_long_read(cdm->spill_used));
	return page;
}

/* The other half of cdm_put_back(), in its context */
void cdm_put_back_spilled(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	if (page_count(page) == 1)
		free_share(cdm, page, order);
	else
		cdm_linger(cdm, page);
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
 * Context: as cdm_alloc_pages() without %CDM_ALLOC_ATOMIC.
 * Return: the pages that replace it, and @page is freed; or an error pointer, never NULL: -EINVAL
 * for a page that is not spilled, -EBUSY when somebody else refers to it, -ENOMEM when the device
 * is still full, -EHWPOISON when its content cannot be read: then nothing has changed.
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

void cdm_spill_open(struct cdm_device *cdm)
{
	cdm->spill_used = spill_used + cdm->config.nid;
}

int __init cdm_spill_init(void)
{
	spill_used = kcalloc(nr_node_ids, sizeof(*spill_used), GFP_KERNEL);
	return spill_used ? 0 : -ENOMEM;
}

/* Nobody counts any more: what is left is whoever's that refers to it */
void cdm_spill_exit(void)
{
	unsigned long pfn;
	void *entry;

	cancel_delayed_work_sync(&collection);
	xa_for_each(&outliving, pfn, entry)
		__free_pages(pfn_to_page(pfn), order_of(entry));
	xa_destroy(&outliving);
	kfree(spill_used);
}
