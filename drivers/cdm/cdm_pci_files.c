// SPDX-License-Identifier: GPL-2.0
/* The files in a card's folder, which cdm_pci_main.c lists: what its users do. */
#include <linux/cdm.h>
#include <linux/cdm_compat.h>
#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "cdm_pci.h"

static ssize_t buffers_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct card *card = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(card->nr_buffers));
}

/* 0, or why one less is not to be had */
static int drop_buffer(struct card *card)
{
	struct buffer *buffer = cdm_pci_take_buffer(card, 0, false);

	if (!buffer)
		return -EBUSY;
	cdm_pci_free_buffer(card, buffer);
	return 0;
}

/* A drain may have been faster */
static int drop_channel(struct card *card)
{
	struct channel *channel = cdm_pci_take_channel(card);

	if (channel)
		cdm_pci_free_channel(card, channel);
	return 0;
}

/* Until @nr_now is the number in @buf, or an error */
static int resize(struct card *card, const char *buf, const unsigned int *nr_now,
		  int (*add)(struct card *card), int (*drop)(struct card *card))
{
	unsigned int nr;
	int rc = kstrtouint(buf, 0, &nr);

	guard(mutex)(&card->resize_lock);
	while (!rc && READ_ONCE(*nr_now) < nr)
		rc = add(card);
	while (!rc && READ_ONCE(*nr_now) > nr)
		rc = drop(card);
	return rc;
}

static ssize_t buffers_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct card *card = dev_get_drvdata(dev);

	return resize(card, buf, &card->nr_buffers, cdm_pci_add_buffer, drop_buffer) ?: count;
}
static DEVICE_ATTR_RW(buffers);

/* It is on the device afterwards, for which others may have to go */
static ssize_t use_store(struct device *dev, struct device_attribute *attr, const char *buf,
			 size_t count)
{
	struct card *card = dev_get_drvdata(dev);
	struct buffer *buffer;
	struct page *page;
	unsigned int index;
	int rc = kstrtouint(buf, 0, &index);

	if (rc)
		return rc;
	buffer = cdm_pci_take_buffer(card, index, false);
	if (!buffer)
		return -ENXIO;
	if (cdm_page_is_spilled(card->cdm[0], buffer->page)) {
		page = cdm_bring_back(card->cdm[0], buffer->page, BUFFER_ORDER, 0);
		if (IS_ERR(page))
			rc = PTR_ERR(page);
		else
			buffer->page = page;
	}
	cdm_pci_put_buffer(card, buffer, !rc);
	return rc ?: count;
}
static DEVICE_ATTR_WO(use);

static ssize_t channels_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct card *card = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(card->nr_channels));
}

static ssize_t channels_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	struct card *card = dev_get_drvdata(dev);

	return resize(card, buf, &card->nr_channels, cdm_pci_add_channel, drop_channel) ?: count;
}
static DEVICE_ATTR_RW(channels);

static struct mm_struct *mm_of(pid_t nr)
{
	struct pid *pid = find_get_pid(nr);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);
	struct mm_struct *mm = task ? get_task_mm(task) : NULL;

	if (task)
		put_task_struct(task);
	put_pid(pid);
	return mm;
}

static bool count_mapping(struct mm_struct *mm, unsigned long addr, void *arg)
{
	++*(int *)arg;
	return true;
}

/* Pages at a time: an array of what became of each is kept meanwhile */
#define FETCH_MAX (SZ_1G >> PAGE_SHIFT)

/* What a card does that faults on a process's memory: from here on it is near */
static long fetch(struct card *card, struct mm_struct *mm, unsigned long addr, unsigned long nr)
{
	int *status __free(kvfree) = kvmalloc_array(nr, sizeof(*status), GFP_KERNEL);
	int nid, mappings = 0;
	long moved;
	u64 phys;

	if (!status)
		return -ENOMEM;
	moved = cdm_migrate_range(card->cdm[0], mm, addr, nr, status);
	if (moved < 0)
		return moved;
	/* Other processes may share it, whose page tables name it, too */
	nid = cdm_locate(mm, addr, &phys);
	if (nid == cdm_device_nid(card->cdm[0]))
		cdm_walk_mappings(phys, count_mapping, &mappings);

	guard(mutex)(&card->lock);
	card->fetched = moved;
	card->fetched_nid = nid;
	card->mappings = mappings;
	return 0;
}

static ssize_t fetch_store(struct device *dev, struct device_attribute *attr, const char *buf,
			   size_t count)
{
	unsigned long addr, nr;
	struct mm_struct *mm;
	int pid;
	long rc;

	if (sscanf(buf, "%d %lx %lu", &pid, &addr, &nr) != 3 || nr > FETCH_MAX)
		return -EINVAL;
	mm = mm_of(pid);
	if (!mm)
		return -ESRCH;
	rc = fetch(dev_get_drvdata(dev), mm, addr, nr);
	mmput(mm);
	return rc ?: count;
}

static ssize_t fetch_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct card *card = dev_get_drvdata(dev);

	guard(mutex)(&card->lock);
	return sysfs_emit(buf, "%ld pages, node %d, %d mappings\n", card->fetched,
			  card->fetched_nid, card->mappings);
}
static DEVICE_ATTR_RW(fetch);

/* Is it one of the card's partitions? */
static bool is_partition(const struct card *card, const struct cdm_device *cdm)
{
	unsigned int i;

	for (i = 0; i < card->nr; i++)
		if (card->cdm[i] == cdm)
			return true;
	return false;
}

/* With a reference, or NULL */
static struct cdm_device *partition_at(const struct card *card, u64 addr)
{
	struct cdm_device *cdm = cdm_device_at(addr);

	if (!cdm || is_partition(card, cdm))
		return cdm;
	cdm_device_put(cdm);
	return NULL;
}

/* A page that goes bad; if it is @failing only, whoever has it keeps what is in it */
static int retire(const struct card *card, const char *buf, bool failing)
{
	struct cdm_device *cdm;
	unsigned long pfn;
	int rc, status;
	u64 addr;

	rc = kstrtou64(buf, 0, &addr);
	if (rc)
		return rc;
	cdm = partition_at(card, addr);
	if (!cdm)
		return -EINVAL;
	pfn = PHYS_PFN(addr);
	if (failing)
		cdm_migrate_pfns(NULL, &pfn, 1, &status);
	rc = cdm_retire_page(cdm, addr);
	cdm_device_put(cdm);
	return rc;
}

static ssize_t retire_store(struct device *dev, struct device_attribute *attr, const char *buf,
			    size_t count)
{
	return retire(dev_get_drvdata(dev), buf, false) ?: count;
}
static DEVICE_ATTR_WO(retire);

static ssize_t failing_store(struct device *dev, struct device_attribute *attr, const char *buf,
			     size_t count)
{
	return retire(dev_get_drvdata(dev), buf, true) ?: count;
}
static DEVICE_ATTR_WO(failing);

/* The page of the buffers that @pos is in, or NULL. Under the card's lock, so that it stays. */
static struct page *page_of_buffers(const struct card *card, loff_t pos)
{
	u64 index = pos >> (PAGE_SHIFT + BUFFER_ORDER);
	struct buffer *buffer;

	list_for_each_entry(buffer, &card->buffers, list)
		if (!index--)
			return buffer->page + (pos >> PAGE_SHIFT & ((1 << BUFFER_ORDER) - 1));
	return NULL;
}

/* As far as one page goes; 0 behind the last buffer */
static ssize_t access_buffers(struct kobject *kobj, char *buf, loff_t pos, size_t count,
			      bool write)
{
	struct card *card = dev_get_drvdata(kobj_to_dev(kobj));
	size_t offset = offset_in_page(pos);
	struct page *page;

	guard(mutex)(&card->lock);
	page = page_of_buffers(card, pos);
	if (!page)
		return 0;
	count = min(count, PAGE_SIZE - offset);
	if (write)
		memcpy_to_page(page, offset, buf, count);
	else
		memcpy_from_page(buf, page, offset, count);
	return count;
}

static ssize_t content_read(struct file *filp, struct kobject *kobj,
			    cdm_bin_const struct bin_attribute *attr,
			    char *buf, loff_t pos, size_t count)
{
	return access_buffers(kobj, buf, pos, count, false);
}

static ssize_t content_write(struct file *filp, struct kobject *kobj,
			     cdm_bin_const struct bin_attribute *attr,
			     char *buf, loff_t pos, size_t count)
{
	return access_buffers(kobj, buf, pos, count, true) ?: -ENOSPC;
}
static BIN_ATTR_RW(content, 0);

static cdm_bin_const struct bin_attribute *cdm_bin_const cdm_pci_bin_attrs[] = {
	&bin_attr_content,
	NULL
};

static struct attribute *cdm_pci_attrs[] = {
	&dev_attr_buffers.attr,
	&dev_attr_use.attr,
	&dev_attr_channels.attr,
	&dev_attr_fetch.attr,
	&dev_attr_retire.attr,
	&dev_attr_failing.attr,
	NULL
};

static const struct attribute_group cdm_pci_group = {
	.attrs = cdm_pci_attrs,
	.bin_attrs = cdm_pci_bin_attrs,
};

const struct attribute_group *cdm_pci_groups[] = {
	&cdm_pci_group,
	NULL
};
