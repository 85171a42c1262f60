// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's "edu" device as the copy engine of the model device in cdm_pci_card.c.
 *
 * It has a buffer of 4 KiB, and moves what it is told to between that and memory; from there
 * on it is like any DMA engine: mapped addresses, a register that starts it, one that says
 * when it is done. It takes a tenth of a second for a transfer, so it is used for small
 * copies only, and everybody has to wait for their turn.
 */
#include <linux/dma-mapping.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/iopoll.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>

#include "cdm_edu.h"

#define EDU_ID		0x00
#define EDU_ID_MAGIC	0xed
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98
#define EDU_CMD_START	BIT(0)
#define EDU_CMD_TO_RAM	BIT(1)

/* Where its buffer is, as the device sees it; half of it at a time, or QEMU 7.2 aborts */
#define EDU_BUFFER	0x40000
#define EDU_PART	2048

#define EDU_POLL_US	5000
#define EDU_TIMEOUT_US	(2 * USEC_PER_SEC)

/* A real engine is worth it from some size on; this one, for who wants to see it at work */
static unsigned int max_pages;
module_param(max_pages, uint, 0644);
MODULE_PARM_DESC(max_pages, "copies of up to how many pages the engine makes; 0, the default, for none");

static unsigned long copied_pages;
module_param(copied_pages, ulong, 0444);
MODULE_PARM_DESC(copied_pages, "pages that the engine has copied");

/* Protects the engine's registers, and @engine, which is NULL where there is none */
static DEFINE_MUTEX(engine_lock);
static struct edu {
	struct device *dev;
	void __iomem *regs;
} *engine;

/*
 * What it was told to do it may do still, to memory that is somebody else's by then: so nothing
 * of it reaches memory any more.
 */
static void stop_engine(void)
{
	pci_clear_master(to_pci_dev(engine->dev));
	dev_err(engine->dev, "does not answer: not used any more\n");
}

/* Its registers say what it is; what is not there reads as all ones, or in QEMU as 0 */
static bool answers(void)
{
	return (readl(engine->regs + EDU_ID) & 0xff) == EDU_ID_MAGIC;
}

/* In one access each: of an address that is written in two halves it takes the first */
static int transfer(u64 src, u64 dst, u64 cmd)
{
	u64 now;
	int rc;

	writeq(src, engine->regs + EDU_DMA_SRC);
	writeq(dst, engine->regs + EDU_DMA_DST);
	writeq(EDU_PART, engine->regs + EDU_DMA_COUNT);
	writeq(cmd | EDU_CMD_START, engine->regs + EDU_DMA_CMD);
	rc = read_poll_timeout(readq, now, !(now & EDU_CMD_START), EDU_POLL_US,
			       EDU_TIMEOUT_US, false, engine->regs + EDU_DMA_CMD);
	if (!rc && !answers())
		rc = -ETIMEDOUT;
	if (rc)
		stop_engine();
	return rc;
}

static int copy_mapped(dma_addr_t to, dma_addr_t from)
{
	unsigned int offset;
	int rc = 0;

	for (offset = 0; !rc && offset < PAGE_SIZE; offset += EDU_PART) {
		rc = transfer(from + offset, EDU_BUFFER, 0);
		if (!rc)
			rc = transfer(EDU_BUFFER, to + offset, EDU_CMD_TO_RAM);
	}
	return rc;
}

static int copy_page_by_engine(struct page *to, struct page *from)
{
	dma_addr_t dst, src = dma_map_page(engine->dev, from, 0, PAGE_SIZE, DMA_TO_DEVICE);
	int rc = -EIO;

	if (dma_mapping_error(engine->dev, src))
		return -EIO;
	dst = dma_map_page(engine->dev, to, 0, PAGE_SIZE, DMA_FROM_DEVICE);
	if (!dma_mapping_error(engine->dev, dst)) {
		rc = copy_mapped(dst, src);
		dma_unmap_page(engine->dev, dst, PAGE_SIZE, DMA_FROM_DEVICE);
	}
	dma_unmap_page(engine->dev, src, PAGE_SIZE, DMA_TO_DEVICE);
	return rc;
}

/**
 * cdm_edu_copy() - copy pages by the engine
 * @to: the first page to write
 * @from: the first page to read
 * @nr_pages: how many
 *
 * Context: Process context, may sleep.
 * Return: 0; -ENODEV where there is no engine, -E2BIG for what the CPU copies faster, -EIO,
 * -ETIMEDOUT.
 */
int cdm_edu_copy(struct page *to, struct page *from, unsigned long nr_pages)
{
	int rc = 0;

	if (nr_pages > READ_ONCE(max_pages))
		return -E2BIG;
	guard(mutex)(&engine_lock);
	if (!engine)
		return -ENODEV;
	for (; !rc && nr_pages; nr_pages--) {
		rc = copy_page_by_engine(to++, from++);
		copied_pages += !rc;
	}
	if (rc == -ETIMEDOUT)
		engine = NULL;
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_edu_copy);

static int cdm_edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	int rc;

	if (!edu)
		return -ENOMEM;
	rc = pcim_enable_device(pdev);
	if (rc)
		return rc;
	rc = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (rc)
		return rc;
	edu->dev = &pdev->dev;
	edu->regs = pcim_iomap(pdev, 0, 0);
	if (!edu->regs)
		return -ENOMEM;
	pci_set_master(pdev);
	pci_set_drvdata(pdev, edu);

	guard(mutex)(&engine_lock);
	if (engine)
		return -EBUSY;
	engine = edu;
	return 0;
}

static void cdm_edu_remove(struct pci_dev *pdev)
{
	guard(mutex)(&engine_lock);
	engine = NULL;
}

static const struct pci_device_id cdm_edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};
MODULE_DEVICE_TABLE(pci, cdm_edu_ids);

static struct pci_driver cdm_edu_driver = {
	.name = "cdm_edu",
	.id_table = cdm_edu_ids,
	.probe = cdm_edu_probe,
	.remove = cdm_edu_remove,
};
module_pci_driver(cdm_edu_driver);

MODULE_DESCRIPTION("QEMU's edu device as a copy engine for coherent device memory");
MODULE_LICENSE("GPL");
