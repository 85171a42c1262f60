// SPDX-License-Identifier: GPL-2.0
/*
 * hold NODE MIB: bind that much memory to a node, fill it with a pattern, say "bound N"
 * (pages on the node), and wait for a line. Then check the pattern, touch fresh memory
 * under the same policy, and say "kept N" (pages still on the node). Exit status 0 when
 * every byte is what it was.
 */
#include "util.h"

static void fill(unsigned long *p, size_t words)
{
	for (size_t i = 0; i < words; i++)
		p[i] = i * 0x9e3779b97f4a7c15UL;
}

static size_t mismatches(const unsigned long *p, size_t words)
{
	size_t wrong = 0;

	for (size_t i = 0; i < words; i++)
		wrong += p[i] != i * 0x9e3779b97f4a7c15UL;
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long mask;
	size_t size, wrong;
	char *p, *fresh;

	if (argc != 3) {
		fprintf(stderr, "usage: hold NODE MIB\n");
		return 2;
	}
	mask = NODE(atoi(argv[1]));
	size = strtoul(argv[2], NULL, 0) * MIB;
	p = map_anonymous(2 * size);
	fresh = p + size;
	if (!p || mbind(p, 2 * size, MPOL_BIND, &mask, MAXNODE, 0)) {
		perror("hold: mbind");
		return 1;
	}
	fill((unsigned long *)p, size / sizeof(long));
	printf("bound %ld\n", pages_on(p, size, mask));
	fflush(stdout);
	getchar();

	wrong = mismatches((unsigned long *)p, size / sizeof(long));
	memset(fresh, 1, size);
	printf("kept %ld wrong %zu fresh %ld\n", pages_on(p, size, mask), wrong,
	       pages_on(fresh, size, mask));
	return wrong != 0;
}
