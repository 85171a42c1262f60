// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: how long calls of any of the kernel's functions take.
 *
 *   debugfs/cdm_bench/calls	write "FUNCTION": watch it, too; write "": forget all of them.
 *				Read: "FUNCTION CALLS CYCLES MOST" a line, with what it called
 */
#include <linux/debugfs.h>
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

struct watched {
	struct kretprobe probe;
	struct list_head list;
	spinlock_t lock; /* protects what follows */
	u64 calls;
	u64 cycles;
	u64 most;
	char name[64];
};

static LIST_HEAD(watched);

/* Protects the list */
static DEFINE_MUTEX(watched_lock);

static int call_begins(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	*(u64 *)instance->data = bench_clock();
	return 0;
}

static int call_ends(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	u64 cycles = bench_clock() - *(u64 *)instance->data;
	struct watched *function = container_of(get_kretprobe(instance), struct watched, probe);
	unsigned long flags;

	spin_lock_irqsave(&function->lock, flags);
	function->calls++;
	function->cycles += cycles;
	function->most = max(function->most, cycles);
	spin_unlock_irqrestore(&function->lock, flags);
	return 0;
}

static int watch(const char *name)
{
	struct watched *function = kzalloc(sizeof(*function), GFP_KERNEL);
	int rc;

	if (!function)
		return -ENOMEM;
	spin_lock_init(&function->lock);
	strscpy(function->name, name);
	function->probe.kp.symbol_name = function->name;
	function->probe.entry_handler = call_begins;
	function->probe.handler = call_ends;
	function->probe.data_size = sizeof(u64);
	rc = register_kretprobe(&function->probe);
	if (rc) {
		kfree(function);
		return rc;
	}
	list_add_tail(&function->list, &watched);
	return 0;
}

static void forget_all(void)
{
	struct watched *function, *next;

	list_for_each_entry_safe(function, next, &watched, list) {
		unregister_kretprobe(&function->probe);
		list_del(&function->list);
		kfree(function);
	}
}

static ssize_t calls_write(struct file *file, const char __user *user, size_t count, loff_t *pos)
{
	char text[64], *name;
	int rc = 0;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, count))
		return -EFAULT;
	text[count] = 0;
	name = strim(text);

	mutex_lock(&watched_lock);
	if (*name)
		rc = watch(name);
	else
		forget_all();
	mutex_unlock(&watched_lock);
	return rc ?: count;
}

static int calls_show(struct seq_file *seq, void *unused)
{
	struct watched *function;

	mutex_lock(&watched_lock);
	list_for_each_entry(function, &watched, list)
		seq_printf(seq, "%s %llu %llu %llu\n", function->name, function->calls,
			   function->cycles, function->most);
	mutex_unlock(&watched_lock);
	return 0;
}

static int calls_open(struct inode *inode, struct file *file)
{
	return single_open(file, calls_show, NULL);
}

static const struct file_operations calls_fops = {
	.owner = THIS_MODULE,
	.open = calls_open,
	.read = seq_read,
	.write = calls_write,
	.llseek = seq_lseek,
	.release = single_release,
};

int bench_calls_init(struct dentry *dir)
{
	return PTR_ERR_OR_ZERO(debugfs_create_file("calls", 0600, dir, NULL, &calls_fops));
}

/* Nobody has the file open any more */
void bench_calls_exit(void)
{
	forget_all();
}
