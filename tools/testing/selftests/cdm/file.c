// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/cdmN: memory of the device and of nothing else for who may open it, that behaves as
 * shared memory does, within a quota, and ends in SIGBUS and ENOSPC.
 */
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../../../../include/uapi/linux/cdm.h"
#include "../../../../mm/gup_test.h"
#include "../kselftest_harness.h"
#include "sigbus.h"
#include "util.h"

#define SIZE	(8 * MIB)

/* Is touching it a SIGBUS? */
static bool touch_fails(char *p)
{
	if (sigsetjmp(lost, 1))
		return true;
	*(volatile char *)p = 1;
	return false;
}

/* Pages of a range that can be touched, from its start on */
static long touch_all(char *p, long nr)
{
	long i;

	for (i = 0; i < nr && !touch_fails(p + i * sysconf(_SC_PAGESIZE)); i++)
		;
	return i;
}

FIXTURE(file) {
	int fd;
	int nid;
	unsigned long devices;
	long nr;
	long page_size;
	char path[32];
	char *p;
};

FIXTURE_SETUP(file)
{
	self->devices = cdm_nodes();
	if (!self->devices)
		SKIP(return, "needs a CDM node");
	self->nid = __builtin_ctzl(self->devices);
	self->page_size = sysconf(_SC_PAGESIZE);
	self->nr = SIZE / self->page_size;
	ASSERT_EQ(device_path(self->nid, self->path, sizeof(self->path)), 0);
	self->fd = open(self->path, O_RDWR);
	ASSERT_GE(self->fd, 0);
	self->p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(self->p, MAP_FAILED);
	signal(SIGBUS, on_sigbus);
}

FIXTURE_TEARDOWN(file)
{
	munmap(self->p, SIZE);
	close(self->fd);
}

static uint64_t used(int fd)
{
	struct cdm_ioc_info info = { .size = sizeof(info) };

	return ioctl(fd, CDM_IOC_INFO, &info) ? -1 : info.used;
}

/* What others have freed is on the CPUs' lists, which shrink for a while: until nothing changes */
static int64_t settled_free_size(int fd)
{
	struct cdm_ioc_info info = { .size = sizeof(info) };
	int64_t before = -1;
	int i;

	for (i = 0; i < 10; i++) {
		if (ioctl(fd, CDM_IOC_INFO, &info) || (int64_t)info.free_size == before)
			break;
		before = info.free_size;
		sleep(2);
	}
	return info.free_size;
}

TEST_F(file, memory_of_the_device)
{
	int64_t free_size = settled_free_size(self->fd);
	struct cdm_ioc_info info = { .size = sizeof(info) };
	long i, other = 0, slack = 256 * self->page_size;

	ASSERT_EQ(ioctl(self->fd, CDM_IOC_INFO, &info), 0);
	EXPECT_EQ(info.used, 0);
	EXPECT_EQ(info.online_size, info.device_size);
	for (i = 0; i < (long)SIZE; i++)
		other += self->p[i] != 0;
	EXPECT_EQ(other, 0);
	memset(self->p, 0x5a, SIZE);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), self->nr);
	ASSERT_EQ(ioctl(self->fd, CDM_IOC_INFO, &info), 0);
	EXPECT_EQ(info.used, SIZE);
	/* pages on the CPUs' lists are not counted as free, and what is counted is folded late */
	EXPECT_GE(free_size - (int64_t)info.free_size, (int64_t)SIZE / 2 - slack);
	EXPECT_LE(free_size - (int64_t)info.free_size, (int64_t)(SIZE + 8 * MIB) + slack);
}

/* Neither a policy nor a cpuset says otherwise: the file does */
TEST_F(file, whatever_policies_say)
{
	unsigned long ram = 1;

	ASSERT_EQ(set_mempolicy(MPOL_BIND, &ram, MAXNODE), 0);
	ASSERT_EQ(mbind(self->p, SIZE, MPOL_BIND, &ram, MAXNODE, 0), 0);
	memset(self->p, 1, SIZE / 2);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, NODE(self->nid)), self->nr / 2);
	ASSERT_EQ(make_child_cpuset(), 0);
	ASSERT_EQ(enter_child_cpuset("0"), 0);
	memset(self->p + SIZE / 2, 1, SIZE / 2);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), self->nr);
	EXPECT_EQ(remove_child_cpuset(), 0);
	set_mempolicy(MPOL_DEFAULT, NULL, 0);
}

/* And page cache of its own reading and writing follows the file, too, not the task */
TEST_F(file, bound_to_the_device_beside_it)
{
	unsigned long mask = NODE(self->nid);
	char *anon = map_anonymous(SIZE);

	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	ASSERT_EQ(mbind(anon, SIZE, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(anon, 1, SIZE);
	memset(self->p, 2, SIZE);
	EXPECT_EQ(pages_on(anon, SIZE, mask), self->nr);
	EXPECT_EQ(pages_on(self->p, SIZE, mask), self->nr);
	EXPECT_EQ(used(self->fd), SIZE);
	munmap(anon, SIZE);
}

TEST_F(file, two_mib_at_a_time)
{
	if (huge_page_size() > SIZE)
		SKIP(return, "%s", no_huge_page());
	/* aligned, because the file's are */
	ASSERT_EQ((uintptr_t)self->p % (2 * MIB), 0);
	self->p[2 * MIB + 5] = 1;
	EXPECT_EQ(used(self->fd), 2 * MIB);
	EXPECT_EQ(read_value("/proc/self/smaps_rollup",
			     kernel_has_cdm() ? "ShmemPmdMapped:" : "FilePmdMapped:"), 2048);
	EXPECT_EQ(pages_on(self->p + 2 * MIB, 2 * MIB, NODE(self->nid)), 512);
}

TEST_F(file, reads_and_writes)
{
	struct cdm_ioc_info info = { .size = sizeof(info) };
	long first = 5000 / self->page_size;
	char buf[10000], got[10000];

	memset(buf, 0x33, sizeof(buf));
	ASSERT_EQ(pwrite(self->fd, buf, sizeof(buf), 5000), (ssize_t)sizeof(buf));
	EXPECT_EQ(memcmp(self->p + 5000, buf, sizeof(buf)), 0);
	EXPECT_EQ(self->p[4999], 0);
	self->p[5001] = 0x34;
	buf[1] = 0x34;
	ASSERT_EQ(lseek(self->fd, 5000, SEEK_SET), 5000);
	ASSERT_EQ(read(self->fd, got, sizeof(got)), (ssize_t)sizeof(got));
	EXPECT_EQ(memcmp(got, buf, sizeof(buf)), 0);
	/* of those that were touched: what is before them may be there, too, by a huge page */
	EXPECT_EQ(pages_on(self->p + first * self->page_size, 15000 - first * self->page_size,
			   NODE(self->nid)), 1 + 15000 / self->page_size - first);
	/* the file is as large as the device */
	ASSERT_EQ(ioctl(self->fd, CDM_IOC_INFO, &info), 0);
	EXPECT_EQ(lseek(self->fd, 0, SEEK_END), (off_t)info.device_size);
	EXPECT_EQ(read(self->fd, got, sizeof(got)), 0);
	EXPECT_EQ(write(self->fd, got, sizeof(got)), -1);
	EXPECT_EQ(errno, ENOSPC);
	EXPECT_EQ(pwrite(self->fd, buf, sizeof(buf), info.device_size - 100), 100);
}

TEST_F(file, forks_and_moves)
{
	char *moved;
	pid_t child;
	int rc;

	self->p[0] = 1;
	child = fork();
	if (!child) {
		self->p[1] = 2;
		_exit(self->p[0] != 1);
	}
	waitpid(child, &rc, 0);
	EXPECT_EQ(rc, 0);
	EXPECT_EQ(self->p[1], 2);
	moved = mremap(self->p, SIZE, 2 * SIZE, MREMAP_MAYMOVE);
	ASSERT_NE(moved, MAP_FAILED);
	self->p = moved;
	EXPECT_EQ(self->p[1], 2);
	memset(self->p, 3, 2 * SIZE);
	EXPECT_EQ(pages_on(self->p, 2 * SIZE, NODE(self->nid)), 2 * self->nr);
	munmap(self->p + SIZE, SIZE);
	/* the mapping keeps the memory that the file had */
	close(self->fd);
	EXPECT_EQ(self->p[1], 3);
	self->fd = open(self->path, O_RDWR);
	EXPECT_EQ(used(self->fd), 0);
}

TEST_F(file, advised_and_protected)
{
	memset(self->p, 5, SIZE);
	ASSERT_EQ(madvise(self->p, SIZE, MADV_DONTNEED), 0);
	EXPECT_EQ(self->p[SIZE - 1], 5);
	ASSERT_EQ(madvise(self->p, SIZE / 2, MADV_REMOVE), 0);
	EXPECT_EQ(used(self->fd), SIZE / 2);
	EXPECT_EQ(self->p[0], 0);
	EXPECT_EQ(self->p[SIZE / 2], 5);
	ASSERT_EQ(mprotect(self->p, SIZE, PROT_READ), 0);
	EXPECT_EQ(self->p[SIZE / 2], 5);
	/* a system call says EFAULT where a store would be a SIGSEGV */
	EXPECT_EQ(pread(self->fd, self->p + SIZE / 2, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	ASSERT_EQ(mprotect(self->p, SIZE, PROT_READ | PROT_WRITE), 0);
	ASSERT_EQ(mlock(self->p, SIZE), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), self->nr);
	EXPECT_EQ(used(self->fd), SIZE);
	EXPECT_EQ(madvise(self->p, SIZE, MADV_PAGEOUT), -1);
	ASSERT_EQ(munlock(self->p, SIZE), 0);
	madvise(self->p, SIZE, MADV_PAGEOUT);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), self->nr);
}

/* The other things that it does with memory that others may share, on pages that are there */
TEST_F(file, userfaultfd_by_hand)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	struct uffdio_register reg = {
		.range = { (uintptr_t)self->p, SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_zeropage zero = { .range = { reg.range.start, self->page_size } };
	struct uffdio_continue again = { .range = { reg.range.start + SIZE / 2,
						    self->page_size } };
	struct uffdio_writeprotect wp = { .range = again.range,
					  .mode = UFFDIO_WRITEPROTECT_MODE_WP };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	ASSERT_GE(uffd, 0);
	if (ioctl(uffd, UFFDIO_API, &api))
		SKIP(return, "no write-protection of shared memory on this architecture");
	ASSERT_EQ(pwrite(self->fd, "\x31", 1, SIZE / 2), 1);
	ASSERT_EQ(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	ASSERT_EQ(ioctl(uffd, UFFDIO_ZEROPAGE, &zero), 0);
	EXPECT_EQ(self->p[0], 0);
	ASSERT_EQ(ioctl(uffd, UFFDIO_CONTINUE, &again), 0);
	EXPECT_EQ(self->p[SIZE / 2], 0x31);
	ASSERT_EQ(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), 0);
	/* nobody waits for a handler in the kernel, which is told that it cannot write */
	EXPECT_EQ(pread(self->fd, self->p + SIZE / 2, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	wp.mode = 0;
	ASSERT_EQ(ioctl(uffd, UFFDIO_WRITEPROTECT, &wp), 0);
	EXPECT_EQ(pread(self->fd, self->p + SIZE / 2, 1, 0), 1);
	EXPECT_EQ(self->p[SIZE / 2], 0);
	EXPECT_EQ(pages_on(self->p, self->page_size, NODE(self->nid)), 1);
	EXPECT_EQ(pages_on(self->p + SIZE / 2, self->page_size, NODE(self->nid)), 1);
	close(uffd);
}

static void *fill_missing(void *arg)
{
	long page_size = sysconf(_SC_PAGESIZE);
	char page[page_size];
	struct uffd_msg msg;
	int uffd = *(int *)arg;
	struct uffdio_copy copy = { .src = (uintptr_t)page, .len = page_size };

	memset(page, 0x77, page_size);
	while (read(uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		copy.dst = msg.arg.pagefault.address & -page_size;
		if (ioctl(uffd, UFFDIO_COPY, &copy))
			break;
	}
	return NULL;
}

TEST_F(file, userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)self->p, 16 * self->page_size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	pthread_t thread;
	long i, wrong = 0;

	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	ASSERT_GE(uffd, 0);
	ASSERT_EQ(ioctl(uffd, UFFDIO_API, &api), 0);
	ASSERT_EQ(ioctl(uffd, UFFDIO_REGISTER, &reg), 0);
	ASSERT_EQ(pthread_create(&thread, NULL, fill_missing, &uffd), 0);
	for (i = 0; i < 16; i++)
		wrong += self->p[i * self->page_size] != 0x77;
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(pages_on(self->p, 16 * self->page_size, NODE(self->nid)), 16);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	close(uffd);
}

TEST_F(file, pinned)
{
	struct iovec page = { self->p, 4096 };
	int ends[2];
	char c = 0;

	memset(self->p, 9, 4096);
	ASSERT_EQ(pipe(ends), 0);
	ASSERT_EQ(vmsplice(ends[1], &page, 1, 0), 4096);
	munmap(self->p, SIZE);
	close(self->fd);
	ASSERT_EQ(read(ends[0], &c, 1), 1);
	EXPECT_EQ(c, 9);
	close(ends[0]);
	close(ends[1]);
	self->fd = open(self->path, O_RDWR);
}

/* RDMA and the like, of memory that nobody has touched: it goes by way of the device to RAM */
TEST_F(file, pinned_before_it_is_touched)
{
	struct pin_longterm_test pin = {
		.addr = (uintptr_t)self->p,
		.size = SIZE,
		.flags = PIN_LONGTERM_TEST_FLAG_USE_WRITE,
	};
	int fd = open("/sys/kernel/debug/gup_test", O_RDWR), tries, rc;

	if (fd < 0)
		SKIP(return, "needs CONFIG_GUP_TEST");
	if (!kernel_has_cdm()) {
		/* what a module's file has stays where it is: there is no such pin */
		EXPECT_EQ(ioctl(fd, PIN_LONGTERM_TEST_START, &pin), -1);
		EXPECT_EQ(errno, ENOMEM);
		EXPECT_EQ(pages_on(self->p, SIZE, ~self->devices), 0);
		close(fd);
		return;
	}
	/* mm moves a page once; somebody else may look at one just then */
	for (tries = 0; tries < 5; tries++) {
		rc = ioctl(fd, PIN_LONGTERM_TEST_START, &pin);
		if (!rc || errno != ENOMEM)
			break;
	}
	ASSERT_EQ(rc, 0)
		TH_LOG("errno %d", errno);
	EXPECT_EQ(pages_on(self->p, SIZE, ~self->devices), self->nr);
	EXPECT_EQ(used(self->fd), SIZE);
	EXPECT_EQ(ioctl(fd, PIN_LONGTERM_TEST_STOP), 0);
	close(fd);
}

/* Nobody moves the pages from one place on the device to another, nor pages them out */
TEST_F(file, stays_where_it_is)
{
	uint64_t frames[SIZE / 4096], after;
	long i;

	madvise(self->p, SIZE, MADV_NOHUGEPAGE);
	ASSERT_EQ(touch_all(self->p, self->nr), self->nr);
	ASSERT_EQ(read_frames(self->p, self->nr, frames), 0);
	for (i = 0; i < self->nr; i += 2)
		ASSERT_EQ(madvise(self->p + i * self->page_size, self->page_size, MADV_REMOVE), 0);
	ASSERT_EQ(write_file("/proc/sys/vm/compact_memory", "1"), 0);
	madvise(self->p, SIZE, MADV_PAGEOUT);
	for (i = 1; i < self->nr; i += 2) {
		ASSERT_FALSE(touch_fails(self->p + i * self->page_size));
		ASSERT_EQ(read_frames(self->p + i * self->page_size, 1, &after), 0);
		ASSERT_EQ(after, frames[i]);
	}
}

/* Off it by a system call, as other memory; where a module has to see to it, nobody moves them */
TEST_F(file, pages_asked_to_move)
{
	int status[SIZE / 4096], ram[SIZE / 4096] = { 0 };
	void *pages[SIZE / 4096];
	long i, left = 1;

	for (i = 0; i < self->nr; i++)
		pages[i] = self->p + i * self->page_size;
	ASSERT_EQ(touch_all(self->p, self->nr), self->nr);
	/* somebody may hold one for a moment */
	for (i = 0; i < 5 && left; i++)
		left = move_pages(0, self->nr, pages, ram, status, MPOL_MF_MOVE_ALL);
	EXPECT_GE(left, 0);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), kernel_has_cdm() ? 0 : self->nr);
}

TEST_F(file, nothing_is_left_behind)
{
	long i, other = 0;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		for (i = 0; i < (long)SIZE; i += 8)
			other += *(uint64_t *)(self->p + i) != 0;
		memset(self->p, 0xa5, SIZE);
		munmap(self->p, SIZE);
		close(self->fd);
		self->fd = open(self->path, O_RDWR);
		self->p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
		ASSERT_NE(self->p, MAP_FAILED);
	}
	EXPECT_EQ(other, 0);
}

TEST_F(file, quota)
{
	struct cdm_ioc_quota quota = { .size = sizeof(quota), .quota = 3 * MIB };
	struct cdm_ioc_info info = { .size = sizeof(info) };
	char page[4096] = "";

	ASSERT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), 0);
	EXPECT_EQ(touch_all(self->p, self->nr), (long)(3 * MIB) / self->page_size);
	ASSERT_EQ(ioctl(self->fd, CDM_IOC_INFO, &info), 0);
	EXPECT_EQ(info.used, 3 * MIB);
	EXPECT_EQ(info.quota, 3 * MIB);
	EXPECT_EQ(pwrite(self->fd, page, sizeof(page), 4 * MIB), -1);
	EXPECT_EQ(errno, ENOSPC);
	quota.quota = 2 * MIB;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), -1);
	EXPECT_EQ(errno, EBUSY);
	/* what is given back can be had again */
	ASSERT_EQ(madvise(self->p, MIB, MADV_REMOVE), 0);
	EXPECT_EQ(pwrite(self->fd, page, sizeof(page), 4 * MIB), (ssize_t)sizeof(page));
	quota.quota = 6 * MIB;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), 0);
	ASSERT_EQ(seteuid(65534), 0);
	quota.quota = 7 * MIB;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), -1);
	EXPECT_EQ(errno, EPERM);
	quota.quota = 5 * MIB;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), 0);
	ASSERT_EQ(seteuid(0), 0);
}

/* Nobody is killed by an OOM, and no RAM is taken */
TEST_F(file, the_device_is_full)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER,
				      .count = 1 << 20 };
	long before = read_value("/proc/vmstat", "oom_kill"), touched, more;
	int fd = open("/dev/cdm_test", O_RDWR);
	char page[4096] = "";
	cpu_set_t all;

	if (fd < 0)
		SKIP(return, "needs the module cdm_test");
	/* another CPU may have a few free pages in its lists */
	sched_getaffinity(0, sizeof(all), &all);
	ASSERT_EQ(run_on(0), 0);
	while (!ioctl(fd, CDM_TEST_ALLOC, &req))
		;
	ASSERT_EQ(errno, ENOMEM);
	touched = touch_all(self->p, self->nr);
	EXPECT_LE(touched, 600);
	EXPECT_EQ(touched * self->page_size, (long)used(self->fd));
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), touched);
	/* what vmstat has added up since then counts as free, too */
	for (more = 0; more < 600; more++)
		if (pwrite(self->fd, page, sizeof(page), SIZE - (more + 1) * self->page_size) < 0)
			break;
	EXPECT_EQ(errno, ENOSPC);
	EXPECT_LT(more, 600);
	EXPECT_EQ(read_value("/proc/vmstat", "oom_kill"), before);
	close(fd);
	EXPECT_EQ(touch_all(self->p, self->nr), self->nr);
	sched_setaffinity(0, sizeof(all), &all);
}

/* What lies free on a CPU's list may be had on another one, before the device counts as full */
TEST_F(file, pages_of_another_cpu)
{
	struct cdm_test_alloc some = { .nid = self->nid, .how = CDM_TEST_BULK,
				       .count = self->nr - self->nr / 32 };
	struct cdm_test_alloc all = { .nid = self->nid, .how = CDM_TEST_DRIVER,
				      .count = 1 << 20 };
	int fd = open("/dev/cdm_test", O_RDWR), rest = open("/dev/cdm_test", O_RDWR);
	cpu_set_t allowed;

	if (fd < 0 || !kernel_has_cdm())
		SKIP(return, "needs the module cdm_test and CONFIG_CDM");
	sched_getaffinity(0, sizeof(allowed), &allowed);
	if (CPU_COUNT(&allowed) < 2)
		SKIP(return, "needs two CPUs");
	ASSERT_EQ(run_on(1), 0);
	ASSERT_EQ(ioctl(fd, CDM_TEST_ALLOC, &some), 0);
	ASSERT_EQ(some.on_node, some.count);
	ASSERT_EQ(run_on(0), 0);
	while (!ioctl(rest, CDM_TEST_ALLOC, &all))
		;
	ASSERT_EQ(run_on(1), 0);
	ASSERT_EQ(ioctl(fd, CDM_TEST_FREE), 0);
	ASSERT_EQ(run_on(0), 0);
	/* but for what it keeps of it for itself */
	EXPECT_GE(touch_all(self->p, self->nr), self->nr * 3 / 4);
	sched_setaffinity(0, sizeof(allowed), &allowed);
	close(rest);
	close(fd);
}

/* Who had a page before has left nothing in it, whether the device clears or the CPU does */
TEST_F(file, nothing_of_who_had_it_before)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER,
				      .count = 1 << 20 };
	int fd = open("/dev/cdm_test", O_RDWR);
	long i, other = 0;

	if (fd < 0)
		SKIP(return, "needs the module cdm_test");
	/* writes to every page that it gets, and that is all that there are */
	while (!ioctl(fd, CDM_TEST_ALLOC, &req))
		;
	ASSERT_EQ(ioctl(fd, CDM_TEST_FREE), 0);
	EXPECT_EQ(touch_all(self->p + SIZE / 2, self->nr / 2), self->nr / 2);
	for (i = 0; i < (long)SIZE; i++)
		other += self->p[i] != (i >= (long)SIZE / 2 && i % self->page_size == 0);
	EXPECT_EQ(other, 0);
	close(fd);
}

/* As touch_all(), by a system call for each, of the task that calls it first */
static long copy_all(char *p, long nr)
{
	long page_size = sysconf(_SC_PAGESIZE), i = 0;
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, nr * page_size },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_copy copy = { .len = page_size };
	static int uffd = -1;
	static char *from;

	if (uffd < 0) {
		from = map_anonymous(page_size);
		memset(from, 1, page_size);
		uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
		if (ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg))
			return -1;
	}
	for (copy.src = (uintptr_t)from; i < nr; i++) {
		copy.dst = (uintptr_t)p + i * page_size;
		if (ioctl(uffd, UFFDIO_COPY, &copy))
			break;
	}
	return i;
}

#define CGROUP "/sys/fs/cgroup/cdm_file"

/*
 * A cgroup's limit holds, and who reaches it is not killed. In the cgroup the child does nothing
 * but that, and has done it all once before, up to the quota: a page table or a page of its stack
 * might be what is too much, and RAM at the limit ends in SIGKILL. What had a huge page has no
 * page table, so no limit is where one begins. It stays on one CPU, as each keeps back some of
 * what may be charged.
 */
static void reach_limit(struct __test_metadata *_metadata, FIXTURE_DATA(file) *self, long limit,
			bool advised, long (*fill)(char *p, long nr))
{
	struct cdm_ioc_quota quota = { .size = sizeof(quota), .quota = SIZE - self->page_size };
	long before = read_value("/proc/vmstat", "oom_kill");
	volatile long *filled = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long i, charged = 0, sum = 0;
	char bytes[16];
	int status = 0;
	pid_t child;

	if (write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory"))
		SKIP(return, "needs the memory controller");
	/* where a test before this one has ended early */
	rmdir(CGROUP);
	ASSERT_EQ(mkdir(CGROUP, 0755), 0);
	snprintf(bytes, sizeof(bytes), "%ld", limit);
	ASSERT_EQ(write_file(CGROUP "/memory.max", bytes), 0);
	ASSERT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), 0);
	filled[0] = -1;
	child = fork();
	ASSERT_GE(child, 0);
	if (!child) {
		/* has this page in its own page table before it is charged */
		filled[0] = -1;
		/* unchecked: a kernel may have no huge pages */
		if (advised)
			madvise(self->p, SIZE, MADV_NOHUGEPAGE);
		if (run_on(0) || fill(self->p, self->nr) != self->nr - 1 ||
		    madvise(self->p, SIZE, MADV_REMOVE))
			_exit(1);
		if (advised)
			madvise(self->p, SIZE, MADV_HUGEPAGE);
		if (write_file(CGROUP "/cgroup.procs", "0"))
			_exit(1);
		filled[0] = fill(self->p, self->nr);
		for (;;)
			;
	}
	while (filled[0] < 0 && !waitpid(child, &status, WNOHANG))
		usleep(10000);
	ASSERT_EQ(status, 0);
	EXPECT_GE(filled[0], limit / 2 / self->page_size);
	EXPECT_LT(filled[0], limit / self->page_size);
	EXPECT_EQ(used(self->fd), (uint64_t)(filled[0] * self->page_size));
	/* its counters are summed up every now and then */
	for (i = 0; i < 50 && charged != filled[0] * self->page_size; i++) {
		usleep(100000);
		charged = read_value(CGROUP "/memory.stat",
				     kernel_has_cdm() ? "shmem " : "file ");
	}
	EXPECT_EQ(charged, filled[0] * self->page_size);
	for (i = 0; i < filled[0]; i++)
		sum += self->p[i * self->page_size];
	EXPECT_EQ(sum, filled[0]);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), filled[0]);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	EXPECT_EQ(read_value("/proc/vmstat", "oom_kill"), before);
	munmap(self->p, SIZE);
	close(self->fd);
	self->fd = open(self->path, O_RDWR);
	EXPECT_EQ(rmdir(CGROUP), 0);
	EXPECT_EQ(write_file("/sys/fs/cgroup/cgroup.subtree_control", "-memory"), 0);
}

TEST_F_TIMEOUT(file, charged_to_the_cgroup, 120)
{
	reach_limit(_metadata, self, 3 * MIB, false, touch_all);
}

/* The huge page may be charged, the node of the page cache that holds it no longer */
TEST_F_TIMEOUT(file, cgroup_of_one_huge_page, 120)
{
	long before = read_value("/proc/vmstat", "thp_file_fallback ");

	if (huge_page_size() > SIZE)
		SKIP(return, "%s", no_huge_page());
	reach_limit(_metadata, self, huge_page_size(), true, touch_all);
	if (kernel_has_cdm())
		EXPECT_EQ(read_value("/proc/vmstat", "thp_file_fallback "), before);
}

TEST_F_TIMEOUT(file, cgroup_is_full_in_a_system_call, 120)
{
	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	reach_limit(_metadata, self, 3 * MIB, false, copy_all);
}

/*
 * Again for what is not there yet: khugepaged, when it comes by, waits with a reference for the
 * lock of a huge page that is on its way, and that one stays for that
 */
static int migrate(int fd, uint32_t flags, char *p, size_t length, int32_t *status,
		   uint64_t *moved)
{
	struct cdm_ioc_migrate req = {
		.size = sizeof(req),
		.flags = flags,
		.addr = (uintptr_t)p,
		.length = length,
		.status = (uintptr_t)status,
	};
	int rc, tries = 0;

	do {
		rc = ioctl(fd, CDM_IOC_MIGRATE, &req) ? -errno : 0;
		*moved = req.moved;
	} while (!rc && *moved < length / sysconf(_SC_PAGESIZE) && ++tries < 5 && !usleep(50000));
	return rc;
}

/* The process's own memory, too, and of a file that has moved to RAM */
TEST_F(file, migrates)
{
	char *anon = map_anonymous(SIZE);
	int32_t status[SIZE / 4096];
	uint64_t moved;
	long huge;

	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	memset(anon, 3, SIZE / 2);
	memset(self->p, 4, SIZE);
	huge = read_value("/proc/self/smaps_rollup", "ShmemPmdMapped:");
	ASSERT_GE(huge, huge_page_size() > SIZE ? 0 : 2048);
	ASSERT_EQ(migrate(self->fd, 0, anon, SIZE, status, &moved), 0);
	EXPECT_EQ(moved, (uint64_t)self->nr / 2);
	EXPECT_EQ(status[0], 0);
	EXPECT_EQ(status[self->nr - 1], -ENOENT);
	EXPECT_EQ(pages_on(anon, SIZE, NODE(self->nid)), self->nr / 2);
	ASSERT_EQ(migrate(self->fd, CDM_MIGRATE_TO_RAM, anon, SIZE / 2, NULL, &moved), 0);
	EXPECT_EQ(pages_on(anon, SIZE, self->devices), 0);
	ASSERT_EQ(migrate(self->fd, CDM_MIGRATE_TO_RAM, self->p, SIZE, NULL, &moved), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, self->devices), 0);
	EXPECT_EQ(self->p[SIZE - 1], 4);
	EXPECT_EQ(used(self->fd), SIZE);
	ASSERT_EQ(migrate(self->fd, 0, self->p, SIZE, NULL, &moved), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), self->nr);
	EXPECT_EQ(self->p[SIZE - 1], 4);
	/* 2 MiB at a time, there and back */
	EXPECT_EQ(read_value("/proc/self/smaps_rollup", "ShmemPmdMapped:"), huge);
	EXPECT_EQ(anon[0], 3);
	munmap(anon, SIZE);
}

/* What others have as well, or the quota does not count, is no business of the file's */
TEST_F(file, moves_only_what_is_ours)
{
	struct cdm_ioc_quota quota = { .size = sizeof(quota), .quota = 4 * MIB };
	int fd = open(getenv("CDM_SPARSE_FILE") ?: "", O_RDONLY);
	char *anon = map_anonymous(SIZE), *cache;
	int32_t status[SIZE / 4096];
	uint64_t moved;
	long i, sum = 0;

	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	cache = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
	if (cache == MAP_FAILED)
		SKIP(return, "needs CDM_SPARSE_FILE");
	for (i = 0; i < self->nr; i++)
		sum += cache[i * self->page_size];
	ASSERT_EQ(migrate(self->fd, 0, cache, SIZE, status, &moved), 0);
	EXPECT_EQ(moved, sum);
	EXPECT_EQ(status[0], -EACCES);
	EXPECT_EQ(pages_on(cache, SIZE, self->devices), 0);

	memset(anon, 1, SIZE);
	ASSERT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), 0);
	ASSERT_EQ(migrate(self->fd, 0, anon, SIZE, status, &moved), 0);
	EXPECT_EQ(moved, 0);
	EXPECT_EQ(status[0], -EACCES);
	EXPECT_EQ(pages_on(anon, SIZE, self->devices), 0);
	munmap(anon, SIZE);
	munmap(cache, SIZE);
	close(fd);
}

/* What counts for another device does not come to this one past its quota */
TEST_F(file, quota_of_another_device)
{
	struct cdm_ioc_quota quota = { .size = sizeof(quota), .quota = MIB };
	unsigned long others = self->devices & (self->devices - 1);
	int32_t status[SIZE / 4096];
	uint64_t moved;
	char path[32], *p;
	int nid, fd;

	if (!kernel_has_cdm() || !others)
		SKIP(return, "needs CONFIG_CDM and two devices");
	nid = __builtin_ctzl(others);
	ASSERT_EQ(device_path(nid, path, sizeof(path)), 0);
	fd = open(path, O_RDWR);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(p, MAP_FAILED);
	memset(p, 1, SIZE);
	ASSERT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), 0);
	ASSERT_EQ(migrate(self->fd, 0, p, SIZE, status, &moved), 0);
	EXPECT_EQ(moved, 0);
	EXPECT_EQ(status[0], -EACCES);
	EXPECT_EQ(pages_on(p, SIZE, NODE(nid)), self->nr);
	munmap(p, SIZE);
	close(fd);
}

/* What is on the device moves to RAM when it goes offline, and back when somebody says so */
TEST_F(file, device_goes_offline)
{
	char state[PATH_MAX];
	uint64_t moved;
	long i, wrong = 0;

	ASSERT_EQ(device_file(self->nid, "state", state, sizeof(state)), 0);
	memset(self->p, 0x42, SIZE / 2);
	ASSERT_EQ(write_file(state, "offline"), 0);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, self->devices & ~NODE(self->nid)), 0);
	for (i = 0; i < (long)SIZE / 2; i++)
		wrong += self->p[i] != 0x42;
	EXPECT_EQ(wrong, 0);
	EXPECT_TRUE(touch_fails(self->p + SIZE / 2));
	if (kernel_has_cdm())
		EXPECT_EQ(migrate(self->fd, 0, self->p, SIZE / 2, NULL, &moved), -ENODEV);
	ASSERT_EQ(write_file(state, "online_movable"), 0);
	EXPECT_FALSE(touch_fails(self->p + SIZE / 2));
	if (!kernel_has_cdm())
		return;
	ASSERT_EQ(migrate(self->fd, 0, self->p, SIZE / 2, NULL, &moved), 0);
	EXPECT_EQ(pages_on(self->p, SIZE / 2, NODE(self->nid)), self->nr / 2);
	EXPECT_EQ(self->p[SIZE / 2 - 1], 0x42);
}

/* RAM that it has got when its device left is paged out as all RAM is; the device's is not */
TEST_F(file, paged_out_when_in_ram)
{
	long i, wrong = 0, swap_free;
	uint64_t moved;

	if (!kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM");
	if (swap_on())
		SKIP(return, "needs zram");
	memset(self->p, 0x17, SIZE);
	swap_free = read_value("/proc/meminfo", "SwapFree:");
	EXPECT_EQ(madvise(self->p, SIZE, MADV_PAGEOUT), 0);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), self->nr);
	EXPECT_EQ(read_value("/proc/meminfo", "SwapFree:"), swap_free);
	ASSERT_EQ(migrate(self->fd, CDM_MIGRATE_TO_RAM, self->p, SIZE, NULL, &moved), 0);
	EXPECT_EQ(moved, (uint64_t)self->nr);
	EXPECT_EQ(madvise(self->p, SIZE, MADV_PAGEOUT), 0);
	EXPECT_LE(read_value("/proc/meminfo", "SwapFree:"), swap_free - (long)SIZE / 2 / 1024);
	EXPECT_EQ(used(self->fd), SIZE);
	for (i = 0; i < (long)SIZE; i++)
		wrong += self->p[i] != 0x17;
	EXPECT_EQ(wrong, 0);
	swap_off();
}

/* It is the device's memory: what of system RAM is committed does not change */
TEST_F(file, commits_no_ram)
{
	long committed = read_value("/proc/meminfo", "Committed_AS:");

	EXPECT_EQ(touch_all(self->p, self->nr), self->nr);
	EXPECT_LT(labs(read_value("/proc/meminfo", "Committed_AS:") - committed), 1024);
}

TEST_F(file, bad_requests)
{
	struct {
		struct cdm_ioc_info info;
		uint64_t more;
	} req = { .info.size = sizeof(req) };
	struct cdm_ioc_quota quota = { .size = sizeof(quota), .quota = MIB };
	uint64_t moved;
	char *map;
	int fd;

	/* of a newer program, that does not use what is new; then it does */
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_INFO, &req), 0);
	EXPECT_EQ(req.info.size, sizeof(req.info));
	EXPECT_EQ(req.info.node, self->nid);
	req.info = (struct cdm_ioc_info) { .size = sizeof(req) };
	req.more = 1;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_INFO, &req), -1);
	EXPECT_EQ(errno, E2BIG);
	req.info = (struct cdm_ioc_info) { .size = sizeof(req.info) - 1 };
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_INFO, &req), -1);
	EXPECT_EQ(errno, EINVAL);
	req.info = (struct cdm_ioc_info) { .size = sizeof(req.info), .flags = 1 };
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_INFO, &req), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_INFO, NULL), -1);
	EXPECT_EQ(errno, EFAULT);
	quota.flags = 1;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), -1);
	EXPECT_EQ(errno, EINVAL);
	quota = (struct cdm_ioc_quota) { .size = sizeof(quota) };
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), -1);
	EXPECT_EQ(errno, EINVAL);
	quota.quota = 1ULL << 50;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_QUOTA, &quota), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(migrate(self->fd, 2, self->p, SIZE, NULL, &moved), -EINVAL);
	EXPECT_EQ(migrate(self->fd, 0, self->p + 1, SIZE, NULL, &moved), -EINVAL);
	EXPECT_EQ(migrate(self->fd, 0, self->p, SIZE + 1, NULL, &moved), -EINVAL);
	EXPECT_EQ(migrate(self->fd, 0, self->p, 0, NULL, &moved), -EINVAL);
	EXPECT_EQ(migrate(self->fd, 0, self->p, 2UL << 30, NULL, &moved), -EINVAL);
	EXPECT_EQ(ioctl(self->fd, _IO(0xcd, 99)), -1);
	EXPECT_EQ(errno, ENOTTY);
	EXPECT_EQ(mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, self->fd, 0), MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);

	/* which may be mapped to be read, and no more */
	fd = open(self->path, O_RDONLY);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(map, MAP_FAILED);
	EXPECT_EQ(map[5], 0);
	EXPECT_EQ(mprotect(map, SIZE, PROT_READ | PROT_WRITE), -1);
	EXPECT_EQ(errno, EACCES);
	munmap(map, SIZE);
	EXPECT_EQ(migrate(fd, 0, self->p, SIZE, NULL, &moved), -EBADF);
	EXPECT_EQ(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	EXPECT_EQ(errno, EACCES);
	close(fd);
}

/* What is asked for can be read, and the answer cannot be written */
TEST_F(file, answers_to_nowhere)
{
	long page = sysconf(_SC_PAGESIZE);
	char *map = map_anonymous(page);
	/* what is not there has no answer */
	int no_answer = kernel_has_cdm() ? EFAULT : EOPNOTSUPP;
	struct cdm_ioc_migrate *req = (void *)map;
	struct cdm_ioc_info *info = (void *)map;

	ASSERT_NE(map, NULL);
	*info = (struct cdm_ioc_info) { .size = sizeof(*info) };
	ASSERT_EQ(mprotect(map, page, PROT_READ), 0);
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_INFO, info), -1);
	EXPECT_EQ(errno, EFAULT);

	ASSERT_EQ(mprotect(map, page, PROT_READ | PROT_WRITE), 0);
	*req = (struct cdm_ioc_migrate) {
		.size = sizeof(*req), .addr = (uintptr_t)self->p, .length = SIZE,
	};
	ASSERT_EQ(mprotect(map, page, PROT_READ), 0);
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_MIGRATE, req), -1);
	EXPECT_EQ(errno, no_answer);

	/* neither the states of the pages; and addresses that end where they begin */
	ASSERT_EQ(mprotect(map, page, PROT_READ | PROT_WRITE), 0);
	req->status = 8;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_MIGRATE, req), -1);
	EXPECT_EQ(errno, no_answer);
	req->addr = -page;
	req->length = 2 * page;
	EXPECT_EQ(ioctl(self->fd, CDM_IOC_MIGRATE, req), -1);
	EXPECT_EQ(errno, EINVAL);
	munmap(map, page);
}

TEST_F(file, permission_of_the_file)
{
	int fd;

	ASSERT_EQ(seteuid(65534), 0);
	fd = open(self->path, O_RDWR);
	EXPECT_EQ(fd, -1);
	EXPECT_EQ(errno, EACCES);
	ASSERT_EQ(seteuid(0), 0);
}

TEST_HARNESS_MAIN
