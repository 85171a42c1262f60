// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: where is what a process has, and who has a page?
 */
#include <linux/cdm_node.h>
#include <linux/mm.h>
#include <linux/pagewalk.h>
#include <linux/rmap.h>

#include "cdm.h"

/*
 * The page at an address of a mapping, with a reference; NULL for none, or one of zeroes. @nr
 * is how many of its folio are mapped there, one after the other, as far as that is known.
 */
struct page *cdm_get_page_at(struct vm_area_struct *vma, unsigned long addr, unsigned long *nr)
{
	struct page *page = NULL;
	struct folio_walk fw;

	*nr = 1;
	if (!folio_walk_start(&fw, vma, addr, 0))
		return NULL;
	if (fw.page && get_page_unless_zero(compound_head(fw.page))) {
		page = fw.page;
		if (fw.level == FW_LEVEL_PMD)
			*nr = (PMD_SIZE - (addr & ~PMD_MASK)) >> PAGE_SHIFT;
	}
	folio_walk_end(&fw, vma);
	return page;
}

/* The folio that a page is in, with a reference, or NULL. Under mem_hotplug_lock. */
struct folio *cdm_try_get_folio(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);
	struct folio *folio;

	if (!page)
		return NULL;
	folio = page_folio(page);
	if (!folio_try_get(folio))
		return NULL;
	if (page_folio(page) == folio)
		return folio;
	/* It had become another one before the reference held it */
	folio_put(folio);
	return NULL;
}

/* For others: until the reference holds it, a struct page could go with its memory */
struct folio *cdm_get_folio_of(unsigned long pfn)
{
	struct folio *folio;

	get_online_mems();
	folio = cdm_try_get_folio(pfn);
	put_online_mems();
	return folio;
}

/**
 * cdm_node_locate() - where is what a process has at an address?
 * @mm: the process's, which the caller has a reference to
 * @addr: an address
 * @pfn: which page, at this moment; it may be moved at any time
 *
 * Context: Process context. Takes mmap_lock.
 * Return: the node; -EFAULT where nothing is mapped, -ENOENT where no page is.
 */
int cdm_node_locate(struct mm_struct *mm, unsigned long addr, unsigned long *pfn)
{
	struct vm_area_struct *vma;
	struct page *page = NULL;
	unsigned long nr;
	int nid = -EFAULT;

	mmap_read_lock(mm);
	addr = untagged_addr_remote(mm, addr);
	vma = vma_lookup(mm, addr);
	if (vma) {
		page = cdm_get_page_at(vma, addr, &nr);
		nid = -ENOENT;
	}
	mmap_read_unlock(mm);
	if (page) {
		*pfn = page_to_pfn(page);
		nid = page_to_nid(page);
		put_page(page);
	}
	return nid;
}
EXPORT_SYMBOL_GPL(cdm_node_locate);

struct cdm_mappings {
	cdm_mapping_t visit;
	void *arg;
	int nr;
};

static bool cdm_visit_mapping(struct folio *folio, struct vm_area_struct *vma,
			      unsigned long address, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, 0);
	struct cdm_mappings *mappings = arg;

	if (!page_vma_mapped_walk(&pvmw))
		return true;
	address = pvmw.address;
	page_vma_mapped_walk_done(&pvmw);
	mappings->nr++;
	return mappings->visit(vma->vm_mm, address, mappings->arg);
}

/**
 * cdm_node_walk_mappings() - find who has a page mapped
 * @pfn: a page that is online
 * @visit: called for each mapping of its folio with the address of the first page of it that
 *	is mapped there, and a mm that stays for the time of the call; false ends the search
 * @arg: passed on
 *
 * Context: Process context. Takes mem_hotplug_lock, the folio's lock and that of its rmap;
 * @visit must not take mmap_lock.
 * Return: how many mappings were visited; -ENOENT for what is no user's page.
 */
int cdm_node_walk_mappings(unsigned long pfn, cdm_mapping_t visit, void *arg)
{
	struct cdm_mappings mappings = { .visit = visit, .arg = arg };
	struct rmap_walk_control rwc = {
		.rmap_one = cdm_visit_mapping,
		.anon_lock = folio_lock_anon_vma_read,
		.arg = &mappings,
	};
	struct folio *folio = cdm_get_folio_of(pfn);

	if (!folio)
		return -ENOENT;
	folio_lock(folio);
	if (folio_mapped(folio) && folio->mapping)
		rmap_walk(folio, &rwc);
	else
		mappings.nr = -ENOENT;
	folio_unlock(folio);
	folio_put(folio);
	return mappings.nr;
}
EXPORT_SYMBOL_GPL(cdm_node_walk_mappings);
