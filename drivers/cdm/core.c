// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: registration, lookup and removal of devices.
 */
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/idr.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "cdm_core.h"

static unsigned int remove_seconds = 60;
module_param(remove_seconds, uint, 0644);
MODULE_PARM_DESC(remove_seconds, "how long a driver's remove() waits for pages to come back, in seconds");

/* How often a driver's remove() says what it waits for */
#define REMOVE_REPORT_SECONDS 10

/* How often it tries */
#define REMOVE_RETRY_MS 500

/* The numbers in cdm0, cdm1, ... */
static DEFINE_IDA(cdm_ida);

static void cdm_device_release(struct device *dev)
{
	struct cdm_device *cdm = to_cdm_device(dev);

	cdm_linger_exit(cdm);
	ida_free(&cdm_ida, dev->id);
	free_percpu(cdm->allocated);
	kfree(cdm->ranges);
	kvfree(cdm);
}

/* Not const: kernels before 6.4 write to it */
struct class cdm_class = {
	.name = "cdm",
	.dev_groups = cdm_device_groups,
	.dev_release = cdm_device_release,
	.dev_uevent = cdm_uevent,
};

/* A device that nobody sees yet, or an error */
static struct cdm_device *cdm_device_create(struct device *parent,
					    const struct cdm_config *config)
{
	u64 size = cdm_ranges_size(config->ranges, config->nr_ranges);
	unsigned long nr_blocks = size / memory_block_size_bytes();
	struct cdm_device *cdm;
	int id;

	cdm = kvzalloc(struct_size(cdm, held, nr_blocks), GFP_KERNEL);
	if (!cdm)
		return ERR_PTR(-ENOMEM);
	cdm->ranges = kmemdup_array(config->ranges, config->nr_ranges, sizeof(*cdm->ranges),
				    GFP_KERNEL);
	cdm->allocated = alloc_percpu(u64);
	id = cdm->ranges && cdm->allocated ? ida_alloc(&cdm_ida, GFP_KERNEL) : -ENOMEM;
	if (id < 0) {
		free_percpu(cdm->allocated);
		kfree(cdm->ranges);
		kvfree(cdm);
		return ERR_PTR(id);
	}

	cdm->block_order = ilog2(memory_block_size_bytes()) - PAGE_SHIFT;
	cdm->first_page = pfn_to_page(PHYS_PFN(cdm->ranges[0].start));
	cdm->first_nr_pages = PHYS_PFN(cdm->ranges[0].size);
	cdm->plain_pages = cdm->first_nr_pages;
	cdm->nr_blocks = nr_blocks;
	cdm->nr_ranges = config->nr_ranges;
	cdm->size = size;
	cdm->config = *config;
	/* The caller's, who may take them away */
	cdm->config.ranges = NULL;
	cdm->config.owner = NULL;
	cdm->config.bad_pages = NULL;
	cdm->scrubs = config->ops && config->ops->scrub;
	cdm->nodes = nodemask_of_node(config->nid);
	mutex_init(&cdm->lock);
	mutex_init(&cdm->retire_lock);
	init_waitqueue_head(&cdm->wait);
	spin_lock_init(&cdm->evict_lock);
	INIT_LIST_HEAD(&cdm->evictors);
	cdm_linger_init(cdm);
	cdm_spill_open(cdm);
	cdm_init_node_ops(cdm);
	snprintf(cdm->iomem_name, sizeof(cdm->iomem_name), "System RAM (cdm%d)", id);

	device_initialize(&cdm->dev);
	cdm->dev.id = id;
	cdm->dev.class = &cdm_class;
	cdm->dev.parent = parent;
	/* From here on put_device() frees all of it; the name only fails for want of memory */
	if (dev_set_name(&cdm->dev, "cdm%d", id)) {
		put_device(&cdm->dev);
		return ERR_PTR(-ENOMEM);
	}
	return cdm;
}

/* User space can see it from here on */
static noinline int publish(struct cdm_device *cdm)
{
	int rc = cdm_chardev_add(cdm);

	if (rc)
		return rc;
	rc = device_add(&cdm->dev);
	if (rc)
		cdm_chardev_del(cdm);
	return rc;
}
ALLOW_ERROR_INJECTION(publish, ERRNO);

static void unpublish(struct cdm_device *cdm)
{
	cdm_chardev_del(cdm);
	device_unregister(&cdm->dev);
}

/**
 * cdm_device_register() - make a device's memory a CDM node
 * @parent: the device that has the memory
 * @config: what memory, and how it is to be treated; copied
 *
 * On return the memory is added, and online unless the policy is %CDM_ONLINE_MANUAL; the
 * node is isolated from the first moment on.
 *
 * Context: Process context. May take seconds for a large device.
 * Return: the device, to be given to cdm_device_unregister() or cdm_device_remove(); or
 * an error pointer after one log line that says what was wrong, and with nothing done:
 * -EINVAL, -ERANGE, -EBUSY as of cdm_config_check(); -EBUSY for a node that is, or since
 * boot was, another device's; -EEXIST for a range that overlaps RAM or another device;
 * -ENOSPC when no reserved node id is left; -EOPNOTSUPP for what an unmodified kernel cannot
 * give; -EPERM for memory that may not be added there; -ENOMEM. -ENOTRECOVERABLE, or another
 * one with a log line that says so, when memory that was added could not be taken back: its
 * blocks stay offline until reboot.
 */
struct cdm_device *cdm_device_register(struct device *parent, const struct cdm_config *config)
{
	struct cdm_config resolved = *config;
	struct cdm_device *cdm;
	int rc;

	rc = cdm_config_check(parent, config);
	if (rc)
		return ERR_PTR(rc);

	rc = cdm_node_tag(config->nid, config->owner ?: dev_name(parent), config->fallback,
			  config->caps);
	if (rc < 0) {
		if (rc == -ENOSPC && IS_ENABLED(CONFIG_CDM))
			dev_err(parent, "cdm: nid: none of the ids of cdm_nodes= is left\n");
		else if (rc == -ENOSPC)
			dev_err(parent, "cdm: nid: firmware names none, and only a kernel with CONFIG_CDM reserves ids\n");
		else
			dev_err(parent, "cdm: nid %d cannot be tagged (%pe)\n", config->nid,
				ERR_PTR(rc));
		return ERR_PTR(rc);
	}
	resolved.nid = rc;
	cdm_node_set_distance(resolved.nid, resolved.near, resolved.distance);

	cdm = cdm_device_create(parent, &resolved);
	if (IS_ERR(cdm)) {
		cdm_node_untag(resolved.nid);
		return cdm;
	}

	rc = cdm_hotplug_add(cdm, config);
	if (rc)
		goto untag;

	rc = publish(cdm);
	if (rc) {
		dev_err(parent, "cdm: no folder in sysfs (%pe)\n", ERR_PTR(rc));
		goto remove_memory;
	}

	dev_info(&cdm->dev, "%llu MiB at %#llx are node %d\n", cdm->size >> 20,
		 cdm->ranges[0].start, resolved.nid);
	return cdm;

remove_memory:
	/* Few have seen the node so far; one that has may be in the way all the same */
	if (cdm_hotplug_remove(cdm, cdm_undo_seconds()))
		cdm_hotplug_abandon(cdm);
	goto put;
untag:
	cdm_node_untag(resolved.nid);
put:
	put_device(&cdm->dev);
	return ERR_PTR(rc);
}
EXPORT_SYMBOL_GPL(cdm_device_register);

/**
 * cdm_device_unregister() - take a device's memory away
 * @cdm: the device
 * @seconds: how long to wait for a page that does not move; 0 for ever
 *
 * User pages move to system RAM first.
 *
 * Context: Process context.
 * Return: 0 with the device gone; -EBUSY while a driver holds pages of it, or system RAM of
 * its budget that it has not given back, or while somebody refers to a bad page; -ETIMEDOUT
 * when a page did not move in time; -ECANCELED when an administrator ended it; -ENOMEM: then
 * the device is as it was, and the call can be made again. With 0, @cdm is dead unless the caller
 * has a reference (cdm_device_find()); with one, -ENODEV when it has gone already. Not for a
 * device of devm_cdm_device_register().
 */
int cdm_device_unregister(struct cdm_device *cdm, unsigned int seconds)
{
	int rc = cdm_hotplug_remove(cdm, seconds);

	/* What has gone has no users, and its place may be another's by now */
	if (rc && rc != -ENODEV)
		cdm_report_users(cdm, rc);
	if (rc)
		return rc;
	unpublish(cdm);
	return 0;
}
EXPORT_SYMBOL_GPL(cdm_device_unregister);

/**
 * cdm_device_remove() - take a device's memory away, whatever it takes
 * @cdm: the device
 *
 * For a driver's remove(), which cannot fail. Waits for pages that are in use and says
 * every 10 seconds what it waits for. After remove_seconds, or when the machine goes down,
 * what drivers have not given back is treated as bad memory. @cdm is dead afterwards, unless the
 * caller has a reference; with one, does nothing when the device has gone already.
 *
 * Context: Process context. Sleeps.
 */
void cdm_device_remove(struct cdm_device *cdm)
{
	unsigned long give_up = jiffies + (unsigned long)READ_ONCE(remove_seconds) * HZ;
	unsigned long report = jiffies + REMOVE_REPORT_SECONDS * HZ;
	int rc;

	/* No administrator keeps it from that */
	WRITE_ONCE(cdm->must_go, true);
	while ((rc = cdm_hotplug_remove(cdm, REMOVE_REPORT_SECONDS))) {
		if (rc == -ENODEV)
			return;
		if (time_after(jiffies, give_up) || cdm_is_shutting_down()) {
			cdm_hotplug_abandon(cdm);
			break;
		}
		if (time_after(jiffies, report)) {
			cdm_report_users(cdm, rc);
			report = jiffies + REMOVE_REPORT_SECONDS * HZ;
		}
		msleep(REMOVE_RETRY_MS);
	}
	unpublish(cdm);
}
EXPORT_SYMBOL_GPL(cdm_device_remove);

static void devm_cdm_device_remove(void *cdm)
{
	cdm_device_remove(cdm);
}

/**
 * devm_cdm_device_register() - cdm_device_register(), undone when the driver unbinds
 * @parent: the device that has the memory
 * @config: as for cdm_device_register()
 *
 * Context: Process context.
 * Return: as cdm_device_register().
 */
struct cdm_device *devm_cdm_device_register(struct device *parent,
					    const struct cdm_config *config)
{
	struct cdm_device *cdm = cdm_device_register(parent, config);
	int rc;

	if (IS_ERR(cdm))
		return cdm;
	rc = devm_add_action_or_reset(parent, devm_cdm_device_remove, cdm);
	return rc ? ERR_PTR(rc) : cdm;
}
EXPORT_SYMBOL_GPL(devm_cdm_device_register);

static int mark_child_gone(struct device *dev, void *parent)
{
	if (dev->parent == parent)
		cdm_mark_gone(to_cdm_device(dev));
	return 0;
}

static int lose_child(struct device *dev, void *parent)
{
	if (dev->parent == parent)
		cdm_device_lost(to_cdm_device(dev));
	return 0;
}

/**
 * cdm_devices_lost() - say that a card has gone without warning, with all of its devices
 * @parent: what they were registered for
 *
 * As cdm_device_lost() of each. The drain of one, which has the locks of memory hotplug, keeps
 * no other one waiting.
 *
 * Context: as cdm_device_lost(). No device of @parent may be registered meanwhile.
 */
void cdm_devices_lost(struct device *parent)
{
	class_for_each_device(&cdm_class, NULL, parent, mark_child_gone);
	class_for_each_device(&cdm_class, NULL, parent, lose_child);
}
EXPORT_SYMBOL_GPL(cdm_devices_lost);

static int is_on_node(struct device *dev, const void *nid)
{
	const struct cdm_device *cdm = to_cdm_device(dev);

	return cdm->config.nid == *(const int *)nid && !READ_ONCE(cdm->removed);
}

/**
 * cdm_device_find() - find the device that a node belongs to
 * @nid: the node
 *
 * Context: Process context.
 * Return: the device with a reference, to be given to cdm_device_put(); NULL if the node
 * belongs to none. The reference keeps the structure, not the memory.
 */
struct cdm_device *cdm_device_find(int nid)
{
	struct device *dev = class_find_device(&cdm_class, NULL, &nid, is_on_node);

	return dev ? to_cdm_device(dev) : NULL;
}
EXPORT_SYMBOL_GPL(cdm_device_find);

static int has_address(struct device *dev, const void *addr)
{
	const struct cdm_device *cdm = to_cdm_device(dev);

	return cdm_ranges_have(cdm->ranges, cdm->nr_ranges, *(const u64 *)addr) &&
	       !READ_ONCE(cdm->removed);
}

/**
 * cdm_device_at() - find the device that has a physical address
 * @addr: the address
 *
 * Context: Process context.
 * Return: as cdm_device_find().
 */
struct cdm_device *cdm_device_at(u64 addr)
{
	struct device *dev = class_find_device(&cdm_class, NULL, &addr, has_address);

	return dev ? to_cdm_device(dev) : NULL;
}
EXPORT_SYMBOL_GPL(cdm_device_at);

/**
 * cdm_device_put() - drop a reference that cdm_device_find() gave
 * @cdm: the device
 *
 * Context: Process context.
 */
void cdm_device_put(struct cdm_device *cdm)
{
	put_device(&cdm->dev);
}
EXPORT_SYMBOL_GPL(cdm_device_put);

/**
 * cdm_device_nid() - the node of a device
 * @cdm: the device
 *
 * Context: Any.
 * Return: its node id.
 */
int cdm_device_nid(const struct cdm_device *cdm)
{
	return cdm->config.nid;
}
EXPORT_SYMBOL_GPL(cdm_device_nid);

static int __init cdm_core_init(void)
{
	int rc = cdm_mm_init();

	if (rc)
		return rc;
	rc = cdm_spill_init();
	if (rc)
		goto exit_mm;
	rc = class_register(&cdm_class);
	if (rc)
		goto exit_spill;
	rc = cdm_chardev_init();
	if (rc)
		goto unregister_class;
	rc = cdm_shutdown_init();
	if (rc)
		goto exit_chardev;
	return 0;

exit_chardev:
	cdm_chardev_exit();
unregister_class:
	class_unregister(&cdm_class);
exit_spill:
	cdm_spill_exit();
exit_mm:
	cdm_mm_exit();
	return rc;
}
subsys_initcall(cdm_core_init);

static void __exit cdm_core_exit(void)
{
	cdm_shutdown_exit();
	cdm_chardev_exit();
	class_unregister(&cdm_class);
	cdm_spill_exit();
	cdm_mm_exit();
}
module_exit(cdm_core_exit);

MODULE_DESCRIPTION("Coherent device memory");
MODULE_LICENSE("GPL");
