// SPDX-License-Identifier: GPL-2.0
/*
 * What the dmem controller says of a device: each page that a task gets of it, by whatever way, is
 * in its cgroup's dmem.current until it is free, and dmem.max is where that ends. The last
 * device's range is taken over from its driver. In kernels that have the controller.
 */
#include <pthread.h>
#include <sys/uio.h>

#include "../../../../include/uapi/linux/cdm.h"
#include "../kselftest_harness.h"
#include "sigbus.h"
#include "take_over.h"
#include "util.h"

#define SIZE	(8 * MIB)
#define LIMIT	(4 * MIB)
#define TOP	"/sys/fs/cgroup"
#define GROUP	TOP "/cdm_dmem"
#define INNER	GROUP "/inner"

/* user_bind, reclaim, compaction, thp_collapse */
#define CAPS	15

#define NR_THREADS	4

/* CDM_ALLOC_SPILL */
#define SPILL	8

FIXTURE(dmem) {
	char pci[64];
	char region[32];
	int fd;
	int nid;
	unsigned long mask;
	size_t page_size;
	char *p;		/* nothing has been touched yet */
};

static long read_group(const char *group, const char *file, const char *region)
{
	char path[128], key[40];

	snprintf(path, sizeof(path), "%s/dmem.%s", group, file);
	snprintf(key, sizeof(key), "%s ", region);
	return read_value(path, key);
}

/* Pages that were unmapped may be on a CPU's list of those that come onto the LRU lists */
static long charged(const FIXTURE_DATA(dmem) *self)
{
	write_file("/proc/sys/vm/drop_caches", "1");
	return read_group(GROUP, "current", self->region);
}

static int set_max(const FIXTURE_DATA(dmem) *self, const char *max)
{
	char line[64];

	snprintf(line, sizeof(line), "%s %s", self->region, max);
	return write_file(GROUP "/dmem.max", line);
}

static int limit(const FIXTURE_DATA(dmem) *self)
{
	return set_max(self, "4M");
}

static int open_device(const FIXTURE_DATA(dmem) *self)
{
	char path[32];
	int rc = device_path(self->nid, path, sizeof(path));

	return rc ?: open(path, O_RDWR);
}

FIXTURE_SETUP(dmem)
{
	struct cdm_test_register req = { .caps = CAPS, .evicts = 1, .spill_max = LIMIT };
	unsigned long devices = cdm_nodes();

	if (access(TOP "/dmem.capacity", R_OK))
		SKIP(return, "the kernel has no dmem controller for cgroups");
	self->fd = open("/dev/cdm_test", O_RDWR);
	if (self->fd < 0 || !devices)
		SKIP(return, "needs the module cdm_test and a CDM node");
	self->nid = 63 - __builtin_clzl(devices);
	self->mask = NODE(self->nid);
	self->page_size = sysconf(_SC_PAGESIZE);
	snprintf(self->region, sizeof(self->region), "cdm/node%d", self->nid);
	ASSERT_EQ(take_over(self->fd, self->nid, self->pci, sizeof(self->pci), &req), 0);

	self->p = map_anonymous(SIZE + 2 * MIB);
	ASSERT_NE(self->p, NULL);
	self->p = (char *)(((uintptr_t)self->p + 2 * MIB - 1) & -(2 * MIB));
	ASSERT_EQ(madvise(self->p, SIZE, MADV_NOHUGEPAGE), 0);
	/* Where there is a cpuset, what prefers a device gets RAM */
	ASSERT_EQ(write_file(TOP "/cgroup.subtree_control", "-cpuset"), 0);
	ASSERT_EQ(write_file(TOP "/cgroup.subtree_control", "+dmem"), 0);
	/* of a test that ended early */
	rmdir(INNER);
	rmdir(GROUP);
	ASSERT_EQ(mkdir(GROUP, 0755), 0);
	ASSERT_EQ(enter_cgroup(GROUP), 0);
	signal(SIGBUS, on_sigbus);
}

FIXTURE_TEARDOWN(dmem)
{
	if (!self->pci[0])
		return;
	munmap(self->p, SIZE);
	EXPECT_EQ(ioctl(self->fd, CDM_TEST_FREE), 0);
	EXPECT_EQ(charged(self), 0);
	EXPECT_EQ(enter_cgroup(TOP), 0);
	EXPECT_EQ(rmdir(GROUP), 0);
	EXPECT_EQ(give_back(self->fd, self->pci), 0);
	close(self->fd);
}

static int bind_to_device(const FIXTURE_DATA(dmem) *self)
{
	return mbind(self->p, SIZE, MPOL_BIND, &self->mask, MAXNODE, 0) ? -errno : 0;
}

/* How many bytes from @p on can be touched before a signal comes */
static size_t touch(char *p, size_t size, size_t page_size)
{
	static volatile size_t done;

	if (sigsetjmp(lost, 1))
		return done;
	for (done = 0; done < size; done += page_size)
		*(volatile char *)(p + done) = 1;
	return done;
}

TEST_F(dmem, capacity)
{
	char path[PATH_MAX];

	ASSERT_EQ(device_file(self->nid, "size", path, sizeof(path)), 0);
	EXPECT_EQ(read_group(TOP, "capacity", self->region), read_value(path, ""));
	EXPECT_GT(read_group(TOP, "capacity", self->region), 0);
	/* A region goes with its device, and so does what was said of it */
	ASSERT_EQ(limit(self), 0);
	EXPECT_EQ(read_group(GROUP, "max", self->region), LIMIT);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_UNREGISTER, 60), 0);
	EXPECT_EQ(read_group(TOP, "capacity", self->region), -1);
	EXPECT_EQ(limit(self), -EINVAL);
	ASSERT_EQ(write_file("/sys/bus/pci/drivers/cdm_pci/bind", self->pci), 0);
	EXPECT_GT(read_group(TOP, "capacity", self->region), 0);
	EXPECT_EQ(read_group(GROUP, "max", self->region), -1);
	ASSERT_EQ(take_over(self->fd, self->nid, self->pci, sizeof(self->pci),
			    &(struct cdm_test_register) { .caps = CAPS }), 0);
}

TEST_F(dmem, bound)
{
	ASSERT_EQ(bind_to_device(self), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(charged(self), SIZE);
	ASSERT_EQ(madvise(self->p, SIZE / 2, MADV_DONTNEED), 0);
	EXPECT_EQ(charged(self), SIZE / 2);
	EXPECT_EQ(read_group(GROUP, "peak", self->region), SIZE);
	/* System RAM is in no region */
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_DEFAULT, NULL, 0, 0), 0);
	memset(self->p, 1, SIZE / 2);
	EXPECT_EQ(charged(self), SIZE / 2);
}

/* A signal for who touches it, an error for a system call */
TEST_F(dmem, limit_of_a_fault)
{
	int zeros = open("/dev/zero", O_RDONLY);
	char *next = self->p + LIMIT;

	ASSERT_EQ(bind_to_device(self), 0);
	ASSERT_EQ(limit(self), 0);
	EXPECT_EQ(touch(self->p, SIZE, self->page_size), LIMIT);
	EXPECT_EQ(charged(self), LIMIT);
	EXPECT_EQ(pages_on(self->p, SIZE, ~0UL), LIMIT / self->page_size);
	EXPECT_EQ(read(zeros, next, 1), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(madvise(next, self->page_size, MADV_POPULATE_WRITE), -1);
	EXPECT_EQ(errno, EFAULT);
	/* And when there is more again, it goes on */
	ASSERT_EQ(madvise(self->p, self->page_size, MADV_DONTNEED), 0);
	EXPECT_EQ(touch(next, self->page_size, self->page_size), self->page_size);
	EXPECT_EQ(charged(self), LIMIT);
	close(zeros);
}

/* A policy that has RAM, too, gets it, though the device is nearer than the other node */
TEST_F(dmem, limit_where_ram_will_do)
{
	unsigned long both = self->mask | NODE(0);

	ASSERT_EQ(set_max(self, "0"), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &both, MAXNODE, 0), 0);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_NOHUGEPAGE), 0);
	EXPECT_EQ(touch(self->p, SIZE, self->page_size), SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(0)), SIZE / (long)self->page_size);
	EXPECT_EQ(charged(self), 0);
}

/* The same of a node that is preferred, where that is a request */
TEST_F(dmem, limit_where_it_is_preferred)
{
	char path[PATH_MAX];

	ASSERT_EQ(ioctl(self->fd, CDM_TEST_OFFLINE, 60), 0);
	ASSERT_EQ(device_file(self->nid, "fallback", path, sizeof(path)), 0);
	ASSERT_EQ(write_file(path, "system"), 0);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_ONLINE), 0);
	ASSERT_EQ(limit(self), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_PREFERRED, &self->mask, MAXNODE, 0), 0);
	EXPECT_EQ(touch(self->p, SIZE, self->page_size), SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, self->mask), LIMIT / self->page_size);
	EXPECT_EQ(charged(self), LIMIT);
}

static void *touch_share(void *arg)
{
	char *p = arg;
	size_t i;

	for (i = 0; i < SIZE / NR_THREADS; i += sysconf(_SC_PAGESIZE))
		*(volatile char *)(p + i) = 1;
	return NULL;
}

/* Who wants a huge page that does not fit is in nobody's way who wants one that does */
TEST_F(dmem, limit_that_is_enough)
{
	pthread_t threads[NR_THREADS];
	int i;

	signal(SIGBUS, SIG_DFL);
	ASSERT_EQ(bind_to_device(self), 0);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_HUGEPAGE), 0);
	ASSERT_EQ(set_max(self, "8M"), 0);
	/* the rest of it is what each of them needs in small pages */
	ASSERT_EQ(madvise(self->p, self->page_size, MADV_POPULATE_WRITE), 0);
	for (i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, touch_share,
					 self->p + i * (SIZE / NR_THREADS)), 0);
	for (i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(pthread_join(threads[i], NULL), 0);
	EXPECT_EQ(charged(self), SIZE);
}

TEST_F(dmem, limit_above)
{
	ASSERT_EQ(bind_to_device(self), 0);
	ASSERT_EQ(limit(self), 0);
	ASSERT_EQ(enter_cgroup(TOP), 0);
	ASSERT_EQ(write_file(GROUP "/cgroup.subtree_control", "+dmem"), 0);
	ASSERT_EQ(mkdir(INNER, 0755), 0);
	ASSERT_EQ(enter_cgroup(INNER), 0);
	EXPECT_EQ(touch(self->p, SIZE, self->page_size), LIMIT);
	EXPECT_EQ(read_group(INNER, "current", self->region), LIMIT);
	EXPECT_EQ(charged(self), LIMIT);
	EXPECT_EQ(read_group(TOP, "current", self->region), LIMIT);
	/* The group goes while its pages are there, and what they are charged to stays */
	ASSERT_EQ(enter_cgroup(TOP), 0);
	ASSERT_EQ(rmdir(INNER), 0);
	EXPECT_EQ(charged(self), LIMIT);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_DONTNEED), 0);
	EXPECT_EQ(charged(self), 0);
}

/* Nobody is charged for what the root's tasks have */
TEST_F(dmem, root)
{
	ASSERT_EQ(bind_to_device(self), 0);
	ASSERT_EQ(enter_cgroup(TOP), 0);
	memset(self->p, 1, SIZE / 2);
	EXPECT_EQ(read_group(TOP, "current", self->region), 0);
	/* and who comes along with it later is charged for the rest */
	ASSERT_EQ(enter_cgroup(GROUP), 0);
	memset(self->p, 1, SIZE);
	EXPECT_EQ(charged(self), SIZE / 2);
}

static int split(char *p, size_t size)
{
	char line[64];

	snprintf(line, sizeof(line), "%d,0x%lx,0x%lx", getpid(), (unsigned long)p,
		 (unsigned long)p + size);
	return write_file("/sys/kernel/debug/split_huge_pages", line);
}

TEST_F(dmem, huge_pages)
{
	size_t huge = huge_page_size();

	if (huge > SIZE / 4)
		SKIP(return, "%s", no_huge_page());
	ASSERT_EQ(bind_to_device(self), 0);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_HUGEPAGE), 0);
	ASSERT_EQ(set_max(self, "5M"), 0);
	/* two of them, and where the third does not fit, small ones */
	EXPECT_EQ(touch(self->p, SIZE, self->page_size), 5 * MIB);
	EXPECT_EQ(charged(self), 5 * MIB);
	EXPECT_EQ(read_value("/proc/self/smaps_rollup", "AnonHugePages:"), 2 * huge / 1024);
	/* The pieces of a huge page go one by one */
	ASSERT_EQ(split(self->p, huge), 0);
	ASSERT_EQ(madvise(self->p, MIB, MADV_DONTNEED), 0);
	EXPECT_EQ(charged(self), 4 * MIB);
	ASSERT_EQ(madvise(self->p + huge, huge, MADV_DONTNEED), 0);
	EXPECT_EQ(charged(self), 4 * MIB - huge);
}

/* What is collapsed is charged anew, to whoever has it done; khugepaged would have nobody pay */
TEST_F(dmem, collapsed)
{
	size_t huge = huge_page_size();

	if (huge > SIZE / 4)
		SKIP(return, "%s", no_huge_page());
	ASSERT_EQ(bind_to_device(self), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_HUGEPAGE), 0);
	EXPECT_EQ(madvise(self->p, huge, MADV_COLLAPSE), 0);
	EXPECT_EQ(charged(self), SIZE);
	/* There would have to be room for both */
	ASSERT_EQ(set_max(self, "8M"), 0);
	EXPECT_EQ(madvise(self->p + huge, huge, MADV_COLLAPSE), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_EQ(charged(self), SIZE);
}

TEST_F(dmem, swapped_out)
{
	ASSERT_EQ(bind_to_device(self), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(swap_on(), 0);
	EXPECT_EQ(madvise(self->p, SIZE, MADV_PAGEOUT), 0);
	EXPECT_EQ(charged(self), pages_on(self->p, SIZE, self->mask) * (long)self->page_size);
	EXPECT_LT(charged(self), SIZE / 2);
	EXPECT_EQ(touch(self->p, SIZE, self->page_size), SIZE);
	EXPECT_EQ(charged(self), SIZE);
	swap_off();
}

TEST_F(dmem, file)
{
	char page[self->page_size], *p;
	int fd = open_device(self);

	ASSERT_GE(fd, 0);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(p, MAP_FAILED);
	ASSERT_EQ(limit(self), 0);
	EXPECT_EQ(touch(p, SIZE, self->page_size), LIMIT);
	EXPECT_EQ(charged(self), LIMIT);
	memset(page, 1, sizeof(page));
	EXPECT_EQ(pwrite(fd, page, sizeof(page), SIZE - sizeof(page)), -1);
	EXPECT_EQ(errno, ENOSPC);
	ASSERT_EQ(madvise(p, MIB, MADV_REMOVE), 0);
	EXPECT_EQ(charged(self), LIMIT - MIB);
	EXPECT_EQ(pwrite(fd, page, sizeof(page), SIZE - sizeof(page)), sizeof(page));
	EXPECT_EQ(charged(self), LIMIT - MIB + sizeof(page));
	munmap(p, SIZE);
	close(fd);
}

/* Pages of @p that are on the device after it was asked for by move_pages(2) */
static long move_all(const FIXTURE_DATA(dmem) *self, int nid)
{
	long nr = SIZE / self->page_size, i;
	void **pages = calloc(nr, sizeof(*pages));
	int *nodes = calloc(nr, sizeof(*nodes)), *status = calloc(nr, sizeof(*status));

	for (i = 0; i < nr; i++) {
		pages[i] = self->p + i * self->page_size;
		nodes[i] = nid;
	}
	move_pages(0, nr, pages, nodes, status, MPOL_MF_MOVE);
	free(pages);
	free(nodes);
	free(status);
	return pages_on(self->p, SIZE, self->mask);
}

TEST_F(dmem, moved)
{
	memset(self->p, 1, SIZE);
	ASSERT_EQ(limit(self), 0);
	EXPECT_EQ(move_all(self, self->nid), LIMIT / self->page_size);
	EXPECT_EQ(charged(self), LIMIT);
	EXPECT_EQ(pages_on(self->p, SIZE, ~self->mask), (SIZE - LIMIT) / self->page_size);
	EXPECT_EQ(move_all(self, 0), 0);
	EXPECT_EQ(charged(self), 0);
}

TEST_F(dmem, moved_by_the_device)
{
	struct cdm_ioc_migrate req = { .size = sizeof(req), .length = SIZE };
	long nr = SIZE / self->page_size, i, no_room = 0;
	int32_t *status = calloc(nr, sizeof(*status));
	int fd = open_device(self);

	ASSERT_GE(fd, 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(limit(self), 0);
	req.addr = (uintptr_t)self->p;
	req.status = (uintptr_t)status;
	ASSERT_EQ(ioctl(fd, CDM_IOC_MIGRATE, &req), 0);
	EXPECT_EQ(req.moved, LIMIT / self->page_size);
	for (i = 0; i < nr; i++)
		no_room += status[i] == -ENOMEM;
	EXPECT_EQ(no_room, (SIZE - LIMIT) / self->page_size);
	EXPECT_EQ(charged(self), LIMIT);
	req.flags = CDM_MIGRATE_TO_RAM;
	ASSERT_EQ(ioctl(fd, CDM_IOC_MIGRATE, &req), 0);
	EXPECT_EQ(charged(self), 0);
	close(fd);
	free(status);
}

/* Whole, as long as there is room for it once */
TEST_F(dmem, huge_pages_moved_by_the_device)
{
	struct cdm_ioc_migrate req = { .size = sizeof(req), .length = LIMIT };
	int fd = open_device(self);

	if (huge_page_size() > LIMIT)
		SKIP(return, "%s", no_huge_page());
	ASSERT_GE(fd, 0);
	ASSERT_EQ(madvise(self->p, LIMIT, MADV_HUGEPAGE), 0);
	memset(self->p, 1, LIMIT);
	ASSERT_EQ(limit(self), 0);
	req.addr = (uintptr_t)self->p;
	ASSERT_EQ(ioctl(fd, CDM_IOC_MIGRATE, &req), 0);
	EXPECT_EQ(req.moved, LIMIT / self->page_size);
	EXPECT_EQ(charged(self), LIMIT);
	EXPECT_EQ(read_value("/proc/self/smaps_rollup", "AnonHugePages:"), LIMIT / 1024);
	close(fd);
}

/* Every second page of what is bound goes, and what is left is moved within the device */
TEST_F(dmem, compacted)
{
	long nr = SIZE / self->page_size, i, moved = 0;
	uint64_t before[nr], after[nr];
	char path[64];

	ASSERT_EQ(bind_to_device(self), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(read_frames(self->p, nr, before), 0);
	for (i = 0; i < nr; i += 2)
		madvise(self->p + i * self->page_size, self->page_size, MADV_DONTNEED);
	EXPECT_EQ(charged(self), SIZE / 2);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/compact", self->nid);
	ASSERT_EQ(write_file(path, "1"), 0);
	ASSERT_EQ(read_frames(self->p, nr, after), 0);
	for (i = 1; i < nr; i += 2)
		moved += after[i] != before[i];
	EXPECT_GT(moved, 0);
	EXPECT_EQ(charged(self), SIZE / 2);
}

TEST_F(dmem, drained)
{
	ASSERT_EQ(bind_to_device(self), 0);
	memset(self->p, 1, SIZE);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_OFFLINE, 60), 0);
	EXPECT_EQ(charged(self), 0);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_ONLINE), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, ~self->mask), SIZE / (long)self->page_size);
}

static const struct {
	const char *name;
	uint32_t how;
	uint32_t order;
} ways[] = {
	{ "pages", CDM_TEST_DRIVER, 0 },
	{ "blocks of eight", CDM_TEST_DRIVER, 3 },
	{ "an array", CDM_TEST_BULK, 0 },
	{ "a list", CDM_TEST_LIST, 0 },
	{ "pieces", CDM_TEST_CONTIG, 5 },
};

TEST_F(dmem, driver)
{
	struct cdm_test_counts counts;
	unsigned int i;

	ASSERT_EQ(limit(self), 0);
	for (i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		struct cdm_test_alloc req = {
			.nid = self->nid,
			.how = ways[i].how,
			.order = ways[i].order,
			.count = (SIZE / self->page_size) >> ways[i].order,
		};

		TH_LOG("%s", ways[i].name);
		ASSERT_EQ(ioctl(self->fd, CDM_TEST_ALLOC, &req), 0);
		EXPECT_EQ(req.on_node, LIMIT / self->page_size);
		EXPECT_EQ(req.elsewhere, 0);
		EXPECT_EQ(charged(self), LIMIT);
		ASSERT_EQ(ioctl(self->fd, CDM_TEST_FREE), 0);
		EXPECT_EQ(charged(self), 0);
	}
	/* Nobody made room for it */
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_COUNTS, &counts), 0);
	EXPECT_EQ(counts.evict_calls, 0);
}

TEST_F(dmem, driver_spills)
{
	struct cdm_test_alloc req = {
		.nid = self->nid,
		.flags = SPILL,
		.count = SIZE / self->page_size,
	};

	ASSERT_EQ(set_max(self, "6M"), 0);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_ALLOC, &req), 0);
	EXPECT_EQ(req.on_node, 6 * MIB / self->page_size);
	EXPECT_EQ(req.elsewhere, 2 * MIB / self->page_size);
	EXPECT_EQ(charged(self), 6 * MIB);
}

/* A page that its user keeps is charged, though the driver has given it back */
TEST_F(dmem, driver_s_page_is_pinned)
{
	struct cdm_test_alloc req = { .nid = self->nid, .count = 2 };
	struct iovec page = { .iov_len = self->page_size };
	int ends[2];

	ASSERT_EQ(ioctl(self->fd, CDM_TEST_ALLOC, &req), 0);
	page.iov_base = mmap(NULL, self->page_size, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(page.iov_base, MAP_FAILED);
	ASSERT_EQ(pipe(ends), 0);
	ASSERT_EQ(vmsplice(ends[1], &page, 1, 0), self->page_size);
	munmap(page.iov_base, self->page_size);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_FREE), 0);
	EXPECT_EQ(charged(self), self->page_size);
	close(ends[0]);
	close(ends[1]);
	EXPECT_EQ(charged(self), 0);
}

static uint64_t address_of(char *p)
{
	uint64_t pfn = 0;

	return read_frames(p, 1, &pfn) ? 0 : pfn * sysconf(_SC_PAGESIZE);
}

/* A page that has gone bad is nobody's */
TEST_F(dmem, bad_page)
{
	uint64_t addr;

	ASSERT_EQ(bind_to_device(self), 0);
	ASSERT_EQ(touch(self->p, SIZE, self->page_size), SIZE);
	addr = address_of(self->p);
	ASSERT_EQ(ioctl(self->fd, CDM_TEST_RETIRE, &addr), 0);
	EXPECT_EQ(touch(self->p, self->page_size, self->page_size), 0);
	EXPECT_EQ(madvise(self->p, SIZE, MADV_DONTNEED), 0);
	EXPECT_EQ(charged(self), 0);
}

/* In an interrupt: whoever runs at that moment did not ask for it */
TEST_F(dmem, driver_in_an_interrupt)
{
	struct cdm_test_alloc req = {
		.nid = self->nid,
		.how = CDM_TEST_INTERRUPT,
		.count = 16,
	};

	ASSERT_EQ(ioctl(self->fd, CDM_TEST_ALLOC, &req), 0);
	EXPECT_EQ(req.on_node, 16);
	EXPECT_EQ(charged(self), 0);
}

TEST_HARNESS_MAIN
