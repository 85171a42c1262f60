// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory on an unmodified kernel: memory blocks come, go online and offline,
 * and leave.
 *
 * What onlines a block is not exported to modules; its file in sysfs is there for everybody.
 * It is written to by way of a mount of our own, so that it does not matter what an
 * administrator, or a container, has mounted where.
 */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/bitmap.h>
#include <linux/cdm.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/path.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "mm_stock.h"

static struct vfsmount *sysfs_mnt;

int __init stock_blocks_init(void)
{
	struct file_system_type *sysfs = get_fs_type("sysfs");
	struct vfsmount *mnt;

	if (!sysfs)
		return -ENODEV;
	mnt = kern_mount(sysfs);
	/* It has no module that would be held */
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	sysfs_mnt = mnt;
	return 0;
}

void stock_blocks_exit(void)
{
	kern_unmount(sysfs_mnt);
}

/* The file says so, with a signal that is none, when somebody holds the lock of all blocks */
static bool should_write_again(ssize_t rc)
{
	if (rc != -ERESTARTNOINTR)
		return false;
	recalc_sigpending();
	return !signal_pending(current);
}

/* @block is the block's number */
static int write_state(unsigned long block, const char *state)
{
	struct path root = { .mnt = sysfs_mnt, .dentry = sysfs_mnt->mnt_root };
	char name[48];
	struct file *file;
	ssize_t rc;
	loff_t pos;

	snprintf(name, sizeof(name), "devices/system/memory/memory%lu/state", block);
	file = file_open_root(&root, name, O_WRONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	do {
		pos = 0;
		rc = kernel_write(file, state, strlen(state), &pos);
	} while (should_write_again(rc));
	fput(file);
	if (rc == -ERESTARTNOINTR)
		return -EINTR;
	return min_t(ssize_t, rc, 0);
}

static bool is_online(unsigned long block)
{
	return pfn_to_online_page(block * PHYS_PFN(memory_block_size_bytes()));
}

static int set_block(unsigned long block, bool online)
{
	return write_state(block, online ? "online_movable" : "offline");
}

static unsigned long first_block(const struct cdm_range *range)
{
	return range->start / memory_block_size_bytes();
}

static unsigned long nr_blocks(const struct cdm_range *range)
{
	return range->size / memory_block_size_bytes();
}

/* Put back what is marked in @changed; whatever fails here, a log line says so */
static void undo(const struct cdm_range *ranges, unsigned int nr, const unsigned long *changed,
		 bool online)
{
	unsigned long i, n = 0;
	int rc;

	for (; nr--; ranges++) {
		for (i = 0; i < nr_blocks(ranges); i++, n++) {
			if (!test_bit(n, changed))
				continue;
			rc = set_block(first_block(ranges) + i, online);
			if (rc)
				pr_err("block %lu cannot be brought back (%pe)\n",
				       first_block(ranges) + i, ERR_PTR(rc));
		}
	}
}

/* All blocks, or none: @changed gets a bit for each that was not there already */
static int change(const struct cdm_range *ranges, unsigned int nr, unsigned long *changed,
		  bool online)
{
	unsigned long i, n = 0;
	unsigned int r;
	int rc;

	for (r = 0; r < nr; r++) {
		for (i = 0; i < nr_blocks(&ranges[r]); i++, n++) {
			if (is_online(first_block(&ranges[r]) + i) == online)
				continue;
			rc = signal_pending(current) ? -EINTR :
				set_block(first_block(&ranges[r]) + i, online);
			if (rc) {
				/* What ended it must not end the way back */
				flush_signals(current);
				undo(ranges, nr, changed, !online);
				return rc;
			}
			__set_bit(n, changed);
		}
	}
	return 0;
}

static int change_all(const struct cdm_range *ranges, unsigned int nr, bool online)
{
	unsigned long *changed = bitmap_zalloc(cdm_ranges_size(ranges, nr) /
					       memory_block_size_bytes(), GFP_KERNEL);
	int rc;

	if (!changed)
		return -ENOMEM;
	rc = change(ranges, nr, changed, online);
	bitmap_free(changed);
	return rc;
}

bool cdm_node_range_addressable(u64 start, u64 size)
{
	return start + size > start && start + size - 1 < 1ULL << MAX_PHYSMEM_BITS;
}

static void remove_ranges(const struct cdm_range *ranges, unsigned int nr)
{
	for (; nr--; ranges++)
		if (remove_memory(ranges->start, ranges->size))
			pr_err("memory at %#llx cannot be removed\n", ranges->start);
}

int cdm_node_add_memory(int nid, const struct cdm_range *ranges, unsigned int nr,
			const char *name)
{
	int mgid = memory_group_register_static(nid, PHYS_PFN(cdm_ranges_size(ranges, nr)));
	unsigned int i;
	int rc;

	if (mgid < 0)
		return mgid;
	stock_set_ranges(nid, ranges, nr);
	for (i = 0; i < nr; i++) {
		rc = add_memory_driver_managed(mgid, ranges[i].start, ranges[i].size, name,
					       MHP_NID_IS_MGID);
		if (rc)
			break;
	}
	if (i == nr)
		return mgid;
	stock_set_leaving(nid, true);
	if (!change_all(ranges, i, false))
		remove_ranges(ranges, i);
	stock_set_leaving(nid, false);
	stock_set_ranges(nid, NULL, 0);
	memory_group_unregister(mgid);
	return rc;
}

int cdm_node_online_memory(const struct cdm_range *ranges, unsigned int nr)
{
	int nid = stock_nid_of(ranges);
	int rc = change_all(ranges, nr, true);

	if (rc)
		return rc;
	if (stock_node_is_isolated(nid)) {
		rc = stock_retire_known(ranges, nr);
		if (!rc)
			return 0;
	} else {
		/* A kernel that is made otherwise than those that we know */
		pr_err("node %d is in another node's zonelist: taken offline again\n", nid);
		rc = -EOPNOTSUPP;
	}
	change_all(ranges, nr, false);
	return rc;
}

int cdm_node_offline_memory(const struct cdm_range *ranges, unsigned int nr)
{
	return change_all(ranges, nr, false);
}

/* Nobody can online a block after the first step: then the second one has little to do */
int cdm_node_remove_memory(int mgid, const struct cdm_range *ranges, unsigned int nr)
{
	int nid = stock_nid_of(ranges);
	unsigned int i;
	int rc;

	stock_set_leaving(nid, true);
	rc = change_all(ranges, nr, false);
	if (rc) {
		stock_set_leaving(nid, false);
		return rc;
	}
	for (i = 0; !rc && i < nr; i++)
		rc = remove_memory(ranges[i].start, ranges[i].size);
	stock_set_leaving(nid, false);
	if (rc)
		return rc;
	stock_set_ranges(nid, NULL, 0);
	return memory_group_unregister(mgid);
}

/* offline_pages() looks for it; who sleeps finds it a little later */
void cdm_node_interrupt(struct task_struct *task)
{
	set_tsk_thread_flag(task, TIF_NOTIFY_SIGNAL);
}
