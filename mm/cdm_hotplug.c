// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: what the driver core needs of memory hotplug and cannot reach
 * as a module. All calls are about whole ranges, and undo what they did when they fail.
 */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/bitmap.h>
#include <linux/cdm_node.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

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

/* One pass over the blocks of a device: which way, and which blocks it has changed */
struct cdm_transition {
	unsigned long *changed;
	unsigned long block;
	bool online;
};

static noinline int cdm_block_set(struct memory_block *mem, bool online)
{
	if (!online)
		return device_offline(&mem->dev);
	mem->online_type = MMOP_ONLINE_MOVABLE;
	return device_online(&mem->dev);
}
ALLOW_ERROR_INJECTION(cdm_block_set, ERRNO);

/* Both device calls return 1 for a block that is already there */
static int cdm_change_block(struct memory_block *mem, void *arg)
{
	struct cdm_transition *t = arg;
	int rc;

	if (signal_pending(current))
		return -EINTR;
	rc = cdm_block_set(mem, t->online);
	if (!rc)
		__set_bit(t->block, t->changed);
	cond_resched();
	return rc < 0 ? rc : 0;
}

static int cdm_undo_block(struct memory_block *mem, void *arg)
{
	struct cdm_transition *t = arg;

	if (test_bit(t->block, t->changed) && cdm_block_set(mem, !t->online) < 0)
		pr_err("block memory%u could not be taken back\n", mem->dev.id);
	return 0;
}

/*
 * Which block is the @i-th of @nr to come online: the second one is the last, and it is the
 * first one to go offline. With that hole near its beginning the zone is seen not to be
 * contiguous before all of it was looked at, which happens after each block.
 */
static unsigned long cdm_block_in_turn(unsigned long i, unsigned long nr, bool online)
{
	if (!online)
		i = nr - 1 - i;
	if (!i)
		return 0;
	return i == nr - 1 ? 1 : i + 1;
}

static u64 cdm_block_start(const struct cdm_range *ranges, unsigned long block)
{
	u64 offset = (u64)block * memory_block_size_bytes();

	for (; offset >= ranges->size; ranges++)
		offset -= ranges->size;
	return ranges->start + offset;
}

/* @func of all blocks in the order in which they come @online, or go */
static int cdm_walk_blocks(const struct cdm_range *ranges, unsigned int nr,
			   struct cdm_transition *t, bool online, walk_memory_blocks_func_t func)
{
	unsigned long size = memory_block_size_bytes();
	unsigned long nr_blocks = cdm_ranges_size(ranges, nr) / size, i;
	int rc = 0;

	for (i = 0; !rc && i < nr_blocks; i++) {
		t->block = cdm_block_in_turn(i, nr_blocks, online);
		rc = walk_memory_blocks(cdm_block_start(ranges, t->block), size, t, func);
	}
	return rc;
}

/* All blocks of @ranges or none. Under device_hotplug_lock, in a kernel thread. */
static int cdm_change_blocks(const struct cdm_range *ranges, unsigned int nr, bool online)
{
	struct cdm_transition t = { .online = online };
	int rc;

	t.changed = bitmap_zalloc(cdm_ranges_size(ranges, nr) / memory_block_size_bytes(),
				  GFP_KERNEL);
	if (!t.changed)
		return -ENOMEM;

	rc = cdm_walk_blocks(ranges, nr, &t, online, cdm_change_block);
	if (rc) {
		/* A signal has ended it; the way back is to be gone to its end */
		if (current->flags & PF_KTHREAD)
			disallow_signal(SIGKILL);
		cdm_walk_blocks(ranges, nr, &t, !online, cdm_undo_block);
	}
	bitmap_free(t.changed);
	return rc;
}

static int cdm_change_memory(const struct cdm_range *ranges, unsigned int nr, bool online)
{
	int rc;

	lock_device_hotplug();
	rc = cdm_change_blocks(ranges, nr, online);
	unlock_device_hotplug();
	return rc;
}

/**
 * cdm_node_online_memory() - online a device's memory to ZONE_MOVABLE, all of it or nothing
 * @ranges: memory that cdm_node_add_memory() added
 * @nr: how many ranges
 *
 * Blocks that are online already stay so, also when another block fails. So that what was
 * done can be undone, nobody should be able to allocate from the node meanwhile.
 *
 * Context: A kernel thread. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0; -ENOMEM; -EINTR after a SIGKILL that the thread allows; or what onlining a
 * block returns (-EPERM: refused by a notifier).
 */
int cdm_node_online_memory(const struct cdm_range *ranges, unsigned int nr)
{
	return cdm_change_memory(ranges, nr, true);
}
EXPORT_SYMBOL_GPL(cdm_node_online_memory);
ALLOW_ERROR_INJECTION(cdm_node_online_memory, ERRNO);

/**
 * cdm_node_offline_memory() - move a device's pages away and offline it, or nothing
 * @ranges: memory that cdm_node_add_memory() added
 * @nr: how many ranges
 *
 * Does not return while a page stays that cannot move, except on a signal: the thread
 * that calls it allows SIGKILL, and somebody who knows the deadline sends it.
 *
 * Context: A kernel thread. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0, -ENOMEM, -EINTR after a SIGKILL, -EBUSY for a page that cannot move.
 */
int cdm_node_offline_memory(const struct cdm_range *ranges, unsigned int nr)
{
	return cdm_change_memory(ranges, nr, false);
}
EXPORT_SYMBOL_GPL(cdm_node_offline_memory);
ALLOW_ERROR_INJECTION(cdm_node_offline_memory, ERRNO);

/* A signal ends the attempt at one block, and is not to end the next one's */
static int cdm_abandon_block(struct memory_block *mem, void *arg)
{
	int *first_error = arg, rc = cdm_block_set(mem, false);

	if (rc < 0 && !*first_error)
		*first_error = rc;
	flush_signals(current);
	cond_resched();
	return 0;
}

/**
 * cdm_node_abandon_memory() - offline what can be of a device's memory
 * @ranges: memory that cdm_node_add_memory() added
 * @nr: how many ranges
 *
 * A block that cannot go stays online, and the others go all the same. As
 * cdm_node_offline_memory() it needs somebody who sends signals: one for each such block.
 *
 * Context: A kernel thread. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0, or why the first of those that stay could not go.
 */
int cdm_node_abandon_memory(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned int i;
	int rc = 0;

	lock_device_hotplug();
	for (i = 0; i < nr; i++)
		walk_memory_blocks(ranges[i].start, ranges[i].size, &rc, cdm_abandon_block);
	unlock_device_hotplug();
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_node_abandon_memory);

/**
 * cdm_node_interrupt() - have a task give up offlining a block
 * @task: a task that is in a MEM_GOING_OFFLINE notifier, or behind it, and stays meanwhile
 *
 * As a signal would, but nobody is killed.
 *
 * Context: Any.
 */
void cdm_node_interrupt(struct task_struct *task)
{
	set_notify_signal(task);
}
EXPORT_SYMBOL_GPL(cdm_node_interrupt);

static bool cdm_ranges_have_bad(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long end;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		end = PHYS_PFN(ranges[i].start + ranges[i].size);
		if (cdm_node_next_bad(PHYS_PFN(ranges[i].start), end) < end)
			return true;
	}
	return false;
}

/* Offline what is online of @ranges, and unplug all of it; or nothing */
static noinline int cdm_unplug(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned int i;
	int rc;

	lock_device_hotplug();
	rc = cdm_change_blocks(ranges, nr, false);
	/* All processes are looked at: not for each device that leaves */
	if (!rc && cdm_ranges_have_bad(ranges, nr))
		cdm_forget_hwpoison_entries(ranges, nr);
	/* Nobody can online a block between the two steps: the second one cannot fail */
	mutex_lock(&cdm_retire_lock);
	for (i = 0; !rc && i < nr; i++)
		__remove_memory(ranges[i].start, ranges[i].size);
	mutex_unlock(&cdm_retire_lock);
	unlock_device_hotplug();
	return rc;
}
ALLOW_ERROR_INJECTION(cdm_unplug, ERRNO);

/**
 * cdm_node_remove_memory() - offline a device's memory where it is online, and unplug it
 * @mgid: what cdm_node_add_memory() returned
 * @ranges: that memory
 * @nr: how many ranges
 *
 * As cdm_node_offline_memory().
 *
 * Context: A kernel thread. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: 0, or an error as of cdm_node_offline_memory() with every block in the state
 * that it was in.
 */
int cdm_node_remove_memory(int mgid, const struct cdm_range *ranges, unsigned int nr)
{
	int nid = memory_group_find_by_id(mgid)->nid;
	int rc = cdm_unplug(ranges, nr);

	if (rc)
		return rc;
	cdm_remove_region(nid);
	return memory_group_unregister(mgid);
}
EXPORT_SYMBOL_GPL(cdm_node_remove_memory);
ALLOW_ERROR_INJECTION(cdm_node_remove_memory, ERRNO);

/* Add the ranges one after the other; returns how many, and in @rc why no more */
static unsigned int cdm_add_ranges(int nid, int mgid, const struct cdm_range *ranges,
				   unsigned int nr, const char *name, int *rc)
{
	unsigned int i;

	guard(mutex)(&cdm_add_lock);

	*rc = 0;
	WRITE_ONCE(cdm_adder, current);
	WRITE_ONCE(cdm_adding_nid, nid);
	for (i = 0; i < nr; i++) {
		*rc = add_memory_driver_managed(mgid, ranges[i].start, ranges[i].size, name,
						MHP_NID_IS_MGID);
		if (*rc)
			break;
	}
	WRITE_ONCE(cdm_adding_nid, NUMA_NO_NODE);
	WRITE_ONCE(cdm_adder, NULL);
	return i;
}

/**
 * cdm_node_add_memory() - hot-plug a device's memory, and leave all of it offline
 * @nid: a tagged node that nobody can bind to yet
 * @ranges: each aligned to the memory block, none overlapping
 * @nr: how many ranges, not 0
 * @name: what /proc/iomem shows, of the form "System RAM (...)"; not copied
 *
 * The memmap comes from system RAM. The auto_online_blocks setting does not apply:
 * whether and when the blocks go online is the driver core's business.
 *
 * Context: A kernel thread. Takes device_hotplug_lock and mem_hotplug_lock.
 * Return: the id of the memory group, 0 or more; -EEXIST when a range overlaps other
 * memory or a busy resource, -EINVAL, -ENOMEM or what else memory hotplug returns; then
 * nothing has been added. -ENOTRECOVERABLE when some of it was, and could not be taken back:
 * @name has to stay.
 */
int cdm_node_add_memory(int nid, const struct cdm_range *ranges, unsigned int nr,
			const char *name)
{
	u64 size = cdm_ranges_size(ranges, nr);
	unsigned int added;
	int mgid, rc;

	rc = cdm_add_region(nid, size);
	if (rc)
		return rc;
	mgid = memory_group_register_static(nid, PFN_UP(size));
	if (mgid < 0) {
		cdm_remove_region(nid);
		return mgid;
	}

	added = cdm_add_ranges(nid, mgid, ranges, nr, name, &rc);
	if (!rc)
		return mgid;
	if (cdm_unplug(ranges, added)) {
		pr_err("node %d: %u ranges could not be taken back (after %pe)\n", nid, added,
		       ERR_PTR(rc));
		return -ENOTRECOVERABLE;
	}
	memory_group_unregister(mgid);
	cdm_remove_region(nid);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_node_add_memory);
ALLOW_ERROR_INJECTION(cdm_node_add_memory, ERRNO);
