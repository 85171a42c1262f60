#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# /sys/class/cdm, and what memory blocks of a device accept.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
nid=$(device_nodes | head -n 1)
[ -n "$nid" ] || skip_all "no CDM node"
cdm=$(cdm_of "$nid")

test_node_states()
{
	local node state

	for node in $(device_nodes); do
		for state in has_memory has_normal_memory has_cpu; do
			expect "$state of node $node" \
				"$(list_nodes "$(cat $nodes/$state)" | grep -cx "$node")" 0 || return
		done
	done
}

meminfo()
{
	awk -v key="$1:" '$1 == key { print $2 }' /proc/meminfo
}

test_not_system_memory()
{
	local ram=0 cdm_total=0 cdm_free=0 node

	for node in $(device_nodes); do
		cdm_total=$((cdm_total + $(awk '/MemTotal/ { print $4 }' $nodes/node"$node"/meminfo)))
		cdm_free=$((cdm_free + $(awk '/MemFree/ { print $4 }' $nodes/node"$node"/meminfo)))
	done
	expect "CdmTotal" "$(meminfo CdmTotal)" "$cdm_total" || return
	expect "CdmFree" "$(meminfo CdmFree)" "$cdm_free" || return
	for node in $(list_nodes "$(cat $nodes/has_memory)"); do
		ram=$((ram + $(awk '/MemTotal/ { print $4 }' $nodes/node"$node"/meminfo)))
	done
	expect "MemTotal" "$(meminfo MemTotal)" "$ram" && [ "$(meminfo MemFree)" -le "$ram" ]
}

test_files()
{
	local managed

	expect state "$(cat "$cdm/state")" online || return
	expect capabilities "$(cat "$cdm/capabilities")" user_bind || return
	expect fallback "$(cat "$cdm/fallback")" none || return
	expect online_policy "$(cat "$cdm/online_policy")" auto || return
	expect online_size "$(cat "$cdm/online_size")" "$(cat "$cdm/size")" || return
	managed=$(awk '/MemTotal/ { print $4 * 1024 }' $nodes/node"$nid"/meminfo)
	expect size "$(cat "$cdm/size")" "$managed"
}

test_bad_values()
{
	expect "state bogus" "$(write bogus "$cdm/state")" EINVAL || return
	expect "state online_kernel" "$(write online_kernel "$cdm/state")" EINVAL || return
	expect "fallback bogus" "$(write bogus "$cdm/fallback")" EINVAL || return
	expect "fallback while online" "$(write system "$cdm/fallback")" EBUSY || return
	test_files
}

test_online_and_offline_are_idempotent()
{
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect state "$(cat "$cdm/state")" added || return
	expect online_size "$(cat "$cdm/online_size")" 0 || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	test_files
}

# Whatever is asked of a single block, it is in ZONE_MOVABLE or offline
test_blocks_are_movable_only()
{
	local first

	first=$(blocks_of "$nid" | head -n 1)
	expect "offline of a block" "$(write offline "$first/state")" ok || return
	expect online_size "$(cat "$cdm/online_size")" $(($(cat "$cdm/size") - block)) ||
		return
	expect online_kernel "$(write online_kernel "$first/state")" EPERM || return
	expect "block's state" "$(cat "$first/state")" offline || return
	expect online_movable "$(write online_movable "$first/state")" ok || return
	expect zones "$(cat "$first/valid_zones")" Movable || return
	test_files
}

# The first block decides the zone of a plain online: here the node has no zone yet
test_first_block_refuses_kernel_zone()
{
	local first rc=0

	echo offline >"$cdm/state"
	first=$(blocks_of "$nid" | head -n 1)
	expect online_kernel "$(write online_kernel "$first/state")" EPERM || rc=1
	expect online "$(write online "$first/state")" EPERM || rc=1
	expect has_normal_memory "$(list_nodes "$(cat $nodes/has_normal_memory)" | grep -cx "$nid")" 0 ||
		rc=1
	expect online_movable "$(write online_movable "$first/state")" ok || rc=1
	expect state "$(cat "$cdm/state")" online || rc=1
	expect online_size "$(cat "$cdm/online_size")" "$block" || rc=1
	echo online_movable >"$cdm/state"
	test_files && return $rc
}

# A drain that fails leaves everything as it was; so does an onlining
test_failed_changes_are_undone()
{
	local inject=/sys/kernel/debug/notifier-error-inject/memory/actions rc=0 refused

	[ -d $inject ] || fail "needs CONFIG_MEMORY_NOTIFIER_ERROR_INJECT" || return
	echo -12 >$inject/MEM_GOING_OFFLINE/error
	refused=$(write offline "$cdm/state")
	echo 0 >$inject/MEM_GOING_OFFLINE/error
	expect "refused offline" "$refused" ENOMEM || rc=1
	test_files || rc=1

	echo offline >"$cdm/state"
	echo -12 >$inject/MEM_GOING_ONLINE/error
	refused=$(write online_movable "$cdm/state")
	echo 0 >$inject/MEM_GOING_ONLINE/error
	expect "refused online" "$refused" ENOMEM || rc=1
	expect state "$(cat "$cdm/state")" added || rc=1
	echo online_movable >"$cdm/state"
	test_files && return $rc
}

# A huge page that somebody holds a part of keeps the device online: the blocks that were
# emptied before come back online, and the drain ends when it gets nowhere
test_drain_gives_up_on_a_pinned_page()
{
	local rc=0 seconds=/sys/module/cdm/parameters/drain_seconds

	echo 3 >$seconds
	start_tool "$here/hold" "$nid" 200 pin
	expect "before" "$(listen)" "bound $((200 * mib_pages))" || rc=1
	dmesg -C
	expect "offline" "$(write offline "$cdm/state")" ETIMEDOUT || rc=1
	expect "log lines" "$(dmesg | grep -c 'cannot drain.*pages 0 the driver.s, '"$huge_pages pinned, 0 bad")" 1 ||
		rc=1
	test_files || rc=1
	echo 60 >$seconds
	# the line lets go of the page; fresh memory still comes from the device
	[[ $(tell go) =~ ^kept\ [0-9]+\ wrong\ 0\ fresh\ $((200 * mib_pages))$ ]] || fail "the task lost something" || rc=1
	stop_tool || rc=1
	expect "offline" "$(write offline "$cdm/state")" ok || rc=1
	expect "online" "$(write online_movable "$cdm/state")" ok || rc=1
	test_files && return $rc
}

# Where a device's pages go when it leaves: to RAM, and not to its neighbours
test_offline_spares_other_devices()
{
	local rc=0 other

	start_tool "$here/hold" "$nid" 64
	expect "before" "$(listen)" "bound $((64 * mib_pages))" || rc=1
	expect "offline" "$(write offline "$cdm/state")" ok || rc=1
	for other in $(device_nodes); do
		expect "pages on node $other" "$(used_pages "$other")" 0 || rc=1
	done
	expect "the task" "$(tell go)" "kept 0 wrong 0 fresh 0" || rc=1
	stop_tool || rc=1
	expect "online" "$(write online_movable "$cdm/state")" ok || rc=1
	test_files && return $rc
}

# numactl fails while the node is not there; a task that it did start is not to be killed
faulting()
{
	numactl -a --membind="$nid" "$here/hog" 24 2>/dev/null || [ $? -lt 128 ] ||
		echo >/tmp/cdm_killed
}

# Tasks that touch fresh bound memory all the time, while the device goes and comes back
test_drain_under_faulting_tasks()
{
	local rc=0 end=$((SECONDS + 12))

	rm -f /tmp/cdm_killed
	dmesg -C
	for _ in 1 2 3; do
		again $end faulting &
	done
	while [ $SECONDS -lt $end ]; do
		expect "offline" "$(write offline "$cdm/state")" ok || rc=1
		expect "online" "$(write online_movable "$cdm/state")" ok || rc=1
	done
	wait
	[ ! -e /tmp/cdm_killed ] || fail "a task was killed" || rc=1
	expect "kills in the log" "$(dmesg | grep -c 'Killed process')" 0 || rc=1
	test_files && return $rc
}

run_tests node_states not_system_memory files bad_values online_and_offline_are_idempotent \
	blocks_are_movable_only first_block_refuses_kernel_zone failed_changes_are_undone \
	drain_gives_up_on_a_pinned_page offline_spares_other_devices drain_under_faulting_tasks
