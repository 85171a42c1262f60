// SPDX-License-Identifier: GPL-2.0
/* cdmctl set: what an administrator may change of a device. All of it or nothing. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdmctl.h"

struct setting {
	const char *key;
	const char *values;
	const char *(*value)(const char *text, char *buf, size_t size);
};

static const char *as_it_is(const char *text, char *buf, size_t size)
{
	snprintf(buf, size, "%s", text);
	return buf;
}

/* "user_bind,reclaim" or "none" */
static const char *as_words(const char *text, char *buf, size_t size)
{
	char *comma;

	if (!strcmp(text, "none"))
		text = "";
	snprintf(buf, size, "%s\n", text);
	while ((comma = strchr(buf, ',')))
		*comma = ' ';
	return buf;
}

/* "512M" in bytes; NULL for what is no size */
static const char *as_bytes(const char *text, char *buf, size_t size)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t bytes;
	char *end;

	errno = 0;
	bytes = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return NULL;
	if (*end) {
		unit = strchr(units, *end & ~0x20);
		if (!unit || end[1] || bytes > UINT64_MAX >> 10 * (unit - units + 1))
			return NULL;
		bytes <<= 10 * (unit - units + 1);
	}
	snprintf(buf, size, "%llu", (unsigned long long)bytes);
	return buf;
}

static const struct setting settings[] = {
	{ "fallback", "none or system, while the device is offline", as_it_is },
	{ "capabilities", "those to keep, such as user_bind,reclaim, or none", as_words },
	{ "spill_max", "bytes, with K, M, G or T", as_bytes },
	{ }
};

static void explain(const struct device *device, const char *key, const char *value,
		    const struct setting *setting)
{
	const char *why = strerror(errno);

	if (errno == EBUSY)
		why = "the device is online: 'cdmctl offline' first";
	else if (errno == EPERM && !strcmp(key, "capabilities"))
		why = "its driver did not grant it, or it was taken away before";
	else if (errno == EACCES || errno == EPERM)
		why = "run it as root";
	else if (errno == EINVAL)
		why = setting->values;
	else if (errno == EOPNOTSUPP)
		why = "this kernel cannot: it needs CONFIG_CDM";
	fail("%s: %s '%s': %s", device->name, key, value, why);
}

static const struct setting *find_setting(const char *text, size_t len)
{
	const struct setting *setting;

	for (setting = settings; setting->key; setting++)
		if (strlen(setting->key) == len && !strncmp(setting->key, text, len))
			return setting;
	return NULL;
}

/* Check, or do, one KEY=VALUE */
static int set_one(const struct device *device, const char *text, bool really)
{
	size_t len = strcspn(text, "=");
	const struct setting *setting = find_setting(text, len);
	const char *value;
	char buf[128];

	if (!text[len] || !setting) {
		fail("'%s' is no setting: fallback=, capabilities= and spill_max= are%s", text,
		     len == 13 && !strncmp(text, "online_policy", len) ?
			     "; online_policy is its driver's choice" : "");
		return USAGE;
	}
	value = setting->value(text + len + 1, buf, sizeof(buf));
	if (!value) {
		fail("%s '%s': %s", setting->key, text + len + 1, setting->values);
		return USAGE;
	}
	if (!really || write_device_file(device, setting->key, value))
		return 0;
	explain(device, setting->key, text + len + 1, setting);
	return FAILED;
}

/* What cannot be read as a setting is found before anything is changed */
static int set_all(const struct device *device, char **texts)
{
	char **text;
	int rc = 0;

	for (text = texts; !rc && *text; text++)
		rc = set_one(device, *text, false);
	for (text = texts; !rc && *text; text++)
		rc = set_one(device, *text, true);
	return rc;
}

int cmd_set(int argc, char **argv)
{
	struct devices devices;
	struct device *device;
	int rc = FAILED;

	if (argc < 3) {
		fail("usage: cdmctl set DEVICE KEY=VALUE...");
		return USAGE;
	}
	if (!read_devices(&devices))
		return FAILED;
	device = find_device(&devices, argv[1]);
	if (device)
		rc = set_all(device, argv + 2);
	free(devices.list);
	return rc;
}
