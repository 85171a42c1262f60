// SPDX-License-Identifier: GPL-2.0
/*
 * cdm_test_ctl: a script's hands on /dev/cdm_test. Reads commands from standard input and
 * answers each with a line, "ok ..." or "error ERRNO". What it allocated and registered is
 * given back when it ends.
 *
 *   alloc NODE ORDER COUNT		ok PAGES_ON_NODE PAGES_ELSEWHERE
 *   free				ok
 *   register START SIZE NODE [POLICY [CAPS]]	ok NODE; POLICY 1 is manual, CAPS a mask (1)
 *   unregister | remove		ok
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
		printf("ok %" PRIu64 " %" PRIu64 "\n", (uint64_t)req.on_node,
		       (uint64_t)req.elsewhere);
}

static void do_register(const char *args)
{
	struct cdm_test_register req = { .caps = 1 };
	uint64_t start, size;

	if (sscanf(args, "%" SCNi64 " %" SCNi64 " %d %u %i", &start, &size, &req.nid,
		   &req.online_policy, &req.caps) < 3) {
		puts("error: register START SIZE NODE [POLICY [CAPS]]");
		return;
	}
	req.start = start;
	req.size = size;
	if (ioctl(fd, CDM_TEST_REGISTER, &req))
		answer(-1);
	else
		printf("ok %d\n", req.nid);
}

static void do_simple(unsigned long cmd)
{
	if (ioctl(fd, cmd))
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
			do_simple(CDM_TEST_FREE);
		else if (!strcmp(line, "unregister\n"))
			do_simple(CDM_TEST_UNREGISTER);
		else if (!strcmp(line, "remove\n"))
			do_simple(CDM_TEST_REMOVE);
		else
			printf("unknown command %s", line);
	}
	return 0;
}
