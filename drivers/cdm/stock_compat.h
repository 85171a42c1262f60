/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where kernels differ, for the module's build on those that people run. Included before
 * anything else (Kbuild says so), so that no other file knows: what 6.12 has is here in terms
 * of what 6.1 has.
 */
#ifndef _DRIVERS_CDM_STOCK_COMPAT_H
#define _DRIVERS_CDM_STOCK_COMPAT_H

/* As each file of the module would say it, if this were not before it */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)

#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/node.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define MAX_PAGE_ORDER		(MAX_ORDER - 1)

/* Not exported there: config.c refuses what would want it */
#define CDM_CAN_SET_PERF_ATTRS	false
#define access_coordinate	node_hmem_attrs
#define ACCESS_COORDINATE_MAX	2
#define node_set_perf_attrs	stock_set_perf_attrs
static inline void stock_set_perf_attrs(unsigned int nid, struct access_coordinate *access,
					unsigned int class)
{
}

/* Its argument is not const there */
#define cdm_uevent(dev_const, env)	cdm_uevent(struct device *dev, env)

DEFINE_FREE(kvfree, void *, kvfree(_T))

static inline void *kmemdup_array(const void *src, size_t n, size_t size, gfp_t gfp)
{
	return kmemdup(src, array_size(n, size), gfp);
}

static inline int kthread_stop_put(struct task_struct *task)
{
	int rc = kthread_stop(task);

	put_task_struct(task);
	return rc;
}

/*
 * Not exported there for large folios. Of a file: no other's can be on a device. How often all
 * of it is mapped at once counts in each of its pages there.
 */
static inline int stock_mapcount(struct folio *folio)
{
	long i, nr = folio_nr_pages(folio);
	int whole = folio_test_large(folio) ? folio_entire_mapcount(folio) : 0, count = whole;

	for (i = 0; i < nr; i++)
		count += atomic_read(&folio_page(folio, i)->_mapcount) + 1 - whole;
	return count;
}

#define folio_mapcount(folio)	stock_mapcount(folio)

/* Bytes that were not copied */
static inline int copy_mc_highpage(struct page *to, struct page *from)
{
	void *vto = kmap_local_page(to), *vfrom = kmap_local_page(from);
	unsigned long left = copy_mc_to_kernel(vto, vfrom, PAGE_SIZE);

	kunmap_local(vfrom);
	kunmap_local(vto);
	return left;
}

/* 1 with a page that is present at @addr, 0 or an error without */
static inline long stock_get_user_page(struct mm_struct *mm, unsigned long addr,
				       struct page **page)
{
	return get_user_pages_remote(mm, addr, 1, FOLL_NOFAULT, page, NULL, NULL);
}

#else

#define CDM_CAN_SET_PERF_ATTRS	true

static inline long stock_get_user_page(struct mm_struct *mm, unsigned long addr,
				       struct page **page)
{
	return get_user_pages_remote(mm, addr, 1, FOLL_NOFAULT, page, NULL);
}

#endif

/* Has a node's own FALLBACK list its zones also when it has no memory by N_MEMORY? */
#define CDM_LISTS_HAVE_OWN_ZONES	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0))

/* Locked, or NULL, which is what some kernels return themselves */
static inline struct folio *stock_lock_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/* With a reference, or NULL, likewise */
static inline struct folio *stock_get_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

#endif /* _DRIVERS_CDM_STOCK_COMPAT_H */
