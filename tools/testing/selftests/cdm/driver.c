// SPDX-License-Identifier: GPL-2.0
/*
 * What a driver gets: cdm_alloc_pages() gives memory of the device or nothing, and
 * everybody else's allocations with the node as a hint get RAM. Through /dev/cdm_test.
 */
#include <sys/ioctl.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../kselftest_harness.h"
#include "util.h"

FIXTURE(driver) {
	int fd;
	int nid;
};

enum cpuset { NO_CPUSET, BESIDE_A_CPUSET, IN_A_CPUSET };

FIXTURE_VARIANT(driver) {
	enum cpuset cpuset;
};

FIXTURE_VARIANT_ADD(driver, alone) { .cpuset = NO_CPUSET };
FIXTURE_VARIANT_ADD(driver, beside_a_cpuset) { .cpuset = BESIDE_A_CPUSET };
FIXTURE_VARIANT_ADD(driver, in_a_cpuset) { .cpuset = IN_A_CPUSET };

FIXTURE_SETUP(driver)
{
	unsigned long devices = cdm_nodes();

	self->fd = open("/dev/cdm_test", O_RDWR);
	if (self->fd < 0 || !devices)
		SKIP(return, "needs the module cdm_test and a CDM node");
	self->nid = __builtin_ctzl(devices);
	/* Pages of tasks that have ended may wait on the CPUs to be put on the LRU lists */
	ASSERT_EQ(write_file("/proc/sys/vm/drop_caches", "1"), 0);
	if (variant->cpuset != NO_CPUSET)
		ASSERT_EQ(make_child_cpuset(), 0);
	if (variant->cpuset == IN_A_CPUSET)
		ASSERT_EQ(enter_child_cpuset("0"), 0);
}

FIXTURE_TEARDOWN(driver)
{
	close(self->fd);
	if (variant->cpuset != NO_CPUSET)
		EXPECT_EQ(remove_child_cpuset(), 0);
}

static int allocate(int fd, struct cdm_test_alloc *req)
{
	return ioctl(fd, CDM_TEST_ALLOC, req) ? -errno : 0;
}

/* Pages of the device's zone in the buddy allocator: exact, unlike the zone's counter */
static long buddy_pages(int nid)
{
	FILE *file = fopen("/proc/buddyinfo", "r");
	long pages = 0, count, zone_nid;
	int order, at, len;
	char line[256], name[32];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %ld, zone %31s%n", &zone_nid, name, &at) != 2 ||
		    zone_nid != nid || strcmp(name, "Movable"))
			continue;
		for (order = 0; sscanf(line + at, "%ld%n", &count, &len) == 1; order++, at += len)
			pages += count << order;
	}
	if (file)
		fclose(file);
	return pages;
}

/* How many orders the page allocator has: columns of buddyinfo. It differs by architecture. */
static int nr_orders(void)
{
	FILE *file = fopen("/proc/buddyinfo", "r");
	char line[256] = "", *word;
	int columns = 0;

	if (file && fgets(line, sizeof(line), file))
		for (word = strtok(line, "\n "); word; word = strtok(NULL, "\n "))
			columns++;
	if (file)
		fclose(file);
	/* behind "Node", its number, "zone" and the zone's name */
	return columns - 4;
}

/* And on the CPUs' lists */
static long pcp_pages(int nid)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	long pages = 0, count, zone_nid = -1;
	char line[256], name[32] = "";

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %ld, zone %31s", &zone_nid, name) == 2)
			continue;
		if (zone_nid == nid && !strcmp(name, "Movable") &&
		    sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	}
	if (file)
		fclose(file);
	return pages;
}

static long idle_pages(int nid)
{
	return buddy_pages(nid) + pcp_pages(nid);
}

static long node_value(int nid, const char *file, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%d/%s", nid, file);
	return read_value(path, key);
}

TEST_F(driver, single_pages)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER, .count = 1000 };

	ASSERT_EQ(allocate(self->fd, &req), 0);
	EXPECT_EQ(req.on_node, 1000);
	EXPECT_EQ(req.elsewhere, 0);
}

TEST_F(driver, large_blocks)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER, .order = 9,
				      .count = 16 };

	ASSERT_EQ(allocate(self->fd, &req), 0);
	EXPECT_EQ(req.on_node, 16 * 512);
	EXPECT_EQ(req.elsewhere, 0);
}

TEST_F(driver, order_beyond_the_largest)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER,
				      .order = nr_orders() - 1, .count = 1 };

	EXPECT_EQ(allocate(self->fd, &req), 0);
	req.order = nr_orders();
	EXPECT_EQ(allocate(self->fd, &req), -ENOMEM);
}

TEST_F(driver, zeroes_on_request)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER, .flags = 1,
				      .count = 4096 };

	ASSERT_EQ(allocate(self->fd, &req), 0);
	EXPECT_EQ(req.not_zero, 0);
}

/* To the last page, then an error at once; RAM is not touched, and all of it comes back */
TEST_F(driver, exhaustion)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_DRIVER,
				      .count = 1UL << 40 };
	long idle = idle_pages(self->nid), min, ram_free[2], foreign[2];
	int nid, again = 0;

	for (nid = 0; nid < 2; nid++) {
		ram_free[nid] = node_value(nid, "meminfo", "MemFree:");
		foreign[nid] = node_value(nid, "numastat", "numa_foreign");
	}

	/* Counters that are folded late may let a few more pages through later */
	ASSERT_EQ(allocate(self->fd, &req), 0);
	while (allocate(self->fd, &req) != -ENOMEM)
		ASSERT_LT(++again, 100);
	min = idle_pages(self->nid);
	EXPECT_EQ(req.elsewhere, 0);
	EXPECT_EQ(req.on_node + min, idle);
	/*
	 * What stays is the watermark of the zone: at most 1 % here; and what lies on the lists of
	 * other CPUs, from where our mm side fetches it.
	 */
	EXPECT_LT(min, idle / (kernel_has_cdm() ? 100 : 8));

	/*
	 * The list that the test module keeps takes some ten bytes a page, and KASAN keeps up to
	 * 1/32 of RAM from whoever freed it last.
	 */
	for (nid = 0; nid < 2; nid++) {
		EXPECT_LE(labs(node_value(nid, "meminfo", "MemFree:") - ram_free[nid]),
			  4096 + node_value(nid, "meminfo", "MemTotal:") / 32);
		EXPECT_EQ(node_value(nid, "numastat", "numa_foreign"), foreign[nid]);
	}

	ASSERT_EQ(ioctl(self->fd, CDM_TEST_FREE), 0);
	EXPECT_EQ(idle_pages(self->nid), idle);
}

TEST_F(driver, kernel_hint_gets_ram)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_HINT, .count = 1000 };

	ASSERT_EQ(allocate(self->fd, &req), 0);
	EXPECT_EQ(req.on_node, 0);
	EXPECT_EQ(req.elsewhere, 1000);
}

TEST_F(driver, kernel_thisnode_gets_nothing)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_THISNODE, .count = 1 };

	EXPECT_EQ(allocate(self->fd, &req), -ENOMEM);
}

/* With fallback none, a hint is no request */
TEST_F(driver, movable_hint_gets_ram)
{
	struct cdm_test_alloc req = { .nid = self->nid, .how = CDM_TEST_MOVABLE_HINT,
				      .count = 1000 };

	ASSERT_EQ(allocate(self->fd, &req), 0);
	EXPECT_EQ(req.on_node, 0);
	EXPECT_EQ(req.elsewhere, 1000);
}

TEST_HARNESS_MAIN
