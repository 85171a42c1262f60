// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory on an unmodified kernel: files whose pages are a device's, for
 * /dev/cdmN. What mm/cdm_file.c does with tmpfs, which follows policies that a module cannot
 * set, is a file system of its own here, of page cache that is never written anywhere.
 *
 * Its pages are on the LRU, marked as unevictable, and migrate: so drain, mlock, fork, mremap
 * and GUP work on them as on any file's.
 *
 * Locking: stock_file->lock makes quota and use one; what the page cache has of it may only
 * get less meanwhile. files_lock protects the list of files.
 */

#include <linux/cdm.h>
#include <linux/err.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/uio.h>

#include "mm_stock.h"

#define STOCK_FS_MAGIC 0x63646d73

/* What a file may have of a device, in pages; lives as long as the inode */
struct stock_file {
	struct list_head list;
	struct inode *inode;
	spinlock_t lock; /* see above */
	unsigned long coming;
	unsigned long quota;
	u64 id;
	int nid;
	bool lost;
};

static DEFINE_MUTEX(files_lock);
static LIST_HEAD(files);

/* Mounted while there are files, so that the module stays as long as they do, and no longer */
static struct vfsmount *files_mnt;
static int files_pins;

/* A device does not go while one of its functions is at work */
DEFINE_STATIC_SRCU(stock_ops_srcu);

int cdm_node_set_ops(int nid, const struct cdm_node_ops *ops)
{
	WRITE_ONCE(stock_node(nid)->ops, ops);
	if (!ops)
		synchronize_srcu(&stock_ops_srcu);
	return 0;
}

/* Which of the devices that have had a node has it now; 0 for none */
static u64 registration_of(int nid)
{
	const struct cdm_node_ops *ops;
	int idx = srcu_read_lock(&stock_ops_srcu);
	u64 id;

	ops = READ_ONCE(stock_node(nid)->ops);
	id = ops ? ops->id : 0;
	srcu_read_unlock(&stock_ops_srcu, idx);
	return id;
}

/* A folio of the device @id; NULL when there is none, or it has gone */
static struct folio *alloc_folio(int nid, u64 id, unsigned int order)
{
	const struct cdm_node_ops *ops;
	struct folio *folio = NULL;
	int idx = srcu_read_lock(&stock_ops_srcu);

	ops = READ_ONCE(stock_node(nid)->ops);
	if (ops && ops->id == id)
		folio = ops->alloc(ops, order);
	srcu_read_unlock(&stock_ops_srcu, idx);
	return folio;
}

static struct stock_file *file_of(const struct address_space *mapping)
{
	return mapping->host->i_private;
}

/* What the page cache has counts by itself; what is on its way there counts until it is */
static bool begin_adding(struct stock_file *file, unsigned long pages)
{
	bool fits;

	spin_lock(&file->lock);
	fits = !file->lost &&
	       file->inode->i_mapping->nrpages + file->coming + pages <= file->quota;
	if (fits)
		file->coming += pages;
	spin_unlock(&file->lock);
	return fits;
}

static void end_adding(struct stock_file *file, unsigned long pages)
{
	spin_lock(&file->lock);
	file->coming -= pages;
	spin_unlock(&file->lock);
}

static void clear_folio(struct folio *folio)
{
	long i;

	if (folio_test_uptodate(folio))
		return;
	for (i = 0; i < folio_nr_pages(folio); i++) {
		clear_highpage(folio_page(folio, i));
		cond_resched();
	}
	folio_mark_uptodate(folio);
}

/* A folio that is cleared, and nobody's yet, into the file; locked */
static struct folio *add_folio(struct address_space *mapping, pgoff_t index, unsigned int order)
{
	const struct stock_file *file = file_of(mapping);
	struct folio *folio = alloc_folio(file->nid, file->id, order);
	int rc;

	if (!folio)
		return ERR_PTR(-ENOSPC);
	clear_folio(folio);
	rc = filemap_add_folio(mapping, folio, round_down(index, 1UL << order),
			       mapping_gfp_mask(mapping));
	if (!rc)
		return folio;
	folio_put(folio);
	return ERR_PTR(rc == -ENOMEM ? -ENOSPC : rc);
}

/* -EEXIST when somebody else was faster, -ENOSPC when there is no more */
static struct folio *new_folio(struct address_space *mapping, pgoff_t index, unsigned int order)
{
	struct stock_file *file = file_of(mapping);
	struct folio *folio;

	if (!begin_adding(file, 1UL << order))
		return ERR_PTR(-ENOSPC);
	folio = add_folio(mapping, index, order);
	end_adding(file, 1UL << order);
	return folio;
}

/* The folio at @index, locked; a new one of @order or of a single page where there is none */
static struct folio *get_folio(struct address_space *mapping, pgoff_t index, unsigned int order)
{
	struct folio *folio;

	for (;;) {
		folio = stock_lock_folio(mapping, index);
		if (folio)
			return folio;
		folio = order ? new_folio(mapping, index, order) : ERR_PTR(-ENOSPC);
		if (IS_ERR(folio))
			folio = new_folio(mapping, index, 0);
		if (PTR_ERR_OR_ZERO(folio) != -EEXIST)
			return folio;
	}
}

/* How large a folio may be at @index: as large as a huge page, or a single page */
static unsigned int order_at(struct address_space *mapping, pgoff_t index)
{
	loff_t end = (loff_t)round_up(index + 1, HPAGE_PMD_NR) << PAGE_SHIFT;

	return end <= i_size_read(mapping->host) ? HPAGE_PMD_ORDER : 0;
}

/* And for a fault: only where it can be mapped whole */
static unsigned int order_for(struct vm_fault *vmf)
{
	unsigned long first = round_down(vmf->pgoff, HPAGE_PMD_NR);
	unsigned long start = (vmf->address & PAGE_MASK) - ((vmf->pgoff - first) << PAGE_SHIFT);
	struct vm_area_struct *vma = vmf->vma;

	if (!IS_ALIGNED(start, HPAGE_PMD_SIZE) || start < vma->vm_start ||
	    start + HPAGE_PMD_SIZE > vma->vm_end || (vma->vm_flags & VM_NOHUGEPAGE))
		return 0;
	return order_at(vma->vm_file->f_mapping, vmf->pgoff);
}

static vm_fault_t stock_fault(struct vm_fault *vmf)
{
	struct address_space *mapping = vmf->vma->vm_file->f_mapping;
	struct folio *folio;

	if ((loff_t)vmf->pgoff << PAGE_SHIFT >= i_size_read(mapping->host))
		return VM_FAULT_SIGBUS;
	filemap_invalidate_lock_shared(mapping);
	folio = get_folio(mapping, vmf->pgoff, order_for(vmf));
	filemap_invalidate_unlock_shared(mapping);
	if (IS_ERR(folio))
		return VM_FAULT_SIGBUS;
	vmf->page = folio_file_page(folio, vmf->pgoff);
	if (!PageHWPoison(vmf->page))
		return VM_FAULT_LOCKED;
	folio_unlock(folio);
	folio_put(folio);
	return VM_FAULT_HWPOISON;
}

static const struct vm_operations_struct stock_vm_ops = {
	.fault = stock_fault,
	.map_pages = filemap_map_pages,
};

static int stock_mmap(struct file *filp, struct vm_area_struct *vma)
{
	vma->vm_ops = &stock_vm_ops;
	return 0;
}

/* At most one page at a time; returns bytes, or an error where there was not one */
static ssize_t read_some(struct address_space *mapping, loff_t pos, struct iov_iter *to)
{
	size_t offset = offset_in_page(pos);
	size_t part = min_t(size_t, iov_iter_count(to), PAGE_SIZE - offset), done;
	struct folio *folio = stock_get_folio(mapping, pos >> PAGE_SHIFT);
	struct page *page;
	bool is_bad;

	/* Pairs with the lock in lose_file(): what is not there because it is lost is no zeroes */
	smp_rmb();
	if (READ_ONCE(file_of(mapping)->lost)) {
		if (folio)
			folio_put(folio);
		return -EIO;
	}
	if (!folio) {
		done = iov_iter_zero(part, to);
	} else {
		page = folio_file_page(folio, pos >> PAGE_SHIFT);
		is_bad = PageHWPoison(page);
		done = is_bad ? 0 : copy_page_to_iter(page, offset, part, to);
		folio_put(folio);
		if (is_bad)
			return -EIO;
	}
	return done ? done : -EFAULT;
}

static ssize_t stock_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	loff_t size = i_size_read(mapping->host);
	ssize_t done = 0, part = 0;

	if (iocb->ki_pos >= size)
		return 0;
	iov_iter_truncate(to, size - iocb->ki_pos);
	while (iov_iter_count(to)) {
		part = fatal_signal_pending(current) ? -EINTR :
			read_some(mapping, iocb->ki_pos, to);
		if (part < 0)
			break;
		iocb->ki_pos += part;
		done += part;
		cond_resched();
	}
	return done ? done : part;
}

static ssize_t write_some(struct address_space *mapping, loff_t pos, struct iov_iter *from)
{
	size_t offset = offset_in_page(pos);
	size_t part = min_t(size_t, iov_iter_count(from), PAGE_SIZE - offset), done;
	struct folio *folio;
	struct page *page;
	bool is_bad;

	/* Before the folio is locked: it may be the one that is read from */
	if (fault_in_iov_iter_readable(from, part) == part)
		return -EFAULT;
	filemap_invalidate_lock_shared(mapping);
	folio = get_folio(mapping, pos >> PAGE_SHIFT, order_at(mapping, pos >> PAGE_SHIFT));
	filemap_invalidate_unlock_shared(mapping);
	if (IS_ERR(folio))
		return READ_ONCE(file_of(mapping)->lost) ? -EIO : PTR_ERR(folio);
	page = folio_file_page(folio, pos >> PAGE_SHIFT);
	is_bad = PageHWPoison(page);
	done = is_bad ? 0 : copy_page_from_iter_atomic(page, offset, part, from);
	/* What is clean, mm may drop: memory_failure() does, and who takes a page out of use */
	if (done)
		folio_mark_dirty(folio);
	folio_unlock(folio);
	folio_put(folio);
	return is_bad ? -EIO : done;
}

static ssize_t stock_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct address_space *mapping = iocb->ki_filp->f_mapping;
	ssize_t done = 0, part = 0;

	while (iov_iter_count(from)) {
		part = fatal_signal_pending(current) ? -EINTR :
			write_some(mapping, iocb->ki_pos, from);
		if (part < 0)
			break;
		iocb->ki_pos += part;
		done += part;
		cond_resched();
	}
	return done ? done : part;
}

/* MADV_REMOVE: what is given back is the device's again */
static long stock_fallocate(struct file *filp, int mode, loff_t offset, loff_t len)
{
	struct address_space *mapping = filp->f_mapping;

	if (mode != (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(len))
		return -EINVAL;
	filemap_invalidate_lock(mapping);
	unmap_mapping_range(mapping, offset, len, 0);
	truncate_inode_pages_range(mapping, offset, offset + len - 1);
	filemap_invalidate_unlock(mapping);
	return 0;
}

static const struct file_operations stock_fops = {
	.mmap = stock_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.read_iter = stock_read,
	.write_iter = stock_write,
	.fallocate = stock_fallocate,
};

/*
 * Only when the device goes. NUMA balancing, a task that enters a cpuset, and whoever pins for
 * long would move its pages to RAM at other times, and compaction from one place on the device
 * to another.
 */
static int stock_migrate_folio(struct address_space *mapping, struct folio *to,
			       struct folio *from, enum migrate_mode mode)
{
	const struct stock_node *node = stock_node(folio_nid(from));

	if (node && !READ_ONCE(node->draining) && !READ_ONCE(node->offlining))
		return -EBUSY;
	return migrate_folio(mapping, to, from, mode);
}

static const struct address_space_operations stock_aops = {
	.dirty_folio = noop_dirty_folio,
	.migrate_folio = stock_migrate_folio,
};

/* Is it a page of such a file? With a reference to the folio. */
bool stock_owns_folio(const struct folio *folio)
{
	/* That of anonymous memory has bits set; a file's may be on its way out */
	const struct address_space *mapping = READ_ONCE(folio->mapping);

	if (!mapping)
		return true;
	return !((unsigned long)mapping & PAGE_MAPPING_FLAGS) && mapping->a_ops == &stock_aops;
}

static void stock_evict_inode(struct inode *inode)
{
	struct stock_file *file = inode->i_private;

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (!file)
		return;
	mutex_lock(&files_lock);
	list_del(&file->list);
	mutex_unlock(&files_lock);
	kfree(file);
	/* The last one's own mount is what holds the module until this has returned */
	simple_release_fs(&files_mnt, &files_pins);
}

static const struct super_operations stock_super_ops = {
	.statfs = simple_statfs,
	.drop_inode = generic_delete_inode,
	.evict_inode = stock_evict_inode,
};

static int stock_init_fs_context(struct fs_context *fc)
{
	struct pseudo_fs_context *ctx = init_pseudo(fc, STOCK_FS_MAGIC);

	if (!ctx)
		return -ENOMEM;
	ctx->ops = &stock_super_ops;
	return 0;
}

static struct file_system_type stock_fs = {
	.name = "cdm",
	.owner = THIS_MODULE,
	.init_fs_context = stock_init_fs_context,
	.kill_sb = kill_anon_super,
};

static struct inode *make_inode(int nid, u64 id, u64 size)
{
	struct stock_file *file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	struct inode *inode;

	if (!file)
		return ERR_PTR(-ENOMEM);
	inode = alloc_anon_inode(files_mnt->mnt_sb);
	if (IS_ERR(inode)) {
		kfree(file);
		return inode;
	}
	inode->i_mode = S_IFREG | 0600;
	/* Not the anonymous inodes' one, which is shared by all of them */
	inode->i_mapping->a_ops = &stock_aops;
	inode->i_size = size;
	mapping_set_gfp_mask(inode->i_mapping,
			     GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	mapping_set_unevictable(inode->i_mapping);
	mapping_set_large_folios(inode->i_mapping);

	file->inode = inode;
	spin_lock_init(&file->lock);
	file->quota = PFN_UP(size);
	file->id = id;
	file->nid = nid;
	inode->i_private = file;
	mutex_lock(&files_lock);
	list_add(&file->list, &files);
	mutex_unlock(&files_lock);
	return inode;
}

struct file *cdm_node_create_file(int nid, u64 id, u64 size)
{
	struct vfsmount *mnt;
	struct inode *inode;
	struct file *filp;
	int rc;

	if (id != registration_of(nid))
		return ERR_PTR(-ENODEV);
	rc = simple_pin_fs(&stock_fs, &files_mnt, &files_pins);
	if (rc)
		return ERR_PTR(rc);
	inode = make_inode(nid, id, size);
	if (IS_ERR(inode)) {
		simple_release_fs(&files_mnt, &files_pins);
		return ERR_CAST(inode);
	}
	/* What can be written, nobody collapses */
	get_write_access(inode);
	filp = alloc_file_pseudo(inode, files_mnt, "cdm", O_RDWR, &stock_fops);
	if (IS_ERR(filp)) {
		/* What a file has: the inode's end must not be that of its file system */
		mnt = mntget(files_mnt);
		iput(inode);
		mntput(mnt);
	}
	return filp;
}

u64 cdm_node_file_used(struct file *filp)
{
	return (u64)READ_ONCE(filp->f_mapping->nrpages) << PAGE_SHIFT;
}

u64 cdm_node_file_quota(struct file *filp)
{
	return (u64)READ_ONCE(file_of(filp->f_mapping)->quota) << PAGE_SHIFT;
}

int cdm_node_file_set_quota(struct file *filp, u64 bytes, bool may_raise)
{
	struct stock_file *file = file_of(filp->f_mapping);
	int rc = -EBUSY;

	spin_lock(&file->lock);
	if (PFN_UP(bytes) > file->quota && !may_raise) {
		rc = -EPERM;
	} else if (filp->f_mapping->nrpages + file->coming <= PFN_UP(bytes)) {
		WRITE_ONCE(file->quota, PFN_UP(bytes));
		rc = 0;
	}
	spin_unlock(&file->lock);
	return rc;
}

/* Its content is gone: the next touch is a SIGBUS. Returns pages. */
static unsigned long lose_file(struct stock_file *file)
{
	struct address_space *mapping = file->inode->i_mapping;
	unsigned long pages;

	spin_lock(&file->lock);
	file->lost = true;
	spin_unlock(&file->lock);
	filemap_invalidate_lock(mapping);
	unmap_mapping_range(mapping, 0, 0, 0);
	pages = mapping->nrpages;
	truncate_inode_pages(mapping, 0);
	filemap_invalidate_unlock(mapping);
	return pages;
}

/* All files of a device that has gone without warning; returns pages */
unsigned long stock_lose_files(int nid)
{
	struct stock_file *file;
	unsigned long pages = 0;

	mutex_lock(&files_lock);
	list_for_each_entry(file, &files, list)
		if (file->nid == nid)
			pages += lose_file(file);
	mutex_unlock(&files_lock);
	return pages;
}
