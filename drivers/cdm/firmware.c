// SPDX-License-Identifier: GPL-2.0
/* Coherent device memory: what firmware says of a device. */
#include <linux/acpi.h>
#include <linux/cdm.h>
#include <linux/export.h>
#include <linux/numa.h>
#include <linux/pci.h>

/**
 * cdm_firmware_nid() - which node does firmware name for a PCI device's memory?
 * @pdev: the device
 *
 * By a generic initiator of ACPI's SRAT (Generic Initiator Affinity Structure, ACPI 6.3), as on
 * machines with Grace.
 *
 * Context: Process context.
 * Return: the node, for &cdm_config.nid; %CDM_NID_AUTO where it names none.
 */
int cdm_firmware_nid(struct pci_dev *pdev)
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
EXPORT_SYMBOL_GPL(cdm_firmware_nid);
