/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: what a vendor's driver uses.
 *
 * The functions are documented where they are defined, in drivers/cdm/.
 */
#ifndef _LINUX_CDM_H
#define _LINUX_CDM_H

#include <linux/cdm_node.h>
#include <linux/mm.h>
#include <linux/node.h>
#include <linux/types.h>

struct cdm_device;
struct device;
struct list_head;
struct mm_struct;
struct page;

/**
 * enum cdm_online_policy - who onlines the memory blocks
 * @CDM_ONLINE_AUTO: the core, when the device is registered. The default.
 * @CDM_ONLINE_MANUAL: the administrator, block by block or through the device's
 *	``state`` file
 */
enum cdm_online_policy {
	CDM_ONLINE_AUTO,
	CDM_ONLINE_MANUAL,
};

/**
 * struct cdm_ops - what the core asks a driver to do
 * @drain: give back what can be given back of the pages that cdm_alloc_pages() returned,
 *	because the memory is to go offline, or has gone: then nothing is read there. What the
 *	driver has mapped for user space it unmaps (unmap_mapping_range()). Called again for
 *	each attempt. Process context, may sleep; must not call what registers, onlines,
 *	offlines, cancels or removes a device, and gets no pages of the device meanwhile, nor
 *	system RAM for it where the device is being unregistered or removed.
 * @evict: give pages back, because an allocation found the device full. @nr_pages are those of
 *	the allocation, in one piece, and what the device is below the reserve that the page
 *	allocator keeps. Called at most three times for an allocation (of many: for one page of
 *	them), in its context, with no lock of the core held: a caller that holds what it wants
 *	passes %CDM_ALLOC_NO_EVICT. By several tasks at once. What it allocates itself evicts
 *	nothing. Returns how many pages it gave back.
 * @scrub: clear @nr_pages from @page on. For whoever asked for cleared pages, before they
 *	see them. Process context, may sleep, with mmap_lock or a folio's lock held: it takes
 *	neither, and waits for no memory. Returns 0, or an error and the CPU does it.
 * @copy: copy @nr_pages from @from to @to, of which one or both are the device's. Also when
 *	others than the driver move pages, and in a drain, which has mem_hotplug_lock: no
 *	function that takes that lock is called. Ends by itself when the device has gone; as
 *	@scrub otherwise.
 *
 * All are optional, and may be called before the registration has returned. None is called, nor at
 * work any more, once the device has been unregistered or removed: whoever does that waits for
 * them, and so they must not wait for it. That holds for all devices together: @evict, @scrub and
 * @copy of one take no lock that is held while another one is registered, removed or lost.
 */
struct cdm_ops {
	void (*drain)(struct cdm_device *cdm, void *data);
	unsigned long (*evict)(struct cdm_device *cdm, unsigned long nr_pages, void *data);
	int (*scrub)(struct cdm_device *cdm, struct page *page, unsigned long nr_pages,
		     void *data);
	int (*copy)(struct cdm_device *cdm, struct page *to, struct page *from,
		    unsigned long nr_pages, void *data);
};

/**
 * struct cdm_config - what a driver says about its memory when it registers it
 * @ranges: the memory, in any order; all of it on one node
 * @nr_ranges: how many, not 0
 * @nid: the node that firmware names, or %CDM_NID_AUTO. Must be possible, and have
 *	neither memory nor CPUs.
 * @owner: whose the node id is until reboot, by a name that is the same when the device
 *	comes again; NULL for the parent's name
 * @fallback: what the FALLBACK list of the node holds
 * @online_policy: who onlines the blocks
 * @caps: CDM_CAP_* that are granted
 * @ops: what the driver does for the core, or NULL; not copied
 * @ops_data: what the functions in @ops are called with
 * @bad_pages: physical addresses of pages that must never be handed out
 * @nr_bad_pages: how many
 * @near: the node of system RAM that the device is nearest to, where @distance is set
 * @distance: how far that is, between LOCAL_DISTANCE and 255, both excluded; 0 leaves
 *	all distances to firmware
 * @spill_max: bytes of system RAM that allocations with %CDM_ALLOC_SPILL may have between
 *	them; 0 for none. The administrator can change it.
 * @access: bandwidth and latency of the memory for the CPUs nearest to it, as HMAT would
 *	say it; all 0 leaves that to firmware, and has to where its HMAT knows the node: the
 *	node's files in sysfs would be there twice
 */
struct cdm_config {
	const struct cdm_range *ranges;
	unsigned int nr_ranges;
	int nid;
	const char *owner;
	enum cdm_fallback fallback;
	enum cdm_online_policy online_policy;
	unsigned long caps;
	const struct cdm_ops *ops;
	void *ops_data;
	const u64 *bad_pages;
	unsigned int nr_bad_pages;
	int near;
	unsigned int distance;
	u64 spill_max;
	struct access_coordinate access;
};

/**
 * enum cdm_alloc_flags - how cdm_alloc_pages() and the others allocate; any of them together
 * @CDM_ALLOC_ZERO: cleared, by ops->scrub where there is one
 * @CDM_ALLOC_ATOMIC: the caller cannot sleep: nothing is evicted, and the CPU clears
 * @CDM_ALLOC_NO_EVICT: the caller holds what ops->evict wants
 * @CDM_ALLOC_SPILL: system RAM will do where the device is full, as far as the budget goes
 */
enum cdm_alloc_flags {
	CDM_ALLOC_ZERO		= BIT(0),
	CDM_ALLOC_ATOMIC	= BIT(1),
	CDM_ALLOC_NO_EVICT	= BIT(2),
	CDM_ALLOC_SPILL		= BIT(3),
};

struct cdm_device *cdm_device_register(struct device *parent, const struct cdm_config *config);
int cdm_device_unregister(struct cdm_device *cdm, unsigned int seconds);
void cdm_device_remove(struct cdm_device *cdm);
void cdm_device_lost(struct cdm_device *cdm);
void cdm_devices_lost(struct device *parent);
struct cdm_device *devm_cdm_device_register(struct device *parent,
					    const struct cdm_config *config);

struct cdm_device *cdm_device_find(int nid);
struct cdm_device *cdm_device_at(u64 addr);
void cdm_device_put(struct cdm_device *cdm);
int cdm_device_nid(const struct cdm_device *cdm);
unsigned long cdm_device_free_pages(const struct cdm_device *cdm);

struct pci_dev;

#if IS_ENABLED(CONFIG_PCI)
int cdm_firmware_nid(struct pci_dev *pdev, unsigned int n);
#else
static inline int cdm_firmware_nid(struct pci_dev *pdev, unsigned int n)
{
	return CDM_NID_AUTO;
}
#endif

int cdm_device_online(struct cdm_device *cdm);
int cdm_device_offline(struct cdm_device *cdm, unsigned int seconds);
int cdm_device_cancel(struct cdm_device *cdm);

int cdm_retire_page(struct cdm_device *cdm, u64 addr);

struct page *cdm_alloc_pages(struct cdm_device *cdm, unsigned int order, unsigned int flags);
void cdm_free_pages(struct cdm_device *cdm, struct page *page, unsigned int order);
unsigned long cdm_alloc_pages_bulk(struct cdm_device *cdm, unsigned int flags, unsigned long nr,
				   struct page **pages);
unsigned long cdm_alloc_pages_list(struct cdm_device *cdm, unsigned int flags, unsigned long nr,
				   struct list_head *list);
void cdm_free_pages_bulk(struct cdm_device *cdm, unsigned long nr, struct page **pages);
void cdm_free_pages_list(struct cdm_device *cdm, struct list_head *list);
struct page *cdm_alloc_contig(struct cdm_device *cdm, unsigned long nr_pages,
			      unsigned int flags);
void cdm_free_contig(struct cdm_device *cdm, struct page *page, unsigned long nr_pages);

long cdm_migrate_range(struct cdm_device *to, struct mm_struct *mm, unsigned long start,
		       unsigned long nr_pages, int *status);
long cdm_migrate_pfns(struct cdm_device *to, const unsigned long *pfns, unsigned long nr,
		      int *status);
int cdm_locate(struct mm_struct *mm, unsigned long addr, u64 *phys);
int cdm_walk_mappings(u64 phys, cdm_mapping_t visit, void *arg);

bool cdm_page_is_spilled(const struct cdm_device *cdm, const struct page *page);
struct page *cdm_bring_back(struct cdm_device *cdm, struct page *page, unsigned int order,
			    unsigned int flags);

/**
 * cdm_alloc_folio() - cdm_alloc_pages(), as a folio
 * @cdm: a device
 * @order: 2^order pages
 * @flags: CDM_ALLOC_*
 *
 * Context: as cdm_alloc_pages().
 * Return: a folio, or NULL.
 */
static inline struct folio *cdm_alloc_folio(struct cdm_device *cdm, unsigned int order,
					    unsigned int flags)
{
	return (struct folio *)cdm_alloc_pages(cdm, order, flags);
}

/**
 * cdm_free_folio() - give a folio back
 * @cdm: the device that it came from
 * @folio: what cdm_alloc_folio() returned
 *
 * Context: as cdm_free_pages().
 */
static inline void cdm_free_folio(struct cdm_device *cdm, struct folio *folio)
{
	cdm_free_pages(cdm, &folio->page, folio_order(folio));
}

#endif /* _LINUX_CDM_H */
