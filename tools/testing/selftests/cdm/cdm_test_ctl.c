// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_test_ctl: a script's hands on /dev/cdm_test. Reads commands from standard input and
 * answers each with a line, "ok ..." or "error ERRNO". What it allocated and registered is
 * given back when it ends.
 *
 *   alloc NODE ORDER COUNT [KEY=NUMBER]...	ok PAGES_ON_NODE PAGES_ELSEWHERE
 *	how=4 an array, 5 a list, 6 in one piece, 7 with interrupts off, 8 in a handler; flags= of
 *	CDM_ALLOC_*: 1 zero, 2 atomic, 4 no eviction, 8 spill
 *   free				ok
 *   misfree NODE			ok: a page that it has, to the device of NODE
 *   register START SIZE NODE [KEY=NUMBER]...	ok NODE; the keys are those of
 *	struct cdm_test_register; caps=1 unless it is said, where the kernel has capabilities
 *   unregister [SECONDS] | remove | lost	ok
 *   online | offline [SECONDS] | cancel	ok
 *	of the device that it registered, or else allocated from (by alloc NODE 0 0: nothing)
 *   map PAGES				ok: of those that were allocated, one by one
 *   unmap				ok
 *   migrate NODE PAGES			ok THERE BACK wrong BYTES
 *   counts				ok evict CALLS scrub PAGES copy PAGES
 *   back [all]				ok PAGES wrong N ERRNO|all; all: also what is no
 *	spilled page
 *   write FILE TEXT			ok: opened, and TEXT written with one write()
 *   touch FILE|NODE PAGES		ok: so many mapped of the file, or bound to the node, and
 *	faulted in with one madvise()
 *   info FILE | quota FILE | move FILE	ok: the ioctl of /dev/cdmN; a quota of 1 MiB, 8 small
 *	pages to the device
 *   nth N				and the N-th allocation in the kernel that the next
 *	command makes there fails; its answer ends with "injected" if there was one
 */
#include <inttypes.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "../../../../include/uapi/linux/cdm.h"
#include "util.h"

static int fd;

/* Which allocation is to fail, and whether it came to that */
static unsigned int nth;
static bool injected;

static void answer(int rc)
{
	if (rc)
		printf("error %s%s\n", strerrorname_np(errno), injected ? " injected" : "");
	else
		printf("ok%s\n", injected ? " injected" : "");
}

/* Say it just before the call and ask just after it: any other one would count, too */
static void arm(int faults)
{
	if (faults >= 0 && dprintf(faults, "%u", nth) < 0)
		perror("fail-nth");
}

static void disarm(int faults)
{
	char left[16] = "";
	int error = errno;

	if (faults < 0)
		return;
	if (pread(faults, left, sizeof(left) - 1, 0) > 0)
		injected = nth && !atoi(left);
	pwrite(faults, "0", 1, 0);
	close(faults);
	nth = 0;
	errno = error;
}

static int open_faults(void)
{
	injected = false;
	return nth ? open("/proc/thread-self/fail-nth", O_RDWR) : -1;
}

static int call(unsigned long cmd, unsigned long arg)
{
	int faults = open_faults(), rc;

	arm(faults);
	rc = ioctl(fd, cmd, arg);
	disarm(faults);
	return rc;
}

static void do_write(char *args)
{
	const char *path = strtok(args, "\n "), *text = strtok(NULL, "\n ");
	int faults, file;
	ssize_t written = -1;

	if (!text) {
		puts("error: write FILE TEXT");
		return;
	}
	faults = open_faults();
	arm(faults);
	file = open(path, O_WRONLY);
	if (file >= 0)
		written = write(file, text, strlen(text));
	disarm(faults);
	answer(written < 0 ? -1 : 0);
	if (file >= 0)
		close(file);
}

/* Of a device's file, or if @where is a number anonymous, and bound to that node */
static char *map_there(const char *where, size_t size)
{
	unsigned long mask = NODE(atoi(where));
	char *p;
	int file;

	if (*where == '/') {
		file = open(where, O_RDWR);
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
		close(file);
		return p == MAP_FAILED ? NULL : p;
	}
	p = map_anonymous(size);
	if (p && mbind(p, size, MPOL_BIND, &mask, MAXNODE, 0)) {
		munmap(p, size);
		return NULL;
	}
	return p;
}

static void do_touch(char *args)
{
	const char *where = strtok(args, "\n "), *pages = strtok(NULL, "\n ");
	size_t size = pages ? atol(pages) * sysconf(_SC_PAGESIZE) : 0;
	int faults, rc;
	char *p = size ? map_there(where, size) : NULL;

	if (!p) {
		puts("error: touch FILE|NODE PAGES");
		return;
	}
	madvise(p, size, MADV_NOHUGEPAGE);
	faults = open_faults();
	arm(faults);
	rc = madvise(p, size, MADV_POPULATE_WRITE);
	disarm(faults);
	answer(rc);
	munmap(p, size);
}

static void call_file(char *args, unsigned long cmd)
{
	int file = open(strtok(args, "\n ") ?: "", O_RDWR), faults, rc;
	size_t size = 8 * sysconf(_SC_PAGESIZE);
	union {
		struct cdm_ioc_info info;
		struct cdm_ioc_quota quota;
		struct cdm_ioc_migrate migrate;
	} req = { };
	char *p = map_anonymous(size);

	madvise(p, size, MADV_NOHUGEPAGE);
	memset(p, 1, size);
	req.info.size = _IOC_SIZE(cmd);
	if (cmd == CDM_IOC_QUOTA) {
		req.quota.quota = MIB;
	} else if (cmd == CDM_IOC_MIGRATE) {
		req.migrate.addr = (uintptr_t)p;
		req.migrate.length = size;
	}
	faults = open_faults();
	arm(faults);
	rc = ioctl(file, cmd, &req);
	disarm(faults);
	/* what did not move for want of memory is told page by page */
	if (!rc && cmd == CDM_IOC_MIGRATE && req.migrate.moved < 8) {
		rc = -1;
		errno = ENOMEM;
	}
	answer(rc);
	munmap(p, size);
	close(file);
}

/* A field of a request that may be set by KEY=NUMBER */
struct option {
	const char *key;
	size_t offset;
	size_t size;
};

static const struct option alloc_options[] = {
	{ "how", offsetof(struct cdm_test_alloc, how), sizeof(uint32_t) },
	{ "flags", offsetof(struct cdm_test_alloc, flags), sizeof(uint32_t) },
	{ }
};

static const struct option register_options[] = {
	{ "fallback", offsetof(struct cdm_test_register, fallback), sizeof(uint32_t) },
	{ "start2", offsetof(struct cdm_test_register, start2), sizeof(uint64_t) },
	{ "size2", offsetof(struct cdm_test_register, size2), sizeof(uint64_t) },
	{ "bad_page", offsetof(struct cdm_test_register, bad_page), sizeof(uint64_t) },
	{ "online_policy", offsetof(struct cdm_test_register, online_policy), sizeof(uint32_t) },
	{ "caps", offsetof(struct cdm_test_register, caps), sizeof(uint32_t) },
	{ "near", offsetof(struct cdm_test_register, near), sizeof(uint32_t) },
	{ "distance", offsetof(struct cdm_test_register, distance), sizeof(uint32_t) },
	{ "bandwidth", offsetof(struct cdm_test_register, bandwidth), sizeof(uint32_t) },
	{ "latency", offsetof(struct cdm_test_register, latency), sizeof(uint32_t) },
	{ "gives_back", offsetof(struct cdm_test_register, gives_back), sizeof(uint32_t) },
	{ "evicts", offsetof(struct cdm_test_register, evicts), sizeof(uint32_t) },
	{ "lies", offsetof(struct cdm_test_register, lies), sizeof(uint32_t) },
	{ "scrubs", offsetof(struct cdm_test_register, scrubs), sizeof(uint32_t) },
	{ "copies", offsetof(struct cdm_test_register, copies), sizeof(uint32_t) },
	{ "spill_max", offsetof(struct cdm_test_register, spill_max), sizeof(uint64_t) },
	{ }
};

static bool read_option(const char *text, const struct option *option, void *req)
{
	size_t len = strcspn(text, "=");
	char *end;
	uint64_t value;

	for (; option->key; option++) {
		if (strlen(option->key) != len || strncmp(option->key, text, len) || !text[len])
			continue;
		value = strtoull(text + len + 1, &end, 0);
		if (option->size == sizeof(uint32_t))
			*(uint32_t *)((char *)req + option->offset) = value;
		else
			*(uint64_t *)((char *)req + option->offset) = value;
		return !*end;
	}
	return false;
}

/* What strtok() has not read yet of a line; false, with an answer, for what is no option */
static bool read_options(const struct option *options, void *req)
{
	char *text;

	while ((text = strtok(NULL, "\n "))) {
		if (!read_option(text, options, req)) {
			printf("error: unknown option %s\n", text);
			return false;
		}
	}
	return true;
}

/* The next @nr words as numbers */
static bool read_numbers(char *args, long long *numbers, int nr)
{
	char *word = strtok(args, "\n "), *end;

	for (; nr; nr--, numbers++) {
		if (!word)
			return false;
		*numbers = strtoll(word, &end, 0);
		if (end == word || *end)
			return false;
		if (nr > 1)
			word = strtok(NULL, "\n ");
	}
	return true;
}

static void do_alloc(char *args)
{
	struct cdm_test_alloc req = { .how = CDM_TEST_DRIVER };
	long long numbers[3];

	if (!read_numbers(args, numbers, 3)) {
		puts("error: alloc NODE ORDER COUNT [KEY=NUMBER]...");
		return;
	}
	req.nid = numbers[0];
	req.order = numbers[1];
	req.count = numbers[2];
	if (!read_options(alloc_options, &req))
		return;
	if (call(CDM_TEST_ALLOC, (uintptr_t)&req))
		answer(-1);
	else
		printf("ok %" PRIu64 " %" PRIu64 "%s%s%s\n", (uint64_t)req.on_node,
		       (uint64_t)req.elsewhere, req.bad ? " and bad ones" : "",
		       req.flags & 1 && req.not_zero ? " not cleared" : "",
		       injected ? " injected" : "");
}

static void do_register(char *args)
{
	struct cdm_test_register req = { .caps = kernel_has_cdm() };
	long long numbers[3];

	if (!read_numbers(args, numbers, 3)) {
		puts("error: register START SIZE NODE [KEY=NUMBER]...");
		return;
	}
	req.start = numbers[0];
	req.size = numbers[1];
	req.nid = numbers[2];
	if (!read_options(register_options, &req))
		return;
	snprintf(req.parent, sizeof(req.parent), "%s", getenv("CDM_TEST_PARENT") ?: "");
	if (call(CDM_TEST_REGISTER, (uintptr_t)&req))
		answer(-1);
	else
		printf("ok %d%s\n", req.nid, injected ? " injected" : "");
}

static void do_counts(void)
{
	struct cdm_test_counts counts;

	if (call(CDM_TEST_COUNTS, (uintptr_t)&counts))
		answer(-1);
	else
		printf("ok evict %" PRIu64 " scrub %" PRIu64 " copy %" PRIu64 "\n",
		       (uint64_t)counts.evict_calls, (uint64_t)counts.scrubbed,
		       (uint64_t)counts.copied);
}

static void do_back(bool all)
{
	struct cdm_test_back back = { .all = all };

	if (call(CDM_TEST_BACK, (uintptr_t)&back))
		answer(-1);
	else
		printf("ok %" PRIu64 " wrong %" PRIu64 " %s\n", (uint64_t)back.back,
		       (uint64_t)back.wrong, back.error ? strerrorname_np(-back.error) : "all");
}

static void do_retire(const char *args)
{
	uint64_t addr = strtoull(args, NULL, 0);

	answer(call(CDM_TEST_RETIRE, (uintptr_t)&addr));
}

/* One mapping at a time */
static void do_map(long pages)
{
	static void *map;
	static size_t size;
	volatile char *p;
	size_t i;

	if (map)
		munmap(map, size);
	map = NULL;
	size = pages * sysconf(_SC_PAGESIZE);
	if (size) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED) {
			answer(-1);
			map = NULL;
			return;
		}
		for (p = map, i = 0; i < size; i += sysconf(_SC_PAGESIZE))
			p[i] = 1;
	}
	puts("ok");
}

static long long migrate(char *p, long nr, int nid)
{
	int32_t status[64];
	struct cdm_test_migrate req = {
		.nid = nid,
		.addr = (uintptr_t)p,
		.nr = nr,
		.status = (uintptr_t)status,
	};

	return call(CDM_TEST_MIGRATE, (uintptr_t)&req) ? -errno : req.moved;
}

static size_t count_wrong(const char *p, size_t size)
{
	size_t i, wrong = 0;

	for (i = 0; i < size; i++)
		wrong += p[i] != (char)(i % 251);
	return wrong;
}

/* A few small pages to the device and back; what is wrong is counted here and there */
static void do_migrate(char *args)
{
	long page_size = sysconf(_SC_PAGESIZE);
	long long numbers[2], there, back;
	size_t size, i, wrong;
	bool there_injected;
	char *p;

	if (!read_numbers(args, numbers, 2) || numbers[1] < 1 || numbers[1] > 64) {
		puts("error: migrate NODE PAGES, at most 64");
		return;
	}
	size = numbers[1] * page_size;
	p = map_anonymous(size);
	if (!p) {
		answer(-1);
		return;
	}
	madvise(p, size, MADV_NOHUGEPAGE);
	for (i = 0; i < size; i++)
		p[i] = i % 251;
	there = migrate(p, numbers[1], numbers[0]);
	there_injected = injected;
	wrong = count_wrong(p, size);
	back = migrate(p, numbers[1], -1);
	wrong += count_wrong(p, size);
	printf("ok %lld %lld wrong %zu%s\n", there, back, wrong, there_injected ? " injected" : "");
	munmap(p, size);
}

static void do_simple(unsigned long cmd, unsigned long arg)
{
	answer(call(cmd, arg));
}

int main(void)
{
	char line[256];

	fd = open("/dev/cdm_test", O_RDWR);
	if (fd < 0) {
		perror("/dev/cdm_test");
		return 1;
	}
	setlinebuf(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "alloc ", 6))
			do_alloc(line + 6);
		else if (!strncmp(line, "register ", 9))
			do_register(line + 9);
		else if (!strcmp(line, "free\n"))
			do_simple(CDM_TEST_FREE, 0);
		else if (!strncmp(line, "misfree ", 8))
			do_simple(CDM_TEST_MISFREE, atoi(line + 8));
		else if (!strncmp(line, "retire ", 7))
			do_retire(line + 7);
		else if (!strncmp(line, "unregister", 10))
			do_simple(CDM_TEST_UNREGISTER, atoi(line + 10) ?: 60);
		else if (!strcmp(line, "online\n"))
			do_simple(CDM_TEST_ONLINE, 0);
		else if (!strncmp(line, "offline", 7))
			do_simple(CDM_TEST_OFFLINE, atoi(line + 7) ?: 60);
		else if (!strcmp(line, "cancel\n"))
			do_simple(CDM_TEST_CANCEL, 0);
		else if (!strcmp(line, "remove\n"))
			do_simple(CDM_TEST_REMOVE, 0);
		else if (!strncmp(line, "migrate ", 8))
			do_migrate(line + 8);
		else if (!strcmp(line, "counts\n"))
			do_counts();
		else if (!strncmp(line, "back", 4))
			do_back(!strcmp(line + 4, " all\n"));
		else if (!strcmp(line, "lost\n"))
			do_simple(CDM_TEST_LOST, 0);
		else if (!strncmp(line, "map ", 4))
			do_map(atol(line + 4));
		else if (!strcmp(line, "unmap\n"))
			do_map(0);
		else if (!strncmp(line, "write ", 6))
			do_write(line + 6);
		else if (!strncmp(line, "touch ", 6))
			do_touch(line + 6);
		else if (!strncmp(line, "info ", 5))
			call_file(line + 5, CDM_IOC_INFO);
		else if (!strncmp(line, "quota ", 6))
			call_file(line + 6, CDM_IOC_QUOTA);
		else if (!strncmp(line, "move ", 5))
			call_file(line + 5, CDM_IOC_MIGRATE);
		else if (!strncmp(line, "nth ", 4))
			nth = atoi(line + 4);
		else
			printf("unknown command %s", line);
	}
	return 0;
}
