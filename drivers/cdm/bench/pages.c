// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: the page allocator, as any kernel has it.
 */
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/string.h>

#include "bench.h"

struct pages_of {
	gfp_t gfp;
	unsigned int order;
	int nid;
};

static int pages_round(void *data)
{
	const struct pages_of *of = data;
	struct page *page;
	int i;

	for (i = 0; i < BENCH_BATCH; i++) {
		if (of->nid == NUMA_NO_NODE)
			page = alloc_pages(of->gfp, of->order);
		else
			page = alloc_pages_node(of->nid, of->gfp, of->order);
		if (!page)
			return -ENOMEM;
		__free_pages(page, of->order);
	}
	return 0;
}

static int pages_run(const struct bench_request *request, u64 *lowest, unsigned int *ops)
{
	struct pages_of of = {
		.gfp = request->order ? __GFP_COMP : 0,
		.order = request->order,
		.nid = request->nid,
	};

	if (!strcmp(request->how, "kernel"))
		of.gfp |= GFP_KERNEL;
	else if (!strcmp(request->how, "movable"))
		of.gfp |= GFP_HIGHUSER_MOVABLE;
	else if (!strcmp(request->how, "thisnode"))
		of.gfp |= GFP_HIGHUSER_MOVABLE | __GFP_THISNODE;
	else
		return -EINVAL;
	if (of.nid != NUMA_NO_NODE && !node_online(of.nid))
		return -ENODEV;
	*ops = BENCH_BATCH;
	return bench_lowest(pages_round, &of, lowest);
}

static int clear_round(void *data)
{
	struct page *page = data;
	int i;

	for (i = 0; i < BENCH_BATCH; i++)
		clear_highpage(page);
	return 0;
}

/* What a fault has to do with any page that it takes, if the device does not */
static int clear_run(const struct bench_request *request, u64 *lowest, unsigned int *ops)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int rc;

	if (!page)
		return -ENOMEM;
	*ops = BENCH_BATCH;
	rc = bench_lowest(clear_round, page, lowest);
	__free_page(page);
	return rc;
}

const struct bench bench_pages[] = {
	{ "pages", pages_run },
	{ "clear", clear_run },
	{ }
};
