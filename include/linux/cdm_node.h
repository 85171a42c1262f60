/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: which nodes are CDM, and what mm does about it.
 *
 * The upper half is what hooks in core mm ask; it costs nothing while no node is
 * tagged. The lower half is the seam between the driver core in drivers/cdm and mm;
 * nothing else calls it. See Documentation/mm/cdm.rst.
 */
#ifndef _LINUX_CDM_NODE_H
#define _LINUX_CDM_NODE_H

#include <linux/cleanup.h>
#include <linux/gfp.h>
#include <linux/jump_label.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/types.h>

struct address_space;
struct cpuset;
struct file;
struct folio;
struct mempolicy;
struct mm_struct;
struct oom_control;
struct seq_file;
struct task_struct;

/**
 * enum cdm_caps - what a device's memory takes part in beside allocation by its driver
 * @CDM_CAP_USER_BIND: policies may bind to the node, move_pages(2) may name it
 * @CDM_CAP_RECLAIM: kswapd, direct and memcg reclaim, MADV_PAGEOUT
 * @CDM_CAP_COMPACTION: kcompactd, direct compaction, and compaction by request
 * @CDM_CAP_THP_COLLAPSE: khugepaged, MADV_COLLAPSE
 *
 * Granted by the driver at registration; the administrator can take a grant away. A kernel without
 * CONFIG_CDM has none of them: %CDM_CAPS_SUPPORTED is 0 there.
 */
enum cdm_caps {
	CDM_CAP_USER_BIND	= BIT(0),
	CDM_CAP_RECLAIM		= BIT(1),
	CDM_CAP_COMPACTION	= BIT(2),
	CDM_CAP_THP_COLLAPSE	= BIT(3),
};

#define CDM_NR_CAPS		4
#define CDM_CAPS_ALL		(BIT(CDM_NR_CAPS) - 1)
#define CDM_CAPS_SUPPORTED	(IS_ENABLED(CONFIG_CDM) ? CDM_CAPS_ALL : 0)

#ifdef CONFIG_CDM

/* On from the first tag until reboot: devices come and go, text is better not patched */
DECLARE_STATIC_KEY_FALSE(cdm_key);

/* The tagged nodes. Changes with a node empty of memory; readers need no lock. */
extern nodemask_t cdm_node_map;

/* Does @nid belong to a coherent device? */
static __always_inline bool node_is_cdm(int nid)
{
	return static_branch_unlikely(&cdm_key) && node_isset(nid, cdm_node_map);
}

extern nodemask_t cdm_cap_map[CDM_NR_CAPS];

/* May mm do with @nid's memory what @cap stands for? With system RAM it may. */
static inline bool cdm_node_may(int nid, unsigned long cap)
{
	return !node_is_cdm(nid) || node_isset(nid, cdm_cap_map[__ffs(cap)]);
}

/* The state that a node has while it has memory online */
static inline enum node_states node_memory_state(int nid)
{
	return node_is_cdm(nid) ? N_CDM : N_MEMORY;
}

bool cdm_may_add_memory(int nid);
void cdm_reserve_nodes(void);
void __cdm_withhold_bad_pages(unsigned long pfn, unsigned long nr_pages);

/* Before a block's pages can be allocated: those known to be bad are not among them */
static inline void cdm_withhold_bad_pages(int nid, unsigned long pfn, unsigned long nr_pages)
{
	if (node_is_cdm(nid))
		__cdm_withhold_bad_pages(pfn, nr_pages);
}

void __cdm_note_failure(int nid, unsigned long pfn);

/* A page was found to be bad, by whomever */
static inline void cdm_note_failure(int nid, unsigned long pfn)
{
	if (node_is_cdm(nid))
		__cdm_note_failure(nid, pfn);
}

int __cdm_distance(int from, int to);

/* The distance of two nodes where a driver has said it; 0 where firmware's word holds */
static inline int cdm_distance(int from, int to)
{
	return static_branch_unlikely(&cdm_key) ? __cdm_distance(from, to) : 0;
}

int __cdm_begin_offline(int nid);
void __cdm_end_offline(int nid);

/* In front of the offlining of a memory block: before, and when the scope ends, after */
DEFINE_CLASS(cdm_offlining, int, __cdm_end_offline(_T),
	     node_is_cdm(nid) ? __cdm_begin_offline(nid) : NUMA_NO_NODE, int nid)

bool __cdm_build_zonelists(pg_data_t *pgdat);
void __cdm_build_explicit_zonelists(void);

/* Build both lists of a CDM node; false for every other node */
static inline bool cdm_build_zonelists(pg_data_t *pgdat)
{
	return node_is_cdm(pgdat->node_id) && __cdm_build_zonelists(pgdat);
}

static inline void cdm_build_explicit_zonelists(void)
{
	if (static_branch_unlikely(&cdm_key))
		__cdm_build_explicit_zonelists();
}

struct zonelist *__cdm_zonelist(int nid, gfp_t gfp, const nodemask_t *nodemask);
struct zonelist *__cdm_system_zonelist(struct zonelist *zonelist);

/* The list for an allocation whose caller passed @nodemask */
static __always_inline struct zonelist *cdm_zonelist(int nid, gfp_t gfp, const nodemask_t *nodemask)
{
	if (static_branch_unlikely(&cdm_key) && nodemask)
		return __cdm_zonelist(nid, gfp, nodemask);
	return node_zonelist(nid, gfp);
}

struct zonelist *__cdm_reclaim_zonelist(int nid, gfp_t gfp);

/* The list whose nodes a memory cgroup's reclaim goes through */
static inline struct zonelist *cdm_reclaim_zonelist(int nid, gfp_t gfp)
{
	if (static_branch_unlikely(&cdm_key))
		return __cdm_reclaim_zonelist(nid, gfp);
	return node_zonelist(nid, gfp);
}

/* The list to go on with when the nodemask has been dropped */
static inline struct zonelist *cdm_system_zonelist(struct zonelist *zonelist)
{
	if (static_branch_unlikely(&cdm_key))
		return __cdm_system_zonelist(zonelist);
	return zonelist;
}

/* Leave CDM nodes out of a mask that somebody else's pages are to be moved by */
static inline void cdm_clear_nodes(nodemask_t *nodes)
{
	if (static_branch_unlikely(&cdm_key))
		nodes_andnot(*nodes, *nodes, cdm_node_map);
}

/* What @nodes has of system RAM */
static inline nodemask_t cdm_ram_nodes(const nodemask_t *nodes)
{
	nodemask_t ram = *nodes;

	cdm_clear_nodes(&ram);
	return ram;
}

bool __cdm_node_bindable(int nid);
bool __cdm_nodes_bindable(const nodemask_t *nodes);

/* May a bind policy on @nodes get memory of a CDM node among them? */
static inline bool cdm_nodes_bindable(const nodemask_t *nodes)
{
	return static_branch_unlikely(&cdm_key) && __cdm_nodes_bindable(nodes);
}

/* May a bind policy, or a move, name this CDM node? */
static inline bool cdm_node_bindable(int nid)
{
	return static_branch_unlikely(&cdm_key) && __cdm_node_bindable(nid);
}

/* kernel/cgroup/cpuset-cdm.c */
bool cpuset_cdm_sync(void);
bool __cpuset_cdm_in_use(void);

/* Is there a CDM node that a cpuset could name? */
static inline bool cpuset_cdm_in_use(void)
{
	return static_branch_unlikely(&cdm_key) && __cpuset_cdm_in_use();
}

bool cpuset_cdm_is_restricted(struct task_struct *task);
bool cpuset_cdm_grant(const struct cpuset *cs, nodemask_t *mems);
bool cpuset_cdm_may_set(const nodemask_t *mems, const nodemask_t *top);
bool cpuset_cdm_is_subset(const struct cpuset *p, const struct cpuset *q);

nodemask_t cdm_mems_allowed(struct task_struct *task);

bool __cdm_policy_is_valid(const nodemask_t *nodes);

/* Has a policy's @nodes any that the calling task, whose cpuset has @mems, can use? */
static inline bool cdm_policy_is_valid(const nodemask_t *nodes, const nodemask_t *mems)
{
	if (static_branch_unlikely(&cdm_key))
		return __cdm_policy_is_valid(nodes);
	return nodes_intersects(*nodes, *mems);
}

bool __cdm_node_allowed(gfp_t gfp);

/* Is @nid a CDM node that the calling task's cpuset does not keep it from? */
static inline bool cdm_node_allowed(int nid, gfp_t gfp)
{
	return node_is_cdm(nid) && __cdm_node_allowed(gfp);
}

/* For what the kernel keeps of a page that is on @nid: a node that is no device */
int cdm_ram_nid(int nid);

bool __cdm_hugetlb_nodes(gfp_t gfp, int nid, nodemask_t **nodemask, nodemask_t *ram);

/*
 * Can a hugetlb page be had with these arguments, without a CDM node? What @nodemask names
 * of RAM is then in @ram, and @nodemask points there.
 */
static inline bool cdm_hugetlb_nodes(gfp_t gfp, int nid, nodemask_t **nodemask, nodemask_t *ram)
{
	return !static_branch_unlikely(&cdm_key) || __cdm_hugetlb_nodes(gfp, nid, nodemask, ram);
}

void __cdm_check_home_node(int *nid);

/* Replace a policy's home node if it is one that the calling task may not have */
static __always_inline void cdm_check_home_node(int *nid)
{
	if (node_is_cdm(*nid))
		__cdm_check_home_node(nid);
}

struct mempolicy *__cdm_valid_policy(struct mempolicy *pol);

/*
 * What stands for a policy, or NULL, if the node that it prefers has been taken from the calling
 * task. A reference to the policy becomes one to what is returned.
 */
static __always_inline struct mempolicy *cdm_valid_policy(struct mempolicy *pol)
{
	return pol && static_branch_unlikely(&cdm_key) ? __cdm_valid_policy(pol) : pol;
}

struct folio *__cdm_ksm_folio(struct folio *folio);

/* What KSM found to merge with, but no page of a CDM node */
static inline struct folio *cdm_ksm_folio(struct folio *folio)
{
	return static_branch_unlikely(&cdm_key) ? __cdm_ksm_folio(folio) : folio;
}

bool __cdm_oom_choose(struct oom_control *oc);

/* Choose the allocating task if it asked for memory of CDM nodes only */
static inline bool cdm_oom_choose(struct oom_control *oc)
{
	return static_branch_unlikely(&cdm_key) && __cdm_oom_choose(oc);
}

long __cdm_oom_discount(const struct oom_control *oc, struct task_struct *task);

/* Pages that @task has and that killing it for want of RAM would not give back */
static inline long cdm_oom_discount(const struct oom_control *oc, struct task_struct *task)
{
	return static_branch_unlikely(&cdm_key) ? __cdm_oom_discount(oc, task) : 0;
}

bool __cdm_names_device(const struct mempolicy *pol);

/* Does a policy, if there is one, name a CDM node? */
static inline bool cdm_names_device(const struct mempolicy *pol)
{
	return static_branch_unlikely(&cdm_key) && pol && __cdm_names_device(pol);
}

struct page *cdm_alloc_task_pages(gfp_t gfp, unsigned int order, struct mempolicy *pol);

/*
 * Is a policy the calling task's own, which may name a CDM node? Who has none knows it when the
 * policy is looked for: the compiler leaves nothing of this on that way, nor on an interrupt's
 * where the caller says that it is not the default policy.
 */
static __always_inline bool cdm_is_own_policy(const struct mempolicy *pol)
{
	return pol == current->mempolicy && static_branch_unlikely(&cdm_key);
}

/* cdm_valid_policy() of what get_task_policy() has found for it */
static __always_inline struct mempolicy *cdm_own_policy(struct mempolicy *pol)
{
	return cdm_is_own_policy(pol) ? __cdm_valid_policy(pol) : pol;
}

extern nodemask_t cdm_memory_map;

void cdm_note_memory(void);

/* The nodes with memory of either kind */
static inline nodemask_t *cdm_memory_nodes(void)
{
	return static_branch_unlikely(&cdm_key) ? &cdm_memory_map : &node_states[N_MEMORY];
}

void cdm_mpol_set_nodes(const struct mempolicy *pol, nodemask_t *nodes, const nodemask_t *asked);
void cdm_mpol_keep_nodes(const struct mempolicy *pol, nodemask_t *nodes);

unsigned long __cdm_nr_free_pages(void);

/* Free pages on CDM nodes, which no system statistic counts as free RAM */
static inline unsigned long cdm_nr_free_pages(void)
{
	return static_branch_unlikely(&cdm_key) ? __cdm_nr_free_pages() : 0;
}

/* What of @free pages is not on CDM nodes; the two are not read at the same moment */
static inline unsigned long cdm_ram_free_pages(unsigned long free)
{
	unsigned long devices = cdm_nr_free_pages();

	return free > devices ? free - devices : 0;
}

void cdm_report_meminfo(struct seq_file *m);

int __cdm_copy_folio(struct folio *to, struct folio *from, const void *atomic);

/* 0 when a migration's copy is done, an error when it must not be, else 1 */
static inline int cdm_copy_folio(struct folio *to, struct folio *from, const void *atomic)
{
	return static_branch_unlikely(&cdm_key) ? __cdm_copy_folio(to, from, atomic) : 1;
}

bool __cdm_owns_mapping(const struct address_space *mapping);

/* May pages of a file count as swapped out because a device that had them has gone? */
static inline bool cdm_may_have_lost(void)
{
	return static_branch_unlikely(&cdm_key);
}

/* A page of such a file, or NULL */
struct folio *cdm_mapping_folio(struct address_space *mapping, unsigned int order);

/* Do a file's pages come from a device, whatever policies say? */
static inline bool cdm_owns_mapping(const struct address_space *mapping)
{
	return static_branch_unlikely(&cdm_key) && __cdm_owns_mapping(mapping);
}

/* Their pages count in the file's quota: 0, or -ENOSPC */
int cdm_mapping_charge(struct address_space *mapping, long pages);

void __cdm_mapping_uncharge(struct address_space *mapping, long pages);

/* Whether that is where they count */
static inline bool cdm_mapping_uncharge(struct address_space *mapping, long pages)
{
	if (!cdm_owns_mapping(mapping))
		return false;
	__cdm_mapping_uncharge(mapping, pages);
	return true;
}

void __cdm_mapping_evict(struct address_space *mapping);

/* The last of such a file, which has no pages any more */
static inline void cdm_mapping_evict(struct address_space *mapping)
{
	if (cdm_owns_mapping(mapping))
		__cdm_mapping_evict(mapping);
}

/* Is it such a file's, but no longer on a device? For a folio of a mapping, locked or RCU. */
bool cdm_folio_has_left(const struct folio *folio);

/*
 * Some pages, and nodes of the page cache, are charged by another mask than the mapping's, which
 * would wake the OOM killer at memcg's limit: this one's does not, either
 */
static inline gfp_t cdm_mapping_gfp(const struct address_space *mapping, gfp_t gfp)
{
	return cdm_owns_mapping(mapping) ? gfp | __GFP_RETRY_MAYFAIL : gfp;
}

/* An OOM that ends in a fault is tried again; but a device does not grow */
static inline int cdm_mapping_error(const struct address_space *mapping, int error)
{
	return error == -ENOMEM && cdm_owns_mapping(mapping) ? -ENOSPC : error;
}

/* Does @nid have memory of either kind? For those who read, not for those who place. */
static inline bool node_has_memory(int nid)
{
	return node_state(nid, N_MEMORY) || node_state(nid, N_CDM);
}

#else /* CONFIG_CDM */

static inline bool node_is_cdm(int nid) { return false; }
static inline bool cdm_node_may(int nid, unsigned long cap) { return true; }
static inline enum node_states node_memory_state(int nid) { return N_MEMORY; }
static inline bool cdm_may_add_memory(int nid) { return true; }
DEFINE_CLASS(cdm_offlining, int, (void)_T, nid, int nid)
static inline void cdm_reserve_nodes(void) { }
static inline void cdm_withhold_bad_pages(int nid, unsigned long pfn, unsigned long nr_pages) { }
static inline void cdm_note_failure(int nid, unsigned long pfn) { }
static inline int cdm_distance(int from, int to) { return 0; }
static inline bool cdm_build_zonelists(pg_data_t *pgdat) { return false; }
static inline void cdm_build_explicit_zonelists(void) { }
static inline struct zonelist *cdm_zonelist(int nid, gfp_t gfp, const nodemask_t *nodemask)
{
	return node_zonelist(nid, gfp);
}

static inline struct zonelist *cdm_reclaim_zonelist(int nid, gfp_t gfp)
{
	return node_zonelist(nid, gfp);
}

static inline struct zonelist *cdm_system_zonelist(struct zonelist *zonelist)
{
	return zonelist;
}

static inline void cdm_clear_nodes(nodemask_t *nodes) { }
static inline nodemask_t cdm_ram_nodes(const nodemask_t *nodes) { return *nodes; }
static inline bool cpuset_cdm_sync(void) { return false; }
static inline bool cpuset_cdm_in_use(void) { return false; }
static inline bool cpuset_cdm_grant(const struct cpuset *cs, nodemask_t *mems)
{
	return !nodes_empty(*mems);
}

static inline bool cpuset_cdm_may_set(const nodemask_t *mems, const nodemask_t *top)
{
	return nodes_subset(*mems, *top);
}

#define cpuset_cdm_is_subset(p, q) nodes_subset((p)->mems_allowed, (q)->mems_allowed)
#define cdm_mems_allowed(task) cpuset_mems_allowed(task)
static inline bool cdm_policy_is_valid(const nodemask_t *nodes, const nodemask_t *mems)
{
	return nodes_intersects(*nodes, *mems);
}

static inline bool cdm_node_allowed(int nid, gfp_t gfp) { return false; }
static inline bool cdm_node_bindable(int nid) { return false; }
static inline bool cdm_hugetlb_nodes(gfp_t gfp, int nid, nodemask_t **nodemask, nodemask_t *ram)
{
	return true;
}

static inline int cdm_ram_nid(int nid) { return nid; }

static inline void cdm_check_home_node(int *nid) { }
static inline struct mempolicy *cdm_valid_policy(struct mempolicy *pol) { return pol; }
static inline struct mempolicy *cdm_own_policy(struct mempolicy *pol) { return pol; }
static inline struct folio *cdm_ksm_folio(struct folio *folio) { return folio; }
static inline bool cdm_oom_choose(struct oom_control *oc) { return false; }
static inline long cdm_oom_discount(const struct oom_control *oc, struct task_struct *task)
{
	return 0;
}

static inline bool cdm_names_device(const struct mempolicy *pol) { return false; }
static inline bool cdm_is_own_policy(const struct mempolicy *pol) { return false; }
static inline struct page *cdm_alloc_task_pages(gfp_t gfp, unsigned int order,
						struct mempolicy *pol)
{
	return NULL;
}

static inline void cdm_note_memory(void) { }
static inline nodemask_t *cdm_memory_nodes(void) { return &node_states[N_MEMORY]; }
static inline void cdm_mpol_set_nodes(const struct mempolicy *pol, nodemask_t *nodes,
				      const nodemask_t *asked)
{
}

static inline void cdm_mpol_keep_nodes(const struct mempolicy *pol, nodemask_t *nodes) { }
static inline unsigned long cdm_ram_free_pages(unsigned long free) { return free; }
static inline void cdm_report_meminfo(struct seq_file *m) { }
static inline int cdm_copy_folio(struct folio *to, struct folio *from, const void *atomic)
{
	return 1;
}

static inline bool cdm_owns_mapping(const struct address_space *mapping) { return false; }
static inline bool cdm_may_have_lost(void) { return false; }
static inline struct folio *cdm_mapping_folio(struct address_space *mapping, unsigned int order)
{
	return NULL;
}

static inline int cdm_mapping_charge(struct address_space *mapping, long pages) { return 0; }
static inline bool cdm_mapping_uncharge(struct address_space *mapping, long pages)
{
	return false;
}

static inline void cdm_mapping_evict(struct address_space *mapping) { }
static inline bool cdm_folio_has_left(const struct folio *folio) { return false; }
static inline gfp_t cdm_mapping_gfp(const struct address_space *mapping, gfp_t gfp) { return gfp; }
static inline int cdm_mapping_error(const struct address_space *mapping, int error)
{
	return error;
}

static inline bool node_has_memory(int nid) { return node_state(nid, N_MEMORY); }

#endif /* CONFIG_CDM */

#define for_each_memory_node(nid) for_each_node_mask(nid, *cdm_memory_nodes())

/**
 * enum cdm_fallback - what the FALLBACK list of a CDM node holds
 * @CDM_FALLBACK_NONE: system RAM only, as for a node without memory: nothing that
 *	does not ask explicitly gets device memory. The default.
 * @CDM_FALLBACK_SYSTEM: the node's own zones, then system RAM: a movable allocation
 *	that names the node as a hint gets device memory, and RAM when there is no more.
 */
enum cdm_fallback {
	CDM_FALLBACK_NONE,
	CDM_FALLBACK_SYSTEM,
};

/**
 * struct cdm_range - a part of a device's memory
 * @start: first byte, a CPU physical address aligned to the memory block
 * @size: bytes, a multiple of the memory block
 */
struct cdm_range {
	u64 start;
	u64 size;
};

/* Is the byte at @addr in one of the ranges? */
static inline bool cdm_ranges_have(const struct cdm_range *ranges, unsigned int nr, u64 addr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (addr - ranges[i].start < ranges[i].size)
			return true;
	return false;
}

/* Bytes in all of the ranges */
static inline u64 cdm_ranges_size(const struct cdm_range *ranges, unsigned int nr)
{
	unsigned int i;
	u64 size = 0;

	for (i = 0; i < nr; i++)
		size += ranges[i].size;
	return size;
}

/*
 * MOVABLE and HIGHMEM together select ZONE_MOVABLE, the only zone of the node. Neither
 * reclaim bit: by default a device's memory is not paged, and nothing here may sleep.
 * No HARDWALL: the device belongs to the driver, not to the calling task's cpuset. COMP means
 * nothing for a single page.
 */
#define CDM_GFP (__GFP_THISNODE | __GFP_MOVABLE | __GFP_HIGHMEM | __GFP_COMP | __GFP_NOWARN)

/* The struct pages of a memory block, by their addresses: who asks has many pages */
struct cdm_block {
	unsigned long start;
	unsigned long size;
};

static __always_inline bool cdm_block_has(const struct cdm_block *block, const struct page *page)
{
	return (unsigned long)page - block->start < block->size;
}

/**
 * struct cdm_page_count - who has a device's pages
 * @user: pages of processes and files, which can move
 * @pinned: of processes and files, with a reference that keeps them from moving
 * @bad: pages with hardware errors
 */
struct cdm_page_count {
	unsigned long user;
	unsigned long pinned;
	unsigned long bad;
};

/**
 * struct cdm_node_ops - what a device does for mm; all in process context, and may sleep
 * @id: which registration it is: a node may have had another device before
 * @copy: copy a folio of which one or both sides are the device's; 0 or an error. NULL: never
 * @alloc: a folio of the device for a file, not counted as a driver's, or NULL
 */
struct cdm_node_ops {
	u64 id;
	int (*copy)(const struct cdm_node_ops *ops, struct folio *to, struct folio *from);
	struct folio *(*alloc)(const struct cdm_node_ops *ops, unsigned int order);
};

/**
 * enum cdm_migrate_whose - which pages may be moved
 * @CDM_MIGRATE_ANY: a driver's request: all
 * @CDM_MIGRATE_OWN: a process's: its anonymous pages that nobody else has, and devices' files
 * @CDM_MIGRATE_FILES: devices' files, whose quota they are in already
 */
enum cdm_migrate_whose {
	CDM_MIGRATE_ANY,
	CDM_MIGRATE_OWN,
	CDM_MIGRATE_FILES,
};

/* For cdm_node_walk_mappings(); false ends it */
typedef bool (*cdm_mapping_t)(struct mm_struct *mm, unsigned long addr, void *arg);

/* For cdm_node_tag(): one of the ids that cdm_nodes=N reserved at boot */
#define CDM_NID_AUTO	(-1)

int cdm_node_tag(int nid, const char *owner, enum cdm_fallback fallback, unsigned long caps);
int cdm_node_untag(int nid);
void cdm_node_set_fallback(int nid, enum cdm_fallback fallback);
void cdm_node_set_draining(int nid, bool draining);
void cdm_node_revoke(int nid, unsigned long caps);
bool cdm_node_make_room(int nid, unsigned int order);
bool cdm_node_drain_pcp(int nid);
unsigned long cdm_node_shortage(int nid);
unsigned long cdm_node_free_pages(int nid);
struct page *cdm_node_alloc_pages(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes);
unsigned int cdm_node_put_pages(unsigned int nr, struct page **pages,
				const struct cdm_block *block);
void cdm_node_set_distance(int nid, int near, unsigned int distance);

bool cdm_node_range_addressable(u64 start, u64 size);
int cdm_node_add_memory(int nid, const struct cdm_range *ranges, unsigned int nr,
			const char *name);
int cdm_node_online_memory(const struct cdm_range *ranges, unsigned int nr);
int cdm_node_offline_memory(const struct cdm_range *ranges, unsigned int nr);
int cdm_node_abandon_memory(const struct cdm_range *ranges, unsigned int nr);
void cdm_node_interrupt(struct task_struct *task);
int cdm_node_remove_memory(int mgid, const struct cdm_range *ranges, unsigned int nr);

struct page *cdm_node_alloc_contig(int nid, const struct cdm_range *ranges, unsigned int nr,
				   unsigned long nr_pages, gfp_t gfp);
int cdm_node_set_ops(int nid, const struct cdm_node_ops *ops);
long cdm_node_migrate_range(int nid, struct mm_struct *mm, unsigned long start,
			    unsigned long nr, int *status, enum cdm_migrate_whose whose);
long cdm_node_migrate_pfns(int nid, const unsigned long *pfns, unsigned long nr, int *status);
int cdm_node_locate(struct mm_struct *mm, unsigned long addr, unsigned long *pfn);
int cdm_node_walk_mappings(unsigned long pfn, cdm_mapping_t visit, void *arg);

struct file *cdm_node_create_file(int nid, u64 id, u64 size);
u64 cdm_node_file_used(struct file *file);
u64 cdm_node_file_quota(struct file *file);
int cdm_node_file_set_quota(struct file *file, u64 bytes, bool may_raise);

void cdm_node_count_pages(const struct cdm_range *ranges, unsigned int nr,
			  struct cdm_page_count *count);
unsigned long cdm_node_lose_memory(int nid, const struct cdm_range *ranges, unsigned int nr);
unsigned long cdm_node_poison_pages(unsigned long start_pfn, unsigned long nr_pages);
int cdm_node_retire_page(unsigned long pfn);
extern bool cdm_has_bad_pages;
unsigned long cdm_node_next_bad(unsigned long pfn, unsigned long end_pfn);
void cdm_node_forget_bad(const struct cdm_range *ranges, unsigned int nr);
bool cdm_node_has_bad_page(struct page *page, unsigned int order);
bool cdm_node_free_around_bad(struct page *page, unsigned int order);

#endif /* _LINUX_CDM_NODE_H */
