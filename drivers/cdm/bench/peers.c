// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: what drivers use today for memory that is not a node: the allocator that GPU
 * drivers share, gen_pool, and a list of ZONE_DEVICE pages as each such driver has its own.
 */
#include <linux/cdm_compat.h>
#include <linux/err.h>
#include <linux/genalloc.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "bench.h"
#include "buddy.h"

/* How much memory each of the others has to give */
#define PEER_SIZE	SZ_64M

static int buddy_round(void *data)
{
	int i, rc = 0;

	for (i = 0; !rc && i < BENCH_BATCH; i++)
		rc = bench_buddy_once(data);
	return rc;
}

static int buddy_run(const struct bench_request *request, u64 *lowest, unsigned int *ops)
{
	struct bench_buddy of;
	LIST_HEAD(held);
	int rc = bench_buddy_init(&of, request->order);

	if (rc)
		return rc;
	*ops = BENCH_BATCH;
	if (!strcmp(request->how, "warm"))
		rc = bench_buddy_hold(&of, &held);
	rc = rc ?: bench_lowest(buddy_round, &of, lowest);
	gpu_buddy_free_list(&of.buddy, &held, 0);
	gpu_buddy_fini(&of.buddy);
	return rc;
}

struct pool_of {
	struct gen_pool *pool;
	size_t size;
};

static int pool_round(void *data)
{
	const struct pool_of *of = data;
	unsigned long addr;
	int i;

	for (i = 0; i < BENCH_BATCH; i++) {
		addr = gen_pool_alloc(of->pool, of->size);
		if (!addr)
			return -ENOMEM;
		gen_pool_free(of->pool, addr, of->size);
	}
	return 0;
}

static int pool_run(const struct bench_request *request, u64 *lowest, unsigned int *ops)
{
	struct pool_of of = {
		.pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE),
		.size = PAGE_SIZE << request->order,
	};
	int rc;

	if (!of.pool)
		return -ENOMEM;
	/* It never looks at the memory: an address that nothing has will do */
	rc = gen_pool_add(of.pool, PEER_SIZE, PEER_SIZE, NUMA_NO_NODE);
	*ops = BENCH_BATCH;
	if (!rc)
		rc = bench_lowest(pool_round, &of, lowest);
	gen_pool_destroy(of.pool);
	return rc;
}

/* Memory that the CPU cannot address needs none here, only struct pages */
static struct {
	struct dev_pagemap pgmap;
	spinlock_t lock; /* protects free */
	struct page *free;
} zone_device;

static void put_free(struct page *page)
{
	spin_lock(&zone_device.lock);
	page->zone_device_data = zone_device.free;
	zone_device.free = page;
	spin_unlock(&zone_device.lock);
}

static void give_back(struct cdm_freed *freed)
{
	put_free((struct page *)freed);
}

static struct page *get_free(void)
{
	struct page *page;

	spin_lock(&zone_device.lock);
	page = zone_device.free;
	if (page)
		zone_device.free = page->zone_device_data;
	spin_unlock(&zone_device.lock);
	if (page)
		cdm_init_zone_device(page, page_pgmap(page));
	return page;
}

static vm_fault_t never_mapped(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct dev_pagemap_ops zone_device_ops = {
	.cdm_folio_free = give_back,
	.migrate_to_ram = never_mapped,
};

static int zone_device_round(void *data)
{
	struct page *page;
	int i;

	for (i = 0; i < BENCH_BATCH; i++) {
		page = get_free();
		if (!page)
			return -ENOMEM;
		unlock_page(page);
		put_page(page);
	}
	return 0;
}

static int zone_device_run(const struct bench_request *request, u64 *lowest, unsigned int *ops)
{
	struct dev_pagemap *pgmap = &zone_device.pgmap;
	struct resource *region;
	unsigned long pfn;
	void *addr;
	int rc;

	if (request->order)
		return -EINVAL;
	region = request_free_mem_region(&iomem_resource, PEER_SIZE, "cdm_bench");
	if (IS_ERR(region))
		return PTR_ERR(region);
	pgmap->type = MEMORY_DEVICE_PRIVATE;
	pgmap->range.start = region->start;
	pgmap->range.end = region->end;
	pgmap->nr_range = 1;
	pgmap->ops = &zone_device_ops;
	pgmap->owner = &zone_device;
	addr = memremap_pages(pgmap, numa_mem_id());
	if (IS_ERR(addr)) {
		rc = PTR_ERR(addr);
		goto release;
	}
	spin_lock_init(&zone_device.lock);
	zone_device.free = NULL;
	for (pfn = PHYS_PFN(region->start); pfn <= PHYS_PFN(region->end); pfn++)
		put_free(pfn_to_page(pfn));
	*ops = BENCH_BATCH;
	rc = bench_lowest(zone_device_round, NULL, lowest);
	memunmap_pages(pgmap);
release:
	release_mem_region(region->start, resource_size(region));
	return rc;
}

const struct bench bench_peers[] = {
	{ "gpu_buddy", buddy_run },
	{ "gen_pool", pool_run },
	{ "zone_device", zone_device_run },
	{ }
};
