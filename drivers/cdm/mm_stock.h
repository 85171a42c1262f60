/* SPDX-License-Identifier: GPL-2.0 */
/* Shared between the files of the mm side for unmodified kernels. */
#ifndef _DRIVERS_CDM_MM_STOCK_H
#define _DRIVERS_CDM_MM_STOCK_H

#include <linux/cdm_node.h>
#include <linux/types.h>

/**
 * struct stock_node - what is known of a tagged node; lives until the module goes
 * @nid: the node
 * @owner: whose it is until then
 * @tagged: a device has it
 * @ops: what the device does, or NULL; under stock_ops_srcu
 * @ranges: its memory, or NULL
 * @nr_ranges: how many
 * @leaving: its blocks are about to be removed: none of them goes online
 * @draining: what is on it moves away
 * @offlining: likewise, a block of it goes offline; written under mem_hotplug_lock
 */
struct stock_node {
	int nid;
	char *owner;
	bool tagged;
	const struct cdm_node_ops *ops;
	const struct cdm_range *ranges;
	unsigned int nr_ranges;
	bool leaving;
	bool draining;
	bool offlining;
};

/* mm_stock.c */
struct stock_node *stock_node(int nid);
bool stock_node_is_isolated(int nid);
int stock_nid_of(const struct cdm_range *ranges);
void stock_set_ranges(int nid, const struct cdm_range *ranges, unsigned int nr);
void stock_set_leaving(int nid, bool leaving);

/* stock_blocks.c */
int stock_blocks_init(void);
void stock_blocks_exit(void);

/* stock_pages.c */
int stock_retire_known(const struct cdm_range *ranges, unsigned int nr);
void stock_pages_exit(void);

/* stock_file.c */
unsigned long stock_lose_files(int nid);
struct folio *stock_alloc_folio(int nid, unsigned int order);

#endif /* _DRIVERS_CDM_MM_STOCK_H */
