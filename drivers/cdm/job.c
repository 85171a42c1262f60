// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: long work on a device's blocks, in a thread of its own.
 *
 * offline_pages() leaves its loop over a page that cannot move for one reason only, a
 * signal. Here a signal to the thread is how the work ends when it gets nowhere, or when an
 * administrator cancels it; a signal to the writer of a sysfs file does not disturb it.
 */
#include <linux/device.h>
#include <linux/err.h>
#include <linux/error-injection.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "cdm_core.h"

/* How often the thread gets its signal: one that comes before it allows signals is lost */
#define SIGNAL_AGAIN (HZ / 10)

struct cdm_job {
	struct work_struct creation;
	struct task_struct *task;
	struct cdm_device *cdm;
	int (*work)(struct cdm_device *cdm);
	bool finished;
	int rc;
};

/* Somebody waits for the lock to take the device away, and this is not the removal */
static bool is_in_the_way(const struct cdm_device *cdm)
{
	return atomic_read(&cdm->removers) && !cdm->leaving;
}

/* Not when the device was pulled out, and that is what is being cleaned up */
static bool should_end(const struct cdm_device *cdm)
{
	return READ_ONCE(cdm->cancelled) || cdm_is_being_lost(cdm) || is_in_the_way(cdm) ||
	       cdm_is_shutting_down();
}

static int job_thread(void *data)
{
	struct cdm_job *job = data;
	struct cdm_device *cdm = job->cdm;

	allow_kernel_signal(SIGKILL);
	/* What was sent before this is lost */
	if (should_end(cdm))
		send_sig(SIGKILL, current, 1);
	job->rc = job->work(cdm);
	/* From here on the job may be gone */
	smp_store_release(&job->finished, true);
	wake_up_all(&cdm->wait);
	return 0;
}

static noinline struct task_struct *new_thread(struct cdm_job *job)
{
	return kthread_create(job_thread, job, "%s", dev_name(&job->cdm->dev));
}
ALLOW_ERROR_INJECTION(new_thread, ERRNO);

/* In a workqueue's thread: kthread_create() gives up when the calling task is killed */
static void create_thread(struct work_struct *creation)
{
	struct cdm_job *job = container_of(creation, struct cdm_job, creation);

	job->task = new_thread(job);
	if (!IS_ERR(job->task))
		get_task_struct(job->task);
}

static bool is_finished(struct cdm_job *job)
{
	/* Pairs with smp_store_release() in job_thread(): then job->rc is there */
	return smp_load_acquire(&job->finished);
}

/* The thread, and another tool at a block, which holds the locks that the thread waits for */
static void interrupt(struct cdm_device *cdm, struct task_struct *task)
{
	send_sig(SIGKILL, task, 1);
	spin_lock_irq(&cdm->wait.lock);
	cdm_interrupt_offliner(cdm);
	spin_unlock_irq(&cdm->wait.lock);
}

/* Changes whenever the work is done with a block */
static unsigned long progress(const struct cdm_device *cdm)
{
	return READ_ONCE(cdm->online_pages) + READ_ONCE(cdm->given_up);
}

/* Those who have a deadline, and may be waiting for locks that others hold */
static LIST_HEAD(hurried);
static DEFINE_SPINLOCK(hurried_lock);

/* A tool that offlines a block of any device is in the way of all */
static int hasten(struct device *dev, void *seconds)
{
	cdm_hasten_offliner(to_cdm_device(dev), *(unsigned int *)seconds);
	return 0;
}

/**
 * cdm_begin_hurry() - say that a device's memory is to leave soon
 * @cdm: the device
 * @hurry: to pass to cdm_end_hurry()
 * @seconds: how long a page that does not move is waited for; 0 for ever: nothing is said
 *
 * Blocks are offlined one at a time, of all devices: who is at one and does not get on gives up
 * as early as this one would. It does not hold for the offlining of RAM.
 *
 * Context: Process context.
 */
void cdm_begin_hurry(struct cdm_device *cdm, struct cdm_hurry *hurry, unsigned int seconds)
{
	hurry->cdm = cdm;
	hurry->patience = cdm_patience(seconds);
	spin_lock(&hurried_lock);
	list_add(&hurry->list, &hurried);
	spin_unlock(&hurried_lock);
	/* Not in the class yet when its registration is undone */
	cdm_hasten_offliner(cdm, seconds);
	class_for_each_device(&cdm_class, NULL, &seconds, hasten);
}

void cdm_end_hurry(struct cdm_hurry *hurry)
{
	spin_lock(&hurried_lock);
	list_del(&hurry->list);
	spin_unlock(&hurried_lock);
}

/* How long those would wait who wait for another device, or NULL: for any; in jiffies */
unsigned long cdm_patience_of_others(const struct cdm_device *cdm)
{
	unsigned long patience = MAX_SCHEDULE_TIMEOUT;
	const struct cdm_hurry *hurry;

	spin_lock(&hurried_lock);
	list_for_each_entry(hurry, &hurried, list)
		if (hurry->cdm != cdm)
			patience = min(patience, hurry->patience);
	spin_unlock(&hurried_lock);
	return patience;
}

/* Wait as long as it gets on, and nobody wants it to end. Others may become impatient meanwhile. */
static void wait_patiently(struct cdm_device *cdm, struct cdm_job *job, unsigned long patience)
{
	unsigned long got_on = jiffies, before = progress(cdm);

	while (jiffies - got_on < min(patience, cdm_patience_of_others(cdm))) {
		if (wait_event_idle_timeout(cdm->wait, is_finished(job) || should_end(cdm),
					    min(patience, HZ)))
			return;
		if (progress(cdm) != before)
			got_on = jiffies;
		before = progress(cdm);
	}
}

/* End it; or the attempt at one block, where the work goes on with the next one */
static void wait_impatiently(struct cdm_device *cdm, struct cdm_job *job)
{
	unsigned long before = progress(cdm);

	while (!is_finished(job) && progress(cdm) == before) {
		interrupt(cdm, job->task);
		wait_event_idle_timeout(cdm->wait, is_finished(job), SIGNAL_AGAIN);
	}
}

/**
 * cdm_run_job() - do something that takes long, and that can be ended
 * @cdm: the device
 * @work: what to do; returns -EINTR when a SIGKILL has ended it, with all of it undone
 * @seconds: how long it may go on without being done with a block; 0 for ever.
 *	A large device takes its time, a page that cannot move is noticed soon.
 *
 * Context: Process context. The caller holds cdm->lock.
 * Return: what @work returned, but -ECANCELED after cdm_device_cancel() or _lost(), when the
 * device is to be removed, or the machine goes down, -ETIMEDOUT when it got nowhere; -ENOMEM.
 */
int cdm_run_job(struct cdm_device *cdm, int (*work)(struct cdm_device *cdm),
		unsigned int seconds)
{
	unsigned long patience = cdm_patience(seconds);
	struct cdm_job job = { .cdm = cdm, .work = work };

	lockdep_assert_held(&cdm->lock);

	INIT_WORK_ONSTACK(&job.creation, create_thread);
	queue_work(system_unbound_wq, &job.creation);
	flush_work(&job.creation);
	destroy_work_on_stack(&job.creation);
	if (IS_ERR(job.task))
		return PTR_ERR(job.task);
	WRITE_ONCE(cdm->worker, job.task);
	wake_up_process(job.task);

	do {
		wait_patiently(cdm, &job, patience);
		wait_impatiently(cdm, &job);
	} while (!is_finished(&job));
	WRITE_ONCE(cdm->worker, NULL);
	/* The thread's last instructions may be a module's that is about to be unloaded */
	kthread_stop_put(job.task);

	if (job.rc && cdm_is_being_lost(cdm))
		return -ECANCELED;
	if (job.rc != -EINTR)
		return job.rc;
	return should_end(cdm) ? -ECANCELED : -ETIMEDOUT;
}
ALLOW_ERROR_INJECTION(cdm_run_job, ERRNO);
