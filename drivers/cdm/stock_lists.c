// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory on an unmodified kernel: what the zonelists hold, and what must not
 * be in them.
 *
 * Locking: lists are written under mem_hotplug_lock, by the kernel and here; who allocates
 * walks them without a lock.
 */
#include <linux/debugfs.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "mm_stock.h"

static struct zoneref *list_of(int nid, int type)
{
	return NODE_DATA(nid)->node_zonelists[type]._zonerefs;
}

/*
 * Who walks the list now looks at the index first, and passes what is too high for its caller. At
 * no moment is it lower than that of the zone beside it.
 */
static void replace_entry(struct zoneref *to, const struct zoneref *from)
{
	WRITE_ONCE(to->zone_idx, max(to->zone_idx, from->zone_idx));
	/* Seen before the zone: the higher of the two */
	smp_wmb();
	WRITE_ONCE(to->zone, from->zone);
	/* Seen before the index that goes with it */
	smp_wmb();
	WRITE_ONCE(to->zone_idx, from->zone_idx);
}

/*
 * Take the node's zones out of its own FALLBACK list; who walks it now may see one twice, or
 * miss one.
 */
static void filter_list(const struct stock_node *node)
{
	struct zoneref *to = list_of(node->nid, ZONELIST_FALLBACK), *from;

	for (from = to; from->zone; from++) {
		if (zonelist_node_idx(from) == node->nid)
			continue;
		if (from != to)
			replace_entry(to, from);
		to++;
	}
	if (from != to)
		WRITE_ONCE(to->zone, NULL);
}

/* After the kernel has composed all lists anew, whatever for. Under mem_hotplug_lock. */
void stock_filter_lists(void)
{
	struct stock_node *node;
	unsigned long nid;

	xa_for_each(&stock_nodes, nid, node)
		if (READ_ONCE(node->tagged) && node_online(nid))
			filter_list(node);
}

static bool list_has(int of, int nid)
{
	struct zoneref *ref;

	for (ref = list_of(of, ZONELIST_FALLBACK); ref->zone; ref++)
		if (zonelist_node_idx(ref) == nid)
			return true;
	return false;
}

/* Can nobody get a page of the node but by __GFP_THISNODE? */
bool stock_node_is_isolated(int nid)
{
	int other;

	if (node_state(nid, N_MEMORY))
		return false;
	for_each_online_node(other)
		if (list_has(other, nid))
			return false;
	return true;
}

static void show_list(struct seq_file *m, const char *name, int nid, int type)
{
	const struct zoneref *first = list_of(nid, type), *ref;

	seq_printf(m, "        %s\n", name);
	for (ref = first; ref->zone; ref++)
		seq_printf(m, "                (%td) (node %d) (%s)\n", ref - first,
			   zone_to_nid(ref->zone), ref->zone->name);
}

/* As a kernel with CONFIG_CDM shows them; there are no EXPLICIT ones */
static int zonelists_show(struct seq_file *m, void *unused)
{
	const struct stock_node *node;
	int nid;

	for_each_online_node(nid) {
		node = stock_node(nid);
		seq_printf(m, "[NODE (%d)]\t\t\t\t\t\t%s\n", nid,
			   node && READ_ONCE(node->tagged) ? "CDM" : "RAM");
		show_list(m, "ZONELIST_FALLBACK", nid, ZONELIST_FALLBACK);
		show_list(m, "ZONELIST_NOFALLBACK", nid, ZONELIST_NOFALLBACK);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(zonelists);

static struct dentry *stock_debugfs;

void __init stock_lists_init(void)
{
	stock_debugfs = debugfs_create_dir("cdm", NULL);
	debugfs_create_file("zonelists", 0400, stock_debugfs, NULL, &zonelists_fops);
}

void stock_lists_exit(void)
{
	debugfs_remove(stock_debugfs);
}
