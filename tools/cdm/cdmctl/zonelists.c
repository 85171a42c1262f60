// SPDX-License-Identifier: GPL-2.0
/* cdmctl zonelists: which node's allocations can fall back where, from the kernel's own lists. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdmctl.h"

#define ZONELISTS	"/sys/kernel/debug/cdm/zonelists"

/* "  (0) (node 2) (Movable)" of a list: the node, or -1 */
static int node_of_entry(const char *line)
{
	const char *text = strstr(line, "(node ");

	return text ? atoi(text + strlen("(node ")) : -1;
}

static void show_list(struct json_object *node, const char *key, const char *title)
{
	struct json_object *list;
	size_t i;

	if (!json_object_object_get_ex(node, key, &list))
		return;
	printf("    %-24s", title);
	for (i = 0; i < json_object_array_length(list); i++)
		printf("%s %d", i ? " ->" : "",
		       json_object_get_int(json_object_array_get_idx(list, i)));
	puts(json_object_array_length(list) ? "" : " nobody");
}

static void show(struct json_object *nodes)
{
	struct json_object *node;
	size_t i;

	for (i = 0; i < json_object_array_length(nodes); i++) {
		node = json_object_array_get_idx(nodes, i);
		printf("node %d%s\n", json_object_get_int(json_object_object_get(node, "node")),
		       json_object_get_boolean(json_object_object_get(node, "cdm")) ?
			       ", coherent device memory" : "");
		show_list(node, "fallback", "preferred or anywhere:");
		show_list(node, "nofallback", "this node and no other:");
		show_list(node, "explicit", "bound by name:");
	}
}

/* The list that a line begins: "ZONELIST_FALLBACK ..." as "fallback"; or NULL */
static struct json_object *begin_list(struct json_object *node, const char *line)
{
	static const char * const names[][2] = {
		{ "ZONELIST_FALLBACK", "fallback" }, { "ZONELIST_NOFALLBACK", "nofallback" },
		{ "ZONELIST_EXPLICIT", "explicit" },
	};
	struct json_object *list;
	size_t i, len;

	for (i = 0; node && i < sizeof(names) / sizeof(*names); i++) {
		len = strlen(names[i][0]);
		if (strncmp(line, names[i][0], len) || (line[len] != ' ' && line[len] != '\n'))
			continue;
		list = json_object_new_array();
		json_object_object_add(node, names[i][1], list);
		return list;
	}
	return NULL;
}

static struct json_object *begin_node(struct json_object *nodes, const char *line)
{
	struct json_object *node = json_object_new_object();

	json_object_object_add(node, "node", json_object_new_int(atoi(strchr(line, '(') + 1)));
	json_object_object_add(node, "cdm", json_object_new_boolean(!!strstr(line, "CDM")));
	json_object_array_add(nodes, node);
	return node;
}

/* Zones of one node in a row are one entry */
static void add_entry(struct json_object *list, int node)
{
	size_t nr = json_object_array_length(list);

	if (!nr || json_object_get_int(json_object_array_get_idx(list, nr - 1)) != node)
		json_object_array_add(list, json_object_new_int(node));
}

static void parse(FILE *file, struct json_object *nodes)
{
	struct json_object *node = NULL, *list = NULL;
	char buf[128], *line;

	while (fgets(buf, sizeof(buf), file)) {
		line = buf + strspn(buf, " \t");
		if (!strncmp(line, "[NODE", 5) && strchr(line, '(')) {
			node = begin_node(nodes, line);
			list = NULL;
		} else if (!strncmp(line, "ZONELIST_", 9)) {
			list = begin_list(node, line);
		} else if (list && node_of_entry(line) >= 0) {
			add_entry(list, node_of_entry(line));
		}
	}
}

int cmd_zonelists(int argc, char **argv)
{
	struct json_object *nodes, *top;
	FILE *file = fopen(ZONELISTS, "re");

	if (argc != 1) {
		fail("usage: cdmctl zonelists");
		return USAGE;
	}
	if (!file) {
		fail("%s: %s: %s", ZONELISTS, strerror(errno), errno == EACCES ? "run it as root" :
		     "debugfs is not mounted, or the kernel has no coherent devices");
		return FAILED;
	}
	nodes = json_object_new_array();
	parse(file, nodes);
	fclose(file);
	top = json_object_new_object();
	json_object_object_add(top, "nodes", nodes);
	if (as_json) {
		print_json(top);
	} else {
		show(nodes);
		json_object_put(top);
	}
	return 0;
}
