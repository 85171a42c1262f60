#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the zonelists of the five-node sample hold: nodes 0 and 1 RAM, 2, 3 and 4 devices.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -r $zonelists ] || skip_all "a kernel without CONFIG_CDM, or no debugfs"
[ "$(cat $nodes/has_memory) $(cat $nodes/has_cdm)" = "0-1 2-4" ] ||
	skip_all "needs the five nodes of the sample"

set_fallback()
{
	local device

	for device in /sys/class/cdm/*; do
		expect "offline of $device" "$(write offline "$device/state")" ok || return
		expect "fallback of $device" "$(write "$1" "$device/fallback")" ok || return
		expect "online of $device" "$(write online_movable "$device/state")" ok || return
	done
}

test_fallback_none()
{
	expect "lists" "$(lists_of FALLBACK NOFALLBACK)" "0 RAM: / 0 1 / 0
1 RAM: / 1 0 / 1
2 CDM: / 0 1 / 2
3 CDM: / 0 1 / 3
4 CDM: / 0 1 / 4"
}

# entries LIST NODE...: as they are printed: the zones of a node that have memory, the highest first
entries()
{
	local list=$1 nid zone number=0
	shift

	echo "        $list"
	for nid; do
		for zone in $(awk -v nid="$nid," '
			/^Node/ { on = $2 == nid; name = $4 }
			on && $1 == "managed" && $2 { print name }' /proc/zoneinfo | tac); do
			echo "                ($number) (node $nid) ($zone)"
			number=$((number + 1))
		done
	done
}

# node NODE KIND OTHER...: its part of the sample
node()
{
	printf '[NODE (%s)]\t\t\t\t\t\t%s\n' "$1" "$2"
	entries ZONELIST_FALLBACK "$1" "${@:3}"
	entries ZONELIST_NOFALLBACK "$1"
}

# The sample that the first series was posted with, entry by entry, on POWER with the same nodes. Its
# addresses are printed no more, and its RAM was in a zone DMA.
test_fallback_system()
{
	set_fallback system || return
	expect "lists" "$(awk '/^\[/ { on = 1 } /ZONELIST_EXPLICIT/ { on = 0 } on' $zonelists)" \
		"$(node 0 RAM 1 && node 1 RAM 0 && node 2 CDM 0 1 && node 3 CDM 0 1 && node 4 CDM 0 1)" ||
		return
	[ "$(uname -m)" != ppc64le ] || expect "zones of RAM" \
		"$(grep -E '\(node [01]\)' $zonelists | sort -u | grep -cv '(Normal)')" 0
}

test_back_to_none()
{
	set_fallback none && test_fallback_none
}

test_explicit()
{
	expect "lists" "$(lists_of EXPLICIT)" "0 RAM: / 0 1 2 3 4
1 RAM: / 1 0 2 3 4
2 CDM: / 2 0 1 3 4
3 CDM: / 3 0 1 4 2
4 CDM: / 4 0 1 2 3"
}

test_only_movable_zones()
{
	expect "zones of devices" \
		"$(grep -E '\(node [2-4]\)' $zonelists | grep -cv '(Movable)')" 0
}

# A device that goes offline leaves the lists, and comes back to its place
test_offline_leaves_lists()
{
	local before after device

	device=$(cdm_of 3)
	before=$(lists_of FALLBACK NOFALLBACK EXPLICIT)
	echo offline >"$device/state"
	expect "lists" "$(lists_of EXPLICIT)" "0 RAM: / 0 1 2 4
1 RAM: / 1 0 2 4
2 CDM: / 2 0 1 4
3 CDM: / 0 1 4 2
4 CDM: / 4 0 1 2" || return
	expect "NOFALLBACK of 3" "$(lists_of NOFALLBACK | grep ^3)" "3 CDM: /"
	echo online_movable >"$device/state"
	after=$(lists_of FALLBACK NOFALLBACK EXPLICIT)
	expect "lists after" "$after" "$before"
}

run_tests fallback_none fallback_system back_to_none explicit only_movable_zones \
	offline_leaves_lists
