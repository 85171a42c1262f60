// SPDX-License-Identifier: GPL-2.0
/*
 * cdmctl run: a program with all of its memory on a device. As numactl --membind does it, which
 * wants -a (--all) for that: libnuma counts only nodes in has_memory.
 */
#include <errno.h>
#include <getopt.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

static int bind_to(int node)
{
	struct bitmask *nodes = numa_allocate_nodemask();
	int rc;

	numa_bitmask_setbit(nodes, node);
	rc = set_mempolicy(MPOL_BIND, nodes->maskp, nodes->size + 1);
	numa_free_nodemask(nodes);
	return rc;
}

/* What set_mempolicy() did not say */
static void explain(const struct device *device, int error)
{
	if (error != EINVAL)
		fail("node %d: %s", device->node, strerror(error));
	else if (strcmp(device->state, "online"))
		fail("node %d: %s is not online, but %s: 'cdmctl online %s'", device->node,
		     device->name, device->state, device->name);
	else if (!strstr(device->capabilities, "user_bind"))
		fail("node %d: %s has not got the capability user_bind, which its driver grants; a program can map /dev/%s",
		     device->node, device->name, device->name);
	else
		fail("node %d is not in this task's cpuset.mems", device->node);
}

/* The device that has the node; NULL, and told, where there is none or nobody can bind to it */
static const struct device *device_of(int node)
{
	static struct devices devices;
	char name[16];

	if (!kernel_has_cdm()) {
		fail("node %d: this kernel has no CONFIG_CDM: programs get a device's memory by mmap() of /dev/cdmN",
		     node);
		return NULL;
	}
	snprintf(name, sizeof(name), "node%d", node);
	return read_devices(&devices) ? find_device(&devices, name) : NULL;
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "node", required_argument, NULL, 'n' },
		{ }
	};
	const struct device *device;
	char *end;
	long node = -1;
	int c;

	while ((c = getopt_long(argc, argv, "+n:", options, NULL)) != -1) {
		if (c != 'n')
			return USAGE;
		node = strtol(optarg, &end, 10);
		if (*end || end == optarg || node < 0 || node >= numa_num_possible_nodes()) {
			fail("node '%s': a number from 0 to %d", optarg,
			     numa_num_possible_nodes() - 1);
			return USAGE;
		}
	}
	if (node < 0 || optind == argc) {
		fail("usage: cdmctl run --node N -- COMMAND...");
		return USAGE;
	}
	device = device_of(node);
	if (!device)
		return FAILED;
	if (bind_to(node)) {
		explain(device, errno);
		return FAILED;
	}
	execvp(argv[optind], argv + optind);
	fail("%s: %s", argv[optind], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
