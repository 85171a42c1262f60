/* SPDX-License-Identifier: GPL-2.0 */
/* Shared between the files of the mm side of coherent device memory only. */
#ifndef _MM_CDM_H
#define _MM_CDM_H

#include <linux/cdm_compat.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>

struct address_space;
struct cdm_range;
struct folio;
struct page;
struct vm_area_struct;

/* Nodes whose own zones lead their FALLBACK list (CDM_FALLBACK_SYSTEM) */
extern nodemask_t cdm_fallback_map;

/* Nodes whose zones are in the explicit lists: granted to user space, and not being drained */
extern nodemask_t cdm_listed_map;

/* Nodes that the driver core is filling or draining */
extern nodemask_t cdm_draining_map;

/* Nodes that a policy may bind to right now: listed, and with memory that is not leaving */
extern nodemask_t cdm_bindable_map;

/* Ids that cdm_nodes= made possible, and no firmware describes */
extern nodemask_t cdm_reserved_map;

/* Nodes whose memory has gone without warning: nothing is read there any more */
extern nodemask_t cdm_lost_map;

u64 cdm_registration_of(int nid);
struct folio *cdm_alloc_for_file(int nid, u64 id, unsigned int order);
bool cdm_mapping_is_of(const struct address_space *mapping, int nid);
struct page *cdm_get_page_at(struct vm_area_struct *vma, unsigned long addr, unsigned long *nr);
struct folio *cdm_get_folio_of(unsigned long pfn);
struct folio *cdm_try_get_folio(unsigned long pfn);

/* Beside the caller's own, has it a reference that keeps it from moving? A snapshot. */
static inline bool cdm_folio_is_pinned(const struct folio *folio)
{
	/* What it belongs to may change meanwhile */
	return folio_ref_count(folio) > data_race(folio_expected_ref_count(folio)) + 1;
}

/* Is the driver core adding memory to @nid right now? Then nobody onlines it but the core. */
bool cdm_is_adding(int nid);

/* @page and what follows of its folio, @nr pages, of which the walk has a reference */
typedef void (*cdm_visit_t)(struct page *page, unsigned long nr, void *arg);

void cdm_walk_folios(const struct cdm_range *ranges, unsigned int nr, cdm_visit_t visit,
		     void *arg);

/* While a node has memory, somebody has to wait for its kswapd; see cdm_alloc.c */
void cdm_add_sleeper(int nid);
void cdm_remove_sleeper(int nid);

/* While a block goes offline, its zone may lose the per-CPU lists. Under mem_hotplug_lock. */
void cdm_close_pcp(int nid);
void cdm_open_pcp(int nid);
bool cdm_collect_free(struct zone *zone, unsigned int order);

#ifdef CONFIG_CDM_DMEM
int cdm_add_region(int nid, u64 size);
void cdm_remove_region(int nid);
void cdm_prepare_move(struct folio *to);
#else
static inline int cdm_add_region(int nid, u64 size) { return 0; }
static inline void cdm_remove_region(int nid) { }
static inline void cdm_prepare_move(struct folio *to) { }
#endif

/* While one of a device's pages is retired, none of its struct pages goes */
extern struct mutex cdm_retire_lock;

bool cdm_bad_pages_are_used(unsigned long pfn, unsigned long nr_pages);
void cdm_remember_bad_pages(unsigned long start_pfn, unsigned long nr_pages);
bool cdm_lose_folio(struct folio *folio);
void cdm_forget_hwpoison_entries(const struct cdm_range *ranges, unsigned int nr);

int cdm_alloc_explicit_zonelists(void);
int cdm_order_nodes(int local, const nodemask_t *nodes, const nodemask_t *devices,
		    int (*distance)(int, int), int *order);

#endif /* _MM_CDM_H */
