#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What cdm_nodes= on the kernel's command line may be wrong in, and what comes of it. In a machine
# that was booted with cdm_nodes=many, or with more than there are node ids.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

grep -qw cdm_nodes /proc/cmdline || skip_all "was not booted with cdm_nodes="
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"

given=$(sed -n 's/.*\<cdm_nodes=\([^ ]*\).*/\1/p' /proc/cmdline)
possible=$(list_nodes "$(cat $nodes/possible)" | wc -l)

test_no_number()
{
	dmesg | grep -q "cdm_nodes=$given is not a number" || fail "not in the log" || return
	expect "possible nodes" "$possible" 2
}

# All ids that there are, and the log says how many are missing
test_too_many()
{
	local max

	max=$((1 << $(sed -n 's/^CONFIG_NODES_SHIFT=//p' "$here/config" \
		"$here/config.$(uname -m | sed s/aarch64/arm64/)" 2>/dev/null | tail -n 1)))
	[ "$given" -gt $max ] || skip "the kernel has node ids for $given devices" || return
	dmesg | grep -q "cdm_nodes=$given: $((given + 2 - max)) more than the kernel has node ids for" ||
		fail "$(dmesg | grep cdm_nodes)" || return
	expect "possible nodes" "$possible" $max
}

case $given in
'' | *[!0-9]*) run_tests no_number ;;
*) run_tests too_many ;;
esac
