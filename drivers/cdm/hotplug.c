// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: a device's memory comes, goes online, is drained, and leaves.
 *
 *                            first block online
 *   cdm_hotplug_add() -> ADDED <----------------> ONLINE
 *                         | ^  last block offline  ^ |
 *                         v |                      | v
 *                      ONLINING ------------------>|DRAINING -> REMOVED
 *
 *   from            to        when
 *   ADDED, ONLINE   ONLINING  cdm_device_online()
 *   ONLINING        ONLINE    every block is online
 *                   the same  undone: failed or cancelled
 *   ADDED, ONLINE   DRAINING  cdm_device_offline(), cdm_hotplug_remove()
 *   DRAINING        ADDED     every block is offline
 *                   REMOVED   and the memory has gone
 *                   the same  undone: something cannot leave, or cancelled
 *
 * ADDED and ONLINE follow the blocks, whoever onlines or offlines them: the core, or
 * somebody with a shell. ONLINING and DRAINING are the core's: all blocks or none, and
 * meanwhile nobody can bind to the node and no driver gets pages, so that what was done
 * can be undone. Both can be cancelled. Every change is announced by a uevent.
 */
#include <linux/cdm_node.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <trace/events/cdm.h>

#include "cdm_core.h"

static unsigned int drain_seconds = 60;
module_param(drain_seconds, uint, 0644);
MODULE_PARM_DESC(drain_seconds, "how long a drain waits for a page that does not move, in seconds");

unsigned int cdm_drain_seconds(void)
{
	return READ_ONCE(drain_seconds);
}

/* Where nobody can be told that it failed, it must not last for ever */
#define UNDO_SECONDS 60

unsigned int cdm_undo_seconds(void)
{
	return cdm_drain_seconds() ?: UNDO_SECONDS;
}

/* Tell user space. With a uevent not before it can see the device, nor after. */
void cdm_announce(struct cdm_device *cdm)
{
	trace_cdm_state(cdm->dev.id, cdm->config.nid, cdm_state_name(cdm));
	if (device_is_registered(&cdm->dev))
		kobject_uevent(&cdm->dev.kobj, KOBJ_CHANGE);
}

/* The memory blocks and the name in /proc/iomem stay, so what they point to does, too */
static void keep_until_reboot(struct cdm_device *cdm)
{
	get_device(&cdm->dev);
	__module_get(THIS_MODULE);
	dev_crit(&cdm->dev, "node %d keeps its memory blocks until reboot\n", cdm->config.nid);
}

/* What drivers give back from now on is lost. Pairs with alloc.c, in a section of RCU. */
static void give_up(struct cdm_device *cdm)
{
	WRITE_ONCE(cdm->abandoned, true);
	/* Nothing is freed without a look at that */
	WRITE_ONCE(cdm->plain_pages, 0);
}

static int add_work(struct cdm_device *cdm)
{
	int rc = cdm_node_add_memory(cdm->config.nid, cdm->ranges, cdm->nr_ranges,
				     cdm->iomem_name);

	if (rc >= 0)
		cdm->mgid = rc;
	return min(rc, 0);
}

static int online_work(struct cdm_device *cdm)
{
	return cdm_node_online_memory(cdm->ranges, cdm->nr_ranges);
}

static int offline_work(struct cdm_device *cdm)
{
	return cdm_node_offline_memory(cdm->ranges, cdm->nr_ranges);
}

static int abandon_work(struct cdm_device *cdm)
{
	return cdm_node_abandon_memory(cdm->ranges, cdm->nr_ranges);
}

static int remove_work(struct cdm_device *cdm)
{
	return cdm_node_remove_memory(cdm->mgid, cdm->ranges, cdm->nr_ranges);
}

/* First nobody can bind to the node any more, then no driver gets pages */
static void begin_transition(struct cdm_device *cdm, enum cdm_state transition)
{
	lockdep_assert_held(&cdm->lock);

	cdm_node_set_draining(cdm->config.nid, true);
	/* At once, for cdm_device_cancel() */
	scoped_guard(spinlock_irq, &cdm->wait.lock) {
		cdm->cancelled = false;
		WRITE_ONCE(cdm->transition, transition);
	}
	cdm_announce(cdm);
	synchronize_rcu();
}

static void end_transition(struct cdm_device *cdm)
{
	/* Nothing is ever allocated again from memory that has gone */
	if (READ_ONCE(cdm->gone))
		return;
	WRITE_ONCE(cdm->transition, 0);
	WRITE_ONCE(cdm->leaving, cdm->removed);
	if (!cdm->abandoned)
		cdm_node_set_draining(cdm->config.nid, false);
	cdm_announce(cdm);
}

static void set_perf_attrs(struct cdm_device *cdm)
{
	struct access_coordinate *access = &cdm->config.access;
	int class;

	if (!memchr_inv(access, 0, sizeof(*access)))
		return;
	for (class = 0; class < ACCESS_COORDINATE_MAX; class++)
		node_set_perf_attrs(cdm->config.nid, access, class);
}

/**
 * cdm_hotplug_add() - add a registered device's memory
 * @cdm: a device that nobody knows yet, whose node is tagged
 * @registered: what its driver said, with the arrays
 *
 * Context: Process context. Takes cdm->lock.
 * Return: 0 with the device in state ADDED, or ONLINE where its policy says so; an error
 * with the device as it was.
 */
int cdm_hotplug_add(struct cdm_device *cdm, const struct cdm_config *registered)
{
	const struct cdm_config *config = &cdm->config;
	int rc;

	guard(mutex)(&cdm->lock);

	rc = cdm_begin_watching(cdm);
	if (rc)
		return rc;

	rc = cdm_node_set_ops(config->nid, &cdm->node_ops);
	if (rc)
		goto unregister_notifier;

	rc = cdm_run_job(cdm, add_work, 0);
	if (rc) {
		dev_err(&cdm->dev, "start %#llx size %#llx cannot be added (%pe)\n",
			cdm->ranges[0].start, cdm->size, ERR_PTR(rc));
		/* Some of it could not be taken back */
		if (rc == -ENOTRECOVERABLE)
			goto keep_memory;
		goto unregister_notifier;
	}
	set_perf_attrs(cdm);

	/* Now that it is nobody else's memory, and before any of it is free */
	rc = cdm_retire_known(registered);
	if (rc)
		goto remove_memory;

	if (config->online_policy == CDM_ONLINE_AUTO) {
		rc = cdm_run_job(cdm, online_work, 0);
		if (rc) {
			dev_err(&cdm->dev, "memory cannot be onlined (%pe)\n", ERR_PTR(rc));
			goto remove_memory;
		}
	}
	cdm_node_set_draining(config->nid, false);
	return 0;

remove_memory:
	if (cdm_run_job(cdm, remove_work, cdm_undo_seconds()))
		goto keep_memory;
	cdm_node_forget_bad(cdm->ranges, cdm->nr_ranges);
unregister_notifier:
	cdm_node_set_ops(config->nid, NULL);
	cdm_end_watching(cdm);
	return rc;

	/* Its blocks are watched on: nobody brings online what no driver looks after */
keep_memory:
	give_up(cdm);
	WRITE_ONCE(cdm->removed, true);
	cdm_node_set_ops(config->nid, NULL);
	keep_until_reboot(cdm);
	return rc;
}

/* Does a driver hold what has to leave? The system RAM that it has may stay with the device. */
static bool drivers_hold(struct cdm_device *cdm)
{
	return cdm_held_pages(cdm) || (cdm->leaving && atomic_long_read(&cdm->spill_held));
}

/* Move everything away and offline or remove the memory; on failure all is as before */
static int drain(struct cdm_device *cdm, int (*work)(struct cdm_device *cdm),
		 unsigned int seconds)
{
	struct cdm_hurry hurry;
	int rc;

	/* Pages that were on their way somewhere when the others were lost */
	if (cdm->lost)
		cdm_node_lose_memory(cdm->config.nid, cdm->ranges, cdm->nr_ranges);

	/* A block around a bad page may have lost its last other user just now */
	cdm_collect(cdm);
	/* Nobody would give them back: spare the others the moment without the node */
	if (!cdm->abandoned && !cdm_ops_can_drain(cdm) && cdm_held_pages(cdm))
		return -EBUSY;

	WRITE_ONCE(cdm->leaving, work == remove_work || cdm->abandoned);
	cdm_begin_hurry(cdm, &hurry, seconds);
	begin_transition(cdm, CDM_DRAINING);
	cdm_ops_drain(cdm);
	/* Of what it gave back, now or before, nobody may have the last reference any more */
	cdm_collect(cdm);
	rc = !cdm->abandoned && drivers_hold(cdm) ? -EBUSY : cdm_run_job(cdm, work, seconds);
	if (rc || work != remove_work)
		end_transition(cdm);
	cdm_end_hurry(&hurry);
	return rc;
}

/**
 * cdm_device_online() - online all of a device's memory
 * @cdm: the device
 *
 * Does nothing where a block is online already. Until all of them are, nobody gets pages.
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks. May take seconds for a
 * large device.
 * Return: 0; -ENODEV when the device has gone; -ECANCELED after cdm_device_cancel(), when
 * its driver removes it, or the machine goes down; an error of memory hotplug; with every block
 * in the state that it was in.
 */
int cdm_device_online(struct cdm_device *cdm)
{
	int rc;

	guard(mutex)(&cdm->lock);

	if (cdm->removed || READ_ONCE(cdm->gone))
		return -ENODEV;
	if (PFN_PHYS(READ_ONCE(cdm->online_pages)) == cdm->size)
		return 0;
	begin_transition(cdm, CDM_ONLINING);
	rc = cdm_run_job(cdm, online_work, 0);
	end_transition(cdm);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_device_online);

/**
 * cdm_device_offline() - move all pages off a device and offline its memory
 * @cdm: the device
 * @seconds: how long to wait for a page that does not move; 0 for ever
 *
 * User pages move to system RAM; policies that name only this node behave as the default
 * policy until it is back online. Does nothing where a block is offline already.
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks.
 * Return: 0; -ENODEV when the device has gone; -EBUSY when a driver holds pages,
 * -ETIMEDOUT when a page did not move in time, -ECANCELED after cdm_device_cancel(), when
 * its driver removes it, or the machine goes down, -ENOMEM: in these cases every block is in the
 * state that it was in.
 */
int cdm_device_offline(struct cdm_device *cdm, unsigned int seconds)
{
	int rc;

	guard(mutex)(&cdm->lock);

	if (cdm->removed || READ_ONCE(cdm->gone))
		return -ENODEV;
	if (!READ_ONCE(cdm->online_pages))
		return 0;
	rc = drain(cdm, offline_work, seconds);
	if (rc)
		cdm_report_users(cdm, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_device_offline);

/**
 * cdm_device_cancel() - end what cdm_device_online() or _offline() are doing
 * @cdm: the device
 *
 * Who called them is told so, once every block is back in the state that it was in; or they
 * were at their end just then, and succeed.
 *
 * Context: Any but NMI.
 * Return: 0; -ENOENT when neither is at work, or when it is a driver's remove() that is.
 */
int cdm_device_cancel(struct cdm_device *cdm)
{
	unsigned long flags;
	bool at_work;

	spin_lock_irqsave(&cdm->wait.lock, flags);
	/* What has left, or was lost, stays in its last transition: nothing is allocated of it */
	at_work = cdm->transition && !READ_ONCE(cdm->removed) && !cdm->gone &&
		  !READ_ONCE(cdm->must_go);
	if (at_work) {
		WRITE_ONCE(cdm->cancelled, true);
		wake_up_all_locked(&cdm->wait);
	}
	spin_unlock_irqrestore(&cdm->wait.lock, flags);
	return at_work ? 0 : -ENOENT;
}
EXPORT_SYMBOL_GPL(cdm_device_cancel);

/**
 * cdm_report_users() - log how many pages keep a device's memory from leaving
 * @cdm: the device
 * @rc: the error that they caused
 *
 * Context: Process context. Takes mem_hotplug_lock.
 */
void cdm_report_users(struct cdm_device *cdm, int rc)
{
	struct cdm_page_count count;
	unsigned long held;
	long ram;

	cdm_node_count_pages(cdm->ranges, cdm->nr_ranges, &count);
	held = cdm_held_pages(cdm);
	ram = atomic_long_read(&cdm->spill_held);
	trace_cdm_drain_blocked(cdm->dev.id, cdm->config.nid, rc, held, count.pinned, count.bad,
				count.user, ram);
	dev_warn(&cdm->dev,
		 "cannot drain (%pe): pages %lu the driver's, %lu pinned, %lu bad, %lu of users; %ld of RAM the driver's\n",
		 ERR_PTR(rc), held, count.pinned, count.bad, count.user, ram);
}

/* The memory has been removed: nothing of the device is left in mm */
static void end_of_memory(struct cdm_device *cdm)
{
	int rc;

	scoped_guard(mutex, &cdm->retire_lock)
		WRITE_ONCE(cdm->removed, true);
	trace_cdm_state(cdm->dev.id, cdm->config.nid, cdm_state_name(cdm));
	cdm_ops_end(cdm);
	cdm_node_set_ops(cdm->config.nid, NULL);
	cdm_node_forget_bad(cdm->ranges, cdm->nr_ranges);
	cdm_end_watching(cdm);
	rc = cdm_node_untag(cdm->config.nid);
	if (rc)
		dev_err(&cdm->dev, "node %d cannot be untagged (%pe)\n", cdm->config.nid,
			ERR_PTR(rc));
}

/*
 * Wait for the device's lock to take it away, with whoever has it giving up: a removal does
 * not depend on an administrator's drain that gets nowhere.
 */
static void lock_for_removal(struct cdm_device *cdm)
{
	atomic_inc(&cdm->removers);
	wake_up_all(&cdm->wait);
	mutex_lock(&cdm->lock);
	atomic_dec(&cdm->removers);
}

/**
 * cdm_hotplug_remove() - take a device's memory away
 * @cdm: the device
 * @seconds: how long to wait for a page that does not move; 0 for ever
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks.
 * Return: 0 with the device in state REMOVED and its node untagged; -ENODEV when it
 * already was; an error as of cdm_device_offline() with the device as it was.
 */
int cdm_hotplug_remove(struct cdm_device *cdm, unsigned int seconds)
{
	int rc;

	lock_for_removal(cdm);
	rc = cdm->removed ? -ENODEV : drain(cdm, remove_work, seconds);
	if (!rc)
		end_of_memory(cdm);
	mutex_unlock(&cdm->lock);
	return rc;
}

/* Whoever is at moving pages, or waits for the lock to begin, gives up */
void cdm_mark_gone(struct cdm_device *cdm)
{
	scoped_guard(spinlock_irq, &cdm->wait.lock) {
		WRITE_ONCE(cdm->gone, true);
		wake_up_all_locked(&cdm->wait);
		cdm_interrupt_offliner(cdm);
	}
}

/**
 * cdm_device_lost() - say that a device has gone without warning, and its memory with it
 * @cdm: the device
 *
 * For a driver's remove(), before the registration is undone, or its error_detected(). What
 * processes and files had on the device is gone: they get SIGBUS or EIO when they touch it, and
 * nothing reads the memory any more. ops->drain() is called, for the driver to free what it held.
 * A second call does nothing more.
 *
 * Context: Process context. Takes cdm->lock. Sleeps.
 */
void cdm_device_lost(struct cdm_device *cdm)
{
	unsigned long lost;

	cdm_mark_gone(cdm);
	guard(mutex)(&cdm->lock);

	if (cdm->removed || cdm->lost)
		return;
	begin_transition(cdm, CDM_DRAINING);
	cdm_node_set_ops(cdm->config.nid, NULL);
	cdm_ops_drain(cdm);
	lost = cdm_node_lose_memory(cdm->config.nid, cdm->ranges, cdm->nr_ranges);
	WRITE_ONCE(cdm->lost, true);
	dev_crit(&cdm->dev, "gone without warning: %lu pages of users are lost\n", lost);
}
EXPORT_SYMBOL_GPL(cdm_device_lost);

/**
 * cdm_hotplug_abandon() - let go of memory that somebody never gave back
 * @cdm: the device
 *
 * What drivers still hold is marked as bad memory, so that nobody gets it, and the
 * blocks go offline, but for those with a user's page that still cannot move: that page is
 * lost when its user lets go. No block is removed: a late reference finds its struct page.
 * The node stays tagged and cannot be bound to, and no block of it comes online again, so
 * the memory does not come back as anybody else's.
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks.
 */
void cdm_hotplug_abandon(struct cdm_device *cdm)
{
	int rc;

	lock_for_removal(cdm);

	/* drain() waits for a grace period */
	give_up(cdm);
	scoped_guard(mutex, &cdm->retire_lock)
		WRITE_ONCE(cdm->removed, true);
	rc = drain(cdm, abandon_work, cdm_undo_seconds());
	if (rc)
		cdm_report_users(cdm, rc);
	cdm_ops_end(cdm);
	cdm_node_set_ops(cdm->config.nid, NULL);
	/* Its blocks are watched on: none goes online */
	keep_until_reboot(cdm);
	mutex_unlock(&cdm->lock);
}
