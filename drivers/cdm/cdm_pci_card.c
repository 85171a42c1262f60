// SPDX-License-Identifier: GPL-2.0
/* A card's memory: the buffers of its users, its channels, and what it does for the driver core. */
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "cdm_edu.h"
#include "cdm_pci.h"

static unsigned long scrubbed_pages;
module_param(scrubbed_pages, ulong, 0444);
MODULE_PARM_DESC(scrubbed_pages, "how many pages cards have cleared");

/**
 * cdm_pci_take_buffer() - take a buffer out of the list: whoever does has it for himself
 * @card: the card
 * @index: of those that count the one so many behind the oldest
 * @on_device: those in system RAM do not count
 *
 * Return: the buffer, for cdm_pci_put_buffer() or _free_buffer(); NULL when there is no such one.
 */
struct buffer *cdm_pci_take_buffer(struct card *card, unsigned int index, bool on_device)
{
	struct buffer *buffer;

	guard(mutex)(&card->lock);
	list_for_each_entry(buffer, &card->buffers, list) {
		if ((on_device && cdm_page_is_spilled(card->cdm[0], buffer->page)) || index--)
			continue;
		list_del(&buffer->list);
		return buffer;
	}
	return NULL;
}

/* Back into the list: as the last one that was @used, or as the oldest one */
void cdm_pci_put_buffer(struct card *card, struct buffer *buffer, bool used)
{
	guard(mutex)(&card->lock);
	if (used)
		list_add_tail(&buffer->list, &card->buffers);
	else
		list_add(&buffer->list, &card->buffers);
}

/* One that was taken out */
void cdm_pci_free_buffer(struct card *card, struct buffer *buffer)
{
	cdm_free_pages(card->cdm[0], buffer->page, BUFFER_ORDER);
	kfree(buffer);
	guard(mutex)(&card->lock);
	card->nr_buffers--;
}

/* 0, or -ENOMEM */
int cdm_pci_add_buffer(struct card *card)
{
	struct buffer *buffer = kzalloc(sizeof(*buffer), GFP_KERNEL);

	if (!buffer)
		return -ENOMEM;
	buffer->page = cdm_alloc_pages(card->cdm[0], BUFFER_ORDER,
				       CDM_ALLOC_ZERO | CDM_ALLOC_SPILL);
	if (!buffer->page) {
		kfree(buffer);
		return -ENOMEM;
	}
	scoped_guard(mutex, &card->lock)
		card->nr_buffers++;
	cdm_pci_put_buffer(card, buffer, true);
	return 0;
}

static int copy(struct cdm_device *cdm, struct page *to, struct page *from,
		unsigned long nr_pages, void *data)
{
	return cdm_edu_copy(to, from, nr_pages);
}

/* As fast as the device would be; it is the CPU that pretends */
static int scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages, void *data)
{
	/* Nobody needs it exact */
	WRITE_ONCE(scrubbed_pages, READ_ONCE(scrubbed_pages) + nr_pages);
	for (; nr_pages; nr_pages--, page++) {
		clear_highpage(page);
		cond_resched();
	}
	return 0;
}

/* By the engine, or the CPU: false for memory that has an error, the buffer is there still */
static bool copy_buffer(struct page *to, struct page *from)
{
	unsigned int i;

	if (!cdm_edu_copy(to, from, 1 << BUFFER_ORDER))
		return true;
	for (i = 0; i < 1 << BUFFER_ORDER; i++)
		if (copy_mc_highpage(to + i, from + i))
			return false;
	return true;
}

/* To system RAM, within the budget: the page that it had is free again */
static bool spill_buffer(struct card *card, struct buffer *buffer)
{
	struct cdm_device *cdm = card->cdm[0];
	struct page *ram = cdm_alloc_pages(cdm, BUFFER_ORDER,
					   CDM_ALLOC_SPILL | CDM_ALLOC_NO_EVICT);

	if (!ram)
		return false;
	/* Not of the device, which has room without us if somebody gave memory back meanwhile */
	if (!cdm_page_is_spilled(cdm, ram) || !copy_buffer(ram, buffer->page)) {
		cdm_free_pages(cdm, ram, BUFFER_ORDER);
		return false;
	}
	cdm_free_pages(cdm, buffer->page, BUFFER_ORDER);
	buffer->page = ram;
	return true;
}

static unsigned long evict(struct cdm_device *cdm, unsigned long nr_pages, void *data)
{
	struct card *card = data;
	struct buffer *buffer;
	unsigned long evicted;

	/* The other partitions have none */
	buffer = cdm == card->cdm[0] ? cdm_pci_take_buffer(card, 0, true) : NULL;
	if (!buffer)
		return 0;
	evicted = spill_buffer(card, buffer) ? 1UL << BUFFER_ORDER : 0;
	cdm_pci_put_buffer(card, buffer, false);
	return evicted;
}

/* All of them, or those that are not in system RAM */
void cdm_pci_free_buffers(struct card *card, bool on_device)
{
	struct buffer *buffer;

	while ((buffer = cdm_pci_take_buffer(card, 0, on_device)))
		cdm_pci_free_buffer(card, buffer);
}

void cdm_pci_free_channel(struct card *card, struct channel *channel)
{
	struct cdm_device *cdm = card->cdm[0];

	if (channel->ring)
		cdm_free_contig(cdm, channel->ring, RING_PAGES);
	cdm_free_pages_bulk(cdm, channel->nr_tables, channel->tables);
	cdm_free_pages_list(cdm, &channel->commands);
	if (channel->context)
		cdm_free_folio(cdm, channel->context);
	kfree(channel);
}

/* The last one that came, out of the list; or NULL */
struct channel *cdm_pci_take_channel(struct card *card)
{
	struct channel *channel;

	guard(mutex)(&card->lock);
	channel = list_first_entry_or_null(&card->channels, struct channel, list);
	if (!channel)
		return NULL;
	list_del(&channel->list);
	card->nr_channels--;
	return channel;
}

int cdm_pci_add_channel(struct card *card)
{
	struct channel *channel = kzalloc(sizeof(*channel), GFP_KERNEL);
	struct cdm_device *cdm = card->cdm[0];
	unsigned long nr_commands;

	if (!channel)
		return -ENOMEM;
	INIT_LIST_HEAD(&channel->commands);
	channel->ring = cdm_alloc_contig(cdm, RING_PAGES, CDM_ALLOC_ZERO);
	channel->nr_tables = cdm_alloc_pages_bulk(cdm, CDM_ALLOC_ZERO, NR_TABLES, channel->tables);
	nr_commands = cdm_alloc_pages_list(cdm, 0, NR_COMMANDS, &channel->commands);
	channel->context = cdm_alloc_folio(cdm, CONTEXT_ORDER, CDM_ALLOC_ZERO);
	if (!channel->ring || channel->nr_tables < NR_TABLES || nr_commands < NR_COMMANDS ||
	    !channel->context) {
		cdm_pci_free_channel(card, channel);
		return -ENOMEM;
	}
	guard(mutex)(&card->lock);
	list_add(&channel->list, &card->channels);
	card->nr_channels++;
	return 0;
}

/* Programs find them gone, as after a reset, and ask for others */
void cdm_pci_free_channels(struct card *card)
{
	struct channel *channel;

	while ((channel = cdm_pci_take_channel(card)))
		cdm_pci_free_channel(card, channel);
}

/* All that can go somewhere. Of a card that was pulled out nothing can be read any more. */
static void drain(struct cdm_device *cdm, void *data)
{
	struct card *card = data;

	if (cdm != card->cdm[0])
		return;
	cdm_pci_free_channels(card);
	if (!pci_device_is_present(card->pdev))
		cdm_pci_free_buffers(card, true);
	while (evict(cdm, 0, data))
		;
}

const struct cdm_ops cdm_pci_ops = {
	.drain = drain,
	.evict = evict,
	.scrub = scrub,
	.copy = copy,
};
