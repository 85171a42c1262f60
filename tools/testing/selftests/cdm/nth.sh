#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a call allocates in the kernel for the task that makes it fails, one allocation after the
# other: the call says ENOMEM, or does without; either way nothing is left half done.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

can_fail_nth || skip_all "a kernel without FAILSLAB and FAIL_PAGE_ALLOC, which debug and gcov have"
forget_leaks

# each of these is done some hundred times
device_blocks=1

footprint()
{
	cat $nodes/possible $nodes/online $nodes/has_cdm /proc/iomem
	ls /sys/class/cdm /sys/devices/system/memory
}

# told COMMAND: the tool does it
told() { expect "$1" "$(tell "$1")" ok; }

unregister() { told "unregister 5"; }

# registration NODE OPTIONS
registration()
{
	local rc=0

	start_tool "$here/cdm_test_ctl"
	each_allocation "register $start $block $1 $2" unregister footprint || rc=1
	stop_tool && return $rc
}
test_registration() { registration $nid ""; }
test_registration_of_a_reserved_id() { registration -1 ""; }
test_registration_with_bad_pages() { registration $nid "bad_page=$((start + page))"; }

unbind() { echo "$pci" >$driver/unbind; }
test_probe()
{
	local rc=0

	start_tool "$here/cdm_test_ctl"
	each_allocation "write $driver/bind $pci" unbind footprint || rc=1
	stop_tool && return $rc
}

free() { told free; }
used() { used_pages $nid; }

allocations()
{
	local what

	# the device's reference first: that lookup is not what fails here
	expect reference "$(tell "alloc $nid 0 0")" "ok 0 0" || return
	for what in "0 3" "3 3" "9 1" "0 40 how=4" "0 40 how=5" "9 1 how=6"; do
		each_allocation "alloc $nid $what" free used || return
	done
}
test_allocation() { with_device "" allocations; }

nothing() { :; }
test_migration()
{
	with_device "" each_allocation "migrate $nid 8" nothing used
}

# state_of_device: of all of it
state_of_device()
{
	cat "$cdm/state" "$cdm/online_size" "$cdm/progress"
}
offline() { told "offline 5"; }
online() { told online; }
states()
{
	each_allocation "offline 5" online state_of_device || return
	offline && each_allocation online offline state_of_device
}
test_states() { with_device "" states; }

# through sysfs, as an administrator does it
states_by_hand()
{
	each_allocation "write $cdm/state offline" online state_of_device || return
	offline && each_allocation "write $cdm/state online_movable" offline state_of_device
}
test_states_by_hand() { with_device "" states_by_hand; }

register_again()
{
	expect register "$(tell "register $start $block $nid")" "ok $nid" || return
	cdm=$(cdm_of $nid)
}
test_unregistration()
{
	with_device "" each_allocation "unregister 5" register_again footprint
}

# The kernel may have marked the page as bad by then: it stays out of use, and is listed later
bad_pages() { wc -l <"$cdm/bad_pages"; }
retirement()
{
	local n=0 answer

	while n=$((n + 1)); do
		echo "nth $n" >&"$tool_in"
		answer=$(tell "retire $((start + n * page))")
		[[ $answer == ok* ]] || expect "without allocation $n" "$answer" "error ENOMEM injected" ||
			return
		expect "again" "$(tell "retire $((start + n * page))")" ok || return
		expect bad_pages "$(bad_pages)" $n || return
		[[ $answer == *injected ]] || break
	done
	echo "# retire: each of $((n - 1)) allocations failed"
	[ $n -gt 1 ]
}
test_retirement() { with_device "" retirement; }

# its page cannot be had either, and that is told as a full disk is
test_file()
{
	with_device "" file_of_device
}
file_of_device()
{
	each_allocation "write /dev/${cdm##*/} content" nothing used ENOSPC
}

# What a process touches: the page, its page table, the file's entry, the cgroup's charge
faults()
{
	each_allocation "touch /dev/${cdm##*/} 8" nothing used EFAULT &&
		each_allocation "touch $nid 8" nothing used EFAULT
}
test_faults() { with_device "" faults; }

# Its answers on the way to a program: nothing to allocate in the first two
requests()
{
	expect info "$(tell "info /dev/${cdm##*/}")" ok || return
	expect quota "$(tell "quota /dev/${cdm##*/}")" ok || return
	each_allocation "move /dev/${cdm##*/}" nothing used
}
test_requests() { with_device "" requests; }

test_nothing_leaked() { no_leak_found; }

run_tests registration registration_of_a_reserved_id registration_with_bad_pages probe allocation \
	migration states states_by_hand unregistration retirement file faults requests nothing_leaked
