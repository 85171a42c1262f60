/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: what a vendor's driver uses.
 *
 * The functions are documented where they are defined, in drivers/cdm/.
 */
#ifndef _LINUX_CDM_H
#define _LINUX_CDM_H

#include <linux/cdm_node.h>
#include <linux/types.h>

struct cdm_device;
struct device;
struct page;

/* cdm_config.nid: take one of the ids that cdm_nodes=N reserved at boot */
#define CDM_NID_AUTO	(-1)

/**
 * enum cdm_online_policy - who onlines the memory blocks
 * @CDM_ONLINE_AUTO: the core, when the device is registered. The default.
 * @CDM_ONLINE_MANUAL: the administrator, block by block or through the device's
 *	``state`` file
 */
enum cdm_online_policy {
	CDM_ONLINE_AUTO,
	CDM_ONLINE_MANUAL,
};

/**
 * struct cdm_config - what a driver says about its memory when it registers it
 * @start: first byte, a CPU physical address aligned to the memory block
 * @size: bytes, a multiple of the memory block
 * @nid: the node that firmware names, or %CDM_NID_AUTO. Must be possible, and have
 *	neither memory nor CPUs.
 * @fallback: what the FALLBACK list of the node holds
 * @online_policy: who onlines the blocks
 * @caps: CDM_CAP_* that are granted
 */
struct cdm_config {
	u64 start;
	u64 size;
	int nid;
	enum cdm_fallback fallback;
	enum cdm_online_policy online_policy;
	unsigned long caps;
};

/* Flags of cdm_alloc_pages() */
#define CDM_ALLOC_ZERO		BIT(0)	/* the CPU clears the pages */
#define CDM_ALLOC_ATOMIC	BIT(1)	/* the caller cannot sleep */

struct cdm_device *cdm_device_register(struct device *parent, const struct cdm_config *config);
int cdm_device_unregister(struct cdm_device *cdm);
void cdm_device_remove(struct cdm_device *cdm);
struct cdm_device *devm_cdm_device_register(struct device *parent,
					    const struct cdm_config *config);

struct cdm_device *cdm_device_find(int nid);
void cdm_device_put(struct cdm_device *cdm);
int cdm_device_nid(const struct cdm_device *cdm);

int cdm_device_online(struct cdm_device *cdm);
int cdm_device_offline(struct cdm_device *cdm);

struct page *cdm_alloc_pages(struct cdm_device *cdm, unsigned int order, unsigned int flags);
void cdm_free_pages(struct cdm_device *cdm, struct page *page, unsigned int order);

#endif /* _LINUX_CDM_H */
