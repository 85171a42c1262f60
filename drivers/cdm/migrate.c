// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: a driver moves user pages, and finds out where they are.
 */
#include <linux/cdm.h>
#include <linux/export.h>
#include <linux/mm.h>

#include "cdm_core.h"

static int copy_for_mm(const struct cdm_node_ops *ops, struct folio *to, struct folio *from)
{
	struct cdm_device *cdm = container_of(ops, struct cdm_device, node_ops);

	return cdm_ops_copy(cdm, &to->page, &from->page, folio_nr_pages(from));
}

void cdm_init_node_ops(struct cdm_device *cdm)
{
	static atomic64_t registrations = ATOMIC64_INIT(0);

	cdm->node_ops.id = atomic64_inc_return(&registrations);
	cdm->node_ops.alloc = cdm_alloc_for_mm;
	if (cdm->config.ops && cdm->config.ops->copy)
		cdm->node_ops.copy = copy_for_mm;
}

/* Can pages move there? RAM, which is no device, always has room for some */
static bool takes_pages(const struct cdm_device *to)
{
	return !to || cdm_state(to) == CDM_ONLINE;
}

/* cdm_migrate_range(), of some pages only */
long cdm_migrate_whose(struct cdm_device *to, struct mm_struct *mm, unsigned long start,
		       unsigned long nr_pages, int *status, enum cdm_migrate_whose whose)
{
	if (!PAGE_ALIGNED(start))
		return -EINVAL;
	if (!takes_pages(to))
		return -ENODEV;
	return cdm_node_migrate_range(to ? to->config.nid : NUMA_NO_NODE, mm, start, nr_pages,
				      status, whose);
}

/**
 * cdm_migrate_range() - move pages of a process to a device, or to system RAM
 * @to: the device; NULL for system RAM
 * @mm: the process's, which the caller has a reference to (mmget())
 * @start: address of the first page
 * @nr_pages: how many
 * @status: NULL, or for each page 0 when it is there, or why it is not: -ENOENT none is present,
 *	-EFAULT there is no mapping, or one of a kind that does not move, -EBUSY somebody
 *	refers to it, -ENOMEM there is no room, -EOPNOTSUPP hugetlb and ZONE_DEVICE, -EINTR the
 *	calling task was killed before
 *
 * Anonymous memory, shared memory and page cache, from system RAM and from other devices.
 * Large folios are moved whole where there is room for them whole, also if the range has a
 * part of one. Where a page comes from is not remembered: the next fault follows policies.
 *
 * Context: Process context. Takes mmap_lock. Sleeps.
 * Return: how many pages are there; -EINVAL for an address that is not a page's; -ENODEV when
 * the device is not online, -ENOMEM, -EOPNOTSUPP on a kernel without CONFIG_CDM, all with nothing
 * done.
 */
long cdm_migrate_range(struct cdm_device *to, struct mm_struct *mm, unsigned long start,
		       unsigned long nr_pages, int *status)
{
	return cdm_migrate_whose(to, mm, start, nr_pages, status, CDM_MIGRATE_ANY);
}
EXPORT_SYMBOL_GPL(cdm_migrate_range);

/**
 * cdm_migrate_pfns() - move pages to a device, or to system RAM, whoever has them
 * @to: the device; NULL for system RAM
 * @pfns: which pages
 * @nr: how many
 * @status: as for cdm_migrate_range(); -ENOENT for what is free, or no memory at all
 *
 * The caller has no references to them: those would keep them where they are.
 *
 * Context: Process context. Takes mem_hotplug_lock: not from ops->copy. Sleeps.
 * Return: as cdm_migrate_range().
 */
long cdm_migrate_pfns(struct cdm_device *to, const unsigned long *pfns, unsigned long nr,
		      int *status)
{
	if (!takes_pages(to))
		return -ENODEV;
	return cdm_node_migrate_pfns(to ? to->config.nid : NUMA_NO_NODE, pfns, nr, status);
}
EXPORT_SYMBOL_GPL(cdm_migrate_pfns);

/**
 * cdm_locate() - where is what a process has at an address?
 * @mm: the process's, which the caller has a reference to (mmget())
 * @addr: the address
 * @phys: the physical address, at this moment: without a reference it may move at any time
 *
 * Which device that is says cdm_device_find(), by the node; by a physical address it is
 * cdm_device_at().
 *
 * Context: Process context. Takes mmap_lock.
 * Return: the node; -EFAULT where nothing is mapped, -ENOENT where no page is (-EFAULT on a kernel
 * without CONFIG_CDM).
 */
int cdm_locate(struct mm_struct *mm, unsigned long addr, u64 *phys)
{
	unsigned long pfn;
	int nid = cdm_node_locate(mm, addr, &pfn);

	if (nid >= 0)
		*phys = PFN_PHYS(pfn) + offset_in_page(addr);
	return nid;
}
EXPORT_SYMBOL_GPL(cdm_locate);

/**
 * cdm_walk_mappings() - find who has a page mapped
 * @phys: a physical address in the page
 * @visit: called for each process that has its folio mapped, with the mm, which stays for the
 *	time of the call, and the address of the first page of the folio that is mapped there;
 *	false ends the search
 * @arg: passed on
 *
 * Context: Process context. Takes mem_hotplug_lock (not from ops->copy), the folio's lock and that
 * of its rmap: @visit must not take mmap_lock.
 * Return: how many mappings were visited; -ENOENT for what is no user's page; -EOPNOTSUPP on a
 * kernel without CONFIG_CDM.
 */
int cdm_walk_mappings(u64 phys, cdm_mapping_t visit, void *arg)
{
	return cdm_node_walk_mappings(PHYS_PFN(phys), visit, arg);
}
EXPORT_SYMBOL_GPL(cdm_walk_mappings);
