// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: /sys/class/cdm/cdmN/, one value a file.
 * Documented in Documentation/ABI/testing/sysfs-class-cdm.
 */
#include <linux/bitops.h>
#include <linux/cdm_node.h>
#include <linux/device.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "cdm_core.h"

static const char * const state_names[] = {
	[CDM_ADDED] = "added",
	[CDM_ONLINING] = "onlining",
	[CDM_ONLINE] = "online",
	[CDM_DRAINING] = "draining",
	[CDM_REMOVED] = "removed",
};

const char *cdm_state_name(const struct cdm_device *cdm)
{
	return state_names[cdm_state(cdm)];
}

static const char * const fallback_names[] = {
	[CDM_FALLBACK_NONE] = "none",
	[CDM_FALLBACK_SYSTEM] = "system",
};

static const char * const cap_names[CDM_NR_CAPS] = {
	"user_bind", "reclaim", "compaction", "thp_collapse",	/* in the order of CDM_CAP_* */
};

static const char * const online_policy_names[] = {
	[CDM_ONLINE_AUTO] = "auto",
	[CDM_ONLINE_MANUAL] = "manual",
};

static ssize_t node_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", to_cdm_device(dev)->config.nid);
}
static DEVICE_ATTR_RO(node);

static ssize_t size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", to_cdm_device(dev)->size);
}
static DEVICE_ATTR_RO(size);

static ssize_t online_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  PFN_PHYS(READ_ONCE(to_cdm_device(dev)->online_pages)));
}
static DEVICE_ATTR_RO(online_size);

/* While the state changes, blocks that are there already, of all of them; else "0 0" */
static ssize_t progress_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct cdm_device *cdm = to_cdm_device(dev);
	unsigned long online = PFN_PHYS(READ_ONCE(cdm->online_pages)) / memory_block_size_bytes();

	switch (cdm_state(cdm)) {
	case CDM_ONLINING:
		return sysfs_emit(buf, "%lu %lu\n", online, cdm->nr_blocks);
	case CDM_DRAINING:
		return sysfs_emit(buf, "%lu %lu\n", cdm->nr_blocks - online, cdm->nr_blocks);
	default:
		return sysfs_emit(buf, "0 0\n");
	}
}
static DEVICE_ATTR_RO(progress);

static ssize_t capabilities_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	unsigned long caps = READ_ONCE(to_cdm_device(dev)->config.caps);
	ssize_t len = 0;
	int cap;

	for_each_set_bit(cap, &caps, CDM_NR_CAPS)
		len += sysfs_emit_at(buf, len, "%s%s", len ? " " : "", cap_names[cap]);
	return len + sysfs_emit_at(buf, len, "\n");
}

/* Words in any order to a set of capabilities; -EINVAL for a word that is none */
static int parse_caps(char *words, unsigned long *caps)
{
	char *word;
	int cap;

	*caps = 0;
	while ((word = strsep(&words, "\n "))) {
		if (!*word)
			continue;
		cap = match_string(cap_names, CDM_NR_CAPS, word);
		if (cap < 0)
			return -EINVAL;
		*caps |= BIT(cap);
	}
	return 0;
}

/* What is to be left: a capability that the driver did not grant cannot be had */
static ssize_t capabilities_store(struct device *dev, struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct cdm_device *cdm = to_cdm_device(dev);
	char *words = kstrdup(buf, GFP_KERNEL);
	unsigned long caps;
	int rc;

	if (!words)
		return -ENOMEM;
	rc = parse_caps(words, &caps);
	kfree(words);
	if (rc)
		return rc;

	if (caps & ~CDM_CAPS_SUPPORTED) {
		dev_warn_ratelimited(dev, "capabilities need a kernel with CONFIG_CDM\n");
		return -EOPNOTSUPP;
	}
	guard(mutex)(&cdm->lock);
	if (cdm->removed)
		return -ENODEV;
	if (caps & ~cdm->config.caps)
		return -EPERM;
	cdm_node_revoke(cdm->config.nid, cdm->config.caps & ~caps);
	WRITE_ONCE(cdm->config.caps, caps);
	return count;
}
static DEVICE_ATTR_RW(capabilities);

static ssize_t state_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", cdm_state_name(to_cdm_device(dev)));
}

static ssize_t state_store(struct device *dev, struct device_attribute *attr, const char *buf,
			   size_t count)
{
	int rc;

	if (sysfs_streq(buf, "online_movable"))
		rc = cdm_device_online(to_cdm_device(dev));
	else if (sysfs_streq(buf, "offline"))
		rc = cdm_device_offline(to_cdm_device(dev), cdm_drain_seconds());
	else if (sysfs_streq(buf, "cancel"))
		rc = cdm_device_cancel(to_cdm_device(dev));
	else
		return -EINVAL;
	return rc ?: count;
}
static DEVICE_ATTR_RW(state);

static ssize_t fallback_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	enum cdm_fallback fallback = READ_ONCE(to_cdm_device(dev)->config.fallback);

	return sysfs_emit(buf, "%s\n", fallback_names[fallback]);
}

/* Only while the device is offline: allocations in flight see one policy, not two */
static ssize_t fallback_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	struct cdm_device *cdm = to_cdm_device(dev);
	int fallback = sysfs_match_string(fallback_names, buf);

	if (fallback < 0)
		return fallback;
	if (!IS_ENABLED(CONFIG_CDM) && fallback != CDM_FALLBACK_NONE) {
		dev_warn_ratelimited(dev, "fallback system needs a kernel with CONFIG_CDM\n");
		return -EOPNOTSUPP;
	}

	guard(mutex)(&cdm->lock);
	if (cdm_state(cdm) != CDM_ADDED)
		return -EBUSY;
	WRITE_ONCE(cdm->config.fallback, fallback);
	cdm_node_set_fallback(cdm->config.nid, fallback);
	return count;
}
static DEVICE_ATTR_RW(fallback);

static ssize_t online_policy_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  online_policy_names[to_cdm_device(dev)->config.online_policy]);
}
static DEVICE_ATTR_RO(online_policy);

static struct attribute *cdm_device_attrs[] = {
	&dev_attr_node.attr,
	&dev_attr_size.attr,
	&dev_attr_online_size.attr,
	&dev_attr_progress.attr,
	&dev_attr_capabilities.attr,
	&dev_attr_state.attr,
	&dev_attr_fallback.attr,
	&dev_attr_online_policy.attr,
	&cdm_spill_max_attr.attr,
	&cdm_spill_used_attr.attr,
	NULL
};

static cdm_bin_const struct bin_attribute *cdm_bin_const cdm_device_bin_attrs[] = {
	&cdm_bad_pages_attr,
	NULL
};

static const struct attribute_group cdm_device_group = {
	.attrs = cdm_device_attrs,
	.bin_attrs = cdm_device_bin_attrs,
};

const struct attribute_group *cdm_device_groups[] = {
	&cdm_device_group,
	&cdm_pages_group,
	&cdm_stats_group,
	NULL
};

/* What each uevent of the device says */
int cdm_uevent(const struct device *dev, struct kobj_uevent_env *env)
{
	const struct cdm_device *cdm = container_of_const(dev, struct cdm_device, dev);
	int rc = add_uevent_var(env, "CDM_NODE=%d", cdm->config.nid);

	return rc ?: add_uevent_var(env, "CDM_STATE=%s", cdm_state_name(cdm));
}
