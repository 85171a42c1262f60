/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Coherent device memory: what a program can do with /dev/cdmN.
 *
 * mmap() with MAP_SHARED gives memory of the device, whatever the process's memory policies
 * and cpuset say; read() and write() reach it, too. Each open file has memory of its own. Who
 * touches a page when the device, or the file's quota, is exhausted, or the device is not
 * online, gets SIGBUS, and write() fails with ENOSPC.
 *
 * Every structure begins with its size, which the program fills in: a kernel that knows a
 * larger one takes what is missing as 0 and leaves it out of its answer, one that knows a
 * smaller one refuses (E2BIG) what it does not know, unless it is 0. Smaller than it was at first
 * (..._SIZE_VER0, in bytes) none can be. Flags that are not known are refused (EINVAL).
 */
#ifndef _UAPI_LINUX_CDM_H
#define _UAPI_LINUX_CDM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct cdm_ioc_info - the device, and what the file has of it; all sizes in bytes
 * @size: of this structure; out: of the one that the kernel knows
 * @flags: 0
 * @node: the device's NUMA node
 * @reserved: 0
 * @device_size: the device's memory
 * @online_size: what of it is online
 * @free_size: what of that is free
 * @quota: how much the file may have
 * @used: how much it has, wherever that is at the moment
 */
struct cdm_ioc_info {
	__u32 size;
	__u32 flags;
	__s32 node;
	__u32 reserved;
	__u64 device_size;
	__u64 online_size;
	__u64 free_size;
	__u64 quota;
	__u64 used;
};

#define CDM_IOC_INFO_SIZE_VER0	56

/**
 * struct cdm_ioc_quota - how much the file may have
 * @size: of this structure
 * @flags: 0
 * @quota: bytes, not 0, rounded up to pages; the device's size to begin with
 */
struct cdm_ioc_quota {
	__u32 size;
	__u32 flags;
	__u64 quota;
};

#define CDM_IOC_QUOTA_SIZE_VER0	16

/* Move to system RAM, not to the device: RAM that is the process's, and its cgroup's */
#define CDM_MIGRATE_TO_RAM	(1 << 0)

/**
 * struct cdm_ioc_migrate - move what the calling process has at an address
 * @size: of this structure
 * @flags: CDM_MIGRATE_TO_RAM or 0
 * @addr: where it begins, a multiple of the page size
 * @length: bytes, a multiple of the page size, at most 1 GiB at a time
 * @status: address of an array of a __s32 for each page, or 0; out: 0, or a negative errno
 *	that says why the page is not there: ENOENT none was touched yet, or it is swapped out
 *	or on its way elsewhere, EFAULT nothing of a kind that moves is mapped, EBUSY somebody
 *	refers to it, ENOMEM no room, EOPNOTSUPP hugetlb and the like, EINTR the process was
 *	killed before, EACCES it is others' as well, is of a file that is no device's, or the
 *	file's quota was lowered and it is not of a file of the device
 * @moved: out: how many pages are where they should be
 */
struct cdm_ioc_migrate {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 length;
	__u64 status;
	__u64 moved;
};

#define CDM_IOC_MIGRATE_SIZE_VER0	40

/* Errors of all: EFAULT, E2BIG, EINVAL for a size that is too small and for unknown flags */
#define CDM_IOC_INFO		_IOWR(0xcd, 0x10, struct cdm_ioc_info)

/*
 * EINVAL: 0, or more than the device has; EBUSY: it has more already; EPERM: more than before,
 * without CAP_SYS_RESOURCE
 */
#define CDM_IOC_QUOTA		_IOW(0xcd, 0x11, struct cdm_ioc_quota)

/*
 * EINVAL: what is not whole pages, none, or more than 1 GiB; EBADF: not open for writing;
 * ENODEV: the device is not online; ENOMEM; EOPNOTSUPP: the kernel has no CONFIG_CDM
 */
#define CDM_IOC_MIGRATE		_IOWR(0xcd, 0x12, struct cdm_ioc_migrate)

#endif /* _UAPI_LINUX_CDM_H */
