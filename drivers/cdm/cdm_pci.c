// SPDX-License-Identifier: GPL-2.0
/*
 * A PCI device whose prefetchable 64-bit BAR is coherent memory.
 *
 * QEMU's ivshmem-plain with its BAR 2 stands for a GPU. What is left here when the
 * driver core has its share is what a vendor's driver would have: which BAR, which node,
 * what user space may do.
 */
#include <linux/acpi.h>
#include <linux/cdm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/unaligned.h>

#define CDM_PCI_BAR	2

static bool manual;
module_param(manual, bool, 0644);
MODULE_PARM_DESC(manual, "leave the memory blocks of devices found from now on offline");

static bool system_fallback;
module_param(system_fallback, bool, 0644);
MODULE_PARM_DESC(system_fallback, "give devices found from now on the fallback 'system'");

/* The node of a device's generic initiator in ACPI's SRAT, or CDM_NID_AUTO */
static int generic_initiator_node(struct pci_dev *pdev)
{
	struct acpi_srat_generic_affinity *gi;
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
		if (get_unaligned_le16(&gi->device_handle[0]) == pci_domain_nr(pdev->bus) &&
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

static int cdm_pci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct cdm_range memory = {
		.start = pci_resource_start(pdev, CDM_PCI_BAR),
		.size = pci_resource_len(pdev, CDM_PCI_BAR),
	};
	struct cdm_config config = {
		.ranges = &memory,
		.nr_ranges = 1,
		.nid = generic_initiator_node(pdev),
		.fallback = system_fallback ? CDM_FALLBACK_SYSTEM : CDM_FALLBACK_NONE,
		.online_policy = manual ? CDM_ONLINE_MANUAL : CDM_ONLINE_AUTO,
		.caps = CDM_CAP_USER_BIND,
	};
	unsigned long flags = pci_resource_flags(pdev, CDM_PCI_BAR);
	struct cdm_device *cdm;
	int rc;

	if (!(flags & IORESOURCE_PREFETCH) || !(flags & IORESOURCE_MEM_64)) {
		dev_err(&pdev->dev, "BAR %d is not prefetchable 64-bit memory\n", CDM_PCI_BAR);
		return -ENODEV;
	}
	if (slot_is_acpi_hotplug(pdev)) {
		dev_err(&pdev->dev, "the slot is hot-plugged by ACPI, not by pciehp\n");
		return -EOPNOTSUPP;
	}

	/* The BAR is not requested: the memory that is added lies in it, and is busy itself */
	rc = pcim_enable_device(pdev);
	if (rc)
		return rc;

	cdm = devm_cdm_device_register(&pdev->dev, &config);
	if (IS_ERR(cdm))
		return PTR_ERR(cdm);
	pci_set_drvdata(pdev, cdm);
	return 0;
}

/* The managed registration is undone after this. A card that was pulled has no memory. */
static void cdm_pci_remove(struct pci_dev *pdev)
{
	if (!pci_device_is_present(pdev))
		cdm_device_lost(pci_get_drvdata(pdev));
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
};
module_pci_driver(cdm_pci_driver);

MODULE_DESCRIPTION("PCI devices whose prefetchable BAR is coherent memory");
MODULE_LICENSE("GPL");
