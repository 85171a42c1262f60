// SPDX-License-Identifier: GPL-2.0
/*
 * cdmctl doctor: what keeps device memory from being isolated, or from being used, and what to
 * do about it. Each check is a function that says what it found with advise().
 */
#define _GNU_SOURCE
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

#define NODES	"/sys/devices/system/node"

static struct json_object *findings;
static struct devices devices;

/* Something is wrong: what, and what to do */
static void advise(const char *check, const char *advice, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void advise(const char *check, const char *advice, const char *format, ...)
{
	struct json_object *finding = json_object_new_object();
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_object_object_add(finding, "check", json_object_new_string(check));
	json_object_object_add(finding, "finding", json_object_new_string(text));
	json_object_object_add(finding, "advice", json_object_new_string(advice));
	json_object_array_add(findings, finding);
}

static bool is_device_node(int node)
{
	size_t i;

	for (i = 0; i < devices.nr; i++)
		if (devices.list[i].node == node)
			return true;
	return false;
}

/* A file of the node's folder, "meminfo" say: the number after @key in it */
static long node_value(int node, const char *file, const char *key)
{
	char path[96], line[128], *text;
	long value = -1;
	FILE *stream;

	snprintf(path, sizeof(path), NODES "/node%d/%s", node, file);
	stream = fopen(path, "re");
	while (stream && value < 0 && fgets(line, sizeof(line), stream)) {
		text = strstr(line, key);
		if (text)
			value = atol(text + strlen(key));
	}
	if (stream)
		fclose(stream);
	return value;
}

/* Who has the dax device whose memory a node is: kmem, or nobody any more; or there is none */
enum dax { NO_DAX, LEFT_BEHIND, OF_KMEM };

/* Of one of them, by its file of that name; NO_DAX for one that is in use as such */
static enum dax dax_of(char *target_node, int node, char *name, size_t size)
{
	char path[PATH_MAX];
	bool ok = true;

	if (read_u64(target_node, &ok) != (uint64_t)node || !ok)
		return NO_DAX;
	*strrchr(target_node, '/') = 0;
	snprintf(name, size, "%s", strrchr(target_node, '/') + 1);
	snprintf(path, sizeof(path), "/sys/bus/dax/drivers/kmem/%s", name);
	if (!access(path, F_OK))
		return OF_KMEM;
	snprintf(path, sizeof(path), "%s/driver", target_node);
	return access(path, F_OK) ? LEFT_BEHIND : NO_DAX;
}

/* A node may be several devices': the one that kmem has is the one to name */
static enum dax find_dax(int node, char *name, size_t size)
{
	enum dax found = NO_DAX, one;
	char other[32];
	glob_t files;
	size_t i;

	if (glob("/sys/bus/dax/devices/*/target_node", 0, NULL, &files))
		return NO_DAX;
	for (i = 0; i < files.gl_pathc; i++) {
		one = dax_of(files.gl_pathv[i], node, other, sizeof(other));
		if (one <= found)
			continue;
		found = one;
		snprintf(name, size, "%s", other);
	}
	globfree(&files);
	return found;
}

/* Returns whether it is a dax device's */
static bool advise_plain_node(int node)
{
	bool has_driver = !access("/sys/bus/dax/drivers/cdm", F_OK);
	char dax[32], advice[256];
	enum dax found = find_dax(node, dax, sizeof(dax));

	if (found == NO_DAX)
		snprintf(advice, sizeof(advice),
			 "for its driver to register; until it does: keep it offline, by memhp_default_state=offline on the kernel's command line");
	else if (found == LEFT_BEHIND)
		snprintf(advice, sizeof(advice),
			 "kmem was unbound from %s while this was online, and left it behind until reboot: daxctl offline-memory %s comes first",
			 dax, dax);
	else if (!kernel_has_cdm())
		snprintf(advice, sizeof(advice),
			 "it needs a kernel with CONFIG_CDM, and stays unused meanwhile: daxctl offline-memory %s",
			 dax);
	else
		snprintf(advice, sizeof(advice),
			 "%sdaxctl offline-memory %s && echo %s > /sys/bus/dax/drivers/kmem/unbind && echo %s > /sys/bus/dax/drivers/cdm/bind",
			 has_driver ? "" : "modprobe dax_cdm && ", dax, dax, dax);
	advise("plain_node", advice,
	       "node %d has memory, no CPU, and is no coherent device: page cache and hugetlb pools land there, %ld KiB of page cache now",
	       node, node_value(node, "meminfo", "FilePages:"));
	return found != NO_DAX;
}

/*
 * Memory without a CPU that is nobody's device: a GPU as a plain node fills with page cache.
 * Returns how many of them are dax devices'.
 */
static int check_plain_nodes(void)
{
	char has_cpu[256] = "", has_memory[256] = "";
	int node, nr = 0;

	read_text(NODES "/has_cpu", has_cpu, sizeof(has_cpu));
	read_text(NODES "/has_memory", has_memory, sizeof(has_memory));
	for (node = 0; node < 1024; node++) {
		if (!nodes_have(has_memory, node) || nodes_have(has_cpu, node) ||
		    is_device_node(node))
			continue;
		nr += advise_plain_node(node);
	}
	return nr;
}

static void check_states(void)
{
	const struct device *device;
	char advice[64];
	size_t i;

	for (i = 0; i < devices.nr; i++) {
		device = &devices.list[i];
		snprintf(advice, sizeof(advice), "cdmctl online %s", device->name);
		if (!strcmp(device->state, "added"))
			advise("offline", advice,
			       "%s is offline: nobody gets memory of node %d", device->name,
			       device->node);
		else if (!strcmp(device->state, "online") && device->online < device->size)
			advise("partly_online", advice,
			       "%s: %s of %s are online: somebody offlined single blocks",
			       device->name, human(device->online), human(device->size));
	}
}

/* Harmless where the core onlines, but it decides for memory that no driver has registered */
static void check_auto_online(void)
{
	char policy[32] = "";

	read_text("/sys/devices/system/memory/auto_online_blocks", policy, sizeof(policy));
	if (!devices.nr && strcmp(policy, "offline") && strcmp(policy, "online_movable"))
		advise("auto_online",
		       "load the device's driver for CDM first: it onlines to ZONE_MOVABLE whatever this says",
		       "auto_online_blocks is '%s': memory that is added without a driver for CDM goes to ZONE_NORMAL, and cannot be taken away again",
		       policy);
}

static void check_hugetlb(void)
{
	const struct device *device;
	char path[96];
	bool ok;
	glob_t pools;
	size_t i, j;

	for (i = 0; i < devices.nr; i++) {
		device = &devices.list[i];
		snprintf(path, sizeof(path), NODES "/node%d/hugepages/*/nr_hugepages",
			 device->node);
		if (glob(path, 0, NULL, &pools))
			continue;
		for (j = 0; j < pools.gl_pathc; j++) {
			ok = true;
			if (read_u64(pools.gl_pathv[j], &ok) && ok)
				advise("hugetlb", "write 0 to it",
				       "a hugetlb pool has pages of %s's node: %s", device->name,
				       pools.gl_pathv[j]);
		}
		globfree(&pools);
	}
}

static void check_numa_balancing(void)
{
	bool ok = true;

	if (devices.nr && !kernel_has_cdm() && read_u64("/proc/sys/kernel/numa_balancing", &ok) &&
	    ok)
		advise("numa_balancing",
		       "sysctl kernel.numa_balancing=0, or a kernel with CONFIG_CDM",
		       "numa_balancing is on, and this kernel does not know that device pages stay: what programs have of a device is scanned, and faults for it");
}

/* A task in such a cpuset cannot bind to a device that its driver lets it bind to */
static int check_cpuset(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
	const struct device *device;
	char mems[256], first[4096];
	size_t i;

	if (strcmp(path + ftw->base, "cpuset.mems") || !read_text(path, mems, sizeof(mems)) ||
	    !*mems)
		return 0;
	/* Only cgroup v1's first group has that file: all of RAM is its, and it restricts nobody */
	snprintf(first, sizeof(first), "%.*srelease_agent", ftw->base, path);
	if (!access(first, F_OK))
		return 0;
	for (i = 0; i < devices.nr; i++) {
		device = &devices.list[i];
		if (strstr(device->capabilities, "user_bind") && !nodes_have(mems, device->node))
			advise("cpuset", "add the node to it, if its tasks are to bind to the device; /dev/cdmN and drivers work all the same",
			       "%s is '%s', without node %d of %s", path, mems, device->node,
			       device->name);
	}
	return 0;
}

static void check_cpusets(void)
{
	if (devices.nr && kernel_has_cdm())
		nftw("/sys/fs/cgroup", check_cpuset, 16, FTW_PHYS);
}

/* Does a device that no firmware describes find a node id? */
static void check_node_ids(void)
{
	char possible[256] = "", line[4096] = "", online[256] = "";
	int node, spare = 0;

	read_text(NODES "/possible", possible, sizeof(possible));
	read_text(NODES "/online", online, sizeof(online));
	read_text("/proc/cmdline", line, sizeof(line));
	for (node = 0; node < 1024; node++)
		spare += nodes_have(possible, node) && !nodes_have(online, node);
	if (devices.nr || spare)
		return;
	if (!kernel_has_cdm())
		advise("node_ids", "a kernel with CONFIG_CDM, booted with cdm_nodes=N: this one takes only devices that firmware describes",
		       "no node id is left for a device that firmware does not describe");
	else
		advise("node_ids",
		       strstr(line, "cdm_nodes=") ? "boot with a larger cdm_nodes=" :
						    "boot with cdm_nodes=N for N such devices",
		       "no node id is left for a device that firmware does not describe");
}

static void check_troubles(void)
{
	const uint64_t full = page_size() > 4096 ? 512 * page_size() : 8 << 20;
	const struct device *device;
	size_t i;

	for (i = 0; i < devices.nr; i++) {
		device = &devices.list[i];
		if (device->retired)
			advise("bad_pages", "see its bad_pages file; have the device looked at",
			       "%s has %llu bad pages, which nobody gets any more", device->name,
			       (unsigned long long)device->retired);
		/* Of a device that has room again it is history. The kernel keeps a reserve. */
		if (device->failed && device->online && device->free <= full)
			advise("failed", "cdmctl list -u shows who has its memory; spill_max lets its driver use RAM",
			       "%s is full, and %llu allocations have found no memory",
			       device->name, (unsigned long long)device->failed);
		if (device->spill_max && device->spill_used >= device->spill_max)
			advise("spill", "cdmctl set DEVICE spill_max=, or use less",
			       "%s has used up its %s of system RAM", device->name,
			       human(device->spill_max));
	}
}

static void show(void)
{
	struct json_object *finding;
	size_t i, nr = json_object_array_length(findings);

	for (i = 0; i < nr; i++) {
		finding = json_object_array_get_idx(findings, i);
		printf("* %s\n    %s\n",
		       json_object_get_string(json_object_object_get(finding, "finding")),
		       json_object_get_string(json_object_object_get(finding, "advice")));
	}
	if (!nr)
		printf("devices: %zu, nothing is wrong\n", devices.nr);
}

int cmd_doctor(int argc, char **argv)
{
	struct json_object *top;
	size_t nr;

	if (argc != 1) {
		fail("usage: cdmctl doctor");
		return USAGE;
	}
	findings = json_object_new_array();
	/* Also where there is none: then what would keep it from being one */
	if (!access("/sys/class/cdm", F_OK) && !read_devices(&devices))
		return FAILED;
	if (access("/sys/class/cdm", F_OK))
		advise("no_core", "load the module cdm, or boot a kernel with CONFIG_CDM_DEVICE",
		       "this kernel has no coherent devices");
	/* firmware describes a dax device whose node is there; few have another device */
	if (!check_plain_nodes())
		check_node_ids();
	check_auto_online();
	check_states();
	check_hugetlb();
	check_numa_balancing();
	check_cpusets();
	check_troubles();

	nr = json_object_array_length(findings);
	top = json_object_new_object();
	json_object_object_add(top, "findings", json_object_get(findings));
	if (as_json)
		print_json(top);
	else
		show();
	free(devices.list);
	return nr ? FAILED : 0;
}
