// SPDX-License-Identifier: GPL-2.0
/*
 * cdmctl online, cdmctl offline: one thread writes to the state file, and waits there until all
 * is done; the other one shows how far it is. The kernel does not mind signals to the writer, so
 * Ctrl-C is a "cancel" that is written to the same file.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

#define POLL_US		200000
#define BAR_WIDTH	40

struct change {
	const struct device *device;
	const char *state;
	int error;
	volatile bool done;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	interrupted = 1;
}

static void *write_state(void *arg)
{
	struct change *change = arg;

	change->error = write_device_file(change->device, "state", change->state) ? 0 : errno;
	change->done = true;
	return NULL;
}

static void show_progress(const struct device *device)
{
	unsigned long done, of;
	char text[64];
	int filled;

	if (!read_device_file(device, "progress", text, sizeof(text)) ||
	    sscanf(text, "%lu %lu", &done, &of) != 2 || !of)
		return;
	filled = done * BAR_WIDTH / of;
	fprintf(stderr, "\r%s [%.*s%*s] %lu of %lu blocks", device->name, filled,
		"########################################", BAR_WIDTH - filled, "", done, of);
}

static void watch(struct change *change)
{
	bool on_terminal = isatty(STDERR_FILENO), shown = false;

	while (!change->done) {
		usleep(POLL_US);
		if (interrupted) {
			interrupted = 0;
			write_device_file(change->device, "state", "cancel");
		}
		if (on_terminal && !change->done) {
			show_progress(change->device);
			shown = true;
		}
	}
	if (shown)
		fputs("\r\033[K", stderr);
}

static void explain(const struct change *change)
{
	const struct device *device = change->device;
	char driver[32] = "?", pinned[32] = "?";

	switch (change->error) {
	case EACCES:
	case EPERM:
		fail("%s: %s: run it as root", device->name, strerror(change->error));
		break;
	case EBUSY:
		read_device_file(device, "pages_in_use/driver", driver, sizeof(driver));
		if (atol(driver))
			fail("%s: its driver holds %s pages: stop what uses the device, or unload its driver",
			     device->name, driver);
		else
			fail("%s: somebody refers to a page of it that is bad, or the machine is about to sleep: see dmesg",
			     device->name);
		break;
	case ETIMEDOUT:
		read_device_file(device, "pages_in_use/pinned", pinned, sizeof(pinned));
		fail("%s: %s pages are pinned and do not move: 'cdmctl list -u %s' shows who has pages there, dmesg how many of which kind",
		     device->name, pinned, device->name);
		break;
	case ECANCELED:
		fail("%s: cancelled, all is as it was before", device->name);
		break;
	default:
		fail("%s: cannot write '%s' to %s/state: %s", device->name, change->state,
		     device->path, strerror(change->error));
	}
}

static void report(const struct device *device)
{
	struct json_object *object;
	char state[16] = "";

	read_device_file(device, "state", state, sizeof(state));
	if (as_json) {
		object = json_object_new_object();
		json_object_object_add(object, "device", json_object_new_string(device->name));
		json_object_object_add(object, "state", json_object_new_string(state));
		print_json(object);
	} else {
		printf("%s: %s\n", device->name, state);
	}
}

static int change_state(const struct device *device, const char *state)
{
	struct change change = { .device = device, .state = state };
	struct sigaction action = { .sa_handler = on_interrupt };
	pthread_t writer;

	sigaction(SIGINT, &action, NULL);
	if (pthread_create(&writer, NULL, write_state, &change)) {
		fail("cannot start a thread");
		return FAILED;
	}
	watch(&change);
	pthread_join(writer, NULL);
	if (change.error) {
		explain(&change);
		return FAILED;
	}
	report(device);
	return 0;
}

static int cmd_state(int argc, char **argv, const char *state)
{
	struct devices devices;
	struct device *device;
	int rc = FAILED;

	if (argc != 2) {
		fail("usage: cdmctl %s DEVICE", argv[0]);
		return USAGE;
	}
	if (!read_devices(&devices))
		return FAILED;
	device = find_device(&devices, argv[1]);
	if (device)
		rc = change_state(device, state);
	free(devices.list);
	return rc;
}

int cmd_online(int argc, char **argv)
{
	return cmd_state(argc, argv, "online_movable");
}

int cmd_offline(int argc, char **argv)
{
	return cmd_state(argc, argv, "offline");
}
