// SPDX-License-Identifier: GPL-2.0
/*
 * churn START SIZE NODE SECONDS: four threads use a device at once in every way that there
 * is, with less memory than they want: blocks, arrays, lists and pieces, evicted by the others
 * and spilled to RAM and brought back; memory that moves there and back; files. What they wrote
 * they find again. Prints "ok", how often each was done, and exits with 0; or says what was
 * wrong.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <time.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "util.h"

#define THREADS		4
#define SPILL_MAX	(16 * MIB)
#define MOVED		(2 * MIB)

static atomic_long allocs, none, moves, files, backs;
static atomic_bool failed;
static time_t end;
static int nid;

struct thread {
	pthread_t id;
	int fd;
	unsigned int seed;
};

static void complain(const char *what)
{
	fprintf(stderr, "churn: %s: %s\n", what, strerrorname_np(errno));
	failed = true;
}

/* Full or not: more than its turn nobody gets */
static void allocate(struct thread *thread)
{
	static const int ways[] = {
		CDM_TEST_DRIVER, CDM_TEST_DRIVER, CDM_TEST_BULK, CDM_TEST_LIST, CDM_TEST_CONTIG,
	};
	struct cdm_test_alloc req = {
		.nid = nid,
		.how = ways[rand_r(&thread->seed) % 5],
		.flags = rand_r(&thread->seed) & 13,
		.count = 1 + rand_r(&thread->seed) % 64,
	};

	if (req.how == CDM_TEST_DRIVER)
		req.order = rand_r(&thread->seed) % 10;
	if (req.how == CDM_TEST_CONTIG) {
		req.order = 11;
		req.count = 1;
	}
	if (!ioctl(thread->fd, CDM_TEST_ALLOC, &req))
		allocs++;
	else if (errno == ENOMEM)
		none++;
	else
		complain("alloc");
	if ((req.flags & 1) && req.not_zero)
		complain("not cleared");
	if (!(req.flags & 8) && req.elsewhere)
		complain("RAM without having asked for it");
}

static void bring_back(struct thread *thread)
{
	struct cdm_test_back back = { };

	if (ioctl(thread->fd, CDM_TEST_BACK, &back))
		complain("back");
	if (back.wrong)
		complain("brought back with other content");
	backs += back.back;
}

static bool is_filled(const char *p, size_t size, char c)
{
	size_t i;

	for (i = 0; i < size; i++)
		if (p[i] != c)
			return false;
	return true;
}

static long long migrate(struct thread *thread, char *p, int to)
{
	static __thread int32_t status[MOVED / 4096];
	struct cdm_test_migrate req = {
		.nid = to,
		.by_pfn = rand_r(&thread->seed) & 1,
		.addr = (uintptr_t)p,
		.nr = MOVED / sysconf(_SC_PAGESIZE),
		.status = (uintptr_t)status,
	};

	if (ioctl(thread->fd, CDM_TEST_MIGRATE, &req))
		complain("migrate");
	return req.moved;
}

static void move(struct thread *thread)
{
	char c = 1 + rand_r(&thread->seed) % 100, *p = map_anonymous(2 * MOVED), *at;

	if (!p)
		return;
	at = (char *)(((uintptr_t)p + MOVED - 1) & -MOVED);
	madvise(at, MOVED, rand_r(&thread->seed) & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	memset(at, c, MOVED);
	moves += migrate(thread, at, nid);
	if (!is_filled(at, MOVED, c))
		complain("moved with other content");
	migrate(thread, at, -1);
	if (!is_filled(at, MOVED, c))
		complain("moved back with other content");
	munmap(p, 2 * MOVED);
}

/* By write(), which can fail without a signal */
static void use_file(struct thread *thread, const char *path)
{
	char page[4096], got[4096], c = 1 + rand_r(&thread->seed) % 100;
	int fd = open(path, O_RDWR), i;

	if (fd < 0) {
		complain(path);
		return;
	}
	memset(page, c, sizeof(page));
	for (i = 0; i < 300; i++) {
		if (pwrite(fd, page, sizeof(page), i * 4096L) != sizeof(page)) {
			if (errno != ENOSPC)
				complain("write");
			break;
		}
		files++;
	}
	while (i--)
		if (pread(fd, got, sizeof(got), i * 4096L) != sizeof(got) ||
		    memcmp(got, page, sizeof(got)))
			complain("file with other content");
	close(fd);
}

static char path[PATH_MAX];

static void *run(void *arg)
{
	struct thread *thread = arg;

	while (time(NULL) < end && !failed) {
		switch (rand_r(&thread->seed) % 32) {
		case 0 ... 22:
			allocate(thread);
			break;
		case 23 ... 25:
			bring_back(thread);
			break;
		case 26 ... 28:
			move(thread);
			break;
		case 29 ... 30:
			use_file(thread, path);
			break;
		case 31:
			if (ioctl(thread->fd, CDM_TEST_FREE))
				complain("free");
			break;
		}
	}
	return NULL;
}

/* The first thread's file has the device: what it holds, the others evict */
static bool start(struct thread *threads, char **argv)
{
	struct cdm_test_register req = {
		.start = strtoull(argv[1], NULL, 0),
		.size = strtoull(argv[2], NULL, 0),
		.nid = nid,
		.caps = 1,
		.evicts = 8,
		.scrubs = 1,
		.copies = 1,
		.spill_max = SPILL_MAX,
	};
	int i;

	snprintf(req.parent, sizeof(req.parent), "%s", getenv("CDM_TEST_PARENT") ?: "");
	for (i = 0; i < THREADS; i++) {
		threads[i].fd = open("/dev/cdm_test", O_RDWR);
		threads[i].seed = time(NULL) + i;
		if (threads[i].fd < 0)
			return false;
	}
	printf("seed %u\n", threads[0].seed);
	if (ioctl(threads[0].fd, CDM_TEST_REGISTER, &req) ||
	    device_path(nid, path, sizeof(path)))
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct thread threads[THREADS];
	struct cdm_test_counts counts;
	char used[PATH_MAX];
	int i;

	if (argc != 5) {
		fprintf(stderr, "usage: churn START SIZE NODE SECONDS\n");
		return 2;
	}
	nid = atoi(argv[3]);
	if (!start(threads, argv)) {
		perror("churn");
		return 1;
	}
	end = time(NULL) + atoi(argv[4]);
	for (i = 0; i < THREADS; i++)
		pthread_create(&threads[i].id, NULL, run, &threads[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i].id, NULL);
	for (i = 0; i < THREADS; i++)
		if (ioctl(threads[i].fd, CDM_TEST_FREE))
			complain("free");
	if (ioctl(threads[0].fd, CDM_TEST_COUNTS, &counts))
		complain("counts");
	/* all of the budget is back, and nothing is held */
	if (device_file(nid, "spill_used", used, sizeof(used)) || read_value(used, "") != 0)
		complain("spill_used");
	if (device_file(nid, "pages_in_use/driver", used, sizeof(used)) ||
	    read_value(used, "") != 0)
		complain("pages_in_use/driver");
	if (failed)
		return 1;
	printf("ok allocs %ld none %ld moves %ld files %ld back %ld ", allocs, none, moves, files,
	       backs);
	printf("evict %" PRIu64 " scrub %" PRIu64 " copy %" PRIu64 "\n",
	       (uint64_t)counts.evict_calls, (uint64_t)counts.scrubbed, (uint64_t)counts.copied);
	return 0;
}
