// SPDX-License-Identifier: GPL-2.0
/* cdmctl: small files of the kernel's, and what is in them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

/* The first line of a file */
bool read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, buf, size - 1);

	if (fd >= 0)
		close(fd);
	if (len < 0)
		return false;
	buf[len] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return true;
}

uint64_t read_u64(const char *path, bool *ok)
{
	char text[32], *end;
	uint64_t value;

	if (!read_text(path, text, sizeof(text))) {
		*ok = false;
		return 0;
	}
	value = strtoull(text, &end, 0);
	if (end == text || *end)
		*ok = false;
	return value;
}

/* Is a node in a list such as "0-1,4"? */
bool nodes_have(const char *list, int node)
{
	long first, last;
	char *end;

	while (*list) {
		first = strtol(list, &end, 10);
		if (end == list)
			return false;
		last = *end == '-' ? strtol(end + 1, &end, 10) : first;
		if (node >= first && node <= last)
			return true;
		list = *end == ',' ? end + 1 : end;
	}
	return false;
}
