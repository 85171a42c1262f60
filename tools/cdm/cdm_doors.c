// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_doors [NODE]: the ways in which a program gets memory of a coherent device, each of
 * them used, and looked at. NODE is the first one that has such memory unless it is said.
 *
 *   fd       mmap() of /dev/cdmN: who may open the file gets memory, whatever policies say
 *   mbind    MPOL_BIND: ordinary memory of the process, where the device grants user_bind
 *   driver   what the driver allocates for its users: of the model device, its buffers
 *   migrate  memory that the process has moves to the device, and back
 *
 * Prints a line for each and exits with 0 when all of it is as it should be. Needs libnuma.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <numa.h>
#include <numaif.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../include/uapi/linux/cdm.h"

#define SIZE	(16UL << 20)

static long page_size;

/* The first number in a file; -1 when there is none */
static long long read_number(const char *folder, const char *name)
{
	char path[PATH_MAX];
	long long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fscanf(file, "%lld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

static int write_number(const char *folder, const char *name, long long value)
{
	char path[PATH_MAX];
	FILE *file;
	int rc;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	if (!file)
		return -1;
	rc = fprintf(file, "%lld\n", value) < 0;
	return fclose(file) || rc ? -1 : 0;
}

/* The folder of a node's device, or of the first device for -1 */
static bool find_device(int node, char *folder)
{
	bool found = false;
	glob_t all;
	size_t i;

	if (glob("/sys/class/cdm/*", 0, NULL, &all))
		return false;
	for (i = 0; i < all.gl_pathc && !found; i++) {
		found = node < 0 || read_number(all.gl_pathv[i], "node") == node;
		snprintf(folder, PATH_MAX, "%s", all.gl_pathv[i]);
	}
	globfree(&all);
	return found;
}

static long pages_on(int node, char *start)
{
	long nr = SIZE / page_size, i, on = 0;
	void **pages = calloc(nr, sizeof(*pages));
	int *status = calloc(nr, sizeof(*status));

	for (i = 0; pages && status && i < nr; i++)
		pages[i] = start + i * page_size;
	if (!pages || !status || move_pages(0, nr, pages, NULL, status, 0))
		on = -1;
	for (i = 0; on >= 0 && i < nr; i++)
		on += status[i] == node;
	free(pages);
	free(status);
	return on;
}

static void fill(char *p)
{
	unsigned long *word = (unsigned long *)p, i;

	for (i = 0; i < SIZE / sizeof(*word); i++)
		word[i] = i * 0x9e3779b97f4a7c15;
}

static bool is_filled(const char *p)
{
	const unsigned long *word = (const unsigned long *)p;
	unsigned long i;

	for (i = 0; i < SIZE / sizeof(*word); i++)
		if (word[i] != i * 0x9e3779b97f4a7c15)
			return false;
	return true;
}

static bool say(const char *door, long pages, long expected, bool content)
{
	printf("%-8s %ld pages of %ld%s\n", door, pages, expected,
	       content ? "" : ", and not what was written");
	return pages == expected && content;
}

static bool complain(const char *door)
{
	printf("%-8s %s\n", door, strerror(errno));
	return false;
}

/* To the device of @fd, or with CDM_MIGRATE_TO_RAM away from it */
static bool move(int fd, char *p, uint32_t flags)
{
	struct cdm_ioc_migrate req = {
		.size = sizeof(req),
		.flags = flags,
		.addr = (uintptr_t)p,
		.length = SIZE,
	};

	return !ioctl(fd, CDM_IOC_MIGRATE, &req);
}

/* What was moved away comes back on request */
static bool by_fd(int fd, int node)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool ok;

	if (p == MAP_FAILED)
		return complain("fd");
	fill(p);
	if (!move(fd, p, CDM_MIGRATE_TO_RAM) || pages_on(node, p) || !move(fd, p, 0))
		return complain("fd");
	ok = say("fd", pages_on(node, p), SIZE / page_size, is_filled(p));
	munmap(p, SIZE);
	return ok;
}

static char *map_anonymous(void)
{
	return mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static bool by_mbind(int node)
{
	struct bitmask *mask = numa_allocate_nodemask();
	char *p = map_anonymous();
	bool ok;

	numa_bitmask_setbit(mask, node);
	if (p == MAP_FAILED || mbind(p, SIZE, MPOL_BIND, mask->maskp, mask->size + 1, 0))
		return complain("mbind");
	fill(p);
	ok = say("mbind", pages_on(node, p), SIZE / page_size, is_filled(p));
	munmap(p, SIZE);
	numa_free_nodemask(mask);
	return ok;
}

/* Fill the model device's buffers from the @first one on, and look at what is in them then */
static bool buffers_keep(const char *device, long long first)
{
	char *p = map_anonymous(), path[PATH_MAX + 16];
	off_t start = first << 21, done;
	bool ok;
	int fd;

	snprintf(path, sizeof(path), "%s/device/content", device);
	fd = open(path, O_RDWR);
	if (p == MAP_FAILED || fd < 0)
		return false;
	fill(p);
	for (done = 0; done < (off_t)SIZE; done += page_size)
		if (pwrite(fd, p + done, page_size, start + done) != page_size)
			break;
	memset(p, 0, SIZE);
	for (done = 0; done < (off_t)SIZE; done += page_size)
		if (pread(fd, p + done, page_size, start + done) != page_size)
			break;
	ok = is_filled(p);
	close(fd);
	munmap(p, SIZE);
	return ok;
}

static bool by_driver(const char *device)
{
	long long before = read_number(device, "device/buffers");
	long long held = read_number(device, "pages_in_use/driver");
	long long nr = SIZE >> 21, got;
	bool content;

	if (before < 0) {
		printf("driver   is not the model device's\n");
		return true;
	}
	if (write_number(device, "device/buffers", before + nr))
		return complain("driver");
	got = read_number(device, "pages_in_use/driver") - held;
	content = buffers_keep(device, before);
	if (write_number(device, "device/buffers", before))
		return complain("driver");
	return say("driver", got, SIZE / page_size, content) &&
	       read_number(device, "pages_in_use/driver") == held;
}

static bool by_migration(int fd, int node)
{
	char *p = map_anonymous();
	bool ok;

	if (p == MAP_FAILED)
		return complain("migrate");
	fill(p);
	if (!move(fd, p, 0))
		return complain("migrate");
	ok = say("migrate", pages_on(node, p), SIZE / page_size, is_filled(p));
	if (!move(fd, p, CDM_MIGRATE_TO_RAM))
		return complain("back");
	ok &= say("back", SIZE / page_size - pages_on(node, p), SIZE / page_size, is_filled(p));
	munmap(p, SIZE);
	return ok;
}

int main(int argc, char **argv)
{
	char device[PATH_MAX], path[PATH_MAX];
	int node = argc > 1 ? atoi(argv[1]) : -1, fd;
	bool ok;

	page_size = sysconf(_SC_PAGESIZE);
	if (!find_device(node, device)) {
		fprintf(stderr, "cdm_doors: no device%s\n", node < 0 ? "" : " on that node");
		return 1;
	}
	node = read_number(device, "node");
	snprintf(path, sizeof(path), "/dev/%s", strrchr(device, '/') + 1);
	fd = open(path, O_RDWR);
	if (fd < 0) {
		fprintf(stderr, "cdm_doors: %s: %s\n", path, strerror(errno));
		return 1;
	}
	printf("%s is node %d\n", path, node);
	ok = by_fd(fd, node);
	ok &= by_mbind(node);
	ok &= by_driver(device);
	ok &= by_migration(fd, node);
	return !ok;
}
