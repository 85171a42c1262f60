#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The ways onto a device node that a task's bind policy or a node's own files would open.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

nid=$(device_nodes | head -n 1)
[ -n "$nid" ] || skip_all "no device node"
echo 1 >/proc/sys/vm/drop_caches
untouched || skip_all "a device node is in use already"

# The reader's own pages go with it; what it read stays
test_page_cache_of_a_bound_task()
{
	local rc=0 file

	file=${CDM_SPARSE_FILE-$(mktemp -p "$here")} || return
	[ -n "${CDM_SPARSE_FILE-}" ] || truncate -s 100M "$file"
	numactl -a --membind="$nid" head -c 100M "$file" >/dev/null || rc=1
	# 31 pages for each CPU may still be on their way to the LRU lists
	[ "$(used_pages "$nid")" -lt 100 ] ||
		fail "$(used_pages "$nid") pages are in use on node $nid" || rc=1
	[ -n "${CDM_SPARSE_FILE-}" ] || rm -f "$file"
	echo 1 >/proc/sys/vm/drop_caches
	untouched && return $rc
}

test_hugetlb_file_of_the_node()
{
	local file=$nodes/node$nid/hugepages/hugepages-2048kB/nr_hugepages rc=0

	echo 8 >"$file"
	expect "$file" "$(cat "$file")" 0 || rc=1
	untouched || rc=1
	echo 0 >"$file"
	return $rc
}

test_hugetlb_pool_of_a_bound_task()
{
	local file=/proc/sys/vm/nr_hugepages_mempolicy rc=0

	numactl -a --membind="$nid" sh -c "echo 8 >$file"
	expect "$file" "$(cat $file)" 0 || rc=1
	echo 0 >$file
	echo 1 >/proc/sys/vm/drop_caches
	untouched && return $rc
}

# What the kernel lets be dirty is a share of what page cache could have
test_dirty_limit()
{
	local online offline cdm

	cdm=$(cdm_of "$nid")
	[ -n "$cdm" ] || fail "not a CDM node" || return
	online=$(awk '/nr_dirty_threshold/ { print $2 }' /proc/vmstat)
	echo offline >"$cdm/state"
	echo 3 >/proc/sys/vm/drop_caches
	sleep 1
	offline=$(awk '/nr_dirty_threshold/ { print $2 }' /proc/vmstat)
	echo online_movable >"$cdm/state"
	# 512 MiB more of free memory would be 26214 pages more
	[ $((online - offline)) -lt 2000 ] || fail "$online pages online, $offline offline"
}

test_memfree_without_device()
{
	local ram=0 node total

	for node in $(list_nodes "$(cat $nodes/has_memory)"); do
		ram=$((ram + $(awk '/MemFree/ { print $4 }' $nodes/node"$node"/meminfo)))
	done
	total=$(awk '/MemFree/ { print $2 }' /proc/meminfo)
	if [ $((total - ram)) -gt 4096 ] || [ $((ram - total)) -gt 4096 ]; then
		fail "MemFree is $total kB, RAM nodes have $ram kB free"
	fi
}

test_pagetypeinfo_shows_it()
{
	[ "$(grep -c "Node *$nid, zone *Movable" /proc/pagetypeinfo)" -ge 6 ]
}

run_tests page_cache_of_a_bound_task hugetlb_file_of_the_node \
	hugetlb_pool_of_a_bound_task dirty_limit memfree_without_device pagetypeinfo_shows_it
