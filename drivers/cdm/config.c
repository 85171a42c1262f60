// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: what a registration may ask for. Everything that can be said
 * of a configuration by itself; overlaps show when the memory is added.
 */
#include <linux/cdm.h>
#include <linux/device.h>
#include <linux/memory.h>
#include <linux/nodemask.h>
#include <linux/topology.h>

#include <kunit/visibility.h>

#include "cdm_core.h"

static int check_range(struct device *parent, const struct cdm_range *range)
{
	unsigned long block = memory_block_size_bytes();

	if (!range->size) {
		dev_err(parent, "cdm: size 0\n");
		return -EINVAL;
	}
	if (!IS_ALIGNED(range->start, block)) {
		dev_err(parent, "cdm: start %#llx is not aligned to the memory block, %#lx\n",
			range->start, block);
		return -EINVAL;
	}
	if (!IS_ALIGNED(range->size, block)) {
		dev_err(parent, "cdm: size %#llx is not a multiple of the memory block, %#lx\n",
			range->size, block);
		return -EINVAL;
	}
	if (!cdm_node_range_addressable(range->start, range->size)) {
		dev_err(parent, "cdm: start %#llx size %#llx is beyond what the CPU can map\n",
			range->start, range->size);
		return -ERANGE;
	}
	return 0;
}

static int check_ranges(struct device *parent, const struct cdm_config *config)
{
	unsigned int i;
	int rc;

	if (!config->nr_ranges) {
		dev_err(parent, "cdm: nr_ranges 0\n");
		return -EINVAL;
	}
	for (i = 0; i < config->nr_ranges; i++) {
		rc = check_range(parent, &config->ranges[i]);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_bad_pages(struct device *parent, const struct cdm_config *config)
{
	unsigned int i;

	for (i = 0; i < config->nr_bad_pages; i++) {
		if (!cdm_ranges_have(config->ranges, config->nr_ranges, config->bad_pages[i])) {
			dev_err(parent, "cdm: bad_pages %#llx is outside of the memory\n",
				config->bad_pages[i]);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_distance(struct device *parent, const struct cdm_config *config)
{
	if (!config->distance)
		return 0;
	if (config->distance <= LOCAL_DISTANCE || config->distance >= 255) {
		dev_err(parent, "cdm: distance %u is not between %u and 255\n",
			config->distance, LOCAL_DISTANCE);
		return -EINVAL;
	}
	if (config->near < 0 || config->near >= MAX_NUMNODES ||
	    !node_state(config->near, N_MEMORY)) {
		dev_err(parent, "cdm: near %d is not a node of system RAM\n", config->near);
		return -EINVAL;
	}
	return 0;
}

static int check_node(struct device *parent, int nid)
{
	if (nid == CDM_NID_AUTO)
		return 0;
	if (nid < 0 || nid >= MAX_NUMNODES || !node_possible(nid)) {
		dev_err(parent, "cdm: nid %d is not a possible node\n", nid);
		return -EINVAL;
	}
	if (node_state(nid, N_CPU)) {
		dev_err(parent, "cdm: nid %d has CPUs\n", nid);
		return -EBUSY;
	}
	if (node_state(nid, N_MEMORY)) {
		dev_err(parent, "cdm: nid %d is system RAM\n", nid);
		return -EBUSY;
	}
	return 0;
}

/* What only a kernel with CONFIG_CDM can do */
static int check_supported(struct device *parent, const struct cdm_config *config)
{
	if (IS_ENABLED(CONFIG_CDM))
		return 0;
	if (config->fallback != CDM_FALLBACK_NONE) {
		dev_err(parent, "cdm: fallback %u needs a kernel with CONFIG_CDM\n",
			config->fallback);
		return -EOPNOTSUPP;
	}
	if (config->caps) {
		dev_err(parent, "cdm: caps %#lx need a kernel with CONFIG_CDM\n", config->caps);
		return -EOPNOTSUPP;
	}
	if (config->distance) {
		dev_err(parent, "cdm: distance %u needs a kernel with CONFIG_CDM\n",
			config->distance);
		return -EOPNOTSUPP;
	}
	if (!CDM_CAN_SET_PERF_ATTRS && memchr_inv(&config->access, 0, sizeof(config->access))) {
		dev_err(parent, "cdm: access: attributes need a kernel of 6.12 or later\n");
		return -EOPNOTSUPP;
	}
	return 0;
}

/**
 * cdm_config_check() - is a configuration one that can be registered?
 * @parent: the device to log for
 * @config: the configuration
 *
 * Return: 0, or an error after one log line that names the field and its value:
 * -EINVAL for no range or one of size 0, an unaligned start or size, a node that is not
 * possible, an unknown fallback, policy or capability, a bad page outside of the ranges, a
 * distance that is none or to a node without RAM; -ERANGE for an address that the CPU
 * cannot map; -EBUSY for a node with CPUs or system RAM; -EOPNOTSUPP for what a kernel
 * without CONFIG_CDM cannot do: fallback, capabilities, distance.
 */
int cdm_config_check(struct device *parent, const struct cdm_config *config)
{
	int rc = check_ranges(parent, config);

	rc = rc ?: check_node(parent, config->nid);
	rc = rc ?: check_bad_pages(parent, config);
	rc = rc ?: check_distance(parent, config);
	if (rc)
		return rc;

	if (config->fallback > CDM_FALLBACK_SYSTEM) {
		dev_err(parent, "cdm: fallback %u is unknown\n", config->fallback);
		return -EINVAL;
	}
	if (config->online_policy > CDM_ONLINE_MANUAL) {
		dev_err(parent, "cdm: online_policy %u is unknown\n", config->online_policy);
		return -EINVAL;
	}
	if (config->caps & ~CDM_CAPS_ALL) {
		dev_err(parent, "cdm: caps %#lx has unknown bits\n", config->caps);
		return -EINVAL;
	}
	return check_supported(parent, config);
}
EXPORT_SYMBOL_IF_KUNIT(cdm_config_check);
