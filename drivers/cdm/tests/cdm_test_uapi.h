/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* How the selftests talk to /dev/cdm_test. Not an ABI: both sides change together. */
#ifndef _CDM_TEST_UAPI_H
#define _CDM_TEST_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* mmap() of the device maps the single pages that CDM_TEST_ALLOC got, as far as they go */

/* Ways to ask for a page */
enum cdm_test_how {
	CDM_TEST_DRIVER,	/* cdm_alloc_pages() */
	CDM_TEST_HINT,		/* GFP_KERNEL with the node as preferred node */
	CDM_TEST_THISNODE,	/* GFP_KERNEL | __GFP_THISNODE */
	CDM_TEST_MOVABLE_HINT,	/* GFP_HIGHUSER_MOVABLE with the node as preferred node */
	CDM_TEST_BULK,		/* cdm_alloc_pages_bulk(), all of them; order 0 */
	CDM_TEST_LIST,		/* cdm_alloc_pages_list(), likewise */
	CDM_TEST_CONTIG,	/* cdm_alloc_contig() */
	CDM_TEST_IRQS_OFF,	/* cdm_alloc_pages() and cdm_free_pages() with interrupts off */
	CDM_TEST_INTERRUPT,	/* the same in the handler of one */
	CDM_TEST_CONTIG_TRIMMED, /* of half as much again, which goes back at once */
	CDM_TEST_LAST_HOW = CDM_TEST_CONTIG_TRIMMED,
};

/*
 * Allocate up to @count blocks of 2^@order pages and keep them until CDM_TEST_FREE or
 * close. -ENOMEM when not one could be had; fewer than @count is a success.
 */
struct cdm_test_alloc {
	__s32 nid;
	__u32 how;
	__u32 order;
	__u32 flags;		/* CDM_ALLOC_*, where it is the driver's */
	__u64 count;
	__u64 on_node;		/* out: pages on nid */
	__u64 elsewhere;	/* out: pages on other nodes */
	__u64 not_zero;		/* out: pages with a byte at either end that is not 0 */
	__u64 bad;		/* out: pages that are marked as having errors */
};

/* Register memory, as a driver would; one device at a time for each open file */
struct cdm_test_register {
	__u64 start;
	__u64 size;
	__u64 start2;		/* a second range, where size2 is not 0 */
	__u64 size2;
	__u64 bad_page;		/* an address, or 0 */
	__s32 nid;		/* in: CDM_NID_AUTO is -1; out: the node */
	__u32 fallback;
	__u32 online_policy;
	__u32 caps;
	__s32 near;
	__u32 distance;
	__u32 bandwidth;	/* MB/s, to read and to write */
	__u32 latency;		/* ns */
	__u32 gives_back;	/* its ops->drain() frees what CDM_TEST_ALLOC took */
	__u32 evicts;		/* so does ops->evict(), up to so many blocks a call */
	__u32 lies;		/* ops->evict() says that it gave a page, and gives none */
	__u32 scrubs;		/* 1: ops->scrub() clears; 2: it fails */
	__u32 copies;		/* 1: ops->copy() copies; 2: it fails */
	__u64 spill_max;
	char parent[24];	/* a PCI device whose memory it is; "" for nobody's */
};

/* What ops were called for since the registration */
struct cdm_test_counts {
	__u64 evict_calls;
	__u64 scrubbed;		/* pages */
	__u64 copied;		/* pages */
};

/* cdm_bring_back() of every spilled page that the file holds; or of what is not spilled, too */
struct cdm_test_back {
	__u64 all;		/* in: not only of those */
	__u64 back;		/* pages that are on the device now */
	__u64 wrong;		/* whose content has changed */
	__s64 error;		/* why the last one is not */
};

/* Move pages of the calling process as a driver does */
struct cdm_test_migrate {
	__s32 nid;		/* the device's node; -1 for system RAM */
	__u32 by_pfn;		/* 1: cdm_migrate_pfns(), with what cdm_locate() says; 2: */
	__u64 addr;		/* this is a physical address */
	__u64 nr;		/* pages */
	__u64 status;		/* address of a __s32 for each, or 0 */
	__s64 moved;		/* out */
};

/* What a driver can find out about an address of the calling process */
struct cdm_test_locate {
	__u64 addr;		/* or 0, and phys is what the mappings are looked up of */
	__u64 phys;		/* out: cdm_locate() */
	__s32 nid;		/* out */
	__s32 device_nid;	/* out: of cdm_device_at(phys), or -1 */
	__s32 mappings;		/* out: cdm_walk_mappings() */
	__u32 ours;		/* out: of these, at this address of the calling process */
	__u32 first_only;	/* in: to end at the first mapping */
	__u32 reserved;
};

#define CDM_TEST_ALLOC		_IOWR('c', 0, struct cdm_test_alloc)
#define CDM_TEST_FREE		_IO('c', 1)
#define CDM_TEST_REGISTER	_IOWR('c', 2, struct cdm_test_register)
#define CDM_TEST_UNREGISTER	_IO('c', 3)	/* cdm_device_unregister(); argument: seconds */
#define CDM_TEST_REMOVE		_IO('c', 4)	/* cdm_device_remove() */
#define CDM_TEST_RETIRE		_IOW('c', 5, __u64)	/* cdm_retire_page(), an address */
#define CDM_TEST_LOST		_IO('c', 6)	/* cdm_device_lost() */
#define CDM_TEST_COUNTS		_IOR('c', 7, struct cdm_test_counts)
#define CDM_TEST_BACK		_IOWR('c', 8, struct cdm_test_back)
#define CDM_TEST_MIGRATE	_IOWR('c', 9, struct cdm_test_migrate)
#define CDM_TEST_LOCATE		_IOWR('c', 10, struct cdm_test_locate)
/* cdm_device_online(), cdm_device_offline() and its seconds, cdm_device_cancel() */
#define CDM_TEST_ONLINE		_IO('c', 11)
#define CDM_TEST_OFFLINE	_IO('c', 12)
#define CDM_TEST_CANCEL		_IO('c', 13)
/* cdm_free_pages() of a page that the file holds, to the device of another node */
#define CDM_TEST_MISFREE	_IO('c', 14)

#endif /* _CDM_TEST_UAPI_H */
