// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: measures allocators inside the kernel, for scripts/bench. Without CONFIG_CDM it has
 * what can be compared with a kernel that does.
 *
 *   debugfs/cdm_bench/run	write "NAME HOW ORDER NODE", read "CYCLES OPS" of the best round
 *   debugfs/cdm_bench/calls	see calls.c
 *   debugfs/cdm_bench/idle	how long the first CPU has waited since boot, in microseconds
 *
 * Cycles are as of bench_clock(), in a virtual machine that counts instructions these; but of
 * "parallel_..." nanoseconds.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kernel_stat.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/tick.h>
#include <linux/uaccess.h>

#include "bench.h"

static const struct bench *const groups[] = {
	bench_pages,
#ifdef CONFIG_CDM
	bench_cdm,
	bench_peers,
	bench_parallel,
#endif
};

/* Protects the two below */
static DEFINE_MUTEX(result_lock);
static u64 result;
static unsigned int result_ops;

static struct dentry *dir;

int bench_lowest(int (*round)(void *data), void *data, u64 *lowest)
{
	u64 begun;
	int i, rc;

	*lowest = U64_MAX;
	for (i = 0; i < BENCH_ROUNDS; i++) {
		cond_resched();
		begun = bench_clock();
		rc = round(data);
		if (rc)
			return rc;
		*lowest = min(*lowest, bench_clock() - begun);
	}
	return 0;
}

static const struct bench *find_bench(const char *name)
{
	const struct bench *bench;
	int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (bench = groups[i]; bench->name; bench++)
			if (!strcmp(bench->name, name))
				return bench;
	return NULL;
}

static ssize_t run_write(struct file *file, const char __user *user, size_t count, loff_t *pos)
{
	struct bench_request request;
	const struct bench *bench;
	char text[64], name[24];
	int rc;

	if (count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, user, count))
		return -EFAULT;
	text[count] = 0;
	if (sscanf(text, "%23s %15s %u %d", name, request.how, &request.order,
		   &request.nid) != 4 || request.order > MAX_PAGE_ORDER ||
	    request.nid >= (int)nr_node_ids)
		return -EINVAL;
	bench = find_bench(name);
	if (!bench)
		return -ENOENT;

	mutex_lock(&result_lock);
	rc = bench->run(&request, &result, &result_ops);
	mutex_unlock(&result_lock);
	return rc ?: count;
}

static ssize_t run_read(struct file *file, char __user *user, size_t count, loff_t *pos)
{
	char text[64];
	int len;

	mutex_lock(&result_lock);
	len = scnprintf(text, sizeof(text), "%llu %u\n", result, result_ops);
	mutex_unlock(&result_lock);
	return simple_read_from_buffer(user, count, pos, text, len);
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.read = run_read,
	.write = run_write,
};

static int idle_get(void *data, u64 *idle)
{
	*idle = get_cpu_idle_time_us(0, NULL);
	/* A kernel whose clock ticks when it is idle, too */
	return *idle == -1 ? -EOPNOTSUPP : 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(idle_fops, idle_get, NULL, "%llu\n");

static int __init cdm_bench_init(void)
{
	int rc;

	dir = debugfs_create_dir("cdm_bench", NULL);
	if (IS_ERR(dir))
		return PTR_ERR(dir);
	debugfs_create_file("run", 0600, dir, NULL, &run_fops);
	debugfs_create_file("idle", 0400, dir, NULL, &idle_fops);
	rc = bench_calls_init(dir);
	if (rc)
		debugfs_remove(dir);
	return rc;
}
module_init(cdm_bench_init);

static void __exit cdm_bench_exit(void)
{
	debugfs_remove(dir);
	bench_calls_exit();
}
module_exit(cdm_bench_exit);

MODULE_DESCRIPTION("Benchmarks of coherent device memory and its peers");
MODULE_LICENSE("GPL");
