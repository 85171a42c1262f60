// SPDX-License-Identifier: GPL-2.0
/* cdmctl top: the devices over and over, and what happens in a second. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

static const struct device *same_device(const struct devices *devices, const char *name)
{
	size_t i;

	for (i = 0; i < devices->nr; i++)
		if (!strcmp(devices->list[i].name, name))
			return &devices->list[i];
	return NULL;
}

struct rates {
	double allocated;
	double failed;
	double evicted;
	double spilled;
};

/* Since @before, if it was there then, and is the same one still */
static struct rates rates_of(const struct device *device, const struct device *before,
			     double seconds)
{
	if (!before || device->allocated < before->allocated)
		return (struct rates) { };
	return (struct rates) {
		.allocated = (device->allocated - before->allocated) / seconds,
		.failed = (device->failed - before->failed) / seconds,
		.evicted = (device->evicted - before->evicted) / seconds,
		.spilled = (device->spilled - before->spilled) / seconds,
	};
}

static void show_table(const struct devices *now, const struct devices *before, double seconds)
{
	const struct device *device;
	struct rates rates;
	size_t i;

	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	printf("%-8s %4s %-9s %8s %8s %8s %8s %10s %8s %8s %8s\n", "DEVICE", "NODE", "STATE",
	       "ONLINE", "FREE", "DRIVER", "SPILLED", "ALLOC/s", "FAIL/s", "EVICT/s", "SPILL/s");
	for (i = 0; i < now->nr; i++) {
		device = &now->list[i];
		rates = rates_of(device, same_device(before, device->name), seconds);
		printf("%-8s %4d %-9s %8s %8s %8s %8s %10.0f %8.0f %8.0f %8.0f\n", device->name,
		       device->node, device->state, human(device->online), human(device->free),
		       human(device->driver), human(device->spill_used), rates.allocated,
		       rates.failed, rates.evicted, rates.spilled);
	}
	fflush(stdout);
}

/* One line a moment: a stream that others read */
static void show_json(const struct devices *now, const struct devices *before, double seconds)
{
	struct json_object *top = json_object_new_object(), *list = json_object_new_array(), *one;
	const struct device *device;
	struct rates rates;
	size_t i;

	for (i = 0; i < now->nr; i++) {
		device = &now->list[i];
		rates = rates_of(device, same_device(before, device->name), seconds);
		one = device_json(device, false);
		json_object_object_add(one, "allocated_pages_per_s",
				       json_object_new_double(rates.allocated));
		json_object_object_add(one, "failed_per_s", json_object_new_double(rates.failed));
		json_object_object_add(one, "evicted_pages_per_s",
				       json_object_new_double(rates.evicted));
		json_object_object_add(one, "spilled_pages_per_s",
				       json_object_new_double(rates.spilled));
		json_object_array_add(list, one);
	}
	json_object_object_add(top, "devices", list);
	puts(json_object_to_json_string_ext(top, JSON_C_TO_STRING_PLAIN));
	fflush(stdout);
	json_object_put(top);
}

int cmd_top(int argc, char **argv)
{
	struct devices now, before = { };
	double seconds = 1;
	long times = -1;
	int c;

	while ((c = getopt(argc, argv, "d:n:")) != -1) {
		if (c == 'd')
			seconds = atof(optarg);
		else if (c == 'n')
			times = atol(optarg);
		else
			return USAGE;
	}
	if (seconds < 0.1 || !times || optind < argc) {
		fail("usage: cdmctl top [-d SECONDS, from 0.1] [-n TIMES, from 1]");
		return USAGE;
	}
	for (;;) {
		if (!read_devices(&now))
			return FAILED;
		if (as_json)
			show_json(&now, &before, seconds);
		else
			show_table(&now, &before, seconds);
		free(before.list);
		before = now;
		if (times > 0 && !--times)
			break;
		usleep(seconds * 1e6);
	}
	free(before.list);
	return 0;
}
