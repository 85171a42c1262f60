/* SPDX-License-Identifier: GPL-2.0 */
/* Shared between the files of the mm side for unmodified kernels. */
#ifndef _DRIVERS_CDM_MM_STOCK_H
#define _DRIVERS_CDM_MM_STOCK_H

#include <linux/cdm_node.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

/**
 * struct stock_node - what is known of a tagged node; lives until the module goes
 * @nid: the node
 * @owner: whose it is, until then where it was @offered
 * @tagged: a device has it
 * @offered: its memory could be had, at any time
 * @ops: what the device does, or NULL; under stock_ops_srcu
 * @ranges: its memory, or NULL
 * @nr_ranges: how many
 * @leaving: its blocks are about to be removed: none of them goes online
 * @online_pages: what of it is online; written under mem_hotplug_lock
 * @hidden_pages: how many fewer seem to be free; under mem_hotplug_lock
 * @draining: what is on it moves away
 * @offlining: likewise, a block of it goes offline; written under mem_hotplug_lock
 */
struct stock_node {
	int nid;
	char *owner;
	bool tagged;
	bool offered;
	const struct cdm_node_ops *ops;
	const struct cdm_range *ranges;
	unsigned int nr_ranges;
	bool leaving;
	unsigned long online_pages;
	long hidden_pages;
	bool draining;
	bool offlining;
};

/* mm_stock.c */
extern struct xarray stock_nodes;
struct stock_node *stock_node(int nid);
int stock_nid_of(const struct cdm_range *ranges);
void stock_set_ranges(int nid, const struct cdm_range *ranges, unsigned int nr);
void stock_set_leaving(int nid, bool leaving);

/* stock_lists.c */
void stock_lists_init(void);
void stock_lists_exit(void);
void stock_filter_lists(void);
bool stock_node_is_isolated(int nid);

/* stock_blocks.c */
int stock_blocks_init(void);
void stock_blocks_exit(void);
int stock_fail_page(unsigned long pfn);

/* stock_pages.c */
extern struct mutex stock_pages_lock;
unsigned long stock_strangers(const struct cdm_range *ranges, unsigned int nr, bool fresh);
int stock_retire_known(const struct cdm_range *ranges, unsigned int nr);
void stock_remember_bad_pages(unsigned long start_pfn, unsigned long nr_pages);
void stock_pages_exit(void);

/* stock_file.c */
bool stock_owns_folio(const struct folio *folio);
unsigned long stock_lose_files(int nid);

#endif /* _DRIVERS_CDM_MM_STOCK_H */
