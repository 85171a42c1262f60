#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A small device, 200 times in and out, with its memory in use: nothing is left behind.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
cycles=${CDM_CYCLES:-200}
kmemleak=/sys/kernel/debug/kmemleak
export CDM_PLUG_MIB=256

cycle()
{
	"$CDM_PLUG" add && "$here/hold" 2 64 </dev/null | grep -qx "bound 16384" &&
		"$CDM_PLUG" remove
}

# What must be the same before and after
footprint()
{
	cat /proc/iomem $nodes/possible $nodes/online $nodes/has_* 2>/dev/null
	ls /sys/class/cdm /sys/devices/system/memory $nodes /sys/kernel/debug
	find /sys/devices /sys/bus -type d | sort
	grep nr_memmap_pages /proc/vmstat
}

slab_kib()
{
	local _

	# the first time takes note that nobody has used them since; RCU frees some of it later
	for _ in 1 2 3; do
		echo 2 >/proc/sys/vm/drop_caches
		sleep 1
	done
	awk '/^(Slab|VmallocUsed|Percpu|PageTables|KernelStack)/ { n += $2 } END { print n }' \
		/proc/meminfo
}

# nothing_leaked BEFORE CYCLES: slab_kib was BEFORE. Where kmemleak and page_owner take notes
# of their own, and with them memory, kmemleak is asked instead.
nothing_leaked()
{
	local grown

	if [ -e $kmemleak ]; then
		# what is younger than 5 seconds is not looked at
		sleep 6
		echo scan >$kmemleak
		expect kmemleak "$(cat $kmemleak)" ""
		return
	fi
	grown=$(($(slab_kib) - $1))
	# a block's device, group and memmap would be tens of KiB a cycle
	[ $grown -lt $(($2 * 4)) ] || fail "the kernel's memory grew by $grown KiB"
}

test_cycles_leave_nothing()
{
	local before slab i

	# the first cycle sets up what stays: the lists, the zone's per-CPU counters
	cycle && cycle || fail "the first cycles failed" || return
	before=$(footprint)
	slab=$(slab_kib)
	[ ! -e $kmemleak ] || { echo scan && echo clear; } >$kmemleak
	for i in $(seq "$cycles"); do
		cycle || fail "cycle $i failed" || return
	done
	expect footprint "$(footprint)" "$before" || return
	nothing_leaked "$slab" "$cycles"
}

run_tests cycles_leave_nothing
