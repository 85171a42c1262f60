// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: pages with hardware errors are withdrawn from use for good.
 *
 * mm keeps the list, since it is mm that hands out pages; see mm/cdm_pages.c.
 */
#include <linux/cdm.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <trace/events/cdm.h>

#include "cdm_core.h"

/**
 * cdm_retire_page() - report that a page has an uncorrectable error
 * @cdm: the device
 * @addr: a physical address in the page
 *
 * The page is never handed out again, also after the memory was offline. A process that
 * has it mapped loses it and gets SIGBUS when it touches it; one that asked to be told
 * early (prctl(PR_MCE_KILL)) is told now. Pages that the driver itself holds stay with it
 * until it frees them. May be called at any time, also for a page that is retired already.
 * Where vm.memory_failure_recovery is 0 the kernel panics over a page that is online, as over
 * one of RAM.
 *
 * Context: Process context. Takes mem_hotplug_lock: not from ops->copy, nor from an MMU notifier.
 * Sleeps.
 * Return: 0; -EINVAL for an address outside of the device; -ENODEV when the device has
 * gone; -ENOMEM, and -EOPNOTSUPP where the kernel has no CONFIG_MEMORY_FAILURE, with nothing
 * done.
 */
int cdm_retire_page(struct cdm_device *cdm, u64 addr)
{
	int rc;

	if (!cdm_ranges_have(cdm->ranges, cdm->nr_ranges, addr)) {
		dev_err(&cdm->dev, "bad page %#llx is outside of the memory\n", addr);
		return -EINVAL;
	}
	/* Not cdm->lock: a drain that holds it may wait for this very page */
	guard(mutex)(&cdm->retire_lock);
	if (cdm->removed)
		return -ENODEV;

	rc = cdm_node_retire_page(PHYS_PFN(addr));
	if (rc)
		return rc;
	trace_cdm_retire(cdm->dev.id, cdm->config.nid, PHYS_PFN(addr));
	dev_warn_ratelimited(&cdm->dev, "page %#llx retired\n", addr & PAGE_MASK);
	return 0;
}
EXPORT_SYMBOL_GPL(cdm_retire_page);

/* What a driver says when it registers its memory, none of which is online yet */
int cdm_retire_known(const struct cdm_config *config)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < config->nr_bad_pages; i++)
		rc = cdm_node_retire_page(PHYS_PFN(config->bad_pages[i]));
	return rc;
}

/* The next bad page from *@pfn on, in the range *@i or a later one; begin with 0 and 0 */
static bool next_bad(const struct cdm_device *cdm, unsigned int *i, unsigned long *pfn)
{
	const struct cdm_range *range;
	unsigned long end;

	for (; *i < cdm->nr_ranges; (*i)++, *pfn = 0) {
		range = &cdm->ranges[*i];
		end = PHYS_PFN(range->start + range->size);
		*pfn = cdm_node_next_bad(max(*pfn, PHYS_PFN(range->start)), end);
		if (*pfn < end)
			return true;
	}
	return false;
}

unsigned long cdm_retired_pages(const struct cdm_device *cdm)
{
	unsigned long pfn = 0, nr = 0;
	unsigned int i = 0;

	for (; next_bad(cdm, &i, &pfn); pfn++)
		nr++;
	return nr;
}

/* An address a line, all lines of one length: the file may be longer than a page */
#define BAD_PAGE_LINE_LEN 19

static ssize_t bad_pages_read(struct file *file, struct kobject *kobj,
			      cdm_bin_const struct bin_attribute *attr,
			      char *buf, loff_t pos, size_t count)
{
	const struct cdm_device *cdm = to_cdm_device(kobj_to_dev(kobj));
	unsigned long pfn = 0, before = pos / BAD_PAGE_LINE_LEN;
	size_t len = 0, part, skip = pos % BAD_PAGE_LINE_LEN;
	char line[BAD_PAGE_LINE_LEN + 1];
	unsigned int i = 0;

	for (; len < count && next_bad(cdm, &i, &pfn); pfn++) {
		if (before) {
			before--;
			continue;
		}
		snprintf(line, sizeof(line), "0x%016llx\n", PFN_PHYS(pfn));
		part = min(count - len, BAD_PAGE_LINE_LEN - skip);
		memcpy(buf + len, line + skip, part);
		len += part;
		skip = 0;
	}
	return len;
}

struct bin_attribute cdm_bad_pages_attr = __BIN_ATTR_RO(bad_pages, 0);
