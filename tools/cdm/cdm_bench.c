// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_bench: measures what a program notices, for scripts/bench. Prints "CYCLES OPS", of the best
 * of several rounds where it can be repeated, of fork and exec the median; cycles are those of
 * x86's time stamp counter, nanoseconds elsewhere: instructions, in a virtual machine that counts
 * them. Without libnuma: that looks at every node when a program starts.
 *
 *   fault ram|bound NODE|shared|FILE base|huge	first touch, of small pages or huge ones;
 *						shared: of a memfd
 *   fork | exec				and wait for its end
 *   migrate call|ioctl|status on|off NODE base|huge
 *						with move_pages(2), or by /dev/cdm_test, which
 *						says of each page what became of it, if asked
 *   write FILE TEXT				one write()
 *   blocks NODE TEXT				TEXT to the state of each of its memory blocks
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "../../drivers/cdm/tests/cdm_test_uapi.h"

#define IDLE	"/sys/kernel/debug/cdm_bench/idle"
#define CHILDREN	500
#define ROUNDS		24
#define HUGE_SIZE	(2UL << 20)
#define SMALL_SIZE	4096UL
#define NR_HUGE		4
#define SIZE		(NR_HUGE * HUGE_SIZE)

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void explain(void)
{
	fprintf(stderr, "usage: cdm_bench fault|fork|exec|migrate|write|blocks ...\n");
	exit(2);
}

static uint64_t cycles_now(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
#endif
}

static void report(uint64_t cycles, unsigned int ops)
{
	printf("%" PRIu64 " %u\n", cycles, ops);
}

/* Memory of which nothing is there yet, beginning at a multiple of 2 MiB */
struct fresh {
	const char *kind;	/* ram, bound, shared, or a file's name */
	int node;
	bool huge;
	char *map, *start;
	int fd;
};

static int open_shared(void)
{
	int fd = memfd_create("cdm_bench", 0);

	return fd < 0 || ftruncate(fd, SIZE + HUGE_SIZE) ? -1 : fd;
}

static void open_fresh(struct fresh *fresh)
{
	bool anonymous = !strcmp(fresh->kind, "ram") || !strcmp(fresh->kind, "bound");
	uintptr_t start;

	fresh->fd = -1;
	if (!anonymous)
		fresh->fd = strcmp(fresh->kind, "shared") ? open(fresh->kind, O_RDWR) :
							    open_shared();
	if (!anonymous && fresh->fd < 0)
		die(fresh->kind);
	fresh->map = mmap(NULL, SIZE + HUGE_SIZE, PROT_READ | PROT_WRITE,
			  anonymous ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fresh->fd, 0);
	if (fresh->map == MAP_FAILED)
		die("mmap");
	/* A file's page is huge where the offset in the file is, too */
	start = (uintptr_t)fresh->map;
	fresh->start = anonymous ? (char *)((start + HUGE_SIZE - 1) & -HUGE_SIZE) : fresh->map;
	madvise(fresh->start, SIZE, fresh->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

static void bind_fresh(const struct fresh *fresh)
{
	unsigned long mask = 1UL << fresh->node;

	if (!strcmp(fresh->kind, "bound") &&
	    syscall(SYS_mbind, fresh->start, SIZE, MPOL_BIND, &mask, 65, 0))
		die("mbind");
}

static void close_fresh(const struct fresh *fresh)
{
	munmap(fresh->map, SIZE + HUGE_SIZE);
	if (fresh->fd >= 0)
		close(fresh->fd);
}

static uint64_t touch(const struct fresh *fresh)
{
	size_t step = fresh->huge ? HUGE_SIZE : SMALL_SIZE, at;
	uint64_t begun = cycles_now();

	for (at = 0; at < SIZE; at += step)
		*(volatile char *)(fresh->start + at) = 1;
	return cycles_now() - begun;
}

static void do_fault(char **args)
{
	struct fresh fresh = { .kind = args[0] };
	uint64_t cycles, lowest = UINT64_MAX;
	int round;

	if (!strcmp(*args, "bound"))
		fresh.node = atoi(*++args);
	fresh.huge = !strcmp(args[1], "huge");
	for (round = 0; round < ROUNDS; round++) {
		open_fresh(&fresh);
		bind_fresh(&fresh);
		cycles = touch(&fresh);
		if (cycles < lowest)
			lowest = cycles;
		close_fresh(&fresh);
	}
	report(lowest, SIZE / (fresh.huge ? HUGE_SIZE : SMALL_SIZE));
}

static void run_child(bool exec, char *self)
{
	char *const argv[] = { self, "nothing", NULL };
	int status;
	pid_t pid;

	if (exec) {
		if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ))
			die("posix_spawn");
	} else {
		pid = fork();
		if (!pid)
			_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("child");
}

static int by_size(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The median: what is on a list of the CPU, and who else runs, differs from one to the next */
static void do_child(bool exec, char *self)
{
	uint64_t cycles[CHILDREN], begun;
	int round;

	for (round = 0; round < CHILDREN; round++) {
		begun = cycles_now();
		run_child(exec, self);
		cycles[round] = cycles_now() - begun;
	}
	qsort(cycles, CHILDREN, sizeof(*cycles), by_size);
	report(cycles[CHILDREN / 2], 1);
}

/* move_pages(2) of the whole range; one address in 2 MiB will do for a huge page */
static void move_by_call(const struct fresh *fresh, int node)
{
	size_t step = fresh->huge ? HUGE_SIZE : SMALL_SIZE, nr = SIZE / step, i;
	void **pages = calloc(nr, sizeof(*pages));
	int *nodes = calloc(nr, sizeof(*nodes)), *status = calloc(nr, sizeof(*status));

	if (!pages || !nodes || !status)
		die("calloc");
	for (i = 0; i < nr; i++) {
		pages[i] = fresh->start + i * step;
		nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, nr, pages, nodes, status, MPOL_MF_MOVE))
		die("move_pages");
	for (i = 0; i < nr; i++) {
		if (status[i] != node) {
			errno = -status[i];
			die("status of move_pages");
		}
	}
	free(pages);
	free(nodes);
	free(status);
}

static void move_by_ioctl(const struct fresh *fresh, int fd, int node, bool with_status)
{
	size_t nr = SIZE / SMALL_SIZE;
	int32_t *status = with_status ? calloc(nr, sizeof(*status)) : NULL;
	struct cdm_test_migrate request = {
		.nid = node,
		.addr = (uintptr_t)fresh->start,
		.nr = nr,
		.status = (uintptr_t)status,
	};

	if ((with_status && !status) || ioctl(fd, CDM_TEST_MIGRATE, &request))
		die("CDM_TEST_MIGRATE");
	if (request.moved != (int64_t)nr) {
		fprintf(stderr, "only %" PRId64 " of %zu pages moved\n", (int64_t)request.moved,
			nr);
		exit(1);
	}
	free(status);
}

/* RAM is node 0, where the process is, both ways */
static void move(const struct fresh *fresh, const char *door, int fd, bool on, int node)
{
	if (fd < 0)
		move_by_call(fresh, on ? node : 0);
	else
		move_by_ioctl(fresh, fd, on ? node : -1, !strcmp(door, "status"));
}

static void do_migrate(char **args)
{
	const char *door = args[0];
	bool by_call = !strcmp(door, "call"), on = !strcmp(args[1], "on");
	struct fresh fresh = { .kind = "ram", .huge = !strcmp(args[3], "huge") };
	int fd = by_call ? -1 : open("/dev/cdm_test", O_RDWR), node = atoi(args[2]), round;
	uint64_t begun, cycles, lowest = UINT64_MAX;

	if (!by_call && fd < 0)
		die("/dev/cdm_test");
	for (round = 0; round < ROUNDS; round++) {
		open_fresh(&fresh);
		/* what is in the node of the policy may be moved there */
		fresh.kind = "bound";
		fresh.node = node;
		touch(&fresh);
		bind_fresh(&fresh);
		fresh.kind = "ram";
		if (!on)
			move(&fresh, door, fd, true, node);
		begun = cycles_now();
		move(&fresh, door, fd, on, node);
		cycles = cycles_now() - begun;
		if (cycles < lowest)
			lowest = cycles;
		close_fresh(&fresh);
	}
	report(lowest, SIZE / SMALL_SIZE);
}

/* How long the CPU has waited since boot, in nanoseconds */
static uint64_t idle_time(void)
{
	FILE *file = fopen(IDLE, "r");
	uint64_t us;

	if (!file || fscanf(file, "%" SCNu64, &us) != 1)
		die(IDLE);
	fclose(file);
	return us * 1000;
}

/*
 * Without what it waits: where no instructions are, the clock of such a virtual machine goes on to
 * the next timer. An instruction is a nanosecond there, and a cycle.
 */
static uint64_t timed_write(const char *path, const char *text)
{
	uint64_t begun, idle = idle_time();
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		die(path);
	begun = cycles_now();
	if (write(fd, text, strlen(text)) < 0)
		die(path);
	begun = cycles_now() - begun;
	close(fd);
	return begun - (idle_time() - idle);
}

static void do_blocks(const char *node, const char *text)
{
	char path[512];
	struct dirent *entry;
	uint64_t cycles = 0;
	unsigned int nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%s", node);
	dir = opendir(path);
	if (!dir)
		die(path);
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "memory", 6) || entry->d_name[6] < '0' ||
		    entry->d_name[6] > '9')
			continue;
		snprintf(path, sizeof(path), "/sys/devices/system/memory/%.32s/state",
			 entry->d_name);
		cycles += timed_write(path, text);
		nr++;
	}
	closedir(dir);
	report(cycles, nr);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	char **args = argv + 2;

	if (!strcmp(what, "nothing"))
		return 0;
	else if (!strcmp(what, "fault") && argc >= 4)
		do_fault(args);
	else if (!strcmp(what, "fork"))
		do_child(false, argv[0]);
	else if (!strcmp(what, "exec"))
		do_child(true, argv[0]);
	else if (!strcmp(what, "migrate") && argc == 6)
		do_migrate(args);
	else if (!strcmp(what, "write") && argc == 4)
		report(timed_write(args[0], args[1]), 1);
	else if (!strcmp(what, "blocks") && argc == 4)
		do_blocks(args[0], args[1]);
	else
		explain();
	return 0;
}
