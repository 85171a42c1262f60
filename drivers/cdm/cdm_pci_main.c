// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI device whose prefetchable 64-bit BAR is coherent memory: the model of a vendor's
 * driver, to be read from here, from the end, where the device is found, to the beginning. Then
 * cdm_pci_card.c, for what it does with the memory, and cdm_pci_files.c.
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
/* which the one above leaves out where there is no ACPI */
#include <acpi/acpi_bus.h>
#include <linux/cdm.h>
#include <linux/delay.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>

#include "cdm_pci.h"

#define CDM_PCI_BAR	2

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

/*
 * The ACPI hot plug driver calls probe() and remove() under device_hotplug_lock, which
 * adding and removing memory take. Better no memory than a machine that hangs.
 */
static bool slot_is_acpi_hotplug(struct pci_dev *pdev)
{
	struct pci_dev *bridge = pci_upstream_bridge(pdev);

	if (!IS_ENABLED(CONFIG_ACPI) || pci_find_host_bridge(pdev->bus)->native_pcie_hotplug)
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
	cdm_pci_free_channels(card);
	/* One may be on its way to RAM just now, and comes back to the list */
	while (READ_ONCE(card->nr_buffers)) {
		cdm_pci_free_buffers(card, false);
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
