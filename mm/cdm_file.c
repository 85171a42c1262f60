// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: files whose pages are a device's, for the driver core's /dev/cdmN.
 *
 * They are files of tmpfs, each on a mount of its own whose size is the file's quota: so
 * mmap, fork, mremap, mlock, userfaultfd, GUP and migration work on them as on any shared
 * memory. Only where the pages come from differs, and that there is no waiting for more and
 * no OOM killer when there are none: SIGBUS, ENOSPC.
 */
#include <linux/cdm_node.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/percpu_counter.h>
#include <linux/shmem_fs.h>

#include "cdm.h"

bool __cdm_owns_mapping(const struct address_space *mapping)
{
	return test_bit(AS_CDM, &mapping->flags);
}

struct folio *cdm_mapping_folio(struct address_space *mapping, unsigned int order)
{
	return cdm_alloc_for_file(xa_to_value(mapping->i_private_data), order);
}

static struct vfsmount *cdm_mount(u64 size)
{
	struct file_system_type *tmpfs = get_fs_type("tmpfs");
	struct vfsmount *mnt;
	char options[48];

	if (!tmpfs)
		return ERR_PTR(-ENODEV);
	snprintf(options, sizeof(options), "size=%llu%s", size,
		 has_transparent_hugepage() ? ",huge=within_size" : "");
	mnt = vfs_kern_mount(tmpfs, SB_KERNMOUNT, "cdm", options);
	put_filesystem(tmpfs);
	return mnt;
}

/**
 * cdm_node_create_file() - create a file whose pages are a device's
 * @nid: the device's node
 * @size: bytes
 *
 * Context: Process context. Sleeps.
 * Return: the file, to be given to fput(); -ENOMEM, -ENODEV where there is no tmpfs.
 */
struct file *cdm_node_create_file(int nid, u64 size)
{
	struct vfsmount *mnt = cdm_mount(size);
	struct address_space *mapping;
	struct file *file;

	if (IS_ERR(mnt))
		return ERR_CAST(mnt);
	file = shmem_file_setup_with_mnt(mnt, "cdm", size, VM_NORESERVE);
	/* The file keeps it from here on */
	mntput(mnt);
	if (IS_ERR(file))
		return file;
	mapping = file->f_mapping;
	/* Its node, by a value that no pointer has */
	mapping->i_private_data = xa_mk_value(nid);
	/* For what is allocated beside the pages: without the OOM killer, of no cgroup either */
	mapping_set_gfp_mask(mapping, GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	mapping_set_unevictable(mapping);
	set_bit(AS_CDM, &mapping->flags);
	return file;
}
EXPORT_SYMBOL_GPL(cdm_node_create_file);
ALLOW_ERROR_INJECTION(cdm_node_create_file, ERRNO);

static struct shmem_sb_info *cdm_sbinfo(struct file *file)
{
	return file_inode(file)->i_sb->s_fs_info;
}

/**
 * cdm_node_file_used() - how much a file has
 * @file: of cdm_node_create_file()
 *
 * Context: Process context.
 * Return: bytes.
 */
u64 cdm_node_file_used(struct file *file)
{
	struct shmem_sb_info *sbinfo = cdm_sbinfo(file);

	return percpu_counter_sum_positive(&sbinfo->used_blocks) << PAGE_SHIFT;
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
	return (u64)READ_ONCE(cdm_sbinfo(file)->max_blocks) << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(cdm_node_file_quota);

/**
 * cdm_node_file_set_quota() - change how much a file may have
 * @file: of cdm_node_create_file()
 * @bytes: rounded up to pages, not 0
 *
 * Context: Process context.
 * Return: 0; -EBUSY when it has more already.
 */
int cdm_node_file_set_quota(struct file *file, u64 bytes)
{
	struct shmem_sb_info *sbinfo = cdm_sbinfo(file);
	unsigned long blocks = PFN_UP(bytes);
	int rc = 0;

	raw_spin_lock(&sbinfo->stat_lock);
	if (percpu_counter_compare(&sbinfo->used_blocks, blocks) > 0)
		rc = -EBUSY;
	else
		WRITE_ONCE(sbinfo->max_blocks, blocks);
	raw_spin_unlock(&sbinfo->stat_lock);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_node_file_set_quota);
