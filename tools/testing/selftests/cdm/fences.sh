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

	! is_module || skip "the module for other kernels has no part in it" || return
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

	! is_module || skip "the module for other kernels has no part in it" || return
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
# Who collapses memory of which nothing is in RAM has no node in mind: none of it comes from a
# device, also where RAM has no huge page left, because a hugetlb pool has them all
test_collapse_of_what_is_in_swap()
{
	local pool=/proc/sys/vm/nr_hugepages answer rc=0

	! is_module || skip "the module for other kernels has no part in it" || return
	has_huge_pages || return
	swap_on 64M || return
	start_tool "$here/collapse" "$nid"
	expect collapse "$(listen)" "ready 0" || rc=1
	echo 2000 >$pool
	[ "$(cat $pool)" -ge 100 ] || fail "only $(cat $pool) huge pages in the pool" || rc=1
	# RAM may find one after all
	answer=$(tell go)
	[[ $answer =~ ^(ENOMEM|0)\ 0$ ]] || fail "the answer, and pages on the device: $answer" || rc=1
	echo 0 >$pool
	stop_tool || rc=1
	swap_off
	return $rc
}

test_dirty_limit()
{
	local online offline cdm

	! is_module || skip "the module for other kernels has no part in it" || return
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

# free_on_ram_nodes: kB
free_on_ram_nodes()
{
	local node ram=0

	for node in $(list_nodes "$(cat $nodes/has_memory)"); do
		ram=$((ram + $(awk '/MemFree/ { print $4 }' $nodes/node"$node"/meminfo)))
	done
	echo $ram
}

# The two are read one after the other: what is freed in between is in one of them only
test_memfree_without_device()
{
	local ram total _

	! is_module || skip "the module for other kernels has no part in it" || return
	for _ in $(seq 10); do
		ram=$(free_on_ram_nodes)
		total=$(awk '/MemFree/ { print $2 }' /proc/meminfo)
		[ $((total - ram)) -le "$page" ] && [ $((ram - total)) -le "$page" ] &&
			return
		sleep 1
	done
	fail "MemFree is $total kB, RAM nodes have $ram kB free"
}

test_pagetypeinfo_shows_it()
{
	! is_module || skip "the module for other kernels has no part in it" || return
	[ "$(grep -c "Node *$nid, zone *Movable" /proc/pagetypeinfo)" -ge 6 ]
}

# Neither a thread to reclaim from it nor one to compact it, which proactive compaction needs
test_no_background_threads()
{
	local rc=0 node name

	! is_module || skip "the module for other kernels has no part in it" || return
	for node in $(device_nodes); do
		for name in kswapd kcompactd; do
			expect "threads $name$node" "$(pgrep -cx "$name$node")" 0 || rc=1
		done
	done
	return $rc
}

test_no_memory_tier()
{
	local list tier rc=0

	for tier in /sys/devices/virtual/memory_tiering/memory_tier*; do
		list=$(list_nodes "$(cat "$tier/nodelist")")
		expect "${tier##*/} has node $nid" "$(grep -cx "$nid" <<<"$list")" 0 || rc=1
	done
	return $rc
}

# The file that ages and evicts generations of one node by request
test_lru_gen_by_request()
{
	expect "eviction" "$(write "- 1 $nid 0 0 100" /sys/kernel/debug/lru_gen)" EINVAL
}

# tmpfs files are not bound to a device by who mounts the file system
test_tmpfs_mpol_bind()
{
	local dir rc=0

	dir=$(mktemp -d)
	mount -t tmpfs -o "mpol=bind:$nid" cdm_tmpfs "$dir" 2>/dev/null
	expect "mount's exit status" $? 32 || { umount "$dir"; rc=1; }
	rmdir "$dir"
	return $rc
}

# Without CDM it is tried (ENODEV here, where there is nothing to write to), and takes the
# machine's file system with it
test_no_hibernation()
{
	[ -e /sys/power/disk ] || skip "a kernel without hibernation" || return
	[ -e $nodes/has_cdm ] || is_module || fail "hibernation is not refused" || return
	expect "hibernation" "$(write disk /sys/power/state)" EBUSY
}

test_kcore_has_it()
{
	local start kind phys size

	start=$((0x$(cat "$(blocks_of "$nid" | head -n 1)/phys_index") * block))
	while read -r kind _ _ phys _ size _; do
		[ "$kind" = LOAD ] && [ $((phys <= start && start < phys + size)) = 1 ] && return
	done < <(readelf -lW /proc/kcore 2>/dev/null)
	fail "no program header has the address $start"
}

# damon ACTION START END TARGET: apply an action to a physical range for some seconds; says
# how many regions it was tried on
damon()
{
	local kdamond=/sys/kernel/mm/damon/admin/kdamonds context scheme

	echo 1 >$kdamond/nr_kdamonds
	kdamond=$kdamond/0
	echo 1 >$kdamond/contexts/nr_contexts
	context=$kdamond/contexts/0
	echo paddr >$context/operations
	echo 1 >$context/targets/nr_targets
	echo 1 >$context/targets/0/regions/nr_regions
	echo "$2" >$context/targets/0/regions/0/start
	echo "$3" >$context/targets/0/regions/0/end
	echo 1 >$context/schemes/nr_schemes
	scheme=$context/schemes/0
	echo "$1" >$scheme/action
	echo "$4" >$scheme/target_nid
	echo 1000000000 >$scheme/access_pattern/sz/max
	echo 1000 >$scheme/access_pattern/nr_accesses/max
	echo 1000000 >$scheme/access_pattern/age/max
	echo on >$kdamond/state
	sleep 6
	echo update_schemes_stats >$kdamond/state
	cat $scheme/stats/nr_tried
	echo off >$kdamond/state
	echo 0 >/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds
}

# What DAMON finds cold on the device stays there; nothing is sent there either
test_damon()
{
	local first rc=0

	! is_module || skip "the module for other kernels has no part in it" || return
	first=$((0x$(cat "$(blocks_of "$nid" | sort -V | head -n 1)/phys_index") * block))
	start_tool "$here/hold" "$nid" 32
	expect "before" "$(listen)" "bound $((32 * mib_pages))" || rc=1
	[ "$(damon migrate_cold $first $((first + 4 * block)) 0)" -gt 0 ] ||
		fail "DAMON did nothing" || rc=1
	[[ $(tell go) =~ ^kept\ $((32 * mib_pages))\ wrong\ 0 ]] || fail "pages were pulled off" || rc=1
	stop_tool || rc=1
	echo 1 >/proc/sys/vm/drop_caches
	[ "$(damon migrate_cold $((block * 2)) $((block * 6)) "$nid")" -gt 0 ] ||
		fail "DAMON did nothing" || rc=1
	untouched && return $rc
}

run_tests page_cache_of_a_bound_task hugetlb_file_of_the_node \
	hugetlb_pool_of_a_bound_task collapse_of_what_is_in_swap dirty_limit memfree_without_device pagetypeinfo_shows_it \
	no_background_threads no_memory_tier lru_gen_by_request tmpfs_mpol_bind no_hibernation \
	kcore_has_it damon
