/* SPDX-License-Identifier: GPL-2.0 */
/* cdmctl: what its commands share. */
#ifndef _CDMCTL_H
#define _CDMCTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses, as of daxctl and numactl: 0, something failed, it was called wrongly */
#define FAILED	1
#define USAGE	2

/* How all commands print; set by main() */
extern bool as_json;

struct device {
	char name[16];		/* cdm0 */
	char path[64];		/* its folder in sysfs */
	int node;
	uint64_t size;		/* bytes */
	uint64_t online;
	uint64_t free;
	uint64_t driver;	/* what its driver holds */
	uint64_t spill_used;
	uint64_t spill_max;
	uint64_t allocated;	/* pages, since it was registered */
	uint64_t failed;
	uint64_t evicted;
	uint64_t spilled;
	uint64_t retired;
	char state[16];
	char fallback[16];
	char policy[16];
	char capabilities[64];
};

struct devices {
	struct device *list;
	size_t nr;
};

/* device.c */
bool read_devices(struct devices *devices);
struct device *find_device(struct devices *devices, const char *name);
bool read_device_file(const struct device *device, const char *file, char *buf, size_t size);
bool write_device_file(const struct device *device, const char *file, const char *text);
bool kernel_has_cdm(void);
const char *human(uint64_t bytes);
uint64_t page_size(void);

/* file.c */
bool read_text(const char *path, char *buf, size_t size);
uint64_t read_u64(const char *path, bool *ok);
bool nodes_have(const char *list, int node);

/* list.c */
struct json_object *device_json(const struct device *device, bool users);

/* users.c */
struct json_object *users_of(int node);

/* cdmctl.c */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_json(struct json_object *object);

int cmd_list(int argc, char **argv);
int cmd_online(int argc, char **argv);
int cmd_offline(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_zonelists(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif /* _CDMCTL_H */
