// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: content is cleared, and copied, by the device where it can.
 *
 * There is no moment at which a page is freed that anybody is told of. So a page is cleared
 * when it is allocated, for whoever must not see what it holds.
 */
#include <linux/cdm.h>
#include <linux/error-injection.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "cdm_core.h"

/**
 * cdm_scrub() - clear pages of a device that scrubs
 * @cdm: the device
 * @page: the first page
 * @nr_pages: how many
 *
 * Context: Process context, may sleep.
 */
void cdm_scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages)
{
	if (!cdm_ops_scrub(cdm, page, nr_pages))
		return;
	for (; nr_pages; nr_pages--, page++) {
		clear_highpage(page);
		cond_resched();
	}
}

/**
 * cdm_copy() - copy pages, of which one side is a device's
 * @cdm: the device
 * @to: the first page to write
 * @from: the first page to read
 * @nr_pages: how many
 *
 * Context: Process context, may sleep.
 * Return: 0; -EHWPOISON when the CPU met an error in the memory.
 */
noinline int cdm_copy(struct cdm_device *cdm, struct page *to, struct page *from,
		      unsigned long nr_pages)
{
	if (!cdm_ops_copy(cdm, to, from, nr_pages))
		return 0;
	for (; nr_pages; nr_pages--, to++, from++) {
		if (copy_mc_highpage(to, from))
			return -EHWPOISON;
		cond_resched();
	}
	return 0;
}
ALLOW_ERROR_INJECTION(cdm_copy, ERRNO);
