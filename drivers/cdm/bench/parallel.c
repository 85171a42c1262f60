// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: several CPUs allocate and free at once, from one device and from the allocator that
 * GPU drivers share. In nanoseconds of the wall: instructions do not tell of waiting.
 */
#include <linux/cdm.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "bench.h"
#include "buddy.h"

/* Of each thread; all of it is one measurement */
#define PARALLEL_OPS	20000

/* What all threads allocate from, and one allocation and free of it */
struct parallel {
	int (*once)(struct parallel *parallel);
	unsigned int order;
	struct cdm_device *cdm;
	struct bench_buddy buddy;
	struct completion ready; /* once a thread */
	struct completion start;
};

struct parallel_thread {
	struct parallel *parallel;
	struct task_struct *task;
	int rc;
};

static int once_cdm(struct parallel *parallel)
{
	struct page *page = cdm_alloc_pages(parallel->cdm, parallel->order, 0);

	if (!page)
		return -ENOMEM;
	cdm_free_pages(parallel->cdm, page, parallel->order);
	return 0;
}

static int once_buddy(struct parallel *parallel)
{
	return bench_buddy_once(&parallel->buddy);
}

static int parallel_thread(void *data)
{
	struct parallel_thread *thread = data;
	int i;

	complete(&thread->parallel->ready);
	wait_for_completion(&thread->parallel->start);
	for (i = 0; !thread->rc && i < PARALLEL_OPS; i++) {
		thread->rc = thread->parallel->once(thread->parallel);
		if (!(i % BENCH_BATCH))
			cond_resched();
	}
	return thread->rc;
}

/* From the start of all to the end of the last one */
static int time_threads(struct parallel_thread *threads, unsigned int nr, u64 *ns)
{
	unsigned int i;
	u64 begun;
	int rc = 0, one;

	for (i = 0; i < nr; i++)
		wake_up_process(threads[i].task);
	/* One that had not begun when it is stopped would never begin */
	for (i = 0; i < nr; i++)
		wait_for_completion(&threads[0].parallel->ready);
	begun = ktime_get_ns();
	complete_all(&threads[0].parallel->start);
	for (i = 0; i < nr; i++) {
		one = kthread_stop_put(threads[i].task);
		rc = rc ?: one;
	}
	*ns = ktime_get_ns() - begun;
	return rc;
}

/* On one CPU each, not begun yet */
static int create_threads(struct parallel *parallel, struct parallel_thread *threads,
			  unsigned int nr)
{
	unsigned int i, cpu = cpumask_first(cpu_online_mask);
	struct task_struct *task;

	for (i = 0; i < nr; i++, cpu = cpumask_next(cpu, cpu_online_mask)) {
		threads[i] = (struct parallel_thread) { .parallel = parallel };
		task = kthread_create_on_cpu(parallel_thread, &threads[i], cpu, "cdm_bench/%u");
		if (IS_ERR(task)) {
			while (i--)
				kthread_stop_put(threads[i].task);
			return PTR_ERR(task);
		}
		threads[i].task = get_task_struct(task);
	}
	return 0;
}

static int measure(struct parallel *parallel, unsigned int nr, u64 *ns)
{
	struct parallel_thread *threads;
	int rc;

	if (!nr || nr > num_online_cpus())
		return -EINVAL;
	threads = kcalloc(nr, sizeof(*threads), GFP_KERNEL);
	if (!threads)
		return -ENOMEM;
	init_completion(&parallel->ready);
	init_completion(&parallel->start);
	rc = create_threads(parallel, threads, nr);
	if (!rc)
		rc = time_threads(threads, nr, ns);
	kfree(threads);
	return rc;
}

/* @how is the number of threads */
static int parallel_run(struct parallel *parallel, const struct bench_request *request, u64 *ns,
			unsigned int *ops)
{
	unsigned int nr;

	if (kstrtouint(request->how, 10, &nr))
		return -EINVAL;
	parallel->order = request->order;
	*ops = nr * PARALLEL_OPS;
	return measure(parallel, nr, ns);
}

static int parallel_cdm_run(const struct bench_request *request, u64 *ns, unsigned int *ops)
{
	struct parallel parallel = { .once = once_cdm, .cdm = cdm_device_find(request->nid) };
	int rc;

	if (!parallel.cdm)
		return -ENODEV;
	rc = parallel_run(&parallel, request, ns, ops);
	cdm_device_put(parallel.cdm);
	return rc;
}

static int parallel_buddy_run(const struct bench_request *request, u64 *ns, unsigned int *ops)
{
	struct parallel parallel = { .once = once_buddy };
	int rc = bench_buddy_init(&parallel.buddy, request->order);

	if (rc)
		return rc;
	rc = parallel_run(&parallel, request, ns, ops);
	gpu_buddy_fini(&parallel.buddy.buddy);
	return rc;
}

const struct bench bench_parallel[] = {
	{ "parallel_cdm", parallel_cdm_run },
	{ "parallel_buddy", parallel_buddy_run },
	{ }
};
