/* SPDX-License-Identifier: GPL-2.0 */
/* What the driver knows of a card, between cdm_pci_main.c, cdm_pci_card.c and cdm_pci_files.c. */
#ifndef _DRIVERS_CDM_PCI_H
#define _DRIVERS_CDM_PCI_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>

struct attribute_group;
struct cdm_device;
struct cdm_ops;
struct page;
struct pci_dev;

/* Partitions of a card, each a device with a node: as many as the hardware would have */
#define MAX_PARTITIONS	8

#define BUFFER_ORDER	get_order(SZ_2M)

/* What a channel has on the card, in pages */
#define RING_PAGES	(SZ_4M >> PAGE_SHIFT)
#define NR_TABLES	32
#define NR_COMMANDS	16
#define CONTEXT_ORDER	2

struct buffer {
	struct list_head list;
	struct page *page;
};

/* Memory that the card uses itself, and finds where it left it: it never moves */
struct channel {
	struct list_head list;
	struct page *ring;
	unsigned long nr_tables;
	struct page *tables[NR_TABLES];
	struct list_head commands;
	struct folio *context;
};

/**
 * struct card - what the driver knows of a card
 * @pdev: the card
 * @cdm: its partitions; the first one has the buffers
 * @nr: how many
 * @buffers: the oldest one first
 * @nr_buffers: how many, with those that somebody has taken out for a moment
 * @channels: work is given by them
 * @nr_channels: how many
 * @fetched: pages of the last fetch
 * @fetched_nid: where the first of them is
 * @mappings: how many have it mapped
 * @lock: protects all of these. ops->evict takes it, so nothing is allocated under it.
 * @resize_lock: one writer of "buffers" at a time; outside of @lock
 */
struct card {
	struct pci_dev *pdev;
	struct cdm_device *cdm[MAX_PARTITIONS];
	unsigned int nr;
	struct list_head buffers;
	unsigned int nr_buffers;
	struct list_head channels;
	unsigned int nr_channels;
	long fetched;
	int fetched_nid;
	int mappings;
	struct mutex lock; /* see above */
	struct mutex resize_lock; /* see above */
};

extern const struct cdm_ops cdm_pci_ops;
extern const struct attribute_group *cdm_pci_groups[];

struct buffer *cdm_pci_take_buffer(struct card *card, unsigned int index, bool on_device);
void cdm_pci_put_buffer(struct card *card, struct buffer *buffer, bool used);
void cdm_pci_free_buffer(struct card *card, struct buffer *buffer);
int cdm_pci_add_buffer(struct card *card);
void cdm_pci_free_buffers(struct card *card, bool on_device);

struct channel *cdm_pci_take_channel(struct card *card);
void cdm_pci_free_channel(struct card *card, struct channel *channel);
int cdm_pci_add_channel(struct card *card);
void cdm_pci_free_channels(struct card *card);

#endif /* _DRIVERS_CDM_PCI_H */
