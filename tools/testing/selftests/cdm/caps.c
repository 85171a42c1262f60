// SPDX-License-Identifier: GPL-2.0
/*
 * What each capability opens, what is answered without it, and what the administrator's
 * taking it away does to those who are using it. The last device's range is taken over
 * from its driver and registered anew, with the capabilities of the variant.
 */
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../kselftest_harness.h"
#include "take_over.h"
#include "util.h"

#define SIZE	(16 * MIB)
#define GROUP	"/sys/fs/cgroup/cdm_caps"
#define ALL_CAPS	"user_bind reclaim compaction thp_collapse"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

/* The device that is taken over, and memory of the test's */
struct taken {
	char pci[64];
	int fd;
	int nid;
	unsigned long mask;
	char *p;
	long nr_pages;
};

FIXTURE(caps) {
	struct taken dev;
};

FIXTURE_VARIANT(caps) {
	unsigned int caps;
	const char *names;
};

FIXTURE_VARIANT_ADD(caps, none) { .caps = 0, .names = "" };
FIXTURE_VARIANT_ADD(caps, user_bind) { .caps = 1, .names = "user_bind" };
FIXTURE_VARIANT_ADD(caps, only_reclaim) { .caps = 3, .names = "user_bind reclaim" };
FIXTURE_VARIANT_ADD(caps, only_compaction) { .caps = 5, .names = "user_bind compaction" };
FIXTURE_VARIANT_ADD(caps, only_collapse) { .caps = 9, .names = "user_bind thp_collapse" };
FIXTURE_VARIANT_ADD(caps, all) { .caps = 15, .names = ALL_CAPS };

/* Of pages that a process has there: with the capabilities that let it have them */
FIXTURE(bound) {
	struct taken dev;
};

FIXTURE_VARIANT(bound) {
	unsigned int caps;
};

FIXTURE_VARIANT_ADD(bound, nothing_else) { .caps = 1 };
FIXTURE_VARIANT_ADD(bound, only_reclaim) { .caps = 3 };
FIXTURE_VARIANT_ADD(bound, only_compaction) { .caps = 5 };
FIXTURE_VARIANT_ADD(bound, only_collapse) { .caps = 9 };
FIXTURE_VARIANT_ADD(bound, all) { .caps = 15 };

#define MAY_BIND(variant)	((variant)->caps & 1)
#define MAY_RECLAIM(variant)	(!!((variant)->caps & 2))
#define MAY_COMPACT(variant)	(!!((variant)->caps & 4))
#define MAY_COLLAPSE(variant)	(!!((variant)->caps & 8))

static int read_caps(int nid, char *line, size_t size)
{
	char path[PATH_MAX];
	int rc = device_file(nid, "capabilities", path, sizeof(path));
	FILE *file = rc ? NULL : fopen(path, "r");

	if (!file)
		return rc ?: -errno;
	if (!fgets(line, size, file))
		rc = -EIO;
	fclose(file);
	line[strcspn(line, "\n")] = 0;
	return rc;
}

static int write_device_file(int nid, const char *name, const char *words)
{
	char path[PATH_MAX];

	return device_file(nid, name, path, sizeof(path)) ?: write_file(path, words);
}

static int write_caps(int nid, const char *words)
{
	return write_device_file(nid, "capabilities", words);
}

static void set_up(struct __test_metadata *_metadata, struct taken *dev, unsigned int caps)
{
	struct cdm_test_register req = { .caps = caps };
	unsigned long devices = node_mask("has_cdm");

	dev->fd = open("/dev/cdm_test", O_RDWR);
	if (dev->fd < 0 || !devices)
		SKIP(return, "needs the module cdm_test and a CDM node");
	dev->nid = 63 - __builtin_clzl(devices);
	dev->mask = NODE(dev->nid);
	ASSERT_EQ(take_over(dev->fd, dev->nid, dev->pci, sizeof(dev->pci), &req), 0);
	ASSERT_EQ(req.nid, dev->nid);

	dev->p = map_anonymous(SIZE + 2 * MIB);
	ASSERT_NE(dev->p, NULL);
	dev->p = (char *)(((uintptr_t)dev->p + 2 * MIB - 1) & -(2 * MIB));
	ASSERT_EQ(madvise(dev->p, SIZE, MADV_NOHUGEPAGE), 0);
	dev->nr_pages = SIZE / sysconf(_SC_PAGESIZE);
}

static void tear_down(struct __test_metadata *_metadata, struct taken *dev)
{
	if (!dev->pci[0])
		return;
	munmap(dev->p, SIZE);
	EXPECT_EQ(ioctl(dev->fd, CDM_TEST_FREE), 0);
	EXPECT_EQ(give_back(dev->fd, dev->pci), 0);
	close(dev->fd);
}

FIXTURE_SETUP(caps)
{
	set_up(_metadata, &self->dev, variant->caps);
}

FIXTURE_TEARDOWN(caps)
{
	tear_down(_metadata, &self->dev);
}

FIXTURE_SETUP(bound)
{
	set_up(_metadata, &self->dev, variant->caps);
}

FIXTURE_TEARDOWN(bound)
{
	tear_down(_metadata, &self->dev);
}

static int bind_and_touch(const struct taken *dev)
{
	if (mbind(dev->p, SIZE, MPOL_BIND, &dev->mask, MAXNODE, 0))
		return -errno;
	memset(dev->p, 1, SIZE);
	return 0;
}

/* Small pages of a process on all of the device but 8 MiB, or 256 pages; NULL if that cannot be */
static char *fill_device(const struct taken *dev, size_t *size)
{
	size_t left = 256 * sysconf(_SC_PAGESIZE);
	long long free_bytes;
	char *p;

	numa_node_size64(dev->nid, &free_bytes);
	*size = (free_bytes - (left > 8 * MIB ? left : 8 * MIB)) & -(2 * MIB);
	p = map_anonymous(*size);
	if (!p || madvise(p, *size, MADV_NOHUGEPAGE) ||
	    mbind(p, *size, MPOL_BIND, &dev->mask, MAXNODE, 0))
		return NULL;
	memset(p, 1, *size);
	return p;
}

static int try_errno(int rc)
{
	return rc ? errno : 0;
}

TEST_F(caps, shown)
{
	char line[128];

	ASSERT_EQ(read_caps(self->dev.nid, line, sizeof(line)), 0);
	EXPECT_STREQ(line, variant->names);
}

TEST_F(caps, user_bind_policies)
{
	const int refused = MAY_BIND(variant) ? 0 : EINVAL;
	unsigned long ram_and_device = self->dev.mask | NODE(0);

	EXPECT_EQ(try_errno(mbind(self->dev.p, SIZE, MPOL_BIND, &self->dev.mask, MAXNODE, 0)),
		  refused);
	EXPECT_EQ(try_errno(set_mempolicy(MPOL_BIND, &self->dev.mask, MAXNODE)), refused);
	ASSERT_EQ(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);

	/* A mask that has RAM in it, too, is narrowed */
	ASSERT_EQ(mbind(self->dev.p, SIZE, MPOL_BIND, &ram_and_device, MAXNODE, 0), 0);
	EXPECT_EQ(try_errno(syscall(SYS_set_mempolicy_home_node, self->dev.p, SIZE,
				    self->dev.nid, 0)), refused);
	memset(self->dev.p, 1, SIZE);
	EXPECT_EQ(pages_on(self->dev.p, SIZE, self->dev.mask),
		  MAY_BIND(variant) ? self->dev.nr_pages : 0);
}

TEST_F(caps, user_bind_moves)
{
	unsigned long ram = NODE(0) | NODE(1);
	int node = self->dev.nid, status, rc;
	void *page = self->dev.p;

	memset(self->dev.p, 1, SIZE);
	rc = move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE);
	EXPECT_EQ(rc < 0 ? errno : 0, MAY_BIND(variant) ? 0 : ENODEV);
	EXPECT_EQ(pages_on(self->dev.p, 4096, self->dev.mask), MAY_BIND(variant) ? 1 : 0);

	rc = migrate_pages(0, MAXNODE, &ram, &self->dev.mask);
	EXPECT_EQ(rc < 0 ? errno : 0, MAY_BIND(variant) ? 0 : EINVAL);
	EXPECT_EQ(pages_on(self->dev.p, SIZE, self->dev.mask),
		  MAY_BIND(variant) ? self->dev.nr_pages : 0);
	if (!MAY_BIND(variant))
		return;
	/* And back by the same call: nothing of the task is left there */
	EXPECT_GE(migrate_pages(0, MAXNODE, &self->dev.mask, &ram), 0);
	EXPECT_EQ(pages_on(self->dev.p, SIZE, self->dev.mask), 0);
}

TEST_F(bound, reclaim_by_request)
{
	long on_device;

	ASSERT_EQ(bind_and_touch(&self->dev), 0);
	ASSERT_EQ(swap_on(), 0);
	EXPECT_EQ(madvise(self->dev.p, SIZE, MADV_PAGEOUT), 0);
	on_device = pages_on(self->dev.p, SIZE, self->dev.mask);
	EXPECT_GE(on_device, MAY_RECLAIM(variant) ? 0 : self->dev.nr_pages);
	EXPECT_LE(on_device, MAY_RECLAIM(variant) ? self->dev.nr_pages / 10 : self->dev.nr_pages);
	/* What was swapped out comes back to where the policy says */
	memset(self->dev.p, 2, SIZE);
	EXPECT_EQ(pages_on(self->dev.p, SIZE, self->dev.mask), self->dev.nr_pages);
	swap_off();
}

/* A memory cgroup's limit holds, and reclaim below it takes device pages when it may */
TEST_F(bound, reclaim_by_a_limit)
{
	int status;
	pid_t pid;

	ASSERT_EQ(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory"), 0);
	ASSERT_EQ(mkdir(GROUP, 0755), 0);
	ASSERT_EQ(write_file(GROUP "/memory.max", "12M"), 0);
	ASSERT_EQ(swap_on(), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (write_file(GROUP "/cgroup.procs", "0"))
			_exit(2);
		_exit(bind_and_touch(&self->dev) ? 3 : 0);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	if (MAY_RECLAIM(variant)) {
		EXPECT_EQ(status, 0);
	} else {
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(WTERMSIG(status), SIGKILL);
		EXPECT_GE(read_value(GROUP "/memory.events", "oom_kill "), 1);
	}
	swap_off();
	EXPECT_EQ(rmdir(GROUP), 0);
}

/* Full with somebody's bound pages: a driver gets some when mm may reclaim, or none */
TEST_F_TIMEOUT(bound, reclaim_for_the_driver, 180)
{
	const uint64_t nr = 16 * MIB / sysconf(_SC_PAGESIZE);
	struct cdm_test_alloc req = { .nid = self->dev.nid, .how = CDM_TEST_DRIVER, .count = nr };
	size_t size;
	char *p;

	ASSERT_EQ(swap_on(), 0);
	p = fill_device(&self->dev, &size);
	ASSERT_NE(p, NULL);
	ASSERT_EQ(ioctl(self->dev.fd, CDM_TEST_ALLOC, &req), 0);
	EXPECT_EQ(req.elsewhere, 0);
	EXPECT_LE(req.on_node, MAY_RECLAIM(variant) ? nr : nr - 1);
	EXPECT_GE(req.on_node, MAY_RECLAIM(variant) ? nr : 0);
	munmap(p, size);
	swap_off();
}

/* The kernel's threads for a node, as ps shows them */
static int has_thread(const char *name, int nid)
{
	char command[64];

	snprintf(command, sizeof(command), "pgrep -x %s%d >/dev/null", name, nid);
	return !system(command);
}

TEST_F(caps, background_threads)
{
	EXPECT_EQ(has_thread("kswapd", self->dev.nid), MAY_RECLAIM(variant));
	EXPECT_EQ(has_thread("kcompactd", self->dev.nid), MAY_COMPACT(variant));
	if (!MAY_BIND(variant))
		return;
	ASSERT_EQ(write_caps(self->dev.nid, "user_bind\n"), 0);
	EXPECT_EQ(has_thread("kswapd", self->dev.nid), 0);
	EXPECT_EQ(has_thread("kcompactd", self->dev.nid), 0);
}

/* Next to no large block is free, however much is: without compaction that ends, too */
TEST_F_TIMEOUT(bound, fragmented, 180)
{
	struct cdm_test_alloc req;
	long page_size = SIZE / self->dev.nr_pages;
	uint64_t got = 0, least = page_size > 4096 ? 512 : 8 * 512;
	size_t size, i;
	char *p;

	p = fill_device(&self->dev, &size);
	ASSERT_NE(p, NULL);
	/* No swap: reclaim finds nothing, and the free pages stay where they are */
	for (i = 0; i < size; i += 2 * page_size)
		madvise(p + i, page_size, MADV_DONTNEED);
	/* Where compaction has failed it is put off, for 64 attempts at most */
	for (i = 0; i < 80 && got < 32 * 512; i++) {
		req = (struct cdm_test_alloc) { .nid = self->dev.nid, .how = CDM_TEST_DRIVER,
						.order = 9, .count = 32 - got / 512 };
		if (!ioctl(self->dev.fd, CDM_TEST_ALLOC, &req))
			got += req.on_node;
	}
	EXPECT_LE(got, MAY_COMPACT(variant) ? 32 * 512 : 4 * 512);
	/* With large pages the device has four pageblocks, soon the end; but none without */
	EXPECT_GE(got, MAY_COMPACT(variant) ? least : 0);
	munmap(p, size);
}

/* Every second page of a full device goes: what is left below has room above */
TEST_F_TIMEOUT(bound, compaction, 600)
{
	long page_size = SIZE / self->dev.nr_pages, i, nr, moved = 0;
	uint64_t *before, *after;
	char path[64], *p;
	size_t size;

	p = fill_device(&self->dev, &size);
	ASSERT_NE(p, NULL);
	nr = size / page_size;
	before = calloc(nr, sizeof(*before));
	after = calloc(nr, sizeof(*after));
	ASSERT_TRUE(before && after);
	ASSERT_EQ(read_frames(p, nr, before), 0);
	for (i = 0; i < nr; i += 2)
		madvise(p + i * page_size, page_size, MADV_DONTNEED);
	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/compact", self->dev.nid);
	ASSERT_EQ(write_file(path, "1"), 0);
	ASSERT_EQ(read_frames(p, nr, after), 0);
	for (i = 1; i < nr; i += 2)
		moved += after[i] != before[i];
	/* a quarter, if none of them is in the way */
	EXPECT_EQ(moved > 0, MAY_COMPACT(variant));
	EXPECT_GE(moved, MAY_COMPACT(variant) ? nr / 16 : 0);
	free(before);
	free(after);
	munmap(p, size);
}

TEST_F(bound, thp_collapse)
{
	if (huge_page_size() > SIZE)
		SKIP(return, "%s", no_huge_page());
	ASSERT_EQ(bind_and_touch(&self->dev), 0);
	ASSERT_EQ(madvise(self->dev.p, SIZE, MADV_HUGEPAGE), 0);
	EXPECT_EQ(try_errno(madvise(self->dev.p, SIZE, MADV_COLLAPSE)),
		  MAY_COLLAPSE(variant) ? 0 : EINVAL);
	EXPECT_EQ(pages_on(self->dev.p, SIZE, self->dev.mask), self->dev.nr_pages);
	EXPECT_EQ(read_value("/proc/self/smaps_rollup", "AnonHugePages:"),
		  MAY_COLLAPSE(variant) ? SIZE >> 10 : 0);
}

TEST_F(caps, bad_words)
{
	char line[128];

	EXPECT_EQ(write_caps(self->dev.nid, "bogus\n"), -EINVAL);
	EXPECT_EQ(write_caps(self->dev.nid, "user_bind,reclaim\n"), -EINVAL);
	EXPECT_EQ(write_caps(self->dev.nid, ALL_CAPS "\n"), variant->caps == 15 ? 0 : -EPERM);
	ASSERT_EQ(read_caps(self->dev.nid, line, sizeof(line)), 0);
	EXPECT_STREQ(line, variant->names);
}

/* Pages stay; what is touched later follows the default policy; there is no way back */
TEST_F(bound, revoked_under_a_policy)
{
	unsigned long ram = NODE(0) | NODE(1);
	char line[128];

	ASSERT_EQ(mbind(self->dev.p, SIZE, MPOL_BIND, &self->dev.mask, MAXNODE, 0), 0);
	memset(self->dev.p, 1, SIZE / 2);
	ASSERT_EQ(write_caps(self->dev.nid, "\n"), 0);
	memset(self->dev.p + SIZE / 2, 2, SIZE / 2);
	EXPECT_EQ(pages_on(self->dev.p, SIZE / 2, self->dev.mask), self->dev.nr_pages / 2);
	EXPECT_EQ(pages_on(self->dev.p + SIZE / 2, SIZE / 2, ram), self->dev.nr_pages / 2);
	EXPECT_EQ(self->dev.p[0], 1);
	EXPECT_EQ(try_errno(mbind(self->dev.p, SIZE, MPOL_BIND, &self->dev.mask, MAXNODE, 0)),
		  EINVAL);
	ASSERT_EQ(read_caps(self->dev.nid, line, sizeof(line)), 0);
	EXPECT_STREQ(line, "");
	EXPECT_EQ(write_caps(self->dev.nid, "user_bind\n"), -EPERM);
}

/* A home node is a wish, too, and one for huge pages above all */
TEST_F(bound, revoked_under_a_home_node)
{
	unsigned long ram = NODE(0) | NODE(1), ram_and_device = self->dev.mask | NODE(0);

	ASSERT_EQ(madvise(self->dev.p, SIZE, MADV_HUGEPAGE), 0);
	ASSERT_EQ(mbind(self->dev.p, SIZE, MPOL_BIND, &ram_and_device, MAXNODE, 0), 0);
	ASSERT_EQ(syscall(SYS_set_mempolicy_home_node, self->dev.p, SIZE, self->dev.nid, 0), 0);
	memset(self->dev.p, 1, SIZE / 2);
	EXPECT_EQ(pages_on(self->dev.p, SIZE / 2, self->dev.mask), self->dev.nr_pages / 2);
	ASSERT_EQ(write_caps(self->dev.nid, "\n"), 0);
	memset(self->dev.p + SIZE / 2, 2, SIZE / 2);
	EXPECT_EQ(pages_on(self->dev.p + SIZE / 2, SIZE / 2, ram), self->dev.nr_pages / 2);
	EXPECT_EQ(pages_on(self->dev.p, SIZE / 2, self->dev.mask), self->dev.nr_pages / 2);
}

enum { MAPPING, SHARED, OWN, MOVED, MOVED_HUGE, NR_KINDS };

static void touch_all(char **p, size_t from, size_t to)
{
	int i;

	for (i = 0; i < NR_KINDS; i++)
		memset(p[i] + from, 3, to - from);
}

/*
 * A preferred node is no more than that: of a mapping, of shared memory, and of the task itself,
 * whose policy is also that of what mbind(2) moves
 */
TEST_F(bound, revoked_under_a_preference)
{
	unsigned long ram = NODE(0) | NODE(1);
	char *p[NR_KINDS];
	int i;

	p[MAPPING] = self->dev.p;
	p[SHARED] = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(p[SHARED], MAP_FAILED);
	for (i = OWN; i < NR_KINDS; i++) {
		p[i] = map_anonymous(SIZE);
		ASSERT_NE(p[i], NULL);
	}
	madvise(p[MOVED_HUGE], SIZE, MADV_HUGEPAGE);
	ASSERT_EQ(write_device_file(self->dev.nid, "state", "offline\n"), 0);
	ASSERT_EQ(write_device_file(self->dev.nid, "fallback", "system\n"), 0);
	ASSERT_EQ(write_device_file(self->dev.nid, "state", "online_movable\n"), 0);
	ASSERT_EQ(madvise(p[MAPPING], SIZE, MADV_HUGEPAGE), 0);
	ASSERT_EQ(mbind(p[MAPPING], SIZE, MPOL_PREFERRED, &self->dev.mask, MAXNODE, 0), 0);
	ASSERT_EQ(mbind(p[SHARED], SIZE, MPOL_PREFERRED, &self->dev.mask, MAXNODE, 0), 0);
	ASSERT_EQ(set_mempolicy(MPOL_PREFERRED, &self->dev.mask, MAXNODE), 0);
	touch_all(p, 0, SIZE / 2);
	ASSERT_EQ(write_caps(self->dev.nid, "\n"), 0);
	touch_all(p, SIZE / 2, SIZE);
	for (i = MOVED; i <= MOVED_HUGE; i++)
		EXPECT_EQ(mbind(p[i] + SIZE / 2, SIZE / 2, MPOL_DEFAULT, NULL, 0, MPOL_MF_MOVE), 0);
	ASSERT_EQ(set_mempolicy(MPOL_DEFAULT, NULL, 0), 0);
	for (i = 0; i < NR_KINDS; i++) {
		EXPECT_EQ(pages_on(p[i], SIZE / 2, self->dev.mask), self->dev.nr_pages / 2);
		EXPECT_EQ(pages_on(p[i] + SIZE / 2, SIZE / 2, ram), self->dev.nr_pages / 2)
			TH_LOG("memory %d", i);
	}
	for (i = SHARED; i < NR_KINDS; i++)
		munmap(p[i], SIZE);
}

/* What stays where it is when nobody may bind any more is reclaimed as before, or not */
TEST_F(bound, reclaim_without_user_bind)
{
	int status, go[2];
	char c, pid_text[16];
	pid_t pid;

	ASSERT_EQ(pipe(go), 0);
	ASSERT_EQ(write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory"), 0);
	ASSERT_EQ(mkdir(GROUP, 0755), 0);
	ASSERT_EQ(swap_on(), 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		close(go[1]);
		if (read(go[0], &c, 1) != 1 || bind_and_touch(&self->dev))
			_exit(2);
		c = pages_on(self->dev.p, SIZE, self->dev.mask) != self->dev.nr_pages ||
		    write_caps(self->dev.nid, MAY_RECLAIM(variant) ? "reclaim\n" : "\n") ||
		    write_file(GROUP "/memory.max", "6M");
		if (c)
			_exit(3);
		_exit(pages_on(self->dev.p, SIZE, self->dev.mask) < self->dev.nr_pages / 2 ? 0 : 4);
	}
	snprintf(pid_text, sizeof(pid_text), "%d", pid);
	ASSERT_EQ(write_file(GROUP "/cgroup.procs", pid_text), 0);
	ASSERT_EQ(write(go[1], "g", 1), 1);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, MAY_RECLAIM(variant) ? 0 : SIGKILL);
	swap_off();
	close(go[0]);
	close(go[1]);
	EXPECT_EQ(rmdir(GROUP), 0);
}

/* The page leaves for RAM, and its frame is nobody's any more, until the device comes anew */
TEST_F(bound, soft_offline)
{
	long page_size = SIZE / self->dev.nr_pages;

	ASSERT_EQ(bind_and_touch(&self->dev), 0);
	memset(self->dev.p, 0x5a, page_size);
	ASSERT_EQ(madvise(self->dev.p, page_size, MADV_SOFT_OFFLINE), 0);
	EXPECT_EQ(pages_on(self->dev.p, page_size, NODE(0) | NODE(1)), 1);
	EXPECT_EQ(pages_on(self->dev.p, SIZE, self->dev.mask), self->dev.nr_pages - 1);
	EXPECT_EQ(self->dev.p[0], 0x5a);
	EXPECT_EQ(self->dev.p[page_size - 1], 0x5a);
}

TEST_HARNESS_MAIN
