// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: /dev/cdmN, memory of a device for user space.
 *
 * The file's permissions say who gets it, so that neither policies nor cpusets matter. The
 * memory itself is a file of mm's (mm/cdm_file.c), one for each time that the device file is
 * opened; what is mapped is that one, and stays when the device file is closed.
 */
#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/cdm.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/xarray.h>

#include <uapi/linux/cdm.h>

#include "cdm_core.h"

/* What one call moves at most: an array of this many pages' states is allocated for it */
#define MIGRATE_MAX SZ_1G

static dev_t cdm_devt;

/* Devices by minor number: an open() holds the lock until it has its reference */
static DEFINE_XARRAY(cdm_minors);

/* An open file */
struct cdm_file {
	struct cdm_device *cdm;
	struct file *memory;
};

static struct cdm_device *get_by_minor(unsigned int minor)
{
	struct cdm_device *cdm;

	xa_lock(&cdm_minors);
	cdm = xa_load(&cdm_minors, minor);
	if (cdm)
		get_device(&cdm->dev);
	xa_unlock(&cdm_minors);
	return cdm;
}

static int cdm_file_open(struct inode *inode, struct file *filp)
{
	struct cdm_device *cdm = get_by_minor(iminor(inode));
	struct cdm_file *file;

	if (!cdm)
		return -ENODEV;
	file = kzalloc_obj(*file, GFP_KERNEL_ACCOUNT);
	if (!file) {
		put_device(&cdm->dev);
		return -ENOMEM;
	}
	file->cdm = cdm;
	file->memory = cdm_node_create_file(cdm->config.nid, cdm->node_ops.id, cdm->size);
	if (IS_ERR(file->memory)) {
		int rc = PTR_ERR(file->memory);

		kfree(file);
		put_device(&cdm->dev);
		return rc;
	}
	filp->private_data = file;
	return 0;
}

static int cdm_file_release(struct inode *inode, struct file *filp)
{
	struct cdm_file *file = filp->private_data;

	fput(file->memory);
	put_device(&file->cdm->dev);
	kfree(file);
	return 0;
}

/*
 * The memory's own file from here on. A private mapping would be of system RAM. A shared one
 * that can only be read has VM_MAYSHARE alone.
 */
static int cdm_file_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct cdm_file *file = filp->private_data;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	vma_set_file(vma, file->memory);
	return vfs_mmap(file->memory, vma);
}

static unsigned long cdm_file_unmapped_area(struct file *filp, unsigned long addr,
					    unsigned long len, unsigned long pgoff,
					    unsigned long flags)
{
	struct cdm_file *file = filp->private_data;

	return file->memory->f_op->get_unmapped_area(file->memory, addr, len, pgoff, flags);
}

static ssize_t cdm_file_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct cdm_file *file = iocb->ki_filp->private_data;

	return vfs_iter_read(file->memory, to, &iocb->ki_pos, 0);
}

static ssize_t cdm_file_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct cdm_file *file = iocb->ki_filp->private_data;
	ssize_t rc;

	if (iocb->ki_pos >= file->cdm->size)
		return iov_iter_count(from) ? -ENOSPC : 0;
	iov_iter_truncate(from, file->cdm->size - iocb->ki_pos);
	rc = vfs_iter_write(file->memory, from, &iocb->ki_pos, 0);
	return rc == -ENOMEM ? -ENOSPC : rc;
}

static loff_t cdm_file_llseek(struct file *filp, loff_t offset, int whence)
{
	struct cdm_file *file = filp->private_data;

	return fixed_size_llseek(filp, offset, whence, file->cdm->size);
}

/*
 * A structure of user space that begins with its size, of at least @ver0 bytes, into one of ours
 * of @size bytes, which begins with user space's size then
 */
static int read_request(void *req, size_t size, size_t ver0, void __user *user)
{
	u32 usize;
	int rc;

	if (get_user(usize, (u32 __user *)user))
		return -EFAULT;
	if (usize < ver0)
		return -EINVAL;
	if (usize > PAGE_SIZE)
		return -E2BIG;
	rc = copy_struct_from_user(req, size, user, usize);
	/* It may have been changed since */
	*(u32 *)req = usize;
	return rc;
}

/* An answer of @size bytes; a program that is older than its last members has no room for them */
static int write_answer(const void *answer, size_t size, void __user *user, size_t usize)
{
	return copy_to_user(user, answer, min(size, usize)) ? -EFAULT : 0;
}

static long do_info(struct cdm_file *file, void __user *user)
{
	struct cdm_device *cdm = file->cdm;
	struct cdm_ioc_info info;
	u32 usize;
	int rc = read_request(&info, sizeof(info), CDM_IOC_INFO_SIZE_VER0, user);

	if (rc)
		return rc;
	if (info.flags || info.reserved)
		return -EINVAL;
	usize = info.size;
	info.size = sizeof(info);
	info.node = cdm->config.nid;
	info.device_size = cdm->size;
	info.online_size = PFN_PHYS(READ_ONCE(cdm->online_pages));
	info.free_size = PFN_PHYS(cdm_device_free_pages(cdm));
	info.quota = cdm_node_file_quota(file->memory);
	info.used = cdm_node_file_used(file->memory);
	return write_answer(&info, sizeof(info), user, usize);
}

/* Who passes the file on may want it to stay as it is */
static long do_quota(struct cdm_file *file, void __user *user)
{
	struct cdm_ioc_quota req;
	int rc = read_request(&req, sizeof(req), CDM_IOC_QUOTA_SIZE_VER0, user);

	if (rc)
		return rc;
	if (req.flags || !req.quota || req.quota > file->cdm->size)
		return -EINVAL;
	rc = cdm_node_file_set_quota(file->memory, req.quota, false);
	/* Asked only where it matters: each time it is not so is in the audit log */
	if (rc == -EPERM && capable(CAP_SYS_RESOURCE))
		rc = cdm_node_file_set_quota(file->memory, req.quota, true);
	return rc;
}

/* With a quota that was lowered, nothing gets to the device beside what is counted in it */
static long migrate_own(struct cdm_file *file, const struct cdm_ioc_migrate *req,
			unsigned long nr, int *status)
{
	struct cdm_device *to = req->flags & CDM_MIGRATE_TO_RAM ? NULL : file->cdm;
	bool lowered = cdm_node_file_quota(file->memory) < file->cdm->size;

	return cdm_migrate_whose(to, current->mm, req->addr, nr, status,
				 to && lowered ? CDM_MIGRATE_FILES : CDM_MIGRATE_OWN);
}

static long do_migrate(struct cdm_file *file, void __user *user)
{
	int *status __free(kvfree) = NULL;
	struct cdm_ioc_migrate req;
	unsigned long nr;
	long rc = read_request(&req, sizeof(req), CDM_IOC_MIGRATE_SIZE_VER0, user);

	if (rc)
		return rc;
	if ((req.flags & ~CDM_MIGRATE_TO_RAM) || !PAGE_ALIGNED(req.addr) ||
	    !PAGE_ALIGNED(req.length) || !req.length || req.length > MIGRATE_MAX ||
	    req.addr + req.length < req.addr)
		return -EINVAL;

	nr = req.length >> PAGE_SHIFT;
	if (req.status) {
		status = kvmalloc_array(nr, sizeof(*status), GFP_KERNEL_ACCOUNT);
		if (!status)
			return -ENOMEM;
	}
	rc = migrate_own(file, &req, nr, status);
	if (rc < 0)
		return rc;
	req.moved = rc;
	if (status && copy_to_user(u64_to_user_ptr(req.status), status, nr * sizeof(*status)))
		return -EFAULT;
	return write_answer(&req, sizeof(req), user, req.size);
}

static long cdm_file_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct cdm_file *file = filp->private_data;
	void __user *user = (void __user *)arg;

	/* By number: the size in it is that of the caller's structure, and may be another */
	switch (_IOC_TYPE(cmd) == _IOC_TYPE(CDM_IOC_INFO) ? _IOC_NR(cmd) : -1) {
	case _IOC_NR(CDM_IOC_INFO):
		return do_info(file, user);
	case _IOC_NR(CDM_IOC_QUOTA):
		return do_quota(file, user);
	case _IOC_NR(CDM_IOC_MIGRATE):
		return filp->f_mode & FMODE_WRITE ? do_migrate(file, user) : -EBADF;
	default:
		return -ENOTTY;
	}
}

static const struct file_operations cdm_file_fops = {
	.owner = THIS_MODULE,
	.open = cdm_file_open,
	.release = cdm_file_release,
	.mmap = cdm_file_mmap,
	.get_unmapped_area = cdm_file_unmapped_area,
	.read_iter = cdm_file_read,
	.write_iter = cdm_file_write,
	.llseek = cdm_file_llseek,
	.unlocked_ioctl = cdm_file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct cdev cdm_cdev;

/* The device has its number, and so its file, from before it is published */
int cdm_chardev_add(struct cdm_device *cdm)
{
	cdm->dev.devt = MKDEV(MAJOR(cdm_devt), cdm->dev.id);
	return xa_err(xa_store(&cdm_minors, cdm->dev.id, cdm, GFP_KERNEL));
}
ALLOW_ERROR_INJECTION(cdm_chardev_add, ERRNO);

/* Nobody opens it any more; who has it open keeps the structure */
void cdm_chardev_del(struct cdm_device *cdm)
{
	xa_erase(&cdm_minors, cdm->dev.id);
}

int __init cdm_chardev_init(void)
{
	int rc = alloc_chrdev_region(&cdm_devt, 0, MINORMASK + 1, "cdm");

	if (rc)
		return rc;
	cdev_init(&cdm_cdev, &cdm_file_fops);
	rc = cdev_add(&cdm_cdev, cdm_devt, MINORMASK + 1);
	if (rc)
		unregister_chrdev_region(cdm_devt, MINORMASK + 1);
	return rc;
}

void cdm_chardev_exit(void)
{
	cdev_del(&cdm_cdev);
	unregister_chrdev_region(cdm_devt, MINORMASK + 1);
}
