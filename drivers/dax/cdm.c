// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of a dax device (soft-reserved HBM, a CXL region, persistent memory) as
 * coherent device memory, on the node that firmware gave it.
 *
 * Every dax device is as good as any other here, so which of them becomes a CDM node is the
 * administrator's decision: the driver binds to those that are written to its "bind" or
 * "new_id", and takes none away from device_dax or kmem.
 */
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/ioport.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "bus.h"
#include "dax-private.h"

/* The whole memory blocks of a dax device's range; size 0 where there is none */
static struct cdm_range whole_blocks(struct device *dev, const struct range *range)
{
	u64 block = memory_block_size_bytes();
	u64 start = ALIGN(range->start, block);
	u64 end = ALIGN_DOWN(range->end + 1, block);
	u64 size = end > start ? end - start : 0;

	if (!size)
		dev_warn(dev, "cdm: %#llx-%#llx holds no whole memory block of %#llx bytes\n",
			 range->start, range->end, block);
	else if (size < range_len(range))
		dev_info(dev, "cdm: %llu KiB of %#llx-%#llx are left out, for whole memory blocks\n",
			 (range_len(range) - size) >> 10, range->start, range->end);
	return (struct cdm_range){ .start = start, .size = size };
}

/* What the blocks are children of. Where one stayed behind, it becomes its parent's. */
static void release_region_of_blocks(void *region)
{
	remove_resource(region);
	kfree(region);
}

static int reserve_region(struct device *dev, const struct cdm_range *range)
{
	struct resource *region = request_mem_region(range->start, range->size, dev_name(dev));

	if (!region) {
		dev_err(dev, "cdm: %#llx-%#llx is in use, see /proc/iomem\n", range->start,
			range->start + range->size - 1);
		return -EBUSY;
	}
	/*
	 * Not busy, or the memory could not be added below it; and of its own kind, whatever
	 * it inherited. Such a region is not found by release_mem_region().
	 */
	region->flags = IORESOURCE_SYSTEM_RAM;
	return devm_add_action_or_reset(dev, release_region_of_blocks, region);
}

static int cdm_dax_probe(struct dev_dax *dev_dax)
{
	struct device *dev = &dev_dax->dev;
	struct cdm_range *ranges __free(kfree) = NULL;
	struct cdm_config config = {
		.nid = dev_dax->target_node,
		/* Regions come and go with other names, for the same memory */
		.owner = "dax",
		.caps = CDM_CAP_USER_BIND,
	};
	int i, rc;

	/* Not to be taken for CDM_NID_AUTO */
	if (dev_dax->target_node == NUMA_NO_NODE) {
		dev_err(dev, "cdm: target_node: firmware names no node for this memory\n");
		return -EINVAL;
	}

	ranges = kcalloc(dev_dax->nr_range, sizeof(*ranges), GFP_KERNEL);
	if (!ranges)
		return -ENOMEM;
	config.ranges = ranges;

	for (i = 0; i < dev_dax->nr_range; i++) {
		struct cdm_range blocks = whole_blocks(dev, &dev_dax->ranges[i].range);

		if (!blocks.size)
			continue;
		rc = reserve_region(dev, &blocks);
		if (rc)
			return rc;
		ranges[config.nr_ranges++] = blocks;
	}
	if (!config.nr_ranges)
		return -ENOSPC;

	/* Goes before the regions do: what is managed is undone last to first */
	return PTR_ERR_OR_ZERO(devm_cdm_device_register(dev, &config));
}

/*
 * The bus' own "bind" takes what the driver would also bind to by itself. These two stand in
 * its place: the name of a device is all that is asked for.
 */
static ssize_t bind_store(struct device_driver *drv, const char *buf, size_t count)
{
	struct device *dev = bus_find_device_by_name(drv->bus, NULL, buf);
	int rc = dev ? device_driver_attach(drv, dev) : -ENODEV;

	put_device(dev);
	return rc ?: count;
}

static ssize_t unbind_store(struct device_driver *drv, const char *buf, size_t count)
{
	struct device *dev = bus_find_device_by_name(drv->bus, NULL, buf);
	bool ours = dev && dev->driver == drv;

	if (ours)
		device_release_driver(dev);
	put_device(dev);
	return ours ? count : -ENODEV;
}

/* As the bus' own: a device's files go while the file that is written to stays */
static struct driver_attribute driver_attr_bind =
	__ATTR_IGNORE_LOCKDEP(bind, 0200, NULL, bind_store);
static struct driver_attribute driver_attr_unbind =
	__ATTR_IGNORE_LOCKDEP(unbind, 0200, NULL, unbind_store);

static struct attribute *cdm_dax_attrs[] = {
	&driver_attr_bind.attr,
	&driver_attr_unbind.attr,
	NULL
};
ATTRIBUTE_GROUPS(cdm_dax);

static struct dax_device_driver cdm_dax_driver = {
	.drv = {
		.suppress_bind_attrs = true,
		.groups = cdm_dax_groups,
	},
	.type = DAXDRV_CDM_TYPE,
	.probe = cdm_dax_probe,
};

static int __init cdm_dax_init(void)
{
	/* "cdm" for an administrator; the module of that name is the driver core */
	return __dax_driver_register(&cdm_dax_driver, THIS_MODULE, "cdm");
}
module_init(cdm_dax_init);

static void __exit cdm_dax_exit(void)
{
	dax_driver_unregister(&cdm_dax_driver);
}
module_exit(cdm_dax_exit);

MODULE_DESCRIPTION("Memory of dax devices as coherent device memory");
MODULE_LICENSE("GPL");
