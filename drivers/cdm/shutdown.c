// SPDX-License-Identifier: GPL-2.0
/*
 * Coherent device memory: the machine is going down, or over to another kernel.
 *
 * device_shutdown() takes the lock of each memory block's device. Who offlines a block holds
 * it, for as long as a page cannot move, and would keep the machine from going. What is on the
 * device is lost anyway, as what is in RAM.
 */
#include <linux/device.h>
#include <linux/reboot.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "cdm_core.h"

static bool shutting_down;

/**
 * cdm_is_shutting_down() - is all work on blocks to end?
 *
 * Context: Any.
 * Return: true from the first moment of a shutdown, reboot or kexec on.
 */
bool cdm_is_shutting_down(void)
{
	return READ_ONCE(shutting_down);
}

/* The job that runs ends by itself when its caller looks; another tool is told here */
static int end_work(struct device *dev, void *data)
{
	struct cdm_device *cdm = to_cdm_device(dev);

	spin_lock_irq(&cdm->wait.lock);
	cdm_interrupt_offliner(cdm);
	wake_up_all_locked(&cdm->wait);
	spin_unlock_irq(&cdm->wait.lock);
	return 0;
}

static int reboot_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	WRITE_ONCE(shutting_down, true);
	/* Who has not seen it is waiting, or at a block, by the time that the lock is ours */
	class_for_each_device(&cdm_class, NULL, NULL, end_work);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = {
	.notifier_call = reboot_notify,
};

int __init cdm_shutdown_init(void)
{
	return register_reboot_notifier(&reboot_nb);
}

void cdm_shutdown_exit(void)
{
	unregister_reboot_notifier(&reboot_nb);
}
