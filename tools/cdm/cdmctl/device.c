// SPDX-License-Identifier: GPL-2.0
/* cdmctl: devices as sysfs has them, see Documentation/ABI/testing/sysfs-class-cdm. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdmctl.h"

uint64_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

bool kernel_has_cdm(void)
{
	return !access("/sys/devices/system/node/has_cdm", R_OK);
}

static void device_file(const struct device *device, const char *file, char *path, size_t size)
{
	snprintf(path, size, "%s/%s", device->path, file);
}

bool read_device_file(const struct device *device, const char *file, char *buf, size_t size)
{
	char path[128];

	device_file(device, file, path, sizeof(path));
	return read_text(path, buf, size);
}

/* errno says why not */
bool write_device_file(const struct device *device, const char *file, const char *text)
{
	char path[128];
	ssize_t len;
	int fd, error;

	device_file(device, file, path, sizeof(path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = write(fd, text, strlen(text));
	error = errno;
	close(fd);
	errno = error;
	return len >= 0;
}

static uint64_t device_u64(const struct device *device, const char *file, bool *ok)
{
	char path[128];

	device_file(device, file, path, sizeof(path));
	return read_u64(path, ok);
}

/* False for one that has gone meanwhile */
static bool read_device(const char *path, struct device *device)
{
	uint64_t page = page_size();
	bool ok = true;

	*device = (struct device) { };
	snprintf(device->path, sizeof(device->path), "%s", path);
	snprintf(device->name, sizeof(device->name), "%s", strrchr(path, '/') + 1);
	device->node = device_u64(device, "node", &ok);
	device->size = device_u64(device, "size", &ok);
	device->online = device_u64(device, "online_size", &ok);
	device->free = device_u64(device, "stats/free", &ok) * page;
	device->driver = device_u64(device, "pages_in_use/driver", &ok) * page;
	device->spill_used = device_u64(device, "spill_used", &ok);
	device->spill_max = device_u64(device, "spill_max", &ok);
	device->allocated = device_u64(device, "stats/allocated", &ok);
	device->failed = device_u64(device, "stats/failed", &ok);
	device->evicted = device_u64(device, "stats/evicted", &ok);
	device->spilled = device_u64(device, "stats/spilled", &ok);
	device->retired = device_u64(device, "stats/retired", &ok);
	return ok && read_device_file(device, "state", device->state, sizeof(device->state)) &&
	       read_device_file(device, "fallback", device->fallback, sizeof(device->fallback)) &&
	       read_device_file(device, "online_policy", device->policy, sizeof(device->policy)) &&
	       read_device_file(device, "capabilities", device->capabilities,
				sizeof(device->capabilities));
}

static int by_node(const void *a, const void *b)
{
	const struct device *x = a, *y = b;

	return x->node - y->node;
}

/* All of them, by node; false, and told, where the kernel knows nothing of devices */
bool read_devices(struct devices *devices)
{
	glob_t files;
	size_t i;

	*devices = (struct devices) { };
	if (access("/sys/class/cdm", F_OK)) {
		fail("this kernel has no coherent devices: load the module cdm, or boot a kernel with CONFIG_CDM_DEVICE");
		return false;
	}
	if (glob("/sys/class/cdm/cdm*", 0, NULL, &files))
		return true;
	devices->list = calloc(files.gl_pathc, sizeof(*devices->list));
	for (i = 0; devices->list && i < files.gl_pathc; i++)
		if (read_device(files.gl_pathv[i], &devices->list[devices->nr]))
			devices->nr++;
	globfree(&files);
	if (!devices->list) {
		fail("no memory");
		return false;
	}
	qsort(devices->list, devices->nr, sizeof(*devices->list), by_node);
	return true;
}

/* By "cdmN" or "nodeN"; NULL, and told, for one that there is not */
struct device *find_device(struct devices *devices, const char *name)
{
	char node[16];
	size_t i;

	for (i = 0; i < devices->nr; i++) {
		snprintf(node, sizeof(node), "node%d", devices->list[i].node);
		if (!strcmp(name, devices->list[i].name) || !strcmp(name, node))
			return &devices->list[i];
	}
	fail("no device '%s': cdmctl list shows those that there are", name);
	return NULL;
}

/* For one line of output: four results stay valid */
const char *human(uint64_t bytes)
{
	static const char units[] = "KMGTP";
	static char texts[4][16];
	static unsigned int next;
	char *text = texts[next++ % 4];
	double value = bytes / 1024.0;
	const char *unit = units;

	while (value >= 1024 && unit[1]) {
		value /= 1024;
		unit++;
	}
	snprintf(text, sizeof(texts[0]), value < 10 && value != (int)value ? "%.1f%c" : "%.0f%c",
		 value, *unit);
	return text;
}
