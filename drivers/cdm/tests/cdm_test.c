// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/cdm_test: lets the selftests allocate and register as a driver would.
 */
#include <linux/bitfield.h>
#include <linux/cdm.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>

#include "cdm_test_uapi.h"

static struct miscdevice cdm_test_misc;

/*
 * An open file: the pages that it holds, where from, and the device that it registered.
 * A page's entry has its pfn and how to give it back. Not the page itself: after a removal
 * that could not wait for it, nobody may look at its struct page.
 */
struct cdm_test_file {
	struct mutex lock; /* serialises the ioctls of one file */
	struct xarray pages;
	struct cdm_device *source;
	struct cdm_device *registered;
};

#define ENTRY_FROM_DEVICE	BIT(0)
#define ENTRY_ORDER		GENMASK(4, 1)
#define ENTRY_PFN		GENMASK(62, 5)

static int keep(struct cdm_test_file *file, struct page *page, bool from_device,
		unsigned int order)
{
	unsigned long entry = FIELD_PREP(ENTRY_PFN, page_to_pfn(page)) |
			      FIELD_PREP(ENTRY_ORDER, order) | from_device;

	return xa_err(xa_store(&file->pages, page_to_pfn(page), xa_mk_value(entry), GFP_KERNEL));
}

static void give_back(struct cdm_test_file *file, struct page *page, bool from_device,
		      unsigned int order)
{
	if (from_device)
		cdm_free_pages(file->source, page, order);
	else
		__free_pages(page, order);
}

static void free_pages_of(struct cdm_test_file *file)
{
	unsigned long index, entry;
	void *value;

	xa_for_each(&file->pages, index, value) {
		/* Another one may be at it: whoever erases the entry has the page */
		value = xa_erase(&file->pages, index);
		if (!value)
			continue;
		entry = xa_to_value(value);
		give_back(file, pfn_to_page(FIELD_GET(ENTRY_PFN, entry)),
			  entry & ENTRY_FROM_DEVICE, FIELD_GET(ENTRY_ORDER, entry));
	}
}

static void free_all(struct cdm_test_file *file)
{
	free_pages_of(file);
	if (file->source)
		cdm_device_put(file->source);
	file->source = NULL;
}

/* Pages of one device at a time: the reference is the file's, until it frees them */
static struct cdm_device *source_on(struct cdm_test_file *file, int nid)
{
	if (!file->source)
		file->source = cdm_device_find(nid);
	if (file->source && cdm_device_nid(file->source) == nid)
		return file->source;
	return NULL;
}

static struct page *alloc_one(struct cdm_device *cdm, const struct cdm_test_alloc *req)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | (req->order ? __GFP_COMP : 0);

	switch (req->how) {
	case CDM_TEST_DRIVER:
		return cdm_alloc_pages(cdm, req->order, req->zero ? CDM_ALLOC_ZERO : 0);
	case CDM_TEST_HINT:
		return alloc_pages_node(req->nid, gfp, req->order);
	case CDM_TEST_THISNODE:
		return alloc_pages_node(req->nid, gfp | __GFP_THISNODE, req->order);
	case CDM_TEST_MOVABLE_HINT:
		return alloc_pages_node(req->nid, gfp | GFP_HIGHUSER_MOVABLE, req->order);
	}
	return NULL;
}

static bool starts_with_zero(struct page *page)
{
	char *p = kmap_local_page(page);
	bool zero = !*p;

	kunmap_local(p);
	return zero;
}

static unsigned int count_bad(struct page *page, unsigned int order)
{
	unsigned int i, bad = 0;

	for (i = 0; i < 1U << order; i++)
		bad += PageHWPoison(page + i);
	return bad;
}

static long do_alloc(struct cdm_test_file *file, struct cdm_test_alloc *req)
{
	struct cdm_device *cdm = NULL;
	struct page *page;
	u64 i;

	if (req->nid < 0 || req->nid >= nr_node_ids || !node_online(req->nid) ||
	    req->how > CDM_TEST_MOVABLE_HINT)
		return -EINVAL;

	if (req->how == CDM_TEST_DRIVER) {
		cdm = source_on(file, req->nid);
		if (!cdm)
			return -ENODEV;
	}

	for (i = 0; i < req->count; i++) {
		page = alloc_one(cdm, req);
		if (!page)
			break;
		if (keep(file, page, cdm, req->order)) {
			give_back(file, page, cdm, req->order);
			break;
		}
		if (page_to_nid(page) == req->nid)
			req->on_node += 1 << req->order;
		else
			req->elsewhere += 1 << req->order;
		if (!starts_with_zero(page))
			req->not_zero++;
		req->bad += count_bad(page, req->order);
		cond_resched();
	}

	return i || !req->count ? 0 : -ENOMEM;
}

/* Called by the core within an ioctl of the same file, or of an administrator's write */
static void drain(struct cdm_device *cdm, void *data)
{
	struct cdm_test_file *file = data;

	free_pages_of(file);
}

static const struct cdm_ops drain_ops = {
	.drain = drain,
};

/* With a reference, or NULL */
static struct device *parent_of(const struct cdm_test_register *req)
{
	if (!req->parent[0])
		return get_device(cdm_test_misc.this_device);
	return bus_find_device_by_name(&pci_bus_type, NULL, req->parent);
}

static long do_register(struct cdm_test_file *file, struct cdm_test_register *req)
{
	const struct cdm_range ranges[] = {
		{ req->start, req->size },
		{ req->start2, req->size2 },
	};
	struct cdm_config config = {
		.ranges = ranges,
		.nr_ranges = req->size2 ? 2 : 1,
		.nid = req->nid,
		.fallback = req->fallback,
		.online_policy = req->online_policy,
		.caps = req->caps,
		.bad_pages = &req->bad_page,
		.nr_bad_pages = !!req->bad_page,
		.near = req->near,
		.distance = req->distance,
		.access = {
			.read_bandwidth = req->bandwidth,
			.write_bandwidth = req->bandwidth,
			.read_latency = req->latency,
			.write_latency = req->latency,
		},
		.ops = req->gives_back ? &drain_ops : NULL,
		.ops_data = file,
	};
	struct cdm_device *cdm;
	struct device *parent;

	if (file->registered)
		return -EALREADY;
	req->parent[sizeof(req->parent) - 1] = 0;
	parent = parent_of(req);
	if (!parent)
		return -ENXIO;
	cdm = cdm_device_register(parent, &config);
	put_device(parent);
	if (IS_ERR(cdm))
		return PTR_ERR(cdm);
	file->registered = cdm;
	req->nid = cdm_device_nid(cdm);
	return 0;
}

static long do_unregister(struct cdm_test_file *file, unsigned int seconds)
{
	int rc;

	if (!file->registered)
		return -ENODEV;
	rc = cdm_device_unregister(file->registered, seconds);
	if (!rc)
		file->registered = NULL;
	return rc;
}

static long do_retire(struct cdm_test_file *file, u64 addr)
{
	struct cdm_device *cdm = file->registered ?: file->source;

	return cdm ? cdm_retire_page(cdm, addr) : -ENODEV;
}

static long do_remove(struct cdm_test_file *file)
{
	if (!file->registered)
		return -ENODEV;
	cdm_device_remove(file->registered);
	file->registered = NULL;
	return 0;
}

static long do_lost(struct cdm_test_file *file)
{
	if (!file->registered)
		return -ENODEV;
	cdm_device_lost(file->registered);
	return 0;
}

static long cdm_test_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct cdm_test_file *file = filp->private_data;
	void __user *user = (void __user *)arg;
	union {
		struct cdm_test_alloc alloc;
		struct cdm_test_register reg;
		u64 addr;
	} req = { };
	long rc;

	if ((_IOC_DIR(cmd) & _IOC_WRITE) &&
	    (_IOC_SIZE(cmd) > sizeof(req) || copy_from_user(&req, user, _IOC_SIZE(cmd))))
		return -EFAULT;

	mutex_lock(&file->lock);
	switch (cmd) {
	case CDM_TEST_ALLOC:
		rc = do_alloc(file, &req.alloc);
		break;
	case CDM_TEST_FREE:
		free_all(file);
		rc = 0;
		break;
	case CDM_TEST_REGISTER:
		rc = do_register(file, &req.reg);
		break;
	case CDM_TEST_UNREGISTER:
		rc = do_unregister(file, arg);
		break;
	case CDM_TEST_REMOVE:
		rc = do_remove(file);
		break;
	case CDM_TEST_RETIRE:
		rc = do_retire(file, req.addr);
		break;
	case CDM_TEST_LOST:
		rc = do_lost(file);
		break;
	default:
		rc = -ENOTTY;
	}
	mutex_unlock(&file->lock);

	if (!rc && (_IOC_DIR(cmd) & _IOC_READ) && copy_to_user(user, &req, _IOC_SIZE(cmd)))
		return -EFAULT;
	return rc;
}

/* Not under file->lock, which an ioctl that faults takes first */
static int cdm_test_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct cdm_test_file *file = filp->private_data;
	unsigned long index, addr = vma->vm_start;
	void *value;
	int rc;

	xa_for_each(&file->pages, index, value) {
		if (addr == vma->vm_end)
			break;
		rc = vm_insert_page(vma, addr, pfn_to_page(index));
		if (rc)
			return rc;
		addr += PAGE_SIZE;
	}
	return 0;
}

static int cdm_test_open(struct inode *inode, struct file *filp)
{
	struct cdm_test_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	xa_init(&file->pages);
	filp->private_data = file;
	return 0;
}

static int cdm_test_release(struct inode *inode, struct file *filp)
{
	struct cdm_test_file *file = filp->private_data;

	free_all(file);
	if (file->registered)
		cdm_device_remove(file->registered);
	xa_destroy(&file->pages);
	kfree(file);
	return 0;
}

static const struct file_operations cdm_test_fops = {
	.owner = THIS_MODULE,
	.open = cdm_test_open,
	.release = cdm_test_release,
	.unlocked_ioctl = cdm_test_ioctl,
	.mmap = cdm_test_mmap,
};

static struct miscdevice cdm_test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "cdm_test",
	.fops = &cdm_test_fops,
	.mode = 0600,
};
module_misc_device(cdm_test_misc);

MODULE_DESCRIPTION("Test module for coherent device memory");
MODULE_LICENSE("GPL");
