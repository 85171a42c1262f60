#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The commands of Documentation/admin-guide/mm/cdm.rst, in their order, and what the page says
# that they print: numbers may differ, and how many spaces there are; "..." stands for anything.
# Needs the machine of that page: a dax device on node 2, and CONFIG_CDM.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

guide=$here/cdm.rst
[ -e "$guide" ] || skip_all "needs Documentation/admin-guide/mm/cdm.rst beside it"
[ -e /sys/bus/dax/drivers/cdm ] || skip_all "a kernel without CONFIG_CDM_DAX"
[ "$(cat /sys/bus/dax/devices/dax0.0/target_node 2>/dev/null)" = 2 ] ||
	skip_all "needs the dax device dax0.0 on node 2"
for tool in daxctl numactl numastat hwloc-ls perf lscpu; do
	command -v $tool >/dev/null || skip_all "needs $tool"
done
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
export PATH=$here:$PATH
ln -sf "$CDM_SPARSE_FILE" /tmp/large

# as_pattern: with N for a number, but for those that are 0, and one space for several
as_pattern()
{
	sed -E '
		s/[A-Z][a-z]{2} +[0-9]+ [0-9]{2}:[0-9]{2}/DATE/
		:zero
		s/(^|[^0-9.])0+([.]0+)?([^0-9.]|$)/\1ZERO\3/
		t zero
		s/[0-9]+([.][0-9]+)?/N/g
		s/ +/ /g
		s/ $//'
}

# same_text EXPECTED SAID: "..." is anything, also lines of it
same_text()
{
	local expected said pattern

	expected=$(as_pattern <<<"$1" | sed 's/[][\.*^$+?(){}|]/\\&/g; s/\\\.\\\.\\\./.*/g')
	said=$(as_pattern <<<"$2")
	pattern="^$expected\$"
	[[ $said =~ $pattern ]]
}

# check COMMAND EXPECTED: one command as one test
check()
{
	local said

	number=$((number + 1))
	if [[ $1 == *dmem* && ! -e /sys/fs/cgroup/dmem.capacity ]]; then
		echo "# the kernel has no dmem controller"
		ktap_test_skip "$1"
		return
	fi
	said=$(eval "$1" 2>&1)
	if same_text "$2" "$said"; then
		ktap_test_pass "$1"
	else
		ktap_test_fail "$1"
		# shellcheck disable=SC2001	# a # in front of each line
		sed 's/^/# is: /' <<<"$said"
		# shellcheck disable=SC2001
		sed 's/^/# page: /' <<<"$2"
	fi
}

commands=() outputs=()
in_block=
while IFS= read -r line; do
	case $line in
	"    # "*)
		commands+=("${line#"    # "}") outputs+=("")
		in_block=1
		;;
	"    "*)
		[ -n "$in_block" ] || continue
		last=$((${#outputs[@]} - 1))
		outputs[last]+=${outputs[last]:+$'\n'}${line#"    "}
		;;
	*) in_block= ;;
	esac
done <"$guide"

ktap_print_header
ktap_set_plan ${#commands[@]}
number=0
for i in "${!commands[@]}"; do
	check "${commands[i]}" "${outputs[i]}"
done
ktap_finished
