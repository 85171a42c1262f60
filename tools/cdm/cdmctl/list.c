// SPDX-License-Identifier: GPL-2.0
/* cdmctl list: the devices, and who has pages of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

static struct json_object *words(const char *text)
{
	struct json_object *array = json_object_new_array();
	char copy[64], *word;

	snprintf(copy, sizeof(copy), "%s", text);
	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		json_object_array_add(array, json_object_new_string(word));
	return array;
}

struct json_object *device_json(const struct device *device, bool users)
{
	struct json_object *object = json_object_new_object();
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "size", device->size }, { "online_size", device->online },
		{ "free", device->free }, { "driver", device->driver },
		{ "spill_used", device->spill_used }, { "spill_max", device->spill_max },
		{ "allocated_pages", device->allocated }, { "failed", device->failed },
		{ "evicted_pages", device->evicted }, { "spilled_pages", device->spilled },
		{ "bad_pages", device->retired },
	};
	size_t i;

	json_object_object_add(object, "device", json_object_new_string(device->name));
	json_object_object_add(object, "node", json_object_new_int(device->node));
	json_object_object_add(object, "state", json_object_new_string(device->state));
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		json_object_object_add(object, numbers[i].key,
				       json_object_new_uint64(numbers[i].value));
	json_object_object_add(object, "fallback", json_object_new_string(device->fallback));
	json_object_object_add(object, "online_policy", json_object_new_string(device->policy));
	json_object_object_add(object, "capabilities", words(device->capabilities));
	if (users)
		json_object_object_add(object, "users", users_of(device->node));
	return object;
}

static void print_users(const struct device *device)
{
	struct json_object *users = users_of(device->node), *user;
	size_t i;

	for (i = 0; i < json_object_array_length(users); i++) {
		user = json_object_array_get_idx(users, i);
		printf("    %8s  %s[%d]  %s\n",
		       human(json_object_get_uint64(json_object_object_get(user, "bytes"))),
		       json_object_get_string(json_object_object_get(user, "command")),
		       json_object_get_int(json_object_object_get(user, "pid")),
		       json_object_get_string(json_object_object_get(user, "cgroup")));
	}
	json_object_put(users);
}

static void print_device(const struct device *device, bool users)
{
	printf("%-8s %4d %-9s %8s %8s %8s %8s  %-8s %s\n", device->name, device->node,
	       device->state, human(device->size), human(device->online), human(device->free),
	       human(device->driver), device->fallback,
	       *device->capabilities ? device->capabilities : "-");
	if (users)
		print_users(device);
}

int cmd_list(int argc, char **argv)
{
	struct json_object *list = json_object_new_array(), *top = json_object_new_object();
	struct devices devices;
	struct device *one = NULL;
	bool users = false;
	size_t i;
	int c;

	while ((c = getopt(argc, argv, "u")) != -1) {
		if (c != 'u') {
			fail("usage: cdmctl list [-u] [DEVICE]");
			return USAGE;
		}
		users = true;
	}
	if (users && !kernel_has_cdm()) {
		fail("list -u: only a kernel with CONFIG_CDM says who has pages of a device");
		return FAILED;
	}
	if (!read_devices(&devices))
		return FAILED;
	if (optind < argc) {
		one = find_device(&devices, argv[optind]);
		if (!one)
			return FAILED;
	}
	if (!as_json)
		printf("%-8s %4s %-9s %8s %8s %8s %8s  %-8s %s\n", "DEVICE", "NODE", "STATE",
		       "SIZE", "ONLINE", "FREE", "DRIVER", "FALLBACK", "CAPABILITIES");
	for (i = 0; i < devices.nr; i++) {
		if (one && one != &devices.list[i])
			continue;
		if (as_json)
			json_object_array_add(list, device_json(&devices.list[i], users));
		else
			print_device(&devices.list[i], users);
	}
	json_object_object_add(top, "devices", list);
	if (as_json)
		print_json(top);
	else
		json_object_put(top);
	free(devices.list);
	return 0;
}
