#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Each step of a device's life fails once: the error is the step's, what was done before it
# is undone, and the same thing then succeeds.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

[ -d $fail_function ] || skip_all "needs CONFIG_FAIL_FUNCTION and debugfs"

# inject FUNCTION ERRNO [CALLS [TIMES]]: its next call, or that after CALLS more, returns -ERRNO and
# does nothing; and so do the next ones, TIMES in all
inject()
{
	add_fault "$1" "$2"
	echo "${3-0}" >$fail_function/space
	echo "${4-1}" >$fail_function/times
}

# injected: was it called?
injected()
{
	local left

	left=$(cat $fail_function/times)
	echo >$fail_function/inject
	expect "calls still to fail" "$left" 0
}

footprint()
{
	cat $nodes/possible $nodes/online $nodes/has_cdm /proc/iomem
	ls /sys/class/cdm /sys/devices/system/memory
}

# registration NODE OPTIONS FUNCTION ERRNO NAME: it fails with NAME, leaves nothing, and
# succeeds the next time
registration()
{
	local before rc=0

	before=$(footprint)
	inject "$3" "$4"
	expect "with $3 failing" "$(ask "register $start $((2 * block)) $1 $2")" "error $5" || rc=1
	injected || rc=1
	expect footprint "$(footprint)" "$before" || rc=1
	[[ $(ask "register $start $((2 * block)) $1 $2") =~ ^ok\ [0-9]+$ ]] ||
		fail "does not register afterwards" || rc=1
	expect "footprint at the end" "$(footprint)" "$before" && return $rc
}

test_no_node_id() { registration -1 "" cdm_node_tag 28 ENOSPC; }
test_no_lists() { registration $nid "" cdm_alloc_explicit_zonelists 12 ENOMEM; }
test_no_tag() { registration $nid "" cdm_node_tag 16 EBUSY; }
test_no_job() { registration $nid "" cdm_run_job 12 ENOMEM; }
test_no_thread() { registration $nid "" new_thread 12 ENOMEM; }
test_bad_page_not_recorded()
{
	registration $nid "bad_page=$((start + page))" cdm_node_retire_page 12 ENOMEM
}
test_no_region()
{
	grep -q '^cdm_add_region' ${fail_function%/*}/error_injection/list ||
		skip "the kernel has no dmem controller" || return
	registration $nid "" cdm_add_region 12 ENOMEM
}
test_memory_not_added() { registration $nid "" cdm_node_add_memory 17 EEXIST; }
test_memory_not_onlined() { registration $nid "" cdm_node_online_memory 1 EPERM; }
test_no_use_for_mm() { registration $nid "" cdm_node_set_ops 12 ENOMEM; }
test_no_device_file() { registration $nid "" cdm_chardev_add 12 ENOMEM; }
test_no_folder_in_sysfs() { registration $nid "" publish 12 ENOMEM; }

# change WORD FUNCTION ERRNO NAME STATE: of a device's state; it stays STATE, then succeeds
change()
{
	local rc=0

	inject "$2" "$3"
	expect "$1 with $2 failing" "$(write "$1" "$cdm/state")" "$4" || rc=1
	injected || rc=1
	expect state "$(cat "$cdm/state")" "$5" || rc=1
	expect "hold" "$(bindable)" "$6" || rc=1
	expect "$1 afterwards" "$(write "$1" "$cdm/state")" ok && return $rc
}

# bindable: pages that a task gets under a policy
bindable()
{
	{ "$here/hold" $nid 8 </dev/null 2>/dev/null || echo none; } | head -n 1
}

states()
{
	change offline cdm_node_offline_memory 12 ENOMEM online "bound $((8 * mib_pages))" &&
		change online_movable cdm_node_online_memory 12 ENOMEM added none &&
		change offline cdm_run_job 12 ENOMEM online "bound $((8 * mib_pages))" &&
		change online_movable cdm_run_job 12 ENOMEM added none &&
		change offline new_thread 12 ENOMEM online "bound $((8 * mib_pages))" &&
		change online_movable new_thread 12 ENOMEM added none
}
unregister()
{
	local rc=0

	inject cdm_node_remove_memory 16
	expect unregister "$(tell "unregister 5")" "error EBUSY" || rc=1
	injected || rc=1
	inject cdm_node_remove_memory 12
	expect unregister "$(tell "unregister 5")" "error ENOMEM" || rc=1
	injected || rc=1
	expect state "$(cat "$cdm/state")" online || rc=1
	expect hold "$(bindable)" "bound $((8 * mib_pages))" || rc=1
	expect "unregister afterwards" "$(tell "unregister 5")" ok && return $rc
}
retire()
{
	local rc=0

	inject cdm_node_retire_page 12
	expect retire "$(tell "retire $start")" "error ENOMEM" || rc=1
	injected || rc=1
	expect bad_pages "$(wc -l <"$cdm/bad_pages")" 0 || rc=1
	expect "retire afterwards" "$(tell "retire $start")" ok || rc=1
	expect bad_pages "$(wc -l <"$cdm/bad_pages")" 1 && return $rc
}

# Some of the blocks have gone their way by then, and go back
half_way()
{
	local answer

	inject cdm_block_set 12 3
	expect offline "$(write offline "$cdm/state")" ENOMEM || return
	injected || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block)) || return
	expect hold "$(bindable)" "bound $((8 * mib_pages))" || return
	expect offline "$(write offline "$cdm/state")" ok || return
	inject cdm_block_set 12 3
	expect online "$(write online_movable "$cdm/state")" ENOMEM || return
	injected || return
	expect online_size "$(cat "$cdm/online_size")" 0 || return
	expect state "$(cat "$cdm/state")" added || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	inject cdm_block_set 12 3
	answer=$(tell "unregister 5")
	injected || return
	expect unregister "$answer" "error ENOMEM" || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block)) || return
	expect hold "$(bindable)" "bound $((8 * mib_pages))" || return
	expect unregister "$(tell "unregister 5")" ok
}
test_half_of_the_blocks() { device_blocks=4 with_device "" half_way; }

# And where a block cannot go back either, it is told, and the device says what is online
no_way_back()
{
	dmesg -C
	inject cdm_block_set 12 2 2
	expect offline "$(write offline "$cdm/state")" ENOMEM || return
	injected || return
	expect told "$(dmesg | grep -c "could not be taken back")" 1 || return
	expect online_size "$(cat "$cdm/online_size")" $((3 * block)) || return
	expect state "$(cat "$cdm/state")" online || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block)) || return
	expect offline "$(write offline "$cdm/state")" ok
}
test_block_that_does_not_come_back() { device_blocks=4 with_device "" no_way_back; }
test_half_of_the_blocks_at_registration()
{
	local before rc=0

	before=$(footprint)
	inject cdm_block_set 12 3
	expect register "$(ask "register $start $((4 * block)) $nid")" "error ENOMEM" || rc=1
	injected || rc=1
	expect footprint "$(footprint)" "$before" && return $rc
}

test_state_changes() { with_device "" states; }
test_unregistration() { with_device "" unregister; }
test_retirement() { with_device "" retire; }

open_file()
{
	local file=/dev/${cdm##*/}

	inject cdm_node_create_file 12
	expect open "$(errno_name "$( { : <"$file"; } 2>&1)")" ENOMEM || return
	injected || return
	expect "open afterwards" "$(errno_name "$( { : <"$file"; } 2>&1)")" ok
}
test_open_of_the_file() { with_device "" open_file; }

migrate()
{
	inject cdm_node_migrate_range 12
	expect migrate "$(tell "migrate $nid 8")" "ok -12 8 wrong 0" || return
	injected || return
	expect "migrate afterwards" "$(tell "migrate $nid 8")" "ok 8 8 wrong 0"
}
test_migration() { with_device "" migrate; }

# An error in the RAM that a spilled page is in: it stays where it is
bring_back()
{
	expect offline "$(write offline "$cdm/state")" ok || return
	expect spill "$(tell "alloc $nid 2 1 flags=8")" "ok 0 4" || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	inject cdm_copy 133
	expect back "$(tell back)" "ok 0 wrong 0 EHWPOISON" || return
	injected || return
	expect used "$(cat "$cdm/spill_used")" $((4 * page)) || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect "back afterwards" "$(tell back)" "ok 4 wrong 0 all" || return
	expect used "$(cat "$cdm/spill_used")" 0
}
test_bringing_back() { with_device "spill_max=$((4 * page))" bring_back; }

# A driver's remove() tries again by itself
remove()
{
	inject cdm_node_remove_memory 16
	expect remove "$(tell remove)" ok && injected
}
test_remove_tries_again() { with_device "" remove; }

# What cannot happen is said, and the next registration has another id
test_no_untagging()
{
	local first rc=0

	start_tool "$here/cdm_test_ctl"
	first=$(tell "register $start $((2 * block)) -1")
	[[ $first =~ ^ok\ [0-9]+$ ]] || fail "does not register: $first" || rc=1
	dmesg -C
	inject cdm_node_untag 16
	expect unregister "$(tell "unregister 5")" ok || rc=1
	injected || rc=1
	dmesg | grep -q "node ${first#ok } cannot be untagged (-16)" || fail "$(dmesg)" || rc=1
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 0 || rc=1
	[[ $(tell "register $start $((2 * block)) -1") =~ ^ok\ [0-9]+$ ]] ||
		fail "does not register afterwards" || rc=1
	stop_tool || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" && return $rc
}

run_tests no_node_id no_lists no_tag no_job no_thread bad_page_not_recorded no_region memory_not_added \
	memory_not_onlined no_use_for_mm no_device_file no_folder_in_sysfs state_changes half_of_the_blocks \
	block_that_does_not_come_back half_of_the_blocks_at_registration unregistration retirement \
	open_of_the_file migration bringing_back remove_tries_again no_untagging
