#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Memory pressure of every kind at once: no page of it is on a device node.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "$(device_nodes)" ] || skip_all "no device node"
[ -n "${CDM_SPARSE_FILE-}" ] || skip_all "needs CDM_SPARSE_FILE, a file larger than RAM"
echo 1 >/proc/sys/vm/drop_caches
untouched || skip_all "a device node is in use already"
end=$((SECONDS + ${CDM_PRESSURE_SECONDS:-60}))

# Twice the RAM; every page is alike, so that swap in zram takes no RAM
anonymous()
{
	"$here/hog" $(($(awk '/MemTotal/ { print $2 }' /proc/meminfo) / 512))
}

page_cache() { cat "$CDM_SPARSE_FILE" >/dev/null; }

hugetlb()
{
	echo 32 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
	echo 0 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages
}

compaction()
{
	echo 1 >/proc/sys/vm/compact_memory
	sleep 1
}

# What KSM and khugepaged look for
advised() { HOG_ADVISED=1 "$here/hog" 100; }

interleave() { numactl --interleave=all "$here/hog" 100; }

# What must have happened for the test to mean something
counters="pswpout pgsteal_kswapd compact_migrate_scanned thp_collapse_alloc numa_pte_updates
	htlb_buddy_alloc_success"

count()
{
	awk -v key="$1" '$1 == key { print $2 }' /proc/vmstat
}

test_everything_at_once()
{
	local job jobs=() name before=() held rc=0

	held=$(device_nodes | tail -n 1)
	start_tool "$here/hold" "$held" 64
	expect hold "$(listen)" "bound $((64 * mib_pages))" || rc=1
	for name in $counters; do
		before+=("$(count "$name")")
	done
	swap_on 3G || return
	echo 5000 >/sys/kernel/mm/ksm/pages_to_scan
	echo 1 >/sys/kernel/mm/ksm/run
	echo 100 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
	echo 1 >/proc/sys/kernel/numa_balancing
	for job in anonymous page_cache hugetlb compaction advised interleave; do
		again $end $job &
		jobs+=($!)
	done
	wait "${jobs[@]}"
	expect "pages of the one who asked" "$(used_pages "$held")" 16384 || rc=1
	for job in $(device_nodes); do
		[ "$job" = "$held" ] || expect "pages on node $job" "$(used_pages "$job")" 0 || rc=1
	done
	for name in $counters; do
		[ "$(count "$name")" -gt "${before[0]}" ] || fail "no $name: no pressure" || rc=1
		before=("${before[@]:1}")
	done
	[ "$(cat /sys/kernel/mm/ksm/full_scans)" -gt 0 ] || fail "KSM did not scan" || rc=1
	expect "the one who asked" "$(tell go)" "kept $((64 * mib_pages)) wrong 0 fresh $((64 * mib_pages))" || rc=1
	stop_tool || rc=1
	untouched || rc=1
	echo 0 >/proc/sys/kernel/numa_balancing
	echo 0 >/sys/kernel/mm/ksm/run
	swap_off
	return $rc
}

run_tests everything_at_once
