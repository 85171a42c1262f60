// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: user pages move onto a device and off it because its driver says
 * so, many at a time.
 *
 * Locking: a batch is its caller's; the folios in it are isolated.
 */
#include <linux/bsearch.h>
#include <linux/cdm_dmem.h>
#include <linux/cdm_node.h>
#include <linux/cleanup.h>
#include <linux/error-injection.h>
#include <linux/gfp.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/swap.h>

#include "cdm.h"
#include "internal.h"

/* Pages that are isolated and moved together */
#define CDM_BATCH 512

/* Pages of one folio, one after the other, and where to say what becomes of each, or NULL */
struct cdm_run {
	unsigned long pfn;
	unsigned long nr;
	int *status;
};

/**
 * struct cdm_batch - some pages on their way
 * @nid: where to; NUMA_NO_NODE for system RAM
 * @nodes: @nid, or the nodes of system RAM
 * @whose: which may be moved
 * @folios: isolated, to be moved
 * @nr_pages: what these are together
 * @runs: pages that wait for the end of it
 * @nr_runs: how many runs
 * @nr_there: pages that are where they should be
 * @refused: the last one that there was no room for
 * @no_room: there was none for a page
 * @left: folios that did not move
 * @nr_left: how many
 */
struct cdm_batch {
	int nid;
	nodemask_t nodes;
	enum cdm_migrate_whose whose;
	struct list_head folios;
	unsigned long nr_pages;
	unsigned int nr_runs;
	unsigned int nr_left;
	unsigned long nr_there;
	struct folio *refused;
	bool no_room;
	struct cdm_run runs[CDM_BATCH];
	struct folio *left[CDM_BATCH + MAX_ORDER_NR_PAGES];
};

static struct cdm_batch *cdm_alloc_batch(int nid, enum cdm_migrate_whose whose)
{
	struct cdm_batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL_ACCOUNT);

	if (!batch)
		return NULL;
	batch->nid = nid;
	batch->whose = whose;
	batch->nr_pages = 0;
	batch->nr_there = 0;
	batch->nodes = nid == NUMA_NO_NODE ? node_states[N_MEMORY] : nodemask_of_node(nid);
	batch->nr_runs = 0;
	INIT_LIST_HEAD(&batch->folios);
	return batch;
}

/* As its driver allocates, and not while it is drained */
static struct folio *cdm_try_folio(struct cdm_batch *batch, unsigned int order)
{
	struct folio *folio = NULL;

	rcu_read_lock();
	if (!node_isset(batch->nid, cdm_draining_map))
		folio = __folio_alloc(CDM_GFP, order, batch->nid, &batch->nodes);
	rcu_read_unlock();
	return folio;
}

/* The last free pages may lie on the CPUs' lists */
static struct folio *cdm_new_folio_on_device(struct cdm_batch *batch, unsigned int order)
{
	struct folio *folio = cdm_try_folio(batch, order);

	if (!folio && !order && cdm_node_drain_pcp(batch->nid))
		folio = cdm_try_folio(batch, order);
	if (folio && cdm_charge_target(folio)) {
		folio_put(folio);
		return NULL;
	}
	return folio;
}

/* In RAM as for anybody */
static struct folio *cdm_new_folio_in_ram(struct cdm_batch *batch, unsigned int order)
{
	gfp_t gfp = order ? GFP_TRANSHUGE_LIGHT : GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL;

	return __folio_alloc(gfp | __GFP_NOWARN, order, numa_mem_id(), &batch->nodes);
}

static struct folio *cdm_new_folio(struct folio *src, unsigned long private)
{
	struct cdm_batch *batch = (struct cdm_batch *)private;
	unsigned int order = folio_order(src);
	struct folio *dst;

	if (batch->nid == NUMA_NO_NODE)
		dst = cdm_new_folio_in_ram(batch, order);
	else
		dst = cdm_new_folio_on_device(batch, order);
	if (!dst)
		batch->refused = src;
	/* A large folio is split, and moved in pieces */
	if (!dst && !order)
		batch->no_room = true;
	return dst;
}

static bool cdm_is_there(const struct cdm_batch *batch, struct folio *folio)
{
	return batch->nid == NUMA_NO_NODE ? !node_is_cdm(folio_nid(folio)) :
					    folio_nid(folio) == batch->nid;
}

/* Is it that of a page which has been isolated? */
static bool cdm_is_in_batch(const struct cdm_batch *batch, struct folio *folio)
{
	unsigned long first = folio_pfn(folio);
	unsigned int i = batch->nr_runs;

	while (i--)
		if (batch->runs[i].pfn - first < folio_nr_pages(folio))
			return true;
	return false;
}

/* Is it that of the page before? */
static bool cdm_is_same_folio(const struct cdm_batch *batch, struct folio *folio)
{
	return batch->nr_runs && batch->runs[batch->nr_runs - 1].pfn - folio_pfn(folio) <
				 folio_nr_pages(folio);
}

static bool cdm_isolate(struct cdm_batch *batch, struct folio *folio)
{
	if (!folio_isolate_lru(folio))
		return false;
	list_add_tail(&folio->lru, &batch->folios);
	node_stat_mod_folio(folio, NR_ISOLATED_ANON + folio_is_file_lru(folio),
			    folio_nr_pages(folio));
	batch->nr_pages += folio_nr_pages(folio);
	return true;
}

/* As for move_pages(2): what others have as well stays where they have it */
static bool cdm_may_move(const struct cdm_batch *batch, struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	if (batch->whose == CDM_MIGRATE_ANY)
		return true;
	/* With a quota, only what counts for the device already may come back to it */
	if (mapping && cdm_owns_mapping(mapping))
		return batch->whose == CDM_MIGRATE_OWN || cdm_mapping_is_of(mapping, batch->nid);
	return batch->whose == CDM_MIGRATE_OWN && folio_test_anon(folio) &&
	       !folio_test_ksm(folio) && !folio_maybe_mapped_shared(folio);
}

/*
 * Take a run along, of a folio that somebody has a reference to; the pages' status, if they
 * stay, or -EAGAIN when the batch is full
 */
static int cdm_batch_add(struct cdm_batch *batch, struct page *page, unsigned long nr, int *status)
{
	struct folio *folio = page_folio(page);

	if (cdm_is_there(batch, folio))
		return 0;
	if (folio_test_hugetlb(folio) || folio_is_zone_device(folio))
		return -EOPNOTSUPP;
	if (!cdm_may_move(batch, folio))
		return -EACCES;
	if (!cdm_is_same_folio(batch, folio)) {
		if (batch->nr_pages >= CDM_BATCH)
			return -EAGAIN;
		if (!cdm_isolate(batch, folio) && !cdm_is_in_batch(batch, folio))
			return -EBUSY;
	}
	batch->runs[batch->nr_runs++] = (struct cdm_run) {
		.pfn = page_to_pfn(page),
		.nr = nr,
		.status = status,
	};
	return -EINPROGRESS;
}

static int cdm_by_pfn(const void *a, const void *b)
{
	struct folio *const *x = a, *const *y = b;

	return folio_pfn(*x) < folio_pfn(*y) ? -1 : folio_pfn(*x) > folio_pfn(*y);
}

static int cdm_has_pfn(const void *key, const void *element)
{
	struct folio *folio = *(struct folio *const *)element;
	unsigned long pfn = *(const unsigned long *)key;

	if (pfn < folio_pfn(folio))
		return -1;
	return pfn - folio_pfn(folio) >= folio_nr_pages(folio);
}

/* What became of a page: 0, or why it has stayed */
static int cdm_page_status(const struct cdm_batch *batch, unsigned long pfn)
{
	struct folio *const *left = bsearch(&pfn, batch->left, batch->nr_left,
					    sizeof(*batch->left), cdm_has_pfn);

	if (!left)
		return 0;
	return batch->no_room && !cdm_folio_is_pinned(*left) ? -ENOMEM : -EBUSY;
}

/* What is known of @nr pages, one after the other; @status is NULL where nobody asks */
static void cdm_batch_say(struct cdm_batch *batch, int *status, unsigned long nr, int rc)
{
	if (!rc)
		batch->nr_there += nr;
	while (status && nr--)
		*status++ = rc;
}

static void cdm_batch_report_run(struct cdm_batch *batch, const struct cdm_run *run)
{
	unsigned long i;

	if (!batch->nr_left) {
		cdm_batch_say(batch, run->status, run->nr, 0);
		return;
	}
	for (i = 0; i < run->nr; i++)
		cdm_batch_say(batch, run->status ? run->status + i : NULL, 1,
			      cdm_page_status(batch, run->pfn + i));
}

/* What migrate_pages() left is still where it was, each with its pfn */
static void cdm_batch_report(struct cdm_batch *batch)
{
	const struct cdm_run *run;
	struct folio *folio;

	batch->nr_left = 0;
	list_for_each_entry(folio, &batch->folios, lru)
		if (batch->nr_left < ARRAY_SIZE(batch->left))
			batch->left[batch->nr_left++] = folio;
	sort(batch->left, batch->nr_left, sizeof(*batch->left), cdm_by_pfn, NULL);
	for (run = batch->runs; run < batch->runs + batch->nr_runs; run++)
		cdm_batch_report_run(batch, run);
}

/*
 * migrate_pages() gives up at the first large folio that there is no room for and that cannot
 * be split. There may be some for the others, so it is set aside.
 */
static void cdm_batch_migrate(struct cdm_batch *batch)
{
	LIST_HEAD(aside);

	while (migrate_pages(&batch->folios, cdm_new_folio, NULL, (unsigned long)batch,
			     MIGRATE_SYNC, MR_SYSCALL, NULL) == -ENOMEM &&
	       folio_test_large(batch->refused))
		list_move_tail(&batch->refused->lru, &aside);
	list_splice(&aside, &batch->folios);
}

/* Move what was isolated */
static void cdm_batch_move(struct cdm_batch *batch)
{
	if (!batch->nr_runs)
		return;
	batch->no_room = false;
	cdm_batch_migrate(batch);
	cdm_batch_report(batch);
	putback_movable_pages(&batch->folios);
	batch->nr_runs = 0;
	batch->nr_pages = 0;
}

/*
 * What is mapped at @addr, isolated; under mmap_lock. @vma is that of the address before. @nr
 * is how many pages may be taken, and then how many the returned status is of.
 */
static int cdm_batch_add_addr(struct cdm_batch *batch, struct mm_struct *mm,
			      struct vm_area_struct **vma, unsigned long addr, int *status,
			      unsigned long *nr)
{
	unsigned long mapped;
	struct page *page;
	int rc;

	addr = untagged_addr_remote(mm, addr);
	if (!*vma || addr >= (*vma)->vm_end)
		*vma = vma_lookup(mm, addr);
	if (!*vma || !vma_migratable(*vma)) {
		*nr = 1;
		return -EFAULT;
	}
	page = cdm_get_page_at(*vma, addr, &mapped);
	*nr = min(*nr, mapped);
	if (!page)
		return -ENOENT;
	rc = cdm_batch_add(batch, page, *nr, status);
	put_page(page);
	return rc;
}

/* Under mem_hotplug_lock: who holds it for write waits for what is isolated already */
static int cdm_batch_add_pfn(struct cdm_batch *batch, unsigned long pfn, int *status)
{
	struct folio *folio = cdm_try_get_folio(pfn);
	int rc;

	if (!folio)
		return -ENOENT;
	rc = cdm_batch_add(batch, pfn_to_page(pfn), 1, status);
	folio_put(folio);
	return rc;
}

/* What is to be moved: pages of @mm from @start on, or where there is no mm, @pfns */
struct cdm_source {
	struct mm_struct *mm;
	unsigned long start;
	const unsigned long *pfns;
};

/* Isolate from page @i on what fits into a batch; returns the page to go on with */
static unsigned long cdm_batch_fill(struct cdm_batch *batch, const struct cdm_source *source,
				    unsigned long i, unsigned long nr, int *status)
{
	unsigned long end = min(nr, i + CDM_BATCH), run;
	struct vm_area_struct *vma = NULL;
	int *where, rc;

	if (source->mm)
		mmap_read_lock(source->mm);
	else
		get_online_mems();
	while (i < end) {
		run = end - i;
		where = status ? status + i : NULL;
		if (source->mm) {
			rc = cdm_batch_add_addr(batch, source->mm, &vma,
						source->start + i * PAGE_SIZE, where, &run);
		} else {
			run = 1;
			rc = cdm_batch_add_pfn(batch, source->pfns[i], where);
		}
		if (rc == -EAGAIN)
			break;
		/* What is on its way is told when it has come */
		if (rc != -EINPROGRESS)
			cdm_batch_say(batch, where, run, rc);
		i += run;
	}
	if (source->mm)
		mmap_read_unlock(source->mm);
	else
		put_online_mems();
	return i;
}

static long cdm_migrate(int nid, const struct cdm_source *source, unsigned long nr, int *status,
			enum cdm_migrate_whose whose)
{
	struct cdm_batch *batch __free(kvfree) = cdm_alloc_batch(nid, whose);
	unsigned long i = 0;

	if (!batch)
		return -ENOMEM;
	lru_cache_disable();
	while (i < nr && !fatal_signal_pending(current)) {
		i = cdm_batch_fill(batch, source, i, nr, status);
		cdm_batch_move(batch);
		cond_resched();
	}
	lru_cache_enable();
	/* Who is killed does not wait for the rest */
	if (i < nr)
		cdm_batch_say(batch, status ? status + i : NULL, nr - i, -EINTR);
	return batch->nr_there;
}

/**
 * cdm_node_migrate_range() - move a process's pages
 * @nid: to where: a tagged node, or NUMA_NO_NODE for system RAM
 * @mm: the process's, which the caller has a reference to
 * @start: a page's address
 * @nr: how many pages
 * @status: NULL, or for each page 0, or why it is not there: -ENOENT not present, -EFAULT no
 *	mapping of a kind that moves, -EBUSY somebody refers to it, or its content cannot be
 *	read, -ENOMEM no room, -EOPNOTSUPP hugetlb and memory of other devices, -EACCES not for
 *	@whose, -EINTR the calling task was killed before
 * @whose: which pages may be moved
 *
 * Context: Process context. Takes mmap_lock. Sleeps.
 * Return: how many pages are where they should be; -ENOMEM with nothing done.
 */
long cdm_node_migrate_range(int nid, struct mm_struct *mm, unsigned long start,
			    unsigned long nr, int *status, enum cdm_migrate_whose whose)
{
	const struct cdm_source source = { .mm = mm, .start = start };

	return cdm_migrate(nid, &source, nr, status, whose);
}
EXPORT_SYMBOL_GPL(cdm_node_migrate_range);
ALLOW_ERROR_INJECTION(cdm_node_migrate_range, ERRNO);

/**
 * cdm_node_migrate_pfns() - move pages, whoever has them
 * @nid: to where: a tagged node, or NUMA_NO_NODE for system RAM
 * @pfns: which
 * @nr: how many
 * @status: as for cdm_node_migrate_range(); -ENOENT for what is free, or no memory
 *
 * Context: Process context. Sleeps.
 * Return: as cdm_node_migrate_range().
 */
long cdm_node_migrate_pfns(int nid, const unsigned long *pfns, unsigned long nr, int *status)
{
	const struct cdm_source source = { .pfns = pfns };

	return cdm_migrate(nid, &source, nr, status, CDM_MIGRATE_ANY);
}
EXPORT_SYMBOL_GPL(cdm_node_migrate_pfns);
