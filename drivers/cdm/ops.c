// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: the driver is asked to do something.
 *
 * References to a device outlive its driver, and so may a call that began while it was there.
 * So the driver's functions run under SRCU, and who ends the registration waits for them.
 */
#include <linux/cdm.h>
#include <linux/srcu.h>

#include "cdm_core.h"

/* Of all devices: their ends are few */
DEFINE_STATIC_SRCU(cdm_driver_srcu);

static const struct cdm_ops no_ops;

/* What the driver does, until leave(); nothing when there is no driver any more */
static const struct cdm_ops *enter(const struct cdm_device *cdm, int *idx)
	__acquires(&cdm_driver_srcu)
{
	*idx = srcu_read_lock(&cdm_driver_srcu);
	/* Pairs with WRITE_ONCE() in cdm_ops_end() */
	return READ_ONCE(cdm->config.ops) ?: &no_ops;
}

static void leave(int idx)
	__releases(&cdm_driver_srcu)
{
	srcu_read_unlock(&cdm_driver_srcu, idx);
}

/* How many pages it gave back */
unsigned long cdm_ops_evict(struct cdm_device *cdm, unsigned long nr_pages)
{
	unsigned long evicted = 0;
	int idx;
	const struct cdm_ops *ops = enter(cdm, &idx);

	if (ops->evict)
		evicted = ops->evict(cdm, nr_pages, cdm->config.ops_data);
	leave(idx);
	return evicted;
}

/* 0, or an error: then the CPU has to do it */
int cdm_ops_scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages)
{
	int idx, rc = -EOPNOTSUPP;
	const struct cdm_ops *ops = enter(cdm, &idx);

	if (ops->scrub)
		rc = ops->scrub(cdm, page, nr_pages, cdm->config.ops_data);
	leave(idx);
	return rc;
}

int cdm_ops_copy(struct cdm_device *cdm, struct page *to, struct page *from,
		 unsigned long nr_pages)
{
	int idx, rc = -EOPNOTSUPP;
	const struct cdm_ops *ops = enter(cdm, &idx);

	if (ops->copy)
		rc = ops->copy(cdm, to, from, nr_pages, cdm->config.ops_data);
	leave(idx);
	return rc;
}

/* Under cdm->lock, as cdm_ops_end() is */
bool cdm_ops_can_drain(const struct cdm_device *cdm)
{
	return cdm->config.ops && cdm->config.ops->drain;
}

void cdm_ops_drain(struct cdm_device *cdm)
{
	if (cdm_ops_can_drain(cdm))
		cdm->config.ops->drain(cdm, cdm->config.ops_data);
}

/* On return none of the functions runs, or ever will */
void cdm_ops_end(struct cdm_device *cdm)
{
	WRITE_ONCE(cdm->config.ops, NULL);
	synchronize_srcu_expedited(&cdm_driver_srcu);
}
