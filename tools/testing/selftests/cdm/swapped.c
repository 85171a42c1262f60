// SPDX-License-Identifier: GPL-2.0
/*
 * swapped NODE MIB [shared]: memory on a node that was paged out, to swap that is there. Says
 * "ready" and waits for a line, in which the node goes away. Then says what has become of
 * it, with the pages whose touch is a SIGBUS, and those that are not what they were:
 *
 *   lost N wrong N
 *
 * With "shared", a child has all of it in swap, of which its parent has read it back; the
 * child says a second line of its own.
 */
#include <sys/wait.h>

#include "sigbus.h"
#include "util.h"

/* Content that no two pages share, and that does not compress */
static uint64_t word_of(size_t index)
{
	uint64_t x = (index + 1) * 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	return x ^ x >> 27;
}

static void fill(uint64_t *words, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		words[i] = word_of(i);
}

static bool page_is_wrong(const uint64_t *words, size_t first, size_t nr)
{
	size_t i;

	for (i = first; i < first + nr; i++)
		if (words[i] != word_of(i))
			return true;
	return false;
}

static void count(const uint64_t *words, size_t nr, volatile long *nr_lost, volatile long *wrong)
{
	size_t per_page = sysconf(_SC_PAGESIZE) / sizeof(*words);
	volatile size_t i;

	*nr_lost = *wrong = 0;
	for (i = 0; i < nr; i += per_page) {
		if (sigsetjmp(lost, 1))
			++*nr_lost;
		else
			*wrong += page_is_wrong(words, i, per_page);
	}
}

static void report(const uint64_t *words, size_t nr)
{
	volatile long nr_lost, wrong;

	count(words, nr, &nr_lost, &wrong);
	printf("lost %ld wrong %ld\n", nr_lost, wrong);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	volatile long nr_lost, wrong;
	unsigned long mask;
	uint64_t *words;
	int go[2], rc = 0;
	pid_t child = 0;
	size_t size, nr;
	char c;

	if (argc < 3) {
		fprintf(stderr, "usage: swapped NODE MIB [shared]\n");
		return 2;
	}
	mask = NODE(atoi(argv[1]));
	size = strtoul(argv[2], NULL, 0) * MIB;
	nr = size / sizeof(*words);
	words = (uint64_t *)map_anonymous(size);
	if (!words || pipe(go) || mbind(words, size, MPOL_BIND, &mask, MAXNODE, 0)) {
		perror("swapped");
		return 1;
	}
	fill(words, nr);
	signal(SIGBUS, on_sigbus);
	if (madvise(words, size, MADV_PAGEOUT)) {
		perror("swapped: MADV_PAGEOUT");
		return 1;
	}
	if (argc > 3) {
		child = fork();
		if (!child) {
			close(go[1]);
			if (read(go[0], &c, 1) >= 0)
				report(words, nr);
			return 0;
		}
		count(words, nr, &nr_lost, &wrong);
	}
	puts("ready");
	fflush(stdout);
	getchar();
	report(words, nr);
	if (child) {
		close(go[1]);
		waitpid(child, &rc, 0);
	}
	return rc;
}
