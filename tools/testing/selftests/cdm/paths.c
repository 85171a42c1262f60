// SPDX-License-Identifier: GPL-2.0
/*
 * The less travelled ways for a page onto a node or off it: other people's swap slots,
 * userfaultfd, long-term pins, what the OOM killer adds up.
 */
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../../../mm/gup_test.h"
#include "../kselftest_harness.h"
#include "util.h"

#define SIZE	(8 * MIB)
#define RAM_NODES (NODE(0) | NODE(1))

FIXTURE(paths) {
	unsigned long devices;
	int nid;
	unsigned long mask;
	char *p;
	long nr_pages, page_size;
};

FIXTURE_SETUP(paths)
{
	self->devices = device_nodes();
	if (!self->devices)
		SKIP(return, "needs a device node");
	self->nid = __builtin_ctzl(self->devices);
	self->mask = NODE(self->nid);
	self->page_size = sysconf(_SC_PAGESIZE);
	self->nr_pages = SIZE / self->page_size;
	self->p = map_anonymous(SIZE);
	ASSERT_NE(self->p, NULL);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_NOHUGEPAGE), 0);
}

FIXTURE_TEARDOWN(paths)
{
	munmap(self->p, SIZE);
}

static int bind_range(FIXTURE_DATA(paths) *self, char *p, size_t size)
{
	return mbind(p, size, MPOL_BIND, &self->mask, MAXNODE, 0);
}

/* Both ways by name, and nothing of a device's by a call that names RAM only */
TEST_F(paths, migrate_pages)
{
	unsigned long first = NODE(0), second = NODE(1), ram = RAM_NODES;

	memset(self->p, 5, SIZE);
	ASSERT_GE(migrate_pages(0, MAXNODE, &ram, &self->mask), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	ASSERT_GE(migrate_pages(0, MAXNODE, &first, &second), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	ASSERT_GE(migrate_pages(0, MAXNODE, &self->mask, &ram), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, ram), self->nr_pages);
	EXPECT_EQ(self->p[SIZE - 1], 5);
}

/*
 * Two mappings whose pages alternate in the swap file. A fault in the one that is bound
 * reads the slots around its own ahead: those are the other's.
 */
TEST_F(paths, swap_readahead)
{
	char *other = map_anonymous(SIZE);
	long i;
	pid_t pid;

	ASSERT_NE(other, NULL);
	madvise(other, SIZE, MADV_NOHUGEPAGE);
	ASSERT_EQ(swap_on(), 0);
	ASSERT_EQ(write_file("/sys/kernel/mm/swap/vma_ra_enabled", "false"), 0);
	for (i = 0; i < SIZE; i += sizeof(i)) {
		*(long *)(self->p + i) = i;
		*(long *)(other + i) = -i;
	}
	for (i = 0; i < SIZE; i += self->page_size) {
		madvise(self->p + i, self->page_size, MADV_PAGEOUT);
		madvise(other + i, self->page_size, MADV_PAGEOUT);
	}
	/* A slot with two users goes through the swap cache, where readahead is */
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	ASSERT_LT(pages_on(other, SIZE, RAM_NODES), self->nr_pages / 4);
	ASSERT_EQ(bind_range(self, self->p, SIZE), 0);
	for (i = 0; i < SIZE; i += self->page_size)
		ASSERT_EQ(*(long *)(self->p + i), i);
	EXPECT_GT(pages_on(self->p, SIZE, self->mask), self->nr_pages / 2);
	for (i = 0; i < SIZE; i += self->page_size)
		ASSERT_EQ(*(long *)(other + i), -i);
	EXPECT_EQ(pages_on(other, SIZE, self->devices), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munmap(other, SIZE);
	swap_off();
	write_file("/sys/kernel/mm/swap/vma_ra_enabled", "true");
}

/* What a bound task swaps out is compressed in RAM, as everybody's is */
TEST_F(paths, compressed_swap)
{
	char *ram = map_anonymous(SIZE);
	long long size, before, after;
	size_t i;

	ASSERT_NE(ram, NULL);
	ASSERT_EQ(swap_on(), 0);
	/* Nothing that compresses to nothing */
	for (i = 0; i < SIZE; i += sizeof(int))
		*(int *)(ram + i) = random();
	size = numa_node_size64(self->nid, &before);
	ASSERT_GT(size, 0);
	ASSERT_EQ(set_mempolicy(MPOL_BIND, &self->mask, MAXNODE), 0);
	EXPECT_EQ(madvise(ram, SIZE, MADV_PAGEOUT), 0);
	ASSERT_EQ(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	EXPECT_LT(pages_on(ram, SIZE, RAM_NODES), self->nr_pages / 4);
	numa_node_size64(self->nid, &after);
	/* Page by page, as per-CPU lists are refilled */
	EXPECT_LT(before - after, 1 << 20);
	munmap(ram, SIZE);
	swap_off();
}

/* Pages that userfaultfd puts into a mapping follow the mapping's policy, and no other */
TEST_F(paths, userfaultfd_copy)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffdio_copy copy = { .len = SIZE };
	char *source = map_anonymous(SIZE);
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	ASSERT_GE(fd, 0);
	ASSERT_NE(source, NULL);
	memset(source, 6, SIZE);
	ASSERT_EQ(bind_range(self, self->p, SIZE / 2), 0);
	ASSERT_EQ(ioctl(fd, UFFDIO_API, &api), 0);
	reg.range.start = (uintptr_t)self->p;
	reg.range.len = SIZE;
	ASSERT_EQ(ioctl(fd, UFFDIO_REGISTER, &reg), 0);
	copy.dst = (uintptr_t)self->p;
	copy.src = (uintptr_t)source;
	copy.len = SIZE / 2;
	ASSERT_EQ(ioctl(fd, UFFDIO_COPY, &copy), 0);
	copy.dst += SIZE / 2;
	ASSERT_EQ(ioctl(fd, UFFDIO_COPY, &copy), 0);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, self->mask), self->nr_pages / 2);
	EXPECT_EQ(pages_on(self->p + SIZE / 2, SIZE / 2, RAM_NODES), self->nr_pages / 2);
	close(fd);
	munmap(source, SIZE);
}

/* RDMA and the like: the pages leave for RAM before they are pinned, as of all ZONE_MOVABLE */
TEST_F(paths, longterm_pin)
{
	struct pin_longterm_test pin = { .size = SIZE, .flags = PIN_LONGTERM_TEST_FLAG_USE_WRITE };
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(bind_range(self, self->p, SIZE), 0);
	memset(self->p, 7, SIZE);
	ASSERT_EQ(pages_on(self->p, SIZE, self->mask), self->nr_pages);
	pin.addr = (uintptr_t)self->p;
	ASSERT_EQ(ioctl(fd, PIN_LONGTERM_TEST_START, &pin), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, RAM_NODES), self->nr_pages);
	EXPECT_EQ(self->p[SIZE - 1], 7);
	EXPECT_EQ(ioctl(fd, PIN_LONGTERM_TEST_STOP), 0);
	close(fd);
}

/* A child that has that much on these nodes, and stays until it is killed */
static pid_t start_holder(size_t size, unsigned long nodes)
{
	int ends[2];
	pid_t pid;
	char *p;

	if (pipe(ends))
		return -1;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		p = map_anonymous(size);
		if (madvise(p, size, MADV_HUGEPAGE) ||
		    mbind(p, size, MPOL_BIND, &nodes, MAXNODE, 0))
			_exit(1);
		memset(p, 1, size);
		if (write(ends[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ends[1]);
	if (read(ends[0], &size, 1) != 1)
		pid = -1;
	close(ends[0]);
	return pid;
}

/* The largest task is the one with a device's memory; RAM is what has run out */
TEST_F_TIMEOUT(paths, oom_for_ram, 180)
{
	size_t device_bytes = 0, ram_bytes;
	long long free_bytes, ram_free = 0;
	pid_t on_device, in_ram, pid;
	int nid, status;

	for (nid = 0; nid < MAX_NODES; nid++)
		if (self->devices & NODE(nid) && numa_node_size64(nid, &free_bytes) > 0)
			device_bytes += free_bytes;
	for (nid = 0; nid < 2 && numa_node_size64(nid, &free_bytes) > 0; nid++)
		ram_free += free_bytes;
	device_bytes = device_bytes / 10 * 9;
	ram_bytes = ram_free / 10 * 6;
	if (device_bytes <= ram_bytes)
		SKIP(return, "needs more device memory than RAM");

	on_device = start_holder(device_bytes, self->devices);
	ASSERT_GT(on_device, 0);
	in_ram = start_holder(ram_bytes, RAM_NODES);
	ASSERT_GT(in_ram, 0);

	/* One of the two that use RAM has to go: this one, or the other */
	pid = start_holder(ram_bytes, RAM_NODES);
	EXPECT_TRUE(pid < 0 || waitpid(in_ram, &status, 0) == in_ram);
	EXPECT_EQ(waitpid(on_device, &status, WNOHANG), 0);
	if (pid > 0)
		kill(pid, SIGKILL);
	kill(on_device, SIGKILL);
	kill(in_ram, SIGKILL);
	while (wait(NULL) > 0)
		;
}

/* With vm.zone_reclaim_mode a node that is full is reclaimed from before the next one is tried */
TEST_F(paths, zone_reclaim)
{
	uint64_t *before = calloc(self->nr_pages, sizeof(*before)), now;
	long i, moved = 0;
	pid_t pid;

	ASSERT_NE(before, NULL);
	ASSERT_EQ(bind_range(self, self->p, SIZE), 0);
	memset(self->p, 8, SIZE);
	ASSERT_EQ(read_frames(self->p, self->nr_pages, before), 0);
	ASSERT_EQ(swap_on(), 0);
	ASSERT_EQ(write_file("/proc/sys/vm/zone_reclaim_mode", "7"), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		char *p = map_anonymous(600 * MIB);

		bind_range(self, p, 600 * MIB);
		memset(p, 1, 600 * MIB);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	write_file("/proc/sys/vm/zone_reclaim_mode", "0");
	for (i = 0; i < self->nr_pages; i++) {
		ASSERT_EQ(read_frames(self->p + i * self->page_size, 1, &now), 0);
		moved += now != before[i];
	}
	EXPECT_EQ(moved, 0);
	swap_off();
	free(before);
}

TEST_HARNESS_MAIN
