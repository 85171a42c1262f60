// SPDX-License-Identifier: GPL-2.0
/*
 * What GPU drivers do today, for comparison: add the memory of a PCI device as an
 * ordinary NUMA node. Built for the vanilla kernel only.
 */
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/module.h>
#include <linux/pci.h>

#define PLAIN_NODE_BAR	2

/* The node of the next device that is found */
static int nid = 2;
module_param(nid, int, 0444);
MODULE_PARM_DESC(nid, "node of the first device's memory; the next ones follow");

static int plain_node_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct resource *bar = pci_resource_n(pdev, PLAIN_NODE_BAR);
	int mgid, rc;

	rc = pcim_enable_device(pdev);
	if (rc)
		return rc;

	mgid = memory_group_register_static(nid, PFN_UP(resource_size(bar)));
	if (mgid < 0)
		return mgid;

	rc = add_memory_driver_managed(mgid, bar->start, resource_size(bar),
				       "System RAM (plain_node)", MHP_NID_IS_MGID);
	if (rc) {
		memory_group_unregister(mgid);
		return rc;
	}

	pci_set_drvdata(pdev, (void *)(long)mgid);
	nid++;
	return 0;
}

static void plain_node_remove(struct pci_dev *pdev)
{
	struct resource *bar = pci_resource_n(pdev, PLAIN_NODE_BAR);

	if (offline_and_remove_memory(bar->start, resource_size(bar)))
		dev_err(&pdev->dev, "memory %pR is in use until reboot\n", bar);
	else
		memory_group_unregister((long)pci_get_drvdata(pdev));
	nid--;
}

static const struct pci_device_id plain_node_ids[] = {
	{ PCI_DEVICE(PCI_VENDOR_ID_REDHAT_QUMRANET, 0x1110) },
	{ }
};
MODULE_DEVICE_TABLE(pci, plain_node_ids);

static struct pci_driver plain_node_driver = {
	.name = "plain_node",
	.id_table = plain_node_ids,
	.probe = plain_node_probe,
	.remove = plain_node_remove,
};
module_pci_driver(plain_node_driver);

MODULE_DESCRIPTION("A PCI device's memory as an ordinary NUMA node");
MODULE_LICENSE("GPL");
