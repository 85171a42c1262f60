// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: a device's memory comes, goes online, is drained, and leaves.
 *
 *                           first block online
 *   cdm_hotplug_add() -> ADDED ----------------> ONLINE
 *                        ^ | ^                    | ^
 *                        | | | last block offline | | something cannot leave
 *                        | | +--------------------+ |
 *                        | v                      v |
 *                        DRAINING <---------------+-+
 *                            |
 *                            +--> REMOVED    cdm_hotplug_remove()
 *
 * ADDED and ONLINE follow the blocks, whoever onlines or offlines them: the core, or
 * somebody with a shell. DRAINING is the core's.
 *
 * A drain runs in a thread of its own. offline_pages() leaves its loop over a page that
 * cannot move for one reason only, a signal, and a signal to the thread is how a drain
 * ends at its deadline; a signal to the writer of a sysfs file does not disturb it.
 */
#include <linux/cdm_node.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/memory.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "cdm_core.h"

static unsigned int drain_seconds = 60;
module_param(drain_seconds, uint, 0644);
MODULE_PARM_DESC(drain_seconds, "how long a drain waits for pages to move, in seconds");

unsigned int cdm_drain_seconds(void)
{
	return READ_ONCE(drain_seconds);
}

static bool is_ours(struct cdm_device *cdm, const struct memory_notify *arg)
{
	u64 start = PFN_PHYS(arg->start_pfn);

	return start >= cdm->config.start && start < cdm->config.start + cdm->config.size;
}

/* Refuse to offline a block that holds pages only a driver can give back */
static int going_offline(struct cdm_device *cdm, const struct memory_notify *arg)
{
	unsigned long held;

	/* The block is isolated: after this, every page that was taken before is counted */
	synchronize_rcu();
	if (cdm->abandoned) {
		/* Pages that came back too late are not counted, but lost all the same */
		held = cdm_node_poison_pages(arg->start_pfn, arg->nr_pages);
		if (held)
			dev_err(&cdm->dev, "%lu pages at %#llx were not given back and are lost\n",
				held, PFN_PHYS(arg->start_pfn));
		return NOTIFY_OK;
	}

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

	if (!is_ours(cdm, arg))
		return NOTIFY_DONE;

	switch (action) {
	case MEM_GOING_OFFLINE:
		return going_offline(cdm, arg);
	case MEM_ONLINE:
		WRITE_ONCE(cdm->online_pages, cdm->online_pages + arg->nr_pages);
		break;
	case MEM_OFFLINE:
		WRITE_ONCE(cdm->online_pages, cdm->online_pages - arg->nr_pages);
		break;
	}
	return NOTIFY_OK;
}

/* The memory blocks and the name in /proc/iomem stay, so what they point to does, too */
static void keep_until_reboot(struct cdm_device *cdm)
{
	get_device(&cdm->dev);
	dev_crit(&cdm->dev, "node %d keeps its memory blocks until reboot\n", cdm->config.nid);
}

/**
 * cdm_hotplug_add() - add a registered device's memory
 * @cdm: a device that nobody knows yet, whose node is tagged
 *
 * Context: Process context. Takes cdm->lock.
 * Return: 0 with the device in state ADDED, or ONLINE where its policy says so; an error
 * with the device as it was.
 */
int cdm_hotplug_add(struct cdm_device *cdm)
{
	const struct cdm_config *config = &cdm->config;
	int rc;

	guard(mutex)(&cdm->lock);

	cdm->nb.notifier_call = memory_notify_cb;
	rc = register_memory_notifier(&cdm->nb);
	if (rc)
		return rc;

	rc = cdm_node_add_memory(config->nid, config->start, config->size, cdm->iomem_name);
	if (rc < 0) {
		dev_err(&cdm->dev, "start %#llx size %#llx cannot be added (%pe)\n",
			config->start, config->size, ERR_PTR(rc));
		goto unregister_notifier;
	}
	cdm->mgid = rc;

	if (config->online_policy == CDM_ONLINE_MANUAL)
		return 0;

	rc = cdm_node_online_memory(config->start, config->size);
	if (rc) {
		dev_err(&cdm->dev, "memory cannot be onlined (%pe)\n", ERR_PTR(rc));
		goto remove_memory;
	}
	return 0;

remove_memory:
	if (cdm_node_remove_memory(cdm->mgid, config->start, config->size))
		keep_until_reboot(cdm);
unregister_notifier:
	unregister_memory_notifier(&cdm->nb);
	return rc;
}

/* What a drain thread works on */
struct cdm_drain {
	struct cdm_device *cdm;
	bool remove;
	int rc;
	struct completion done;
};

static int drain_thread(void *data)
{
	struct cdm_drain *drain = data;
	const struct cdm_config *config = &drain->cdm->config;

	allow_kernel_signal(SIGKILL);
	if (drain->remove)
		drain->rc = cdm_node_remove_memory(drain->cdm->mgid, config->start, config->size);
	else
		drain->rc = cdm_node_offline_memory(config->start, config->size);
	complete(&drain->done);
	return 0;
}

/* Returns -ETIMEDOUT when something had not moved by the deadline */
static int run_drain_thread(struct cdm_device *cdm, bool remove, unsigned int seconds)
{
	struct cdm_drain drain = { .cdm = cdm, .remove = remove };
	struct task_struct *task;
	unsigned long deadline;

	init_completion(&drain.done);
	task = kthread_create(drain_thread, &drain, "cdm_drain%d", cdm->config.nid);
	if (IS_ERR(task))
		return PTR_ERR(task);

	get_task_struct(task);
	wake_up_process(task);
	deadline = (unsigned long)seconds * HZ;
	/* Again and again: a signal that comes before the thread allows signals is lost */
	while (!wait_for_completion_timeout(&drain.done, deadline)) {
		send_sig(SIGKILL, task, 1);
		deadline = HZ;
	}
	/* The thread's last instructions may be a module's that is about to be unloaded */
	kthread_stop_put(task);
	return drain.rc == -EINTR ? -ETIMEDOUT : drain.rc;
}

/*
 * Move everything away and offline or remove the memory; on failure all is as before.
 * The order matters: first nobody can bind to the node any more, then no driver gets
 * pages, then the blocks are isolated.
 */
static int drain(struct cdm_device *cdm, bool remove, unsigned int seconds)
{
	int nid = cdm->config.nid, rc;

	lockdep_assert_held(&cdm->lock);

	if (!cdm->abandoned && cdm_held_pages(cdm))
		return -EBUSY;

	cdm_node_set_draining(nid, true);
	WRITE_ONCE(cdm->draining, true);
	synchronize_rcu();

	/* Once more, now that nothing is handed out: or other blocks would be emptied first */
	rc = !cdm->abandoned && cdm_held_pages(cdm) ? -EBUSY : 0;
	if (!rc)
		rc = run_drain_thread(cdm, remove, seconds);

	WRITE_ONCE(cdm->draining, false);
	if ((rc || !remove) && !cdm->abandoned)
		cdm_node_set_draining(nid, false);
	return rc;
}

/**
 * cdm_device_online() - online all of a device's memory
 * @cdm: the device
 *
 * Does nothing where a block is online already.
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks.
 * Return: 0; -ENODEV when the device has gone; an error of memory hotplug, with every
 * block in the state that it was in.
 */
int cdm_device_online(struct cdm_device *cdm)
{
	guard(mutex)(&cdm->lock);

	if (cdm->removed)
		return -ENODEV;
	return cdm_node_online_memory(cdm->config.start, cdm->config.size);
}
EXPORT_SYMBOL_GPL(cdm_device_online);

/**
 * cdm_device_offline() - move all pages off a device and offline its memory
 * @cdm: the device
 *
 * User pages move to system RAM; policies that name only this node behave as the default
 * policy until it is back online.
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks. Takes up to
 * drain_seconds.
 * Return: 0; -ENODEV when the device has gone; -EBUSY when a driver holds pages,
 * -ETIMEDOUT when a page did not move by the deadline, -ENOMEM: in these cases the
 * device is online as before.
 */
int cdm_device_offline(struct cdm_device *cdm)
{
	int rc;

	guard(mutex)(&cdm->lock);

	if (cdm->removed)
		return -ENODEV;
	rc = drain(cdm, false, cdm_drain_seconds());
	if (rc)
		cdm_report_users(cdm, rc);
	return rc;
}
EXPORT_SYMBOL_GPL(cdm_device_offline);

/**
 * cdm_report_users() - log how many pages keep a device's memory from leaving
 * @cdm: the device
 * @rc: the error that they caused
 *
 * Context: Process context. Takes mem_hotplug_lock.
 */
void cdm_report_users(struct cdm_device *cdm, int rc)
{
	dev_warn(&cdm->dev, "cannot drain (%pe): %lu pages in use, %lu of them the driver's\n",
		 ERR_PTR(rc), cdm_node_used_pages(cdm->config.nid), cdm_held_pages(cdm));
}

/**
 * cdm_hotplug_remove() - take a device's memory away
 * @cdm: the device
 * @seconds: how long to wait for pages to move
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks.
 * Return: 0 with the device in state REMOVED and its node untagged; -ENODEV when it
 * already was; an error as of cdm_device_offline() with the device as it was.
 */
int cdm_hotplug_remove(struct cdm_device *cdm, unsigned int seconds)
{
	int rc;

	guard(mutex)(&cdm->lock);

	if (cdm->removed)
		return -ENODEV;

	rc = drain(cdm, true, seconds);
	if (rc)
		return rc;

	WRITE_ONCE(cdm->removed, true);
	unregister_memory_notifier(&cdm->nb);
	rc = cdm_node_untag(cdm->config.nid);
	if (rc)
		dev_err(&cdm->dev, "node %d cannot be untagged (%pe)\n", cdm->config.nid,
			ERR_PTR(rc));
	return 0;
}

/**
 * cdm_hotplug_abandon() - let go of memory that somebody never gave back
 * @cdm: the device
 *
 * What drivers still hold is marked as bad memory, so that nobody gets it, and the
 * blocks go offline, but for one with a user's page that still cannot move: that page is
 * lost when its user lets go. No block is removed: a late reference finds its struct page.
 * The node stays tagged and cannot be bound to, so the memory does not come back as
 * anybody else's.
 *
 * Context: Process context. Takes cdm->lock and the hotplug locks.
 */
void cdm_hotplug_abandon(struct cdm_device *cdm)
{
	int rc;

	guard(mutex)(&cdm->lock);

	/* Pairs with READ_ONCE() in cdm_free_pages(); drain() waits for a grace period */
	WRITE_ONCE(cdm->abandoned, true);
	WRITE_ONCE(cdm->removed, true);
	rc = drain(cdm, false, cdm_drain_seconds());
	if (rc)
		cdm_report_users(cdm, rc);
	unregister_memory_notifier(&cdm->nb);
	keep_until_reboot(cdm);
}
