#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A PCI device comes and goes while the machine runs. Needs a slot, and CDM_PLUG, a
# command that puts the device into it (add), takes it out as an administrator would
# (remove) or as the chassis would ask for it (eject).
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
nid=2
manual=/sys/module/cdm_pci/parameters/manual

plug()
{
	"$CDM_PLUG" "$1" || fail "$CDM_PLUG $1 failed"
}

# plugged: the device is there, whole and online
plugged()
{
	expect has_cdm "$(cat $nodes/has_cdm)" $nid || return
	expect state "$(cat "$(cdm_of $nid)/state")" online || return
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 1
}

# gone: nothing of it is left
gone()
{
	expect has_cdm "$(cat $nodes/has_cdm)" "" || return
	expect "class folder" "$(ls /sys/class/cdm)" "" || return
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 0 || return
	[ ! -e $nodes/node$nid ] || fail "node $nid is still there"
}

test_plug_and_unplug()
{
	plug add && plugged && untouched && plug remove && gone
}

# What an administrator does: every block by hand, not in order
test_manual_onlining()
{
	local block rc=0 cdm

	echo Y >$manual
	plug add || return
	echo N >$manual
	cdm=$(cdm_of $nid)
	expect state "$(cat "$cdm/state")" added || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" || rc=1
	for block in $(blocks_of $nid | sort -r); do
		expect "online of $block" "$(write online_movable "$block/state")" ok || rc=1
	done
	expect online_size "$(cat "$cdm/online_size")" "$(cat "$cdm/size")" || rc=1
	plugged || rc=1
	plug remove && gone && return $rc
}

# What auto_online_blocks says is not for us
test_auto_online_does_not_apply()
{
	local auto=/sys/devices/system/memory/auto_online_blocks old mode rc=0

	old=$(cat $auto)
	for mode in offline online online_kernel online_movable; do
		echo $mode >$auto
		echo Y >$manual
		plug add || rc=1
		expect "state with $mode" "$(cat "$(cdm_of $nid)/state")" added || rc=1
		plug remove || rc=1
		echo N >$manual
		plug add || rc=1
		plugged || rc=1
		expect "has_normal_memory with $mode" "$(cat $nodes/has_normal_memory)" 0-1 || rc=1
		plug remove || rc=1
	done
	echo "$old" >$auto
	gone && return $rc
}

# bound_pages_survive METHOD: a bound task's pages are in RAM afterwards, byte for byte,
# and its policy no longer finds the node
bound_pages_survive()
{
	local rc=0

	plug add || return
	start_tool "$here/hold" $nid 64
	expect "before" "$(listen)" "bound $((64 * mib_pages))" || rc=1
	plug "$1" || rc=1
	gone || rc=1
	expect "after" "$(tell go)" "kept 0 wrong 0 fresh 0" || rc=1
	stop_tool || fail "the task died" || rc=1
	return $rc
}

test_bound_pages_survive_removal() { bound_pages_survive remove; }
test_bound_pages_survive_ejection() { bound_pages_survive eject; }

# The node's id is its own: a policy from before finds the same device's memory again
test_policy_finds_the_device_again()
{
	local rc=0

	plug add || return
	start_tool "$here/hold" $nid 64
	expect "before" "$(listen)" "bound $((64 * mib_pages))" || rc=1
	plug remove && plug add || rc=1
	expect "after" "$(tell go)" "kept 0 wrong 0 fresh $((64 * mib_pages))" || rc=1
	stop_tool || fail "the task died" || rc=1
	plug remove && gone && return $rc
}

# A driver's pages cannot be moved: offline says so at once, and nothing has changed
test_driver_pages_keep_it_online()
{
	local rc=0 cdm

	[ -e /dev/cdm_test ] || fail "needs the module cdm_test" || return
	plug add || return
	cdm=$(cdm_of $nid)
	start_tool "$here/cdm_test_ctl"
	expect "allocation" "$(tell "alloc $nid 0 100")" "ok 100 0" || rc=1
	expect "offline" "$(write offline "$cdm/state")" EBUSY || rc=1
	plugged || rc=1
	# nor can another tool take the block that they are in; each other block it can
	expect "blocks that refuse" "$(for block in $(blocks_of $nid); do
		write offline "$block/state"; done | grep -c EBUSY)" 1 || rc=1
	echo online_movable >"$cdm/state"
	expect "free" "$(tell free)" ok || rc=1
	expect "offline" "$(write offline "$cdm/state")" ok || rc=1
	stop_tool || rc=1
	plug remove && gone && return $rc
}

# A device that firmware says nothing of gets an id that cdm_nodes=N reserved, the same each
# time, and is as isolated as the other
test_device_without_firmware_node()
{
	local first second

	"$CDM_PLUG" add 2 || fail "no device in slot 2" || return
	first=$(cat $nodes/has_cdm)
	[[ $first =~ ^[0-9]+$ ]] || fail "no id: '$first' (needs one that cdm_nodes=N reserved)" || return
	[ "$first" != $nid ] || fail "the firmware's id was handed out" || return
	untouched || return
	expect state "$(cat "$(cdm_of "$first")/state")" online || return
	plug add || return
	expect "both devices" "$(cat $nodes/has_cdm)" "$nid-$first" || return
	plug remove && "$CDM_PLUG" remove 2 && "$CDM_PLUG" add 2 || return
	second=$(cat $nodes/has_cdm)
	"$CDM_PLUG" remove 2
	expect "the id the second time" "$second" "$first" && gone
}

[ -z "$(cat $nodes/has_cdm)" ] || skip_all "the slot is not empty"
run_tests plug_and_unplug manual_onlining auto_online_does_not_apply \
	bound_pages_survive_removal bound_pages_survive_ejection \
	policy_finds_the_device_again driver_pages_keep_it_online \
	device_without_firmware_node
