// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: a device has gone without warning, and its memory with it.
 *
 * What processes and files had there cannot be moved, only taken away. memory_failure()
 * would do that for one page; here all of them go at once, and their struct pages go after
 * them, so that nothing may be left that names a pfn. A marker in a page table does not, a
 * hwpoison entry does. What touches lost memory is told so, it never sees other content:
 *
 *   anonymous pages   a marker in each page table: SIGBUS
 *   tmpfs, memfd      an entry in the file that says it cannot be had: SIGBUS, EIO
 *   page cache        clean pages are read from the disk again; the file of a dirty one
 *                     remembers EIO for the next fsync(2)
 *
 *   swapped pages     those whose content is in swap are read from there again; of the others
 *                     an empty page remains, of which swap-in says that it could not be read
 *
 * A page that somebody has a reference to is taken away all the same, and is freed when the
 * reference goes. What a driver has mapped for user space is the driver's to unmap.
 */
#include <linux/cdm_node.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "cdm.h"
#include "internal.h"
#include "swap.h"

nodemask_t cdm_lost_map __read_mostly;

/* How often mappings, and pages, are looked for again: a fork may copy one meanwhile */
#define CDM_LOSE_PASSES 10

/* Memory of which no page table may name a page, and how many did */
struct cdm_names {
	const struct cdm_range *ranges;
	unsigned int nr_ranges;
	unsigned long found;
};

static bool cdm_names_page_of(const struct cdm_names *names, pte_t pte)
{
	softleaf_t entry = softleaf_from_pte(pte);

	return softleaf_is_hwpoison(entry) &&
	       cdm_ranges_have(names->ranges, names->nr_ranges, PFN_PHYS(softleaf_to_pfn(entry)));
}

static int cdm_unname_pmd(pmd_t *pmd, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	struct cdm_names *names = walk->private;
	spinlock_t *ptl; /* the page table's */
	pte_t *start, *pte;

	start = pte_offset_map_lock(walk->mm, pmd, addr, &ptl);
	if (!start)
		return 0;
	for (pte = start; addr < end; pte++, addr += PAGE_SIZE) {
		if (!cdm_names_page_of(names, ptep_get(pte)))
			continue;
		set_pte_at(walk->mm, addr, pte, make_pte_marker(PTE_MARKER_POISONED));
		names->found++;
	}
	pte_unmap_unlock(start, ptl);
	cond_resched();
	return 0;
}

static const struct mm_walk_ops cdm_unname_ops = {
	.pmd_entry = cdm_unname_pmd,
	.walk_lock = PGWALK_RDLOCK,
};

static void cdm_unname_in(struct task_struct *task, struct cdm_names *names)
{
	struct mm_struct *mm = get_task_mm(task);

	if (!mm)
		return;
	mmap_read_lock(mm);
	walk_page_range(mm, 0, mm->task_size, &cdm_unname_ops, names);
	mmap_read_unlock(mm);
	mmput(mm);
}

/* All threads: the first one of a process may have ended */
static void cdm_unname_everywhere(struct cdm_names *names)
{
	struct task_struct *task;
	struct pid *pid;
	int nr = 1;

	for (;; nr++) {
		task = NULL;
		rcu_read_lock();
		pid = find_ge_pid(nr, &init_pid_ns);
		if (pid) {
			nr = pid_nr(pid);
			task = get_pid_task(pid, PIDTYPE_PID);
		}
		rcu_read_unlock();
		if (!pid)
			break;
		if (!task)
			continue;
		cdm_unname_in(task, names);
		put_task_struct(task);
	}
}

/*
 * Where a process had a page that went bad its page table names that page, and who reads
 * /proc/PID/smaps looks at its struct page. Before those go, a marker takes the entry's place.
 * A fork may copy one meanwhile: until none is found.
 */
void cdm_forget_hwpoison_entries(const struct cdm_range *ranges, unsigned int nr)
{
	struct cdm_names names = { .ranges = ranges, .nr_ranges = nr };
	int pass;

	for (pass = 0; pass < CDM_LOSE_PASSES; pass++) {
		names.found = 0;
		cdm_unname_everywhere(&names);
		if (!names.found)
			break;
	}
}

/* Put markers where @folio is mapped in @vma. For rmap_walk(), with the folio locked. */
static bool cdm_mark_lost(struct folio *folio, struct vm_area_struct *vma, unsigned long address,
			  void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, PVMW_SYNC);
	struct mmu_notifier_range range;

	if (folio_test_pmd_mappable(folio))
		split_huge_pmd_address(vma, address, false);

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, vma->vm_mm, address,
				vma_address_end(&pvmw));
	mmu_notifier_invalidate_range_start(&range);
	while (page_vma_mapped_walk(&pvmw)) {
		pte_t pte = ptep_get(pvmw.pte);

		/* What a driver has made its device's alone, the driver gives up */
		if (!pte_present(pte))
			continue;
		flush_cache_page(vma, pvmw.address, pte_pfn(pte));
		pte = ptep_clear_flush(vma, pvmw.address, pvmw.pte);
		if (pte_dirty(pte))
			folio_mark_dirty(folio);
		update_hiwater_rss(vma->vm_mm);
		set_pte_at(vma->vm_mm, pvmw.address, pvmw.pte,
			   make_pte_marker(PTE_MARKER_POISONED));
		dec_mm_counter(vma->vm_mm, mm_counter(folio));
		folio_remove_rmap_pte(folio, pfn_to_page(pte_pfn(pte)), vma);
		if (vma->vm_flags & VM_LOCKED)
			mlock_drain_local();
		folio_put(folio);
	}
	mmu_notifier_invalidate_range_end(&range);
	return true;
}

static bool cdm_lose_anon(struct folio *folio)
{
	struct rmap_walk_control rwc = {
		.rmap_one = cdm_mark_lost,
		.anon_lock = folio_lock_anon_vma_read,
	};
	bool was_mapped = folio_mapped(folio);
	int i;

	for (i = 0; folio_mapped(folio) && i < CDM_LOSE_PASSES; i++)
		rmap_walk(folio, &rwc);
	return was_mapped;
}

/* A page that is never read in, for a place in swap */
static struct folio *cdm_empty_folio(swp_entry_t entry)
{
	struct folio *folio = folio_alloc(GFP_KERNEL | __GFP_NOFAIL, 0);

	__folio_set_swapbacked(folio);
	folio_set_swapcache(folio);
	folio->swap = entry;
	return folio;
}

/*
 * Put empty pages where swap-in looks for @folio. They are on no LRU list, from where they
 * would be written to swap as if they were what is looked for; and nobody's cgroup pays.
 */
static void cdm_replace_in_swapcache(struct folio *folio)
{
	struct swap_cluster_info *cluster;
	long i, nr = folio_nr_pages(folio);
	struct folio *empty, *next;
	swp_entry_t entry = folio->swap;
	LIST_HEAD(pages);

	for (i = 0; i < nr; i++, entry.val++) {
		empty = cdm_empty_folio(entry);
		list_add_tail(&empty->lru, &pages);
	}

	/* The reference that each was born with is the swap cache's */
	cluster = cdm_lock_swapcache(folio);
	list_for_each_entry_safe(empty, next, &pages, lru) {
		list_del_init(&empty->lru);
		cdm_store_in_swapcache(cluster, empty);
		node_stat_mod_folio(empty, NR_FILE_PAGES, 1);
		lruvec_stat_mod_folio(empty, NR_SWAPCACHE, 1);
	}
	folio_clear_swapcache(folio);
	folio->swap.val = 0;
	node_stat_mod_folio(folio, NR_FILE_PAGES, -nr);
	lruvec_stat_mod_folio(folio, NR_SWAPCACHE, -nr);
	cdm_unlock_swapcache(cluster);
	folio_put_refs(folio, nr);
}

/* For those who have the folio's place in swap, and not the folio itself */
static bool cdm_lose_swapcache(struct folio *folio)
{
	/* Nobody has; or the place in swap has the same content */
	if (folio_free_swap(folio))
		return false;
	if (!folio_test_dirty(folio) && folio_test_uptodate(folio)) {
		swap_cache_del_folio(folio);
		return false;
	}
	cdm_replace_in_swapcache(folio);
	return true;
}

/* As if the folio had been swapped out, to where nothing can be read from */
static void cdm_lose_shmem(struct address_space *mapping, struct folio *folio)
{
	struct shmem_inode_info *info = SHMEM_I(mapping->host);
	XA_STATE_ORDER(xas, &mapping->i_pages, folio->index, folio_order(folio));
	long nr = folio_nr_pages(folio);

	unmap_mapping_folio(folio);

	/* First this, or the file would seem to have given pages back */
	spin_lock(&info->lock);
	info->swapped += nr;
	spin_unlock(&info->lock);

	xas_lock_irq(&xas);
	xas_store(&xas, swp_to_radix_entry(make_poisoned_swp_entry()));
	folio->mapping = NULL;
	mapping->nrpages -= nr;
	if (folio_test_pmd_mappable(folio))
		lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, -nr);
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, -nr);
	lruvec_stat_mod_folio(folio, NR_SHMEM, -nr);
	xas_unlock_irq(&xas);
	folio_put_refs(folio, nr);
}

static bool cdm_lose_cache(struct address_space *mapping, struct folio *folio)
{
	/* First, for what page tables know of writes */
	unmap_mapping_folio(folio);
	if (folio_test_dirty(folio))
		mapping_set_error(mapping, -EIO);
	return !truncate_inode_folio(mapping, folio);
}

/* Take it away from whoever has it, locked and not under writeback; returns whether anybody had */
bool cdm_lose_folio(struct folio *folio)
{
	struct address_space *mapping;
	bool had = false;

	if (folio_test_anon(folio))
		had = cdm_lose_anon(folio);
	if (folio_test_swapcache(folio))
		return cdm_lose_swapcache(folio) || had;

	/* None: the folio is anonymous or a driver's, mapped for user space or not */
	mapping = folio_mapping(folio);
	if (!mapping)
		return had;
	if (!shmem_mapping(mapping))
		return cdm_lose_cache(mapping, folio);
	cdm_lose_shmem(mapping, folio);
	return true;
}

static void cdm_lose_visited(struct page *page, unsigned long nr, void *arg)
{
	struct folio *folio = page_folio(page);
	unsigned long *lost = arg;

	/* A bad page that nobody has any more; one whose owner still sets it up, unlocked */
	if (!folio_ref_count(folio) ||
	    (!folio_test_lru(folio) && !folio_mapped(folio) && !READ_ONCE(folio->mapping)))
		return;
	/* Whoever migrates it or reads it in is done when the lock can be had */
	folio_lock(folio);
	folio_wait_writeback(folio);
	if (cdm_lose_folio(folio))
		*lost += nr;
	folio_unlock(folio);
}

/**
 * cdm_node_lose_memory() - take memory that has gone away from those who use it
 * @nid: a node that nobody can bind to
 * @ranges: its memory, that cdm_node_add_memory() added
 * @nr: how many ranges
 *
 * Reads and writes none of it, and from here on no migration does. What drivers hold is
 * theirs to free. Again before the memory is removed: a page that was allocated before may
 * have found its place since.
 *
 * Context: Process context; nobody onlines the memory meanwhile, and the caller refuses to
 * have it offlined. Takes mem_hotplug_lock. Sleeps.
 * Return: the number of pages that somebody has lost.
 */
unsigned long cdm_node_lose_memory(int nid, const struct cdm_range *ranges, unsigned int nr)
{
	unsigned long lost, sum = 0;
	int pass;

	node_set(nid, cdm_lost_map);
	for (pass = 0; pass < CDM_LOSE_PASSES; pass++) {
		lru_add_drain_all();
		lost = 0;
		cdm_walk_folios(ranges, nr, cdm_lose_visited, &lost);
		sum += lost;
		if (!lost)
			break;
	}
	/* The last references of many were those of the CPUs' lists */
	lru_add_drain_all();
	return sum;
}
EXPORT_SYMBOL_GPL(cdm_node_lose_memory);
