/* SPDX-License-Identifier: GPL-2.0 */
/* Where kernels differ, for the module's build on those that people run. */
#ifndef _DRIVERS_CDM_STOCK_COMPAT_H
#define _DRIVERS_CDM_STOCK_COMPAT_H

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#define STOCK_MAX_ORDER	MAX_PAGE_ORDER

/* Locked, or NULL */
static inline struct folio *stock_lock_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/* With a reference, or NULL */
static inline struct folio *stock_get_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/* What it returns is about the page's users; 0 when the page is marked */
static inline int stock_memory_failure(unsigned long pfn)
{
	int rc = memory_failure(pfn, 0);

	return PageHWPoison(pfn_to_page(pfn)) ? 0 : rc;
}

/* 1 with a page that is present at @addr, 0 or an error without */
static inline long stock_get_user_page(struct mm_struct *mm, unsigned long addr,
				       struct page **page)
{
	return get_user_pages_remote(mm, addr, 1, FOLL_NOFAULT, page, NULL);
}

#endif /* _DRIVERS_CDM_STOCK_COMPAT_H */
