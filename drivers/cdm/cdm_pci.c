// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI device whose prefetchable 64-bit BAR is coherent memory: the model of a vendor's
 * driver, to be read from its end, where the device is found, to its beginning.
 *
 * QEMU's ivshmem-plain with its BAR 2 stands for a GPU, QEMU's edu (cdm_edu.c) for its copy
 * engine. What a GPU's driver keeps for its users is here a number of buffers of 2 MiB, in
 * the order in which they were used: when the memory is full, the one that was not used for
 * the longest time moves to system RAM, as far as the budget goes, and it comes back when it
 * is used again. Files in the PCI device's folder stand for what the users do:
 *
 *   buffers		how many there are; written: how many there should be
 *   use		written: use that buffer, counted from the oldest
 *   content	what is in them, one after the other
 *   channels		what programs give work by, with memory for the card itself; likewise
 *   fetch		written: PID ADDRESS PAGES, that process's memory moves to the card; then:
 *			how many did, where the first one is, and how many have it mapped
 *   retire		written: what the memory controller would report, a bad page's address
 *   failing		and one whose errors can be corrected still
 */
#include <linux/acpi.h>
#include <linux/cdm.h>
#include <linux/cdm_compat.h>
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "cdm_edu.h"

#define CDM_PCI_BAR	2

/* Partitions of a card, each a device with a node: as many as the hardware would have */
#define MAX_PARTITIONS	8

static bool manual;
module_param(manual, bool, 0644);
MODULE_PARM_DESC(manual, "leave the memory blocks of devices found from now on offline");

static bool system_fallback;
module_param(system_fallback, bool, 0644);
MODULE_PARM_DESC(system_fallback, "give devices found from now on the fallback 'system'");

static unsigned int partitions = 1;
module_param(partitions, uint, 0644);
MODULE_PARM_DESC(partitions, "in how many devices the memory of cards found from now on is divided");

static unsigned long spill_max;
module_param(spill_max, ulong, 0644);
MODULE_PARM_DESC(spill_max, "bytes of system RAM that cards found from now on may draw on");

/* A real card remembers them itself */
static unsigned long long bad_offsets[16];
static unsigned int nr_bad_offsets;
module_param_array(bad_offsets, ullong, &nr_bad_offsets, 0644);
MODULE_PARM_DESC(bad_offsets, "bad pages of cards found from now on, as offsets into their memory");

static unsigned long scrubbed_pages;
module_param(scrubbed_pages, ulong, 0444);
MODULE_PARM_DESC(scrubbed_pages, "how many pages cards have cleared");

/* Of 2 MiB */
#define BUFFER_ORDER	9

/* What a channel has on the card, in pages */
#define RING_PAGES	MAX_ORDER_NR_PAGES
#define NR_TABLES	32
#define NR_COMMANDS	16
#define CONTEXT_ORDER	2

struct buffer {
	struct list_head list;
	struct page *page;
};

/* Memory that the card uses itself, and finds where it left it: it never moves */
struct channel {
	struct list_head list;
	struct page *ring;
	unsigned long nr_tables;
	struct page *tables[NR_TABLES];
	struct list_head commands;
	struct folio *context;
};

/**
 * struct card - what the driver knows of a card
 * @pdev: the card
 * @cdm: its partitions; the first one has the buffers
 * @nr: how many
 * @buffers: the oldest one first
 * @nr_buffers: how many, with those that somebody has taken out for a moment
 * @channels: work is given by them
 * @nr_channels: how many
 * @fetched: pages of the last fetch
 * @fetched_nid: where the first of them is
 * @mappings: how many have it mapped
 * @lock: protects all of these. ops->evict takes it, so nothing is allocated under it.
 * @resize_lock: one writer of "buffers" at a time; outside of @lock
 */
struct card {
	struct pci_dev *pdev;
	struct cdm_device *cdm[MAX_PARTITIONS];
	unsigned int nr;
	struct list_head buffers;
	unsigned int nr_buffers;
	struct list_head channels;
	unsigned int nr_channels;
	long fetched;
	int fetched_nid;
	int mappings;
	struct mutex lock; /* see above */
	struct mutex resize_lock; /* see above */
};

/* Whoever takes a buffer out of the list has it for himself */
static struct buffer *take_buffer(struct card *card, unsigned int index, bool on_device)
{
	struct buffer *buffer;

	guard(mutex)(&card->lock);
	list_for_each_entry(buffer, &card->buffers, list) {
		if ((on_device && cdm_page_is_spilled(card->cdm[0], buffer->page)) || index--)
			continue;
		list_del(&buffer->list);
		return buffer;
	}
	return NULL;
}

static void put_buffer(struct card *card, struct buffer *buffer, bool used)
{
	guard(mutex)(&card->lock);
	if (used)
		list_add_tail(&buffer->list, &card->buffers);
	else
		list_add(&buffer->list, &card->buffers);
}

static void free_buffer(struct card *card, struct buffer *buffer)
{
	cdm_free_pages(card->cdm[0], buffer->page, BUFFER_ORDER);
	kfree(buffer);
	guard(mutex)(&card->lock);
	card->nr_buffers--;
}

static int add_buffer(struct card *card)
{
	struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);

	if (!buffer)
		return -ENOMEM;
	buffer->page = cdm_alloc_pages(card->cdm[0], BUFFER_ORDER,
				       CDM_ALLOC_ZERO | CDM_ALLOC_SPILL);
	if (!buffer->page) {
		kfree(buffer);
		return -ENOMEM;
	}
	scoped_guard(mutex, &card->lock)
		card->nr_buffers++;
	put_buffer(card, buffer, true);
	return 0;
}

static int copy(struct cdm_device *cdm, struct page *to, struct page *from,
		unsigned long nr_pages, void *data)
{
	return cdm_edu_copy(to, from, nr_pages);
}

/* As fast as the device would be; it is the CPU that pretends */
static int scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages, void *data)
{
	/* Nobody needs it exact */
	WRITE_ONCE(scrubbed_pages, READ_ONCE(scrubbed_pages) + nr_pages);
	for (; nr_pages; nr_pages--, page++) {
		clear_highpage(page);
		cond_resched();
	}
	return 0;
}

/* By the engine, or the CPU: false for memory that has an error, the buffer is there still */
static bool copy_buffer(struct page *to, struct page *from)
{
	unsigned int i;

	if (!cdm_edu_copy(to, from, 1 << BUFFER_ORDER))
		return true;
	for (i = 0; i < 1 << BUFFER_ORDER; i++)
		if (copy_mc_highpage(to + i, from + i))
			return false;
	return true;
}

/* To system RAM, within the budget: the page that it had is free again */
static bool spill_buffer(struct card *card, struct buffer *buffer)
{
	struct cdm_device *cdm = card->cdm[0];
	struct page *ram = cdm_alloc_pages(cdm, BUFFER_ORDER,
					   CDM_ALLOC_SPILL | CDM_ALLOC_NO_EVICT);

	if (!ram)
		return false;
	/* Not of the device, which has room without us if somebody gave memory back meanwhile */
	if (!cdm_page_is_spilled(cdm, ram) || !copy_buffer(ram, buffer->page)) {
		cdm_free_pages(cdm, ram, BUFFER_ORDER);
		return false;
	}
	cdm_free_pages(cdm, buffer->page, BUFFER_ORDER);
	buffer->page = ram;
	return true;
}

static unsigned long evict(struct cdm_device *cdm, unsigned long nr_pages, void *data)
{
	struct card *card = data;
	struct buffer *buffer;
	unsigned long evicted;

	/* The other partitions have none */
	buffer = cdm == card->cdm[0] ? take_buffer(card, 0, true) : NULL;
	if (!buffer)
		return 0;
	evicted = spill_buffer(card, buffer) ? 1UL << BUFFER_ORDER : 0;
	put_buffer(card, buffer, false);
	return evicted;
}

static void free_buffers(struct card *card, bool on_device)
{
	struct buffer *buffer;

	while ((buffer = take_buffer(card, 0, on_device)))
		free_buffer(card, buffer);
}

static void free_channel(struct card *card, struct channel *channel)
{
	struct cdm_device *cdm = card->cdm[0];

	if (channel->ring)
		cdm_free_contig(cdm, channel->ring, RING_PAGES);
	cdm_free_pages_bulk(cdm, channel->nr_tables, channel->tables);
	cdm_free_pages_list(cdm, &channel->commands);
	if (channel->context)
		cdm_free_folio(cdm, channel->context);
	kfree(channel);
}

static struct channel *take_channel(struct card *card)
{
	struct channel *channel;

	guard(mutex)(&card->lock);
	channel = list_first_entry_or_null(&card->channels, struct channel, list);
	if (!channel)
		return NULL;
	list_del(&channel->list);
	card->nr_channels--;
	return channel;
}

static int add_channel(struct card *card)
{
	struct channel *channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	struct cdm_device *cdm = card->cdm[0];
	unsigned long nr_commands;

	if (!channel)
		return -ENOMEM;
	INIT_LIST_HEAD(&channel->commands);
	channel->ring = cdm_alloc_contig(cdm, RING_PAGES, CDM_ALLOC_ZERO);
	channel->nr_tables = cdm_alloc_pages_bulk(cdm, CDM_ALLOC_ZERO, NR_TABLES, channel->tables);
	nr_commands = cdm_alloc_pages_list(cdm, 0, NR_COMMANDS, &channel->commands);
	channel->context = cdm_alloc_folio(cdm, CONTEXT_ORDER, CDM_ALLOC_ZERO);
	if (!channel->ring || channel->nr_tables < NR_TABLES || nr_commands < NR_COMMANDS ||
	    !channel->context) {
		free_channel(card, channel);
		return -ENOMEM;
	}
	guard(mutex)(&card->lock);
	list_add(&channel->list, &card->channels);
	card->nr_channels++;
	return 0;
}

/* Programs find them gone, as after a reset, and ask for others */
static void free_channels(struct card *card)
{
	struct channel *channel;

	while ((channel = take_channel(card)))
		free_channel(card, channel);
}

/* All that can go somewhere. Of a card that was pulled out nothing can be read any more. */
static void drain(struct cdm_device *cdm, void *data)
{
	struct card *card = data;

	if (cdm != card->cdm[0])
		return;
	free_channels(card);
	if (!pci_device_is_present(card->pdev))
		free_buffers(card, true);
	while (evict(cdm, 0, data))
		;
}

static const struct cdm_ops cdm_pci_ops = {
	.drain = drain,
	.evict = evict,
	.scrub = scrub,
	.copy = copy,
};

static ssize_t buffers_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct card *card = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(card->nr_buffers));
}

/* 0, or why one less is not to be had */
static int drop_buffer(struct card *card)
{
	struct buffer *buffer = take_buffer(card, 0, false);

	if (!buffer)
		return -EBUSY;
	free_buffer(card, buffer);
	return 0;
}

/* A drain may have been faster */
static int drop_channel(struct card *card)
{
	struct channel *channel = take_channel(card);

	if (channel)
		free_channel(card, channel);
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

	return resize(card, buf, &card->nr_buffers, add_buffer, drop_buffer) ?: count;
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
	buffer = take_buffer(card, index, false);
	if (!buffer)
		return -ENXIO;
	if (cdm_page_is_spilled(card->cdm[0], buffer->page)) {
		page = cdm_bring_back(card->cdm[0], buffer->page, BUFFER_ORDER, 0);
		if (IS_ERR(page))
			rc = PTR_ERR(page);
		else
			buffer->page = page;
	}
	put_buffer(card, buffer, !rc);
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

	return resize(card, buf, &card->nr_channels, add_channel, drop_channel) ?: count;
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
__ATTRIBUTE_GROUPS(cdm_pci);

/*
 * The ACPI hot plug driver calls probe() and remove() under device_hotplug_lock, which
 * adding and removing memory take. Better no memory than a machine that hangs.
 */
static bool slot_is_acpi_hotplug(struct pci_dev *pdev)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);

	if (pci_find_host_bridge(pdev->bus)->native_pcie_hotplug)
		return false;
	return (bridge && bridge->is_hotplug_bridge) ||
	       acpi_has_method(ACPI_HANDLE(&pdev->dev), "_EJ0");
}

/* Those of a partition, as addresses; returns how many */
static unsigned int known_bad(const struct card *card, const struct cdm_range *memory, u64 *bad)
{
	u64 start = pci_resource_start(card->pdev, CDM_PCI_BAR), addr;
	unsigned int i, nr = 0;

	for (i = 0; i < nr_bad_offsets; i++) {
		addr = start + bad_offsets[i];
		if (addr >= memory->start && addr - memory->start < memory->size)
			bad[nr++] = addr;
	}
	return nr;
}

/* One of the devices of a card, with the node that firmware names for it, if any */
static int add_partition(struct card *card, const struct cdm_range *memory)
{
	struct device *dev = &card->pdev->dev;
	u64 bad[ARRAY_SIZE(bad_offsets)];
	struct cdm_config config = {
		.ranges = memory,
		.nr_ranges = 1,
		.nid = cdm_firmware_nid(card->pdev, card->nr),
		.fallback = system_fallback ? CDM_FALLBACK_SYSTEM : CDM_FALLBACK_NONE,
		.online_policy = manual ? CDM_ONLINE_MANUAL : CDM_ONLINE_AUTO,
		.caps = CDM_CAP_USER_BIND & CDM_CAPS_SUPPORTED,
		.ops = &cdm_pci_ops,
		.ops_data = card,
		.bad_pages = bad,
		.nr_bad_pages = known_bad(card, memory, bad),
		.spill_max = spill_max,
	};
	struct cdm_device *cdm = devm_cdm_device_register(dev, &config);

	if (IS_ERR(cdm))
		return PTR_ERR(cdm);
	card->cdm[card->nr++] = cdm;
	return 0;
}

static int cdm_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	unsigned long flags = pci_resource_flags(pdev, CDM_PCI_BAR);
	unsigned int nr = READ_ONCE(partitions);
	struct cdm_range memory = {
		.start = pci_resource_start(pdev, CDM_PCI_BAR),
	};
	struct card *card;
	int rc = 0;

	if (!(flags & IORESOURCE_PREFETCH) || !(flags & IORESOURCE_MEM_64)) {
		dev_err(&pdev->dev, "BAR %d is not prefetchable 64-bit memory\n", CDM_PCI_BAR);
		return -ENODEV;
	}
	if (slot_is_acpi_hotplug(pdev)) {
		dev_err(&pdev->dev, "the slot is hot-plugged by ACPI, not by pciehp\n");
		return -EOPNOTSUPP;
	}
	if (!nr || nr > MAX_PARTITIONS) {
		dev_err(&pdev->dev, "partitions %u is not 1 to %u\n", nr, MAX_PARTITIONS);
		return -EINVAL;
	}

	/* The BAR is not requested: the memory that is added lies in it, and is busy itself */
	rc = pcim_enable_device(pdev);
	if (rc)
		return rc;

	card = devm_kzalloc(&pdev->dev, sizeof(*card), GFP_KERNEL);
	if (!card)
		return -ENOMEM;
	card->pdev = pdev;
	INIT_LIST_HEAD(&card->buffers);
	INIT_LIST_HEAD(&card->channels);
	mutex_init(&card->lock);
	mutex_init(&card->resize_lock);
	pci_set_drvdata(pdev, card);

	memory.size = rounddown(pci_resource_len(pdev, CDM_PCI_BAR) / nr,
				memory_block_size_bytes());
	for (; !rc && card->nr < nr; memory.start += memory.size)
		rc = add_partition(card, &memory);
	return rc;
}

/* The managed registrations are undone after this. A card that was pulled has no memory. */
static void cdm_pci_remove(struct pci_dev *pdev)
{
	struct card *card = pci_get_drvdata(pdev);
	unsigned int i;

	if (!pci_device_is_present(pdev))
		cdm_devices_lost(&pdev->dev);
	/* The drain of one partition would keep the others' removal waiting for its locks */
	for (i = 0; i < card->nr; i++)
		cdm_device_cancel(card->cdm[i]);
	free_channels(card);
	/* One may be on its way to RAM just now, and comes back to the list */
	while (READ_ONCE(card->nr_buffers)) {
		free_buffers(card, false);
		msleep(20);
	}
}

static const struct pci_device_id cdm_pci_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, cdm_pci_ids);

static struct pci_driver cdm_pci_driver = {
	.name = "cdm_pci",
	.id_table = cdm_pci_ids,
	.probe = cdm_pci_probe,
	.remove = cdm_pci_remove,
	.dev_groups = cdm_pci_groups,
};
module_pci_driver(cdm_pci_driver);

MODULE_DESCRIPTION("PCI devices whose prefetchable BAR is coherent memory");
MODULE_LICENSE("GPL");
