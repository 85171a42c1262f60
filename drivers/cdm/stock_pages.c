// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory on an unmodified kernel: pages, who has them, which are bad, and what
 * allocations want beside them.
 *
 * What a kernel does not export is not had here: freeing the pages on other CPUs' lists,
 * reclaim, and taking a block apart around a bad page.
 */

#include <linux/bottom_half.h>
#include <linux/cdm.h>
#include <linux/gfp.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/page-flags.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include "cdm_core.h"
#include "mm_stock.h"

/* While somebody looks at struct pages of a device's, none of them goes */
DEFINE_MUTEX(stock_pages_lock);

/* Pfns of bad pages; the values say nothing. Its lock is taken in any context. */
static DEFINE_XARRAY_FLAGS(bad_pfns, XA_FLAGS_LOCK_IRQ);

/* Nobody says here when one goes bad: whatever comes back is looked at */
bool cdm_has_bad_pages = true;

/* Blocks with a bad page that nobody gets, by the first pfn, with their order: all are marked */
static DEFINE_XARRAY_FLAGS(withheld_pfns, XA_FLAGS_LOCK_IRQ);

void stock_pages_exit(void)
{
	xa_destroy(&bad_pfns);
	xa_destroy(&withheld_pfns);
}

static long needs_cdm(const char *what)
{
	pr_warn_ratelimited("%s needs a kernel with CONFIG_CDM\n", what);
	return -EOPNOTSUPP;
}

/*
 * With bottom halves off, the allocator takes the caller for an interrupt, which no cpuset
 * restricts: the device belongs to the driver, not to the calling task's cpuset. CDM_GFP
 * does not sleep.
 */
static void leave_cpuset(void)
{
	if (!in_hardirq())
		local_bh_disable();
}

/* Softirqs wait where the caller has interrupts off: running them would put those on */
static void enter_cpuset(void)
{
	if (in_hardirq())
		return;
	if (irqs_disabled())
		_local_bh_enable();
	else
		local_bh_enable();
}

static void note_pfn(struct xarray *pfns, unsigned long pfn, unsigned int order)
{
	unsigned long flags;
	int rc;

	xa_lock_irqsave(pfns, flags);
	rc = xa_err(__xa_store(pfns, pfn, xa_mk_value(order), GFP_ATOMIC | __GFP_NOWARN));
	xa_unlock_irqrestore(pfns, flags);
	if (rc)
		pr_warn_ratelimited("no memory for a note about page %#llx\n", PFN_PHYS(pfn));
}

/*
 * Is one of the pages bad? Firmware tells nobody here of what it reports: it is found by its mark,
 * and noted, so that it is found again when the block has been offline. Struct pages of what is
 * large have all been written a moment ago.
 */
bool cdm_node_has_bad_page(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), end = pfn + (1UL << order);
	bool bad = cdm_node_next_bad(pfn, end) < end;

	for (; pfn < end; pfn++, page++) {
		if (likely(!PageHWPoison(page)))
			continue;
		note_pfn(&bad_pfns, pfn, 0);
		bad = true;
	}
	return bad;
}

/*
 * Nobody gets any of the pages until they have been offline. All are marked, so that their block
 * can go.
 */
static void withhold(struct page *page, unsigned int order)
{
	unsigned long i;

	note_pfn(&withheld_pfns, page_to_pfn(page), order);
	for (i = 0; i < 1UL << order; i++)
		SetPageHWPoison(page + i);
}

/*
 * memory_failure() leaves a page that is on a CPU's list, or in a large folio that somebody has
 * pinned, where it is, and a block onlined by hand has nothing marked. But all that is allocated on
 * the node is allocated here.
 */
static bool is_withheld(struct page *page, unsigned int order)
{
	bool bad = cdm_node_has_bad_page(page, order);

	if (unlikely(bad))
		withhold(page, order);
	return bad;
}

/*
 * What takes a block apart is not exported. Freed in one piece, it would be in no list, but not
 * offline either, where the allocator checks what it hands out.
 */
bool cdm_node_free_around_bad(struct page *page, unsigned int order)
{
	if (page_count(page) != 1)
		return false;
	withhold(page, order);
	return true;
}

/* Has the page a mark because it is withheld? */
static bool is_withheld_now(unsigned long pfn)
{
	unsigned int order;
	void *entry;

	for (order = 0; order <= MAX_PAGE_ORDER; order++) {
		entry = xa_load(&withheld_pfns, round_down(pfn, 1UL << order));
		if (entry && xa_to_value(entry) >= order)
			return true;
	}
	return false;
}

/*
 * A block has gone offline, and its struct pages are about to: remember what firmware has marked
 * in them. What comes online again is all in order but for these.
 */
void stock_remember_bad_pages(unsigned long start_pfn, unsigned long nr_pages)
{
	unsigned long pfn, end = start_pfn + nr_pages;
	void *entry;

	for (pfn = start_pfn; pfn < end; pfn++)
		if (PageHWPoison(pfn_to_page(pfn)) && !is_withheld_now(pfn))
			note_pfn(&bad_pfns, pfn, 0);
	xa_for_each_range(&withheld_pfns, pfn, entry, start_pfn, end - 1)
		xa_erase_irq(&withheld_pfns, pfn);
}

struct page *cdm_node_alloc_pages(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes)
{
	struct page *page;

	leave_cpuset();
	do {
		page = __alloc_pages(gfp, order, nid, nodes);
	} while (page && is_withheld(page, order));
	enter_cpuset();
	return page;
}

unsigned int cdm_node_put_pages(unsigned int nr, struct page **pages,
				const struct cdm_block *block)
{
	unsigned int i;

	for (i = 0; i < nr && cdm_block_has(block, pages[i]); i++)
		__free_page(pages[i]);
	return i;
}

unsigned long cdm_node_alloc_pages_bulk(gfp_t gfp, int nid, nodemask_t *nodes, unsigned long nr,
					struct page **pages)
{
	unsigned long got, i, good = 0;

	leave_cpuset();
	got = __alloc_pages_bulk(gfp, nid, nodes, nr, pages);
	enter_cpuset();
	for (i = 0; i < got; i++)
		if (!is_withheld(pages[i], 0))
			pages[good++] = pages[i];
	memset_p((void **)pages + good, NULL, got - good);
	return good;
}

struct folio *cdm_node_alloc_folio(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes)
{
	struct folio *folio;

	leave_cpuset();
	do {
		folio = __folio_alloc(gfp, order, nid, nodes);
	} while (folio && is_withheld(&folio->page, order));
	enter_cpuset();
	return folio;
}

/* Nothing that mm could free, and no way to reach other CPUs' lists */
bool cdm_node_make_room(int nid, unsigned int order)
{
	return false;
}

bool cdm_node_drain_pcp(int nid)
{
	return false;
}

/* Whatever comes back lies on a list of its CPU first, and those cannot be emptied from here */
unsigned long cdm_node_shortage(int nid)
{
	return 0;
}

unsigned long cdm_node_free_pages(int nid)
{
	return zone_page_state(&NODE_DATA(nid)->node_zones[ZONE_MOVABLE], NR_FREE_PAGES);
}

/* What keeps blocks from going offline meanwhile is not exported */
struct page *cdm_node_alloc_contig(int nid, const struct cdm_range *ranges, unsigned int nr,
				   unsigned long nr_pages, gfp_t gfp)
{
	needs_cdm("a contiguous range");
	return NULL;
}

/* Can only a driver give it back: is it nobody's memory, nor anybody's file? */
static bool is_drivers(struct folio *folio)
{
	return !folio_test_lru(folio) && !folio_mapped(folio) && !folio->mapping;
}

/*
 * What a walk over a device's pages has counted; @strangers: of neither drivers nor our files;
 * @kernels: of drivers, or of others in the kernel, who cannot be told apart
 */
struct stock_count {
	struct cdm_page_count pages;
	unsigned long strangers;
	unsigned long kernels;
};

static void count_folio(struct folio *folio, unsigned long nr, struct stock_count *count)
{
	/* Who has it mapped, the page cache, and this function */
	long expected = folio_mapcount(folio) + 1;

	/* The driver core counts it */
	if (is_drivers(folio)) {
		count->kernels += nr;
		return;
	}
	if (!stock_owns_folio(folio))
		count->strangers += nr;
	if (folio->mapping && !folio_test_anon(folio))
		expected += folio_nr_pages(folio);
	if (folio_ref_count(folio) > expected)
		count->pages.pinned += nr;
	else
		count->pages.user += nr;
}

/* What starts at @pfn, which is online; returns how many pages that is */
static unsigned long count_pfn(unsigned long pfn, struct stock_count *count)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio;
	unsigned long nr = 1;

	if (PageHWPoison(page)) {
		count->pages.bad++;
		return 1;
	}
	if (PageBuddy(page))
		return 1UL << min_t(unsigned long, READ_ONCE(page->private), MAX_PAGE_ORDER);
	folio = page_folio(page);
	if (!folio_try_get(folio))
		return 1;
	/* It may have become another one before the reference held it */
	if (page_folio(page) == folio) {
		nr = folio_nr_pages(folio) - folio_page_idx(folio, page);
		count_folio(folio, nr, count);
	}
	folio_put(folio);
	return nr;
}

static void count_all(const struct cdm_range *ranges, unsigned int nr, struct stock_count *count)
{
	unsigned long pfn, end;

	*count = (struct stock_count) { };
	guard(mutex)(&stock_pages_lock);
	for (; nr--; ranges++) {
		end = PHYS_PFN(ranges->start + ranges->size);
		for (pfn = PHYS_PFN(ranges->start); pfn < end; cond_resched()) {
			if (pfn_to_online_page(pfn))
				pfn += count_pfn(pfn, count);
			else
				pfn = SECTION_ALIGN_UP(pfn + 1);
		}
	}
}

void cdm_node_count_pages(const struct cdm_range *ranges, unsigned int nr,
			  struct cdm_page_count *pages)
{
	struct stock_count count;

	count_all(ranges, nr, &count);
	*pages = count.pages;
}

/* Pages that somebody has got by accident; if @fresh, before any driver could have got one */
unsigned long stock_strangers(const struct cdm_range *ranges, unsigned int nr, bool fresh)
{
	struct stock_count count;

	count_all(ranges, nr, &count);
	return count.strangers + (fresh ? count.kernels : 0);
}

/* Only files of the device have pages here: nobody can bind to the node */
unsigned long cdm_node_lose_memory(int nid, const struct cdm_range *ranges, unsigned int nr)
{
	return stock_lose_files(nid);
}

/* Does a driver's folio, or page, begin here? */
static bool is_held(struct page *page)
{
	return page_count(page) && !PageBuddy(page) && !PageTail(page) &&
	       !PageHWPoison(page) && is_drivers(page_folio(page));
}

unsigned long cdm_node_poison_pages(unsigned long start_pfn, unsigned long nr_pages)
{
	unsigned long pfn, nr, marked = 0;

	for (pfn = start_pfn; pfn < start_pfn + nr_pages; pfn += nr) {
		struct page *page = pfn_to_page(pfn);

		nr = 1;
		if (!is_held(page))
			continue;
		nr = compound_nr(page);
		withhold(page, compound_order(page));
		marked += nr;
	}
	return marked;
}

int cdm_node_retire_page(unsigned long pfn)
{
	int rc;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE)) {
		pr_warn_ratelimited("page %#llx: a bad page needs a kernel with CONFIG_MEMORY_FAILURE\n",
				    PFN_PHYS(pfn));
		return -EOPNOTSUPP;
	}
	rc = xa_err(xa_store_irq(&bad_pfns, pfn, xa_mk_value(0), GFP_KERNEL));
	if (rc)
		return rc;
	guard(mutex)(&stock_pages_lock);
	return pfn_to_online_page(pfn) ? stock_fail_page(pfn) : 0;
}

/* What was known to be bad before it was online, and nobody could have got yet */
int stock_retire_known(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long pfn, end;
	int rc = 0;

	for (; nr-- && !rc; ranges++) {
		end = PHYS_PFN(ranges->start + ranges->size);
		for (pfn = PHYS_PFN(ranges->start);
		     !rc && (pfn = cdm_node_next_bad(pfn, end)) < end; pfn++)
			rc = stock_fail_page(pfn);
	}
	return rc;
}

unsigned long cdm_node_next_bad(unsigned long pfn, unsigned long end_pfn)
{
	return pfn < end_pfn && xa_find(&bad_pfns, &pfn, end_pfn - 1, XA_PRESENT) ?
	       pfn : end_pfn;
}

void cdm_node_forget_bad(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long pfn, end;

	for (; nr--; ranges++) {
		end = PHYS_PFN(ranges->start + ranges->size);
		for (pfn = PHYS_PFN(ranges->start); (pfn = cdm_node_next_bad(pfn, end)) < end;)
			xa_erase_irq(&bad_pfns, pfn);
	}
}

long cdm_node_migrate_range(int nid, struct mm_struct *mm, unsigned long start,
			    unsigned long nr, int *status, enum cdm_migrate_whose whose)
{
	return needs_cdm("migration by request");
}

long cdm_node_migrate_pfns(int nid, const unsigned long *pfns, unsigned long nr, int *status)
{
	return needs_cdm("migration by request");
}

/* A look at the page with a reference, which is not kept */
int cdm_node_locate(struct mm_struct *mm, unsigned long addr, unsigned long *pfn)
{
	struct page *page;
	long rc;

	mmap_read_lock(mm);
	rc = stock_get_user_page(mm, addr, &page);
	mmap_read_unlock(mm);
	if (rc != 1)
		return rc ? rc : -EFAULT;
	*pfn = page_to_pfn(page);
	rc = page_to_nid(page);
	put_page(page);
	return rc;
}

int cdm_node_walk_mappings(unsigned long pfn, cdm_mapping_t visit, void *arg)
{
	return needs_cdm("who maps a page");
}
