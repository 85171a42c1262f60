#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A driver's remove() cannot fail: it waits, says what for, and at last gives up the pages
# that nobody gives back. And a registration that can neither be finished nor undone keeps what
# it has. The nodes are lost afterwards: run it last, or alone.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -e /dev/cdm_test ] || skip_all "needs the module cdm_test"
[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
nid=2

# what is charged for all that is taken here, where the kernel has the dmem controller
group=/sys/fs/cgroup/cdm_abandon
if [ -e /sys/fs/cgroup/dmem.capacity ]; then
	echo +dmem >/sys/fs/cgroup/cgroup.subtree_control
	mkdir $group
	echo $$ >$group/cgroup.procs
fi

# charged PAGES: for node 2
charged()
{
	[ ! -e /sys/fs/cgroup/dmem.capacity ] || expect "charged" "$(grep "^cdm/node$nid " $group/dmem.current)" \
		"cdm/node$nid $(($1 * page))"
}

# card SLOT: what is plugged in there, in the caller's pci and start
card()
{
	pci=$(cat "/sys/bus/pci/slots/$1/address").0
	export CDM_TEST_PARENT=$pci
	start=$(awk 'NR == 3 { print $1 }' "/sys/bus/pci/devices/$pci/resource")
}

test_remove_gives_up()
{
	local pci start ask rc=0

	"$CDM_PLUG" add || return
	card 1
	echo "$pci" >/sys/bus/pci/drivers/cdm_pci/unbind
	echo 15 >/sys/module/cdm/parameters/remove_seconds

	dmesg -C
	start_tool "$here/cdm_test_ctl"
	for ask in "register $start $block $nid|ok $nid" "alloc $nid 3 10|ok 80 0" "remove|ok"; do
		expect "${ask%|*}" "$(tell "${ask%|*}")" "${ask#*|}" || rc=1
	done
	charged 80 || rc=1
	expect "reports" "$(dmesg | grep -c 'pages 80 the driver')" 1 || rc=1
	expect "losses" "$(dmesg | grep -c '80 pages at .* were not given back')" 1 || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" || rc=1
	# the blocks are offline, and no longer count
	expect HardwareCorrupted "$(awk '/HardwareCorrupted/ { print $2 }' /proc/meminfo)" 0 || rc=1
	# gives its pages back, too late: they stay lost, and nothing breaks
	stop_tool || rc=1
	charged 0 || rc=1
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 1 || rc=1
	expect HardwareCorrupted "$(awk '/HardwareCorrupted/ { print $2 }' /proc/meminfo)" 0 || rc=1
	return $rc
}

# What a process has pinned stays online with its block alone, and nothing comes back online
test_remove_gives_up_a_pinned_page()
{
	local pci start node hold device answer one online=0 rc=0

	card 1
	echo 3 >/sys/module/cdm/parameters/drain_seconds
	echo 3 >/sys/module/cdm/parameters/remove_seconds

	start_tool "$here/cdm_test_ctl"
	device=("$tool_in" "$tool_out" "$tool_pid")
	answer=$(tell "register $((start + 4 * block)) $((4 * block)) -1")
	node=${answer#ok }
	[[ $node =~ ^[0-9]+$ ]] || fail "register: $answer" || return
	start_tool "$here/hold" "$node" 64 pin
	hold=("$tool_in" "$tool_out" "$tool_pid")
	expect hold "$(listen)" "bound $((64 * mib_pages))" || rc=1
	use_tool "${device[@]}"
	dmesg -C
	expect remove "$(tell remove)" ok || rc=1
	dmesg | grep -q 'keeps its memory blocks until reboot' || fail "not in the log" || rc=1
	for one in $(blocks_of "$node"); do
		[ "$(cat "$one/state")" != online ] || { online=$((online + 1)) && continue; }
		expect "${one##*/}" "$(write online_movable "$one/state")" EPERM || rc=1
	done
	expect "blocks online" $online 1 || rc=1
	use_tool "${hold[@]}"
	[[ $(tell go) =~ ^kept\ [0-9]+\ wrong\ 0\ fresh\ 0$ ]] || fail "the task lost something" || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	stop_tool || rc=1
	return $rc
}

test_registration_is_stuck()
{
	local pci start before node rc=0

	[ -d $fail_function ] || skip "a kernel without fail_function" || return
	before=$(cat $nodes/has_cdm)
	"$CDM_PLUG" add 2 || return
	card 2
	{ echo "$pci" >/sys/bus/pci/drivers/cdm_pci/unbind; } 2>/dev/null
	add_fault cdm_node_online_memory 1
	add_fault cdm_node_remove_memory 16
	echo 2 >$fail_function/times
	dmesg -C
	start_tool "$here/cdm_test_ctl"
	expect register "$(tell "register $start $block -1")" "error EPERM" || rc=1
	echo >$fail_function/inject
	node=$(dmesg | sed -n 's/.*node \([0-9]*\) keeps its memory blocks until reboot/\1/p')
	[ -n "$node" ] || fail "not in the log" || rc=1
	# its blocks are there, offline, and nobody else's
	expect "online" "$(write online_movable "$(blocks_of "$node")/state")" EPERM || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "$before" || rc=1
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 3 || rc=1
	expect "again" "$(tell "register $start $block -1")" "error EEXIST" || rc=1
	# but what another part of it is, is not lost
	[[ $(tell "register $((start + 2 * block)) $block -1") =~ ^ok\ [0-9]+$ ]] ||
		fail "another range does not register" || rc=1
	stop_tool || rc=1
	return $rc
}

# All of it is there but for its folder in sysfs, and then it does not go
test_registered_device_is_stuck()
{
	local pci start node rc=0

	[ -d $fail_function ] || skip "a kernel without fail_function" || return
	card 2
	add_fault publish 12
	add_fault cdm_node_remove_memory 16
	echo 2 >$fail_function/times
	dmesg -C
	start_tool "$here/cdm_test_ctl"
	expect register "$(tell "register $((start + 4 * block)) $block -1")" "error ENOMEM" || rc=1
	expect "calls still to fail" "$(cat $fail_function/times)" 0 || rc=1
	echo >$fail_function/inject
	stop_tool || rc=1
	node=$(dmesg | sed -n 's/.*node \([0-9]*\) keeps its memory blocks until reboot/\1/p')
	[ -n "$node" ] || fail "not in the log" || return
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 4 || rc=1
	expect "blocks" "$(blocks_of "$node" | wc -l)" 1 || rc=1
	expect "online" "$(write online_movable "$(blocks_of "$node")/state")" EPERM || rc=1
	expect "state of the block" "$(cat "$(blocks_of "$node")/state")" offline && return $rc
}

# One range is there, the other one is others', and the first does not go
test_added_in_part_is_stuck()
{
	local pci start rc=0

	[ -d $fail_function ] || skip "a kernel without fail_function" || return
	card 2
	add_fault cdm_unplug 16
	echo 1 >$fail_function/times
	dmesg -C
	start_tool "$here/cdm_test_ctl"
	expect register "$(tell "register $((start + 6 * block)) $block -1 start2=$block size2=$block")" \
		"error ENOTRECOVERABLE" || rc=1
	expect "calls still to fail" "$(cat $fail_function/times)" 0 || rc=1
	echo >$fail_function/inject
	stop_tool || rc=1
	dmesg | grep -q 'node [0-9]*: 1 ranges could not be taken back (after -\(EEXIST\|17\))' ||
		fail "not in the log" || rc=1
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 5 && return $rc
}

run_tests remove_gives_up remove_gives_up_a_pinned_page registration_is_stuck \
	registered_device_is_stuck added_in_part_is_stuck
