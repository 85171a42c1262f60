// SPDX-License-Identifier: GPL-2.0
/* cdmctl: which processes have pages on a node, by their numa_maps. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdmctl.h"

/* Bytes that a line of numa_maps says to be on a node: "... N2=512 kernelpagesize_kB=4" */
static uint64_t bytes_in_line(const char *line, int node)
{
	const char *pages, *size = strstr(line, "kernelpagesize_kB=");
	char key[16];

	snprintf(key, sizeof(key), " N%d=", node);
	pages = strstr(line, key);
	if (!pages || !size)
		return 0;
	return strtoull(pages + strlen(key), NULL, 10) *
	       (strtoull(size + strlen("kernelpagesize_kB="), NULL, 10) << 10);
}

static uint64_t bytes_of_process(int pid, int node)
{
	char path[64], *line = NULL;
	uint64_t bytes = 0;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/numa_maps", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (getline(&line, &size, file) > 0)
		bytes += bytes_in_line(line, node);
	free(line);
	fclose(file);
	return bytes;
}

/*
 * "0::/system.slice", whose path may have colons of its own; of cgroup v1 a line for each
 * hierarchy, and that of memory is asked for
 */
static void read_cgroup(int pid, char *cgroup, size_t size)
{
	char path[64], *line = NULL, *controllers, *name;
	size_t len = 0;
	FILE *file;

	*cgroup = 0;
	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	file = fopen(path, "re");
	if (!file)
		return;
	while (getline(&line, &len, file) > 0) {
		controllers = strchr(line, ':');
		name = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!name)
			continue;
		*name++ = 0;
		if (!*cgroup || strstr(controllers, "memory"))
			snprintf(cgroup, size, "%.*s", (int)strcspn(name, "\n"), name);
	}
	free(line);
	fclose(file);
}

static struct json_object *user_json(int pid, uint64_t bytes)
{
	struct json_object *user = json_object_new_object();
	char path[64], text[256] = "";

	json_object_object_add(user, "pid", json_object_new_int(pid));
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	read_text(path, text, sizeof(text));
	json_object_object_add(user, "command", json_object_new_string(text));
	read_cgroup(pid, text, sizeof(text));
	json_object_object_add(user, "cgroup", json_object_new_string(text));
	json_object_object_add(user, "bytes", json_object_new_uint64(bytes));
	return user;
}

/* What cannot be read, of a process that has ended or is another user's, is left out */
struct json_object *users_of(int node)
{
	struct json_object *users = json_object_new_array();
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t bytes;
	int pid;

	while (proc && (entry = readdir(proc))) {
		pid = atoi(entry->d_name);
		bytes = pid > 0 ? bytes_of_process(pid, node) : 0;
		if (bytes)
			json_object_array_add(users, user_json(pid, bytes));
	}
	if (proc)
		closedir(proc);
	return users;
}
