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

static void explain(int node)
{
	if (!kernel_has_cdm())
		fail("node %d: this kernel has no CONFIG_CDM: programs get a device's memory by mmap() of /dev/cdmN",
		     node);
	else if (errno == EINVAL)
		fail("node %d: no online device's, or its driver does not grant user_bind, or not in this task's cpuset.mems: 'cdmctl doctor' looks",
		     node);
	else
		fail("node %d: %s", node, strerror(errno));
}

int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "node", required_argument, NULL, 'n' },
		{ }
	};
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
	if (!kernel_has_cdm() || bind_to(node)) {
		explain(node);
		return FAILED;
	}
	execvp(argv[optind], argv + optind);
	fail("%s: %s", argv[optind], strerror(errno));
	return errno == ENOENT ? 127 : 126;
}
