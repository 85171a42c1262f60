// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: what the zonelists hold.
 *
 *   FALLBACK(RAM)     RAM nodes; built by mm/page_alloc.c, which sees no CDM node
 *   FALLBACK(CDM)     RAM nodes (CDM_FALLBACK_NONE), or own zones first (_SYSTEM)
 *   NOFALLBACK(CDM)   own zones
 *   EXPLICIT(any)     RAM nodes and the CDM nodes that may be bound to, by distance
 *
 * For the five-node sample, distances 0 to CDM 40, 1 to CDM 60, 0 to 1 20, CDM to CDM 80:
 *
 *   node   FALLBACK none   FALLBACK system   NOFALLBACK   EXPLICIT
 *   0 RAM  0 1             -                 0            0 1 2 3 4
 *   1 RAM  1 0             -                 1            1 0 2 3 4
 *   2 CDM  0 1             2 0 1             2            2 0 1 3 4
 *   3 CDM  0 1             3 0 1             3            3 0 1 4 2
 *   4 CDM  0 1             4 0 1             4            4 0 1 2 3
 *
 * All lists are written under zonelist_update_seq, in place, by __build_all_zonelists().
 * Readers walk them without a lock; one that finds nothing looks at the sequence and
 * starts again. Explicit lists are allocated once and never freed.
 */
#define pr_fmt(fmt) "cdm: " fmt

#include <linux/cdm_dmem.h>
#include <linux/cdm_node.h>
#include <linux/debugfs.h>
#include <linux/error-injection.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/topology.h>

#include <kunit/visibility.h>

#include "cdm.h"

/* Indexed by node; published once, with all lists in it, before the first tag */
static struct zonelist **cdm_explicit_lists;

/* RAM and the CDM nodes that were granted to reclaim; in no order that matters */
static struct zonelist *cdm_reclaim_list;

/* Scratch space of the list builders, nr_node_ids entries; under zonelist_update_seq */
static int *cdm_order;

/* What drivers have said: the node that one is near, and how far that is, in its low byte */
static int cdm_ways[MAX_NUMNODES] __read_mostly;

/**
 * cdm_node_set_distance() - say how far a node is from another, instead of the firmware
 * @nid: a tagged node without memory
 * @near: the node of system RAM that it is nearest to
 * @distance: to that node, above LOCAL_DISTANCE and below 255; 0 for the firmware's word
 *
 * The way to every other node leads through @near.
 *
 * Context: Any.
 */
void cdm_node_set_distance(int nid, int near, unsigned int distance)
{
	WRITE_ONCE(cdm_ways[nid], distance ? near << 8 | distance : 0);
}
EXPORT_SYMBOL_GPL(cdm_node_set_distance);

/* From a node to the one near it, and how far that is: itself, and 0, where no driver said */
static int cdm_way(int nid, int *near)
{
	int way = READ_ONCE(cdm_ways[nid]);

	*near = way ? way >> 8 : nid;
	return way ? (way & 0xff) - LOCAL_DISTANCE : 0;
}

/*
 * Of an id that cdm_nodes= has reserved firmware says nothing, and some architectures' tables have
 * no default for what firmware says nothing of.
 */
int __cdm_distance(int from, int to)
{
	int from_near, to_near, way;

	if (from < 0 || from >= MAX_NUMNODES || to < 0 || to >= MAX_NUMNODES)
		return 0;
	if (from == to)
		return node_isset(from, cdm_reserved_map) ? LOCAL_DISTANCE : 0;
	way = cdm_way(from, &from_near) + cdm_way(to, &to_near);
	/* Comes here again with no way to go: what a node is near to is system RAM */
	if (way)
		return min(way + node_distance(from_near, to_near), 255 - 1);
	return node_isset(from, cdm_reserved_map) || node_isset(to, cdm_reserved_map) ?
	       REMOTE_DISTANCE : 0;
}

struct cdm_ordering {
	int local;
	const nodemask_t *devices;
	int (*distance)(int from, int to);
};

/* Nearest first; among equals the RAM, then the next node upwards, as page_alloc.c has it */
static int cdm_compare_nodes(const void *a, const void *b, const void *priv)
{
	const struct cdm_ordering *by = priv;
	int x = *(const int *)a, y = *(const int *)b;
	int farther = by->distance(by->local, x) - by->distance(by->local, y);
	int rather_ram = node_isset(x, *by->devices) - node_isset(y, *by->devices);
	int upwards = (x < by->local) - (y < by->local);

	return farther ?: rather_ram ?: upwards ?: x - y;
}

/**
 * cdm_order_nodes() - put nodes into the order of a zonelist
 * @local: the node that the list belongs to
 * @nodes: the nodes to order
 * @devices: those among them that come after RAM of the same distance
 * @distance: the distance between two nodes
 * @order: where they go, nearest first; room for all of @nodes
 *
 * Return: the number of nodes.
 */
int cdm_order_nodes(int local, const nodemask_t *nodes, const nodemask_t *devices,
		    int (*distance)(int, int), int *order)
{
	struct cdm_ordering by = {
		.local = local,
		.devices = devices,
		.distance = distance,
	};
	int nid, nr = 0;

	for_each_node_mask(nid, *nodes)
		order[nr++] = nid;
	sort_r(order, nr, sizeof(*order), cdm_compare_nodes, NULL, &by);
	return nr;
}
EXPORT_SYMBOL_IF_KUNIT(cdm_order_nodes);

static int distance_of(int from, int to)
{
	return node_distance(from, to);
}

/* Append the zones of @nid that have pages, highest first. Returns where to go on. */
static struct zoneref *cdm_add_node(struct zoneref *zoneref, int nid)
{
	struct zone *zones = NODE_DATA(nid)->node_zones;
	int idx;

	for (idx = MAX_NR_ZONES - 1; idx >= 0; idx--) {
		if (!managed_zone(&zones[idx]))
			continue;
		zoneref->zone = &zones[idx];
		zoneref->zone_idx = idx;
		zoneref++;
	}
	return zoneref;
}

static void cdm_end_list(struct zoneref *zoneref)
{
	zoneref->zone = NULL;
	zoneref->zone_idx = 0;
}

/* Append the zones of @nodes in the order that @local sees them in */
static struct zoneref *cdm_add_nodes(struct zoneref *zoneref, int local, const nodemask_t *nodes)
{
	int i, nr = cdm_order_nodes(local, nodes, &cdm_node_map, distance_of, cdm_order);

	for (i = 0; i < nr; i++)
		zoneref = cdm_add_node(zoneref, cdm_order[i]);
	return zoneref;
}

bool __cdm_build_zonelists(pg_data_t *pgdat)
{
	struct zoneref *zoneref;
	int nid = pgdat->node_id;

	zoneref = pgdat->node_zonelists[ZONELIST_FALLBACK]._zonerefs;
	/* While it is filled or drained nobody is to come in, by a hint either */
	if (node_isset(nid, cdm_fallback_map) && !node_isset(nid, cdm_draining_map))
		zoneref = cdm_add_node(zoneref, nid);
	zoneref = cdm_add_nodes(zoneref, nid, &node_states[N_MEMORY]);
	cdm_end_list(zoneref);

	zoneref = pgdat->node_zonelists[ZONELIST_NOFALLBACK]._zonerefs;
	cdm_end_list(cdm_add_node(zoneref, nid));
	return true;
}

void __cdm_build_explicit_zonelists(void)
{
	nodemask_t nodes;
	int nid;

	nodes_or(nodes, node_states[N_MEMORY], cdm_listed_map);
	for_each_node(nid)
		cdm_end_list(cdm_add_nodes(cdm_explicit_lists[nid]->_zonerefs, nid, &nodes));

	nodes_and(nodes, node_states[N_CDM], cdm_cap_map[ilog2(CDM_CAP_RECLAIM)]);
	nodes_or(nodes, nodes, node_states[N_MEMORY]);
	cdm_end_list(cdm_add_nodes(cdm_reclaim_list->_zonerefs, first_node(nodes), &nodes));
}

/*
 * A list has room for every zone that can exist; struct zonelist has it for MAX_NUMNODES,
 * which on distribution kernels is many times more.
 */
static struct zonelist *cdm_alloc_list(void)
{
	return kvzalloc(array3_size(nr_node_ids, MAX_NR_ZONES, sizeof(struct zoneref)) +
			sizeof(struct zoneref), GFP_KERNEL);
}

/* Before the first tag */
int cdm_alloc_explicit_zonelists(void)
{
	struct zonelist **lists;
	int nid;

	if (cdm_explicit_lists)
		return 0;

	lists = kvcalloc(nr_node_ids, sizeof(*lists), GFP_KERNEL);
	if (!cdm_order)
		cdm_order = kvcalloc(nr_node_ids, sizeof(*cdm_order), GFP_KERNEL);
	if (!cdm_reclaim_list)
		cdm_reclaim_list = cdm_alloc_list();
	if (!lists || !cdm_order || !cdm_reclaim_list)
		goto fail;

	for_each_node(nid) {
		lists[nid] = cdm_alloc_list();
		if (!lists[nid])
			goto fail;
	}

	/* Pairs with READ_ONCE() in __cdm_zonelist() */
	smp_store_release(&cdm_explicit_lists, lists);
	return 0;
fail:
	if (lists)
		for_each_node(nid)
			kvfree(lists[nid]);
	kvfree(lists);
	return -ENOMEM;
}
ALLOW_ERROR_INJECTION(cdm_alloc_explicit_zonelists, ERRNO);

/* THISNODE always wins: those who ask for one node get that node or nothing */
struct zonelist *__cdm_zonelist(int nid, gfp_t gfp, const nodemask_t *nodemask)
{
	if ((gfp & __GFP_THISNODE) || !cdm_nodes_bindable(nodemask))
		return node_zonelist(nid, gfp);
	/* Its cgroup may not have more of them, and RAM will do */
	if (cdm_was_refused() && !nodes_subset(*nodemask, cdm_node_map))
		return node_zonelist(cdm_ram_nid(nid), gfp);
	return READ_ONCE(cdm_explicit_lists)[nid];
}

/*
 * FALLBACK has no CDM node; where one was granted to reclaim, cgroups' pages are there, too,
 * whether or not anybody may bind to it by now.
 */
struct zonelist *__cdm_reclaim_zonelist(int nid, gfp_t gfp)
{
	if (!nodes_intersects(cdm_cap_map[ilog2(CDM_CAP_RECLAIM)], node_states[N_CDM]))
		return node_zonelist(nid, gfp);
	/* It is built a moment after the first device counts among the nodes */
	return cdm_reclaim_list->_zonerefs->zone ? cdm_reclaim_list : node_zonelist(nid, gfp);
}

/*
 * Which node an explicit list belongs to is found by looking, not stored: the slow path
 * drops a nodemask only for OOM victims, for reserves, and when a cpuset changes.
 */
struct zonelist *__cdm_system_zonelist(struct zonelist *zonelist)
{
	int nid;

	for_each_node(nid)
		if (READ_ONCE(cdm_explicit_lists)[nid] == zonelist)
			return &NODE_DATA(nid)->node_zonelists[ZONELIST_FALLBACK];
	return zonelist;
}

static void cdm_show_list(struct seq_file *m, const char *name, struct zonelist *zonelist)
{
	struct zoneref *z;

	seq_printf(m, "        %s\n", name);
	for (z = zonelist->_zonerefs; z->zone; z++)
		seq_printf(m, "                (%td) (node %d) (%s)\n", z - zonelist->_zonerefs,
			   zone_to_nid(z->zone), z->zone->name);
}

/* The layout of the sample that the first series showed, without the addresses */
static int zonelists_show(struct seq_file *m, void *unused)
{
	struct zonelist *lists;
	int nid;

	get_online_mems();
	for_each_online_node(nid) {
		lists = NODE_DATA(nid)->node_zonelists;
		seq_printf(m, "[NODE (%d)]\t\t\t\t\t\t%s\n", nid,
			   node_is_cdm(nid) ? "CDM" : "RAM");
		cdm_show_list(m, "ZONELIST_FALLBACK", &lists[ZONELIST_FALLBACK]);
		cdm_show_list(m, "ZONELIST_NOFALLBACK", &lists[ZONELIST_NOFALLBACK]);
		if (static_branch_unlikely(&cdm_key))
			cdm_show_list(m, "ZONELIST_EXPLICIT", cdm_explicit_lists[nid]);
	}
	put_online_mems();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(zonelists);

static int __init cdm_debugfs_init(void)
{
	debugfs_create_file("zonelists", 0400, debugfs_create_dir("cdm", NULL), NULL,
			    &zonelists_fops);
	return 0;
}
late_initcall(cdm_debugfs_init);
