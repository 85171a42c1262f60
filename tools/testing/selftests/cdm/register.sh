#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a registration that cannot be answers, and that it leaves nothing behind.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

# refused ERRNO LOG START SIZE NODE: the answer, one new line in the log that says LOG,
# and nothing half done
refused()
{
	local errno=$1 log=$2 before=/tmp/cdm_register_before rc=0
	shift 2

	cat $nodes/possible $nodes/online $nodes/has_* /proc/iomem >$before
	dmesg -C
	expect "register $*" "$(ask "register $*")" "error $errno" || rc=1
	expect "log lines with '$log'" "$(dmesg | grep -c -- "$log")" 1 || { dmesg; rc=1; }
	cat $nodes/possible $nodes/online $nodes/has_* /proc/iomem | cmp - $before || rc=1
	return $rc
}

test_zero_size() { refused EINVAL "size 0" "$start" 0 $nid; }
test_unaligned_start() { refused EINVAL "is not aligned" $((start + page)) $block $nid; }
test_unaligned_size() { refused EINVAL "is not a multiple" "$start" "$page" $nid; }
test_not_addressable() { refused ERANGE "is beyond" $((0x7ffffffff0000000 & -block)) $block $nid; }
test_overlaps_ram() { refused EEXIST "cannot be added" $block $block $nid; }
test_impossible_node() { refused EINVAL "nid 60 is not a possible" "$start" $block 60; }
test_node_with_cpus() { refused EBUSY "nid 0 has CPUs" "$start" $block 0; }

test_unknown_policy()
{
	refused EINVAL "online_policy 7 is unknown" "$start" $block $nid online_policy=7
}

# The same range, the same node, or both
test_twice()
{
	local rc=0

	start_tool "$here/cdm_test_ctl"
	expect "first" "$(tell "register $start $block $nid")" "ok $nid" || rc=1
	refused EBUSY "nid $nid cannot be tagged" $((start + block)) $block $nid || rc=1
	is_module || refused EEXIST "cannot be added" "$start" $block -1 || rc=1
	stop_tool || rc=1
	expect "device nodes" "$(device_nodes)" "" && return $rc
}

# Nobody could bind to the node: its id is as free as before, for any owner. There are two for
# three of them: who comes last, here or in ids_are_not_inherited, would get none.
test_failure_takes_no_id()
{
	local next

	! is_module || skip "the module for other kernels has no part in it" || return
	CDM_TEST_PARENT='' refused EEXIST "cannot be added" $block $block -1 || return
	next=$(ask "register $start $block -1")
	[[ $next =~ ^ok\ [0-9]+$ ]] || fail "the next owner gets '$next'"
}

# An id that cdm_nodes=N reserved at boot; the same parent gets the same one again
test_reserved_node_id()
{
	local first second

	! is_module || skip "the module for other kernels has no part in it" || return
	first=$(ask "register $start $block -1")
	second=$(ask "register $start $block -1")
	[[ $first =~ ^ok\ [0-9]+$ ]] || fail "no id: $first (needs one that cdm_nodes=N reserved)" || return
	[ "$first" != "ok $nid" ] || fail "the firmware's id was handed out" || return
	expect "second time" "$second" "$first"
}

# Nobody inherits the policies that name another's node: an id is its owner's for good, and
# when all are given away the next one gets none
test_ids_are_not_inherited()
{
	local rc=0 ours others

	! is_module || skip "the module for other kernels has no part in it" || return
	ours=$(ask "register $start $block -1")
	"$CDM_PLUG" add 2 || fail "no device in slot 2" || return
	others=$(cat $nodes/has_cdm)
	[[ $others =~ ^[0-9]+$ ]] || fail "no id for slot 2: '$others'" || rc=1
	[ "ok $others" != "$ours" ] || fail "slot 2 got the id $others of another device" || rc=1

	start_tool "$here/cdm_test_ctl"
	expect "ours again" "$(tell "register $start $block -1")" "$ours" || rc=1
	# firmware says nothing of it: it is near itself, and far from all others
	expect "distances" "$(tr ' ' '\n' <"$nodes/node${ours#ok }/distance" | sort | uniq -c | xargs)" \
		"1 10 3 20" || rc=1
	expect "a third id of two" "$(ask "register $((start + block)) $block -1")" \
		"error ENOSPC" || rc=1
	stop_tool || rc=1
	"$CDM_PLUG" remove 2 && expect "device nodes" "$(device_nodes)" "" && return $rc
}

test_anothers_node()
{
	expect "the owner" "$(ask "register $start $block $nid")" "ok $nid" || return
	CDM_TEST_PARENT='' refused EBUSY "nid $nid cannot be tagged" "$start" $block $nid
}

test_unregister_while_pages_are_out()
{
	local rc=0 ask

	start_tool "$here/cdm_test_ctl"
	for ask in "register $start $block $nid|ok $nid" "alloc $nid 3 10|ok 80 0" \
		"unregister|error EBUSY" "alloc $nid 0 1|ok 1 0" "free|ok" "unregister|ok" \
		"unregister|error ENXIO"; do
		expect "${ask%|*}" "$(tell "${ask%|*}")" "${ask#*|}" || rc=1
	done
	stop_tool || rc=1
	expect "device nodes" "$(device_nodes)" "" && return $rc
}

# Onlining is refused half way through: the device is not there, nor its memory
test_failed_onlining_is_undone()
{
	local inject=/sys/kernel/debug/notifier-error-inject/memory/actions rc=0

	[ -d $inject ] || skip "a kernel without notifiers that fail" || return
	echo -12 >$inject/MEM_GOING_ONLINE/error
	refused ENOMEM "memory cannot be onlined" "$start" $((4 * block)) $nid || rc=1
	echo 0 >$inject/MEM_GOING_ONLINE/error
	expect "afterwards" "$(ask "register $start $((4 * block)) $nid")" "ok $nid" && return $rc
}

run_tests zero_size unaligned_start unaligned_size not_addressable overlaps_ram \
	impossible_node node_with_cpus unknown_policy failure_takes_no_id twice reserved_node_id \
	ids_are_not_inherited anothers_node unregister_while_pages_are_out failed_onlining_is_undone
