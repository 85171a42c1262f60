// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory on an unmodified kernel: memory blocks come, go online and offline,
 * and leave.
 *
 * What onlines a block is not exported to modules; its file in sysfs is there for everybody.
 * It is written to by way of a mount of our own, so that it does not matter what an
 * administrator, or a container, has mounted where.
 */

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
#include <linux/workqueue.h>

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

/* @name is a file of memory hotplug's, in sysfs */
static int write_file(const char *name, const char *value)
{
	struct path root = { .mnt = sysfs_mnt, .dentry = sysfs_mnt->mnt_root };
	struct file *file = file_open_root(&root, name, O_WRONLY, 0);
	ssize_t rc;
	loff_t pos;

	if (IS_ERR(file))
		return PTR_ERR(file);
	do {
		pos = 0;
		rc = kernel_write(file, value, strlen(value), &pos);
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
	char name[48];

	snprintf(name, sizeof(name), "devices/system/memory/memory%lu/state", block);
	return write_file(name, online ? "online_movable" : "offline");
}

struct failing_page {
	struct work_struct work;
	unsigned long pfn;
	int rc;
};

static void fail_page_work(struct work_struct *work)
{
	struct failing_page *failing = container_of(work, struct failing_page, work);
	char addr[24];

	snprintf(addr, sizeof(addr), "%#llx", PFN_PHYS(failing->pfn));
	failing->rc = write_file("devices/system/memory/hard_offline_page", addr);
}

/*
 * Have memory_failure() treat a page; not every kernel exports it. In a thread of the kernel's:
 * the file asks for capabilities that who reports an error need not have. What it returns is
 * about the page's users; what matters here is whether the page is marked.
 */
int stock_fail_page(unsigned long pfn)
{
	struct failing_page failing = { .pfn = pfn };

	INIT_WORK_ONSTACK(&failing.work, fail_page_work);
	queue_work(system_unbound_wq, &failing.work);
	flush_work(&failing.work);
	destroy_work_on_stack(&failing.work);
	return PageHWPoison(pfn_to_page(pfn)) ? 0 : failing.rc ?: -EBUSY;
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

/* Take back what was added */
static int unplug(const struct cdm_range *ranges, unsigned int nr)
{
	int rc = change_all(ranges, nr, false);

	for (; !rc && nr--; ranges++)
		rc = remove_memory(ranges->start, ranges->size);
	return rc;
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
	if (i && unplug(ranges, i)) {
		pr_err("node %d: %u ranges could not be taken back (after %pe)\n", nid, i,
		       ERR_PTR(rc));
		return -ENOTRECOVERABLE;
	}
	stock_set_leaving(nid, false);
	stock_set_ranges(nid, NULL, 0);
	memory_group_unregister(mgid);
	return rc;
}

/* Does nobody but drivers and our files have a page, nor can anybody get one? */
static int check_isolation(int nid, const struct cdm_range *ranges, unsigned int nr, bool fresh)
{
	unsigned long strangers;

	if (!stock_node_is_isolated(nid)) {
		pr_err("node %d is in another node's zonelist: taken offline again\n", nid);
		return -EOPNOTSUPP;
	}
	strangers = stock_strangers(ranges, nr, fresh);
	if (strangers) {
		pr_warn("node %d has %lu pages of others\n", nid, strangers);
		return -EBUSY;
	}
	return 0;
}

/*
 * Who found the node in a list that was about to be filtered may have a page of the first block
 * (see mm_stock.c). With the other blocks online the list stays as it is when this one goes and
 * comes again, and what slipped in is in RAM.
 */
static int clear_first_block(const struct cdm_range *ranges)
{
	unsigned long block = first_block(ranges);

	return set_block(block, false) ?: set_block(block, true);
}

int cdm_node_online_memory(const struct cdm_range *ranges, unsigned int nr)
{
	int nid = stock_nid_of(ranges);
	bool fresh = !READ_ONCE(stock_node(nid)->online_pages);
	int rc = change_all(ranges, nr, true);

	if (rc)
		return rc;
	rc = check_isolation(nid, ranges, nr, fresh);
	if (rc == -EBUSY && fresh)
		rc = clear_first_block(ranges) ?: check_isolation(nid, ranges, nr, fresh);
	if (!rc)
		rc = stock_retire_known(ranges, nr);
	if (!rc)
		return 0;
	/* What ended it must not end the way back */
	flush_signals(current);
	if (change_all(ranges, nr, false))
		pr_err("node %d cannot be taken offline again (after %pe)\n", nid, ERR_PTR(rc));
	return rc;
}

int cdm_node_offline_memory(const struct cdm_range *ranges, unsigned int nr)
{
	return change_all(ranges, nr, false);
}

/* What can go, goes; a signal ends the attempt at one block */
int cdm_node_abandon_memory(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long block, end;
	int rc = 0, first_error = 0;

	for (; nr--; ranges++) {
		end = first_block(ranges) + nr_blocks(ranges);
		for (block = first_block(ranges); block < end; block++) {
			if (is_online(block))
				rc = set_block(block, false);
			first_error = first_error ?: rc;
			flush_signals(current);
		}
	}
	return first_error;
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
	mutex_lock(&stock_pages_lock);
	for (i = 0; !rc && i < nr; i++)
		rc = remove_memory(ranges[i].start, ranges[i].size);
	mutex_unlock(&stock_pages_lock);
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
