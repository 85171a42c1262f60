// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: what the driver core needs of memory hotplug and cannot reach
 * as a module. All calls are about whole ranges, and undo what they did when they fail.
 */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/bitmap.h>
#include <linux/cdm_node.h>
#include <linux/device.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/sched.h>

#include "cdm.h"
#include "internal.h"

/* The task that is in cdm_node_add_memory(), and the node it adds to */
static struct task_struct *cdm_adder;
static int cdm_adding_nid = NUMA_NO_NODE;

/* Held while the two above are set */
static DEFINE_MUTEX(cdm_add_lock);

/* May the calling task add memory to @nid? Called by add_memory_resource(). */
bool cdm_may_add_memory(int nid)
{
	if (!node_is_cdm(nid) || READ_ONCE(cdm_adder) == current)
		return true;
	pr_warn_ratelimited("node %d belongs to a coherent device: memory of %s[%d] refused\n",
			    nid, current->comm, task_pid_nr(current));
	return false;
}

bool cdm_is_adding(int nid)
{
	return READ_ONCE(cdm_adding_nid) == nid;
}

/**
 * cdm_node_range_addressable() - can the CPU's direct map cover a range?
 * @start: first byte
 * @size: bytes, not 0
 *
 * Context: Any.
 * Return: false for a range that ends beyond what the architecture can hot-plug.
 */
bool cdm_node_range_addressable(u64 start, u64 size)
{
	return start + size > start && mhp_range_allowed(start, size, true);
}
EXPORT_SYMBOL_GPL(cdm_node_range_addressable);

/**
 * cdm_node_add_memory() - hot-plug a device's memory, and leave all of it offline
 * @nid: a tagged node
 * @start: first byte, aligned to the memory block
 * @size: bytes, a multiple of the memory block
 * @name: what /proc/iomem shows, of the form "System RAM (...)"; not copied
 *
 * The memmap comes from system RAM. The auto_online_blocks setting does not apply:
 * whether and when the blocks go online is the driver core's business.
 *
 * Context: Process context. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: the id of the memory group, 0 or more; -EEXIST when the range overlaps other
 * memory or a busy resource, -EINVAL, -ENOMEM or what else memory hotplug returns; then
 * nothing has been added.
 */
int cdm_node_add_memory(int nid, u64 start, u64 size, const char *name)
{
	int mgid, rc;

	mgid = memory_group_register_static(nid, PFN_UP(size));
	if (mgid < 0)
		return mgid;

	mutex_lock(&cdm_add_lock);
	WRITE_ONCE(cdm_adder, current);
	WRITE_ONCE(cdm_adding_nid, nid);
	rc = add_memory_driver_managed(mgid, start, size, name, MHP_NID_IS_MGID);
	WRITE_ONCE(cdm_adding_nid, NUMA_NO_NODE);
	WRITE_ONCE(cdm_adder, NULL);
	mutex_unlock(&cdm_add_lock);

	if (rc) {
		memory_group_unregister(mgid);
		return rc;
	}
	return mgid;
}
EXPORT_SYMBOL_GPL(cdm_node_add_memory);

/* One pass over the blocks of a range: which way, and which blocks it has changed */
struct cdm_transition {
	unsigned long first_block;
	unsigned long *changed;
	bool online;
};

static int cdm_block_set(struct memory_block *mem, bool online)
{
	if (!online)
		return device_offline(&mem->dev);
	mem->online_type = MMOP_ONLINE_MOVABLE;
	return device_online(&mem->dev);
}

/* Both device calls return 1 for a block that is already there */
static int cdm_change_block(struct memory_block *mem, void *arg)
{
	struct cdm_transition *t = arg;
	int rc = cdm_block_set(mem, t->online);

	if (!rc)
		__set_bit(mem->dev.id - t->first_block, t->changed);
	cond_resched();
	return rc < 0 ? rc : 0;
}

static int cdm_undo_block(struct memory_block *mem, void *arg)
{
	struct cdm_transition *t = arg;

	if (test_bit(mem->dev.id - t->first_block, t->changed) &&
	    cdm_block_set(mem, !t->online) < 0)
		pr_err("block memory%u could not be taken back\n", mem->dev.id);
	return 0;
}

static int cdm_change_blocks(u64 start, u64 size, bool online)
{
	struct cdm_transition t = {
		.first_block = start / memory_block_size_bytes(),
		.online = online,
	};
	int rc;

	t.changed = bitmap_zalloc(size / memory_block_size_bytes(), GFP_KERNEL);
	if (!t.changed)
		return -ENOMEM;

	lock_device_hotplug();
	rc = walk_memory_blocks(start, size, &t, cdm_change_block);
	if (rc)
		walk_memory_blocks(start, size, &t, cdm_undo_block);
	unlock_device_hotplug();

	bitmap_free(t.changed);
	return rc;
}

/**
 * cdm_node_online_memory() - online a range to ZONE_MOVABLE, all of it or nothing
 * @start: first byte of memory that cdm_node_add_memory() added
 * @size: bytes
 *
 * Blocks that are online already stay so, also when another block fails.
 *
 * Context: Process context. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0, -ENOMEM, or what onlining a block returns (-EPERM: refused by a notifier).
 */
int cdm_node_online_memory(u64 start, u64 size)
{
	return cdm_change_blocks(start, size, true);
}
EXPORT_SYMBOL_GPL(cdm_node_online_memory);

/**
 * cdm_node_offline_memory() - move a range's pages away and offline it, or nothing
 * @start: first byte of memory that cdm_node_add_memory() added
 * @size: bytes
 *
 * Does not return while a page stays that cannot move, except on a signal to the
 * calling task: the caller runs it in a thread of its own, with a deadline.
 *
 * Context: Process context. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0, -ENOMEM, -EINTR after a signal, -EBUSY for a page that cannot move.
 */
int cdm_node_offline_memory(u64 start, u64 size)
{
	return cdm_change_blocks(start, size, false);
}
EXPORT_SYMBOL_GPL(cdm_node_offline_memory);

/**
 * cdm_node_remove_memory() - offline a range where it is online, and unplug it
 * @mgid: what cdm_node_add_memory() returned
 * @start: first byte of that memory
 * @size: its size in bytes
 *
 * As cdm_node_offline_memory(); no other tool can online a block between the two steps.
 *
 * Context: Process context. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0, or an error with every block in the state that it was in.
 */
int cdm_node_remove_memory(int mgid, u64 start, u64 size)
{
	int rc = offline_and_remove_memory(start, size);

	return rc ?: memory_group_unregister(mgid);
}
EXPORT_SYMBOL_GPL(cdm_node_remove_memory);

/* Is this a page that only a driver can give back: nobody's memory, nor anybody's file? */
static bool cdm_page_is_held(struct page *page)
{
	struct folio *folio = page_folio(page);

	return page_count(page) && !PageBuddy(page) && !PageTail(page) &&
	       !PageHWPoison(page) && !folio_test_lru(folio) && !folio_mapped(folio) &&
	       !folio->mapping;
}

/**
 * cdm_node_poison_pages() - treat what was not given back as bad memory
 * @start_pfn: first page of a range whose blocks are isolated
 * @nr_pages: pages
 *
 * A page that is marked so no longer keeps its block from going offline. The last resort
 * of a driver's remove() that has waited for its users in vain.
 *
 * Context: Process context, in a MEM_GOING_OFFLINE notifier.
 * Return: the number of pages that were marked.
 */
unsigned long cdm_node_poison_pages(unsigned long start_pfn, unsigned long nr_pages)
{
	unsigned long pfn, i, nr, marked = 0;

	for (pfn = start_pfn; pfn < start_pfn + nr_pages; pfn += nr) {
		struct page *page = pfn_to_page(pfn);

		nr = 1;
		if (!cdm_page_is_held(page))
			continue;
		nr = compound_nr(page);
		for (i = 0; i < nr; i++) {
			SetPageHWPoison(page + i);
			num_poisoned_pages_inc(pfn + i);
		}
		marked += nr;
	}
	return marked;
}
EXPORT_SYMBOL_GPL(cdm_node_poison_pages);
