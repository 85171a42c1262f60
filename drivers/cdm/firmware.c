// SPDX-License-Identifier: GPL-2.0
/* Coherent device memory: what firmware says of a device. */
#include <linux/acpi.h>
#include <linux/cdm.h>
#include <linux/export.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/of.h>
#include <linux/pci.h>

/* Is it an entry for this device's memory? A PCI handle: segment, then bus, then devfn. */
static bool is_initiator_of(const struct acpi_srat_generic_affinity *gi,
			    const struct pci_dev *pdev)
{
	return gi->header.type == ACPI_SRAT_TYPE_GENERIC_AFFINITY &&
	       gi->header.length >= sizeof(*gi) &&
	       gi->flags & ACPI_SRAT_GENERIC_AFFINITY_ENABLED &&
	       gi->device_handle_type == 1 &&
	       (gi->device_handle[0] | gi->device_handle[1] << 8) == pci_domain_nr(pdev->bus) &&
	       gi->device_handle[2] == pdev->bus->number &&
	       gi->device_handle[3] == pdev->devfn;
}

/* The node of the device's nth generic initiator, in the table's order */
static int initiator_nid(const struct pci_dev *pdev, unsigned int n)
{
	struct acpi_subtable_header *entry;
	struct acpi_table_header *srat;
	int nid = NUMA_NO_NODE;
	void *end;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_SRAT, 0, &srat)))
		return NUMA_NO_NODE;

	end = (void *)srat + srat->length;
	for (entry = (void *)srat + sizeof(struct acpi_table_srat);
	     (void *)(entry + 1) <= end && entry->length && (void *)entry + entry->length <= end;
	     entry = (void *)entry + entry->length) {
		struct acpi_srat_generic_affinity *gi = (void *)entry;

		if (is_initiator_of(gi, pdev) && !n--) {
			nid = pxm_to_node(gi->proximity_domain);
			break;
		}
	}
	acpi_put_table(srat);
	return nid;
}

/*
 * A device tree says near which node a device is. Where that has neither CPUs nor RAM it is the
 * memory of a device; of the first one, if there are several behind a host bridge.
 */
static int device_tree_nid(const struct pci_dev *pdev)
{
	int nid = NUMA_NO_NODE;

	/* only there can a module call it */
	if (IS_ENABLED(CONFIG_PPC))
		nid = of_node_to_nid(pdev->dev.of_node);
	if (nid == NUMA_NO_NODE || node_state(nid, N_CPU) || node_state(nid, N_MEMORY) ||
	    node_is_cdm(nid))
		return NUMA_NO_NODE;
	return nid;
}

/**
 * cdm_firmware_nid() - which node does firmware name for a PCI device's memory?
 * @pdev: the device
 * @n: of those that it names the nth, from 0 on: one for each partition
 *
 * By the generic initiators of ACPI's SRAT (Generic Initiator Affinity Structure, ACPI 6.3), in
 * the table's order, as on machines with Grace. Or, the first one, by a device tree of PAPR's
 * (ibm,associativity), where it puts the device on a node without CPUs and RAM that no other
 * device's memory is.
 *
 * Context: Process context.
 * Return: the node, for &cdm_config.nid; %CDM_NID_AUTO where it names no nth.
 */
int cdm_firmware_nid(struct pci_dev *pdev, unsigned int n)
{
	int nid = initiator_nid(pdev, n);

	if (nid == NUMA_NO_NODE && !n)
		nid = device_tree_nid(pdev);
	return nid == NUMA_NO_NODE ? CDM_NID_AUTO : nid;
}
EXPORT_SYMBOL_GPL(cdm_firmware_nid);
