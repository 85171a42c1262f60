// SPDX-License-Identifier: GPL-2.0
/* Coherent device memory: what firmware says of a device. */
#include <linux/acpi.h>
#include <linux/cdm.h>
#include <linux/export.h>
#include <linux/numa.h>
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

/**
 * cdm_firmware_nid() - which node does firmware name for a PCI device's memory?
 * @pdev: the device
 * @n: of those that it names the nth, from 0 on: one for each partition
 *
 * By the generic initiators of ACPI's SRAT (Generic Initiator Affinity Structure, ACPI 6.3), in
 * the table's order, as on machines with Grace.
 *
 * Context: Process context.
 * Return: the node, for &cdm_config.nid; %CDM_NID_AUTO where it names no nth.
 */
int cdm_firmware_nid(struct pci_dev *pdev, unsigned int n)
{
	struct acpi_subtable_header *entry;
	struct acpi_table_header *srat;
	int nid = NUMA_NO_NODE;
	void *end;

	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_SRAT, 0, &srat)))
		return CDM_NID_AUTO;

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
	return nid == NUMA_NO_NODE ? CDM_NID_AUTO : nid;
}
EXPORT_SYMBOL_GPL(cdm_firmware_nid);
