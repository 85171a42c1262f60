/* SPDX-License-Identifier: GPL-2.0 */
/* Shared between the files of the driver core only; drivers include <linux/cdm.h>. */
#ifndef _DRIVERS_CDM_CORE_H
#define _DRIVERS_CDM_CORE_H

#include <linux/atomic.h>
#include <linux/cdm.h>
#include <linux/cdm_compat.h>
#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/memory_hotplug.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

/**
 * enum cdm_state - where a device is in its life; see the drawing in hotplug.c
 * @CDM_ADDED: its memory blocks are there, all of them offline
 * @CDM_ONLINING: its blocks go online; nothing is allocated yet
 * @CDM_ONLINE: at least one block is online; pages can be allocated
 * @CDM_DRAINING: its pages are being moved away; nothing is allocated any more
 * @CDM_REMOVED: all undone; only references keep the structure
 */
enum cdm_state {
	CDM_ADDED,
	CDM_ONLINING,
	CDM_ONLINE,
	CDM_DRAINING,
	CDM_REMOVED,
};

/**
 * struct cdm_device - a coherent device's memory
 * @dev: in class cdm; its reference count is the device's
 * @config: what the driver registered, with the node id resolved, and without the arrays
 * @ranges: its memory
 * @nr_ranges: how many
 * @size: bytes in all ranges
 * @nodes: @config.nid as a mask: allocations pass it, so that cpusets do not put theirs
 * @iomem_name: what /proc/iomem shows
 * @mgid: id of the memory group
 * @node_ops: what it does for mm
 * @scrubs: its driver clears pages
 * @nb: sees blocks go online and offline, whoever does it
 * @lock: serialises what drivers and administrators ask for; protects @transition,
 *	@removed, @abandoned, @lost, @config.fallback and @config.caps. Outside of
 *	device_hotplug_lock and mem_hotplug_lock, and so never taken in @nb.
 * @transition: CDM_ONLINING, CDM_DRAINING, or 0 for neither; read without a lock
 * @removed: the memory has gone; read without a lock
 * @abandoned: @nb marks the pages that were not given back instead of refusing
 * @gone: the memory has gone without warning; set without a lock, never cleared
 * @lost: and its users have lost it
 * @cancelled: somebody wants the transition to end; set, and together with @transition
 *	reset, under the lock of @wait
 * @offliner: who is offlining a block; under the lock of @wait
 * @give_up: when it has been at it for too long, in jiffies; likewise
 * @deadline: ends what another tool's offlining does in vain
 * @worker: the thread of the job that runs, or NULL
 * @must_go: its driver's remove() is at it, which nobody cancels
 * @removers: how many want the device to go away; what others have asked for ends
 * @wait: for the end of a transition, for @cancelled and for @gone
 * @online_pages: pages of the blocks that are online; written under mem_hotplug_lock,
 *	read without a lock
 * @given_up: blocks of an abandoned device that could not go; likewise
 * @retire_lock: keeps the memory from being removed while one of its pages is retired.
 *	Inside of @lock.
 * @allocated: pages handed out since the registration, on each CPU
 * @failed: allocations that got nothing
 * @evicted: pages that ops->evict gave back
 * @spilled: pages of system RAM handed out since the registration
 * @evict_lock: protects @evictors
 * @evictors: who is in ops->evict
 * @spill_used: pages of system RAM that count for the budget of its node
 * @spill_held: those of this device that drivers have not given back
 * @leaving: no more of it, the device is about to go; written under @lock
 * @pages: what may linger and what does; see linger.c
 * @collection: looks whether the last reference has gone
 * @first_page: of the first range; with vmemmap a page's index there is a subtraction
 * @first_nr_pages: how many there are
 * @plain_pages: that number, or 0 when none can be freed without a look at @abandoned, and at
 *	who is charged for it
 * @block_order: a memory block has 2^this pages
 * @nr_blocks: memory blocks of the device
 * @held: pages handed out to drivers, for each memory block
 */
struct cdm_device {
	struct device dev;
	struct cdm_config config;
	struct cdm_range *ranges;
	unsigned int nr_ranges;
	u64 size;
	nodemask_t nodes;
	char iomem_name[40];
	int mgid;
	struct notifier_block nb;
	struct cdm_node_ops node_ops;
	bool scrubs;

	struct mutex lock; /* see above */
	enum cdm_state transition;
	bool removed;
	bool abandoned;
	bool gone;
	bool lost;
	bool cancelled;
	bool must_go;
	struct task_struct *offliner;
	unsigned long give_up;
	struct delayed_work deadline;
	struct task_struct *worker;
	atomic_t removers;
	wait_queue_head_t wait;
	unsigned long online_pages;
	unsigned int given_up;

	struct mutex retire_lock; /* see above */

	u64 __percpu *allocated;
	atomic_long_t failed;
	atomic_long_t evicted;
	atomic_long_t spilled;

	spinlock_t evict_lock; /* see above */
	struct list_head evictors;

	atomic_long_t *spill_used;
	atomic_long_t spill_held;
	bool leaving;
	struct xarray pages;
	struct delayed_work collection;

	struct page *first_page;
	unsigned long first_nr_pages;
	unsigned long plain_pages;
	unsigned int block_order;
	unsigned long nr_blocks;
	atomic_t held[] __counted_by(nr_blocks);
};

#define to_cdm_device(d) container_of(d, struct cdm_device, dev)

/* Has it been pulled out, and its users do not know yet? */
static inline bool cdm_is_being_lost(const struct cdm_device *cdm)
{
	return READ_ONCE(cdm->gone) && !READ_ONCE(cdm->lost);
}

/* Derived, not stored: it stays true whoever onlines and offlines blocks */
static __always_inline enum cdm_state cdm_state(const struct cdm_device *cdm)
{
	enum cdm_state transition;

	if (READ_ONCE(cdm->removed))
		return CDM_REMOVED;
	transition = READ_ONCE(cdm->transition);
	if (transition)
		return transition;
	return READ_ONCE(cdm->online_pages) ? CDM_ONLINE : CDM_ADDED;
}

atomic_t *cdm_held_in_others(struct cdm_device *cdm, const struct page *page);

/* May pages be taken? As long as no block is online, there are none. */
static __always_inline bool cdm_is_open(const struct cdm_device *cdm)
{
	return !READ_ONCE(cdm->removed) && !READ_ONCE(cdm->transition);
}

/* The counter of the memory block that a page is in; NULL for a page of somebody else */
static __always_inline atomic_t *cdm_held_by(struct cdm_device *cdm, const struct page *page)
{
	unsigned long i = page - cdm->first_page;

	/* No device has many ranges, and most have one */
	if (likely(i < cdm->first_nr_pages))
		return cdm->held + (i >> cdm->block_order);
	return cdm_held_in_others(cdm, page);
}

/* The one that a page is in */
static inline struct cdm_block cdm_block_of(const struct cdm_device *cdm, const struct page *page)
{
	unsigned long i = page_to_pfn(page) & ((1UL << cdm->block_order) - 1);

	return (struct cdm_block) {
		.start = (unsigned long)(page - i),
		.size = sizeof(*page) << cdm->block_order,
	};
}

/* Will ops->scrub clear what is allocated with @flags? */
static inline bool cdm_device_scrubs(const struct cdm_device *cdm, unsigned int flags)
{
	return (flags & (CDM_ALLOC_ZERO | CDM_ALLOC_ATOMIC)) == CDM_ALLOC_ZERO &&
	       cdm->scrubs;
}

#ifdef CONFIG_CDM

#define CDM_CAN_SET_PERF_ATTRS	true

/* mm/ is there from boot on, and the allocator does what is wanted */
static inline int cdm_mm_init(void) { return 0; }
static inline void cdm_mm_exit(void) { }

static inline struct folio *cdm_node_alloc_folio(gfp_t gfp, unsigned int order, int nid,
						 nodemask_t *nodes)
{
	return __folio_alloc(gfp, order, nid, nodes);
}

static inline unsigned long cdm_node_alloc_pages_bulk(gfp_t gfp, int nid, nodemask_t *nodes,
						      unsigned long nr, struct page **pages)
{
	return __alloc_pages_bulk(gfp, nid, nodes, nr, pages);
}

/* No block goes online or offline between the two */
static inline void cdm_node_hold_blocks(void)
{
	get_online_mems();
}

static inline void cdm_node_release_blocks(void)
{
	put_online_mems();
}

#else

/* mm_stock.c, stock_pages.c */
int cdm_mm_init(void);
void cdm_mm_exit(void);
struct folio *cdm_node_alloc_folio(gfp_t gfp, unsigned int order, int nid, nodemask_t *nodes);
unsigned long cdm_node_alloc_pages_bulk(gfp_t gfp, int nid, nodemask_t *nodes,
					unsigned long nr, struct page **pages);
static inline void cdm_node_hold_blocks(void) { }
static inline void cdm_node_release_blocks(void) { }

#endif

/* config.c */
int cdm_config_check(struct device *parent, const struct cdm_config *config);

/* hotplug.c */
int cdm_hotplug_add(struct cdm_device *cdm, const struct cdm_config *config);
int cdm_hotplug_remove(struct cdm_device *cdm, unsigned int seconds);
void cdm_hotplug_abandon(struct cdm_device *cdm);
void cdm_mark_gone(struct cdm_device *cdm);
unsigned int cdm_drain_seconds(void);
unsigned int cdm_undo_seconds(void);
void cdm_report_users(struct cdm_device *cdm, int rc);
void cdm_announce(struct cdm_device *cdm);

/* core.c */
extern struct class cdm_class;

/* watch.c */
int cdm_begin_watching(struct cdm_device *cdm);
void cdm_end_watching(struct cdm_device *cdm);
void cdm_interrupt_offliner(struct cdm_device *cdm);
void cdm_hasten_offliner(struct cdm_device *cdm, unsigned int seconds);

/* job.c */

/* Where 0 seconds are for ever; in jiffies */
static inline unsigned long cdm_patience(unsigned int seconds)
{
	return seconds ? seconds * (unsigned long)HZ : MAX_SCHEDULE_TIMEOUT;
}

struct cdm_hurry {
	struct list_head list;
	const struct cdm_device *cdm;
	unsigned long patience;	/* jiffies */
};

void cdm_begin_hurry(struct cdm_device *cdm, struct cdm_hurry *hurry, unsigned int seconds);
void cdm_end_hurry(struct cdm_hurry *hurry);
unsigned long cdm_patience_of_others(const struct cdm_device *cdm);
int cdm_run_job(struct cdm_device *cdm, int (*work)(struct cdm_device *cdm),
		unsigned int seconds);

/* shutdown.c */
bool cdm_is_shutting_down(void);
int cdm_shutdown_init(void);
void cdm_shutdown_exit(void);

/* migrate.c */
long cdm_migrate_whose(struct cdm_device *to, struct mm_struct *mm, unsigned long start,
		       unsigned long nr_pages, int *status, enum cdm_migrate_whose whose);
void cdm_init_node_ops(struct cdm_device *cdm);

/* chardev.c */
int cdm_chardev_add(struct cdm_device *cdm);
void cdm_chardev_del(struct cdm_device *cdm);
int cdm_chardev_init(void);
void cdm_chardev_exit(void);

/* alloc.c */
struct folio *cdm_alloc_for_mm(const struct cdm_node_ops *ops, unsigned int order);
unsigned int cdm_free_singles(struct cdm_device *cdm, unsigned int nr, struct page **pages);
void cdm_put_back(struct cdm_device *cdm, struct page *page, unsigned int order);
bool cdm_make_room(struct cdm_device *cdm, unsigned long nr_pages, unsigned int flags,
		   unsigned int attempt);
bool cdm_charge(struct cdm_device *cdm, struct page *page, unsigned long nr_pages);
unsigned long cdm_held_pages(struct cdm_device *cdm);
unsigned long cdm_held_pages_in(struct cdm_device *cdm, unsigned long start_pfn,
				unsigned long nr_pages);

/* ops.c */
unsigned long cdm_ops_evict(struct cdm_device *cdm, unsigned long nr_pages);
int cdm_ops_scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages);
int cdm_ops_copy(struct cdm_device *cdm, struct page *to, struct page *from,
		 unsigned long nr_pages);
bool cdm_ops_can_drain(const struct cdm_device *cdm);
void cdm_ops_drain(struct cdm_device *cdm);
void cdm_ops_end(struct cdm_device *cdm);

/* scrub.c */
void cdm_scrub(struct cdm_device *cdm, struct page *page, unsigned long nr_pages);
int cdm_copy(struct cdm_device *cdm, struct page *to, struct page *from,
	     unsigned long nr_pages);

/* spill.c */
struct page *cdm_spill(struct cdm_device *cdm, unsigned int order, unsigned int flags);
void cdm_put_back_spilled(struct cdm_device *cdm, struct page *page, unsigned int order);
void cdm_spill_outlives(struct cdm_device *cdm, struct page *page, unsigned int order);
void cdm_spill_open(struct cdm_device *cdm);
int cdm_spill_init(void);
void cdm_spill_exit(void);

/* linger.c */
void cdm_linger_init(struct cdm_device *cdm);
void cdm_linger_exit(struct cdm_device *cdm);
bool cdm_is_noted(struct cdm_device *cdm, struct page *page);
bool cdm_may_linger(struct cdm_device *cdm, struct page *page, unsigned int order);
void cdm_will_not_linger(struct cdm_device *cdm, struct page *page);
void cdm_linger(struct cdm_device *cdm, struct page *page);
void cdm_collect(struct cdm_device *cdm);

/* retire.c */
int cdm_retire_known(const struct cdm_config *config);
unsigned long cdm_retired_pages(const struct cdm_device *cdm);
extern struct bin_attribute cdm_bad_pages_attr;

/* stats.c */
void cdm_count_failure(struct cdm_device *cdm, unsigned long nr_pages, unsigned int flags);
extern const struct attribute_group cdm_pages_group, cdm_stats_group;
extern struct device_attribute cdm_spill_max_attr, cdm_spill_used_attr;

/* sysfs.c */
const char *cdm_state_name(const struct cdm_device *cdm);
int cdm_uevent(const struct device *dev, struct kobj_uevent_env *env);
extern const struct attribute_group *cdm_device_groups[];

#endif /* _DRIVERS_CDM_CORE_H */
