// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: mm asks the driver core, for pages of a device's files and for
 * copies by its engine.
 *
 * Who moves pages (a driver, move_pages(2), a drain) comes through cdm_copy_folio().
 *
 * Locking: what a driver offers for its node is used under cdm_ops_srcu, and what replaces it
 * waits for those who do.
 */
#include <linux/cdm_dmem.h>
#include <linux/cdm_node.h>
#include <linux/error-injection.h>
#include <linux/mm.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include "cdm.h"

DEFINE_STATIC_SRCU(cdm_ops_srcu);

/* struct cdm_node_ops by node */
static DEFINE_XARRAY(cdm_node_ops);

/**
 * cdm_node_set_ops() - say what a device does for mm
 * @nid: its node
 * @ops: what it does, until it is replaced; NULL for nothing any more
 *
 * On return nobody uses what was there before.
 *
 * Context: Process context, not within one of the functions.
 * Return: 0 or -ENOMEM; always 0 for NULL.
 */
int cdm_node_set_ops(int nid, const struct cdm_node_ops *ops)
{
	int rc = xa_err(xa_store(&cdm_node_ops, nid, (void *)ops, GFP_KERNEL));

	synchronize_srcu_expedited(&cdm_ops_srcu);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_node_set_ops);
ALLOW_ERROR_INJECTION(cdm_node_set_ops, ERRNO);

/* Which of the devices that have had a node has it now; 0 for none */
u64 cdm_registration_of(int nid)
{
	const struct cdm_node_ops *ops;
	int idx = srcu_read_lock(&cdm_ops_srcu);
	u64 id;

	ops = xa_load(&cdm_node_ops, nid);
	id = ops ? ops->id : 0;
	srcu_read_unlock(&cdm_ops_srcu, idx);
	return id;
}

/* A folio for the file of the device @id, from there; NULL when there is none */
struct folio *cdm_alloc_for_file(int nid, u64 id, unsigned int order)
{
	const struct cdm_node_ops *ops;
	struct folio *folio = NULL;
	int idx = srcu_read_lock(&cdm_ops_srcu);

	ops = xa_load(&cdm_node_ops, nid);
	if (ops && ops->id == id)
		folio = ops->alloc(ops, order);
	srcu_read_unlock(&cdm_ops_srcu, idx);
	return folio;
}

/* Ask the device of @nid; returns what folio_mc_copy() would, or 1 when it does not copy */
static int cdm_device_copies(int nid, struct folio *to, struct folio *from)
{
	const struct cdm_node_ops *ops;
	int idx, rc = 1;

	if (!node_is_cdm(nid))
		return 1;
	idx = srcu_read_lock(&cdm_ops_srcu);
	ops = xa_load(&cdm_node_ops, nid);
	if (ops && ops->copy && !ops->copy(ops, to, from))
		rc = 0;
	srcu_read_unlock(&cdm_ops_srcu, idx);
	return rc;
}

/* Who has a page moved to a device has got it there, but for a move within it */
static int cdm_prepare_charge(struct folio *to, struct folio *from)
{
	if (folio_nid(to) != folio_nid(from))
		return cdm_charge_target(to);
	if (node_is_cdm(folio_nid(to)))
		cdm_prepare_move(to);
	return 0;
}

/*
 * In front of every copy that a migration makes. @atomic is not NULL where a lock may be held
 * that spins (buffer heads). Returns 0 when it is done, an error, or 1 for the CPU to do it.
 */
int __cdm_copy_folio(struct folio *to, struct folio *from, const void *atomic)
{
	int rc;

	/* There is nothing to read any more, and what is read instead is not what was there */
	if (node_isset(folio_nid(from), cdm_lost_map))
		return -EHWPOISON;
	if (atomic)
		return 1;
	rc = cdm_prepare_charge(to, from);
	if (rc)
		return rc;
	rc = cdm_device_copies(folio_nid(from), to, from);
	return rc ? cdm_device_copies(folio_nid(to), to, from) : 0;
}
