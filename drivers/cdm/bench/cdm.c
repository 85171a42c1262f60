// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: what drivers of coherent devices call.
 */
#include <linux/cdm.h>
#include <linux/cdm_compat.h>
#include <linux/errno.h>
#include <linux/string.h>

#include "bench.h"

struct cdm_of {
	struct cdm_device *cdm;
	unsigned int order;
	struct page *pages[BENCH_BATCH];
};

static int one_by_one(void *data)
{
	const struct cdm_of *of = data;
	struct page *page;
	int i;

	for (i = 0; i < BENCH_BATCH; i++) {
		page = cdm_alloc_pages(of->cdm, of->order, 0);
		if (!page)
			return -ENOMEM;
		cdm_free_pages(of->cdm, page, of->order);
	}
	return 0;
}

/* As many, all of them at once */
static int in_bulk(void *data)
{
	struct cdm_of *of = data;
	unsigned long nr = cdm_alloc_pages_bulk(of->cdm, 0, BENCH_BATCH, of->pages);

	cdm_free_pages_bulk(of->cdm, nr, of->pages);
	return nr == BENCH_BATCH ? 0 : -ENOMEM;
}

/* The same number without bulk: all are allocated before the first one is freed */
static int held(void *data)
{
	struct cdm_of *of = data;
	int i, nr;

	for (nr = 0; nr < BENCH_BATCH; nr++) {
		of->pages[nr] = cdm_alloc_pages(of->cdm, 0, 0);
		if (!of->pages[nr])
			break;
	}
	for (i = 0; i < nr; i++)
		cdm_free_pages(of->cdm, of->pages[i], 0);
	return nr == BENCH_BATCH ? 0 : -ENOMEM;
}

static int cdm_run(const struct bench_request *request, u64 *lowest, unsigned int *ops)
{
	struct cdm_of *of;
	int rc;

	of = kvzalloc_obj(*of, GFP_KERNEL);
	if (!of)
		return -ENOMEM;
	of->order = request->order;
	of->cdm = cdm_device_find(request->nid);
	*ops = BENCH_BATCH;
	if (!of->cdm)
		rc = -ENODEV;
	else if (!strcmp(request->how, "pages"))
		rc = bench_lowest(one_by_one, of, lowest);
	else if (!strcmp(request->how, "bulk"))
		rc = bench_lowest(in_bulk, of, lowest);
	else if (!strcmp(request->how, "held"))
		rc = bench_lowest(held, of, lowest);
	else
		rc = -EINVAL;
	if (of->cdm)
		cdm_device_put(of->cdm);
	kvfree(of);
	return rc;
}

const struct bench bench_cdm[] = {
	{ "cdm", cdm_run },
	{ }
};
