/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: where kernels differ. The code is written for the newest: what that has
 * is here in terms of what 6.12 has, and what looks otherwise has a name. Nothing else of ours,
 * but for the module's stock_compat.h, asks for a version.
 */
#ifndef _LINUX_CDM_COMPAT_H
#define _LINUX_CDM_COMPAT_H

#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(7, 3, 0)

#include <linux/folio_batch.h>

/* Binary files in sysfs, and what reads them */
#define cdm_bin_const const

#define cdm_page_flags(page)	((page)->flags.f)
/* Where a file's mapping notes what is a device's: no regular file has a link, nor looks for one */
#define cdm_mapping_private(mapping)	(*(void **)&(mapping)->host->i_link)

/* An allocation goes elsewhere first while nobody waits for kswapd's work on a node */
#define CDM_KSWAPD_IS_AVOIDED	true

/* A compound page has it where its second page has its cgroup */
#ifdef NR_PAGES_IN_LARGE_FOLIO
#define cdm_forget_nr_pages(page)	(((struct folio *)(page))->_nr_pages = 0)
#else
#define cdm_forget_nr_pages(page)	do { } while (0)
#endif
#define cdm_noreserve()		mk_vma_flags(VMA_NORESERVE_BIT)

/* What the owner of ZONE_DEVICE pages does with them */
#define cdm_init_zone_device(page, pgmap)	zone_device_page_init(page, pgmap, 0)
#define cdm_folio_free		folio_free
#define cdm_freed		folio

#ifdef _MM_CDM_H

#include <linux/leafops.h>
#include "../../mm/page_alloc.h"
#include "../../mm/swap_table.h"

/* A folio in the place that another one has in the swap cache */
#define cdm_lock_swapcache(folio)	swap_cluster_get_and_lock_irq(folio)
#define cdm_unlock_swapcache(cluster)	swap_cluster_unlock_irq(cluster)

static inline void cdm_store_in_swapcache(struct swap_cluster_info *cluster, struct folio *folio)
{
	unsigned int off = swp_cluster_offset(folio->swap);
	unsigned char flags = __swp_tb_get_flags(__swap_table_get(cluster, off));

	/* Who looks without the lock sees what the folio is */
	smp_wmb();
	__swap_table_set(cluster, off, pfn_to_swp_tb(folio_pfn(folio), flags));
}

#endif /* _MM_CDM_H */

#else /* 7.3 */

#include <linux/pagevec.h>

#define cdm_bin_const
#define FOLIO_BATCH_SIZE	PAGEVEC_SIZE

#ifdef __alloc_pages_bulk
#undef __alloc_pages_bulk
#define __alloc_pages_bulk(gfp, nid, nodes, nr, pages) \
	alloc_hooks(alloc_pages_bulk_noprof(gfp, nid, nodes, nr, NULL, pages))
#else
#define __alloc_pages_bulk(gfp, nid, nodes, nr, pages) \
	__alloc_pages_bulk(gfp, nid, nodes, nr, NULL, pages)
#endif

#ifndef kmalloc_obj /* 6.12 has them from a stable release on */
#define kmalloc_obj(object, gfp)	kmalloc(sizeof(object), gfp)
#define kzalloc_obj(object, gfp)	kzalloc(sizeof(object), gfp)
#define kvzalloc_obj(object, gfp)	kvzalloc(sizeof(object), gfp)
#endif
#define cdm_mapping_private(mapping)	((mapping)->i_private_data)
#define CDM_KSWAPD_IS_AVOIDED		false
#define vfs_mmap		call_mmap
#define cdm_page_flags(page)	((page)->flags)
#define cdm_forget_nr_pages(page)	do { } while (0)
#define cdm_noreserve()		VM_NORESERVE
#define cdm_init_zone_device(page, pgmap)	zone_device_page_init(page)
#define cdm_folio_free		page_free
#define cdm_freed		page

#ifdef _MM_CDM_H

#include <linux/swap.h>
#include <linux/swapops.h>
#include "../../mm/swap.h"

#undef __alloc_pages
#define __alloc_pages(gfp, order, nid, nodes, flags) \
	alloc_hooks(__alloc_pages_noprof(gfp, order, nid, nodes))
/* With their reference there */
#define __alloc_frozen_pages	__alloc_pages

#define folio_maybe_mapped_shared	folio_likely_mapped_shared
#define lruvec_stat_mod_folio		__lruvec_stat_mod_folio

#define ACR_FLAGS_NONE			MIGRATE_MOVABLE
#define PB_ISOLATE_MODE_OTHER		0
#define start_isolate_page_range(start, end, mode) \
	start_isolate_page_range(start, end, MIGRATE_MOVABLE, mode, GFP_KERNEL)
#define undo_isolate_page_range(start, end) \
	undo_isolate_page_range(start, end, MIGRATE_MOVABLE)
#define split_huge_pmd_address(vma, address, freeze) \
	split_huge_pmd_address(vma, address, freeze, NULL)

/* 6.12.117 has two of these, which are for entries of swap's kind only */
#undef softleaf_from_pte
#undef softleaf_to_pfn
#define softleaf_t			swp_entry_t
#define softleaf_is_hwpoison		is_hwpoison_entry
#define softleaf_to_pfn			swp_offset_pfn

static inline softleaf_t softleaf_from_pte(pte_t pte)
{
	return is_swap_pte(pte) ? pte_to_swp_entry(pte) : swp_entry(0, 0);
}

static inline bool pmd_is_huge(pmd_t pmd)
{
	return is_swap_pmd(pmd) || pmd_trans_huge(pmd) || pmd_devmap(pmd);
}

#define swap_cache_del_folio		delete_from_swap_cache
#define swap_cluster_info		address_space

static inline struct address_space *cdm_lock_swapcache(struct folio *folio)
{
	struct address_space *space = swap_address_space(folio->swap);

	xa_lock_irq(&space->i_pages);
	return space;
}

static inline void cdm_unlock_swapcache(struct address_space *space)
{
	xa_unlock_irq(&space->i_pages);
}

static inline void cdm_store_in_swapcache(struct address_space *space, struct folio *folio)
{
	__xa_store(&space->i_pages, swap_cache_index(folio->swap), folio, 0);
}

#endif /* _MM_CDM_H */

#endif /* 7.3 */

#endif /* _LINUX_CDM_COMPAT_H */
