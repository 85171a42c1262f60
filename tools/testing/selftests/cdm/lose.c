// SPDX-License-Identifier: GPL-2.0
/*
 * lose NODE MIB: memory of each kind on a node, that much of each, filled; says "bound A S"
 * (pages on the node of the anonymous and the shared mapping) and waits for a line, in
 * which the node goes away. Then says what touching it does:
 *
 *   anon N shared N read E ram N cache N wrong N
 *
 * with the pages whose touch is a SIGBUS, the errno of reading the shared file, of as much
 * memory in RAM the same, of a file's page cache that was on the node, and the bytes (of page
 * cache: pages) that are not what they were.
 *
 * lose NODE MIB FILE: the shared mapping is of a device's FILE, the anonymous one is in RAM.
 * lose NODE MIB cache: with page cache of a file on a disk, too, which stays when this ends.
 */
#include <libgen.h>

#include "sigbus.h"
#include "util.h"

#define PATTERN 0x5a

/*
 * Page cache of a file that is on a disk, too: this program's neighbour "hog", which nobody runs.
 * Moved to the node page by page; some may be in the way of somebody.
 */
static struct cache {
	char *start;
	size_t size;
	char *copy;
	long on_node;
} cache;

static bool move_cache(const char *self, int node, unsigned long mask)
{
	long page_size = sysconf(_SC_PAGESIZE), nr, i;
	char path[4096];
	int fd, status;
	void *page;

	snprintf(path, sizeof(path), "%s/hog", dirname(strdupa(self)));
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return false;
	cache.size = lseek(fd, 0, SEEK_END) & -page_size;
	cache.start = mmap(NULL, cache.size, PROT_READ, MAP_SHARED, fd, 0);
	cache.copy = malloc(cache.size);
	close(fd);
	if (cache.start == MAP_FAILED || !cache.copy)
		return false;
	memcpy(cache.copy, cache.start, cache.size);
	nr = cache.size / page_size;
	for (i = 0; i < nr; i++) {
		page = cache.start + i * page_size;
		move_pages(0, 1, &page, &node, &status, MPOL_MF_MOVE);
	}
	cache.on_node = pages_on(cache.start, cache.size, mask);
	return true;
}

/* It is read again from where it came from */
static long count_lost_cache(long *wrong)
{
	long page_size = sysconf(_SC_PAGESIZE);
	volatile long nr = 0;
	volatile size_t i;

	for (i = 0; i < cache.size; i += page_size) {
		if (sigsetjmp(lost, 1))
			nr++;
		else
			*wrong += !!memcmp(cache.start + i, cache.copy + i, page_size);
	}
	return nr;
}

/* Pages of a mapping whose touch is a SIGBUS; adds to @wrong the bytes that have changed */
static long count_lost(const volatile char *p, size_t size, long *wrong)
{
	long page_size = sysconf(_SC_PAGESIZE);
	volatile long nr = 0;
	volatile size_t i;

	for (i = 0; i < size; i += page_size) {
		if (sigsetjmp(lost, 1))
			nr++;
		else
			*wrong += p[i] != PATTERN;
	}
	return nr;
}

/* The file to map, whose pages will be on the node; or -1 */
static int open_shared(const char *path, size_t size)
{
	int fd = path ? open(path, O_RDWR) : memfd_create("cdm_lose", MFD_CLOEXEC);

	return fd < 0 || (!path && ftruncate(fd, size)) ? -1 : fd;
}

int main(int argc, char **argv)
{
	bool with_cache = argc == 4 && !strcmp(argv[3], "cache");
	const char *path = argc == 4 && !with_cache ? argv[3] : NULL;
	const char *error = "none";
	char *anon, *shared, *ram, c;
	long nr[4], wrong = 0;
	unsigned long mask;
	size_t size;
	int fd;

	if (argc != 3 && argc != 4) {
		fprintf(stderr, "usage: lose NODE MIB [FILE | cache]\n");
		return 2;
	}
	mask = NODE(atoi(argv[1]));
	size = strtoul(argv[2], NULL, 0) * MIB;
	fd = open_shared(path, size);
	anon = map_anonymous(size);
	ram = map_anonymous(size);
	if (fd < 0 || !anon || !ram) {
		perror("lose");
		return 1;
	}
	shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED ||
	    (!path && (mbind(anon, size, MPOL_BIND, &mask, MAXNODE, 0) ||
		       mbind(shared, size, MPOL_BIND, &mask, MAXNODE, 0)))) {
		perror("lose: mbind");
		return 1;
	}
	memset(anon, PATTERN, size);
	memset(shared, PATTERN, size);
	memset(ram, PATTERN, size);
	/* what is locked is on lists of its own */
	if (mlock(anon, sysconf(_SC_PAGESIZE)) ||
	    (with_cache && !move_cache(argv[0], atoi(argv[1]), mask))) {
		perror("lose: mlock or page cache");
		return 1;
	}
	printf("bound %ld %ld cache %ld\n", pages_on(anon, size, mask),
	       pages_on(shared, size, mask), cache.on_node);
	fflush(stdout);
	getchar();

	signal(SIGBUS, on_sigbus);
	nr[0] = count_lost(anon, size, &wrong);
	nr[1] = count_lost(shared, size, &wrong);
	nr[2] = count_lost(ram, size, &wrong);
	nr[3] = count_lost_cache(&wrong);
	if (pread(fd, &c, 1, size / 2) != 1)
		error = strerrorname_np(errno);
	printf("anon %ld shared %ld read %s ram %ld cache %ld wrong %ld\n", nr[0], nr[1], error,
	       nr[2], nr[3], wrong);
	return 0;
}
