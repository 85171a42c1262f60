// SPDX-License-Identifier: GPL-2.0
/* What a registration may ask for, and what it is told when it asks for something else. */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/memory.h>
#include <linux/nodemask.h>
#include <linux/sizes.h>

#include "../cdm_core.h"

static int test_init(struct kunit *test)
{
	struct device *parent = kunit_device_register(test, "cdm_config");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, parent);
	test->priv = parent;
	return 0;
}

/* Beyond the RAM of any test machine */
#define GOOD_START (64ULL * SZ_1G)

/* A configuration that passes, on a node of its own; its one range is @range */
static struct cdm_config good_config(struct cdm_range *range)
{
	range->start = GOOD_START;
	range->size = memory_block_size_bytes();
	return (struct cdm_config) {
		.ranges = range,
		.nr_ranges = 1,
		.nid = CDM_NID_AUTO,
		.caps = CDM_CAP_USER_BIND,
	};
}

static void accepts_defaults(struct kunit *test)
{
	struct cdm_range range;
	struct cdm_config config = good_config(&range);

	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), 0);
}

static void refuses_bad_ranges(struct kunit *test)
{
	struct cdm_range range;
	struct cdm_config config = good_config(&range);

	range.size = 0;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config(&range);
	range.start += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config(&range);
	range.size += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config(&range);
	range.start = -range.size;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -ERANGE);

	config = good_config(&range);
	range.size = -range.size;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -ERANGE);

	config = good_config(&range);
	config.nr_ranges = 0;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
}

/* The last of several is looked at like the first */
static void refuses_a_bad_second_range(struct kunit *test)
{
	struct cdm_range ranges[2], *range = ranges;
	struct cdm_config config = good_config(range);

	ranges[1] = ranges[0];
	config.nr_ranges = 2;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), 0);
	ranges[1].size = 0;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
}

static void refuses_bad_pages_elsewhere(struct kunit *test)
{
	u64 bad[] = { GOOD_START, GOOD_START + memory_block_size_bytes() - 1 };
	struct cdm_range range;
	struct cdm_config config = good_config(&range);

	config.bad_pages = bad;
	config.nr_bad_pages = ARRAY_SIZE(bad);
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), 0);
	bad[1]++;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	bad[1] = GOOD_START - 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
}

static void refuses_bad_distances(struct kunit *test)
{
	struct cdm_range range;
	struct cdm_config config = good_config(&range);

	config.near = first_node(node_states[N_MEMORY]);
	config.distance = LOCAL_DISTANCE + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), 0);
	config.distance = LOCAL_DISTANCE;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	config.distance = 255;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	config.distance = 254;
	config.near = MAX_NUMNODES - 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	config.near = -1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
}

static void refuses_bad_nodes(struct kunit *test)
{
	struct cdm_range range;
	struct cdm_config config = good_config(&range);

	config.nid = CDM_NID_AUTO - 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	config.nid = MAX_NUMNODES;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	config.nid = MAX_NUMNODES - 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
	config.nid = first_node(node_states[N_CPU]);
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EBUSY);
	config.nid = first_node(node_states[N_MEMORY]);
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EBUSY);
}

static void refuses_unknown_choices(struct kunit *test)
{
	struct cdm_range range;
	struct cdm_config config = good_config(&range);

	config.fallback = CDM_FALLBACK_SYSTEM + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config(&range);
	config.online_policy = CDM_ONLINE_MANUAL + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config(&range);
	config.caps = CDM_CAPS_ALL + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
}

static struct kunit_case cdm_config_cases[] = {
	KUNIT_CASE(accepts_defaults),
	KUNIT_CASE(refuses_bad_ranges),
	KUNIT_CASE(refuses_a_bad_second_range),
	KUNIT_CASE(refuses_bad_pages_elsewhere),
	KUNIT_CASE(refuses_bad_distances),
	KUNIT_CASE(refuses_bad_nodes),
	KUNIT_CASE(refuses_unknown_choices),
	{ }
};

static struct kunit_suite cdm_config_suite = {
	.name = "cdm_config",
	.init = test_init,
	.test_cases = cdm_config_cases,
};

kunit_test_suite(cdm_config_suite);

MODULE_DESCRIPTION("KUnit tests of the registration of coherent device memory");
MODULE_LICENSE("GPL");
