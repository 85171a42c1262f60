// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/cdm_test: lets the selftests allocate and register as a driver would.
 */
#include <linux/cdm.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "cdm_test_uapi.h"

static struct miscdevice cdm_test_misc;

/* An open file: the pages that it holds, where from, and the device that it registered */
struct cdm_test_file {
	struct mutex lock; /* serialises the ioctls of one file */
	spinlock_t pages_lock; /* protects @pages */
	struct list_head pages;
	struct cdm_device *source;
	struct cdm_device *registered;
};

/* How to give a page back stands in the page itself, which is ours meanwhile */
static void keep(struct cdm_test_file *file, struct page *page, bool from_device,
		 unsigned int order)
{
	set_page_private(page, order);
	page->index = from_device;
	spin_lock(&file->pages_lock);
	list_add(&page->lru, &file->pages);
	spin_unlock(&file->pages_lock);
}

static void free_pages_of(struct cdm_test_file *file)
{
	struct page *page, *next;
	LIST_HEAD(pages);

	spin_lock(&file->pages_lock);
	list_splice_init(&file->pages, &pages);
	spin_unlock(&file->pages_lock);

	list_for_each_entry_safe(page, next, &pages, lru) {
		unsigned int order = page_private(page);
		bool from_device = page->index;

		list_del(&page->lru);
		set_page_private(page, 0);
		page->index = 0;
		if (from_device)
			cdm_free_pages(file->source, page, order);
		else
			__free_pages(page, order);
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
		keep(file, page, cdm, req->order);
		if (page_to_nid(page) == req->nid)
			req->on_node += 1 << req->order;
		else
			req->elsewhere += 1 << req->order;
		if (!starts_with_zero(page))
			req->not_zero++;
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

	if (file->registered)
		return -EALREADY;
	cdm = cdm_device_register(cdm_test_misc.this_device, &config);
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
	default:
		rc = -ENOTTY;
	}
	mutex_unlock(&file->lock);

	if (!rc && (_IOC_DIR(cmd) & _IOC_READ) && copy_to_user(user, &req, _IOC_SIZE(cmd)))
		return -EFAULT;
	return rc;
}

static int cdm_test_open(struct inode *inode, struct file *filp)
{
	struct cdm_test_file *file = kzalloc(sizeof(*file), GFP_KERNEL);

	if (!file)
		return -ENOMEM;
	mutex_init(&file->lock);
	spin_lock_init(&file->pages_lock);
	INIT_LIST_HEAD(&file->pages);
	filp->private_data = file;
	return 0;
}

static int cdm_test_release(struct inode *inode, struct file *filp)
{
	struct cdm_test_file *file = filp->private_data;

	free_all(file);
	if (file->registered)
		cdm_device_remove(file->registered);
	kfree(file);
	return 0;
}

static const struct file_operations cdm_test_fops = {
	.owner = THIS_MODULE,
	.open = cdm_test_open,
	.release = cdm_test_release,
	.unlocked_ioctl = cdm_test_ioctl,
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
