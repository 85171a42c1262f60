// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: a device has gone without warning, and its memory with it.
 *
 * What processes and files had there cannot be moved, only taken away. memory_failure()
 * would do that for one page; here all of them go at once, and their struct pages go after
 * them, so that nothing may be left that names a pfn. A marker in a page table does not, a
 * hwpoison entry does. What touches lost memory is told so, it never sees other content:
 *
 *   anonymous pages   a marker in each page table: SIGBUS
 *   tmpfs, memfd      an entry in the file that says it cannot be had: SIGBUS, EIO
 *   page cache        clean pages are read from the disk again; the file of a dirty one
 *                     remembers EIO for the next fsync(2)
 *
 * A page that somebody has a reference to is taken away all the same, and is freed when the
 * reference goes.
 */
#include <linux/cdm_node.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "internal.h"
#include "swap.h"

/* How often mappings, and pages, are looked for again: a fork may copy one meanwhile */
#define CDM_LOSE_PASSES 10

/* Put markers where @folio is mapped in @vma. For rmap_walk(), with the folio locked. */
static bool cdm_mark_lost(struct folio *folio, struct vm_area_struct *vma, unsigned long address,
			  void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, PVMW_SYNC);
	struct mmu_notifier_range range;

	if (folio_test_pmd_mappable(folio))
		split_huge_pmd_address(vma, address, false, folio);

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm, address,
				vma_address_end(&pvmw));
	mmu_notifier_invalidate_range_start(&range);
	while (page_vma_mapped_walk(&pvmw)) {
		pte_t pte = ptep_clear_flush(vma, pvmw.address, pvmw.pte);

		set_pte_at(vma->vm_mm, pvmw.address, pvmw.pte,
			   make_pte_marker(PTE_MARKER_POISONED));
		dec_mm_counter(vma->vm_mm, mm_counter(folio));
		folio_remove_rmap_pte(folio, pfn_to_page(pte_pfn(pte)), vma);
		folio_put(folio);
	}
	mmu_notifier_invalidate_range_end(&range);
	return true;
}

static void cdm_lose_anon(struct folio *folio)
{
	struct rmap_walk_control rwc = { .rmap_one = cdm_mark_lost };
	int i;

	for (i = 0; folio_mapped(folio) && i < CDM_LOSE_PASSES; i++)
		rmap_walk(folio, &rwc);
	if (folio_test_swapcache(folio))
		folio_free_swap(folio);
}

/* As if the folio had been swapped out, to where nothing can be read from */
static void cdm_lose_shmem(struct folio *folio)
{
	struct address_space *mapping = folio->mapping;
	struct shmem_inode_info *info = SHMEM_I(mapping->host);
	XA_STATE_ORDER(xas, &mapping->i_pages, folio->index, folio_order(folio));
	long nr = folio_nr_pages(folio);

	unmap_mapping_folio(folio);

	/* First this, or the file would seem to have given pages back */
	spin_lock(&info->lock);
	info->swapped += nr;
	spin_unlock(&info->lock);

	xas_lock_irq(&xas);
	xas_store(&xas, swp_to_radix_entry(make_poisoned_swp_entry()));
	folio->mapping = NULL;
	mapping->nrpages -= nr;
	if (folio_test_pmd_mappable(folio))
		__lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, -nr);
	__lruvec_stat_mod_folio(folio, NR_FILE_PAGES, -nr);
	__lruvec_stat_mod_folio(folio, NR_SHMEM, -nr);
	xas_unlock_irq(&xas);
	folio_put_refs(folio, nr);
}

static void cdm_lose_cache(struct folio *folio)
{
	struct address_space *mapping = folio->mapping;

	if (folio_test_dirty(folio))
		mapping_set_error(mapping, -EIO);
	generic_error_remove_folio(mapping, folio);
}

/* Take away what starts at @pfn, if anybody has it; returns how many pages that is */
static unsigned long cdm_lose_folio(unsigned long pfn, unsigned long *lost)
{
	struct page *page = pfn_to_page(pfn);
	struct folio *folio;
	unsigned long nr = 1;

	if (PageBuddy(page))
		return 1UL << min_t(unsigned int, buddy_order_unsafe(page), MAX_PAGE_ORDER);
	folio = page_folio(page);
	if (!folio_try_get(folio))
		return 1;

	/* Whoever migrates it or reads it in is done when the lock can be had */
	folio_lock(folio);
	if (page_folio(page) == folio && (folio_mapped(folio) || folio->mapping)) {
		nr = folio_nr_pages(folio) - folio_page_idx(folio, page);
		folio_wait_writeback(folio);
		if (folio_test_anon(folio))
			cdm_lose_anon(folio);
		else if (shmem_mapping(folio->mapping))
			cdm_lose_shmem(folio);
		else if (folio->mapping)
			cdm_lose_cache(folio);
		*lost += nr;
	}
	folio_unlock(folio);
	folio_put(folio);
	return nr;
}

static unsigned long cdm_lose_range(const struct cdm_range *range)
{
	unsigned long pfn = PHYS_PFN(range->start), lost = 0;
	unsigned long end = PHYS_PFN(range->start + range->size);

	for (; pfn < end; cond_resched())
		if (pfn_to_online_page(pfn))
			pfn += cdm_lose_folio(pfn, &lost);
		else
			pfn = SECTION_ALIGN_UP(pfn + 1);
	return lost;
}

/**
 * cdm_node_lose_memory() - take memory that has gone away from those who use it
 * @ranges: memory that cdm_node_add_memory() added, of a node that nobody can bind to
 * @nr: how many ranges
 *
 * Reads and writes none of it. What drivers hold is theirs to free.
 *
 * Context: Process context; nobody onlines or offlines the memory meanwhile. Sleeps.
 * Return: the number of pages that somebody has lost.
 */
unsigned long cdm_node_lose_memory(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long lost, sum = 0;
	unsigned int i;
	int pass;

	for (pass = 0; pass < CDM_LOSE_PASSES; pass++) {
		lru_add_drain_all();
		lost = 0;
		for (i = 0; i < nr; i++)
			lost += cdm_lose_range(&ranges[i]);
		sum += lost;
		if (!lost)
			break;
	}
	/* The last references of many were those of the CPUs' lists */
	lru_add_drain_all();
	return sum;
}
EXPORT_SYMBOL_GPL(cdm_node_lose_memory);
