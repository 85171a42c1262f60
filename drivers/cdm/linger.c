// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: pages that the driver has given back and somebody else refers to.
 *
 * The driver's word that it has no more use for a page is not enough: a process may have it
 * mapped, or pinned. The page allocator tells nobody of the last reference. Where that
 * matters (system RAM, which counts for a budget, and blocks of which a page may go bad), the
 * driver's own is kept until it is the only one.
 *
 * Locking: cdm->pages has its own lock, taken in any context. It holds an entry for each
 * page (the first of a block) that would need memory to be kept otherwise, or is kept: the
 * mark LINGERS tells them apart. Whoever clears the mark frees the page.
 */
#include <linux/cdm.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "cdm_core.h"

#define LINGERS XA_MARK_0

/* How soon somebody looks whether the last reference has gone; a spill in need looks, too */
#define COLLECT_AFTER HZ

/* Pages looked at with interrupts off */
#define COLLECT_BATCH 256

/**
 * cdm_may_linger() - make sure that cdm_linger() will need no memory for a page
 * @cdm: the device
 * @page: the first of 2^@order pages
 * @order: of a page that was just allocated
 *
 * Context: Any but NMI.
 * Return: whether there was memory for it.
 */
bool cdm_may_linger(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	unsigned long flags;
	int rc;

	xa_lock_irqsave(&cdm->pages, flags);
	rc = xa_err(__xa_store(&cdm->pages, page_to_pfn(page), xa_mk_value(order),
			       GFP_ATOMIC | __GFP_NOWARN));
	xa_unlock_irqrestore(&cdm->pages, flags);
	return !rc;
}

/**
 * cdm_is_noted() - is a page one that cdm_may_linger() was called for?
 * @cdm: the device
 * @page: a page that the caller was given
 *
 * Context: Any but NMI.
 * Return: false for a page that is not the device's, or that is free.
 */
bool cdm_is_noted(struct cdm_device *cdm, struct page *page)
{
	return xa_load(&cdm->pages, page_to_pfn(page));
}

/**
 * cdm_will_not_linger() - forget what cdm_may_linger() noted, before the page is freed
 * @cdm: the device
 * @page: the page
 *
 * Context: Any but NMI.
 */
void cdm_will_not_linger(struct cdm_device *cdm, struct page *page)
{
	unsigned long flags;

	xa_lock_irqsave(&cdm->pages, flags);
	__xa_erase(&cdm->pages, page_to_pfn(page));
	xa_unlock_irqrestore(&cdm->pages, flags);
}

/**
 * cdm_linger() - put a page back once nobody else refers to it
 * @cdm: the device
 * @page: a page that cdm_may_linger() has noted; cdm_put_back() will be called with it
 *
 * Context: Any but NMI.
 */
void cdm_linger(struct cdm_device *cdm, struct page *page)
{
	unsigned long flags;

	xa_lock_irqsave(&cdm->pages, flags);
	__xa_set_mark(&cdm->pages, page_to_pfn(page), LINGERS);
	xa_unlock_irqrestore(&cdm->pages, flags);
	schedule_delayed_work(&cdm->collection, COLLECT_AFTER);
}

/* Has the device given its memory up? Then there may be no struct page to look at. */
static bool is_lost(struct cdm_device *cdm, const struct page *page)
{
	return READ_ONCE(cdm->abandoned) && !cdm_page_is_spilled(cdm, page);
}

/*
 * The next page from *@pfn on that nobody else refers to, for the caller alone; or NULL. With
 * interrupts off, which is a read-side critical section of RCU: it is looked at before a device
 * that is given up goes offline, or not at all.
 */
static struct page *claim_next(struct cdm_device *cdm, unsigned long *pfn, unsigned int *order)
{
	XA_STATE(xas, &cdm->pages, *pfn);
	unsigned int looked_at = 0;
	struct page *page;
	void *entry;

	xas_lock_irq(&xas);
	xas_for_each_marked(&xas, entry, ULONG_MAX, LINGERS) {
		page = pfn_to_page(xas.xa_index);
		if (is_lost(cdm, page) || page_count(page) == 1) {
			xas_clear_mark(&xas, LINGERS);
			*order = xa_to_value(entry);
			*pfn = xas.xa_index + 1;
			xas_unlock_irq(&xas);
			return page;
		}
		if (++looked_at % COLLECT_BATCH)
			continue;
		xas_pause(&xas);
		xas_unlock_irq(&xas);
		cond_resched();
		xas_lock_irq(&xas);
	}
	xas_unlock_irq(&xas);
	return NULL;
}

/**
 * cdm_collect() - put back what nobody else refers to any more
 * @cdm: the device
 *
 * Context: Process context, may sleep.
 */
void cdm_collect(struct cdm_device *cdm)
{
	unsigned long pfn = 0;
	unsigned int order;
	struct page *page;

	while ((page = claim_next(cdm, &pfn, &order))) {
		/* What is free is its next owner's, who may get another entry for it at once */
		if (!cdm_page_is_spilled(cdm, page))
			cdm_will_not_linger(cdm, page);
		cdm_put_back(cdm, page, order);
	}
}

static void collect_work(struct work_struct *work)
{
	struct cdm_device *cdm = container_of(work, struct cdm_device, collection.work);

	cdm_collect(cdm);
	if (xa_marked(&cdm->pages, LINGERS))
		schedule_delayed_work(&cdm->collection, COLLECT_AFTER);
}

void cdm_linger_init(struct cdm_device *cdm)
{
	xa_init_flags(&cdm->pages, XA_FLAGS_LOCK_IRQ);
	INIT_DELAYED_WORK(&cdm->collection, collect_work);
}

/* The device has gone. What drivers have kept of its memory, or of RAM, is lost. */
void cdm_linger_exit(struct cdm_device *cdm)
{
	struct page *page;
	unsigned long pfn;
	void *entry;

	cancel_delayed_work_sync(&cdm->collection);
	xa_for_each_marked(&cdm->pages, pfn, entry, LINGERS) {
		page = pfn_to_page(pfn);
		if (cdm_page_is_spilled(cdm, page))
			cdm_spill_outlives(cdm, page, xa_to_value(entry));
	}
	xa_destroy(&cdm->pages);
}
