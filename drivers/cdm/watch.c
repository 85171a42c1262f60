// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: who onlines and offlines a device's blocks, the core or somebody
 * with a shell, is seen here. The state follows; a block that cannot go does not keep anybody
 * who tries to offline it for ever.
 *
 * All of it runs under mem_hotplug_lock, but for what ends an offlining in vain.
 */
#include <linux/cdm_node.h>
#include <linux/jiffies.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include <trace/events/cdm.h>

#include "cdm_core.h"

static void set_online_pages(struct cdm_device *cdm, unsigned long pages)
{
	enum cdm_state before = cdm_state(cdm);

	WRITE_ONCE(cdm->online_pages, pages);
	trace_cdm_progress(cdm->dev.id, cdm->config.nid, pages >> cdm->block_order,
			   cdm->nr_blocks);
	if (cdm_state(cdm) != before)
		cdm_announce(cdm);
}

/* Is it the core itself, whose work has a deadline of its own? */
static bool is_worker(const struct cdm_device *cdm)
{
	return current == READ_ONCE(cdm->worker);
}

/* A block of the device is being offlined */
static void begin_offlining(struct cdm_device *cdm)
{
	unsigned long timeout = min(cdm_patience(cdm_drain_seconds()),
				    cdm_patience_of_others(NULL));

	spin_lock_irq(&cdm->wait.lock);
	cdm->offliner = current;
	cdm->give_up = jiffies + min(timeout, MAX_JIFFY_OFFSET);
	/* Under the lock: somebody may shorten it from here on */
	if (timeout < MAX_JIFFY_OFFSET && !is_worker(cdm))
		mod_delayed_work(system_wq, &cdm->deadline, timeout);
	spin_unlock_irq(&cdm->wait.lock);
}

static void end_offlining(struct cdm_device *cdm)
{
	spin_lock_irq(&cdm->wait.lock);
	cdm->offliner = NULL;
	spin_unlock_irq(&cdm->wait.lock);
	cancel_delayed_work(&cdm->deadline);
}

/* Is another tool at a block, and not the core's own thread? Under the lock of cdm->wait. */
static bool is_other_offlining(const struct cdm_device *cdm)
{
	return cdm->offliner && cdm->offliner != cdm->worker;
}

/*
 * Have another tool that is offlining a block give up. The core's own thread gets a signal
 * instead, which it can get rid of. Under the lock of cdm->wait.
 */
void cdm_interrupt_offliner(struct cdm_device *cdm)
{
	if (is_other_offlining(cdm))
		cdm_node_interrupt(cdm->offliner);
}

/**
 * cdm_hasten_offliner() - let another tool go on with a block for no longer than this
 * @cdm: the device
 * @seconds: 0 for as long as it takes
 *
 * For who needs the locks that it holds.
 *
 * Context: Any.
 */
void cdm_hasten_offliner(struct cdm_device *cdm, unsigned int seconds)
{
	unsigned long timeout = seconds * (unsigned long)HZ;

	if (!seconds)
		return;
	spin_lock_irq(&cdm->wait.lock);
	if (is_other_offlining(cdm) && time_after(cdm->give_up, jiffies + timeout)) {
		cdm->give_up = jiffies + timeout;
		mod_delayed_work(system_wq, &cdm->deadline, timeout);
	}
	spin_unlock_irq(&cdm->wait.lock);
}

/* offline_pages() tries for ever to move what cannot be moved: not on our blocks */
static void deadline_work(struct work_struct *work)
{
	struct cdm_device *cdm = container_of(work, struct cdm_device, deadline.work);
	bool late;

	spin_lock_irq(&cdm->wait.lock);
	/* Not the next one, which has only just begun */
	late = is_other_offlining(cdm) && time_after_eq(jiffies, cdm->give_up);
	if (late)
		cdm_interrupt_offliner(cdm);
	spin_unlock_irq(&cdm->wait.lock);
	/* Gets its lock when the offlining has ended */
	if (late)
		cdm_report_users(cdm, -ETIMEDOUT);
}

/* Refuse to offline a block that holds pages only a driver can give back */
static int going_offline(struct cdm_device *cdm, const struct memory_notify *arg)
{
	unsigned long held;

	/*
	 * The block is isolated: after this, every page that was taken before is counted. The
	 * core has waited for that already, when it began.
	 */
	if (!is_worker(cdm))
		synchronize_rcu();
	if (READ_ONCE(cdm->abandoned)) {
		/* Pages that came back too late are not counted, but lost all the same */
		held = cdm_node_poison_pages(arg->start_pfn, arg->nr_pages);
		if (held)
			dev_err(&cdm->dev, "%lu pages at %#llx were not given back and are lost\n",
				held, PFN_PHYS(arg->start_pfn));
		return NOTIFY_OK;
	}

	/* Its users are about to lose it, where they stand. Nobody uses what is not online yet. */
	if (cdm_is_being_lost(cdm) && READ_ONCE(cdm->transition) != CDM_ONLINING)
		return notifier_from_errno(-EBUSY);

	/* Nobody would end it; @offliner is set, so that who came before this is told */
	if (cdm_is_shutting_down() && !is_worker(cdm))
		return notifier_from_errno(-EBUSY);

	/* What others had until now */
	cdm_collect(cdm);
	held = cdm_held_pages_in(cdm, arg->start_pfn, arg->nr_pages);
	if (!held)
		return NOTIFY_OK;
	dev_warn_ratelimited(&cdm->dev, "%lu pages at %#llx are held by the driver\n", held,
			     PFN_PHYS(arg->start_pfn));
	return notifier_from_errno(-EBUSY);
}

/* Under mem_hotplug_lock. cdm->lock may be held by whoever waits for that one: not taken. */
static int memory_notify_cb(struct notifier_block *nb, unsigned long action, void *data)
{
	struct cdm_device *cdm = container_of(nb, struct cdm_device, nb);
	struct memory_notify *arg = data;

	if (!cdm_ranges_have(cdm->ranges, cdm->nr_ranges, PFN_PHYS(arg->start_pfn)))
		return NOTIFY_DONE;

	switch (action) {
	case MEM_GOING_ONLINE:
		/* Nobody's any more, or not even there: only what the core has begun it undoes */
		if (READ_ONCE(cdm->abandoned) || (READ_ONCE(cdm->gone) && !is_worker(cdm)))
			return notifier_from_errno(-EPERM);
		break;
	case MEM_GOING_OFFLINE:
		begin_offlining(cdm);
		return going_offline(cdm, arg);
	case MEM_CANCEL_OFFLINE:
		end_offlining(cdm);
		/* Who lets go of what can go goes on with the next one */
		if (READ_ONCE(cdm->abandoned) && is_worker(cdm))
			WRITE_ONCE(cdm->given_up, cdm->given_up + 1);
		break;
	case MEM_ONLINE:
		set_online_pages(cdm, cdm->online_pages + arg->nr_pages);
		break;
	case MEM_OFFLINE:
		end_offlining(cdm);
		set_online_pages(cdm, cdm->online_pages - arg->nr_pages);
		break;
	}
	return NOTIFY_OK;
}

/**
 * cdm_begin_watching() - see from now on what happens to a device's blocks
 * @cdm: a device that has no blocks yet
 *
 * Context: Process context.
 * Return: 0 or -EEXIST.
 */
int cdm_begin_watching(struct cdm_device *cdm)
{
	INIT_DELAYED_WORK(&cdm->deadline, deadline_work);
	cdm->nb.notifier_call = memory_notify_cb;
	return register_memory_notifier(&cdm->nb);
}

/* And no longer: nobody is at it any more on return */
void cdm_end_watching(struct cdm_device *cdm)
{
	unregister_memory_notifier(&cdm->nb);
	cancel_delayed_work_sync(&cdm->deadline);
}
