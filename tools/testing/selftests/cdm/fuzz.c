// SPDX-License-Identifier: GPL-2.0
/*
 * fuzz SEED SECONDS user|root: calls at random of everything that a user, or an administrator,
 * can reach of coherent device memory. What it does is the same for the same seed, whatever
 * the answers are; what others do meanwhile is not. Prints how many calls it made, and exits
 * with 0; with 1 when it read what it has not written, or got more than its quota; with 3, or by
 * SIGBUS, when memory that it could not do without has gone with the device.
 *
 * A worker writes its own stamp only, and nothing that it maps or opens is another's: whatever
 * it reads is zero, or its own.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "../../../../include/uapi/linux/cdm.h"
#include "../kselftest.h"
#include "util.h"

#define SLOTS		6
#define LOST		3		/* exit status */
#define MOST		(8 * MIB)	/* of a mapping, and of what is written to a file */

static struct slot {
	int fd;		/* -1: anonymous memory, or nothing */
	char *start;
	size_t size;
} slots[SLOTS];

static uint64_t state, stamp;
static long page_size;
static sigjmp_buf after_fault;
static const char *wrong;

/* Marsaglia's xorshift: rand_r() is not the same in every C library */
static uint64_t pick(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static const char *pick_of(const char *const *list, size_t nr)
{
	return list[pick(nr)];
}

/* Plain ones, those at an edge, and any */
static uint64_t pick_number(void)
{
	static const uint64_t edges[] = {
		0, 1, 4095, 4096, 4097, 2 * MIB, 128 * MIB, 1UL << 30, (1UL << 30) + 4096,
		1UL << 31, 1UL << 32, 1UL << 47, INT64_MAX, 1UL << 63, -4096UL, -1UL,
	};

	switch (pick(3)) {
	case 0:
		return pick(256) * page_size;
	case 1:
		return edges[pick(ARRAY_SIZE(edges))];
	default:
		return pick(UINT64_MAX) >> pick(64);
	}
}

static struct slot *pick_slot(void)
{
	return &slots[pick(SLOTS)];
}

/* Whole pages of a mapping; false if there is none */
static bool pick_range(const struct slot *slot, char **at, size_t *size)
{
	size_t nr = slot->size / page_size, first = pick(nr ?: 1);

	*at = slot->start + first * page_size;
	*size = (1 + pick(nr - first ?: 1)) * page_size;
	return nr;
}

static void forget(struct slot *slot)
{
	if (slot->size)
		munmap(slot->start, slot->size);
	if (slot->fd >= 0)
		close(slot->fd);
	*slot = (struct slot){ .fd = -1 };
}

static void look_at(uint64_t value)
{
	if (value && value != stamp)
		wrong = "read what it has not written";
}

static void open_device(struct slot *slot)
{
	static const char *const devices[] = { "/dev/cdm0", "/dev/cdm1" };
	static const int flags[] = { O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	const char *path = pick_of(devices, ARRAY_SIZE(devices));
	int flag = flags[pick(5)];

	forget(slot);
	slot->fd = open(path, flag | O_CLOEXEC);
}

static void map(struct slot *slot)
{
	static const int prots[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
	};
	static const int kinds[] = { MAP_SHARED, MAP_SHARED, MAP_PRIVATE };
	size_t size = (1 + pick(MOST / page_size)) * page_size;
	int prot = prots[pick(4)], flags = kinds[pick(3)];
	off_t offset = pick(8) ? pick(4) * 2 * MIB : pick_number() & -page_size;
	void *at;

	if (slot->size)
		munmap(slot->start, slot->size);
	if (!pick(4))
		flags |= MAP_POPULATE;
	if (slot->fd < 0) {
		flags |= MAP_ANONYMOUS;
		offset = 0;
	}
	at = mmap(NULL, size, prot, flags, slot->fd, offset);
	slot->start = at == MAP_FAILED ? NULL : at;
	slot->size = slot->start ? size : 0;
}

/* May end with a signal: the page, or the permission, is not there */
static void touch(struct slot *slot)
{
	bool writes = pick(2);
	size_t size;
	char *at;

	if (!pick_range(slot, &at, &size))
		return;
	for (; size; at += page_size, size -= page_size) {
		look_at(*(volatile uint64_t *)at);
		if (writes)
			*(volatile uint64_t *)at = stamp;
	}
}

static void read_write(struct slot *slot)
{
	off_t offset = pick(4) ? pick(MOST) & ~7UL : pick_number();
	uint64_t words[1024] = { };
	size_t size = pick(sizeof(words) / 8) * 8;
	ssize_t got;
	int i;

	if (pick(2)) {
		for (i = 0; i < 1024; i++)
			words[i] = stamp;
		pwrite(slot->fd, words, size, offset & ~7UL);
		return;
	}
	got = pread(slot->fd, words, size, offset & ~7UL);
	for (i = 0; i < got / 8; i++)
		look_at(words[i]);
}

static void change_size(struct slot *slot)
{
	uint64_t start = pick_number(), size = pick_number();

	if (pick(2))
		ftruncate(slot->fd, start);
	else
		fallocate(slot->fd, pick(8), start, size);
}

static void change_mapping(struct slot *slot)
{
	static const int advices[] = {
		MADV_NORMAL, MADV_RANDOM, MADV_WILLNEED, MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
		MADV_DONTFORK, MADV_DOFORK, MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_DONTDUMP, MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD,
		MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE, 25 /* COLLAPSE */,
	};
	int what = pick(6), advice = advices[pick(20)], prot = pick(4);
	size_t size;
	char *at;

	if (!pick_range(slot, &at, &size))
		return;
	switch (what) {
	case 0 ... 2:
		madvise(at, size, advice);
		break;
	case 3:
		mprotect(at, size, prot);
		break;
	case 4:
		if (prot & 1)
			mlock(at, size);
		else
			munlock(at, size);
		break;
	case 5:
		msync(at, size, MS_SYNC);
		break;
	}
}

static void pick_policy(int *mode, unsigned long *mask)
{
	static const int modes[] = { MPOL_DEFAULT, MPOL_PREFERRED, MPOL_BIND, MPOL_INTERLEAVE,
				     MPOL_LOCAL, MPOL_PREFERRED_MANY, 6 /* WEIGHTED_INTERLEAVE */ };

	*mode = modes[pick(7)] | (pick(8) ? 0 : 1 << 13 << pick(3));
	*mask = pick(16) ? pick(64) : pick(UINT64_MAX);
}

static void set_policy(struct slot *slot)
{
	unsigned long mask, all = ~0UL;
	bool of_task = !pick(4);
	int mode, flags = pick(8);
	size_t size;
	char *at;

	pick_policy(&mode, &mask);
	if (of_task)
		set_mempolicy(mode, &mask, MAXNODE);
	else if (pick_range(slot, &at, &size))
		mbind(at, size, mode, &mask, MAXNODE, flags);
	/*
	 * Everything it has, to where it likes; but not the C library's pages, which root's
	 * would take along, and init with them when the card is pulled.
	 */
	if (!pick(8) && geteuid())
		numa_migrate_pages(0, &(struct bitmask){ 64, &all },
				   &(struct bitmask){ 64, &mask });
}

static void move(struct slot *slot)
{
	int nodes[64], status[64], nr = 1 + pick(64), i;
	int flags = pick(4) ? MPOL_MF_MOVE : pick(8);
	void *pages[64];
	size_t size;
	char *at;

	for (i = 0; i < nr; i++)
		nodes[i] = pick(16) ? pick(6) : (int)pick(UINT64_MAX);
	if (!pick_range(slot, &at, &size))
		return;
	for (i = 0; i < nr; i++)
		pages[i] = at + i * page_size;
	move_pages(0, nr, pages, nodes, status, flags);
}

static void call_device(struct slot *slot)
{
	static const unsigned long calls[] = { CDM_IOC_INFO, CDM_IOC_QUOTA, CDM_IOC_MIGRATE };
	/* As much as a call may be about, also where the length is another than what is mapped */
	static int32_t status[(1UL << 30) / 4096];
	unsigned long call = calls[pick(3)];
	union {
		struct cdm_ioc_info info;
		struct cdm_ioc_quota quota;
		struct cdm_ioc_migrate migrate;
		uint64_t words[16];
	} arg = { };
	int damage = pick(4) ? 0 : 1 + pick(3);
	size_t size;
	char *at;

	switch (call) {
	case CDM_IOC_INFO:
		arg.info.size = sizeof(arg.info);
		break;
	case CDM_IOC_QUOTA:
		arg.quota.size = sizeof(arg.quota);
		arg.quota.quota = pick_number();
		break;
	case CDM_IOC_MIGRATE:
		arg.migrate.size = sizeof(arg.migrate);
		arg.migrate.flags = pick(2);
		if (pick_range(slot, &at, &size)) {
			arg.migrate.addr = (uintptr_t)at;
			arg.migrate.length = size;
		}
		if (pick(2))
			arg.migrate.status = (uintptr_t)status;
		break;
	}
	while (damage--)
		arg.words[pick(16)] = pick_number();
	if (!pick(32))
		call = pick(UINT64_MAX);
	ioctl(slot->fd, call, pick(64) ? (void *)&arg : (void *)pick_number());
}

/* A file's pages are never more than its quota */
static void check_quota(struct slot *slot)
{
	struct cdm_ioc_info info = { .size = sizeof(info) };

	if (!ioctl(slot->fd, CDM_IOC_INFO, &info) && info.used > info.quota)
		wrong = "has more than its quota";
}

/* A child that has everything of its parent, uses it, and goes; or moves the whole of it */
static void have_a_child(struct slot *slot)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!sigsetjmp(after_fault, 1))
			touch(slot);
		_exit(!!wrong);
	}
	if (pid > 0) {
		int status = 0;

		waitpid(pid, &status, 0);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
			wrong = "a child read what it has not written";
	}
}

static void remap(struct slot *slot)
{
	size_t size = (1 + pick(MOST / page_size)) * page_size;
	void *at;

	if (!slot->size)
		return;
	at = mremap(slot->start, slot->size, size, MREMAP_MAYMOVE);
	if (at != MAP_FAILED) {
		slot->start = at;
		slot->size = size;
	}
}

/* Through a pipe: pages that it refers to while they are the device's */
static void splice_it(struct slot *slot)
{
	struct iovec range;
	uint64_t word = 0;
	char *at;
	int ends[2];

	if (!pick_range(slot, &at, &range.iov_len) || pipe2(ends, O_NONBLOCK))
		return;
	range.iov_base = at;
	if (vmsplice(ends[1], &range, 1, SPLICE_F_NONBLOCK) > 0 &&
	    read(ends[0], &word, sizeof(word)) == sizeof(word))
		look_at(word);
	close(ends[0]);
	close(ends[1]);
}

/* An administrator's: any value for any file */
static const char *const values[] = {
	"online_movable", "online", "online_kernel", "offline", "cancel", "none", "system", "0",
	"1", "-1", "4096", "2097152", "18446744073709551616", "user_bind", "user_bind reclaim",
	"demotion_target", "all", "", "\n", "online_movable offline", "%s%n", "manual", "auto",
};

static void write_pattern(const char *pattern, const char *value)
{
	uint64_t which = pick(UINT64_MAX);
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		return;
	write_file(found.gl_pathv[which % found.gl_pathc], value);
	globfree(&found);
}

static void administer(struct slot *slot)
{
	static const char *const files[] = {
		"/sys/class/cdm/cdm*/state", "/sys/class/cdm/cdm*/state", "/sys/class/cdm/cdm*/*",
		"/sys/devices/system/node/node2/memory*/state",
		"/sys/devices/system/node/node2/memory*/online",
		"/sys/devices/system/node/node2/hugepages/*/nr_hugepages",
		"/sys/devices/system/node/node2/compact",
	};

	write_pattern(pick_of(files, ARRAY_SIZE(files)), pick_of(values, ARRAY_SIZE(values)));
}

/* What reclaim, compaction and the readers of every file find */
static void disturb(struct slot *slot)
{
	static const char *const readable[] = {
		"/sys/class/cdm/cdm*/*", "/sys/class/cdm/cdm*/pages_in_use/*",
		"/sys/class/cdm/cdm*/stats/*", "/sys/kernel/debug/cdm/*", "/proc/zoneinfo",
		"/proc/self/numa_maps", "/proc/self/smaps",
	};
	const char *pattern = pick_of(readable, ARRAY_SIZE(readable));
	uint64_t which = pick(UINT64_MAX);
	char text[4096];
	glob_t found;
	int fd;

	if (!pick(8))
		write_file("/proc/sys/vm/drop_caches", "3");
	if (!pick(8))
		write_file("/proc/sys/vm/compact_memory", "1");
	if (glob(pattern, 0, NULL, &found))
		return;
	fd = open(found.gl_pathv[which % found.gl_pathc], O_RDONLY | O_NONBLOCK);
	while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		;
	if (fd >= 0)
		close(fd);
	globfree(&found);
}

static void (*const calls[])(struct slot *slot) = {
	open_device, open_device, map, map, map, touch, touch, touch, touch, read_write, read_write,
	change_size, change_mapping, change_mapping, set_policy, move, call_device, call_device,
	check_quota, have_a_child, remap, splice_it, forget,
};

static void (*const calls_of_root[])(struct slot *slot) = { administer, administer, disturb };

/* Its own memory may have been on the device, too, and have gone with it: nothing goes on then */
static void on_fault(int signal, siginfo_t *info, void *context)
{
	const struct slot *slot;

	for (slot = slots; slot < slots + SLOTS; slot++)
		if ((size_t)((char *)info->si_addr - slot->start) < slot->size)
			siglongjmp(after_fault, 1);
	_exit(LOST);
}

int main(int argc, char **argv)
{
	size_t nr = ARRAY_SIZE(calls);	/* and more for root */
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	volatile long done = 0, faults = 0;
	time_t end;
	int i;

	if (argc != 4 || (strcmp(argv[3], "user") && strcmp(argv[3], "root"))) {
		fprintf(stderr, "usage: fuzz SEED SECONDS user|root\n");
		return 2;
	}
	page_size = sysconf(_SC_PAGESIZE);
	/* never 0, or it would stay so */
	state = strtoull(argv[1], NULL, 0) * 2 + 1;
	stamp = state ^ 0xc0de000000000000;
	if (!strcmp(argv[3], "root"))
		nr += ARRAY_SIZE(calls_of_root);
	for (i = 0; i < SLOTS; i++)
		slots[i].fd = -1;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	end = time(NULL) + atoi(argv[2]);

	while (time(NULL) < end && !wrong) {
		struct slot *slot = pick_slot();
		uint64_t which = pick(nr);

		done++;
		if (sigsetjmp(after_fault, 1))
			faults++;
		else if (which < ARRAY_SIZE(calls))
			calls[which](slot);
		else
			calls_of_root[which - ARRAY_SIZE(calls)](slot);
	}
	printf("%s %ld calls %ld faults%s%s\n", argv[3], done, faults, wrong ? ": " : "",
	       wrong ?: "");
	return !!wrong;
}
