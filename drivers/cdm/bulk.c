// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: many pages for drivers at once, in arrays and lists, or in one
 * piece that is larger than what the page allocator has.
 */
#include <linux/cdm.h>
#include <linux/cdm_dmem.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "cdm_core.h"

/* Pages that are allocated, or freed, in one read-side critical section of RCU */
#define BULK_CHUNK 256UL

/* Pages of a list that are in an array on the stack */
#define LIST_CHUNK 32

/* How many pages from the first one on are in one memory block */
static unsigned long count_in_block(const struct cdm_device *cdm, unsigned long nr,
				    struct page **pages)
{
	const struct cdm_block block = cdm_block_of(cdm, pages[0]);
	unsigned long i;

	for (i = 1; i < nr; i++)
		if (!cdm_block_has(&block, pages[i]))
			break;
	return i;
}

/* Note that a driver has got these */
static void count_pages(struct cdm_device *cdm, unsigned long nr, struct page **pages)
{
	unsigned long part;

	this_cpu_add(*cdm->allocated, nr);
	for (; nr; nr -= part, pages += part) {
		part = count_in_block(cdm, nr, pages);
		atomic_add(part, cdm_held_by(cdm, pages[0]));
	}
}

static unsigned long try_alloc_bulk(struct cdm_device *cdm, gfp_t gfp, unsigned long nr,
				    struct page **pages)
{
	unsigned long got = 0;

	rcu_read_lock();
	if (cdm_is_open(cdm))
		got = cdm_node_alloc_pages_bulk(gfp, cdm->config.nid, &cdm->nodes, nr, pages);
	if (got)
		count_pages(cdm, got, pages);
	rcu_read_unlock();
	return got;
}

/* How many the calling task's cgroup may have; the others go back */
static unsigned long charge_pages(struct cdm_device *cdm, unsigned long nr, struct page **pages)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (!cdm_charge(cdm, pages[i], 1))
			break;
	cdm_free_pages_bulk(cdm, nr - i, pages + i);
	memset_p((void **)pages + i, NULL, nr - i);
	return i;
}

/* Neighbours together: to ask the device for each page takes longer than to clear it */
static void scrub_pages(struct cdm_device *cdm, unsigned long nr, struct page **pages)
{
	unsigned long run;

	for (; nr; nr -= run, pages += run) {
		for (run = 1; run < nr; run++)
			if (page_to_pfn(pages[run]) != page_to_pfn(pages[0]) + run)
				break;
		cdm_scrub(cdm, pages[0], run);
	}
}

/**
 * cdm_alloc_pages_bulk() - allocate many single pages on a device
 * @cdm: the device
 * @flags: as for cdm_alloc_pages()
 * @nr: how many
 * @pages: where to put them; what it held is overwritten
 *
 * Context: as cdm_alloc_pages().
 * Return: how many pages there are in @pages, from its start; fewer than @nr when no more
 * can be had.
 */
unsigned long cdm_alloc_pages_bulk(struct cdm_device *cdm, unsigned int flags, unsigned long nr,
				   struct page **pages)
{
	bool has_payer = !(flags & CDM_ALLOC_ATOMIC) && cdm_has_payer();
	bool scrub = cdm_device_scrubs(cdm, flags);
	gfp_t gfp = CDM_GFP | (flags & CDM_ALLOC_ZERO && !scrub ? __GFP_ZERO : 0);
	unsigned long done = 0, got;

	/* The page allocator fills what is empty */
	memset_p((void **)pages, NULL, nr);
	while (done < nr) {
		got = try_alloc_bulk(cdm, gfp, min(nr - done, BULK_CHUNK), pages + done);
		if (has_payer)
			got = charge_pages(cdm, got, pages + done);
		if (scrub)
			scrub_pages(cdm, got, pages + done);
		if (!got) {
			/* For one page, all that can be done for it */
			pages[done] = cdm_alloc_pages(cdm, 0, flags);
			if (!pages[done])
				break;
			got = 1;
		}
		done += got;
	}
	return done;
}
EXPORT_SYMBOL_GPL(cdm_alloc_pages_bulk);

/**
 * cdm_alloc_pages_list() - allocate many single pages on a device, as a list
 * @cdm: the device
 * @flags: as for cdm_alloc_pages()
 * @nr: how many
 * @list: where to add them, by page->lru
 *
 * Context: as cdm_alloc_pages().
 * Return: how many pages were added; fewer than @nr when no more can be had.
 */
unsigned long cdm_alloc_pages_list(struct cdm_device *cdm, unsigned int flags, unsigned long nr,
				   struct list_head *list)
{
	struct page *pages[LIST_CHUNK];
	unsigned long done = 0, part, got, i;

	do {
		part = min(nr - done, ARRAY_SIZE(pages));
		got = cdm_alloc_pages_bulk(cdm, flags, part, pages);
		for (i = 0; i < got; i++)
			list_add_tail(&pages[i]->lru, list);
		done += got;
	} while (got == part && done < nr);
	return done;
}
EXPORT_SYMBOL_GPL(cdm_alloc_pages_list);

/**
 * cdm_free_pages_bulk() - give many single pages back
 * @cdm: the device
 * @nr: how many
 * @pages: what cdm_alloc_pages_bulk() filled
 *
 * Context: as cdm_free_pages().
 */
void cdm_free_pages_bulk(struct cdm_device *cdm, unsigned long nr, struct page **pages)
{
	unsigned int freed;

	for (; nr; nr -= freed, pages += freed)
		freed = cdm_free_singles(cdm, min(nr, BULK_CHUNK), pages);
}
EXPORT_SYMBOL_GPL(cdm_free_pages_bulk);

/**
 * cdm_free_pages_list() - give a list of single pages back
 * @cdm: the device
 * @list: what cdm_alloc_pages_list() added to; empty when it returns
 *
 * Context: as cdm_free_pages().
 */
void cdm_free_pages_list(struct cdm_device *cdm, struct list_head *list)
{
	struct page *pages[LIST_CHUNK], *page, *next;
	unsigned long nr = 0;

	list_for_each_entry_safe(page, next, list, lru) {
		list_del(&page->lru);
		pages[nr++] = page;
		if (nr == LIST_CHUNK) {
			cdm_free_pages_bulk(cdm, nr, pages);
			nr = 0;
		}
	}
	cdm_free_pages_bulk(cdm, nr, pages);
}
EXPORT_SYMBOL_GPL(cdm_free_pages_list);

/* Note that a driver has got a piece of one or more blocks */
static void count_piece(struct cdm_device *cdm, struct page *page, unsigned long nr_pages)
{
	unsigned long block = 1UL << cdm->block_order, part;

	this_cpu_add(*cdm->allocated, nr_pages);
	for (; nr_pages; nr_pages -= part, page += part) {
		part = min(nr_pages, block - page_to_pfn(page) % block);
		atomic_add(part, cdm_held_by(cdm, page));
	}
}

/* Under mem_hotplug_lock no block goes offline between the look at the state and the count */
static struct page *try_alloc_contig(struct cdm_device *cdm, gfp_t gfp, unsigned long nr_pages)
{
	struct page *page = NULL;

	cdm_node_hold_blocks();
	if (cdm_state(cdm) == CDM_ONLINE)
		page = cdm_node_alloc_contig(cdm->config.nid, cdm->ranges, cdm->nr_ranges,
					     nr_pages, gfp);
	if (page)
		count_piece(cdm, page, nr_pages);
	cdm_node_release_blocks();
	return page;
}

static struct page *alloc_contig_uncharged(struct cdm_device *cdm, gfp_t gfp,
					   unsigned long nr_pages, unsigned int flags)
{
	unsigned int attempt = 0;
	bool is_last = false;
	struct page *page;

	/* As for a single page: a last look after nothing could be made free */
	while (!(page = try_alloc_contig(cdm, gfp, nr_pages)) && !is_last)
		is_last = !cdm_make_room(cdm, nr_pages, flags & ~CDM_ALLOC_ATOMIC, attempt++);
	return page;
}

/**
 * cdm_alloc_contig() - allocate pages in one piece, of any size
 * @cdm: the device
 * @nr_pages: how many; aligned to that number rounded up to a power of two, but to 2 MiB at
 *	least, and to the largest block of the page allocator (4 MiB on most machines) at most
 * @flags: CDM_ALLOC_ZERO, CDM_ALLOC_NO_EVICT; others mean nothing here
 *
 * For what is larger than cdm_alloc_pages() gives: it looks at all of the memory, and takes
 * a moment. Nobody's pages are moved for it, but for one that is faulted in while a piece that
 * was free is being taken: that may move to system RAM. The pages are single ones, not a
 * compound page.
 *
 * Context: Process context, may sleep. Takes mem_hotplug_lock, inside of which pages are moved:
 * the caller holds neither mmap_lock nor a lock that one of its MMU notifiers takes.
 * Return: the first page; NULL when there is no free piece of that size, when @nr_pages is
 * 0, when the device is not online, or when the calling task's cgroup may not have as much.
 */
struct page *cdm_alloc_contig(struct cdm_device *cdm, unsigned long nr_pages,
			      unsigned int flags)
{
	bool scrub = cdm_device_scrubs(cdm, flags), has_payer = cdm_has_payer();
	gfp_t gfp = flags & CDM_ALLOC_ZERO && !scrub ? __GFP_ZERO : 0;
	struct page *page;

	if (!nr_pages || nr_pages > PHYS_PFN(cdm->size))
		return NULL;
	page = alloc_contig_uncharged(cdm, gfp, nr_pages, flags);
	if (page && has_payer && !cdm_charge(cdm, page, nr_pages)) {
		cdm_free_contig(cdm, page, nr_pages);
		page = NULL;
	}
	if (!page)
		cdm_count_failure(cdm, nr_pages, flags);
	else if (scrub)
		cdm_scrub(cdm, page, nr_pages);
	return page;
}
EXPORT_SYMBOL_GPL(cdm_alloc_contig);

/**
 * cdm_free_contig() - give back what cdm_alloc_contig() returned
 * @cdm: the device
 * @page: the first page
 * @nr_pages: how many; a part of it will do
 *
 * Context: Process context.
 */
void cdm_free_contig(struct cdm_device *cdm, struct page *page, unsigned long nr_pages)
{
	for (; nr_pages; nr_pages--, page++) {
		cdm_free_pages(cdm, page, 0);
		cond_resched();
	}
}
EXPORT_SYMBOL_GPL(cdm_free_contig);
