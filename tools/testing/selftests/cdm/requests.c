// SPDX-License-Identifier: GPL-2.0
/*
 * What the ioctls of /dev/cdmN answer when they cannot do what is asked: for each page that does
 * not move why, and for each structure that is not right which error.
 */
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../../../../include/uapi/linux/cdm.h"
#include "../kselftest_harness.h"
#include "util.h"

#define SIZE	(2 * MIB)
#define FAULTS	"/sys/kernel/debug/fail_function/"

FIXTURE(requests) {
	int fd;
	int nid;
	long page_size;
	long nr;
	char *p;		/* anonymous memory in RAM, in small pages */
	int32_t *status;
};

FIXTURE_SETUP(requests)
{
	unsigned long nodes = cdm_nodes();
	char path[32];

	if (!nodes || !kernel_has_cdm())
		SKIP(return, "needs CONFIG_CDM and a device");
	self->nid = __builtin_ctzl(nodes);
	self->page_size = sysconf(_SC_PAGESIZE);
	self->nr = SIZE / self->page_size;
	self->status = calloc(self->nr, sizeof(*self->status));
	ASSERT_EQ(device_path(self->nid, path, sizeof(path)), 0);
	self->fd = open(path, O_RDWR);
	ASSERT_GE(self->fd, 0);
	self->p = map_anonymous(SIZE);
	ASSERT_NE(self->p, NULL);
	madvise(self->p, SIZE, MADV_NOHUGEPAGE);
	memset(self->p, 1, SIZE);
}

FIXTURE_TEARDOWN(requests)
{
	munmap(self->p, SIZE);
	free(self->status);
	close(self->fd);
}

/* Returns how many pages are there, or an error */
static long move_to(FIXTURE_DATA(requests) *self, char *p, size_t length, uint32_t flags)
{
	struct cdm_ioc_migrate req = {
		.size = sizeof(req),
		.flags = flags,
		.addr = (uintptr_t)p,
		.length = length,
		.status = (uintptr_t)self->status,
	};

	return ioctl(self->fd, CDM_IOC_MIGRATE, &req) ? -errno : (long)req.moved;
}

static long move(FIXTURE_DATA(requests) *self, char *p, size_t length)
{
	return move_to(self, p, length, 0);
}

static long count(const int32_t *status, long nr, int which)
{
	long n = 0;

	while (nr--)
		n += *status++ == which;
	return n;
}

static long with_status(const FIXTURE_DATA(requests) *self, int status)
{
	return count(self->status, self->nr, status);
}

TEST_F(requests, page_by_page)
{
	struct iovec page = { self->p + 5 * self->page_size, self->page_size };
	int ends[2];

	ASSERT_EQ(madvise(self->p + 3 * self->page_size, self->page_size, MADV_DONTNEED), 0);
	ASSERT_EQ(munmap(self->p + 9 * self->page_size, self->page_size), 0);
	ASSERT_EQ(pipe(ends), 0);
	ASSERT_EQ(vmsplice(ends[1], &page, 1, 0), self->page_size);
	EXPECT_EQ(move(self, self->p, SIZE), self->nr - 3);
	EXPECT_EQ(self->status[3], -ENOENT);
	EXPECT_EQ(self->status[5], -EBUSY);
	EXPECT_EQ(self->status[9], -EFAULT);
	EXPECT_EQ(with_status(self, 0), self->nr - 3);
	close(ends[0]);
	close(ends[1]);
}

/* Also of a parent and its child, who have not written to them since */
TEST_F(requests, pages_that_others_have)
{
	int ends[2];
	pid_t child;
	char c;

	ASSERT_EQ(pipe(ends), 0);
	child = fork();
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], &c, 1) != 0);
	}
	close(ends[0]);
	EXPECT_EQ(move(self, self->p, SIZE), 0);
	EXPECT_EQ(with_status(self, -EACCES), self->nr);
	close(ends[1]);
	waitpid(child, NULL, 0);
	EXPECT_EQ(move(self, self->p, SIZE), self->nr);
}

TEST_F(requests, huge_pages_of_a_pool)
{
	char *huge;

	if (!has_pool_2m())
		SKIP(return, NO_POOL_2M);
	ASSERT_EQ(write_file(POOL_2M "nr_hugepages", "4"), 0);
	huge = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | HUGETLB_2M,
		    -1, 0);
	if (huge != MAP_FAILED) {
		*huge = 1;
		EXPECT_EQ(move(self, huge, SIZE), 0);
		EXPECT_EQ(with_status(self, -EOPNOTSUPP), self->nr);
		munmap(huge, SIZE);
	}
	EXPECT_NE(huge, MAP_FAILED);
	EXPECT_EQ(write_file(POOL_2M "nr_hugepages", "0"), 0);
}

TEST_F_TIMEOUT(requests, device_without_room, 120)
{
	struct cdm_test_alloc all = { .nid = self->nid, .how = CDM_TEST_DRIVER,
				      .count = 1 << 20 };
	int fd = open("/dev/cdm_test", O_RDWR);
	long moved;

	if (fd < 0)
		SKIP(return, "needs the module cdm_test");
	while (!ioctl(fd, CDM_TEST_ALLOC, &all))
		;
	moved = move(self, self->p, SIZE);
	/* a page may be left here and there */
	EXPECT_GE(moved, 0);
	EXPECT_LE(moved, self->nr / 2);
	EXPECT_EQ(with_status(self, -ENOMEM), self->nr - moved);
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), moved);
	close(fd);
}

TEST_F(requests, no_memory_for_it)
{
	if (access(FAULTS "inject", W_OK))
		SKIP(return, "needs CONFIG_FAIL_FUNCTION and debugfs");
	ASSERT_EQ(write_file(FAULTS "inject", "cdm_node_migrate_range"), 0);
	ASSERT_EQ(write_file(FAULTS "cdm_node_migrate_range/retval", "0xfffffffffffffff4"), 0);
	write_file(FAULTS "task-filter", "N");
	write_file(FAULTS "probability", "100");
	write_file(FAULTS "interval", "0");
	write_file(FAULTS "verbose", "0");
	write_file(FAULTS "space", "0");
	ASSERT_EQ(write_file(FAULTS "times", "1"), 0);
	EXPECT_EQ(move(self, self->p, SIZE), -ENOMEM);
	write_file(FAULTS "inject", "");
	EXPECT_EQ(pages_on(self->p, SIZE, NODE(self->nid)), 0);
	EXPECT_EQ(move(self, self->p, SIZE), self->nr);
}

/* Of several batches, in memory of its own, there and back, until it is killed */
#define MUCH_PAGES	8192
#define UNKNOWN	1

static void move_for_ever(FIXTURE_DATA(requests) *self, int32_t *status)
{
	size_t much = MUCH_PAGES * self->page_size;
	char *p = map_anonymous(much);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	self->status = status;
	madvise(p, much, MADV_NOHUGEPAGE);
	memset(p, 2, much);
	for (;;) {
		move(self, p, much);
		move_to(self, p, much, CDM_MIGRATE_TO_RAM);
	}
}

/* Who is killed in between is told what was left, and it is seen by whoever shares the answer */
TEST_F_TIMEOUT(requests, killed_in_between, 180)
{
	long nr = MUCH_PAGES, left = 0;
	int32_t *status = mmap(NULL, nr * sizeof(*status), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int tries;
	pid_t pid;

	ASSERT_NE(status, MAP_FAILED);
	for (tries = 0; tries < 100 && (!left || left == nr); tries++) {
		status[nr - 1] = UNKNOWN;
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid)
			move_for_ever(self, status);
		/* it has been there once */
		while (*(volatile int32_t *)(status + nr - 1) == UNKNOWN)
			usleep(1000);
		usleep(1000 * tries);
		ASSERT_EQ(kill(pid, SIGKILL), 0);
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
		left = count(status, nr, -EINTR);
	}
	TH_LOG("the %dth was killed with %ld of %ld pages left", tries, left, nr);
	EXPECT_GT(left, 0);
	EXPECT_LT(left, nr);
	EXPECT_EQ(count(status, nr, 0), nr - left);
	munmap(status, nr * sizeof(*status));
}

/* A structure of @size bytes: one too small, one of a newer program that wants what is new */
static void try_sizes(struct __test_metadata *_metadata, int fd, unsigned long call, uint32_t size)
{
	uint32_t req[32] = { };

	req[0] = size - 1;
	EXPECT_EQ(ioctl(fd, call, req), -1);
	EXPECT_EQ(errno, EINVAL);
	req[0] = sizeof(req);
	req[size / sizeof(*req)] = 1;
	EXPECT_EQ(ioctl(fd, call, req), -1);
	EXPECT_EQ(errno, E2BIG);
	req[0] = 1 << 20;
	EXPECT_EQ(ioctl(fd, call, req), -1);
	EXPECT_EQ(errno, E2BIG);
	EXPECT_EQ(ioctl(fd, call, NULL), -1);
	EXPECT_EQ(errno, EFAULT);
}

TEST_F(requests, sizes)
{
	try_sizes(_metadata, self->fd, CDM_IOC_INFO, sizeof(struct cdm_ioc_info));
	try_sizes(_metadata, self->fd, CDM_IOC_QUOTA, sizeof(struct cdm_ioc_quota));
	try_sizes(_metadata, self->fd, CDM_IOC_MIGRATE, sizeof(struct cdm_ioc_migrate));
}

TEST_HARNESS_MAIN
