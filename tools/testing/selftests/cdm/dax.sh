#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A dax device becomes a CDM node and a dax device again. Needs two of them of 512 MiB, each
# on a node that holds nothing else, one that firmware names no node for,
# and cdm_nodes=1.
# shellcheck source=tools/testing/selftests/cdm/dax_bus.sh
. "$(dirname "$0")/dax_bus.sh"

kmem=$bus/drivers/kmem
size=$((512 << 20))
# of 64 MiB
pages=$((64 * mib_pages))

# dax_on NODE: the dax device on a node; without one, the one that has no node
dax_on()
{
	local dir

	for dir in "$bus"/devices/*; do
		[ "$(cat "$dir/target_node" 2>/dev/null)" != "$1" ] || basename "$dir"
	done
}

drivers_at_boot=$(for dir in "$bus"/devices/*; do driver_of "$(basename "$dir")"; done)
for dir in "$bus"/devices/*; do
	[ ! -e "$dir/driver" ] || basename "$dir" >"$dir/driver/unbind"
done
first=$(dax_on 2)
second=$(dax_on 3)
nodeless=$(dax_on '')
if [ -z "$first" ] || [ -z "$second" ] || [ -z "$nodeless" ]; then
	skip_all "needs dax devices on nodes 2 and 3, and one without"
fi
region=$(readlink -f "$bus/devices/$second")/../dax_region
second_start=$(($(cat "$bus/devices/$second/resource")))
iomem=$(cat /proc/iomem)

# unchanged TEXT: /proc/iomem is that
unchanged()
{
	diff <(echo "$1") /proc/iomem >/tmp/cdm_iomem || fail "iomem: $(grep '^[<>]' /tmp/cdm_iomem)"
}

# free DAX...: nobody has the devices, and nothing is left of who had them
free()
{
	local dax

	for dax; do
		expect "driver of $dax" "$(driver_of "$dax")" "" || return
	done
	expect has_cdm "$(cat $nodes/has_cdm)" "" || return
	expect "class folder" "$(ls /sys/class/cdm)" "" || return
	unchanged "$iomem"
}

# with_node COMMAND...: while the first device is node 2
with_node()
{
	local rc=0

	expect bind "$(bind "$first")" ok || return
	"$@" || rc=1
	expect unbind "$(unbind "$first")" ok || return
	free "$first" && return $rc
}

# logged TEXT: how often the kernel said so since dmesg -C
logged()
{
	dmesg | grep -cF "$1"
}

# mems_allowed: of a task of the root cgroup, and of one that has just come into a cpuset
mems_allowed()
{
	local group=/sys/fs/cgroup/cdm_mems

	awk '/^Mems_allowed_list/ { print $2 }' /proc/self/status
	echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control && mkdir $group &&
		echo 0 >$group/cpuset.cpus || return
	(echo "$BASHPID" >$group/cgroup.procs && awk '/^Mems_allowed_list/ { print $2 }' /proc/self/status)
	rmdir $group
}

# On a node that has memory, if offline. The first that is tried after boot: from then on the nodes
# with memory are known by another map.
test_registration_that_fails_hides_no_ram()
{
	expect "kmem's bind" "$(write "$first" $kmem/bind)" ok || return
	expect "states" "$(cat $nodes/node2/memory*/state | sort -u)" offline || return
	expect register "$(echo "register $second_start $block 2" | "$here/cdm_test_ctl")" "error EBUSY" ||
		return
	expect "kmem's unbind" "$(write "$first" $kmem/unbind)" ok || return
	grep -q ' N0=' /proc/self/numa_maps || grep -q ' N1=' /proc/self/numa_maps ||
		fail "a task has no page on any node" || return
	expect "mems allowed" "$(mems_allowed)" "$(printf '0-1\n0-1')"
}

kmem_node_is_allowed()
{
	local one rc=0

	expect "kmem's bind" "$(write "$second" $kmem/bind)" ok || return
	for one in $(blocks_of 3); do
		echo online_movable >"$one/state" || rc=1
	done
	expect "mems allowed" "$(mems_allowed)" "$(printf '0-1,3\n0-1,3')" || rc=1
	numactl --membind=3 true || fail "numactl may not have node 3" || rc=1
	for one in $(blocks_of 3); do
		echo offline >"$one/state" || rc=1
	done
	expect "kmem's unbind" "$(write "$second" $kmem/unbind)" ok && return $rc
}
# RAM that comes while there is a device is everybody's
test_kmem_beside_a_device() { with_node kmem_node_is_allowed; }

# Neither at boot, nor where the driver that would have it is asked and says no
test_nothing_binds_by_itself()
{
	expect "drivers at boot" "$drivers_at_boot" "$(printf 'kmem\nkmem')" || return
	dmesg -C
	expect "probe of $nodeless" "$(write "$nodeless" $bus/drivers_probe)" ok || return
	expect "refusals by kmem" "$(logged "kmem $nodeless: probe")" 1 || return
	expect "refusals by cdm" "$(logged "cdm $nodeless: probe")" 0 || return
	expect "probe of $first" "$(write "$first" $bus/drivers_probe)" ok || return
	expect "driver of $first" "$(driver_of "$first")" kmem || return
	# nor does it take what another one has
	expect "bind" "$(bind "$first")" EBUSY || return
	expect "unbind" "$(unbind "$first")" ENODEV || return
	expect "driver of $first" "$(driver_of "$first")" kmem || return
	expect "kmem's unbind" "$(write "$first" $kmem/unbind)" ok || return
	expect "bind of none" "$(bind dax9.9)" ENODEV || return
	free "$first"
}

mem_total()
{
	awk '/^MemTotal/ { print $2 }' /proc/meminfo
}

# numactl puts all of it on node 2
numactl_reaches_it()
{
	local rc=0

	start_tool env HOG_READY=1 numactl -a --membind=2 "$here/hog" 64
	expect hog "$(listen)" ready || rc=1
	expect "pages by node" "$(grep -o "anon=$pages .*" "/proc/$tool_pid/numa_maps" |
		grep -o 'N[0-9]*=[0-9]*')" "N2=$pages" || rc=1
	[ "$(used_pages 2)" -ge $pages ] || fail "only $(used_pages 2) pages are in use" || rc=1
	stop_tool || rc=1
	untouched && return $rc
}

is_a_cdm_node()
{
	expect has_cdm "$(cat $nodes/has_cdm)" 2 || return
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || return
	bound "$first" 2 $size || return
	expect MemTotal "$(mem_total)" "$1" || return
	expect CdmTotal "$(awk '/^CdmTotal/ { print $2 }' /proc/meminfo)" $((size >> 10)) || return
	expect "iomem below $first" "$(grep -A 1 " $first\$" /proc/iomem | sed 's/.* : //')" \
		"$first
System RAM (cdm0)" || return
	untouched && numactl_reaches_it
}
test_bind_makes_a_cdm_node() { with_node is_a_cdm_node "$(mem_total)"; }

# All that isolation.sh knows
isolated()
{
	"$here/isolation.sh" | sed 's/^/# /'
	return "${PIPESTATUS[0]}"
}
test_isolated() { with_node isolated; }

# Whoever has it next finds it as it was
test_unbind_gives_it_back()
{
	local devdax=$bus/drivers/device_dax

	with_node true || return
	expect new_id "$(write "$first" $devdax/new_id)" ok || return
	expect driver "$(driver_of "$first")" device_dax || return
	expect "iomem entries" "$(grep -c " $first\$" /proc/iomem)" 1 || return
	(: <"/dev/$first") || fail "/dev/$first cannot be opened" || return
	expect "bind" "$(bind "$first")" EBUSY || return
	write "$first" $devdax/remove_id >/dev/null
	expect unbind "$(write "$first" $devdax/unbind)" ok || return
	free "$first" || return
	expect "kmem's bind" "$(write "$first" $kmem/bind)" ok || return
	expect "kmem's blocks" "$(blocks_of 2 | wc -l)" $((size / block)) || return
	expect "kmem's unbind" "$(write "$first" $kmem/unbind)" ok || return
	free "$first" && with_node bound "$first" 2 $size
}

test_bound_pages_survive()
{
	local rc=0

	expect bind "$(bind "$first")" ok || return
	start_tool "$here/hold" 2 64
	expect before "$(listen)" "bound $pages" || rc=1
	expect unbind "$(unbind "$first")" ok || rc=1
	free "$first" || rc=1
	expect after "$(tell go)" "kept 0 wrong 0 fresh 0" || rc=1
	stop_tool || fail "the task died" || rc=1
	return $rc
}

test_new_id()
{
	expect new_id "$(write "$first" $cdm/new_id)" ok || return
	bound "$first" 2 $size || return
	expect unbind "$(unbind "$first")" ok && free "$first" || return
	expect "bind" "$(bind "$first")" ok && bound "$first" 2 $size || return
	expect remove_id "$(write "$first" $cdm/remove_id)" ok || return
	expect unbind "$(unbind "$first")" ok && free "$first"
}

beside_the_other()
{
	expect bind "$(bind "$second")" ok || return
	expect has_cdm "$(cat $nodes/has_cdm)" 2-3 || return
	bound "$first" 2 $size && bound "$second" 3 $size || return
	expect "pages on node 2" "$("$here/hold" 2 64 </dev/null | head -n 1)" "bound $pages" || return
	start_tool "$here/hold" 3 64
	expect "pages on node 3" "$(listen)" "bound $pages" || return
	expect "pages in use on node 2" "$(used_pages 2)" 0 || return
	expect stop "$(tell go)" "kept $pages wrong 0 fresh $pages" && stop_tool || return
	expect unbind "$(unbind "$second")" ok || return
	expect has_cdm "$(cat $nodes/has_cdm)" 2 && bound "$first" 2 $size
}
test_two_devices() { with_node beside_the_other; }

# A leak of a block's device, group and memmap would be tens of KiB a cycle, each time; what
# other parts of the kernel set up and keep comes once.
test_cycles_leave_nothing()
{
	local slab grown i round

	for round in 1 2 3; do
		slab=$(slab_kib)
		for i in $(seq 5); do
			with_node "$here/hold" 2 64 </dev/null >/dev/null ||
				fail "cycle $i of round $round failed" || return
		done
		grown=$(($(slab_kib) - slab))
		[ $grown -ge 100 ] || return 0
	done
	fail "the kernel's memory grew by $grown KiB, and as much in the rounds before"
}

# refused DAX ERRNO TEXT: binding fails, the log says TEXT once, and nothing has changed
refused()
{
	local before

	before=$(cat /proc/iomem)
	dmesg -C
	expect "bind of $1" "$(bind "$1")" "$2" || return
	expect "log of '$3'" "$(logged "cdm $1: cdm: $3")" 1 || fail "$(dmesg)" || return
	expect "driver of $1" "$(driver_of "$1")" "" || return
	unchanged "$before"
}

test_no_node_is_refused()
{
	refused "$nodeless" EINVAL "target_node: firmware names no node" && free "$nodeless"
}

# Another driver has some of the second device's memory, on a node of its own
test_memory_of_another_is_refused()
{
	local rc=0

	[ -e /dev/cdm_test ] || skip "the test module is not loaded" || return
	start_tool "$here/cdm_test_ctl"
	[[ $(tell "register $second_start $block -1") =~ ^ok\ [0-9]+$ ]] ||
		fail "does not register" || rc=1
	refused "$second" EBUSY "$(printf '%#x-%#x is in use' $second_start \
		$((second_start + size - 1)))" || rc=1
	stop_tool || rc=1
	free "$second" && return $rc
}

state_of_first()
{
	cat /proc/iomem $nodes/has_cdm
	ls /sys/class/cdm "$bus/devices/$first"
}
unbind_first() { expect unbind "$(unbind "$first")" ok; }
test_each_allocation_of_bind_fails()
{
	local rc=0

	{ can_fail_nth && [ -e /dev/cdm_test ]; } || skip "a kernel without FAILSLAB and FAIL_PAGE_ALLOC, which debug and gcov have, or without the test module" || return
	forget_leaks
	start_tool "$here/cdm_test_ctl"
	# request_mem_region() does not say what it lacked
	each_allocation "write $cdm/bind $first" unbind_first state_of_first EBUSY || rc=1
	stop_tool || rc=1
	free "$first" && no_leak_found && return $rc
}

# with_parts MIB MIB COMMAND...: with the second device cut into two
with_parts()
{
	local rc=0 part

	echo $(($1 << 20)) >"$bus/devices/$second/size" && echo 1 >"$region/create" || return
	part=$(cat "$region/seed")
	echo $(($2 << 20)) >"$bus/devices/$part/size" || rc=1
	"${@:3}" "$part" || rc=1
	free "$second" "$part" || rc=1
	echo 0 >"$bus/devices/$part/size" && echo "$part" >"$region/delete" || rc=1
	echo 0 >"$bus/devices/$second/size" && echo $size >"$bus/devices/$second/size" || rc=1
	return $rc
}

# A node is one device's
shared_node()
{
	expect bind "$(bind "$second")" ok || return
	bound "$second" 3 $((size / 2)) || return
	refused "$1" EBUSY "nid 3" || return
	dmesg -C
	write "$1" $kmem/bind >/dev/null
	expect "driver of $1" "$(driver_of "$1")" "" || return
	expect "log of kmem" "$(logged "kmem $1: mapping0: ")" 1 || fail "$(dmesg)" || return
	expect "blocks of node 3" "$(blocks_of 3 | wc -l)" $((size / 2 / block)) || return
	bound "$second" 3 $((size / 2)) && untouched || return
	expect unbind "$(unbind "$second")" ok || return
	# and now it is the other part's
	expect bind "$(bind "$1")" ok && bound "$1" 3 $((size / 2)) || return
	expect unbind "$(unbind "$1")" ok
}
test_one_device_a_node() { with_parts 256 256 shared_node; }

no_whole_block()
{
	local start=$((second_start + (64 << 20)))

	refused "$1" ENOSPC "$(printf '%#x-%#x holds no whole memory block' $start \
		$((start + (96 << 20) - 1)))"
}
# 96 MiB that begin in the middle of a block end before the next one does
test_less_than_a_block_is_refused() { with_parts 64 96 no_whole_block; }

# A block, a gap of half a block, and two blocks, of which one is whole
two_ranges()
{
	local start=$((second_start + (192 << 20)))

	echo $((384 << 20)) >"$bus/devices/$second/size" || return
	expect ranges "$(cat "$bus/devices/$second"/mapping?/start | wc -l)" 2 || return
	dmesg -C
	expect bind "$(bind "$second")" ok || return
	bound "$second" 3 $((256 << 20)) || return
	expect "log" "$(logged "$(printf 'cdm %s: cdm: %u KiB of %#x-%#x are left out' "$second" \
		$((128 << 10)) $start $((start + (256 << 20) - 1)))")" 1 || fail "$(dmesg)" || return
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 2 || return
	expect blocks "$(blocks_of 3 | wc -l)" 2 || return
	expect "pages of both" "$("$here/hold" 3 125 </dev/null | tail -n 1)" \
		"kept 32000 wrong 0 fresh 32000" || return
	expect unbind "$(unbind "$second")" ok
}
test_two_ranges() { with_parts 128 64 two_ranges; }

# What daxctl makes of it: a device in use, that it can take out of use
daxctl_knows_it()
{
	expect "daxctl list" "$(daxctl list -d "$first" | grep -E 'chardev|size|target|state' | tr -d '\n ')" \
		"\"chardev\":\"$first\",\"size\":$size,\"target_node\":2," || return
	expect "daxctl disable-device" "$(daxctl disable-device "$first" 2>&1)" "disabled 1 device" ||
		return
	free "$first" || return
	expect "daxctl list" "$(daxctl list -d "$first" | grep -c '"state":"disabled"')" 1 || return
	expect "bind" "$(bind "$first")" ok
}
test_daxctl()
{
	command -v daxctl >/dev/null || skip "needs daxctl" || return
	with_node daxctl_knows_it
}

run_tests registration_that_fails_hides_no_ram nothing_binds_by_itself kmem_beside_a_device bind_makes_a_cdm_node isolated unbind_gives_it_back \
	bound_pages_survive new_id two_devices cycles_leave_nothing no_node_is_refused \
	memory_of_another_is_refused each_allocation_of_bind_fails \
	one_device_a_node less_than_a_block_is_refused two_ranges daxctl
