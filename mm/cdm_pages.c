// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: a device's pages, who has them and which are bad.
 *
 * A bad page is marked as memory_failure() marks it, and so never leaves the allocator's
 * hands. But the mark is in the struct page, which a block loses when it goes offline, and
 * a block with such a page could not go online again. So the pfns are kept here, from the
 * driver's word or the first offlining until the memory is removed: what goes offline gives
 * its marks to the list, and what comes online gets them back before anybody can allocate.
 *
 * Locking: the list is an xarray, with its own lock. A retirement adds to it first and then
 * looks whether the page is online, onlining does it the other way round: one of them, or
 * both, sees the page. Unplugging takes cdm_retire_lock; the same lock protects the marks in the
 * list. Within it mem_hotplug_lock keeps blocks from going offline, so that struct pages say what
 * they say while memory_failure() looks at them: a retirement waits for a drain to be done with
 * the block that it is at.
 */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/bitops.h>
#include <linux/cdm_node.h>
#include <linux/error-injection.h>
#include <linux/gfp.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/page-flags.h>
#include <linux/page-isolation.h>
#include <linux/page_owner.h>
#include <linux/page_ref.h>
#include <linux/swap.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "cdm.h"
#include "internal.h"

/* Pfns of bad pages; the values say nothing */
static DEFINE_XARRAY(cdm_bad_pfns);

/* Of all devices: memory_failure() is serialised as well */
DEFINE_MUTEX(cdm_retire_lock);

/* Was there ever one, of any device? Who frees pages in one piece looks closer then. */
bool cdm_has_bad_pages;
EXPORT_SYMBOL_GPL(cdm_has_bad_pages);

static int cdm_add_bad(unsigned long pfn, gfp_t gfp)
{
	WRITE_ONCE(cdm_has_bad_pages, true);
	return xa_err(xa_store(&cdm_bad_pfns, pfn, xa_mk_value(0), gfp));
}

/**
 * cdm_node_next_bad() - walk the pages that are known to be bad
 * @pfn: where to begin
 * @end_pfn: where to end
 *
 * Context: Any.
 * Return: the first bad pfn from @pfn on; @end_pfn when there is none before it.
 */
unsigned long cdm_node_next_bad(unsigned long pfn, unsigned long end_pfn)
{
	return pfn < end_pfn && xa_find(&cdm_bad_pfns, &pfn, end_pfn - 1, XA_PRESENT) ?
	       pfn : end_pfn;
}
EXPORT_SYMBOL_GPL(cdm_node_next_bad);

/**
 * cdm_node_forget_bad() - forget which pages of a device are bad
 * @ranges: memory that has been removed
 * @nr: how many ranges
 *
 * Context: Process context. No cdm_node_retire_page() of it may come later.
 */
void cdm_node_forget_bad(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long pfn, end;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pfn = PHYS_PFN(ranges[i].start);
		end = PHYS_PFN(ranges[i].start + ranges[i].size);
		while ((pfn = cdm_node_next_bad(pfn, end)) < end)
			xa_erase(&cdm_bad_pfns, pfn);
	}
}
EXPORT_SYMBOL_GPL(cdm_node_forget_bad);

/*
 * Bad pages within a larger folio of a user's that could not be split, since somebody has it
 * pinned: the process keeps the page, and freed in one piece it would be handed out again. So
 * each has a mark in the list, and the folio one reference, until it can be split.
 */
#define CDM_UNSPLIT XA_MARK_0

/* What others than us reported: whether it could be split is seen a moment later */
#define CDM_REPORTED XA_MARK_1

/* How soon it is tried again */
#define CDM_SPLIT_AFTER HZ

static void cdm_split_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(cdm_splitting, cdm_split_work);

/* Is a page from @pfn on marked so, before @end_pfn? Returns it, or @end_pfn. */
static unsigned long cdm_next_unsplit(unsigned long pfn, unsigned long end_pfn)
{
	return pfn < end_pfn && xa_find(&cdm_bad_pfns, &pfn, end_pfn - 1, CDM_UNSPLIT) ?
	       pfn : end_pfn;
}

/* Mark what memory_failure() had to leave in its folio. Under cdm_retire_lock, and the other. */
static void cdm_note_unsplit(unsigned long pfn)
{
	struct folio *folio = cdm_try_get_folio(pfn);
	unsigned long first, end;

	if (!folio)
		return;
	first = folio_pfn(folio);
	end = first + folio_nr_pages(folio);
	/* A driver's has no mapping, and is taken apart when the driver frees it */
	if (!folio_test_large(folio) || folio_test_hugetlb(folio) || !READ_ONCE(folio->mapping)) {
		folio_put(folio);
		return;
	}
	/* With more references than one, it could never be split */
	if (cdm_next_unsplit(first, end) < end)
		folio_put(folio);
	xa_set_mark(&cdm_bad_pfns, pfn, CDM_UNSPLIT);
	schedule_delayed_work(&cdm_splitting, CDM_SPLIT_AFTER);
}

static void cdm_fail_page(unsigned long pfn)
{
	/* What it returns is about the users; the page is marked in any case */
	memory_failure(pfn, 0);
	cdm_note_unsplit(pfn);
}

/* Has the folio of a page that was marked been split, or have all others let go of it? */
static bool cdm_try_split(struct page *page)
{
	int rc;

	lock_page(page);
	rc = split_huge_page(page);
	unlock_page(page);
	return !rc || page_count(page) == 1;
}

/* Free it, and have its bad pages fail once more, from the beginning */
static void cdm_fail_again(struct page *page, unsigned long first, unsigned long end)
{
	int nid = page_to_nid(page);
	unsigned long pfn;

	for (pfn = first; (pfn = cdm_next_unsplit(pfn, end)) < end; pfn++)
		if (TestClearPageHWPoison(pfn_to_page(pfn)))
			num_poisoned_pages_sub(pfn, 1);
	put_page(page);
	cdm_node_drain_pcp(nid);
	for (pfn = first; (pfn = cdm_next_unsplit(pfn, end)) < end; pfn++) {
		xa_clear_mark(&cdm_bad_pfns, pfn, CDM_UNSPLIT);
		cdm_fail_page(pfn);
	}
}

/* The folio of @pfn, if it can be split by now. What is freed meanwhile nobody gets. */
static void cdm_split_again(unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio = page_folio(page);
	unsigned long first = folio_pfn(folio), end = first + folio_nr_pages(folio);

	if (start_isolate_page_range(first, end, PB_ISOLATE_MODE_OTHER))
		return;
	if (cdm_try_split(page))
		cdm_fail_again(page, first, end);
	undo_isolate_page_range(first, end);
}

static void cdm_split_work(struct work_struct *work)
{
	unsigned long pfn;
	void *entry;

	guard(mutex)(&cdm_retire_lock);
	get_online_mems();
	xa_for_each_marked(&cdm_bad_pfns, pfn, entry, CDM_REPORTED) {
		xa_clear_mark(&cdm_bad_pfns, pfn, CDM_REPORTED);
		cdm_note_unsplit(pfn);
	}
	xa_for_each_marked(&cdm_bad_pfns, pfn, entry, CDM_UNSPLIT)
		cdm_split_again(pfn);
	put_online_mems();
	if (xa_marked(&cdm_bad_pfns, CDM_UNSPLIT))
		schedule_delayed_work(&cdm_splitting, CDM_SPLIT_AFTER);
}

static void cdm_retire_online(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	if (!page)
		return;
	/*
	 * A free in one piece that did not find it in the list is over after this, and the
	 * piece where memory_failure() looks for it.
	 */
	synchronize_rcu();
	cdm_node_drain_pcp(page_to_nid(page));
	cdm_fail_page(pfn);
}

/**
 * cdm_node_retire_page() - never hand out a page again
 * @pfn: a page of memory that was added to a CDM node, online or not
 *
 * What an uncorrectable error in RAM does (memory_failure()): the page's users lose it, and
 * are sent SIGBUS where its content cannot be had from elsewhere. A page that a driver
 * holds stays with the driver until it frees it; one in a large folio that is pinned stays
 * with its users until a moment after nobody has it pinned any more.
 *
 * Context: Process context. Takes mem_hotplug_lock. Who frees pages in one piece looks for bad
 * ones and frees in one read-side critical section of RCU.
 * Return: 0, also if the page was retired before; -ENOMEM with nothing done.
 */
int cdm_node_retire_page(unsigned long pfn)
{
	int rc = cdm_add_bad(pfn, GFP_KERNEL);

	if (rc)
		return rc;
	guard(mutex)(&cdm_retire_lock);
	get_online_mems();
	cdm_retire_online(pfn);
	put_online_mems();
	return 0;
}
EXPORT_SYMBOL_GPL(cdm_node_retire_page);
ALLOW_ERROR_INJECTION(cdm_node_retire_page, ERRNO);

/*
 * memory_failure() has marked a page, and nobody may have said so here before. A free in one
 * piece that did not find it in the list is over when this returns, and the piece where
 * memory_failure() looks for it next.
 */
void __cdm_note_failure(int nid, unsigned long pfn)
{
	if (cdm_node_next_bad(pfn, pfn + 1) == pfn)
		return;
	if (cdm_add_bad(pfn, GFP_KERNEL)) {
		pr_err("no memory to remember that page %#lx is bad\n", pfn);
		return;
	}
	xa_set_mark(&cdm_bad_pfns, pfn, CDM_REPORTED);
	schedule_delayed_work(&cdm_splitting, CDM_SPLIT_AFTER);
	synchronize_rcu();
	cdm_node_drain_pcp(nid);
}

/* A block is about to come online: its pages are free, and isolated */
void __cdm_withhold_bad_pages(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end = pfn + nr_pages;

	for (; (pfn = cdm_node_next_bad(pfn, end)) < end; pfn++) {
		struct page *page = pfn_to_page(pfn);

		if (TestSetPageHWPoison(page) || !take_page_off_buddy(page))
			continue;
		page_ref_inc(page);
		num_poisoned_pages_inc(pfn);
	}
}

/*
 * A block is about to go offline, and struct pages with it, perhaps for good. A bad page keeps no
 * block: what names it has to let go first. A file or the swap cache is told that it is lost;
 * who has a reference keeps it. Returns whether somebody has, and the block has to stay.
 */
bool cdm_bad_pages_are_used(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end = pfn + nr_pages;
	struct folio *folio;
	bool used = false;

	for (; !used && (pfn = cdm_node_next_bad(pfn, end)) < end; pfn++) {
		folio = cdm_try_get_folio(pfn);
		/* In a larger one the other pages keep the block */
		if (folio && !folio_test_large(folio)) {
			folio_lock(folio);
			folio_wait_writeback(folio);
			if (folio_test_hwpoison(folio) && folio->mapping)
				cdm_lose_folio(folio);
			folio_unlock(folio);
			/* This one, and that of memory_failure() */
			used = folio_test_hwpoison(folio) && folio_ref_count(folio) > 2;
		}
		if (folio)
			folio_put(folio);
	}
	return used;
}

/* Struct pages that are looked at together */
#define CDM_LOOK 8

/* A look at each alone would be a twentieth of what it takes to offline a block */
static bool cdm_is_one_bad(const struct page *page)
{
	unsigned long flags = cdm_page_flags(page) | cdm_page_flags(page + 1) |
			      cdm_page_flags(page + 2) | cdm_page_flags(page + 3) |
			      cdm_page_flags(page + 4) | cdm_page_flags(page + 5) |
			      cdm_page_flags(page + 6) | cdm_page_flags(page + 7);

	return flags & __PG_HWPOISON;
}

static void cdm_remember_bad_page(struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	if (!PageHWPoison(page))
		return;
	if (cdm_add_bad(pfn, GFP_KERNEL))
		pr_err("no memory to remember that page %#lx is bad\n", pfn);
	num_poisoned_pages_sub(pfn, 1);
}

/*
 * A block has gone offline, and its struct pages are about to: remember what they say. The
 * block's count of bad pages goes to zero, or it could not come online again. That count does
 * not say whether there is one: memory_failure() counts a page after it has marked it.
 */
void cdm_remember_bad_pages(unsigned long start_pfn, unsigned long nr_pages)
{
	/* Of a block they are one after the other */
	struct page *page = pfn_to_page(start_pfn), *end = page + nr_pages;
	int i;

	for (; page < end; page += CDM_LOOK) {
		if (likely(!cdm_is_one_bad(page)))
			continue;
		for (i = 0; i < CDM_LOOK; i++)
			cdm_remember_bad_page(page + i);
	}
}

/**
 * cdm_node_has_bad_page() - is one of the pages of a block known to be bad?
 * @page: the first of 2^@order pages
 * @order: as they were allocated
 *
 * Context: Any.
 * Return: whether cdm_node_free_around_bad() has to free them.
 */
bool cdm_node_has_bad_page(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order);

	return cdm_node_next_bad(pfn, end) < end;
}
EXPORT_SYMBOL_GPL(cdm_node_has_bad_page);

/**
 * cdm_node_free_around_bad() - free a block of pages some of which have gone bad
 * @page: the first of 2^@order pages, of which the caller has a reference
 * @order: above 0, as they were allocated
 *
 * The free path looks for bad pages only where it frees single ones.
 *
 * Context: Any context that may free pages.
 * Return: false when somebody else has a reference, too: then nothing has changed.
 */
bool cdm_node_free_around_bad(struct page *page, unsigned int order)
{
	unsigned long i, nr = 1UL << order;

	/* Nobody gets one from here on who only looks whether there is one */
	if (!page_ref_freeze(page, 1))
		return false;
	atomic_set(&page_folio(page)->_large_mapcount, 0);
	atomic_set(&page_folio(page)->_entire_mapcount, 0);
	pgalloc_tag_split(page_folio(page), order, 0);
	split_page_owner(page, order, 0);
	cdm_forget_nr_pages(page);
	/* Atomically: another page may be marked as bad at this moment */
	for (i = 1; i < nr; i++) {
		set_mask_bits(&cdm_page_flags(page + i), PAGE_FLAGS_CHECK_AT_FREE, 0);
		page[i].mapping = NULL;
		clear_compound_head(page + i);
		set_page_refcounted(page + i);
	}
	folio_clear_head((struct folio *)page);
	set_mask_bits(&cdm_page_flags(page + 1), PAGE_FLAGS_SECOND, 0);
	page_ref_unfreeze(page, 1);

	for (i = 0; i < nr; i++)
		__free_page(page + i);
	return true;
}
EXPORT_SYMBOL_GPL(cdm_node_free_around_bad);

/* Can only a driver give it back: is it nobody's memory, nor anybody's file? A snapshot. */
static bool cdm_folio_is_drivers(struct folio *folio)
{
	return !folio_test_lru(folio) && !folio_mapped(folio) && !READ_ONCE(folio->mapping);
}

/* Visit what starts at @pfn, which is online; returns how many pages that is */
static unsigned long cdm_visit_pfn(unsigned long pfn, cdm_visit_t visit, void *arg)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio;
	unsigned long nr = 1;

	if (PageBuddy(page))
		return 1UL << min_t(unsigned int, buddy_order_unsafe(page), MAX_PAGE_ORDER);

	folio = page_folio(page);
	if (!folio_try_get(folio)) {
		if (PageHWPoison(page))
			visit(page, 1, arg);
		return 1;
	}
	/* It may have become another one before the reference held it */
	if (page_folio(page) == folio) {
		if (!PageHWPoison(page))
			nr = folio_nr_pages(folio) - folio_page_idx(folio, page);
		visit(page, nr, arg);
	}
	folio_put(folio);
	return nr;
}

/*
 * Visit what of a device's memory is online and not free, folio by folio, each with a
 * reference, and bad pages one by one, where nobody has one any more without. Takes
 * mem_hotplug_lock, for one at a time: others wait for it.
 */
void cdm_walk_folios(const struct cdm_range *ranges, unsigned int nr, cdm_visit_t visit,
		     void *arg)
{
	unsigned long pfn, end;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		end = PHYS_PFN(ranges[i].start + ranges[i].size);
		for (pfn = PHYS_PFN(ranges[i].start); pfn < end; cond_resched()) {
			get_online_mems();
			if (pfn_to_online_page(pfn))
				pfn += cdm_visit_pfn(pfn, visit, arg);
			else
				pfn = SECTION_ALIGN_UP(pfn + 1);
			put_online_mems();
		}
	}
}

/* Of @nr pages of a folio, which could not be split where one of them is bad */
static unsigned long cdm_nr_bad(const struct folio *folio, const struct page *page,
				unsigned long nr)
{
	unsigned long bad = 0;

	if (nr == 1 || (folio_test_large(folio) && folio_test_has_hwpoisoned(folio)))
		while (nr--)
			bad += PageHWPoison(page++);
	return bad;
}

static void cdm_count_folio(struct page *page, unsigned long nr, void *arg)
{
	struct folio *folio = page_folio(page);
	struct cdm_page_count *count = arg;
	unsigned long bad = cdm_nr_bad(folio, page, nr);

	count->bad += bad;
	nr -= bad;
	if (!nr)
		;
	else if (cdm_folio_is_drivers(folio))
		; /* the driver core counts it */
	else if (cdm_folio_is_pinned(folio))
		count->pinned += nr;
	else
		count->user += nr;
}

/**
 * cdm_node_count_pages() - count a device's pages by who has them
 * @ranges: memory that cdm_node_add_memory() added
 * @nr: how many ranges
 * @count: the numbers, in pages of what is online
 *
 * A snapshot that takes a moment for each page. What a driver holds is in none of the
 * numbers: the driver core knows it.
 *
 * Context: Process context. Takes mem_hotplug_lock.
 */
void cdm_node_count_pages(const struct cdm_range *ranges, unsigned int nr,
			  struct cdm_page_count *count)
{
	*count = (struct cdm_page_count) { };
	/* What waits to be put on a list has a reference that looks like somebody's */
	lru_add_drain_all();
	cdm_walk_folios(ranges, nr, cdm_count_folio, count);
}
EXPORT_SYMBOL_GPL(cdm_node_count_pages);

/* Does a driver's folio, or page, begin here? */
static bool cdm_page_is_held(struct page *page)
{
	return page_count(page) && !PageBuddy(page) && !PageTail(page) &&
	       !PageHWPoison(page) && cdm_folio_is_drivers(page_folio(page));
}

/**
 * cdm_node_poison_pages() - treat what was not given back as bad memory
 * @start_pfn: first page of a range whose blocks are isolated
 * @nr_pages: pages
 *
 * A page that is marked so no longer keeps its block from going offline. The last resort
 * of a driver's remove() that has waited for its users in vain.
 *
 * Context: Process context, in a MEM_GOING_OFFLINE notifier.
 * Return: the number of pages that were marked.
 */
unsigned long cdm_node_poison_pages(unsigned long start_pfn, unsigned long nr_pages)
{
	unsigned long pfn, i, nr, marked = 0;

	for (pfn = start_pfn; pfn < start_pfn + nr_pages; pfn += nr) {
		struct page *page = pfn_to_page(pfn);

		nr = 1;
		if (!cdm_page_is_held(page))
			continue;
		nr = compound_nr(page);
		for (i = 0; i < nr; i++)
			if (!TestSetPageHWPoison(page + i))
				num_poisoned_pages_inc(pfn + i);
		marked += nr;
	}
	return marked;
}
EXPORT_SYMBOL_GPL(cdm_node_poison_pages);
