// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: the memory of a node is a region of the dmem cgroup controller.
 *
 * A task's cgroup is charged for each page of a device that is allocated in the context of the
 * task: by a driver for it, in a file of /dev/cdmN, under a policy, or as the place that pages
 * are moved to. It is charged until the page is free, whoever uses it then and wherever the task
 * has gone. The root cgroup is not charged, nor is anybody in an interrupt.
 *
 * Each page has a charge of its own: a charge holds a reference to its cgroup, and a large folio
 * may be split. The notes are in RAM, 8 bytes a page, for what was charged at least once.
 *
 * Locking: the note of a page belongs to whoever allocates or frees it. A region is there as long
 * as its node has memory, or was given up; who has no page of it is in a read-side section of
 * cdm_regions_srcu.
 */
#include <linux/cdm_dmem.h>
#include <linux/cgroup.h>
#include <linux/cgroup_dmem.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include "cdm.h"

/* How many pages' notes are allocated together */
#define CDM_NOTES	512UL

/* Whose the pages are, NULL for nobody's, by page frame number */
struct cdm_notes {
	struct dmem_cgroup_pool_state *pool[CDM_NOTES];
};

struct cdm_region {
	struct dmem_cgroup_region *dmem;
	struct xarray notes;	/* struct cdm_notes by pfn / CDM_NOTES */
};

/* By node */
static DEFINE_XARRAY(cdm_regions);
DEFINE_STATIC_SRCU(cdm_regions_srcu);

/**
 * cdm_add_region() - make a node's memory a region, before there is any
 * @nid: the node
 * @size: bytes
 *
 * Context: Process context.
 * Return: 0 or -ENOMEM.
 */
noinline int cdm_add_region(int nid, u64 size)
{
	const struct dmem_cgroup_init init = { .size = size };
	struct cdm_region *region = kzalloc_obj(*region, GFP_KERNEL);
	int rc;

	if (!region)
		return -ENOMEM;
	xa_init(&region->notes);
	region->dmem = dmem_cgroup_register_region(&init, "cdm/node%d", nid);
	rc = PTR_ERR_OR_ZERO(region->dmem) ?:
	     xa_err(xa_store(&cdm_regions, nid, region, GFP_KERNEL));
	if (!rc)
		return 0;
	if (!IS_ERR(region->dmem))
		dmem_cgroup_unregister_region(region->dmem);
	kfree(region);
	return rc;
}
ALLOW_ERROR_INJECTION(cdm_add_region, ERRNO);

static void cdm_uncharge_notes(struct dmem_cgroup_pool_state **pool, unsigned long nr)
{
	for (; nr; nr--, pool++) {
		if (*pool)
			dmem_cgroup_uncharge(*pool, PAGE_SIZE);
		*pool = NULL;
	}
}

/* What nobody is charged for any more but bad pages, which never were free */
static void cdm_end_notes(unsigned long pfn, struct cdm_notes *notes)
{
	unsigned long i;

	for (i = 0; i < CDM_NOTES; i++) {
		if (!notes->pool[i])
			continue;
		WARN_ONCE(cdm_node_next_bad(pfn + i, pfn + i + 1) != pfn + i,
			  "somebody is charged for pfn %#lx, which has gone\n", pfn + i);
		cdm_uncharge_notes(&notes->pool[i], 1);
	}
	kfree(notes);
}

/**
 * cdm_remove_region() - undo cdm_add_region()
 * @nid: the node, which has no memory any more
 *
 * Context: Process context. Sleeps.
 */
void cdm_remove_region(int nid)
{
	struct cdm_region *region = xa_erase(&cdm_regions, nid);
	struct cdm_notes *notes;
	unsigned long i;

	synchronize_srcu(&cdm_regions_srcu);
	xa_for_each(&region->notes, i, notes) {
		cdm_end_notes(i * CDM_NOTES, notes);
		cond_resched();
	}
	xa_destroy(&region->notes);
	dmem_cgroup_unregister_region(region->dmem);
	kfree(region);
}

/* How many of @nr pages from @pfn on have their notes together */
static unsigned long cdm_notes_part(unsigned long pfn, unsigned long nr)
{
	return min(nr, CDM_NOTES - pfn % CDM_NOTES);
}

/* The notes of @pfn and what follows in its part; NULL where none was ever charged */
static struct dmem_cgroup_pool_state **cdm_notes_of(struct cdm_region *region, unsigned long pfn)
{
	struct cdm_notes *notes = xa_load(&region->notes, pfn / CDM_NOTES);

	return notes ? &notes->pool[pfn % CDM_NOTES] : NULL;
}

/*
 * As cdm_notes_of(), or NULL when there is no memory for them. Nothing is reclaimed for it: who
 * allocates from a device may hold what reclaim wants, and folios that are being moved are locked.
 */
static struct dmem_cgroup_pool_state **cdm_make_notes(struct cdm_region *region, unsigned long pfn)
{
	const gfp_t gfp = GFP_ATOMIC | __GFP_NOMEMALLOC | __GFP_NOWARN;
	struct dmem_cgroup_pool_state **pool = cdm_notes_of(region, pfn);
	struct cdm_notes *notes;

	if (pool)
		return pool;
	notes = kzalloc_obj(*notes, gfp);
	if (!notes)
		return NULL;
	/* Or somebody was faster */
	if (xa_insert(&region->notes, pfn / CDM_NOTES, notes, gfp))
		kfree(notes);
	return cdm_notes_of(region, pfn);
}

static void cdm_uncharge_pfns(struct cdm_region *region, unsigned long pfn, unsigned long nr)
{
	struct dmem_cgroup_pool_state **pool;
	unsigned long part;

	for (; nr; nr -= part, pfn += part) {
		part = cdm_notes_part(pfn, nr);
		pool = cdm_notes_of(region, pfn);
		if (pool)
			cdm_uncharge_notes(pool, part);
	}
}

static int cdm_try_charge(struct cdm_region *region, u64 size,
			  struct dmem_cgroup_pool_state **pool)
{
	/* A cgroup's first charge allocates what counts it: without reclaim, too */
	unsigned int flags = memalloc_noreclaim_save();
	int rc = dmem_cgroup_try_charge(region->dmem, size, pool, NULL);

	memalloc_noreclaim_restore(flags);
	return rc;
}

static bool cdm_region_has_room(struct cdm_region *region, unsigned long nr_pages)
{
	struct dmem_cgroup_pool_state *pool;
	u64 size = (u64)nr_pages << PAGE_SHIFT;

	if (cdm_try_charge(region, size, &pool))
		return false;
	dmem_cgroup_uncharge(pool, size);
	return true;
}

/* Up to the end of a part: how many could be charged */
static unsigned long cdm_charge_part(struct cdm_region *region, unsigned long pfn, unsigned long nr)
{
	struct dmem_cgroup_pool_state **pool = cdm_make_notes(region, pfn);
	unsigned long i;

	for (i = 0; pool && i < nr; i++)
		if (!pool[i] && cdm_try_charge(region, PAGE_SIZE, &pool[i]))
			break;
	return i;
}

/* Is somebody charged for @pfn, and so for all that were charged with it? */
static bool cdm_is_charged(struct cdm_region *region, unsigned long pfn)
{
	struct dmem_cgroup_pool_state **pool = cdm_notes_of(region, pfn);

	return pool && *pool;
}

/* All of them or none. What does not fit is in nobody's way while that is found out. */
static int cdm_charge_pfns(struct cdm_region *region, unsigned long pfn, unsigned long nr)
{
	unsigned long done, part, got;

	/* What a driver moves is charged before its content is copied, and asked for again then */
	if (cdm_is_charged(region, pfn))
		return 0;
	if (nr > 1 && !cdm_region_has_room(region, nr))
		return -ENOMEM;
	for (done = 0; done < nr; done += part) {
		part = cdm_notes_part(pfn + done, nr - done);
		got = cdm_charge_part(region, pfn + done, part);
		if (got == part)
			continue;
		cdm_uncharge_pfns(region, pfn, done + got);
		return -ENOMEM;
	}
	return 0;
}

/**
 * cdm_has_payer() - is the calling task to be charged for what it allocates?
 *
 * Context: Any.
 * Return: false in an interrupt, and for a task of the root cgroup.
 */
bool cdm_has_payer(void)
{
	guard(rcu)();
	return in_task() && !task_css_is_root(current, dmem_cgrp_id);
}
EXPORT_SYMBOL_GPL(cdm_has_payer);

/**
 * cdm_node_may_charge() - may the calling task's cgroup have more of a node?
 * @nid: the node
 * @nr_pages: how much more
 *
 * So that nobody has to make room for a task that then gets nothing.
 *
 * Context: Process context.
 * Return: what was so at a moment; true for a node that has no memory.
 */
bool cdm_node_may_charge(int nid, unsigned long nr_pages)
{
	struct cdm_region *region;

	guard(srcu)(&cdm_regions_srcu);
	region = xa_load(&cdm_regions, nid);
	return !region || cdm_region_has_room(region, nr_pages);
}
EXPORT_SYMBOL_GPL(cdm_node_may_charge);

/**
 * cdm_node_charge() - charge the calling task for pages of a node
 * @nid: the node
 * @pfn: the first page
 * @nr_pages: how many; all of them are the caller's
 *
 * Context: Process context. Reclaims nothing.
 * Return: 0; -ENOMEM when its cgroup, or one above, may not have as much, or there is no memory
 * to note it; -ENODEV when the node has none any more.
 */
int cdm_node_charge(int nid, unsigned long pfn, unsigned long nr_pages)
{
	struct cdm_region *region = xa_load(&cdm_regions, nid);

	return region ? cdm_charge_pfns(region, pfn, nr_pages) : -ENODEV;
}
EXPORT_SYMBOL_GPL(cdm_node_charge);

/**
 * cdm_node_uncharge() - whoever was charged for pages no longer is
 * @nid: their node
 * @pfn: the first page
 * @nr_pages: how many, about to be freed; or lost, without struct pages
 *
 * Context: Any but NMI.
 */
void cdm_node_uncharge(int nid, unsigned long pfn, unsigned long nr_pages)
{
	struct cdm_region *region = xa_load(&cdm_regions, nid);

	if (region)
		cdm_uncharge_pfns(region, pfn, nr_pages);
}
EXPORT_SYMBOL_GPL(cdm_node_uncharge);

/* It is where memcg would be uncharged that it ends */
int __cdm_charge_target(struct folio *folio)
{
	if (mem_cgroup_disabled() || !cdm_has_payer())
		return 0;
	return cdm_node_charge(folio_nid(folio), folio_pfn(folio), folio_nr_pages(folio));
}

/*
 * Would khugepaged set a cgroup free of what it is charged for? Who has memory collapsed is not in
 * there: nobody would be charged for the huge page.
 */
static bool cdm_frees_of_charge(int nid)
{
	const struct cdm_region *region;

	if (current->mm)
		return false;
	region = xa_load(&cdm_regions, nid);
	return region && !xa_empty(&region->notes);
}

/* A single page is the last that is tried: for a larger one there are smaller ones */
static void cdm_note_refusal(const struct folio *folio)
{
	if (folio_test_large(folio) || !(current->flags & PF_CDM_FAULT))
		return;
	if (current->flags & PF_CDM_REFUSED)
		current->flags &= ~PF_CDM_FAULT;
	current->flags |= PF_CDM_REFUSED;
}

/* Where a memory cgroup is charged, too */
int __cdm_charge_folio(struct folio *folio)
{
	int rc = cdm_frees_of_charge(folio_nid(folio)) ? -ENOMEM : __cdm_charge_target(folio);

	if (rc)
		cdm_note_refusal(folio);
	return rc;
}

/*
 * After an OOM a fault is tried again, for ever if nobody is killed for it. Neither a device nor
 * a limit grows. So who is refused a page gets one of RAM where the policy has RAM, too
 * (__cdm_zonelist(), __cdm_valid_policy()), and else, being refused twice, a signal.
 */
vm_fault_t __cdm_handle_fault(cdm_fault_t handle, struct vm_area_struct *vma, unsigned long addr,
			      unsigned int flags)
{
	const unsigned int outer = current->flags & (PF_CDM_FAULT | PF_CDM_REFUSED);
	vm_fault_t rc;

	current->flags = (current->flags & ~PF_CDM_REFUSED) | PF_CDM_FAULT;
	rc = handle(vma, addr, flags);
	if (unlikely(rc & VM_FAULT_OOM) && cdm_was_refused()) {
		/* With an OOM no lock was dropped */
		if (current->flags & PF_CDM_FAULT)
			rc = handle(vma, addr, flags);
		if ((rc & VM_FAULT_OOM) && !(current->flags & PF_CDM_FAULT))
			rc = (rc & ~VM_FAULT_OOM) | VM_FAULT_SIGBUS;
	}
	current->flags = (current->flags & ~(PF_CDM_FAULT | PF_CDM_REFUSED)) | outer;
	return rc;
}

void __cdm_uncharge_folio(struct folio *folio)
{
	cdm_node_uncharge(folio_nid(folio), folio_pfn(folio), folio_nr_pages(folio));
}

void __cdm_uncharge_folios(struct folio_batch *folios)
{
	unsigned int i;

	for (i = 0; i < folios->nr; i++)
		cdm_uncharge_folio(folios->folios[i]);
}

/* Before a copy within a device: the notes of @to are there when its charge is moved */
void cdm_prepare_move(struct folio *to)
{
	struct cdm_region *region = xa_load(&cdm_regions, folio_nid(to));
	unsigned long pfn = folio_pfn(to), nr = folio_nr_pages(to), part;

	if (xa_empty(&region->notes))
		return;
	for (; nr; nr -= part, pfn += part) {
		part = cdm_notes_part(pfn, nr);
		cdm_make_notes(region, pfn);
	}
}

/* Without memory for a note, nobody is charged any more */
static void cdm_move_note(struct cdm_region *region, unsigned long from, unsigned long to)
{
	struct dmem_cgroup_pool_state **old = cdm_notes_of(region, from);
	struct dmem_cgroup_pool_state **new = cdm_notes_of(region, to);

	if (old && *old && new && !*new)
		swap(*old, *new);
}

void __cdm_move_charge(struct folio *from, struct folio *to)
{
	struct cdm_region *region = xa_load(&cdm_regions, folio_nid(to));
	unsigned long i;

	if (xa_empty(&region->notes))
		return;
	for (i = 0; i < folio_nr_pages(to); i++)
		cdm_move_note(region, folio_pfn(from) + i, folio_pfn(to) + i);
}
