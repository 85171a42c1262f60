// SPDX-License-Identifier: GPL-2.0
/*
 * MPOL_BIND reaches the CDM nodes that it names, all of its pages are there, and nothing
 * else of mempolicy does. Each test runs also with a child cpuset present.
 */
#include "../kselftest_harness.h"
#include "util.h"

#define SIZE	(16 * MIB)

FIXTURE(bind) {
	unsigned long devices;
	int first, second;
	char *p;
	long nr_pages;
};

FIXTURE_VARIANT(bind) {
	bool cpuset;
};

FIXTURE_VARIANT_ADD(bind, alone) { .cpuset = false };
FIXTURE_VARIANT_ADD(bind, beside_a_cpuset) { .cpuset = true };

FIXTURE_SETUP(bind)
{
	self->devices = device_nodes();
	if (!self->devices || !(self->devices & (self->devices - 1)))
		SKIP(return, "needs two device nodes");
	self->first = __builtin_ctzl(self->devices);
	self->second = __builtin_ctzl(self->devices & (self->devices - 1));

	if (variant->cpuset)
		ASSERT_EQ(make_child_cpuset(), 0);
	self->p = map_anonymous(SIZE);
	ASSERT_NE(self->p, NULL);
	self->nr_pages = SIZE / sysconf(_SC_PAGESIZE);
}

FIXTURE_TEARDOWN(bind)
{
	munmap(self->p, SIZE);
	if (variant->cpuset)
		EXPECT_EQ(remove_child_cpuset(), 0);
}

TEST_F(bind, one_node)
{
	unsigned long mask = NODE(self->first);

	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr_pages);
}

TEST_F(bind, two_nodes)
{
	unsigned long mask = NODE(self->first) | NODE(self->second);

	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr_pages);
}

TEST_F(bind, ram_and_device)
{
	unsigned long mask = NODE(0) | NODE(self->first);

	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr_pages);
}

/* More than one node has: the rest goes to the other node that was named, not to RAM */
TEST_F(bind, second_node_when_first_is_full)
{
	unsigned long mask = NODE(self->first) | NODE(self->second);
	long long free_bytes, size = numa_node_size64(self->first, &free_bytes) + 64 * MIB;
	long page_size = sysconf(_SC_PAGESIZE);
	char *big = map_anonymous(size);

	ASSERT_NE(big, NULL);
	ASSERT_EQ(mbind(big, size, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(big, 1, size);
	EXPECT_EQ(pages_on(big, size, mask), size / page_size);
	EXPECT_GE(pages_on(big, size, NODE(self->second)), 64 * MIB / page_size);
	munmap(big, size);
}

TEST_F(bind, task_policy)
{
	unsigned long mask = NODE(self->first);

	ASSERT_EQ(set_mempolicy(MPOL_BIND, &mask, MAXNODE), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr_pages);
}

TEST_F(bind, static_nodes)
{
	unsigned long mask = NODE(self->first);

	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND | MPOL_F_STATIC_NODES, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr_pages);
}

TEST_F(bind, shared_memory)
{
	unsigned long mask = NODE(self->first);
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(p, MAP_FAILED);
	ASSERT_EQ(mbind(p, SIZE, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(p, 1, SIZE);
	EXPECT_EQ(pages_on(p, SIZE, mask), self->nr_pages);
	munmap(p, SIZE);
}

/* With pages of 64 KiB one of 512 MiB, a quarter of the device */
TEST_F(bind, huge_pages)
{
	unsigned long mask = NODE(self->first);
	size_t huge = huge_page_size(), size = huge > SIZE ? huge : SIZE;
	char *p, *aligned;

	if (huge == SIZE_MAX)
		SKIP(return, "%s", no_huge_page());
	p = map_anonymous(size + huge);
	ASSERT_NE(p, NULL);
	aligned = (char *)(((unsigned long)p + huge - 1) & -huge);
	ASSERT_EQ(madvise(aligned, size, MADV_HUGEPAGE), 0);
	ASSERT_EQ(mbind(aligned, size, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(aligned, 1, size);
	EXPECT_EQ(pages_on(aligned, size, mask), size / sysconf(_SC_PAGESIZE));
	EXPECT_EQ(read_value("/proc/self/smaps_rollup", "AnonHugePages:"), size / 1024);
	munmap(p, size + huge);
}

TEST_F(bind, moves_existing_pages)
{
	unsigned long mask = NODE(self->first);

	memset(self->p, 5, SIZE);
	ASSERT_EQ(pages_on(self->p, SIZE, mask), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &mask, MAXNODE, MPOL_MF_MOVE), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr_pages);
	EXPECT_EQ(self->p[0], 5);
	EXPECT_EQ(self->p[SIZE - 1], 5);
}

TEST_F(bind, shows_in_numa_maps)
{
	unsigned long mask = NODE(self->first);
	char key[8];

	ASSERT_EQ(madvise(self->p, SIZE, MADV_NOHUGEPAGE), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	snprintf(key, sizeof(key), "N%d=", self->first);
	EXPECT_EQ(read_value("/proc/self/numa_maps", key), self->nr_pages);
}

/* A soft policy means system RAM: it is narrowed to it, and refused when none is left */
TEST_F(bind, soft_policies_are_narrowed)
{
	unsigned long device = NODE(self->first), both = NODE(0) | NODE(self->first);
	int modes[] = { MPOL_PREFERRED, MPOL_INTERLEAVE, MPOL_PREFERRED_MANY };
	int i;

	for (i = 0; i < 3; i++) {
		EXPECT_EQ(mbind(self->p, SIZE, modes[i], &device, MAXNODE, 0), -1);
		EXPECT_EQ(errno, EINVAL);
	}
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_INTERLEAVE, &both, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(0)), self->nr_pages);
}

TEST_F(bind, relative_nodes_do_not_reach_it)
{
	unsigned long mask = NODE(self->first);

	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND | MPOL_F_RELATIVE_NODES, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, self->devices), 0);
}

/* What a bind policy named, it keeps in another cpuset that has the node, too */
TEST_F(bind, survives_a_cpuset_change)
{
	unsigned long mask = NODE(self->first);
	char mems[16];

	snprintf(mems, sizeof(mems), "1,%d", self->first);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND | MPOL_F_STATIC_NODES, &mask, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE / 2);
	/* Here the kernel has no cpusets until there is the policy */
	if (!variant->cpuset)
		ASSERT_EQ(make_child_cpuset(), 0);
	ASSERT_EQ(enter_child_cpuset(mems), 0);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, mask), self->nr_pages / 2);
	memset(self->p + SIZE / 2, 1, SIZE / 2);
	EXPECT_EQ(pages_on(self->p + SIZE / 2, SIZE / 2, mask), self->nr_pages / 2);
	if (!variant->cpuset)
		EXPECT_EQ(remove_child_cpuset(), 0);
}

TEST_HARNESS_MAIN
