#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# stress-ng at memory, at NUMA and at hot plug, for CDM_RACE_SECONDS (60), while the card comes
# and goes and its blocks do. CDM_FUZZ_SEED is stress-ng's seed, too. In scripts/vm --topology pci.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
command -v stress-ng >/dev/null || skip_all "needs stress-ng"

nid=2
seconds=${CDM_RACE_SECONDS:-60}
seed=${CDM_FUZZ_SEED:-$((RANDOM << 15 | RANDOM))}
said=/tmp/cdm_stress

# What of RAM nobody names, in MiB. Leaked pages are there, and pages of drivers.
nameless_mib()
{
	echo 3 >/proc/sys/vm/drop_caches
	slab_kib >/dev/null
	awk '/^(MemTotal)/ { n += $2 }
		/^(MemFree|Buffers|Cached|SwapCached|AnonPages|Slab|KernelStack|PageTables|Percpu|VmallocUsed):/ {
			n -= $2 }
		END { print int(n / 1024) }' /proc/meminfo
}

# Blocks of the device, by the core and one by one, and then the card
churn_device()
{
	local cdm one

	cdm=$(cdm_of $nid)
	[ -n "$cdm" ] || fail "no device on node $nid" || return
	write offline "$cdm/state"
	write online_movable "$cdm/state"
	for one in $(blocks_of $nid | shuf -n 3); do
		write offline "$one/state"
		write online "$one/state"
	done
	"$here/hold" $nid 64 </dev/null
	"$CDM_PLUG" remove && "$CDM_PLUG" add
} >>$said.device 2>&1

test_stress()
{
	local mem_total nameless rc=0 cycles=0 stress

	"$CDM_PLUG" add && "$here/hold" $nid 64 </dev/null >/dev/null && "$CDM_PLUG" remove || return
	mem_total=$(grep MemTotal /proc/meminfo)
	forget_leaks
	nameless=$(nameless_mib)
	"$CDM_PLUG" add || return
	swap_on 512M || return
	stress-ng --seed "$seed" --timeout "${seconds}s" --temp-path /tmp --oomable \
		--vm 1 --vm-bytes 256M --numa 1 --numa-bytes 64M --memhotplug 1 --mremap 1 \
		--mremap-bytes 64M --madvise 1 --mlock 1 --memfd 1 --memfd-bytes 64M --fork 1 --shm 1 \
		--shm-bytes 8M --userfaultfd 1 --userfaultfd-bytes 16M --metrics-brief \
		>$said 2>&1 &
	stress=$!
	while kill -0 $stress 2>/dev/null; do
		churn_device || fail "$(tail -n 3 $said.device)" || { rc=1 && break; }
		cycles=$((cycles + 1))
	done
	wait $stress || fail "stress-ng: status $?: $(tail -n 5 $said)" || rc=1
	grep -E ' (vm|numa|memhotplug|mremap|madvise|mlock|memfd|fork|shm|userfaultfd) ' $said |
		sed 's/^.*\] */# /'
	echo "# $cycles cycles of the device"
	swap_off
	[ $cycles -gt 0 ] || fail "the device has not come and gone" || rc=1
	untouched || rc=1
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || rc=1
	"$CDM_PLUG" remove || rc=1
	expect MemTotal "$(grep MemTotal /proc/meminfo)" "$mem_total" || rc=1
	[ -e $kmemleak ] && { nothing_leaked 0 0 || rc=1; }
	[ "$(nameless_mib)" -le $((nameless + 8)) ] ||
		fail "$(nameless_mib) MiB of RAM are nobody's, and were $nameless" || rc=1
	return $rc
}

echo "# seed $seed"
run_tests stress
