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
 *   retire		written: what the memory controller would report, a bad page's address
 */
#include <linux/acpi.h>
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
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

/* Of 2 MiB */
#define BUFFER_ORDER	9

struct buffer {
	struct list_head list;
	struct page *page;
};

/**
 * struct card - what the driver knows of a card
 * @pdev: the card
 * @cdm: its partitions; the first one has the buffers
 * @nr: how many
 * @buffers: the oldest one first
 * @nr_buffers: how many, with those that somebody has taken out for a moment
 * @lock: protects both. ops->evict takes it, so nothing is allocated under it.
 * @resize_lock: one writer of "buffers" at a time; outside of @lock
 */
struct card {
	struct pci_dev *pdev;
	struct cdm_device *cdm[MAX_PARTITIONS];
	unsigned int nr;
	struct list_head buffers;
	unsigned int nr_buffers;
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

/* All that can go somewhere. Of a card that was pulled out nothing can be read any more. */
static void drain(struct cdm_device *cdm, void *data)
{
	struct card *card = data;

	if (cdm != card->cdm[0])
		return;
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

static ssize_t buffers_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct card *card = dev_get_drvdata(dev);
	struct buffer *buffer;
	unsigned int nr;
	int rc = kstrtouint(buf, 0, &nr);

	guard(mutex)(&card->resize_lock);
	while (!rc && READ_ONCE(card->nr_buffers) < nr)
		rc = add_buffer(card);
	while (!rc && READ_ONCE(card->nr_buffers) > nr) {
		buffer = take_buffer(card, 0, false);
		if (buffer)
			free_buffer(card, buffer);
		else
			rc = -EBUSY;
	}
	return rc ?: count;
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

/* Is it one of the card's partitions? */
static bool is_partition(const struct card *card, const struct cdm_device *cdm)
{
	unsigned int i;

	for (i = 0; i < card->nr; i++)
		if (card->cdm[i] == cdm)
			return true;
	return false;
}

static ssize_t retire_store(struct device *dev, struct device_attribute *attr, const char *buf,
			    size_t count)
{
	const struct card *card = dev_get_drvdata(dev);
	struct cdm_device *cdm;
	u64 addr;
	int rc = kstrtou64(buf, 0, &addr);

	if (rc)
		return rc;
	cdm = cdm_device_at(addr);
	if (!cdm)
		return -EINVAL;
	rc = is_partition(card, cdm) ? cdm_retire_page(cdm, addr) : -EINVAL;
	cdm_device_put(cdm);
	return rc ?: count;
}
static DEVICE_ATTR_WO(retire);

static struct attribute *cdm_pci_attrs[] = {
	&dev_attr_buffers.attr,
	&dev_attr_use.attr,
	&dev_attr_retire.attr,
	NULL
};
ATTRIBUTE_GROUPS(cdm_pci);

/* The node of a device's generic initiator in ACPI's SRAT, or CDM_NID_AUTO */
static int generic_initiator_node(struct pci_dev *pdev)
{
	struct acpi_srat_generic_affinity *gi;
	int segment;
	struct acpi_subtable_header *entry;
	struct acpi_table_header *srat;
	int nid = CDM_NID_AUTO;
	void *end;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_SRAT, 0, &srat)))
		return CDM_NID_AUTO;

	end = (void *)srat + srat->length;
	for (entry = (void *)srat + sizeof(struct acpi_table_srat);
	     (void *)(entry + 1) <= end && entry->length;
	     entry = (void *)entry + entry->length) {
		gi = (void *)entry;
		if (entry->type != ACPI_SRAT_TYPE_GENERIC_AFFINITY ||
		    entry->length < sizeof(*gi) || (void *)entry + entry->length > end)
			continue;
		if (!(gi->flags & ACPI_SRAT_GENERIC_AFFINITY_ENABLED) ||
		    gi->device_handle_type != 1)
			continue;
		/* A PCI handle: segment, then bus in the low and devfn in the high byte */
		segment = gi->device_handle[0] | gi->device_handle[1] << 8;
		if (segment == pci_domain_nr(pdev->bus) &&
		    gi->device_handle[2] == pdev->bus->number &&
		    gi->device_handle[3] == pdev->devfn) {
			nid = pxm_to_node(gi->proximity_domain);
			break;
		}
	}
	acpi_put_table(srat);
	return nid == NUMA_NO_NODE ? CDM_NID_AUTO : nid;
}

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

/* One of the devices of a card; the first one has the node that firmware names, if any */
static int add_partition(struct card *card, const struct cdm_range *memory)
{
	struct device *dev = &card->pdev->dev;
	struct cdm_config config = {
		.ranges = memory,
		.nr_ranges = 1,
		.nid = card->nr ? CDM_NID_AUTO : generic_initiator_node(card->pdev),
		.fallback = system_fallback ? CDM_FALLBACK_SYSTEM : CDM_FALLBACK_NONE,
		.online_policy = manual ? CDM_ONLINE_MANUAL : CDM_ONLINE_AUTO,
		.caps = CDM_CAP_USER_BIND & CDM_CAPS_SUPPORTED,
		.ops = &cdm_pci_ops,
		.ops_data = card,
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
