/* SPDX-License-Identifier: GPL-2.0 */
/* What the selftests for coherent device memory share. */
#ifndef _CDM_UTIL_H
#define _CDM_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/mempolicy.h>	/* before numaif.h, whose macros have the same names */
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define MIB		(1UL << 20)
#define MAX_NODES	64
#define NODE(n)		(1UL << (n))

/* The kernel reads one bit less than it is told */
#define MAXNODE		(MAX_NODES + 1)

/* Nodes of /sys/devices/system/node/NAME; 0 if there is no such file */
static inline unsigned long node_mask(const char *name)
{
	unsigned long mask = 0;
	struct bitmask *nodes;
	char path[128], list[256];
	FILE *file;
	int nid;

	snprintf(path, sizeof(path), "/sys/devices/system/node/%s", name);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fgets(list, sizeof(list), file)) {
		list[strcspn(list, "\n")] = 0;
		nodes = numa_parse_nodestring_all(list);
		for (nid = 0; nodes && *list && nid < MAX_NODES; nid++)
			if (numa_bitmask_isbitset(nodes, nid))
				mask |= NODE(nid);
		if (nodes)
			numa_free_nodemask(nodes);
	}
	fclose(file);
	return mask;
}

/* Does the kernel know CDM, or only the driver core's module? */
static inline bool kernel_has_cdm(void)
{
	return !access("/sys/devices/system/node/has_cdm", R_OK);
}

/* The nodes that are CDM. Without the mm side of our own, only the driver core knows them. */
static inline unsigned long cdm_nodes(void)
{
	unsigned long mask = 0;
	glob_t files;
	FILE *file;
	size_t i;
	int nid;

	if (kernel_has_cdm())
		return node_mask("has_cdm");
	if (glob("/sys/class/cdm/*/node", 0, NULL, &files))
		return 0;
	for (i = 0; i < files.gl_pathc; i++) {
		file = fopen(files.gl_pathv[i], "r");
		if (file && fscanf(file, "%d", &nid) == 1)
			mask |= NODE(nid);
		if (file)
			fclose(file);
	}
	globfree(&files);
	return mask;
}

/* The nodes that are devices: what is CDM; where nobody knows it, memory without a CPU */
static inline unsigned long device_nodes(void)
{
	if (kernel_has_cdm() || !access("/sys/class/cdm", R_OK))
		return cdm_nodes();
	return node_mask("has_memory") & ~node_mask("has_cpu");
}

static inline int run_on(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

/* Private anonymous memory in which nothing has been touched yet */
static inline char *map_anonymous(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Pages of hugetlb of a size that all have but POWER with hash page tables */
#define HUGETLB_2M	(MAP_HUGETLB | 21 << MAP_HUGE_SHIFT)
#define POOL_2M		"/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define NO_POOL_2M	"a kernel without huge pages of 2 MiB"

static inline bool has_pool_2m(void)
{
	return !access(POOL_2M, F_OK);
}

/* Pages of a touched range that are on one of the nodes in @mask; -1 on error */
static inline long pages_on(char *start, size_t size, unsigned long mask)
{
	unsigned long page_size = sysconf(_SC_PAGESIZE), i, nr = (size + page_size - 1) / page_size;
	void **pages = calloc(nr, sizeof(*pages));
	int *status = calloc(nr, sizeof(*status));
	long on = -1;

	if (pages && status) {
		for (i = 0; i < nr; i++)
			pages[i] = start + i * page_size;
		if (!move_pages(0, nr, pages, NULL, status, 0))
			for (on = 0, i = 0; i < nr; i++)
				on += status[i] >= 0 && (mask & NODE(status[i]));
	}
	free(pages);
	free(status);
	return on;
}

/* The value of "KEY ... VALUE" in a file of lines; -1 if it is not there */
static inline long read_value(const char *path, const char *key)
{
	FILE *file = fopen(path, "r");
	char line[256], *at;
	long value = -1;

	while (file && fgets(line, sizeof(line), file)) {
		at = strstr(line, key);
		if (at && sscanf(at + strlen(key), "%ld", &value) == 1)
			break;
	}
	if (file)
		fclose(file);
	return value;
}

/*
 * The size of a huge page of the page table's middle level, which depends on that of small ones;
 * SIZE_MAX if there are none
 */
static inline size_t huge_page_size(void)
{
	return read_value("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "");
}

/* Why a test of them is skipped, where they are not as small as it needs them */
static inline const char *no_huge_page(void)
{
	return huge_page_size() == SIZE_MAX ? "a kernel without transparent huge pages" :
	       "a huge page of this kernel is larger than what is tested";
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), rc;

	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* The physical page of each page of a range: moving a page within a node shows, too */
static inline int read_frames(char *start, long nr, uint64_t *frames)
{
	long page_size = sysconf(_SC_PAGESIZE), i;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	ssize_t got;

	if (fd < 0)
		return -errno;
	got = pread(fd, frames, nr * sizeof(*frames),
		    (uintptr_t)start / page_size * sizeof(*frames));
	close(fd);
	for (i = 0; i < nr; i++)
		frames[i] &= (1ULL << 55) - 1;
	return got == nr * (ssize_t)sizeof(*frames) ? 0 : -EIO;
}

/* 256 MiB of swap that takes RAM only for what is in it */
static inline int swap_on(void)
{
	if (write_file("/sys/block/zram0/disksize", "256M"))
		return -1;
	return system("mkswap /dev/zram0 >/dev/null") ?: swapon("/dev/zram0", 0);
}

static inline void swap_off(void)
{
	swapoff("/dev/zram0");
	write_file("/sys/block/zram0/reset", "1");
}

/* A file of the device whose memory node @nid is, in @path; 0, or a negative errno */
static inline int device_file(int nid, const char *name, char *path, size_t size)
{
	int i, rc = -ENODEV;
	glob_t found;

	if (glob("/sys/class/cdm/*", 0, NULL, &found))
		return -ENODEV;
	for (i = 0; i < found.gl_pathc && rc; i++) {
		snprintf(path, size, "%s/node", found.gl_pathv[i]);
		if (read_value(path, "") != nid)
			continue;
		snprintf(path, size, "%s/%s", found.gl_pathv[i], name);
		rc = 0;
	}
	globfree(&found);
	return rc;
}

/* The file in /dev of the device whose memory node @nid is, in @path; as device_file() */
static inline int device_path(int nid, char *path, size_t size)
{
	char folder[PATH_MAX];
	int rc = device_file(nid, "", folder, sizeof(folder));

	if (rc)
		return rc;
	folder[strlen(folder) - 1] = 0;
	snprintf(path, size, "/dev/%s", strrchr(folder, '/') + 1);
	return 0;
}

/* The calling process, with all of its threads */
static inline int enter_cgroup(const char *group)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	return write_file(path, "0");
}

#define CHILD_CPUSET "/sys/fs/cgroup/cdm_child"

/* One cpuset anywhere makes the page allocator check cpusets for everybody */
static inline int make_child_cpuset(void)
{
	int rc = write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");

	if (!rc && mkdir(CHILD_CPUSET, 0755) && errno != EEXIST)
		rc = -errno;
	return rc;
}

/* Into the child, which is given these nodes and all CPUs */
static inline int enter_child_cpuset(const char *mems)
{
	return write_file(CHILD_CPUSET "/cpuset.mems", mems) ?: enter_cgroup(CHILD_CPUSET);
}

static inline int remove_child_cpuset(void)
{
	enter_cgroup("/sys/fs/cgroup");
	return rmdir(CHILD_CPUSET);
}

#endif /* _CDM_UTIL_H */
