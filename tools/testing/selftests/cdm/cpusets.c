// SPDX-License-Identifier: GPL-2.0
/*
 * Which cpusets may have a device node: none by default, those that name it, and no longer
 * than they do. In both versions of cgroups.
 */
#include <limits.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "util.h"

#define SIZE	(8 * MIB)

FIXTURE(cpusets) {
	int nid;
	unsigned long mask;
	const char *top;
	char group[128];
	char with[16];		/* "0-1,2": RAM and the device */
	char device[16];
	char *p;
	long nr_pages;
};

FIXTURE_VARIANT(cpusets) {
	bool v1;
};

FIXTURE_VARIANT_ADD(cpusets, v2) { .v1 = false };
FIXTURE_VARIANT_ADD(cpusets, v1) { .v1 = true };

#define V1_TOP "/tmp/cdm_cpuset"
#define RAM_NODES (NODE(0) | NODE(1))

static int set(const char *group, const char *file, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cpuset.%s", group, file);
	return write_file(path, value);
}

/* The first version's groups hold no task before they have CPUs and memory */
static int make_group(const char *group, const char *mems, bool v1)
{
	if (mkdir(group, 0755))
		return -errno;
	if (v1 && set(group, "cpus", "0-1"))
		return -EIO;
	return mems ? set(group, "mems", mems) : 0;
}

static int mount_v1(void)
{
	if (mkdir(V1_TOP, 0755) && errno != EEXIST)
		return -errno;
	write_file("/sys/fs/cgroup/cgroup.subtree_control", "-cpuset");
	return mount("cpuset", V1_TOP, "cgroup", 0, "cpuset") ? -errno : 0;
}

static int enable_v2(void)
{
	return write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
}

/* Each version lets go of the controller a moment after its last group has gone */
static int take_controller(bool v1)
{
	int tries, rc;

	for (tries = 0; tries < 50; tries++) {
		rc = v1 ? mount_v1() : enable_v2();
		if (!rc)
			break;
		usleep(100000);
	}
	return rc;
}

FIXTURE_SETUP(cpusets)
{
	unsigned long devices = device_nodes();

	if (!devices)
		SKIP(return, "needs a device node");
	self->nid = __builtin_ctzl(devices);
	self->mask = NODE(self->nid);
	snprintf(self->with, sizeof(self->with), "0-1,%d", self->nid);
	snprintf(self->device, sizeof(self->device), "%d", self->nid);

	ASSERT_EQ(take_controller(variant->v1), 0);
	self->top = variant->v1 ? V1_TOP : "/sys/fs/cgroup";
	snprintf(self->group, sizeof(self->group), "%s/cdm_cpusets", self->top);
	self->p = map_anonymous(SIZE);
	ASSERT_NE(self->p, NULL);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_NOHUGEPAGE), 0);
	self->nr_pages = SIZE / sysconf(_SC_PAGESIZE);
}

FIXTURE_TEARDOWN(cpusets)
{
	if (!self->top)
		return;
	munmap(self->p, SIZE);
	EXPECT_EQ(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	EXPECT_EQ(enter_cgroup(self->top), 0);
	EXPECT_TRUE(!rmdir(self->group) || errno == ENOENT);
	if (variant->v1)
		EXPECT_EQ(umount(V1_TOP), 0);
}

/* Mems_allowed of this task */
static unsigned long mems_allowed(void)
{
	unsigned long mask = 0;
	struct bitmask *nodes;
	char line[256], *list;
	FILE *file = fopen("/proc/self/status", "r");
	int nid;

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "Mems_allowed_list:", 18))
			continue;
		list = line + 18 + strspn(line + 18, "\t ");
		list[strcspn(list, "\n")] = 0;
		nodes = numa_parse_nodestring_all(list);
		for (nid = 0; nodes && nid < MAX_NODES; nid++)
			if (numa_bitmask_isbitset(nodes, nid))
				mask |= NODE(nid);
		if (nodes)
			numa_free_nodemask(nodes);
	}
	if (file)
		fclose(file);
	return mask;
}

static int try_bind(FIXTURE_DATA(cpusets) *self)
{
	return mbind(self->p, SIZE, MPOL_BIND, &self->mask, MAXNODE, 0) ? errno : 0;
}

TEST_F(cpusets, default_is_ram)
{
	EXPECT_EQ(mems_allowed(), RAM_NODES);
	ASSERT_EQ(make_group(self->group, variant->v1 ? "0-1" : NULL, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES);
	/* A second version's group without mems of its own has nothing to say about it */
	EXPECT_EQ(try_bind(self), variant->v1 ? EINVAL : 0);
}

TEST_F(cpusets, named_is_granted)
{
	ASSERT_EQ(make_group(self->group, self->with, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES | self->mask);
	/* Only by name, even so */
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), 0);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_DONTNEED), 0);
	ASSERT_EQ(try_bind(self), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
}

TEST_F(cpusets, left_out_is_refused)
{
	unsigned long ram = NODE(0);
	int node = self->nid, status;
	void *page = self->p;

	ASSERT_EQ(make_group(self->group, "0", variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(try_bind(self), EINVAL);
	EXPECT_EQ(set_mempolicy(MPOL_BIND, &self->mask, MAXNODE), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE), -1);
	EXPECT_EQ(errno, EACCES);
	EXPECT_EQ(migrate_pages(0, MAXNODE, &ram, &self->mask), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(0)), self->nr_pages);
}

TEST_F(cpusets, device_alone_is_refused)
{
	ASSERT_EQ(make_group(self->group, "0", variant->v1), 0);
	EXPECT_EQ(set(self->group, "mems", self->device), -EINVAL);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	EXPECT_EQ(mems_allowed(), NODE(0));
}

/* A group inherits its parent's grant, and cannot have what the parent has not */
TEST_F(cpusets, inherited)
{
	char child[160];

	snprintf(child, sizeof(child), "%s/child", self->group);
	ASSERT_EQ(make_group(self->group, self->with, variant->v1), 0);
	if (!variant->v1) {
		snprintf(child, sizeof(child), "%s/cgroup.subtree_control", self->group);
		ASSERT_EQ(write_file(child, "+cpuset"), 0);
		snprintf(child, sizeof(child), "%s/child", self->group);
	}
	ASSERT_EQ(make_group(child, variant->v1 ? self->with : NULL, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(child), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES | self->mask);
	EXPECT_EQ(try_bind(self), 0);
	ASSERT_EQ(enter_cgroup(self->top), 0);

	EXPECT_EQ(set(child, "mems", "0-1"), 0);
	ASSERT_EQ(set(self->group, "mems", "0-1"), 0);
	EXPECT_EQ(set(child, "mems", self->with), variant->v1 ? -EACCES : 0);
	ASSERT_EQ(enter_cgroup(child), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES);
	EXPECT_EQ(try_bind(self), EINVAL);
	ASSERT_EQ(enter_cgroup(self->top), 0);
	EXPECT_EQ(rmdir(child), 0);
}

/* The parent says which nodes there are after its child has: the child has no others */
TEST_F(cpusets, parent_set_after_child)
{
	char child[160];

	if (variant->v1) {
		/* There a child has nothing before its parent has it */
		ASSERT_EQ(make_group(self->group, NULL, true), 0);
		snprintf(child, sizeof(child), "%s/child", self->group);
		ASSERT_EQ(make_group(child, NULL, true), 0);
		EXPECT_EQ(set(child, "mems", self->with), -EACCES);
		EXPECT_EQ(rmdir(child), 0);
		return;
	}
	ASSERT_EQ(make_group(self->group, NULL, false), 0);
	snprintf(child, sizeof(child), "%s/cgroup.subtree_control", self->group);
	ASSERT_EQ(write_file(child, "+cpuset"), 0);
	snprintf(child, sizeof(child), "%s/child", self->group);
	ASSERT_EQ(make_group(child, self->with, false), 0);
	ASSERT_EQ(enter_cgroup(child), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES | self->mask);
	EXPECT_EQ(try_bind(self), 0);

	ASSERT_EQ(set(self->group, "mems", "0-1"), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES);
	EXPECT_EQ(try_bind(self), EINVAL);
	/* A group with tasks keeps its mems */
	ASSERT_EQ(enter_cgroup(self->top), 0);
	ASSERT_EQ(set(self->group, "mems", "\n"), 0);
	ASSERT_EQ(enter_cgroup(child), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES | self->mask);
	EXPECT_EQ(try_bind(self), 0);
	ASSERT_EQ(enter_cgroup(self->top), 0);
	EXPECT_EQ(rmdir(child), 0);
}

/* Under a running task: pages stay, later faults follow what is allowed then */
TEST_F(cpusets, taken_away_and_given_back)
{
	long quarter = self->nr_pages / 4, bytes = SIZE / 4;

	ASSERT_EQ(make_group(self->group, self->with, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	ASSERT_EQ(try_bind(self), 0);
	memset(self->p, 1, bytes);

	ASSERT_EQ(set(self->group, "mems", "0-1"), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES);
	memset(self->p + bytes, 2, bytes);
	EXPECT_EQ(pages_on(self->p, bytes, self->mask), quarter);
	EXPECT_EQ(pages_on(self->p + bytes, bytes, RAM_NODES), quarter);

	ASSERT_EQ(set(self->group, "mems", self->with), 0);
	memset(self->p + 2 * bytes, 3, bytes);
	EXPECT_EQ(pages_on(self->p + 2 * bytes, bytes, self->mask), quarter);
	EXPECT_EQ(pages_on(self->p, bytes, self->mask), quarter);
}

/* Naming a device moves none of the pages that are in RAM, nor rebinds a policy to it */
TEST_F(cpusets, naming_it_moves_nobody)
{
	unsigned long ram = NODE(0), nodes = 0;
	uint64_t *before = calloc(self->nr_pages, sizeof(*before));
	uint64_t *after = calloc(self->nr_pages, sizeof(*after));
	int mode;

	ASSERT_TRUE(before && after);
	ASSERT_EQ(make_group(self->group, "0-1", variant->v1), 0);
	if (variant->v1)
		ASSERT_EQ(set(self->group, "memory_migrate", "1"), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &ram, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(read_frames(self->p, self->nr_pages, before), 0);
	ASSERT_EQ(set(self->group, "mems", self->with), 0);
	ASSERT_EQ(set(self->group, "mems", "0-1"), 0);
	ASSERT_EQ(set(self->group, "mems", self->with), 0);
	ASSERT_EQ(read_frames(self->p, self->nr_pages, after), 0);
	/* RAM may be compacted, a device is not */
	EXPECT_EQ(memcmp(before + self->nr_pages / 2, after + self->nr_pages / 2,
			 self->nr_pages / 2 * sizeof(*before)), 0);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, ram), self->nr_pages / 2);
	ASSERT_EQ(get_mempolicy(&mode, &nodes, MAXNODE, self->p, MPOL_F_ADDR), 0);
	EXPECT_EQ(nodes, NODE(0));
	free(before);
	free(after);
}

/* RAM nodes are remapped as ever; a device that is named is no node to be remapped onto */
TEST_F(cpusets, policies_are_remapped_around_it)
{
	unsigned long ram = NODE(0), all = RAM_NODES | self->mask, nodes = 0;
	char mems[16];
	int mode;

	snprintf(mems, sizeof(mems), "0,%d", self->nid);
	ASSERT_EQ(make_group(self->group, mems, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &ram, MAXNODE, 0), 0);
	snprintf(mems, sizeof(mems), "1,%d", self->nid);
	ASSERT_EQ(set(self->group, "mems", mems), 0);
	ASSERT_EQ(get_mempolicy(&mode, &nodes, MAXNODE, self->p, MPOL_F_ADDR), 0);
	EXPECT_EQ(nodes, NODE(1));

	/* Interleaving over all that is allowed means RAM */
	ASSERT_EQ(set(self->group, "mems", self->with), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_INTERLEAVE, &all, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), 0);
}

TEST_F(cpusets, static_and_relative_flags)
{
	unsigned long third = NODE(2), nodes = 0;
	int mode;

	ASSERT_EQ(make_group(self->group, self->with, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);

	/* The third of the allowed nodes would be the device: it is folded onto RAM */
	ASSERT_EQ(mbind(self->p, SIZE / 2, MPOL_BIND | MPOL_F_RELATIVE_NODES, &third, MAXNODE, 0),
		  0);
	ASSERT_EQ(mbind(self->p + SIZE / 2, SIZE / 2, MPOL_BIND | MPOL_F_STATIC_NODES,
			&self->mask, MAXNODE, 0), 0);
	ASSERT_EQ(set(self->group, "mems", "0-1"), 0);
	ASSERT_EQ(set(self->group, "mems", self->with), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, self->mask), 0);
	EXPECT_EQ(pages_on(self->p + SIZE / 2, SIZE / 2, self->mask), self->nr_pages / 2);
	ASSERT_EQ(get_mempolicy(&mode, &nodes, MAXNODE, self->p + SIZE / 2, MPOL_F_ADDR), 0);
	EXPECT_EQ(nodes, self->mask);
}

static int set_device(int nid, const char *name, const char *value)
{
	char path[PATH_MAX];

	return device_file(nid, name, path, sizeof(path)) ?: write_file(path, value);
}

static int set_state(int nid, const char *state)
{
	return set_device(nid, "state", state);
}

static int set_fallback(int nid, const char *fallback)
{
	return set_state(nid, "offline") ?: set_device(nid, "fallback", fallback) ?:
	       set_state(nid, "online_movable");
}

/* The first version forgets a node that goes, as it does of RAM; the second remembers */
TEST_F(cpusets, unplugged_while_named)
{
	unsigned long again = variant->v1 ? RAM_NODES : RAM_NODES | self->mask;

	ASSERT_EQ(make_group(self->group, self->with, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	ASSERT_EQ(try_bind(self), 0);
	memset(self->p, 7, SIZE / 2);
	ASSERT_EQ(set_state(self->nid, "offline"), 0);
	EXPECT_EQ(mems_allowed(), RAM_NODES);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, RAM_NODES), self->nr_pages / 2);
	EXPECT_EQ(self->p[SIZE / 2 - 1], 7);
	memset(self->p + SIZE / 2, 8, SIZE / 4);
	EXPECT_EQ(pages_on(self->p + SIZE / 2, SIZE / 4, RAM_NODES), self->nr_pages / 4);
	ASSERT_EQ(set_state(self->nid, "online_movable"), 0);
	EXPECT_EQ(mems_allowed(), again);
	memset(self->p + SIZE / 4 * 3, 9, SIZE / 4);
	EXPECT_EQ(pages_on(self->p + SIZE / 4 * 3, SIZE / 4, again & self->mask),
		  variant->v1 ? 0 : self->nr_pages / 4);
}

/* Somebody else's device coming and going changes nothing for a task, here or in the root */
TEST_F(cpusets, hot_plug_moves_nobody)
{
	unsigned long other = node_mask("has_cdm") & ~self->mask, ram = NODE(1), nodes = 0;
	uint64_t *before = calloc(self->nr_pages, sizeof(*before));
	uint64_t *after = calloc(self->nr_pages, sizeof(*after));
	int mode;

	if (!other)
		SKIP(return, "needs two devices");
	ASSERT_TRUE(before && after);
	ASSERT_EQ(make_group(self->group, self->with, variant->v1), 0);
	ASSERT_EQ(enter_cgroup(self->group), 0);
	ASSERT_EQ(mbind(self->p, SIZE / 2, MPOL_BIND, &ram, MAXNODE, 0), 0);
	ASSERT_EQ(mbind(self->p + SIZE / 2, SIZE / 2, MPOL_BIND, &self->mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(read_frames(self->p, self->nr_pages, before), 0);
	ASSERT_EQ(set_state(__builtin_ctzl(other), "offline"), 0);
	ASSERT_EQ(set_state(__builtin_ctzl(other), "online_movable"), 0);
	ASSERT_EQ(read_frames(self->p, self->nr_pages, after), 0);
	/* RAM may be compacted, a device is not */
	EXPECT_EQ(memcmp(before + self->nr_pages / 2, after + self->nr_pages / 2,
			 self->nr_pages / 2 * sizeof(*before)), 0);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, ram), self->nr_pages / 2);
	ASSERT_EQ(get_mempolicy(&mode, &nodes, MAXNODE, self->p, MPOL_F_ADDR), 0);
	EXPECT_EQ(nodes, NODE(1));
	EXPECT_EQ(mems_allowed(), RAM_NODES | self->mask);
	free(before);
	free(after);
}

/* With fallback system a hint would do; the page cache's rotor goes around RAM alone */
TEST_F(cpusets, page_spread)
{
	char command[600], path[64];

	if (!variant->v1)
		SKIP(return, "cgroups' second version has no page spread");
	ASSERT_EQ(make_group(self->group, self->with, true), 0);
	ASSERT_EQ(set(self->group, "memory_spread_page", "1"), 0);
	ASSERT_EQ(set_fallback(self->nid, "system"), 0);
	ASSERT_EQ(set(self->group, "mems", self->with), 0);
	snprintf(command, sizeof(command),
		 "echo 0 >%s/cgroup.procs; head -c 64M ${CDM_SPARSE_FILE:-/dev/null} >/dev/null",
		 self->group);
	ASSERT_EQ(system(command), 0);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/vmstat", self->nid);
	EXPECT_EQ(read_value(path, "nr_file_pages "), 0);
	EXPECT_EQ(set_fallback(self->nid, "none"), 0);
}

TEST_HARNESS_MAIN
