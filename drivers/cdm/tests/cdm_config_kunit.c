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

/* A configuration that passes: beyond the RAM of any test machine, on a node of its own */
static struct cdm_config good_config(void)
{
	return (struct cdm_config) {
		.start = 64ULL * SZ_1G,
		.size = memory_block_size_bytes(),
		.nid = CDM_NID_AUTO,
		.caps = CDM_CAP_USER_BIND,
	};
}

static void accepts_defaults(struct kunit *test)
{
	struct cdm_config config = good_config();

	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), 0);
}

static void refuses_bad_ranges(struct kunit *test)
{
	struct cdm_config config = good_config();

	config.size = 0;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config();
	config.start += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config();
	config.size += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config();
	config.start = -config.size;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -ERANGE);

	config = good_config();
	config.size = -config.size;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -ERANGE);
}

static void refuses_bad_nodes(struct kunit *test)
{
	struct cdm_config config = good_config();

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
	struct cdm_config config = good_config();

	config.fallback = CDM_FALLBACK_SYSTEM + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config();
	config.online_policy = CDM_ONLINE_MANUAL + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);

	config = good_config();
	config.caps = CDM_CAPS_ALL + 1;
	KUNIT_EXPECT_EQ(test, cdm_config_check(test->priv, &config), -EINVAL);
}

static struct kunit_case cdm_config_cases[] = {
	KUNIT_CASE(accepts_defaults),
	KUNIT_CASE(refuses_bad_ranges),
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
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);
