// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: who has a device's pages, what has happened to them, and what the
 * device takes of system RAM: /sys/class/cdm/cdmN/{pages_in_use,stats}/ and spill_*.
 */
#include <linux/atomic.h>
#include <linux/cdm_node.h>
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/sysfs.h>
#include <trace/events/cdm.h>

#include "cdm_core.h"

/* An allocation has got nothing; @flags are CDM_ALLOC_*, or 0 for a user's page */
void cdm_count_failure(struct cdm_device *cdm, unsigned long nr_pages, unsigned int flags)
{
	atomic_long_inc(&cdm->failed);
	trace_cdm_alloc_failed(cdm->dev.id, cdm->config.nid, nr_pages, flags);
}

/* The folder pages_in_use: who keeps the memory from leaving, in pages. Each file counts. */
static struct cdm_page_count count_pages(struct device *dev)
{
	struct cdm_device *cdm = to_cdm_device(dev);
	struct cdm_page_count count = { };

	if (!READ_ONCE(cdm->removed))
		cdm_node_count_pages(cdm->ranges, cdm->nr_ranges, &count);
	return count;
}

static ssize_t driver_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", cdm_held_pages(to_cdm_device(dev)));
}
static DEVICE_ATTR_RO(driver);

static ssize_t user_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", count_pages(dev).user);
}
static DEVICE_ATTR_ADMIN_RO(user);

static ssize_t pinned_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", count_pages(dev).pinned);
}
static DEVICE_ATTR_ADMIN_RO(pinned);

static ssize_t bad_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", count_pages(dev).bad);
}
static DEVICE_ATTR_ADMIN_RO(bad);

static struct attribute *cdm_pages_attrs[] = {
	&dev_attr_driver.attr,
	&dev_attr_user.attr,
	&dev_attr_pinned.attr,
	&dev_attr_bad.attr,
	NULL
};

const struct attribute_group cdm_pages_group = {
	.name = "pages_in_use",
	.attrs = cdm_pages_attrs,
};

/* The folder stats: pages since the registration, but for free and retired, which are now */
static ssize_t allocated_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct cdm_device *cdm = to_cdm_device(dev);
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(cdm->allocated, cpu));
	return sysfs_emit(buf, "%llu\n", sum);
}
static DEVICE_ATTR_RO(allocated);

/**
 * cdm_device_free_pages() - how much of a device can be allocated now
 * @cdm: the device
 *
 * Context: Any.
 * Return: pages, of which the last few that each CPU took or gave may be missing; 0 while the
 * device is not online.
 */
unsigned long cdm_device_free_pages(const struct cdm_device *cdm)
{
	return READ_ONCE(cdm->online_pages) ? cdm_node_free_pages(cdm->config.nid) : 0;
}
EXPORT_SYMBOL_GPL(cdm_device_free_pages);

static ssize_t free_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", cdm_device_free_pages(to_cdm_device(dev)));
}
static DEVICE_ATTR_RO(free);

static ssize_t failed_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&to_cdm_device(dev)->failed));
}
static DEVICE_ATTR_RO(failed);

static ssize_t evicted_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&to_cdm_device(dev)->evicted));
}
static DEVICE_ATTR_RO(evicted);

static ssize_t spilled_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&to_cdm_device(dev)->spilled));
}
static DEVICE_ATTR_RO(spilled);

static ssize_t retired_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", cdm_retired_pages(to_cdm_device(dev)));
}
static DEVICE_ATTR_RO(retired);

static struct attribute *cdm_stats_attrs[] = {
	&dev_attr_allocated.attr,
	&dev_attr_free.attr,
	&dev_attr_failed.attr,
	&dev_attr_evicted.attr,
	&dev_attr_spilled.attr,
	&dev_attr_retired.attr,
	NULL
};

const struct attribute_group cdm_stats_group = {
	.name = "stats",
	.attrs = cdm_stats_attrs,
};

static ssize_t spill_max_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_cdm_device(dev)->config.spill_max));
}

/* What is above a new limit stays: only the driver can give it back */
static ssize_t spill_max_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t count)
{
	u64 max;
	int rc = kstrtou64(buf, 0, &max);

	if (rc)
		return rc;
	WRITE_ONCE(to_cdm_device(dev)->config.spill_max, max);
	return count;
}

struct device_attribute cdm_spill_max_attr = __ATTR_RW(spill_max);

static ssize_t spill_used_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  (u64)atomic_long_read(to_cdm_device(dev)->spill_used) << PAGE_SHIFT);
}

struct device_attribute cdm_spill_used_attr = __ATTR_RO(spill_used);
