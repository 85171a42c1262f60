// SPDX-License-Identifier: GPL-2.0
/*
 * What a driver moves: anonymous, shared and cached pages, small and huge ones, to a device,
 * to another one and back, by address and by page. Each page that stays says why.
 */
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../kselftest_harness.h"
#include "util.h"

#define SIZE	(8 * MIB)
#define RAM	(-1)

enum kind { ANONYMOUS, HUGE, SHARED, CACHE };

/* Memory of the test's, and what became of each page of it */
struct migration {
	int fd;
	unsigned long devices;
	int first, second;
	char *map;
	char *p;
	long nr;
	int32_t *status;
};

FIXTURE(migrate) {
	struct migration m;
};

FIXTURE_VARIANT(migrate) {
	enum kind kind;
	bool by_pfn;
};

FIXTURE_VARIANT_ADD(migrate, anonymous) { .kind = ANONYMOUS };
FIXTURE_VARIANT_ADD(migrate, anonymous_by_pfn) { .kind = ANONYMOUS, .by_pfn = true };
FIXTURE_VARIANT_ADD(migrate, huge) { .kind = HUGE };
FIXTURE_VARIANT_ADD(migrate, huge_by_pfn) { .kind = HUGE, .by_pfn = true };
FIXTURE_VARIANT_ADD(migrate, shared) { .kind = SHARED };
FIXTURE_VARIANT_ADD(migrate, shared_by_pfn) { .kind = SHARED, .by_pfn = true };
FIXTURE_VARIANT_ADD(migrate, cache) { .kind = CACHE };
FIXTURE_VARIANT_ADD(migrate, cache_by_pfn) { .kind = CACHE, .by_pfn = true };

/* Of what a driver asks for, whatever kind of memory it is: of anonymous memory */
FIXTURE(request) {
	struct migration m;
};

FIXTURE_VARIANT(request) {
	bool by_pfn;
};

FIXTURE_VARIANT_ADD(request, by_address) { .by_pfn = false };
FIXTURE_VARIANT_ADD(request, by_pfn) { .by_pfn = true };

/* Twice the size, for one that is aligned to 2 MiB within it */
static char *map_kind(enum kind kind)
{
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (kind == SHARED) {
		fd = memfd_create("cdm_migrate", MFD_CLOEXEC);
		if (ftruncate(fd, 2 * SIZE))
			return MAP_FAILED;
		flags = MAP_SHARED;
	} else if (kind == CACHE) {
		fd = open(getenv("CDM_SPARSE_FILE") ?: "", O_RDONLY);
		flags = MAP_PRIVATE;
	}
	return mmap(NULL, 2 * SIZE, PROT_READ | (kind == CACHE ? 0 : PROT_WRITE), flags, fd, 0);
}

/* A byte that is the page's own; files have zeroes, which in anonymous memory can vanish */
static char content(enum kind kind, long i)
{
	return kind == CACHE ? 0 : 1 + i * 7 % 127;
}

static long wrong_pages(const struct migration *m, enum kind kind)
{
	long page_size = sysconf(_SC_PAGESIZE), i, wrong = 0;

	for (i = 0; i < m->nr; i++)
		wrong += m->p[i * page_size] != content(kind, i) ||
			 m->p[i * page_size + page_size - 1] != content(kind, i);
	return wrong;
}

static void set_up(struct __test_metadata *_metadata, struct migration *m, enum kind kind)
{
	long page_size = sysconf(_SC_PAGESIZE), i;
	volatile char *p;

	m->fd = open("/dev/cdm_test", O_RDWR);
	m->devices = node_mask("has_cdm");
	if (m->fd < 0 || !(m->devices & (m->devices - 1)))
		SKIP(return, "needs the module cdm_test and two CDM nodes");
	m->first = __builtin_ctzl(m->devices);
	m->second = __builtin_ctzl(m->devices & (m->devices - 1));
	m->nr = SIZE / page_size;
	m->status = calloc(m->nr, sizeof(*m->status));
	m->map = map_kind(kind);
	ASSERT_NE(m->map, MAP_FAILED);
	m->p = (char *)(((uintptr_t)m->map + 2 * MIB - 1) & -(2 * MIB));
	if (kind == HUGE && huge_page_size() > SIZE)
		SKIP(return, "%s", no_huge_page());
	madvise(m->p, SIZE, kind == HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	p = m->p;
	for (i = 0; i < m->nr; i++) {
		if (kind == CACHE)
			(void)p[i * page_size];
		else
			memset(m->p + i * page_size, content(kind, i), page_size);
	}
	ASSERT_EQ(pages_on(m->p, SIZE, m->devices), 0);
}

static void tear_down(struct migration *m)
{
	munmap(m->map, 2 * SIZE);
	free(m->status);
	close(m->fd);
}

static int move(struct migration *m, bool by_pfn, int nid, int64_t *moved)
{
	struct cdm_test_migrate req = {
		.nid = nid,
		.by_pfn = by_pfn,
		.addr = (uintptr_t)m->p,
		.nr = m->nr,
		.status = (uintptr_t)m->status,
	};
	int rc = ioctl(m->fd, CDM_TEST_MIGRATE, &req) ? -errno : 0;

	*moved = req.moved;
	return rc;
}

FIXTURE_SETUP(migrate)
{
	set_up(_metadata, &self->m, variant->kind);
}

FIXTURE_TEARDOWN(migrate)
{
	int64_t moved;

	/* The next test finds the file's pages where this one leaves them */
	if (variant->kind == CACHE)
		EXPECT_EQ(move(&self->m, false, RAM, &moved), 0);
	tear_down(&self->m);
}

FIXTURE_SETUP(request)
{
	set_up(_metadata, &self->m, ANONYMOUS);
}

FIXTURE_TEARDOWN(request)
{
	tear_down(&self->m);
}

/* Pages whose status is @status */
static long with_status(const struct migration *m, int status)
{
	long i, nr = 0;

	for (i = 0; i < m->nr; i++)
		nr += m->status[i] == status;
	return nr;
}

static long huge_kib(void)
{
	return read_value("/proc/self/smaps_rollup", "AnonHugePages:");
}

/* Pages of the page cache are also others', who may look at them just now: a few tries */
static void move_all(struct __test_metadata *_metadata, struct migration *m, bool by_pfn,
		     enum kind kind, int nid)
{
	int64_t moved = 0;
	int tries;

	for (tries = 0; tries < 5 && moved < m->nr; tries++)
		ASSERT_EQ(move(m, by_pfn, nid, &moved), 0);
	EXPECT_EQ(moved, m->nr);
	EXPECT_EQ(with_status(m, 0), m->nr);
	EXPECT_EQ(pages_on(m->p, SIZE, nid == RAM ? ~m->devices : NODE(nid)), m->nr);
	EXPECT_EQ(wrong_pages(m, kind), 0);
}

TEST_F(migrate, there_and_back)
{
	long huge = huge_kib();

	if (variant->kind == HUGE)
		ASSERT_GE(huge, (long)(SIZE / 1024));
	move_all(_metadata, &self->m, variant->by_pfn, variant->kind, self->m.first);
	move_all(_metadata, &self->m, variant->by_pfn, variant->kind, self->m.second);
	move_all(_metadata, &self->m, variant->by_pfn, variant->kind, self->m.second);
	/* huge pages were moved whole */
	EXPECT_EQ(huge_kib(), huge);
	move_all(_metadata, &self->m, variant->by_pfn, variant->kind, RAM);
	EXPECT_EQ(huge_kib(), huge);
}

TEST_F(migrate, one_is_pinned)
{
	long page_size = sysconf(_SC_PAGESIZE);
	long stay = variant->kind == HUGE ? huge_page_size() / page_size : 1;
	struct iovec page = { self->m.p + 5 * page_size, page_size };
	int64_t moved;
	int ends[2];

	ASSERT_EQ(pipe(ends), 0);
	ASSERT_EQ(vmsplice(ends[1], &page, 1, 0), page_size);
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	EXPECT_EQ(moved, self->m.nr - stay);
	EXPECT_EQ(self->m.status[5], -EBUSY);
	EXPECT_EQ(with_status(&self->m, -EBUSY), stay);
	EXPECT_EQ(wrong_pages(&self->m, variant->kind), 0);
	close(ends[0]);
	close(ends[1]);
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	EXPECT_EQ(moved, self->m.nr);
	move_all(_metadata, &self->m, variant->by_pfn, variant->kind, RAM);
}

TEST_F(request, holes)
{
	long page_size = sysconf(_SC_PAGESIZE);
	int64_t moved;

	ASSERT_EQ(madvise(self->m.p + 3 * page_size, 2 * page_size, MADV_DONTNEED), 0);
	ASSERT_EQ(munmap(self->m.p + 9 * page_size, page_size), 0);
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	EXPECT_EQ(moved, self->m.nr - 3);
	EXPECT_EQ(with_status(&self->m, 0), moved);
	if (!variant->by_pfn) {
		EXPECT_EQ(self->m.status[3], -ENOENT);
		EXPECT_EQ(self->m.status[4], -ENOENT);
		EXPECT_EQ(self->m.status[9], -EFAULT);
	}
}

/* Nothing is done for a device that takes no pages; a page that is free, or no memory, is told */
TEST_F(request, offline)
{
	char state[PATH_MAX];
	int64_t moved;

	ASSERT_EQ(device_file(self->m.first, "state", state, sizeof(state)), 0);
	ASSERT_EQ(write_file(state, "offline"), 0);
	EXPECT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), -ENODEV);
	EXPECT_EQ(pages_on(self->m.p, SIZE, ~self->m.devices), self->m.nr);
	ASSERT_EQ(write_file(state, "online_movable"), 0);
	if (variant->by_pfn) {
		/* of a hole the pfn is 0, which is the kernel's own, or none */
		ASSERT_EQ(madvise(self->m.p, SIZE, MADV_DONTNEED), 0);
		ASSERT_EQ(move(&self->m, true, self->m.first, &moved), 0);
		EXPECT_EQ(moved, 0);
		EXPECT_TRUE(self->m.status[0] == -EBUSY || self->m.status[0] == -ENOENT);
		EXPECT_EQ(with_status(&self->m, self->m.status[0]), self->m.nr);
	}
}

/* Who is killed leaves what it has not come to where it is, and is told so page by page */
TEST_F(request, killed_in_between)
{
	size_t length = sizeof(int) + self->m.nr * sizeof(*self->m.status);
	int *to = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long left = 0, there;
	int64_t moved;
	int tries;
	pid_t pid;

	ASSERT_NE(to, MAP_FAILED);
	free(self->m.status);
	self->m.status = to + 1;
	for (tries = 0; tries < 100 && !left; tries++) {
		pid = fork();
		while (!pid) {
			*to = *to == self->m.first ? RAM : self->m.first;
			move(&self->m, variant->by_pfn, *to, &moved);
		}
		usleep(20000 + 1000 * tries);
		ASSERT_EQ(kill(pid, SIGKILL), 0);
		ASSERT_EQ(waitpid(pid, NULL, 0), pid);
		left = with_status(&self->m, -EINTR);
	}
	TH_LOG("the %dth was killed with %ld of %ld pages left", tries, left, self->m.nr);
	ASSERT_GT(left, 0);
	there = with_status(&self->m, 0);
	EXPECT_EQ(there + left, self->m.nr);
	EXPECT_EQ(pages_on(self->m.p, SIZE, *to == RAM ? ~self->m.devices : NODE(*to)), there);
	EXPECT_EQ(wrong_pages(&self->m, ANONYMOUS), 0);
	self->m.status = calloc(self->m.nr, sizeof(*self->m.status));
	munmap(to, length);
	move_all(_metadata, &self->m, variant->by_pfn, ANONYMOUS, RAM);
}

/* The device has a page here and there: those move, the others say that there is no room */
TEST_F(migrate, no_room)
{
	struct cdm_test_alloc req = { .nid = self->m.first, .how = CDM_TEST_DRIVER, .order = 0,
				      .count = 1 << 20 };
	int64_t moved;

	while (!ioctl(self->m.fd, CDM_TEST_ALLOC, &req))
		req.on_node = 0;
	ASSERT_EQ(errno, ENOMEM);
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	EXPECT_LE(moved, 600);
	EXPECT_EQ(with_status(&self->m, -ENOMEM), self->m.nr - moved);
	EXPECT_EQ(wrong_pages(&self->m, variant->kind), 0);
	EXPECT_EQ(pages_on(self->m.p, SIZE, NODE(self->m.first)), moved);
	ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_FREE), 0);
}

/*
 * The device has no block of 2 MiB, and the first folio is pinned: if it is large, it neither
 * moves nor can be split. The others move as far as there is room.
 */
TEST_F(migrate, no_room_and_pinned)
{
	struct cdm_test_alloc some = { .nid = self->m.first, .how = CDM_TEST_BULK,
				       .count = self->m.nr / 5 };
	struct cdm_test_alloc all = { .nid = self->m.first, .how = CDM_TEST_DRIVER,
				      .count = 1 << 20 };
	long page_size = sysconf(_SC_PAGESIZE);
	long stay = variant->kind == HUGE ? huge_page_size() / page_size : 1;
	struct iovec page = { self->m.p + 5 * page_size, page_size };
	int fd = open("/dev/cdm_test", O_RDWR), ends[2];
	int64_t moved;

	ASSERT_EQ(ioctl(fd, CDM_TEST_ALLOC, &some), 0);
	while (!ioctl(self->m.fd, CDM_TEST_ALLOC, &all))
		;
	ASSERT_EQ(ioctl(fd, CDM_TEST_FREE), 0);
	ASSERT_EQ(pipe(ends), 0);
	ASSERT_EQ(vmsplice(ends[1], &page, 1, 0), page_size);
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	/* and what the kernel's own lists had, or keep */
	EXPECT_GE(moved, self->m.nr / 7);
	EXPECT_LE(moved, self->m.nr / 2);
	EXPECT_EQ(pages_on(self->m.p, SIZE, NODE(self->m.first)), moved);
	EXPECT_EQ(self->m.status[5], -EBUSY);
	EXPECT_EQ(with_status(&self->m, -EBUSY), stay);
	EXPECT_EQ(with_status(&self->m, -ENOMEM), self->m.nr - moved - stay);
	EXPECT_EQ(wrong_pages(&self->m, variant->kind), 0);
	close(ends[0]);
	close(ends[1]);
	close(fd);
	ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_FREE), 0);
}

/* Pages that are on their way keep no block from going offline: a drain does not wait for them */
TEST_F_TIMEOUT(request, beside_a_drain, 240)
{
	const char *seconds = "/sys/module/cdm/parameters/drain_seconds";
	char state[PATH_MAX];
	int64_t moved;
	pid_t pid;
	int i;

	ASSERT_EQ(device_file(self->m.first, "state", state, sizeof(state)), 0);
	/* what an emulated machine may take that others keep busy */
	ASSERT_EQ(write_file(seconds, "15"), 0);
	pid = fork();
	for (i = 0; !pid; i++)
		move(&self->m, variant->by_pfn, i % 2 ? RAM : self->m.first, &moved);
	for (i = 0; i < 10; i++) {
		EXPECT_EQ(write_file(state, "offline"), 0);
		EXPECT_EQ(write_file(state, "online_movable"), 0);
		usleep(50000);
	}
	ASSERT_EQ(kill(pid, SIGKILL), 0);
	ASSERT_EQ(waitpid(pid, NULL, 0), pid);
	ASSERT_EQ(write_file(seconds, "60"), 0);
	EXPECT_EQ(wrong_pages(&self->m, ANONYMOUS), 0);
	move_all(_metadata, &self->m, variant->by_pfn, ANONYMOUS, RAM);
}

/* Not of hugetlb's pool, which is no other's */
TEST_F(request, hugetlb)
{
	int64_t moved;
	char *p;

	if (!has_pool_2m())
		SKIP(return, NO_POOL_2M);
	ASSERT_EQ(write_file(POOL_2M "nr_hugepages", "1"), 0);
	p = mmap(NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | HUGETLB_2M,
		 -1, 0);
	ASSERT_NE(p, MAP_FAILED);
	*p = 1;
	munmap(self->m.map, 2 * SIZE);
	self->m.map = p;
	self->m.p = p;
	self->m.nr = 16;
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	EXPECT_EQ(moved, 0);
	EXPECT_EQ(with_status(&self->m, -EOPNOTSUPP), 16);
	munmap(p, 2 * MIB);
	self->m.map = MAP_FAILED;
	EXPECT_EQ(write_file(POOL_2M "nr_hugepages", "0"), 0);
}

/* Pages that come up again in one request have moved all the same */
TEST_F(request, mapped_twice)
{
	long page_size = sysconf(_SC_PAGESIZE), nr = self->m.nr, i;
	size_t size = 16 * page_size;
	char *p = self->m.p;
	int64_t moved;
	int fd;

	fd = memfd_create("cdm_twice", MFD_CLOEXEC);
	ASSERT_EQ(ftruncate(fd, size), 0);
	self->m.p = mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < 2; i++)
		ASSERT_NE(mmap(self->m.p + i * size, size, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, 0), MAP_FAILED);
	self->m.nr = 32;
	for (i = 0; i < 32; i++)
		self->m.p[i * page_size] = i;
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.first, &moved), 0);
	EXPECT_EQ(moved, 32);
	EXPECT_EQ(with_status(&self->m, 0), 32);
	EXPECT_EQ(pages_on(self->m.p, 2 * size, NODE(self->m.first)), 32);
	munmap(self->m.p, 2 * size);
	close(fd);
	self->m.p = p;
	self->m.nr = nr;
}

TEST_F(migrate, bad_requests)
{
	int64_t moved;

	EXPECT_EQ(move(&self->m, variant->by_pfn, 0, &moved), -ENXIO);
	self->m.p += 1;
	if (!variant->by_pfn)
		EXPECT_EQ(move(&self->m, false, self->m.first, &moved), -EINVAL);
	self->m.p -= 1;
	EXPECT_EQ(pages_on(self->m.p, SIZE, self->m.devices), 0);
}

TEST_F(migrate, who_has_it)
{
	struct cdm_test_locate req = { .addr = (uintptr_t)self->m.p + 12345 };
	struct cdm_test_migrate free_page = { .nid = RAM, .by_pfn = 2, .nr = 1 };
	int64_t moved;
	int ends[2];
	pid_t child;
	char c;

	ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), 0);
	EXPECT_EQ(req.device_nid, -1);
	EXPECT_EQ(NODE(req.nid) & self->m.devices, 0);
	ASSERT_EQ(move(&self->m, variant->by_pfn, self->m.second, &moved), 0);
	ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), 0);
	EXPECT_EQ(req.nid, self->m.second);
	EXPECT_EQ(req.device_nid, self->m.second);
	EXPECT_EQ(req.phys % 4096, req.addr % 4096);
	EXPECT_EQ(req.mappings, 1);

	ASSERT_EQ(pipe(ends), 0);
	child = fork();
	if (!child) {
		close(ends[1]);
		/* a copy of the page tables is enough, but files have none */
		c = *(volatile char *)(self->m.p + 12345);
		_exit(read(ends[0], &c, 1) != 0);
	}
	close(ends[0]);
	usleep(200000);
	ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), 0);
	EXPECT_EQ(req.mappings, 2);
	req.first_only = 1;
	ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), 0);
	EXPECT_EQ(req.mappings, 1);
	close(ends[1]);
	waitpid(child, NULL, 0);

	if (variant->kind == ANONYMOUS) {
		ASSERT_EQ(madvise(self->m.p, SIZE, MADV_DONTNEED), 0);
		EXPECT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), -1);
		EXPECT_EQ(errno, ENOENT);
		/* what it was is free now */
		free_page.addr = req.phys;
		free_page.status = (uintptr_t)self->m.status;
		ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_MIGRATE, &free_page), 0);
		EXPECT_EQ(free_page.moved, 0);
		EXPECT_EQ(self->m.status[0], -ENOENT);
		req.addr = 0;
		ASSERT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), 0);
		EXPECT_EQ(req.device_nid, self->m.second);
		EXPECT_EQ(req.mappings, -ENOENT);
	}
	req.addr = (uintptr_t)self->m.map + 2 * SIZE + 64 * MIB;
	EXPECT_EQ(ioctl(self->m.fd, CDM_TEST_LOCATE, &req), -1);
	EXPECT_EQ(errno, EFAULT);
}

TEST_HARNESS_MAIN
