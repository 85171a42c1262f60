// SPDX-License-Identifier: GPL-2.0
/*
 * What a balloon tells the host of free memory: nothing of a device's. The host would take
 * it away, and with it the content.
 */
#include <sys/ioctl.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../kselftest_harness.h"
#include "util.h"

/* Free memory of a device that a balloon reported would lose its content */
TEST(free_page_reporting)
{
	unsigned long devices = device_nodes(), mask = devices & -devices;
	struct cdm_test_alloc req = {
		.nid = __builtin_ctzl(devices),
		.how = CDM_TEST_DRIVER,
		.order = 9,
		.count = 1 << 20,
	};
	size_t size = 400 * MIB;
	int fd = open("/dev/cdm_test", O_RDWR);
	char *p = map_anonymous(size);

	if (fd < 0 || !devices || access("/sys/bus/virtio/drivers/virtio_balloon", F_OK))
		SKIP(return, "needs the module cdm_test, a device node and a balloon");
	ASSERT_NE(p, NULL);
	ASSERT_EQ(mbind(p, size, MPOL_BIND, &mask, MAXNODE, 0), 0);
	memset(p, 0xaa, size);
	munmap(p, size);
	/* Reporting begins two seconds after pages were freed */
	sleep(8);
	ASSERT_EQ(ioctl(fd, CDM_TEST_ALLOC, &req), 0);
	EXPECT_GE(req.not_zero, size / (2 * MIB) * 9 / 10);
	close(fd);
}

TEST_HARNESS_MAIN
