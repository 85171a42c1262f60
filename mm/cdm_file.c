// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: files whose pages are a device's, for the driver core's /dev/cdmN.
 *
 * They are files of tmpfs, so mmap, fork, mremap, mlock, userfaultfd, GUP and migration work
 * on them as on any shared memory. What differs: where the pages come from; that there is no
 * waiting for more and no OOM killer when there are none, but SIGBUS and ENOSPC; and what
 * they count in, the file's quota instead of a file system's size and the commit limit of
 * system RAM.
 *
 * Locking: cdm_memory->lock makes quota and use one.
 */
#include <linux/cdm_node.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "cdm.h"

/* What a file has of a device, in pages; lives as long as the inode */
struct cdm_memory {
	spinlock_t lock; /* see above */
	unsigned long used;
	unsigned long quota;
	u64 id;
	int nid;
};

/* Where the files are: a mount of our own for its huge pages, that no user sees */
static struct vfsmount *cdm_mnt;

static struct cdm_memory *cdm_memory_of(const struct address_space *mapping)
{
	return cdm_mapping_private(mapping);
}

bool __cdm_owns_mapping(const struct address_space *mapping)
{
	return test_bit(AS_CDM, &mapping->flags);
}

struct folio *cdm_mapping_folio(struct address_space *mapping, unsigned int order)
{
	const struct cdm_memory *memory = cdm_memory_of(mapping);

	return cdm_alloc_for_file(memory->nid, memory->id, order);
}

/* Is such a file of the device that has the node now, and not of one before it? */
bool cdm_mapping_is_of(const struct address_space *mapping, int nid)
{
	const struct cdm_memory *memory = cdm_memory_of(mapping);

	return memory->nid == nid && memory->id == cdm_registration_of(nid);
}

int cdm_mapping_charge(struct address_space *mapping, long pages)
{
	struct cdm_memory *memory = cdm_memory_of(mapping);
	int rc = -ENOSPC;

	spin_lock(&memory->lock);
	if (memory->used + pages <= memory->quota) {
		memory->used += pages;
		rc = 0;
	}
	spin_unlock(&memory->lock);
	return rc;
}

void __cdm_mapping_uncharge(struct address_space *mapping, long pages)
{
	struct cdm_memory *memory = cdm_memory_of(mapping);

	spin_lock(&memory->lock);
	memory->used -= pages;
	spin_unlock(&memory->lock);
}

void __cdm_mapping_evict(struct address_space *mapping)
{
	struct cdm_memory *memory = cdm_memory_of(mapping);

	WARN_ON_ONCE(memory->used);
	kfree(memory);
}

/* What went to RAM with its device is RAM: it may be paged out */
bool cdm_folio_has_left(const struct folio *folio)
{
	/* It may just have been truncated */
	const struct address_space *mapping = READ_ONCE(folio->mapping);

	return mapping && cdm_owns_mapping(mapping) && !node_is_cdm(folio_nid(folio));
}

/**
 * cdm_node_create_file() - create a file whose pages are a device's
 * @nid: the device's node
 * @id: the device's registration, as in struct cdm_node_ops
 * @size: bytes, which are the quota at first
 *
 * It gets pages of that device, and of none that has the node after it.
 *
 * Context: Process context. Sleeps.
 * Return: the file, to be given to fput(); -ENOMEM, -ENODEV where there is no tmpfs, or the
 * device has not got the node any more.
 */
struct file *cdm_node_create_file(int nid, u64 id, u64 size)
{
	struct address_space *mapping;
	struct cdm_memory *memory;
	struct file *file;

	if (!cdm_mnt || id != cdm_registration_of(nid))
		return ERR_PTR(-ENODEV);
	memory = kmalloc_obj(*memory, GFP_KERNEL_ACCOUNT);
	if (!memory)
		return ERR_PTR(-ENOMEM);
	file = shmem_file_setup_with_mnt(cdm_mnt, "cdm", size, cdm_noreserve());
	if (IS_ERR(file)) {
		kfree(memory);
		return file;
	}
	/* Else nobody writes beyond 2 GiB of it */
	file->f_flags |= O_LARGEFILE;
	*memory = (struct cdm_memory) { .nid = nid, .id = id, .quota = PFN_UP(size) };
	spin_lock_init(&memory->lock);
	mapping = file->f_mapping;
	cdm_mapping_private(mapping) = memory;
	/* For charges and the page cache's nodes: without memcg's OOM killer (cdm_mapping_gfp()) */
	mapping_set_gfp_mask(mapping, GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	mapping_set_unevictable(mapping);
	set_bit(AS_CDM, &mapping->flags);
	return file;
}
EXPORT_SYMBOL_GPL(cdm_node_create_file);
ALLOW_ERROR_INJECTION(cdm_node_create_file, ERRNO);

/**
 * cdm_node_file_used() - how much a file has
 * @file: of cdm_node_create_file()
 *
 * Context: Any.
 * Return: bytes.
 */
u64 cdm_node_file_used(struct file *file)
{
	return (u64)READ_ONCE(cdm_memory_of(file->f_mapping)->used) << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(cdm_node_file_used);

/**
 * cdm_node_file_quota() - how much a file may have
 * @file: of cdm_node_create_file()
 *
 * Context: Any.
 * Return: bytes.
 */
u64 cdm_node_file_quota(struct file *file)
{
	return (u64)READ_ONCE(cdm_memory_of(file->f_mapping)->quota) << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(cdm_node_file_quota);

/**
 * cdm_node_file_set_quota() - change how much a file may have
 * @file: of cdm_node_create_file()
 * @bytes: rounded up to pages, not 0
 * @may_raise: it may be more than before
 *
 * Context: Process context.
 * Return: 0; -EBUSY when it has more already; -EPERM when it would be raised and must not.
 */
int cdm_node_file_set_quota(struct file *file, u64 bytes, bool may_raise)
{
	struct cdm_memory *memory = cdm_memory_of(file->f_mapping);
	int rc = -EBUSY;

	spin_lock(&memory->lock);
	if (PFN_UP(bytes) > memory->quota && !may_raise) {
		rc = -EPERM;
	} else if (memory->used <= PFN_UP(bytes)) {
		WRITE_ONCE(memory->quota, PFN_UP(bytes));
		rc = 0;
	}
	spin_unlock(&memory->lock);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_node_file_set_quota);

static int __init cdm_mount_files(void)
{
	struct file_system_type *tmpfs = get_fs_type("tmpfs");
	char huge[] = "huge=within_size";
	struct vfsmount *mnt;

	if (!tmpfs)
		return 0;
	mnt = vfs_kern_mount(tmpfs, SB_KERNMOUNT, "cdm", has_transparent_hugepage() ? huge : NULL);
	put_filesystem(tmpfs);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	cdm_mnt = mnt;
	return 0;
}
fs_initcall(cdm_mount_files);
