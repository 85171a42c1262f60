// SPDX-License-Identifier: GPL-2.0
/*
 * collapse NODE: 2 MiB of shared memory that is all in swap, which is there. Says "ready" and waits
 * for a line; then asks the kernel to make one huge page of it, and says
 *
 *   ERRNO N
 *
 * with what it answered (0 when it did), and the pages that are on the node now.
 */
#include "util.h"

#define SIZE (2 * MIB)

static char *map_shared(void)
{
	int fd = memfd_create("cdm_collapse", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, 2 * SIZE))
		return NULL;
	p = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	/* aligned in the file, and so in memory, or it cannot be one */
	return mmap((void *)(((uintptr_t)p + SIZE - 1) & -SIZE), SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
}

static long resident(char *p)
{
	unsigned char in[SIZE / 4096];
	long i, nr = 0;

	if (mincore(p, SIZE, in))
		return -1;
	for (i = 0; i < (long)SIZE / sysconf(_SC_PAGESIZE); i++)
		nr += in[i] & 1;
	return nr;
}

int main(int argc, char **argv)
{
	int error, tries;
	char *p;

	if (argc != 2) {
		fprintf(stderr, "usage: collapse NODE\n");
		return 2;
	}
	p = map_shared();
	if (!p || p == MAP_FAILED) {
		perror("collapse");
		return 1;
	}
	memset(p, 0x5a, SIZE);
	/* what is in somebody's way the first time goes the next */
	for (tries = 0; tries < 10; tries++)
		madvise(p, SIZE, MADV_PAGEOUT);
	printf("ready %ld\n", resident(p));
	fflush(stdout);
	getchar();
	error = madvise(p, SIZE, MADV_COLLAPSE) ? errno : 0;
	printf("%s %ld\n", error ? strerrorname_np(error) : "0",
	       pages_on(p, SIZE, NODE(atoi(argv[1]))));
	return 0;
}
