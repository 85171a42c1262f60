// SPDX-License-Identifier: GPL-2.0
/*
 * hold NODE MIB: bind that much memory to a node, fill it with a pattern, say "bound N"
 * (pages on the node), and wait for a line. Then check the pattern, touch fresh memory
 * under the same policy, and say "kept N" (pages still on the node). Exit status 0 when
 * every byte is what it was.
 *
 * hold NODE MIB pin: and keep a reference to the page with the highest address, through a
 * pipe, so that it cannot be moved until the line comes. hold NODE MIB where: and say its
 * address, in a line "pinned ADDRESS". hold NODE MIB small: likewise, of memory in small pages, of
 * which nothing is looked at after the line: the answer is "gone". hold NODE MIB busy: it is
 * looked at, and written anew, all the time until the line comes.
 */
#include <poll.h>
#include <stdint.h>
#include <sys/uio.h>

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

/* Into a pipe that nobody reads. Returns the physical address, or 0 */
static uint64_t pin_highest(char *start, size_t size, int ends[2])
{
	long page_size = sysconf(_SC_PAGESIZE), nr = size / page_size, i, highest = 0;
	uint64_t *frames = calloc(nr, sizeof(*frames)), mask = (1ULL << 55) - 1, address;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	struct iovec page;

	if (!frames || fd < 0 || pipe(ends) ||
	    pread(fd, frames, nr * sizeof(*frames),
		  (uintptr_t)start / page_size * sizeof(*frames)) != nr * (long)sizeof(*frames))
		return 0;
	for (i = 0; i < nr; i++)
		if ((frames[i] & mask) > (frames[highest] & mask))
			highest = i;
	page.iov_base = start + highest * page_size;
	page.iov_len = page_size;
	address = (frames[highest] & mask) * page_size;
	close(fd);
	free(frames);
	return vmsplice(ends[1], &page, 1, 0) == page_size ? address : 0;
}

static bool is_asked(void)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };

	return poll(&in, 1, 0);
}

int main(int argc, char **argv)
{
	int ends[2] = { -1, -1 };
	uint64_t pinned = 0;
	unsigned long mask;
	size_t size, wrong = 0;
	long kept;
	char *p, *fresh;
	bool small, busy;

	if (argc < 3) {
		fprintf(stderr, "usage: hold NODE MIB [pin|where|small|busy]\n");
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
	small = argc > 3 && !strcmp(argv[3], "small");
	if (small)
		madvise(p, size, MADV_NOHUGEPAGE);
	fill((unsigned long *)p, size / sizeof(long));
	busy = argc > 3 && !strcmp(argv[3], "busy");
	if (argc > 3 && !busy)
		pinned = pin_highest(p, size, ends);
	if (argc > 3 && !busy && !pinned) {
		perror("hold: pin");
		return 1;
	}
	printf("bound %ld\n", pages_on(p, size, mask));
	if (small || (argc > 3 && !strcmp(argv[3], "where")))
		printf("pinned %#llx\n", (unsigned long long)pinned);
	fflush(stdout);
	while (busy && !is_asked()) {
		wrong += mismatches((unsigned long *)p, size / sizeof(long));
		fill((unsigned long *)p, size / sizeof(long));
	}
	getchar();
	if (small) {
		puts("gone");
		return 0;
	}

	/* Before it lets go: what is bad among them is taken away then */
	wrong += mismatches((unsigned long *)p, size / sizeof(long));
	kept = pages_on(p, size, mask);
	close(ends[0]);
	close(ends[1]);
	memset(fresh, 1, size);
	printf("kept %ld wrong %zu fresh %ld\n", kept, wrong, pages_on(fresh, size, mask));
	return wrong != 0;
}
