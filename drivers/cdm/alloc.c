// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: pages for drivers, one block of them at a time.
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
#include <linux/cdm_dmem.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <trace/events/cdm.h>

#include "cdm_core.h"

/* cdm_held_by(), for the ranges after the first */
noinline atomic_t *cdm_held_in_others(struct cdm_device *cdm, const struct page *page)
{
	const struct cdm_range *range;
	u64 addr = PFN_PHYS(page_to_pfn(page));
	atomic_t *held = cdm->held;

	for (range = cdm->ranges; range < cdm->ranges + cdm->nr_ranges; range++) {
		if (addr - range->start < range->size)
			return held + (PHYS_PFN(addr - range->start) >> cdm->block_order);
		held += PHYS_PFN(range->size) >> cdm->block_order;
	}
	return NULL;
}

static __always_inline struct page *try_alloc(struct cdm_device *cdm, unsigned int order)
{
	struct page *page = NULL;

	rcu_read_lock();
	if (cdm_is_open(cdm))
		page = cdm_node_alloc_pages(CDM_GFP, order, cdm->config.nid, &cdm->nodes);
	if (page) {
		atomic_add(1UL << order, cdm_held_by(cdm, page));
		this_cpu_add(*cdm->allocated, 1UL << order);
	}
	rcu_read_unlock();
	return page;
}

/* A task that is in ops->evict: what it allocates evicts nothing */
struct cdm_evictor {
	struct list_head list;
	const struct task_struct *task;
};

/* Enter @me, unless the task is among the evictors already */
static bool begin_evicting(struct cdm_device *cdm, struct cdm_evictor *me)
{
	struct cdm_evictor *evictor;
	bool is_in = false;

	spin_lock(&cdm->evict_lock);
	list_for_each_entry(evictor, &cdm->evictors, list)
		is_in |= evictor->task == me->task;
	if (!is_in)
		list_add(&me->list, &cdm->evictors);
	spin_unlock(&cdm->evict_lock);
	return !is_in;
}

static void end_evicting(struct cdm_device *cdm, struct cdm_evictor *me)
{
	spin_lock(&cdm->evict_lock);
	list_del(&me->list);
	spin_unlock(&cdm->evict_lock);
}

/* Has the driver given anything back? */
static bool evict(struct cdm_device *cdm, unsigned long nr_pages, unsigned int flags)
{
	struct cdm_evictor me = { .task = current };
	unsigned long evicted;

	if ((flags & CDM_ALLOC_NO_EVICT) || !begin_evicting(cdm, &me))
		return false;
	/* A larger piece is taken past the page allocator's reserve */
	if (nr_pages <= MAX_ORDER_NR_PAGES)
		nr_pages += cdm_node_shortage(cdm->config.nid);
	evicted = cdm_ops_evict(cdm, nr_pages);
	end_evicting(cdm, &me);
	/* Somebody may have looked at what came back just then */
	cdm_collect(cdm);
	/* On a CPU's list it does not count as free where nothing else is, and is not looked for */
	if (evicted)
		cdm_node_drain_pcp(cdm->config.nid);
	atomic_long_add(evicted, &cdm->evicted);
	trace_cdm_evict(cdm->dev.id, cdm->config.nid, nr_pages, evicted);
	return evicted;
}

/* How often memory is made free, at most: others take some of it */
#define CDM_ALLOC_ATTEMPTS 3

/**
 * cdm_make_room() - get an allocation that found the device full another chance
 * @cdm: the device
 * @nr_pages: how much it wants, in one piece
 * @flags: CDM_ALLOC_*
 * @attempt: how many there were; what costs less is tried first
 *
 * Context: as of the allocation.
 * Return: whether it makes sense to try again.
 */
bool cdm_make_room(struct cdm_device *cdm, unsigned long nr_pages, unsigned int flags,
		   unsigned int attempt)
{
	if ((flags & CDM_ALLOC_ATOMIC) || cdm_state(cdm) != CDM_ONLINE ||
	    attempt >= CDM_ALLOC_ATTEMPTS)
		return false;
	/* Not for a task that may not have it then */
	if (!attempt && cdm_has_payer() && !cdm_node_may_charge(cdm->config.nid, nr_pages))
		return false;
	/* What lies idle on the CPUs' lists, what mm may free, what the driver can spare */
	if (!attempt && cdm_node_drain_pcp(cdm->config.nid))
		return true;
	if (nr_pages <= MAX_ORDER_NR_PAGES &&
	    cdm_node_make_room(cdm->config.nid, get_order(PFN_PHYS(nr_pages))))
		return true;
	return evict(cdm, nr_pages, flags);
}

/* Not by __GFP_ZERO, in try_alloc()'s RCU read-side section: a block may have 512 MiB */
static struct page *cleared(struct cdm_device *cdm, struct page *page, unsigned int order,
			    unsigned int flags)
{
	unsigned long i;

	if (cdm_device_scrubs(cdm, flags)) {
		cdm_scrub(cdm, page, 1UL << order);
		return page;
	}
	for (i = 0; (flags & CDM_ALLOC_ZERO) && i < 1UL << order; i++) {
		clear_highpage(page + i);
		if (!(flags & CDM_ALLOC_ATOMIC))
			cond_resched();
	}
	return page;
}

/*
 * In the fault of a long-term pin mm would have pages outside ZONE_MOVABLE, where a device has
 * nothing. What is for a driver it gets all the same.
 */
static struct page *alloc_for_pinner(struct cdm_device *cdm, unsigned int order)
{
	unsigned int pinning = current->flags & PF_MEMALLOC_PIN;
	struct page *page;

	current->flags &= ~PF_MEMALLOC_PIN;
	page = try_alloc(cdm, order);
	current->flags |= pinning;
	return page;
}

/* Where the device has nothing for the caller */
static struct page *spill_or_fail(struct cdm_device *cdm, unsigned int order, unsigned int flags)
{
	struct page *page = flags & CDM_ALLOC_SPILL ? cdm_spill(cdm, order, flags) : NULL;

	if (!page)
		cdm_count_failure(cdm, 1UL << order, flags);
	return page;
}

/* Out of the way of those who find a page at once */
static noinline struct page *alloc_where_none_is_free(struct cdm_device *cdm, unsigned int order,
						      unsigned int flags)
{
	bool is_pinner = current->flags & PF_MEMALLOC_PIN;
	struct page *page = NULL;
	unsigned int attempt = 0;
	bool is_last = false;

	/* The page allocator has had it, too */
	if (order > MAX_PAGE_ORDER)
		return NULL;
	if (is_pinner)
		page = alloc_for_pinner(cdm, order);
	/* Where nothing could be made free somebody else may have freed enough: once more */
	while (!page && !is_last) {
		is_last = !cdm_make_room(cdm, 1UL << order, flags, attempt++);
		page = alloc_for_pinner(cdm, order);
	}
	if (page)
		return cleared(cdm, page, order, flags);
	return spill_or_fail(cdm, order, flags);
}

/* What is cleared takes so long that a call more does not matter */
static noinline struct page *alloc_cleared(struct cdm_device *cdm, unsigned int order,
					   unsigned int flags)
{
	struct page *page = try_alloc(cdm, order);

	if (!page)
		return alloc_where_none_is_free(cdm, order, flags);
	return cleared(cdm, page, order, flags);
}

static __always_inline struct page *alloc_uncharged(struct cdm_device *cdm, unsigned int order,
						    unsigned int flags)
{
	struct page *page;

	if (flags & CDM_ALLOC_ZERO)
		return alloc_cleared(cdm, order, flags);
	page = try_alloc(cdm, order);
	if (unlikely(!page))
		return alloc_where_none_is_free(cdm, order, flags);
	return page;
}

/**
 * cdm_charge() - charge the calling task's cgroup for pages that a driver has got
 * @cdm: the device
 * @page: the first one
 * @nr_pages: how many
 *
 * Context: Process context.
 * Return: false when it may not have them, or there is no memory to note it.
 */
bool cdm_charge(struct cdm_device *cdm, struct page *page, unsigned long nr_pages)
{
	/* From now on each page that comes back is asked whose it was. All who free read it. */
	if (READ_ONCE(cdm->plain_pages))
		WRITE_ONCE(cdm->plain_pages, 0);
	return !cdm_node_charge(cdm->config.nid, page_to_pfn(page), nr_pages);
}

/* Who may not have more of the device may have RAM */
static noinline struct page *alloc_charged(struct cdm_device *cdm, unsigned int order,
					   unsigned int flags)
{
	struct page *page = alloc_uncharged(cdm, order, flags);

	if (!page || cdm_page_is_spilled(cdm, page) || cdm_charge(cdm, page, 1UL << order))
		return page;
	cdm_free_pages(cdm, page, order);
	return spill_or_fail(cdm, order, flags);
}

/**
 * cdm_alloc_pages() - allocate pages on a device
 * @cdm: the device
 * @order: 2^order contiguous pages, 0 to MAX_PAGE_ORDER; above 0 a compound page
 * @flags: CDM_ALLOC_ZERO, or the pages have whatever they hold, and no user may see them
 *	before they are cleared. CDM_ALLOC_ATOMIC where the caller cannot sleep: what lies on
 *	other CPUs' free lists is then out of reach, nothing is evicted, and the CPU clears.
 *	CDM_ALLOC_NO_EVICT, CDM_ALLOC_SPILL.
 *
 * Neither falls back to another node nor wakes the OOM killer. Reclaims and compacts on the
 * device alone, and only where its driver granted %CDM_CAP_RECLAIM or %CDM_CAP_COMPACTION:
 * then, and with CDM_ALLOC_SPILL, the caller must hold no lock that reclaim could want. The
 * calling task's cpuset and memory policy do not matter. With CDM_ALLOC_SPILL, and only then,
 * it may be system RAM (cdm_page_is_spilled()), within the device's budget, and also while the
 * device is offline or drained, but not when it is being unregistered or removed.
 *
 * In a kernel with the dmem controller the calling task's cgroup is charged for what it gets of
 * the device, until it is freed: not with CDM_ALLOC_ATOMIC, nor for kernel threads. At its limit
 * nothing is evicted for it.
 *
 * Context: Process context, may sleep, also under mmap_lock; any context but NMI with
 * CDM_ALLOC_ATOMIC.
 * Return: pages; NULL when the device has none left, is not online or is being drained, when
 * the budget is used up, when the cgroup is at its limit, or when @order is too large.
 */
struct page *cdm_alloc_pages(struct cdm_device *cdm, unsigned int order, unsigned int flags)
{
	if (!(flags & CDM_ALLOC_ATOMIC) && cdm_has_payer())
		return alloc_charged(cdm, order, flags);
	return alloc_uncharged(cdm, order, flags);
}
EXPORT_SYMBOL_GPL(cdm_alloc_pages);

static struct folio *try_alloc_folio(struct cdm_device *cdm, unsigned int order)
{
	struct folio *folio = NULL;

	rcu_read_lock();
	if (cdm_is_open(cdm))
		folio = cdm_node_alloc_folio(CDM_GFP, order, cdm->config.nid, &cdm->nodes);
	rcu_read_unlock();
	return folio;
}

/*
 * For a file of the device, in a fault: a folio that mm manages, so nobody counts it as the
 * driver's. The driver is not asked to evict, mmap_lock is held. Where there is no large one
 * the caller tries a small one.
 *
 * Where the fault is that of a long-term pin, mm would have it outside ZONE_MOVABLE, where the
 * device has nothing. It gets it all the same, and moves it to RAM before it pins it.
 */
struct folio *cdm_alloc_for_mm(const struct cdm_node_ops *ops, unsigned int order)
{
	struct cdm_device *cdm = container_of(ops, struct cdm_device, node_ops);
	unsigned int pinning = current->flags & PF_MEMALLOC_PIN;
	unsigned int attempt = 0;
	struct folio *folio;

	current->flags &= ~PF_MEMALLOC_PIN;
	while (!(folio = try_alloc_folio(cdm, order)))
		if (order || !cdm_make_room(cdm, 1, CDM_ALLOC_NO_EVICT, attempt++))
			break;
	current->flags |= pinning;
	if (folio && cdm_device_scrubs(cdm, CDM_ALLOC_ZERO)) {
		cdm_scrub(cdm, &folio->page, folio_nr_pages(folio));
		folio_mark_uptodate(folio);
	}
	if (!folio && !order)
		cdm_count_failure(cdm, 1, 0);
	return folio;
}

/**
 * cdm_page_is_spilled() - is a page that was allocated for a device system RAM?
 * @cdm: the device
 * @page: what cdm_alloc_pages() returned
 *
 * Context: Any.
 * Return: true for system RAM, false for the device's memory.
 */
bool cdm_page_is_spilled(const struct cdm_device *cdm, const struct page *page)
{
	return !cdm_ranges_have(cdm->ranges, cdm->nr_ranges, PFN_PHYS(page_to_pfn(page)));
}
EXPORT_SYMBOL_GPL(cdm_page_is_spilled);

/* Is every page that comes back just to be freed? In a read-side critical section of RCU. */
static __always_inline bool is_sound(const struct cdm_device *cdm)
{
	return READ_ONCE(cdm->plain_pages) && !READ_ONCE(cdm_has_bad_pages);
}

/* Put it back once nobody else refers to it; false when there is no memory to wait */
static bool wait_for_others(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	if (!cdm_may_linger(cdm, page, order))
		return false;
	cdm_linger(cdm, page);
	return true;
}

/*
 * Does somebody else refer to a block of pages? The last reference would free it in one piece,
 * and if one of its pages had gone bad by then, nobody would see that.
 */
static __always_inline bool is_shared(const struct page *page, unsigned int order)
{
	return order && page_ref_count(page) != 1;
}

/* Free a block one of whose pages is bad; false while it cannot be taken apart */
static bool free_around_bad(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	if (cdm_node_free_around_bad(page, order))
		return true;
	if (!wait_for_others(cdm, page, order))
		dev_warn_ratelimited(&cdm->dev, "no memory to free around a bad page: lost %lu\n",
				     1UL << order);
	return false;
}

/* As free_around_bad(), of what may have no bad page */
static bool free_now(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	if (order && cdm_node_has_bad_page(page, order))
		return free_around_bad(cdm, page, order);
	if (order)
		__free_pages(page, order);
	else
		put_page(page);
	return true;
}

/*
 * When somebody else refers to a block, when there are bad pages, when cgroups are charged, or
 * when the device was given up: then there may be no struct pages any more, and what comes back is
 * lost. Without memory to wait for others, it is as with any driver's pages.
 */
static noinline void put_back_with_care(struct cdm_device *cdm, struct page *page,
					unsigned int order, atomic_t *held)
{
	bool is_lost, left = true;

	rcu_read_lock();
	is_lost = READ_ONCE(cdm->abandoned);
	if (!is_lost && is_shared(page, order) && wait_for_others(cdm, page, order)) {
		left = false;
	} else {
		/* A single page that users have, too, is charged until they let go of it */
		if (is_lost || order || !cdm_put_page_uncharges())
			cdm_node_uncharge(cdm->config.nid, page_to_pfn(page), 1UL << order);
		if (!is_lost)
			left = free_now(cdm, page, order);
	}
	if (left)
		atomic_sub(1 << order, held);
	rcu_read_unlock();
}

/*
 * Nearly every page that comes back is just to be freed. Not so one of a block that somebody else
 * refers to, nor when there are bad pages, when cgroups are charged, or when the device was given
 * up.
 */
static __always_inline bool free_at_once(struct cdm_device *cdm, struct page *page,
					 unsigned int order)
{
	unsigned long i = page - cdm->first_page;
	bool is_plain = false;
	atomic_t *held;

	rcu_read_lock();
	if (likely(i < READ_ONCE(cdm->plain_pages))) {
		held = cdm->held + (i >> cdm->block_order);
		/* Now: after the free the compiler would have had to save more registers */
		OPTIMIZER_HIDE_VAR(held);
		is_plain = !READ_ONCE(cdm_has_bad_pages) && !is_shared(page, order);
	}
	if (likely(is_plain)) {
		__free_pages(page, order);
		/* After the free, so that a count of 0 means that the block's pages are back */
		atomic_sub(1UL << order, held);
	}
	rcu_read_unlock();
	return is_plain;
}

/* Free what a driver has given back, or look again later */
void cdm_put_back(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	atomic_t *held = cdm_held_by(cdm, page);

	if (held)
		put_back_with_care(cdm, page, order, held);
	else
		cdm_put_back_spilled(cdm, page, order);
}

static noinline void free_with_care(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	/* System RAM within the budget, or a driver's mistake */
	bool is_elsewhere = !cdm_held_by(cdm, page);

	if (is_elsewhere && !cdm_is_noted(cdm, page)) {
		dev_err_ratelimited(&cdm->dev, "pages at %#llx are not this device's, and lost\n",
				    PFN_PHYS(page_to_pfn(page)));
		return;
	}
	cdm_put_back(cdm, page, order);
	/* The last look at the device: nobody waits for this page any more */
	if (is_elsewhere)
		atomic_long_fetch_sub_release(1L << order, &cdm->spill_held);
}

/**
 * cdm_free_pages() - give pages back
 * @cdm: the device that they came from
 * @page: what cdm_alloc_pages() returned
 * @order: the order that it was called with
 *
 * A page that comes back after cdm_device_remove() has given it up stays lost, and so does
 * one that is given back to a device that it is not of, with a line in the log. Until nobody
 * else refers to it any more, system RAM counts for the budget, and a block (of an order
 * above 0) as the driver's.
 *
 * Context: Any context that may free pages: not NMI. Does not sleep.
 */
void cdm_free_pages(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	if (unlikely(!free_at_once(cdm, page, order)))
		free_with_care(cdm, page, order);
}
EXPORT_SYMBOL_GPL(cdm_free_pages);

/**
 * cdm_free_singles() - free single pages of one memory block, or one
 * @cdm: the device
 * @nr: how many there are, not 0
 * @pages: which
 *
 * Context: as cdm_free_pages().
 * Return: how many, from the first one on.
 */
unsigned int cdm_free_singles(struct cdm_device *cdm, unsigned int nr, struct page **pages)
{
	const struct cdm_block block = cdm_block_of(cdm, pages[0]);
	atomic_t *held = cdm_held_by(cdm, pages[0]);
	unsigned int freed = 0;

	rcu_read_lock();
	if (likely(held && is_sound(cdm))) {
		freed = cdm_node_put_pages(nr, pages, &block);
		atomic_sub(freed, held);
	}
	rcu_read_unlock();
	if (freed)
		return freed;
	free_with_care(cdm, pages[0], 0);
	return 1;
}

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
	return sum_held(cdm_held_by(cdm, pfn_to_page(start_pfn)),
			nr_pages >> cdm->block_order);
}

unsigned long cdm_held_pages(struct cdm_device *cdm)
{
	return sum_held(cdm->held, cdm->nr_blocks);
}
