// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that were put on a device node stay there, whatever the rest of mm is asked to do
 * with memory; and who exhausts the device pays for it alone.
 */
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "../kselftest_harness.h"
#include "util.h"

#define SIZE	(8 * MIB)

FIXTURE(fences) {
	int nid;
	unsigned long mask;
	char *p;
	long nr_pages;
	uint64_t *frames;
};

#define KHUGEPAGED "/sys/kernel/mm/transparent_hugepage/khugepaged/"

/* Pages that are not where they were when the fixture was set up */
static long moved_pages(FIXTURE_DATA(fences) *self)
{
	uint64_t *now = calloc(self->nr_pages, sizeof(*now));
	long i, moved = 0;

	if (!now || read_frames(self->p, self->nr_pages, now))
		moved = -1;
	for (i = 0; moved >= 0 && i < self->nr_pages; i++)
		moved += now[i] != self->frames[i];
	free(now);
	return moved;
}

FIXTURE_SETUP(fences)
{
	unsigned long devices = device_nodes();
	long i;

	if (!devices)
		SKIP(return, "needs a device node");
	self->nid = __builtin_ctzl(devices);
	self->mask = NODE(self->nid);
	self->nr_pages = SIZE / sysconf(_SC_PAGESIZE);
	self->frames = calloc(self->nr_pages, sizeof(*self->frames));
	ASSERT_NE(self->frames, NULL);

	/* Small pages of 2 MiB-aligned memory, every one different */
	self->p = map_anonymous(SIZE + 2 * MIB);
	ASSERT_NE(self->p, NULL);
	self->p = (char *)(((uintptr_t)self->p + 2 * MIB - 1) & -(2 * MIB));
	ASSERT_EQ(madvise(self->p, SIZE, MADV_NOHUGEPAGE), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &self->mask, MAXNODE, 0), 0);
	for (i = 0; i < self->nr_pages; i++)
		memcpy(self->p + i * (SIZE / self->nr_pages), &i, sizeof(i));
	ASSERT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	ASSERT_EQ(read_frames(self->p, self->nr_pages, self->frames), 0);
}

FIXTURE_TEARDOWN(fences)
{
	munmap(self->p, SIZE);
	free(self->frames);
}

/* Into a memory cgroup of its own, to which all of the range is charged */
static int enter_group(FIXTURE_DATA(fences) *self, const char *group)
{
	int rc = write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");

	if (!rc && mkdir(group, 0755))
		rc = -errno;
	if (!rc)
		rc = enter_cgroup(group);
	if (!rc && madvise(self->p, SIZE, MADV_DONTNEED))
		rc = -errno;
	memset(self->p, 1, SIZE);
	return rc ?: read_frames(self->p, self->nr_pages, self->frames);
}

static int leave_group(const char *group)
{
	return enter_cgroup("/sys/fs/cgroup") ?: rmdir(group);
}

TEST_F(fences, madvise_pageout)
{
	ASSERT_EQ(swap_on(), 0);
	EXPECT_EQ(madvise(self->p, SIZE, MADV_PAGEOUT), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	swap_off();
	EXPECT_EQ(moved_pages(self), 0);
}

/* The reclaim of a memory cgroup takes its RAM, and not what it has on the device */
TEST_F(fences, memory_reclaim)
{
	const char *group = "/sys/fs/cgroup/cdm_reclaim";
	char path[128];

	ASSERT_EQ(enter_group(self, group), 0);
	ASSERT_EQ(swap_on(), 0);
	snprintf(path, sizeof(path), "%s/memory.reclaim", group);
	write_file(path, "8M");
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	swap_off();
	EXPECT_EQ(moved_pages(self), 0);
	EXPECT_EQ(leave_group(group), 0);
}

TEST_F(fences, memory_numa_stat)
{
	const char *group = "/sys/fs/cgroup/cdm_stat";
	char path[128], key[16], line[512] = "", *at;
	long bytes = -1;
	FILE *file;

	ASSERT_EQ(enter_group(self, group), 0);
	snprintf(path, sizeof(path), "%s/memory.numa_stat", group);
	snprintf(key, sizeof(key), " N%d=", self->nid);
	file = fopen(path, "r");
	ASSERT_NE(file, NULL);
	while (fgets(line, sizeof(line), file)) {
		at = strncmp(line, "anon ", 5) ? NULL : strstr(line, key);
		if (at)
			bytes = atol(at + strlen(key));
	}
	fclose(file);
	EXPECT_EQ(bytes, SIZE);
	EXPECT_EQ(leave_group(group), 0);
}

static int scan_by_ksm(int times)
{
	long before = read_value("/sys/kernel/mm/ksm/full_scans", "");
	int i;

	for (i = 0; i < 200; i++) {
		if (read_value("/sys/kernel/mm/ksm/full_scans", "") >= before + times)
			return 0;
		usleep(50000);
	}
	return -ETIMEDOUT;
}

TEST_F(fences, ksm)
{
	memset(self->p, 7, SIZE);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_MERGEABLE), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000"), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/sleep_millisecs", "10"), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/run", "1"), 0);
	ASSERT_EQ(scan_by_ksm(3), 0);
	EXPECT_EQ(read_value("/sys/kernel/mm/ksm/pages_sharing", ""), 0);
	EXPECT_EQ(moved_pages(self), 0);
	write_file("/sys/kernel/mm/ksm/run", "2");
	write_file("/sys/kernel/mm/ksm/run", "0");
}

/* A merged page that has been moved to the device draws no other page after it */
TEST_F(fences, ksm_of_a_moved_page)
{
	char *p = map_anonymous(SIZE), *later = map_anonymous(SIZE);
	int node = self->nid, status;
	void *page = p;

	ASSERT_NE(p, NULL);
	ASSERT_NE(later, NULL);
	memset(p, 9, SIZE);
	ASSERT_EQ(madvise(p, SIZE, MADV_MERGEABLE), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000"), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/sleep_millisecs", "10"), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/run", "1"), 0);
	ASSERT_EQ(scan_by_ksm(4), 0);
	ASSERT_GT(read_value("/sys/kernel/mm/ksm/pages_sharing", ""), 0);
	/* ksmd holds a page that it looks at, and what is held does not move */
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/run", "0"), 0);
	ASSERT_EQ(move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE_ALL), 0);
	ASSERT_EQ(status, self->nid);
	ASSERT_EQ(write_file("/sys/kernel/mm/ksm/run", "1"), 0);

	memset(later, 9, SIZE);
	ASSERT_EQ(madvise(later, SIZE, MADV_MERGEABLE), 0);
	ASSERT_EQ(scan_by_ksm(4), 0);
	EXPECT_EQ(pages_on(later, SIZE, self->mask), 0);
	write_file("/sys/kernel/mm/ksm/run", "2");
	write_file("/sys/kernel/mm/ksm/run", "0");
	munmap(p, SIZE);
	munmap(later, SIZE);
}

/* Every other page is free: there is nothing that compaction would rather do */
TEST_F(fences, compaction)
{
	long page_size = SIZE / self->nr_pages, i;
	uint64_t after;
	char path[64];

	for (i = 0; i < self->nr_pages; i += 2)
		madvise(self->p + i * page_size, page_size, MADV_DONTNEED);
	ASSERT_EQ(write_file("/proc/sys/vm/compact_memory", "1"), 0);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/compact", self->nid);
	ASSERT_EQ(write_file(path, "1"), 0);
	for (i = 1; i < self->nr_pages; i += 2) {
		ASSERT_EQ(read_frames(self->p + i * page_size, 1, &after), 0);
		ASSERT_EQ(after, self->frames[i]);
	}
}

TEST_F(fences, collapse)
{
	if (huge_page_size() > SIZE)
		SKIP(return, "%s", no_huge_page());
	ASSERT_EQ(madvise(self->p, SIZE, MADV_HUGEPAGE), 0);
	EXPECT_EQ(madvise(self->p, SIZE, MADV_COLLAPSE), -1);
	EXPECT_EQ(moved_pages(self), 0);
}

TEST_F(fences, khugepaged)
{
	const char *full_scans = KHUGEPAGED "full_scans";
	long before = read_value(full_scans, ""), i;

	if (huge_page_size() > SIZE)
		SKIP(return, "%s", no_huge_page());
	ASSERT_EQ(write_file(KHUGEPAGED "scan_sleep_millisecs", "10"), 0);
	ASSERT_EQ(write_file(KHUGEPAGED "alloc_sleep_millisecs", "10"), 0);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_HUGEPAGE), 0);
	for (i = 0; i < 200 && read_value(full_scans, "") < before + 3; i++)
		usleep(50000);
	EXPECT_GE(read_value(full_scans, ""), before + 3);
	EXPECT_EQ(moved_pages(self), 0);
}

/* A huge page that is nearly all zeros, where few of them are too many: RAM has one zero page */
TEST_F(fences, underused_huge_page)
{
	const char *limit = KHUGEPAGED "max_ptes_none";
	char *p = map_anonymous(4 * MIB);
	char *huge = (char *)(((uintptr_t)p + 2 * MIB - 1) & -(2 * MIB));

	if (huge_page_size() > 2 * MIB)
		SKIP(return, "%s", no_huge_page());
	ASSERT_NE(p, NULL);
	ASSERT_EQ(write_file(limit, "10"), 0);
	ASSERT_EQ(madvise(huge, 2 * MIB, MADV_HUGEPAGE), 0);
	ASSERT_EQ(mbind(huge, 2 * MIB, MPOL_BIND, &self->mask, MAXNODE, 0), 0);
	*huge = 1;
	ASSERT_EQ(pages_on(huge, 2 * MIB, self->mask), 512);
	ASSERT_EQ(write_file("/proc/sys/vm/drop_caches", "2"), 0);
	ASSERT_EQ(write_file("/proc/sys/vm/drop_caches", "2"), 0);
	EXPECT_EQ(pages_on(huge, 2 * MIB, self->mask), 512);
	write_file(limit, "511");
	munmap(p, 4 * MIB);
}

/* Pages without a policy any more, used from a CPU far away from them */
TEST_F(fences, numa_balancing)
{
	time_t end = time(NULL) + 6;
	long i;

	ASSERT_EQ(write_file("/proc/sys/kernel/numa_balancing", "1"), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_DEFAULT, NULL, 0, 0), 0);
	while (time(NULL) < end)
		for (i = 0; i < SIZE; i += 64)
			self->p[i]++;
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	EXPECT_EQ(moved_pages(self), 0);
	write_file("/proc/sys/kernel/numa_balancing", "0");
}

TEST_F(fences, move_pages_to_it)
{
	long page_size = SIZE / self->nr_pages, nr = MIB / page_size, i;
	char *ram = map_anonymous(MIB);
	void *pages[256];
	int nodes[256], status[256];

	ASSERT_NE(ram, NULL);
	madvise(ram, MIB, MADV_NOHUGEPAGE);
	memset(ram, 3, MIB);
	for (i = 0; i < nr; i++) {
		pages[i] = ram + i * page_size;
		nodes[i] = self->nid;
	}
	ASSERT_EQ(move_pages(0, nr, pages, nodes, status, MPOL_MF_MOVE), 0);
	EXPECT_EQ(pages_on(ram, MIB, self->mask), nr);
	EXPECT_EQ(ram[MIB - 1], 3);
	munmap(ram, MIB);
}

TEST_F(fences, fork_copies_under_the_policy)
{
	pid_t pid = fork();
	int status;

	ASSERT_GE(pid, 0);
	if (!pid) {
		memset(self->p, 9, SIZE);
		_exit(pages_on(self->p, SIZE, self->mask) != self->nr_pages);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(moved_pages(self), 0);
}

/* A surplus page under a policy that names the device: there is none to be had */
TEST_F(fences, hugetlb_surplus)
{
	const char *overcommit = POOL_2M "nr_overcommit_hugepages";
	int status;
	pid_t pid;
	char *p;

	if (!has_pool_2m())
		SKIP(return, NO_POOL_2M);
	ASSERT_EQ(write_file(overcommit, "4"), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | HUGETLB_2M | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED || mbind(p, 2 * MIB, MPOL_BIND, &self->mask, MAXNODE, 0))
			_exit(2);
		*p = 1;
		_exit(1);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(WTERMSIG(status), SIGBUS);
	write_file(overcommit, "0");
}

/* RAM that the policy names as well is where a surplus page comes from */
TEST_F(fences, hugetlb_surplus_under_a_mixed_policy)
{
	const char *overcommit = POOL_2M "nr_overcommit_hugepages";
	unsigned long both = self->mask | NODE(0);
	char *p;

	if (!has_pool_2m())
		SKIP(return, NO_POOL_2M);
	ASSERT_EQ(write_file("/proc/sys/vm/compact_memory", "1"), 0);
	ASSERT_EQ(write_file(overcommit, "4"), 0);
	p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | HUGETLB_2M | MAP_NORESERVE, -1, 0);
	ASSERT_NE(p, MAP_FAILED);
	ASSERT_EQ(mbind(p, 2 * MIB, MPOL_BIND, &both, MAXNODE, 0), 0);
	*p = 1;
	EXPECT_EQ(pages_on(p, 4096, NODE(0)), 1);
	munmap(p, 2 * MIB);
	write_file(overcommit, "0");
}

/* What lies on CPUs' lists is free: whom it is enough for is not killed, before they are empty */
TEST_F_TIMEOUT(fences, nobody_is_killed_for_what_is_on_lists, 120)
{
	long page_size = SIZE / self->nr_pages;
	/* the watermark is 128 pages at most, and the sum lags behind by some on each CPU */
	size_t left = (128 + 512) * page_size, size;
	long long free_bytes;
	cpu_set_t allowed;
	int status;
	pid_t pid;
	char *p;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (CPU_COUNT(&allowed) < 2)
		SKIP(return, "needs two CPUs");
	numa_node_size64(self->nid, &free_bytes);
	ASSERT_GT(free_bytes, (long long)(left + 128 * MIB));
	size = free_bytes - left;
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		p = map_anonymous(size);
		if (madvise(p, size, MADV_NOHUGEPAGE) ||
		    mbind(p, size, MPOL_BIND, &self->mask, MAXNODE, 0) || run_on(1))
			_exit(2);
		/* those of one CPU, and then of another */
		memset(p, 1, 64 * MIB);
		madvise(p, 64 * MIB, MADV_DONTNEED);
		if (run_on(0))
			_exit(2);
		memset(p, 2, size);
		_exit(pages_on(p, size, self->mask) != (long)(size / page_size));
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

/*
 * More than the device has, bound to it alone: the task that does so is killed, and not
 * the one that has more memory; RAM is not touched.
 */
TEST_F_TIMEOUT(fences, exhaustion_kills_who_caused_it, 120)
{
	long long free_bytes, size = numa_node_size64(self->nid, &free_bytes) + 64 * MIB;
	int status, bystander_status, bound;
	unsigned long ram = NODE(0);
	pid_t bystander, pid;
	char *p;

	bystander = fork();
	ASSERT_GE(bystander, 0);
	if (!bystander) {
		p = map_anonymous(700 * MIB);
		memset(p, 1, 700 * MIB);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_EQ(waitpid(bystander, &status, WUNTRACED), bystander);
	ASSERT_TRUE(WIFSTOPPED(status));

	/* Without a policy of its own, and with one that keeps the rest of it in RAM */
	for (bound = 0; bound < 2; bound++) {
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			if (bound)
				set_mempolicy(MPOL_BIND, &ram, MAXNODE);
			p = map_anonymous(size);
			mbind(p, size, MPOL_BIND, &self->mask, MAXNODE, 0);
			memset(p, 1, size);
			_exit(0);
		}
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(WTERMSIG(status), SIGKILL);
	}

	kill(bystander, SIGCONT);
	ASSERT_EQ(waitpid(bystander, &bystander_status, 0), bystander);
	EXPECT_EQ(bystander_status, 0);
}

TEST_HARNESS_MAIN
