/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: what a vendor's driver uses.
 *
 * The functions are documented where they are defined, in drivers/cdm/.
 */
#ifndef _LINUX_CDM_H
#define _LINUX_CDM_H

#include <linux/cdm_node.h>
#include <linux/node.h>
#include <linux/types.h>

struct cdm_device;
struct device;
struct page;

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
 * struct cdm_ops - what the core asks a driver to do
 * @drain: give back what can be given back of the pages that cdm_alloc_pages() returned,
 *	because the memory is to go offline, or has gone. What the driver has mapped for user
 *	space it unmaps (unmap_mapping_range()). Process context, may sleep; must not call
 *	cdm_device_*(), and gets no pages meanwhile.
 */
struct cdm_ops {
	void (*drain)(struct cdm_device *cdm, void *data);
};

/**
 * struct cdm_config - what a driver says about its memory when it registers it
 * @ranges: the memory, in any order; all of it on one node
 * @nr_ranges: how many, not 0
 * @nid: the node that firmware names, or %CDM_NID_AUTO. Must be possible, and have
 *	neither memory nor CPUs.
 * @owner: whose the node id is until reboot, by a name that is the same when the device
 *	comes again; NULL for the parent's name
 * @fallback: what the FALLBACK list of the node holds
 * @online_policy: who onlines the blocks
 * @caps: CDM_CAP_* that are granted
 * @ops: what the driver does for the core, or NULL; not copied
 * @ops_data: what the functions in @ops are called with
 * @bad_pages: physical addresses of pages that must never be handed out
 * @nr_bad_pages: how many
 * @near: the node of system RAM that the device is nearest to, where @distance is set
 * @distance: how far that is, between LOCAL_DISTANCE and 255, both excluded; 0 leaves
 *	all distances to firmware
 * @access: bandwidth and latency of the memory for the CPUs nearest to it, as HMAT would
 *	say it; all 0 leaves that to firmware, too
 */
struct cdm_config {
	const struct cdm_range *ranges;
	unsigned int nr_ranges;
	int nid;
	const char *owner;
	enum cdm_fallback fallback;
	enum cdm_online_policy online_policy;
	unsigned long caps;
	const struct cdm_ops *ops;
	void *ops_data;
	const u64 *bad_pages;
	unsigned int nr_bad_pages;
	int near;
	unsigned int distance;
	struct access_coordinate access;
};

/* Flags of cdm_alloc_pages() */
#define CDM_ALLOC_ZERO		BIT(0)	/* the CPU clears the pages */
#define CDM_ALLOC_ATOMIC	BIT(1)	/* the caller cannot sleep */

struct cdm_device *cdm_device_register(struct device *parent, const struct cdm_config *config);
int cdm_device_unregister(struct cdm_device *cdm, unsigned int seconds);
void cdm_device_remove(struct cdm_device *cdm);
void cdm_device_lost(struct cdm_device *cdm);
struct cdm_device *devm_cdm_device_register(struct device *parent,
					    const struct cdm_config *config);

struct cdm_device *cdm_device_find(int nid);
void cdm_device_put(struct cdm_device *cdm);
int cdm_device_nid(const struct cdm_device *cdm);

int cdm_device_online(struct cdm_device *cdm);
int cdm_device_offline(struct cdm_device *cdm, unsigned int seconds);
int cdm_device_cancel(struct cdm_device *cdm);

int cdm_retire_page(struct cdm_device *cdm, u64 addr);

struct page *cdm_alloc_pages(struct cdm_device *cdm, unsigned int order, unsigned int flags);
void cdm_free_pages(struct cdm_device *cdm, struct page *page, unsigned int order);

#endif /* _LINUX_CDM_H */
