#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Four threads allocate, evict, spill, migrate and write files at once: no page is lost.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

test_nothing_is_lost()
{
	local said

	dmesg -C
	said=$("$here/churn" "$start" $block $nid "${CDM_RACE_SECONDS:-60}" 2>&1) ||
		fail "$said" || return
	echo "# ${said##*$'\n'}"
	# each of them was at work
	[[ $said =~ ok\ allocs\ [1-9][0-9]*\ none\ [1-9][0-9]*\ moves\ [1-9][0-9]*\ files\ [1-9] ]] ||
		fail "not everything was tried" || return
	[[ $said =~ back\ [1-9][0-9]*\ evict\ [1-9][0-9]*\ scrub\ [1-9][0-9]*\ copy\ [1-9] ]] ||
		fail "not everything was tried" || return
	# a page that was lost would keep its block, and the device would have been given up
	expect "given up" "$(dmesg | grep -c "until reboot")" 0 || return
	expect has_cdm "$(cat $nodes/has_cdm)" ""
}

run_tests nothing_is_lost
