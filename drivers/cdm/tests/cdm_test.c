// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/cdm_test: lets the selftests allocate and register as a driver would.
 */
#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
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
	struct rw_semaphore source_lock; /* @source stays while pages go back to it */
	struct cdm_device *source;
	struct cdm_device *registered;
	struct cdm_ops ops;
	struct cdm_test_register options;
	atomic64_t evict_calls;
	atomic64_t scrubbed;
	atomic64_t copied;
};

#define ENTRY_HOW		GENMASK(3, 0)
#define ENTRY_ORDER		GENMASK(7, 4)
#define ENTRY_PFN		GENMASK(62, 8)

static int keep(struct cdm_test_file *file, struct page *page, enum cdm_test_how how,
		unsigned int order)
{
	unsigned long entry = FIELD_PREP(ENTRY_PFN, page_to_pfn(page)) |
			      FIELD_PREP(ENTRY_ORDER, order) | FIELD_PREP(ENTRY_HOW, how);

	return xa_err(xa_store(&file->pages, page_to_pfn(page), xa_mk_value(entry), GFP_KERNEL));
}

static bool is_drivers(enum cdm_test_how how)
{
	return how == CDM_TEST_DRIVER || how >= CDM_TEST_BULK;
}

static struct page *alloc_with_irqs_off(struct cdm_device *cdm, unsigned int order,
					unsigned int alloc_flags)
{
	unsigned long flags;
	struct page *page;

	local_irq_save(flags);
	page = cdm_alloc_pages(cdm, order, alloc_flags | CDM_ALLOC_ATOMIC);
	local_irq_restore(flags);
	return page;
}

static void free_with_irqs_off(struct cdm_device *cdm, struct page *page, unsigned int order)
{
	unsigned long flags;

	local_irq_save(flags);
	cdm_free_pages(cdm, page, order);
	local_irq_restore(flags);
}

/* What is done in an interrupt's handler */
struct interrupted {
	struct irq_work work;
	struct cdm_device *cdm;
	struct page *page;	/* to give back, or what was allocated */
	unsigned int order;
	unsigned int flags;
};

static void in_interrupt_work(struct irq_work *work)
{
	struct interrupted *req = container_of(work, struct interrupted, work);

	WARN_ON_ONCE(!in_hardirq());
	if (req->page)
		cdm_free_pages(req->cdm, req->page, req->order);
	else
		req->page = cdm_alloc_pages(req->cdm, req->order, req->flags | CDM_ALLOC_ATOMIC);
}

static struct page *interrupt(struct cdm_device *cdm, struct page *page, unsigned int order,
			      unsigned int flags)
{
	struct interrupted req = { .cdm = cdm, .page = page, .order = order, .flags = flags };

	req.work = IRQ_WORK_INIT_HARD(in_interrupt_work);
	irq_work_queue(&req.work);
	irq_work_sync(&req.work);
	return req.page;
}

static void give_back(struct cdm_test_file *file, struct page *page, enum cdm_test_how how,
		      unsigned int order)
{
	if (how == CDM_TEST_CONTIG || how == CDM_TEST_CONTIG_TRIMMED)
		cdm_free_contig(file->source, page, 1UL << order);
	else if (how == CDM_TEST_IRQS_OFF)
		free_with_irqs_off(file->source, page, order);
	else if (how == CDM_TEST_INTERRUPT)
		interrupt(file->source, page, order, 0);
	else if (is_drivers(how))
		cdm_free_pages(file->source, page, order);
	else
		__free_pages(page, order);
}

/* What came by the array or the list goes back so, and many at once */
struct batch {
	unsigned long nr;
	struct page *pages[64];
	struct list_head list;
};

static void give_back_batch(struct cdm_test_file *file, struct batch *batch)
{
	cdm_free_pages_bulk(file->source, batch->nr, batch->pages);
	cdm_free_pages_list(file->source, &batch->list);
	batch->nr = 0;
}

static void give_back_with(struct cdm_test_file *file, struct batch *batch, struct page *page,
			   enum cdm_test_how how, unsigned int order)
{
	if (how == CDM_TEST_LIST)
		list_add(&page->lru, &batch->list);
	else if (how == CDM_TEST_BULK)
		batch->pages[batch->nr++] = page;
	else
		give_back(file, page, how, order);
	if (batch->nr == ARRAY_SIZE(batch->pages))
		give_back_batch(file, batch);
}

/* At most @max blocks, and no more when @wanted pages are back; returns how many pages */
static unsigned long free_pages_of(struct cdm_test_file *file, unsigned long max,
				   unsigned long wanted)
{
	struct batch batch = { .list = LIST_HEAD_INIT(batch.list) };
	unsigned long index, entry, pages = 0;
	void *value;

	guard(rwsem_read)(&file->source_lock);
	xa_for_each(&file->pages, index, value) {
		if (!max || pages >= wanted)
			break;
		/* Another one may be at it: whoever erases the entry has the page */
		value = xa_erase(&file->pages, index);
		if (!value)
			continue;
		entry = xa_to_value(value);
		give_back_with(file, &batch, pfn_to_page(FIELD_GET(ENTRY_PFN, entry)),
			       FIELD_GET(ENTRY_HOW, entry), FIELD_GET(ENTRY_ORDER, entry));
		pages += 1UL << FIELD_GET(ENTRY_ORDER, entry);
		max--;
	}
	give_back_batch(file, &batch);
	return pages;
}

static void free_all(struct cdm_test_file *file)
{
	free_pages_of(file, ULONG_MAX, ULONG_MAX);
	guard(rwsem_write)(&file->source_lock);
	if (file->source)
		cdm_device_put(file->source);
	file->source = NULL;
}

/* As a driver with a bug: it keeps the page */
static long do_misfree(struct cdm_test_file *file, int nid)
{
	struct cdm_device *other = cdm_device_find(nid);
	unsigned long index = 0;
	void *value = xa_find(&file->pages, &index, ULONG_MAX, XA_PRESENT);
	long rc = -ENODEV;

	if (other && value) {
		cdm_free_pages(other, pfn_to_page(index),
			       FIELD_GET(ENTRY_ORDER, xa_to_value(value)));
		rc = 0;
	}
	if (other)
		cdm_device_put(other);
	return rc;
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

static struct page *alloc_trimmed(struct cdm_device *cdm, unsigned long nr, unsigned int flags)
{
	struct page *page = cdm_alloc_contig(cdm, nr + nr / 2, flags);

	if (page)
		cdm_free_contig(cdm, page + nr, nr / 2);
	return page;
}

static struct page *alloc_one(struct cdm_device *cdm, const struct cdm_test_alloc *req)
{
	gfp_t gfp = GFP_KERNEL | __GFP_NOWARN | (req->order ? __GFP_COMP : 0);

	struct folio *folio;

	switch (req->how) {
	case CDM_TEST_DRIVER:
		if (!req->order)
			return cdm_alloc_pages(cdm, 0, req->flags);
		folio = cdm_alloc_folio(cdm, req->order, req->flags);
		return folio ? folio_page(folio, 0) : NULL;
	case CDM_TEST_CONTIG:
		return cdm_alloc_contig(cdm, 1UL << req->order, req->flags);
	case CDM_TEST_CONTIG_TRIMMED:
		return alloc_trimmed(cdm, 1UL << req->order, req->flags);
	case CDM_TEST_IRQS_OFF:
		return alloc_with_irqs_off(cdm, req->order, req->flags);
	case CDM_TEST_INTERRUPT:
		return interrupt(cdm, NULL, req->order, req->flags);
	case CDM_TEST_HINT:
		return alloc_pages_node(req->nid, gfp, req->order);
	case CDM_TEST_THISNODE:
		return alloc_pages_node(req->nid, gfp | __GFP_THISNODE, req->order);
	case CDM_TEST_MOVABLE_HINT:
		return alloc_pages_node(req->nid, gfp | GFP_HIGHUSER_MOVABLE, req->order);
	}
	return NULL;
}

static bool ends_are(struct page *page, char byte)
{
	char *p = kmap_local_page(page);
	bool same = p[0] == byte && p[PAGE_SIZE - 1] == byte;

	kunmap_local(p);
	return same;
}

/* What the next owner must not see, and what must not change meanwhile */
#define CONTENT 0x5a

static void mark_page(struct page *page)
{
	char *p = kmap_local_page(page);

	p[0] = CONTENT;
	p[PAGE_SIZE - 1] = CONTENT;
	kunmap_local(p);
}

/* Look at a block that was allocated, and mark each page of it as ours */
static void examine(struct page *page, struct cdm_test_alloc *req)
{
	unsigned int i;

	for (i = 0; i < 1U << req->order; i++, page++) {
		if (page_to_nid(page) == req->nid)
			req->on_node++;
		else
			req->elsewhere++;
		if (!ends_are(page, 0))
			req->not_zero++;
		req->bad += PageHWPoison(page);
		mark_page(page);
	}
}

/*
 * Examine and keep; false, with the block given back, when there is no memory for that. Once
 * it is kept, another task may evict it.
 */
static bool take(struct cdm_test_file *file, struct page *page, struct cdm_test_alloc *req)
{
	examine(page, req);
	if (keep(file, page, req->how, req->order)) {
		give_back(file, page, req->how, req->order);
		return false;
	}
	cond_resched();
	return true;
}

static unsigned long take_one_by_one(struct cdm_test_file *file, struct cdm_device *cdm,
				     struct cdm_test_alloc *req)
{
	struct page *page;
	u64 i;

	for (i = 0; i < req->count; i++) {
		page = alloc_one(cdm, req);
		if (!page || !take(file, page, req))
			break;
	}
	return i;
}

static unsigned long take_array(struct cdm_test_file *file, struct cdm_device *cdm,
				struct cdm_test_alloc *req)
{
	struct page **pages __free(kvfree) = kvmalloc_array(req->count, sizeof(*pages), GFP_KERNEL);
	unsigned long nr, i;

	if (!pages)
		return 0;
	nr = cdm_alloc_pages_bulk(cdm, req->flags, req->count, pages);
	for (i = 0; i < nr; i++)
		if (!take(file, pages[i], req))
			break;
	if (i < nr)
		cdm_free_pages_bulk(cdm, nr - i - 1, pages + i + 1);
	return i;
}

static unsigned long take_list(struct cdm_test_file *file, struct cdm_device *cdm,
			       struct cdm_test_alloc *req)
{
	struct page *page, *next;
	unsigned long i = 0;
	LIST_HEAD(list);

	cdm_alloc_pages_list(cdm, req->flags, req->count, &list);
	list_for_each_entry_safe(page, next, &list, lru) {
		list_del(&page->lru);
		if (!take(file, page, req))
			break;
		i++;
	}
	cdm_free_pages_list(cdm, &list);
	return i;
}

static long do_alloc(struct cdm_test_file *file, struct cdm_test_alloc *req)
{
	struct cdm_device *cdm = NULL;
	unsigned long got;

	if (req->nid < 0 || req->nid >= nr_node_ids || req->how > CDM_TEST_LAST_HOW ||
	    (!is_drivers(req->how) && !node_online(req->nid)))
		return -EINVAL;
	if (is_drivers(req->how)) {
		cdm = source_on(file, req->nid);
		if (!cdm)
			return -ENODEV;
	}
	if (req->how == CDM_TEST_BULK)
		got = take_array(file, cdm, req);
	else if (req->how == CDM_TEST_LIST)
		got = take_list(file, cdm, req);
	else
		got = take_one_by_one(file, cdm, req);
	return got || !req->count ? 0 : -ENOMEM;
}

/* Bring back what an entry that nobody else has any more stands for; returns what it is now */
static struct page *back_one(struct cdm_test_file *file, struct page *page, unsigned int order,
			     struct cdm_test_back *answer)
{
	struct page *back = cdm_bring_back(file->source, page, order, CDM_ALLOC_NO_EVICT);

	if (IS_ERR(back)) {
		answer->error = PTR_ERR(back);
		return page;
	}
	answer->back += 1UL << order;
	answer->wrong += !ends_are(back, CONTENT);
	return back;
}

static long do_back(struct cdm_test_file *file, struct cdm_test_back *answer)
{
	unsigned long index, entry;
	enum cdm_test_how how;
	unsigned int order;
	struct page *page;
	void *value;

	xa_for_each(&file->pages, index, value) {
		entry = xa_to_value(value);
		page = pfn_to_page(FIELD_GET(ENTRY_PFN, entry));
		how = FIELD_GET(ENTRY_HOW, entry);
		order = FIELD_GET(ENTRY_ORDER, entry);
		if (!is_drivers(how) ||
		    !(answer->all || cdm_page_is_spilled(file->source, page)) ||
		    !xa_erase(&file->pages, index))
			continue;
		page = back_one(file, page, order, answer);
		if (keep(file, page, how, order))
			give_back(file, page, how, order);
	}
	return 0;
}

static void do_counts(struct cdm_test_file *file, struct cdm_test_counts *counts)
{
	counts->evict_calls = atomic64_read(&file->evict_calls);
	counts->scrubbed = atomic64_read(&file->scrubbed);
	counts->copied = atomic64_read(&file->copied);
}

/* Called by the core within an ioctl of the same file, or of an administrator's write */
static void drain(struct cdm_device *cdm, void *data)
{
	free_pages_of(data, ULONG_MAX, ULONG_MAX);
}

static unsigned long evict(struct cdm_device *cdm, unsigned long nr_pages, void *data)
{
	struct cdm_test_file *file = data;
	struct folio *folio;

	atomic64_inc(&file->evict_calls);
	/* As a driver that wants a page for what it moves: the core does not call it again */
	folio = cdm_alloc_folio(cdm, 0, 0);
	if (folio)
		cdm_free_folio(cdm, folio);
	return file->options.lies ? 1 : free_pages_of(file, file->options.evicts, nr_pages);
}

static int scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages, void *data)
{
	struct cdm_test_file *file = data;

	if (file->options.scrubs > 1)
		return -EIO;
	atomic64_add(nr_pages, &file->scrubbed);
	while (nr_pages--)
		clear_highpage(page++);
	return 0;
}

static int copy(struct cdm_device *cdm, struct page *to, struct page *from,
		unsigned long nr_pages, void *data)
{
	struct cdm_test_file *file = data;

	if (file->options.copies > 1)
		return -EIO;
	atomic64_add(nr_pages, &file->copied);
	while (nr_pages--)
		copy_highpage(to++, from++);
	return 0;
}

static void choose_ops(struct cdm_test_file *file, const struct cdm_test_register *req)
{
	file->options = *req;
	file->ops = (struct cdm_ops) {
		.drain = req->gives_back ? drain : NULL,
		.evict = req->evicts ? evict : NULL,
		.scrub = req->scrubs ? scrub : NULL,
		.copy = req->copies ? copy : NULL,
	};
	atomic64_set(&file->evict_calls, 0);
	atomic64_set(&file->scrubbed, 0);
	atomic64_set(&file->copied, 0);
}

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
		.spill_max = req->spill_max,
		.ops = &file->ops,
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
	choose_ops(file, req);
	cdm = cdm_device_register(parent, &config);
	put_device(parent);
	if (IS_ERR(cdm))
		return PTR_ERR(cdm);
	file->registered = cdm;
	req->nid = cdm_device_nid(cdm);
	return 0;
}

/* The device that the file has to do with, or NULL */
static struct cdm_device *device_of(struct cdm_test_file *file)
{
	return file->registered ?: file->source;
}

/* Also of one that another file has registered, and is gone or not */
static long do_unregister(struct cdm_test_file *file, unsigned int seconds)
{
	struct cdm_device *cdm = device_of(file);
	int rc;

	if (!cdm)
		return -ENXIO;
	rc = cdm_device_unregister(cdm, seconds);
	if (!rc)
		file->registered = NULL;
	return rc;
}

static long do_change(struct cdm_test_file *file, unsigned int cmd, unsigned int seconds)
{
	struct cdm_device *cdm = device_of(file);

	if (!cdm)
		return -ENODEV;
	switch (cmd) {
	case CDM_TEST_ONLINE:
		return cdm_device_online(cdm);
	case CDM_TEST_OFFLINE:
		return cdm_device_offline(cdm, seconds);
	default:
		return cdm_device_cancel(cdm);
	}
}

static long do_retire(struct cdm_test_file *file, u64 addr)
{
	struct cdm_device *cdm = device_of(file);

	return cdm ? cdm_retire_page(cdm, addr) : -ENODEV;
}

static long do_remove(struct cdm_test_file *file)
{
	struct cdm_device *cdm = device_of(file);

	if (!cdm)
		return -ENXIO;
	cdm_device_remove(cdm);
	file->registered = NULL;
	return 0;
}

/* Their places now; 0, which is RAM that nobody moves, for what is nowhere */
static unsigned long *locate_all(const struct cdm_test_migrate *req)
{
	unsigned long *pfns = kvcalloc(req->nr, sizeof(*pfns), GFP_KERNEL);
	unsigned long i;
	u64 phys;

	for (i = 0; pfns && i < req->nr; i++)
		if (req->by_pfn == 2)
			pfns[i] = PHYS_PFN(req->addr) + i;
		else if (cdm_locate(current->mm, req->addr + i * PAGE_SIZE, &phys) >= 0)
			pfns[i] = PHYS_PFN(phys);
	return pfns;
}

static long do_migrate(struct cdm_test_migrate *req)
{
	unsigned long *pfns __free(kvfree) = NULL;
	int *status __free(kvfree) = NULL;
	struct cdm_device *to = NULL;

	if (req->status) {
		status = kvcalloc(req->nr, sizeof(*status), GFP_KERNEL);
		if (!status)
			return -ENOMEM;
	}
	if (req->nid >= 0) {
		to = cdm_device_find(req->nid);
		if (!to)
			return -ENXIO;
	}
	if (req->by_pfn)
		pfns = locate_all(req);
	if (pfns)
		req->moved = cdm_migrate_pfns(to, pfns, req->nr, status);
	else
		req->moved = cdm_migrate_range(to, current->mm, req->addr, req->nr, status);
	if (to)
		cdm_device_put(to);
	if (req->moved < 0)
		return req->moved;
	return status && copy_to_user(u64_to_user_ptr(req->status), status,
				      req->nr * sizeof(*status)) ? -EFAULT : 0;
}

static bool count_ours(struct mm_struct *mm, unsigned long addr, void *arg)
{
	struct cdm_test_locate *req = arg;

	req->ours += mm == current->mm && addr == (req->addr & PAGE_MASK);
	return !req->first_only;
}

static long do_locate(struct cdm_test_locate *req)
{
	struct cdm_device *cdm;

	if (req->addr)
		req->nid = cdm_locate(current->mm, req->addr, &req->phys);
	req->device_nid = -1;
	if (req->nid < 0)
		return req->nid;
	cdm = cdm_device_at(req->phys);
	if (cdm) {
		req->device_nid = cdm_device_nid(cdm);
		cdm_device_put(cdm);
	}
	req->mappings = cdm_walk_mappings(req->phys, count_ours, req);
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
		struct cdm_test_counts counts;
		struct cdm_test_back back;
		struct cdm_test_migrate migrate;
		struct cdm_test_locate locate;
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
	case CDM_TEST_MISFREE:
		rc = do_misfree(file, arg);
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
	case CDM_TEST_COUNTS:
		do_counts(file, &req.counts);
		rc = 0;
		break;
	case CDM_TEST_BACK:
		rc = do_back(file, &req.back);
		break;
	case CDM_TEST_MIGRATE:
		rc = do_migrate(&req.migrate);
		break;
	case CDM_TEST_LOCATE:
		rc = do_locate(&req.locate);
		break;
	case CDM_TEST_LOST:
		rc = do_lost(file);
		break;
	case CDM_TEST_ONLINE:
	case CDM_TEST_OFFLINE:
	case CDM_TEST_CANCEL:
		rc = do_change(file, cmd, arg);
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
	init_rwsem(&file->source_lock);
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
