#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the system's sums say of a device that is larger than its RAM: nothing, but for what
# the device's memmap takes of RAM. Booted with hugepagesz=2M hugepages=16.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
nid=$(device_nodes | head -n 1)
[ -n "$nid" ] || skip_all "no CDM node"
size=$(cat "$(cdm_of "$nid")/size")
ram_kb=$(awk '/MemTotal/ { print $2 }' /proc/meminfo)
[ $((size / 1024)) -gt $((3 * ram_kb)) ] || skip_all "needs a device of four times the RAM"
pci=$(basename "$(readlink -f "$(cdm_of "$nid")/device")")
driver=/sys/bus/pci/drivers/cdm_pci

# sums NAME: one "KEY VALUE" a line, kB, of what is derived from the size of RAM
sums()
{
	local dir

	dir=$(mktemp -d)
	mount -t tmpfs cdm_tmpfs "$dir"
	echo 3 >/proc/sys/vm/drop_caches
	sleep 2
	{
		awk '{ sub(":", "", $1); print $1, $2 }' /proc/meminfo
		# free pages that wait on the CPUs' lists are in no other sum
		awk '/^Node/ { ram = $2 + 0 < 2 } ram && $1 == "count:" { n += $2 }
			END { print "pcp", n * kib }' kib=$((page / 1024)) /proc/zoneinfo
		awk '$1 ~ /^nr_(memmap_pages|dirty_threshold)$/ { print $1, $2 * kib }' \
			kib=$((page / 1024)) /proc/vmstat
		echo "tmpfs $(df -k --output=size "$dir" | tail -n 1)"
		echo "min_free $(cat /proc/sys/vm/min_free_kbytes)"
		free -k | awk '$1 == "Mem:" { print "free_total", $2 }'
	} >"/tmp/cdm_sums_$1"
	umount "$dir"
	rmdir "$dir"
}

# grew KEY: by how many kB from "without" to "with"
grew()
{
	awk -v key="$1" '$1 == key { v[++n] = $2 } END { print v[2] - v[1] }' \
		/tmp/cdm_sums_without /tmp/cdm_sums_with
}

# near WHAT IS SHOULD SLACK
near()
{
	if [ $(($2 - $3)) -gt "$4" ] || [ $(($3 - $2)) -gt "$4" ]; then
		fail "$1 is $2 kB, not $3 kB within $4 kB"
	fi
}

# The first round makes the slabs and caches that the second one finds
for _ in 1 2; do
	echo "$pci" >$driver/unbind
	sums without
	echo "$pci" >$driver/bind
	sums with
done
# struct page is 64 bytes, and there is a pointer or two beside it with page_ext
memmap_kb=$((size * 64 / page / 1024))

test_memory_is_the_devices()
{
	expect CdmTotal "$(grew CdmTotal)" $((size / 1024)) &&
		expect CdmFree "$(grew CdmFree)" $((size / 1024))
}

test_system_sums_do_not_change()
{
	local key rc=0

	for key in MemTotal CommitLimit tmpfs min_free free_total SwapTotal; do
		expect "growth of $key" "$(grew $key)" 0 || rc=1
	done
	return $rc
}

test_memmap_is_taken_from_ram()
{
	expect "growth of nr_memmap_pages" "$(grew nr_memmap_pages)" $memmap_kb
}

# Beside the memmap: sysfs folders of 64 memory blocks, page tables of the direct map, a page each
test_free_ram_is_lower_by_it()
{
	local pcp slack=$((1792 + page / 16))

	# an eighth of a device's size goes into KASAN's shadow of it
	! grep -q ' kasan_report$' /proc/kallsyms || skip "KASAN keeps what was freed" || return
	pcp=$(grew pcp)
	near "growth of MemFree" $(($(grew MemFree) + pcp)) -$memmap_kb $slack &&
		near "growth of MemAvailable" $(($(grew MemAvailable) + pcp)) -$memmap_kb $slack
}

# A fifth of what could be dirty, which is free RAM and page cache
test_dirty_threshold_follows()
{
	local dirtyable

	dirtyable=$(($(grew MemFree) + $(grew 'Active(file)') + $(grew 'Inactive(file)')))
	near "growth of nr_dirty_threshold" "$(grew nr_dirty_threshold)" $((dirtyable / 5)) 1024
}

# Whether hot-plugged RAM may be movable depends on how much RAM is: a block that is offline
# says which zone it would go to
test_auto_movable_ratio()
{
	local parameters=/sys/module/memory_hotplug/parameters block offline='' rc=0

	! boot_memory_stays || skip "arm64 takes no memory offline that it booted with" || return
	echo auto-movable >$parameters/online_policy
	for block in $(blocks_of 1); do
		{ echo offline >"$block/state"; } 2>/dev/null && offline=$block && break
	done
	if [ -n "$offline" ]; then
		expect "zone of $offline" "$(cut -d' ' -f1 "$offline/valid_zones")" Movable || rc=1
	else
		fail "no block of RAM goes offline" || rc=1
	fi
	echo contig-zones >$parameters/online_policy
	[ -z "$offline" ] || echo online >"$offline/state"
	return $rc
}

# User pages on the device are anonymous pages as all others, but none of RAM's
test_user_pages_are_counted()
{
	local before after rc=0

	before=$(awk '/AnonPages/ { a = $2 } /MemFree/ { f = $2 } END { print a, f }' /proc/meminfo)
	start_tool "$here/hold" "$nid" 512
	expect hold "$(listen)" "bound $((512 * mib_pages))" || rc=1
	after=$(awk '/AnonPages/ { a = $2 } /MemFree/ { f = $2 } END { print a, f }' /proc/meminfo)
	near "growth of AnonPages" $((${after% *} - ${before% *})) $((512 * 1024)) $((896 + page / 32)) || rc=1
	near "growth of MemFree" $((${after#* } - ${before#* })) 0 $((8192 + page / 16)) || rc=1
	tell go >/dev/null
	stop_tool && return $rc
}

# The files that a device's are made of have no limit of their own
test_file_beyond_2_gib()
{
	local file

	exec {file}<>"/dev/$(basename "$(cdm_of "$nid")")" || return
	perl -e 'open F, "+<&=", $ARGV[0]; sysseek F, $ARGV[1], 0;
		defined syswrite F, "x" x 100 or die "write: $!\n"; sysseek F, $ARGV[1], 0;
		sysread F, $b, 100; $b eq "x" x 100 or die "it says $b\n"' "$file" $(((2 << 30) - 50)) ||
		return
	exec {file}>&-
	untouched
}

# Neither what hugepages=16 reserved at boot, nor the largest pages that there are, of 1 GiB with
# pages of 4 KiB, by the node's own file
test_no_huge_pages_at_boot_or_of_1g()
{
	local file rc=0

	file=$(printf '%s\n' "$nodes/node$nid"/hugepages/hugepages-*kB | sort -V | tail -n 1)/nr_hugepages
	expect "pool" "$(cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages)" 16 || rc=1
	expect "node's pool" "$(cat $nodes/node"$nid"/hugepages/hugepages-2048kB/nr_hugepages)" 0 ||
		rc=1
	echo 1 >"$file"
	expect "node's largest pages" "$(cat "$file")" 0 || rc=1
	untouched && return $rc
}

run_tests memory_is_the_devices system_sums_do_not_change memmap_is_taken_from_ram \
	free_ram_is_lower_by_it dirty_threshold_follows auto_movable_ratio user_pages_are_counted file_beyond_2_gib \
	no_huge_pages_at_boot_or_of_1g
