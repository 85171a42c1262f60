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
	echo 32 >/proc/sys/vm/nr_hugepages
	echo 0 >/proc/sys/vm/nr_hugepages
}

compaction()
{
	echo 1 >/proc/sys/vm/compact_memory
	sleep 1
}

# What KSM and khugepaged look for
advised() { HOG_ADVISED=1 "$here/hog" 100; }

interleave() { numactl --interleave=all "$here/hog" 100; }

test_everything_at_once()
{
	local job rc=0

	swap_on 3G || return
	echo 5000 >/sys/kernel/mm/ksm/pages_to_scan
	echo 1 >/sys/kernel/mm/ksm/run
	echo 100 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
	echo 1 >/proc/sys/kernel/numa_balancing
	for job in anonymous page_cache hugetlb compaction advised interleave; do
		again $end $job &
	done
	wait
	untouched || rc=1
	echo 0 >/proc/sys/kernel/numa_balancing
	echo 0 >/sys/kernel/mm/ksm/run
	swap_off
	return $rc
}

run_tests everything_at_once
