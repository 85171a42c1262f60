// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_test_ctl: a script's hands on /dev/cdm_test. Reads commands from standard input and
 * answers each with a line, "ok ..." or "error ERRNO". What it allocated and registered is
 * given back when it ends.
 *
 *   alloc NODE ORDER COUNT		ok PAGES_ON_NODE PAGES_ELSEWHERE
 *   free				ok
 *   register START SIZE NODE [POLICY [CAPS]]	ok NODE; POLICY 1 is manual, CAPS a mask (1)
 *   unregister | remove | lost	ok
 *   map PAGES				ok: of those that were allocated, one by one
 *   unmap				ok
 */
#include <inttypes.h>
#include <sys/ioctl.h>

#include "../../../../drivers/cdm/tests/cdm_test_uapi.h"
#include "util.h"

static int fd;

static void answer(int rc)
{
	if (rc)
		printf("error %s\n", strerrorname_np(errno));
}

static void do_alloc(const char *args)
{
	struct cdm_test_alloc req = { .how = CDM_TEST_DRIVER };
	uint64_t count;

	if (sscanf(args, "%d %u %" SCNu64, &req.nid, &req.order, &count) != 3) {
		puts("error: alloc NODE ORDER COUNT");
		return;
	}
	req.count = count;
	if (ioctl(fd, CDM_TEST_ALLOC, &req))
		answer(-1);
	else
		printf("ok %" PRIu64 " %" PRIu64 "%s\n", (uint64_t)req.on_node,
		       (uint64_t)req.elsewhere, req.bad ? " and bad ones" : "");
}

/* KEY=NUMBER of what a registration may say further; false if it is none of them */
static bool read_option(const char *option, struct cdm_test_register *req)
{
	unsigned long long value;
	char key[16];

	if (sscanf(option, "%15[a-z0-9_]=%lli", key, (long long *)&value) != 2)
		return false;
	if (!strcmp(key, "start2"))
		req->start2 = value;
	else if (!strcmp(key, "size2"))
		req->size2 = value;
	else if (!strcmp(key, "bad_page"))
		req->bad_page = value;
	else if (!strcmp(key, "policy"))
		req->online_policy = value;
	else if (!strcmp(key, "caps"))
		req->caps = value;
	else if (!strcmp(key, "near"))
		req->near = value;
	else if (!strcmp(key, "distance"))
		req->distance = value;
	else if (!strcmp(key, "bandwidth"))
		req->bandwidth = value;
	else if (!strcmp(key, "latency"))
		req->latency = value;
	else if (!strcmp(key, "gives_back"))
		req->gives_back = value;
	else
		return false;
	return true;
}

static void do_register(char *args)
{
	struct cdm_test_register req = { .caps = 1 };
	char *option = strtok(args, "\n ");
	long long nid;
	long long *positional[] = { (long long *)&req.start, (long long *)&req.size, &nid };
	char *end;
	int i;

	for (i = 0; i < 3; i++, option = strtok(NULL, "\n ")) {
		end = option;
		if (option)
			*positional[i] = strtoll(option, &end, 0);
		if (end == option || *end) {
			puts("error: register START SIZE NODE [KEY=NUMBER]...");
			return;
		}
	}
	req.nid = nid;
	snprintf(req.parent, sizeof(req.parent), "%s", getenv("CDM_TEST_PARENT") ?: "");
	for (; option; option = strtok(NULL, "\n ")) {
		if (!read_option(option, &req)) {
			printf("error: unknown option %s\n", option);
			return;
		}
	}
	if (ioctl(fd, CDM_TEST_REGISTER, &req))
		answer(-1);
	else
		printf("ok %d\n", req.nid);
}

static void do_retire(const char *args)
{
	uint64_t addr = strtoull(args, NULL, 0);

	if (ioctl(fd, CDM_TEST_RETIRE, &addr))
		answer(-1);
	else
		puts("ok");
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

static void do_simple(unsigned long cmd, unsigned long arg)
{
	if (ioctl(fd, cmd, arg))
		answer(-1);
	else
		puts("ok");
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
		else if (!strncmp(line, "retire ", 7))
			do_retire(line + 7);
		else if (!strncmp(line, "unregister", 10))
			do_simple(CDM_TEST_UNREGISTER, atoi(line + 10) ?: 60);
		else if (!strcmp(line, "remove\n"))
			do_simple(CDM_TEST_REMOVE, 0);
		else if (!strcmp(line, "lost\n"))
			do_simple(CDM_TEST_LOST, 0);
		else if (!strncmp(line, "map ", 4))
			do_map(atol(line + 4));
		else if (!strcmp(line, "unmap\n"))
			do_map(0);
		else
			printf("unknown command %s", line);
	}
	return 0;
}
