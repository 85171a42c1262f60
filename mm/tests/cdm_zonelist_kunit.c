// SPDX-License-Identifier: GPL-2.0
/* The order of nodes in a zonelist: a pure function of masks and distances. */
#include <kunit/test.h>
#include <linux/bitops.h>
#include <linux/nodemask.h>
#include <linux/types.h>

#include "../cdm.h"

#define NR_TEST_NODES 5

/* The sample machine: 0 and 1 are RAM, 2 to 4 devices */
static int sample_distance(int from, int to)
{
	static const int distances[NR_TEST_NODES][NR_TEST_NODES] = {
		{ 10, 20, 40, 40, 40 },
		{ 20, 10, 60, 60, 60 },
		{ 40, 60, 10, 80, 80 },
		{ 40, 60, 80, 10, 80 },
		{ 40, 60, 80, 80, 10 },
	};

	return distances[from][to];
}

/* No firmware: everything but oneself is equally far */
static int flat_distance(int from, int to)
{
	return from == to ? 10 : 20;
}

static nodemask_t to_nodemask(unsigned long bits)
{
	nodemask_t nodes = NODE_MASK_NONE;
	int nid;

	for_each_set_bit(nid, &bits, NR_TEST_NODES)
		node_set(nid, nodes);
	return nodes;
}

static void expect_order(struct kunit *test, int local, unsigned long mask,
			 int (*distance)(int, int), const int *expected, int nr)
{
	nodemask_t nodes = to_nodemask(mask), devices = to_nodemask(0b11100);
	int order[NR_TEST_NODES] = { };
	int i;

	KUNIT_ASSERT_EQ(test, cdm_order_nodes(local, &nodes, &devices, distance, order), nr);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, order[i], expected[i], "entry %d of node %d", i, local);
}

static void nearest_first(struct kunit *test)
{
	expect_order(test, 0, 0b11111, sample_distance, (const int[]){ 0, 1, 2, 3, 4 }, 5);
	expect_order(test, 1, 0b11111, sample_distance, (const int[]){ 1, 0, 2, 3, 4 }, 5);
	expect_order(test, 2, 0b11111, sample_distance, (const int[]){ 2, 0, 1, 3, 4 }, 5);
}

static void fallback_of_device_is_ram_by_distance(struct kunit *test)
{
	int nid;

	for (nid = 2; nid < NR_TEST_NODES; nid++)
		expect_order(test, nid, 0b00011, sample_distance, (const int[]){ 0, 1 }, 2);
}

static void equals_go_upwards_from_local(struct kunit *test)
{
	expect_order(test, 3, 0b11111, sample_distance, (const int[]){ 3, 0, 1, 4, 2 }, 5);
	expect_order(test, 1, 0b00011, flat_distance, (const int[]){ 1, 0 }, 2);
}

static void ram_before_devices_as_far(struct kunit *test)
{
	expect_order(test, 2, 0b11111, flat_distance, (const int[]){ 2, 0, 1, 3, 4 }, 5);
	expect_order(test, 0, 0b11111, flat_distance, (const int[]){ 0, 1, 2, 3, 4 }, 5);
}

static void absent_nodes_stay_absent(struct kunit *test)
{
	expect_order(test, 2, 0b10010, flat_distance, (const int[]){ 1, 4 }, 2);
	expect_order(test, 2, 0b00100, flat_distance, (const int[]){ 2 }, 1);
	expect_order(test, 2, 0, flat_distance, NULL, 0);
}

static struct kunit_case cdm_zonelist_cases[] = {
	KUNIT_CASE(nearest_first),
	KUNIT_CASE(fallback_of_device_is_ram_by_distance),
	KUNIT_CASE(equals_go_upwards_from_local),
	KUNIT_CASE(ram_before_devices_as_far),
	KUNIT_CASE(absent_nodes_stay_absent),
	{ }
};

static struct kunit_suite cdm_zonelist_suite = {
	.name = "cdm_zonelist",
	.test_cases = cdm_zonelist_cases,
};

kunit_test_suite(cdm_zonelist_suite);

MODULE_DESCRIPTION("KUnit tests of the zonelists of coherent device memory");
MODULE_LICENSE("GPL");
