// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: who may name a CDM node, and what follows from having named it.
 *
 * A policy is checked when it is set, and again with each allocation under it, because a
 * device may be drained, a capability taken away and a cpuset changed meanwhile: then the
 * policy behaves as the default one, and comes to life again with the node.
 */
#include <linux/cdm_dmem.h>
#include <linux/cdm_node.h>
#include <linux/cpuset.h>
#include <linux/huge_mm.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/pagewalk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "cdm.h"
#include "internal.h"

bool __cdm_node_bindable(int nid)
{
	return node_isset(nid, cdm_bindable_map);
}

bool __cdm_nodes_bindable(const nodemask_t *nodes)
{
	return nodes_intersects(*nodes, cdm_bindable_map);
}

/* The CDM nodes that may be bound to and that @task's cpuset, if there is one, has in @mems */
static nodemask_t nodes_open_to(struct task_struct *task, const nodemask_t *mems)
{
	nodemask_t nodes = cdm_bindable_map;

	if (cpusets_enabled() && cpuset_cdm_is_restricted(task))
		nodes_and(nodes, nodes, *mems);
	return nodes;
}

/* What cpuset_mems_allowed() says of RAM, and the CDM nodes that @task may name */
nodemask_t cdm_mems_allowed(struct task_struct *task)
{
	nodemask_t mems = cpuset_mems_allowed(task), open = nodes_open_to(task, &mems);

	cdm_clear_nodes(&mems);
	nodes_or(mems, mems, open);
	return mems;
}

/*
 * Has @nodes, a policy's, any that the calling task can get memory of? What its cpuset
 * names of CDM may be about to leave: that alone does not count.
 */
bool __cdm_policy_is_valid(const nodemask_t *nodes)
{
	nodemask_t open = nodes_open_to(current, &current->mems_allowed);
	nodemask_t ram = cdm_ram_nodes(&current->mems_allowed);

	return nodes_intersects(*nodes, ram) || nodes_intersects(*nodes, open);
}

/*
 * May the allocator take memory of CDM node @nid for the calling task? With THISNODE it was
 * decided by who calls: a driver on behalf of the task, or a system call that has checked.
 */
bool __cdm_node_allowed(gfp_t gfp)
{
	return (gfp & __GFP_THISNODE) || !cpuset_cdm_is_restricted(current);
}

/*
 * @nodes is what the policy would hold without us, @asked what the user named. A bind
 * policy may name CDM nodes, by number only; MPOL_PREFERRED those whose hints are
 * requests.
 */
void cdm_mpol_set_nodes(const struct mempolicy *pol, nodemask_t *nodes, const nodemask_t *asked)
{
	nodemask_t granted;

	/* A cpuset's CDM nodes are no nodes for anybody to be folded onto */
	cdm_clear_nodes(nodes);
	if ((pol->mode != MPOL_BIND && pol->mode != MPOL_PREFERRED) ||
	    (pol->flags & MPOL_F_RELATIVE_NODES))
		return;

	granted = nodes_open_to(current, &current->mems_allowed);
	nodes_and(granted, granted, *asked);
	if (pol->mode == MPOL_PREFERRED)
		nodes_and(granted, granted, cdm_fallback_map);
	nodes_or(*nodes, *nodes, granted);
}

/* @nodes is what a changed cpuset makes of the policy: what it had of CDM, it keeps */
void cdm_mpol_keep_nodes(const struct mempolicy *pol, nodemask_t *nodes)
{
	nodemask_t had;

	nodes_and(had, pol->nodes, cdm_node_map);
	nodes_or(*nodes, *nodes, had);
}

bool __cdm_names_device(const struct mempolicy *pol)
{
	return (pol->mode == MPOL_BIND || pol->mode == MPOL_PREFERRED) &&
	       nodes_intersects(pol->nodes, cdm_node_map);
}

/*
 * alloc_pages() for a task that has the policy @pol: page cache, compressed swap and what else
 * the kernel allocates while the task runs. If the policy names a CDM node, then on the RAM nodes
 * of the policy, or on any if it names none. It is the task's own: nobody else replaces it.
 */
struct page *cdm_alloc_task_pages(gfp_t gfp, unsigned int order, struct mempolicy *pol)
{
	nodemask_t ram;

	if (!__cdm_names_device(pol))
		return alloc_pages_mpol(gfp, order, pol, NO_INTERLEAVE_INDEX, numa_node_id());
	ram = cdm_ram_nodes(&pol->nodes);
	return __alloc_frozen_pages(gfp, order, numa_mem_id(), nodes_empty(ram) ? NULL : &ram,
				    ALLOC_DEFAULT);
}

/* It was checked when it was set; since then it may have been taken from the task */
void __cdm_check_home_node(int *nid)
{
	nodemask_t open = nodes_open_to(current, &current->mems_allowed);

	if (!node_isset(*nid, open))
		*nid = numa_node_id();
}

/* What a policy is that prefers a node in vain: that of a task which has none. Never freed. */
static struct mempolicy cdm_local_policy = {
	.refcnt = ATOMIC_INIT(1),
	.mode = MPOL_LOCAL,
};

/* The node that a policy prefers is tried first, and alone for a huge page */
struct mempolicy *__cdm_valid_policy(struct mempolicy *pol)
{
	nodemask_t open;

	if (pol->mode != MPOL_PREFERRED || !nodes_intersects(pol->nodes, cdm_node_map))
		return pol;
	open = nodes_open_to(current, &current->mems_allowed);
	nodes_and(open, open, cdm_fallback_map);
	if (nodes_intersects(pol->nodes, open) && !cdm_was_refused())
		return pol;
	mpol_cond_put(pol);
	return &cdm_local_policy;
}

int cdm_ram_nid(int nid)
{
	return node_is_cdm(nid) ? numa_mem_id() : nid;
}
EXPORT_SYMBOL_GPL(cdm_ram_nid);

bool __cdm_hugetlb_nodes(gfp_t gfp, int nid, nodemask_t **nodemask, nodemask_t *ram)
{
	if (node_is_cdm(nid) && ((gfp & __GFP_THISNODE) ||
				 (!*nodemask && node_isset(nid, cdm_fallback_map))))
		return false;
	if (!*nodemask)
		return true;
	*ram = cdm_ram_nodes(*nodemask);
	*nodemask = ram;
	return !nodes_empty(*ram);
}

/* It was merged in RAM, and moved since. A page more would be one more on the device. */
struct folio *__cdm_ksm_folio(struct folio *folio)
{
	if (IS_ERR_OR_NULL(folio) || !node_is_cdm(folio_nid(folio)))
		return folio;
	folio_put(folio);
	return ERR_PTR(-EBUSY);
}

/* Nobody is killed, and whoever wants memory looks once more */
#define CDM_OOM_RETRY	((struct task_struct *)-1UL)

/*
 * Elsewhere it is reclaim that empties the CPUs' lists, on which an eighth of a node may lie free.
 * And whatever others have on the device is theirs by name, too; and every task without a bind
 * policy of its own would count as one that may have something there. Only where the one
 * that allocates must not be killed, the choice is as everywhere.
 */
bool __cdm_oom_choose(struct oom_control *oc)
{
	struct zoneref *z;
	struct zone *zone;

	if (!oc->nodemask || !nodes_subset(*oc->nodemask, cdm_node_map))
		return false;
	/* Only what the allocation may use, or it looks again while others fill those lists */
	for_each_zone_zonelist_nodemask(zone, z, oc->zonelist, gfp_zone(oc->gfp_mask),
					oc->nodemask) {
		if (!cpuset_zone_allowed(zone, oc->gfp_mask) || !cdm_collect_free(zone, oc->order))
			continue;
		oc->chosen = CDM_OOM_RETRY;
		return true;
	}
	if (!current->mm || is_global_init(current) ||
	    current->signal->oom_score_adj == OOM_SCORE_ADJ_MIN)
		return false;
	oc->chosen = get_task_struct(current);
	return true;
}

static void count_if_device(struct folio *folio, unsigned long nr, struct mm_walk *walk)
{
	unsigned long *pages = walk->private;

	if (folio && node_is_cdm(folio_nid(folio)))
		*pages += nr;
}

/* A huge page is counted as one. None is split, not even one that is being moved: that sleeps. */
static int count_huge_page(pmd_t *pmd, unsigned long addr, unsigned long end,
			   struct mm_walk *walk)
{
	spinlock_t *ptl = pmd_lock(walk->mm, pmd); /* the page table's */

	if (pmd_is_huge(*pmd))
		walk->action = ACTION_CONTINUE;
	if (pmd_present(*pmd) && pmd_trans_huge(*pmd))
		count_if_device(vm_normal_folio_pmd(walk->vma, addr, *pmd), PHYS_PFN(end - addr),
				walk);
	spin_unlock(ptl);
	return 0;
}

/* Not a device's; and the walk would split it */
static int skip_larger_page(pud_t *pud, unsigned long addr, unsigned long end,
			    struct mm_walk *walk)
{
	pud_t entry = READ_ONCE(*pud);

	if (pud_trans_huge(entry) || pud_leaf(entry))
		walk->action = ACTION_CONTINUE;
	return 0;
}

static int count_page(pte_t *pte, unsigned long addr, unsigned long end, struct mm_walk *walk)
{
	if (pte_present(ptep_get(pte)))
		count_if_device(vm_normal_folio(walk->vma, addr, ptep_get(pte)), 1, walk);
	return 0;
}

static const struct mm_walk_ops device_page_ops = {
	.pud_entry = skip_larger_page,
	.pmd_entry = count_huge_page,
	.pte_entry = count_page,
	.walk_lock = PGWALK_RDLOCK,
};

/*
 * Called for a task that would be killed for want of RAM: the pages that it has on CDM
 * nodes, which killing it would not turn into RAM. Nothing counts them as they come and
 * go: the page tables are walked, where some task has such pages at all. A task whose
 * mappings are being changed at this moment gets no discount.
 */
long __cdm_oom_discount(const struct oom_control *oc, struct task_struct *task)
{
	unsigned long on_devices = 0, pages = 0;
	struct mm_struct *mm = NULL;
	struct task_struct *thread;
	int nid;

	/* What is charged to a memory cgroup counts there, wherever it is */
	if (oc->memcg)
		return 0;
	for_each_node_state(nid, N_CDM)
		on_devices += node_page_state(NODE_DATA(nid), NR_ANON_MAPPED) +
			      node_page_state(NODE_DATA(nid), NR_FILE_MAPPED);
	if (!on_devices)
		return 0;
	/* The one that has been asked about may be the first of its threads to have ended */
	for_each_thread(task, thread) {
		mm = get_task_mm(thread);
		if (mm)
			break;
	}
	if (!mm)
		return 0;

	if (mmap_read_trylock(mm)) {
		walk_page_range(mm, 0, ULONG_MAX, &device_page_ops, &pages);
		mmap_read_unlock(mm);
	}
	/* Not mmput(): the tasks are looked at under RCU, where nothing may sleep */
	mmput_async(mm);
	return pages;
}
