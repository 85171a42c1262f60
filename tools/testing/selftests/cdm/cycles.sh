#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A small device, 200 times in and out, with its memory in use: nothing is left behind.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
cycles=${CDM_CYCLES:-200}
export CDM_PLUG_MIB=256

cycle()
{
	"$CDM_PLUG" add && "$here/hold" 2 64 </dev/null | grep -qx "bound $((64 * mib_pages))" &&
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

test_cycles_leave_nothing()
{
	local before slab i

	# the first cycle sets up what stays: the lists, the zone's per-CPU counters
	cycle && cycle || fail "the first cycles failed" || return
	before=$(footprint)
	slab=$(slab_kib)
	forget_leaks
	for i in $(seq "$cycles"); do
		cycle || fail "cycle $i failed" || return
	done
	expect footprint "$(footprint)" "$before" || return
	# a block's device, group and memmap would be tens of KiB a cycle
	nothing_leaked "$slab" $((cycles * 4))
}

run_tests cycles_leave_nothing
