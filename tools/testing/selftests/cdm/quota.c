// SPDX-License-Identifier: GPL-2.0
/*
 * The quota of a file of /dev/cdmN, where threads fault, write, reserve and give back at once
 * while another lowers and raises it: at no moment has the file more than it may.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "../../../../include/uapi/linux/cdm.h"
#include "../kselftest_harness.h"
#include "sigbus.h"
#include "util.h"

#define SIZE		(8 * MIB)
#define QUOTA		(2 * MIB)
#define LESS		64		/* pages that it is lowered by, at most */
#define NR_THREADS	4
#define SECONDS		10

struct file {
	int fd;
	char *p;
	atomic_bool stop;
	atomic_long had;	/* pages */
	atomic_long refused;
};

/* Either it has the page now, or the quota was in the way: nothing else may happen */
static bool take_page(struct file *file, long page, int how)
{
	long page_size = sysconf(_SC_PAGESIZE);
	char content[page_size];

	switch (how) {
	case 0:
		if (sigsetjmp(lost, 1))
			return false;
		*(volatile char *)(file->p + page * page_size) = 1;
		return true;
	case 1:
		memset(content, 2, page_size);
		return pwrite(file->fd, content, page_size, page * page_size) == page_size;
	default:
		return !madvise(file->p + page * page_size, page_size, MADV_POPULATE_WRITE);
	}
}

static void *use(void *arg)
{
	long page_size = sysconf(_SC_PAGESIZE), nr = SIZE / page_size;
	unsigned int seed = (uintptr_t)pthread_self() >> 12;
	struct file *file = arg;

	while (!file->stop) {
		long page = rand_r(&seed) % nr;

		/* less than is taken: so that it is at its end most of the time */
		if (rand_r(&seed) % 4 == 0)
			madvise(file->p + page * page_size, page_size, MADV_REMOVE);
		else if (take_page(file, page, rand_r(&seed) % 3))
			file->had++;
		else
			file->refused++;
	}
	return NULL;
}

/* Returns how often it was lowered while the file was used; -1 once it had more than it may */
static long change_quota(struct file *file)
{
	struct cdm_ioc_quota quota = { .size = sizeof(quota) };
	struct cdm_ioc_info info = { .size = sizeof(info) };
	time_t end = time(NULL) + SECONDS;
	unsigned int seed = 1;
	long lowered = 0;

	while (time(NULL) < end) {
		quota.quota = QUOTA - rand_r(&seed) % LESS * sysconf(_SC_PAGESIZE);
		lowered += !ioctl(file->fd, CDM_IOC_QUOTA, &quota);
		if (ioctl(file->fd, CDM_IOC_INFO, &info) || info.used > info.quota)
			return -1;
		quota.quota = QUOTA;
		ioctl(file->fd, CDM_IOC_QUOTA, &quota);
		/* the others are to get somewhere */
		usleep(1000);
	}
	return lowered;
}

TEST(quota_is_exact)
{
	struct cdm_ioc_quota quota = { .size = sizeof(quota), .quota = QUOTA };
	struct cdm_ioc_info info = { .size = sizeof(info) };
	unsigned long nodes = cdm_nodes();
	pthread_t threads[NR_THREADS];
	struct file file = { };
	char path[32];
	long lowered;
	int i;

	if (!nodes)
		SKIP(return, "needs a CDM node");
	ASSERT_EQ(device_path(__builtin_ctzl(nodes), path, sizeof(path)), 0);
	file.fd = open(path, O_RDWR);
	ASSERT_GE(file.fd, 0);
	file.p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	ASSERT_NE(file.p, MAP_FAILED);
	signal(SIGBUS, on_sigbus);
	/* before they have more than that */
	ASSERT_EQ(ioctl(file.fd, CDM_IOC_QUOTA, &quota), 0);
	for (i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(pthread_create(&threads[i], NULL, use, &file), 0);
	lowered = change_quota(&file);
	file.stop = true;
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	TH_LOG("%ld pages had, %ld refused, quota lowered %ld times", file.had, file.refused,
	       lowered);
	EXPECT_GT(lowered, 0);
	EXPECT_GT(file.had, QUOTA / sysconf(_SC_PAGESIZE));
	EXPECT_GT(file.refused, 0);
	/* and what it gives back is counted to the page */
	ASSERT_EQ(madvise(file.p, SIZE, MADV_REMOVE), 0);
	ASSERT_EQ(ioctl(file.fd, CDM_IOC_INFO, &info), 0);
	EXPECT_EQ(info.used, 0);
	munmap(file.p, SIZE);
	close(file.fd);
}

TEST_HARNESS_MAIN
