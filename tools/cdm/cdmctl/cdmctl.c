// SPDX-License-Identifier: GPL-2.0
/*
 * cdmctl: coherent devices' memory, for administrators. What it knows is in sysfs, and what it
 * does an administrator could do with a shell; cdmctl(1) describes it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cdmctl.h"

/* That of debian/changelog: scripts/lint compares them */
#define CDMCTL_VERSION "0.7.0"

bool as_json;

struct command {
	const char *name;
	const char *args;
	const char *help;
	int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "list", "[-u] [DEVICE]", "devices, and with -u who has pages there", cmd_list },
	{ "online", "DEVICE", "online all of a device's memory", cmd_online },
	{ "offline", "DEVICE", "move all pages to RAM and offline it; Ctrl-C: all is as before",
	  cmd_offline },
	{ "set", "DEVICE KEY=VALUE...", "fallback, capabilities, spill_max", cmd_set },
	{ "zonelists", "", "which node's allocations can fall back where", cmd_zonelists },
	{ "top", "[-d SECONDS] [-n TIMES]", "the same over and over, with what happens a second",
	  cmd_top },
	{ "run", "--node N -- COMMAND...", "run a program with all its memory on a device",
	  cmd_run },
	{ "doctor", "", "find and explain what is configured wrongly", cmd_doctor },
	{ }
};

void fail(const char *format, ...)
{
	va_list args;

	fputs("cdmctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
	json_object_put(object);
}

/* --json stands anywhere before "--", behind which the words are a program's */
static int take_json(int argc, char **argv)
{
	int i, left = 0;
	bool mine = true;

	for (i = 0; i < argc; i++) {
		if (mine && !strcmp(argv[i], "--json")) {
			as_json = true;
			continue;
		}
		mine &= !!strcmp(argv[i], "--");
		argv[left++] = argv[i];
	}
	argv[left] = NULL;
	return left;
}

static bool asks_for_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

static void usage(FILE *file)
{
	const struct command *command;

	fputs("usage: cdmctl [--json] COMMAND\n\n", file);
	for (command = commands; command->name; command++)
		fprintf(file, "  %-9s %-24s %s\n", command->name, command->args, command->help);
	fputs("\nDEVICE is cdmN, or nodeN for the one on that node. See cdmctl(1).\n", file);
}

int main(int argc, char **argv)
{
	const struct command *command;

	argv++;
	argc = take_json(argc - 1, argv);
	if (!argc) {
		usage(stderr);
		return USAGE;
	}
	if (asks_for_help(*argv) || !strcmp(*argv, "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(*argv, "--version")) {
		puts("cdmctl " CDMCTL_VERSION);
		return 0;
	}
	for (command = commands; command->name; command++) {
		if (strcmp(command->name, *argv))
			continue;
		if (argc == 2 && asks_for_help(argv[1])) {
			printf("usage: cdmctl %s %s\n%s\n", command->name, command->args,
			       command->help);
			return 0;
		}
		return command->run(argc, argv);
	}
	fail("unknown command '%s': cdmctl --help lists them", *argv);
	return USAGE;
}
