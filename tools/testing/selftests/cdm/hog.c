// SPDX-License-Identifier: GPL-2.0
/* hog MIB: touch that much anonymous memory, and leave. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t size = argc == 2 ? strtoul(argv[1], NULL, 0) << 20 : 0;
	char *p;

	if (!size) {
		fprintf(stderr, "usage: hog MIB\n");
		return 2;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		perror("hog: mmap");
		return 1;
	}
	memset(p, 1, size);
	if (getenv("HOG_ADVISED")) {
		madvise(p, size, MADV_MERGEABLE);
		madvise(p, size, MADV_HUGEPAGE);
		sleep(3);
	}
	/* What it has is measured from outside while it is there */
	if (getenv("HOG_READY")) {
		puts("ready");
		fflush(stdout);
		getchar();
	}
	return 0;
}
