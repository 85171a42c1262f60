/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Coherent device memory: what a cgroup has of it, for kernels with the dmem controller.
 *
 * The upper half is what hooks in core mm ask, the lower half what the driver core does. Without
 * the controller nothing is left of either.
 */
#ifndef _LINUX_CDM_DMEM_H
#define _LINUX_CDM_DMEM_H

#include <linux/cdm_node.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>

struct folio_batch;

/* mm's own function for a fault */
typedef vm_fault_t (*cdm_fault_t)(struct vm_area_struct *vma, unsigned long addr,
				  unsigned int flags);

#ifdef CONFIG_CDM_DMEM

/*
 * Of current->flags. A task is in a fault; and in it, it was refused a page. Refused once more it
 * is in none.
 */
#define PF_CDM_FAULT	PF__HOLE__01000000
#define PF_CDM_REFUSED	PF__HOLE__02000000

/* Is the calling task to get system RAM where that will do, having been refused a device's page? */
static inline bool cdm_was_refused(void)
{
	return current->flags & PF_CDM_REFUSED;
}

vm_fault_t __cdm_handle_fault(cdm_fault_t handle, struct vm_area_struct *vma, unsigned long addr,
			      unsigned int flags);

/* A fault in which a cgroup's limit may be in the way */
static __always_inline vm_fault_t cdm_handle_fault(cdm_fault_t handle, struct vm_area_struct *vma,
						   unsigned long addr, unsigned int flags)
{
	if (static_branch_unlikely(&cdm_key))
		return __cdm_handle_fault(handle, vma, addr, flags);
	return handle(vma, addr, flags);
}

int __cdm_charge_folio(struct folio *folio);
int __cdm_charge_target(struct folio *folio);
void __cdm_uncharge_folio(struct folio *folio);
void __cdm_uncharge_folios(struct folio_batch *folios);
void __cdm_move_charge(struct folio *from, struct folio *to);

/* Charge the calling task for a folio: 0, or -ENOMEM when it may not have that much */
static inline int cdm_charge_folio(struct folio *folio)
{
	return node_is_cdm(folio_nid(folio)) ? __cdm_charge_folio(folio) : 0;
}

/* The same for a folio that another one is to be moved to */
static inline int cdm_charge_target(struct folio *folio)
{
	return node_is_cdm(folio_nid(folio)) ? __cdm_charge_target(folio) : 0;
}

/* A folio is about to be freed */
static inline void cdm_uncharge_folio(struct folio *folio)
{
	if (node_is_cdm(folio_nid(folio)))
		__cdm_uncharge_folio(folio);
}

static inline void cdm_uncharge_folios(struct folio_batch *folios)
{
	if (static_branch_unlikely(&cdm_key))
		__cdm_uncharge_folios(folios);
}

/* A migration has replaced a folio: within a device, who was charged for it stays so */
static inline void cdm_move_charge(struct folio *from, struct folio *to)
{
	if (node_is_cdm(folio_nid(to)) && folio_nid(from) == folio_nid(to))
		__cdm_move_charge(from, to);
}

bool cdm_has_payer(void);
bool cdm_node_may_charge(int nid, unsigned long nr_pages);
int cdm_node_charge(int nid, unsigned long pfn, unsigned long nr_pages);
void cdm_node_uncharge(int nid, unsigned long pfn, unsigned long nr_pages);

/* Does the charge of a page end with whoever drops the last reference to it? */
static inline bool cdm_put_page_uncharges(void)
{
	return !mem_cgroup_disabled();
}

#else /* CONFIG_CDM_DMEM */

static inline bool cdm_was_refused(void) { return false; }
static __always_inline vm_fault_t cdm_handle_fault(cdm_fault_t handle, struct vm_area_struct *vma,
						   unsigned long addr, unsigned int flags)
{
	return handle(vma, addr, flags);
}

static inline int cdm_charge_folio(struct folio *folio) { return 0; }
static inline int cdm_charge_target(struct folio *folio) { return 0; }
static inline void cdm_uncharge_folio(struct folio *folio) { }
static inline void cdm_uncharge_folios(struct folio_batch *folios) { }
static inline void cdm_move_charge(struct folio *from, struct folio *to) { }
static inline bool cdm_has_payer(void) { return false; }
static inline bool cdm_node_may_charge(int nid, unsigned long nr_pages) { return true; }
static inline int cdm_node_charge(int nid, unsigned long pfn, unsigned long nr_pages) { return 0; }
static inline void cdm_node_uncharge(int nid, unsigned long pfn, unsigned long nr_pages) { }
static inline bool cdm_put_page_uncharges(void) { return false; }

#endif /* CONFIG_CDM_DMEM */

#endif /* _LINUX_CDM_DMEM_H */
