// SPDX-License-Identifier: GPL-2.0
/*
 * uevents: say "ready", then print a line "ACTION STATE" for each uevent of a coherent
 * device, until the input ends.
 */
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The value of KEY= among the strings of a message, or "" */
static const char *value_of(const char *message, size_t size, const char *key)
{
	size_t len = strlen(key);
	const char *s;

	for (s = message; s < message + size; s += strlen(s) + 1)
		if (!strncmp(s, key, len) && s[len] == '=')
			return s + len + 1;
	return "";
}

int main(void)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	struct pollfd polled[] = {
		{ .fd = fd, .events = POLLIN }, { .fd = STDIN_FILENO, .events = POLLIN },
	};
	char message[8192];
	ssize_t size;

	if (fd < 0 || bind(fd, (struct sockaddr *)&kernel, sizeof(kernel))) {
		perror("uevents");
		return 1;
	}
	setlinebuf(stdout);
	puts("ready");
	while (poll(polled, 2, -1) > 0) {
		if (polled[0].revents) {
			size = recv(fd, message, sizeof(message) - 1, 0);
			if (size < 0) {
				perror("uevents: recv");
				return 1;
			}
			message[size] = 0;
			if (!strcmp(value_of(message, size, "SUBSYSTEM"), "cdm"))
				printf("%s %s\n", value_of(message, size, "ACTION"),
				       value_of(message, size, "CDM_STATE"));
		} else if (polled[1].revents) {
			return 0;
		}
	}
	return 1;
}
