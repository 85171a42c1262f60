// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory on an unmodified kernel: which nodes are CDM, and what keeps the
 * kernel off them.
 *
 * A node whose memory goes online enters N_MEMORY, and with that every FALLBACK list, the
 * cpusets' defaults, the memory tiers and the hugetlb pools. The kernel decides it by a field
 * of what it hands to the memory notifiers before: status_change_nid, the node that is about
 * to get its first memory. Here that says that there is none. So the node never is in
 * N_MEMORY; the lists that are composed afterwards leave it out, but for its own NOFALLBACK
 * list, which is what __GFP_THISNODE takes; and nobody else's notifier sees a new node. There
 * is no moment at which anybody could get a page by accident.
 *
 * What is left for stock_lists.c: kernels before 6.7 put a node's own zones into its own FALLBACK
 * list, N_MEMORY or not. They are taken out again when a block has come online, which is when
 * lists change; until then the first block seems to have no free pages.
 *
 * Locking: stock_lock protects the table. What the notifier reads of it changes under
 * mem_hotplug_lock, or when the node has no blocks, so that there is nothing to notify of.
 */

#include <linux/cdm.h>
#include <linux/err.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/xarray.h>

#include "cdm_core.h"
#include "mm_stock.h"

/* Before all others: cpusets', slab's, KSM's */
#define STOCK_CALLBACK_PRI	1000

static DEFINE_MUTEX(stock_lock);

/* struct stock_node by nid; entries stay until the module goes */
DEFINE_XARRAY(stock_nodes);

struct stock_node *stock_node(int nid)
{
	return xa_load(&stock_nodes, nid);
}

static struct stock_node *make_node(int nid)
{
	struct stock_node *node = kzalloc(sizeof(*node), GFP_KERNEL);

	if (!node)
		return NULL;
	node->nid = nid;
	if (xa_err(xa_store(&stock_nodes, nid, node, GFP_KERNEL))) {
		kfree(node);
		return NULL;
	}
	return node;
}

/* Make the node the property of @owner */
static int own(struct stock_node *node, const char *owner)
{
	if (node->owner)
		return strcmp(node->owner, owner) ? -EBUSY : 0;
	node->owner = kstrdup(owner, GFP_KERNEL);
	return node->owner ? 0 : -ENOMEM;
}

/* stock_lock is held */
static int tag(int nid, const char *owner)
{
	struct stock_node *node = stock_node(nid) ?: make_node(nid);
	int rc;

	if (!node)
		return -ENOMEM;
	if (node->tagged || node_state(nid, N_MEMORY) || node_state(nid, N_CPU))
		return -EBUSY;
	rc = own(node, owner);
	if (!rc)
		WRITE_ONCE(node->tagged, true);
	return rc;
}

int cdm_node_tag(int nid, const char *owner, enum cdm_fallback fallback, unsigned long caps)
{
	int rc;

	/* Which ids nobody needs, only the boot of a patched kernel can say */
	if (nid == CDM_NID_AUTO)
		return -ENOSPC;
	if (nid < 0 || nid >= nr_node_ids || !node_possible(nid))
		return -EINVAL;
	if (fallback != CDM_FALLBACK_NONE || caps)
		return -EOPNOTSUPP;

	mutex_lock(&stock_lock);
	rc = tag(nid, owner);
	mutex_unlock(&stock_lock);
	return rc ?: nid;
}

int cdm_node_untag(int nid)
{
	struct stock_node *node = stock_node(nid);

	if (!node || !node->tagged)
		return -EINVAL;
	if (node->ranges)
		return -EBUSY;
	mutex_lock(&stock_lock);
	WRITE_ONCE(node->tagged, false);
	if (!node->offered) {
		kfree(node->owner);
		node->owner = NULL;
	}
	mutex_unlock(&stock_lock);
	return 0;
}

void stock_set_ranges(int nid, const struct cdm_range *ranges, unsigned int nr)
{
	struct stock_node *node = stock_node(nid);

	node->nr_ranges = nr;
	/* Pairs with may_go_online() */
	smp_store_release(&node->ranges, ranges);
}

/* Whose ranges these are: the pages of offline memory do not know it */
int stock_nid_of(const struct cdm_range *ranges)
{
	struct stock_node *node;
	unsigned long nid;

	xa_for_each(&stock_nodes, nid, node)
		if (node->ranges == ranges)
			return nid;
	return NUMA_NO_NODE;
}

void stock_set_leaving(int nid, bool leaving)
{
	WRITE_ONCE(stock_node(nid)->leaving, leaving);
}

void cdm_node_set_draining(int nid, bool draining)
{
	struct stock_node *node = stock_node(nid);

	WRITE_ONCE(node->draining, draining);
	if (!draining)
		node->offered = true;
}

/* There are no lists to choose from, nor capabilities that were granted */
void cdm_node_set_fallback(int nid, enum cdm_fallback fallback) { }
void cdm_node_revoke(int nid, unsigned long caps) { }
void cdm_node_set_distance(int nid, int near, unsigned int distance) { }

/* Only to ZONE_MOVABLE, only what the core has added, and not when it is about to go */
static bool may_go_online(const struct stock_node *node, const struct memory_notify *arg)
{
	/* Pairs with stock_set_ranges(): then nr_ranges is theirs */
	const struct cdm_range *ranges = smp_load_acquire(&node->ranges);
	u64 start = PFN_PHYS(arg->start_pfn);

	if (!ranges || !cdm_ranges_have(ranges, node->nr_ranges, start)) {
		pr_warn_ratelimited("memory at %#llx was not added by node %d's device: not onlined\n",
				    start, node->nid);
		return false;
	}
	return !READ_ONCE(node->leaving) &&
	       page_zonenum(pfn_to_page(arg->start_pfn)) == ZONE_MOVABLE;
}

/*
 * The kernel composes lists for the first block of a node, and lets go of its pages before it says
 * that they are online. Where the node is in its own list, the allocator finds no free page to be
 * above a watermark meanwhile. A few more than there are: what CPUs have counted for themselves is
 * not seen there.
 */
static void hide_pages(struct stock_node *node, const struct memory_notify *arg)
{
	struct zone *zone = page_zone(pfn_to_page(arg->start_pfn));

	if (!CDM_LISTS_HAVE_OWN_ZONES || populated_zone(zone))
		return;
	node->hidden_pages = arg->nr_pages + (long)S8_MAX * nr_cpu_ids;
	mod_zone_page_state(zone, NR_FREE_PAGES, -node->hidden_pages);
}

static void show_pages(struct stock_node *node, const struct memory_notify *arg)
{
	mod_zone_page_state(page_zone(pfn_to_page(arg->start_pfn)), NR_FREE_PAGES,
			    node->hidden_pages);
	node->hidden_pages = 0;
}

/* Does somebody beside memory_failure() still refer to one? */
static bool stock_bad_pages_are_used(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end = pfn + nr_pages;
	struct page *page;

	for (; (pfn = cdm_node_next_bad(pfn, end)) < end; pfn++) {
		page = pfn_to_page(pfn);
		/* In a larger one the other pages keep the block */
		if (PageHWPoison(page) && !PageCompound(page) && page_count(page) > 1)
			return true;
	}
	return false;
}

/* Under mem_hotplug_lock */
static int stock_memory_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct memory_notify *arg = data;
	struct stock_node *node;

	switch (action) {
	case MEM_GOING_ONLINE:
	case MEM_CANCEL_ONLINE:
	case MEM_ONLINE:
	case MEM_GOING_OFFLINE:
	case MEM_CANCEL_OFFLINE:
	case MEM_OFFLINE:
		break;
	default:
		return NOTIFY_DONE;
	}
	node = stock_node(page_to_nid(pfn_to_page(arg->start_pfn)));
	if (!node || !READ_ONCE(node->tagged)) {
		/* Whoever's it is: all lists were composed anew */
		if (action == MEM_ONLINE || action == MEM_OFFLINE)
			stock_filter_lists();
		return NOTIFY_DONE;
	}

	switch (action) {
	case MEM_GOING_ONLINE:
		if (!may_go_online(node, arg))
			return notifier_from_errno(-EPERM);
		/* See above: the node does not get its first memory */
		arg->status_change_nid = NUMA_NO_NODE;
		hide_pages(node, arg);
		break;
	case MEM_CANCEL_ONLINE:
		show_pages(node, arg);
		break;
	case MEM_ONLINE:
		/* It is not system RAM */
		totalram_pages_add(-(long)arg->nr_pages);
		WRITE_ONCE(node->online_pages, node->online_pages + arg->nr_pages);
		stock_filter_lists();
		show_pages(node, arg);
		break;
	case MEM_GOING_OFFLINE:
		WRITE_ONCE(node->offlining, true);
		/* Their struct pages go with the memory, and offlining passes bad ones by */
		if (stock_bad_pages_are_used(arg->start_pfn, arg->nr_pages))
			return notifier_from_errno(-EBUSY);
		break;
	case MEM_CANCEL_OFFLINE:
		WRITE_ONCE(node->offlining, false);
		break;
	case MEM_OFFLINE:
		WRITE_ONCE(node->offlining, false);
		stock_remember_bad_pages(arg->start_pfn, arg->nr_pages);
		/* The kernel takes off what never was in it */
		totalram_pages_add(arg->nr_pages);
		WRITE_ONCE(node->online_pages, node->online_pages - arg->nr_pages);
		stock_filter_lists();
		break;
	}
	return NOTIFY_OK;
}

static struct notifier_block stock_nb = {
	.notifier_call = stock_memory_notify,
	.priority = STOCK_CALLBACK_PRI,
};

/* The device's memory would not keep what it holds, and no image has room for it */
static int stock_pm_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct stock_node *node;
	unsigned long nid;

	if (action != PM_HIBERNATION_PREPARE && action != PM_SUSPEND_PREPARE)
		return NOTIFY_DONE;
	xa_for_each(&stock_nodes, nid, node) {
		if (!READ_ONCE(node->online_pages))
			continue;
		pr_warn("node %lu is online: offline its device before the machine sleeps\n", nid);
		return notifier_from_errno(-EBUSY);
	}
	return NOTIFY_DONE;
}

static struct notifier_block stock_pm_nb = {
	.notifier_call = stock_pm_notify,
};

static void free_nodes(void)
{
	struct stock_node *node;
	unsigned long nid;

	xa_for_each(&stock_nodes, nid, node) {
		kfree(node->owner);
		kfree(node);
	}
	xa_destroy(&stock_nodes);
}

int __init cdm_mm_init(void)
{
	int rc = stock_blocks_init();

	if (rc)
		return rc;
	rc = register_memory_notifier(&stock_nb);
	if (rc)
		goto exit_blocks;
	rc = register_pm_notifier(&stock_pm_nb);
	if (rc)
		goto unregister_memory;
	stock_lists_init();
	pr_info("no CONFIG_CDM: isolation without mempolicy, cpusets and capabilities\n");
	return 0;

unregister_memory:
	unregister_memory_notifier(&stock_nb);
exit_blocks:
	stock_blocks_exit();
	return rc;
}

/* No device is left, or the module could not go */
void cdm_mm_exit(void)
{
	stock_lists_exit();
	unregister_pm_notifier(&stock_pm_nb);
	unregister_memory_notifier(&stock_nb);
	stock_blocks_exit();
	stock_pages_exit();
	free_nodes();
}
