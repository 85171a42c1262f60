// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: which nodes are CDM, and what mm may do with them.
 *
 * A node is tagged before any of its memory is added and untagged after all of it has
 * gone, so that there is no moment at which its memory is ordinary. While it is tagged,
 * onlining memory sets N_CDM instead of N_MEMORY (mm/memory_hotplug.c), which hides it
 * from everything that places pages by walking N_MEMORY; what its zonelists hold is
 * decided in mm/cdm_zonelist.c, who may name it in mm/cdm_policy.c.
 *
 * Locking: cdm_lock serialises what the driver core asks for: tags, capabilities, fallback
 * and draining. What may be bound to is derived from these and from what hot plug says, and
 * written under mem_hotplug_lock, as the lists are. Readers take no lock: the allocator and
 * the policy code look at single bits, and a stale bit is the same as having been a moment
 * earlier. A list that was composed from an older mask is replaced
 * under zonelist_update_seq, as for any node.
 */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/cdm_node.h>
#include <linux/compaction.h>
#include <linux/error-injection.h>
#include <linux/init.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "cdm.h"
#include "internal.h"

DEFINE_STATIC_KEY_FALSE(cdm_key);

nodemask_t cdm_node_map __read_mostly;
nodemask_t cdm_memory_map __read_mostly;
nodemask_t cdm_fallback_map __read_mostly;
nodemask_t cdm_listed_map __read_mostly;

nodemask_t cdm_bindable_map __read_mostly;
nodemask_t cdm_cap_map[CDM_NR_CAPS] __read_mostly;

nodemask_t cdm_draining_map __read_mostly;

/* Nodes whose last block is going offline */
static nodemask_t cdm_leaving_map;

/* Nodes that could be bound to, at any time: policies may still name them */
static nodemask_t cdm_offered_map;

nodemask_t cdm_reserved_map;

/* The name that an id has been handed out to: until reboot, nobody else gets it */
static const char *cdm_owner[MAX_NUMNODES];
static unsigned int cdm_nr_reserve __initdata;

/* Protects the owners, and the masks above but for those derived, against cdm_node_*() */
static DEFINE_MUTEX(cdm_lock);

static int __init cdm_nodes_setup(char *str)
{
	if (!str || kstrtouint(str, 0, &cdm_nr_reserve))
		pr_warn("cdm_nodes=%s is not a number\n", str ?: "");
	return 0;
}
early_param("cdm_nodes", cdm_nodes_setup);

/* Make cdm_nodes=N further ids possible. Runs once, before nr_node_ids is known. */
void __init cdm_reserve_nodes(void)
{
	unsigned int left = cdm_nr_reserve;
	int nid;

	for (nid = 0; left && nid < MAX_NUMNODES; nid++) {
		if (node_possible(nid))
			continue;
		node_set(nid, node_possible_map);
		node_set(nid, cdm_reserved_map);
		left--;
	}
	if (left)
		pr_warn("cdm_nodes=%u: %u more than the kernel has node ids for\n",
			cdm_nr_reserve, left);
}

/* The reserved id for @owner: one that it had before and does not use now, or a new one */
static int cdm_reserved_nid(const char *owner)
{
	int nid, free = -ENOSPC;

	for_each_node_mask(nid, cdm_reserved_map) {
		if (!cdm_owner[nid] && free < 0)
			free = nid;
		else if (cdm_owner[nid] && !strcmp(cdm_owner[nid], owner) &&
			 !node_isset(nid, cdm_node_map))
			return nid;
	}
	return free;
}

/* Make @nid the property of @owner */
static int cdm_own(int nid, const char *owner)
{
	if (cdm_owner[nid])
		return strcmp(cdm_owner[nid], owner) ? -EBUSY : 0;
	cdm_owner[nid] = kstrdup(owner, GFP_KERNEL);
	return cdm_owner[nid] ? 0 : -ENOMEM;
}

/* Nobody can have a policy that names it */
static void cdm_disown(int nid)
{
	kfree(cdm_owner[nid]);
	cdm_owner[nid] = NULL;
}

static int is_block_on_node(struct memory_block *mem, void *nid)
{
	return mem->nid == *(int *)nid;
}

/**
 * cdm_node_tag() - declare a node to be coherent device memory
 * @nid: the node; it must be possible and have neither memory nor CPUs. Or %CDM_NID_AUTO
 *	for one of those that cdm_nodes=N reserved
 * @owner: a name that stays the same when the same device comes again
 * @fallback: what its FALLBACK list will hold
 * @caps: the CDM_CAP_* that the driver grants
 *
 * To be called before any memory is added to the node. Nobody can bind to it before
 * cdm_node_set_draining() says that it is not draining. From then until reboot the id is
 * @owner's: no other device inherits the policies that still name it. An owner with several
 * devices has several ids.
 *
 * Context: Process context. Takes cdm_lock and device_hotplug_lock.
 * Return: the node; -EINVAL for a node that is not possible; -EBUSY for a node that has
 * memory (also if all of it is offline), has CPUs, is tagged already or has been another
 * owner's; -ENOSPC when no reserved id is left; -ENOMEM.
 */
int cdm_node_tag(int nid, const char *owner, enum cdm_fallback fallback, unsigned long caps)
{
	int cap, rc;

	if (nid != CDM_NID_AUTO && (nid < 0 || nid >= nr_node_ids || !node_possible(nid)))
		return -EINVAL;

	guard(mutex)(&cdm_lock);

	if (nid == CDM_NID_AUTO)
		nid = cdm_reserved_nid(owner);
	if (nid < 0)
		return nid;
	rc = cdm_alloc_explicit_zonelists();
	if (rc)
		return rc;

	lock_device_hotplug();
	/* Before the node can be seen: whoever looks at the masks finds nothing but RAM */
	cdm_note_memory();
	static_branch_enable(&cdm_key);

	if (node_isset(nid, cdm_node_map) || node_state(nid, N_MEMORY) ||
	    node_state(nid, N_CPU) || for_each_memory_block(&nid, is_block_on_node)) {
		unlock_device_hotplug();
		return -EBUSY;
	}
	rc = cdm_own(nid, owner);
	if (rc) {
		unlock_device_hotplug();
		return rc;
	}

	if (fallback == CDM_FALLBACK_SYSTEM)
		node_set(nid, cdm_fallback_map);
	for_each_set_bit(cap, &caps, CDM_NR_CAPS)
		node_set(nid, cdm_cap_map[cap]);
	node_set(nid, cdm_draining_map);
	node_set(nid, cdm_node_map);
	unlock_device_hotplug();
	return nid;
}
EXPORT_SYMBOL_GPL(cdm_node_tag);
ALLOW_ERROR_INJECTION(cdm_node_tag, ERRNO);

/**
 * cdm_node_untag() - make a node ordinary again
 * @nid: a tagged node, all of whose memory has been removed
 *
 * Context: Process context. Takes cdm_lock and device_hotplug_lock.
 * Return: 0; -EBUSY while the node has memory blocks; -EINVAL if it is not tagged.
 */
int cdm_node_untag(int nid)
{
	int cap;

	guard(mutex)(&cdm_lock);

	if (!node_isset(nid, cdm_node_map))
		return -EINVAL;

	lock_device_hotplug();
	if (for_each_memory_block(&nid, is_block_on_node)) {
		unlock_device_hotplug();
		return -EBUSY;
	}
	node_clear(nid, cdm_bindable_map);
	node_clear(nid, cdm_listed_map);
	for (cap = 0; cap < CDM_NR_CAPS; cap++)
		node_clear(nid, cdm_cap_map[cap]);
	node_clear(nid, cdm_draining_map);
	node_clear(nid, cdm_lost_map);
	node_clear(nid, cdm_fallback_map);
	node_clear(nid, cdm_node_map);
	cdm_node_set_distance(nid, 0, 0);
	unlock_device_hotplug();
	if (!node_isset(nid, cdm_offered_map))
		cdm_disown(nid);
	return 0;
}
EXPORT_SYMBOL_GPL(cdm_node_untag);
ALLOW_ERROR_INJECTION(cdm_node_untag, ERRNO);

/**
 * cdm_node_set_fallback() - choose what the FALLBACK list of a CDM node holds
 * @nid: a tagged node
 * @fallback: the choice
 *
 * Context: Process context. Takes cdm_lock and mem_hotplug_lock.
 */
void cdm_node_set_fallback(int nid, enum cdm_fallback fallback)
{
	guard(mutex)(&cdm_lock);

	mem_hotplug_begin();
	if (fallback == CDM_FALLBACK_SYSTEM)
		node_set(nid, cdm_fallback_map);
	else
		node_clear(nid, cdm_fallback_map);
	build_all_zonelists(NULL);
	mem_hotplug_done();
}
EXPORT_SYMBOL_GPL(cdm_node_set_fallback);

/* Under mem_hotplug_lock, as are the changes to what it looks at */
static void cdm_update_bindable(int nid)
{
	if (node_isset(nid, cdm_listed_map) && node_state(nid, N_CDM))
		node_set(nid, cdm_bindable_map);
	else
		node_clear(nid, cdm_bindable_map);
}

static bool cdm_should_be_listed(int nid)
{
	return cdm_node_may(nid, CDM_CAP_USER_BIND) && !node_isset(nid, cdm_draining_map) &&
	       !node_isset(nid, cdm_leaving_map);
}

/*
 * Put the node into the explicit lists or take it out; then all of them are composed anew.
 * Under mem_hotplug_lock.
 */
static void cdm_relist(int nid)
{
	if (cdm_should_be_listed(nid))
		node_set(nid, cdm_listed_map);
	else
		node_clear(nid, cdm_listed_map);
	cdm_update_bindable(nid);
	build_all_zonelists(NULL);
}

/**
 * cdm_node_revoke() - take capabilities away from a node
 * @nid: a tagged node
 * @caps: CDM_CAP_* that its memory takes no part in from here on
 *
 * Pages stay where they are. Without CDM_CAP_USER_BIND, later faults under a policy that
 * names only this node follow the default policy.
 *
 * Context: Process context. Takes cdm_lock and mem_hotplug_lock.
 */
void cdm_node_revoke(int nid, unsigned long caps)
{
	int cap;

	guard(mutex)(&cdm_lock);

	mem_hotplug_begin();
	for_each_set_bit(cap, &caps, CDM_NR_CAPS)
		node_clear(nid, cdm_cap_map[cap]);
	if (caps & CDM_CAP_RECLAIM)
		kswapd_stop(nid);
	if (caps & CDM_CAP_COMPACTION)
		kcompactd_stop(nid);
	cdm_relist(nid);
	mem_hotplug_done();
}
EXPORT_SYMBOL_GPL(cdm_node_revoke);

/*
 * Before a block is isolated, whoever asks for it: if it is the last of a node, nobody can
 * bind to the node any more, nor again before that has ended. Under device_hotplug_lock.
 * Returns the node if so.
 */
int __cdm_begin_offline(int nid)
{
	if (node_present_pages(nid) > PHYS_PFN(memory_block_size_bytes()))
		return NUMA_NO_NODE;

	mem_hotplug_begin();
	node_set(nid, cdm_leaving_map);
	/* A drain of the whole device has taken it out already, and may be ending just now */
	if (node_isset(nid, cdm_listed_map))
		cdm_relist(nid);
	mem_hotplug_done();
	return nid;
}

/* It has gone offline, or could not: with a block online, the node can be bound to */
void __cdm_end_offline(int nid)
{
	if (nid == NUMA_NO_NODE)
		return;

	mem_hotplug_begin();
	node_clear(nid, cdm_leaving_map);
	if (cdm_should_be_listed(nid))
		cdm_relist(nid);
	mem_hotplug_done();
}

/* From the decision that the machine may sleep until it is awake nothing comes online */
static bool cdm_is_suspending;

/* Under mem_hotplug_lock. Where cpusets are told before others are, they have it done. */
void cdm_note_memory(void)
{
	nodes_or(cdm_memory_map, node_states[N_MEMORY], node_states[N_CDM]);
}

static bool is_about_pages(unsigned long action)
{
	return action == MEM_GOING_ONLINE || action == MEM_ONLINE || action == MEM_CANCEL_ONLINE ||
	       action == MEM_GOING_OFFLINE || action == MEM_OFFLINE || action == MEM_CANCEL_OFFLINE;
}

/*
 * Keep kernel memory off CDM nodes, and policies off a node without memory: a policy may
 * bind to the node from MEM_ONLINE of its first block, when its pages can be had, until
 * __cdm_begin_offline() of its last.
 */
static int cdm_memory_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct memory_notify *arg = data;
	struct page *page = pfn_to_page(arg->start_pfn);
	int nid;

	/* Before and after these, on some kernels, the block's struct pages say nothing */
	if (!is_about_pages(action))
		return NOTIFY_OK;
	if (action == MEM_ONLINE || action == MEM_OFFLINE)
		cdm_note_memory();
	nid = page_to_nid(page);
	if (!node_is_cdm(nid))
		return NOTIFY_OK;

	switch (action) {
	case MEM_GOING_ONLINE:
		if (cdm_is_adding(nid))
			return NOTIFY_BAD;
		if (READ_ONCE(cdm_is_suspending))
			return notifier_from_errno(-EBUSY);
		if (zone_idx(page_zone(page)) != ZONE_MOVABLE) {
			pr_info_ratelimited("node %d: zone %s refused, device memory is online_movable only\n",
					    nid, page_zone(page)->name);
			return NOTIFY_BAD;
		}
		cdm_add_sleeper(nid);
		break;
	case MEM_CANCEL_ONLINE:
		if (!node_state(nid, N_CDM))
			cdm_remove_sleeper(nid);
		break;
	case MEM_ONLINE:
		cdm_update_bindable(nid);
		break;
	case MEM_GOING_OFFLINE:
		cdm_close_pcp(nid);
		if (cdm_bad_pages_are_used(arg->start_pfn, arg->nr_pages))
			return notifier_from_errno(-EBUSY);
		break;
	case MEM_CANCEL_OFFLINE:
		cdm_open_pcp(nid);
		break;
	case MEM_OFFLINE:
		cdm_update_bindable(nid);
		cdm_open_pcp(nid);
		cdm_remember_bad_pages(arg->start_pfn, arg->nr_pages);
		if (!node_state(nid, N_CDM))
			cdm_remove_sleeper(nid);
		break;
	}
	return NOTIFY_OK;
}

/*
 * A device that loses its power loses its memory, and mm has pages there. A hibernation
 * image would be of RAM only. Offline, there is nothing to lose.
 */
static int cdm_pm_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	bool begins = action == PM_HIBERNATION_PREPARE || action == PM_SUSPEND_PREPARE;

	WRITE_ONCE(cdm_is_suspending, begins);
	if (!begins)
		return NOTIFY_DONE;
	/* Who did not see it has ended after this, and is seen */
	get_online_mems();
	put_online_mems();
	if (nodes_empty(node_states[N_CDM]))
		return NOTIFY_DONE;
	WRITE_ONCE(cdm_is_suspending, false);
	pr_info("no %s while device memory is online on nodes %*pbl\n",
		action == PM_SUSPEND_PREPARE ? "suspend" : "hibernation",
		nodemask_pr_args(&node_states[N_CDM]));
	return notifier_from_errno(-EBUSY);
}

static int __init cdm_init(void)
{
	pm_notifier(cdm_pm_notify, 0);
	/* Ahead of cpusets, which look at the masks that this one keeps */
	return hotplug_memory_notifier(cdm_memory_notify, CPUSET_CALLBACK_PRI + 1);
}
core_initcall(cdm_init);

/**
 * cdm_node_set_draining() - take a node out of what may be bound, or back in
 * @nid: a tagged node
 * @draining: whether its memory is about to leave
 *
 * From here on a fault under a policy that names only this node follows the default
 * policy. It has to come before the blocks are isolated, or such faults find no memory
 * and the OOM killer takes the tasks.
 *
 * Context: Process context. Takes cdm_lock and mem_hotplug_lock.
 */
void cdm_node_set_draining(int nid, bool draining)
{
	guard(mutex)(&cdm_lock);

	mem_hotplug_begin();
	if (draining) {
		node_set(nid, cdm_draining_map);
	} else {
		node_clear(nid, cdm_draining_map);
		node_set(nid, cdm_offered_map);
	}
	cdm_relist(nid);
	mem_hotplug_done();
}
EXPORT_SYMBOL_GPL(cdm_node_set_draining);

unsigned long __cdm_nr_free_pages(void)
{
	unsigned long pages = 0;
	int nid;

	for_each_node_state(nid, N_CDM)
		pages += sum_zone_node_page_state(nid, NR_FREE_PAGES);
	return pages;
}

/* Always both lines, so that a program need not know whether there is a device */
void cdm_report_meminfo(struct seq_file *m)
{
	unsigned long managed = 0;
	int nid;

	for_each_node_state(nid, N_CDM)
		managed += zone_managed_pages(&NODE_DATA(nid)->node_zones[ZONE_MOVABLE]);
	seq_printf(m, "CdmTotal:       %8lu kB\n", managed << (PAGE_SHIFT - 10));
	seq_printf(m, "CdmFree:        %8lu kB\n", cdm_nr_free_pages() << (PAGE_SHIFT - 10));
}
