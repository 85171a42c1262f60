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

/* In the order in which they are made: a capability that is given up does not come back */
static const struct setting settings[] = {
	{ "fallback", "none or system, while the device is offline", as_it_is },
	{ "spill_max", "bytes, with K, M, G or T", as_bytes },
	{ "capabilities", "those to keep, such as user_bind,reclaim, or none", as_words },
};

#define NR_SETTINGS	(sizeof(settings) / sizeof(*settings))

/* One of the settings, as it was asked for, and as the kernel wants it; text is NULL for none */
struct change {
	const char *text;
	char value[128];
	char before[128];
};

static void explain(const struct device *device, const struct setting *setting, const char *text)
{
	const char *why = strerror(errno);

	if (errno == EBUSY)
		why = "the device is online: 'cdmctl offline' first";
	else if (errno == EPERM && !strcmp(setting->key, "capabilities"))
		why = "its driver did not grant it, or it was taken away before";
	else if (errno == EACCES || errno == EPERM)
		why = "run it as root";
	else if (errno == EINVAL)
		why = setting->values;
	else if (errno == EOPNOTSUPP)
		why = "this kernel cannot: it needs CONFIG_CDM";
	fail("%s: %s '%s': %s", device->name, setting->key, text, why);
}

/* The index of the setting that KEY=VALUE names, or NR_SETTINGS */
static size_t find_setting(const char *text)
{
	size_t len = strcspn(text, "="), i;

	for (i = 0; i < NR_SETTINGS; i++)
		if (text[len] && strlen(settings[i].key) == len &&
		    !strncmp(settings[i].key, text, len))
			break;
	return i;
}

/* Take one KEY=VALUE for what it says; nothing is changed yet */
static bool parse(const char *text, struct change *changes)
{
	static const char policy[] = "online_policy=";
	size_t i = find_setting(text);
	struct change *change = changes + i;

	if (i == NR_SETTINGS) {
		fail("'%s' is no setting: fallback=, capabilities= and spill_max= are%s", text,
		     strncmp(text, policy, sizeof(policy) - 1) ?
			     "" : "; online_policy is its driver's choice");
		return false;
	}
	if (change->text) {
		fail("'%s': %s= was given before", text, settings[i].key);
		return false;
	}
	change->text = text + strlen(settings[i].key) + 1;
	if (settings[i].value(change->text, change->value, sizeof(change->value)))
		return true;
	fail("%s '%s': %s", settings[i].key, change->text, settings[i].values);
	return false;
}

/* Make the changes, or none: what the kernel refuses takes back what went before it */
static bool make(const struct device *device, struct change *changes)
{
	struct change *change;
	size_t i;

	for (i = 0; i < NR_SETTINGS; i++) {
		change = changes + i;
		if (!change->text)
			continue;
		if (read_device_file(device, settings[i].key, change->before,
				     sizeof(change->before)) &&
		    write_device_file(device, settings[i].key, change->value))
			continue;
		explain(device, settings + i, change->text);
		while (i--)
			if (changes[i].text &&
			    !write_device_file(device, settings[i].key, changes[i].before))
				fail("%s: %s stays '%s': %s", device->name, settings[i].key,
				     changes[i].text, strerror(errno));
		return false;
	}
	return true;
}

/* What it is now, as "list" shows it */
static int show(const char *name)
{
	struct devices devices;
	struct device *device;

	if (!read_devices(&devices))
		return FAILED;
	device = find_device(&devices, name);
	if (device)
		print_json(device_json(device, false));
	free(devices.list);
	return device ? 0 : FAILED;
}

static int set_all(const struct device *device, char **texts)
{
	struct change changes[NR_SETTINGS] = { };
	char **text;

	for (text = texts; *text; text++)
		if (!parse(*text, changes))
			return USAGE;
	if (!make(device, changes))
		return FAILED;
	return as_json ? show(device->name) : 0;
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
