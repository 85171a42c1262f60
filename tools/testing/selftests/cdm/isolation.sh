#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Nothing lands on a device node that did not ask for it by name. On a kernel without CDM,
# with the same memory as an ordinary movable node, each of these fails.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "$(device_nodes)" ] || skip_all "no device node"
# pages of tasks that have ended may wait on the CPUs to be put on the LRU lists
echo 1 >/proc/sys/vm/drop_caches
untouched || skip_all "a device node is in use already"

# A file larger than RAM, on a file system with a page cache. CDM_SPARSE_FILE is one where
# this folder cannot be written.
sparse_file=${CDM_SPARSE_FILE-$here/sparse}
if [ -z "${CDM_SPARSE_FILE-}" ]; then
	truncate -s "$(awk '/MemTotal/ { print int($2 * 1.1) }' /proc/meminfo)K" "$sparse_file" ||
		skip_all "needs a writable folder, or CDM_SPARSE_FILE"
	trap 'rm -f "$sparse_file"' EXIT
fi

ram_free_mib()
{
	local nid cdm free=0

	cdm=" $(device_nodes | tr '\n' ' ')"
	for nid in $(list_nodes "$(cat $nodes/online)"); do
		[[ $cdm == *" $nid "* ]] ||
			free=$((free + $(awk '/MemFree/ { print $4 }' $nodes/node"$nid"/meminfo)))
	done
	echo $((free / 1024))
}

# More than RAM can hold. The rest goes to swap, which takes next to nothing of RAM: every
# page is alike, and zram keeps such a page as a number.
test_anonymous_hog()
{
	local mib rc=0

	swap_on 1G || return
	mib=$(($(ram_free_mib) * 110 / 100))
	start_tool env HOG_READY=1 "$here/hog" $mib
	expect hog "$(listen)" ready || rc=1
	untouched || rc=1
	stop_tool || rc=1
	swap_off
	return $rc
}

test_anonymous_hog_with_demotion()
{
	local rc=0

	echo true >/sys/kernel/mm/numa/demotion_enabled
	test_anonymous_hog || rc=1
	echo false >/sys/kernel/mm/numa/demotion_enabled
	return $rc
}

# A block of RAM that goes offline while RAM is full: its pages go to swap
test_offlining_of_ram()
{
	local mib block rc=1

	! boot_memory_stays || skip "arm64 takes no memory offline that it booted with" || return
	swap_on 1G || return
	mib=$(($(ram_free_mib) * 95 / 100))
	start_tool env HOG_READY=1 "$here/hog" $mib
	expect hog "$(listen)" ready || { stop_tool; swap_off; return 1; }
	for block in $(blocks_of 1 | sort -V -r); do
		timeout 40 bash -c "echo offline >$block/state" 2>/dev/null || continue
		rc=0
		break
	done
	[ $rc = 0 ] || fail "no block of node 1 could be taken offline"
	untouched || rc=1
	stop_tool || rc=1
	[ "$(cat "$block/state")" = online ] || echo online >"$block/state" || rc=1
	swap_off
	return $rc
}

test_page_cache()
{
	local before after rc=0

	before=$(ram_free_mib)
	cat "$sparse_file" >/dev/null
	after=$(ram_free_mib)
	# a test that filled nothing would show nothing
	[ "$after" -lt $((before / 2)) ] || fail "the page cache took only $((before - after)) MiB" ||
		rc=1
	untouched || rc=1
	echo 3 >/proc/sys/vm/drop_caches
	return $rc
}

test_interleave_all()
{
	local rc=0

	start_tool env HOG_READY=1 numactl --interleave=all "$here/hog" 300
	expect hog "$(listen)" ready || rc=1
	untouched || rc=1
	stop_tool && return $rc
}

pool=/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages

test_hugetlb_pool()
{
	local rc=0 got

	[ -e $pool ] || skip "a kernel without huge pages of 2 MiB" || return
	echo 64 >$pool
	got=$(cat $pool)
	expect "huge pages" "$got" 64 || rc=1
	untouched || rc=1
	echo 0 >$pool
	return $rc
}

test_tmpfs()
{
	local rc=0 dir

	dir=$(mktemp -d)
	mount -t tmpfs -o mpol=interleave,size=1G cdm_tmpfs "$dir"
	head -c 256M /dev/zero >"$dir/file"
	untouched || rc=1
	umount "$dir"
	rmdir "$dir"
	return $rc
}

test_all_of_it_beside_a_cpuset()
{
	with_child_cpuset test_interleave_all && with_child_cpuset test_hugetlb_pool
}

run_tests anonymous_hog anonymous_hog_with_demotion offlining_of_ram page_cache interleave_all hugetlb_pool tmpfs \
	all_of_it_beside_a_cpuset
