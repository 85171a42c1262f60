#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# stress-ng's memory, NUMA and hotplug stressors for CDM_LOAD_SECONDS (60), while a card comes and
# goes with programs on it, one of stress-ng's own among them. In scripts/vm --topology pci.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
command -v stress-ng >/dev/null || skip_all "needs stress-ng"

nid=2
seconds=${CDM_LOAD_SECONDS:-60}
export CDM_PLUG_MIB=256
said=/tmp/cdm_load

# all of them at once, each with little, on two nodes of 1 GiB
stressors=(--vm 1 --vm-bytes 64M --mmap 1 --mmap-bytes 32M --mremap 1 --mremap-bytes 32M
	--shm 1 --shm-bytes 16M --mlock 1 --pageswap 1 --remap 1 --mmapmany 1 --memfd 1
	--memfd-bytes 32M --userfaultfd 1 --userfaultfd-bytes 16M --tmpfs 1 --mmaphuge 1
	--fork 1 --numa 1)

# ram_blocks: the blocks of the nodes with CPUs, and the state of each
ram_blocks()
{
	local node block

	for node in 0 1; do
		for block in $(blocks_of $node); do
			echo "${block##*/} $(cat "$block/state")"
		done
	done
}

# settle: no stressor is left, nor what one left that the out-of-memory killer found; caches are empty
settle()
{
	local _

	# a parent that ended in a hurry does not wait for its children
	pkill -KILL stress-ng
	for _ in $(seq 100); do
		pgrep stress-ng >/dev/null || break
		sleep 0.1
	done
	rm -rf /tmp/tmp-stress-ng* /dev/shm/stress-ng*
	ipcrm --all
	sync
	echo 3 >/proc/sys/vm/drop_caches
	echo 1 >/proc/sys/vm/compact_memory
}

# ram_free FILE: KiB of RAM that nobody has. FILE: what /proc/meminfo said of them
ram_free()
{
	settle
	cat /proc/meminfo >"$1"
	awk '/^MemFree/ { print $2 }' "$1"
}

# what_grew: by a MiB or more, from before to after
what_grew()
{
	awk 'NR == FNR { before[$1] = $2; next }
		$2 - before[$1] >= 1024 { printf "%s +%d KiB ", $1, $2 - before[$1] }' $said.before $said.after
}

# one_life: a card that is plugged in, used by somebody of the load's own kind, and taken out
one_life()
{
	"$CDM_PLUG" add || fail "no card" || return
	# The hotplug stressor may have one of its blocks offline: then the binding fails
	timeout 10 numactl --all --membind=$nid stress-ng --temp-path /tmp --oomable --vm 1 \
		--vm-bytes 32M --timeout 3 >$said.bound 2>&1 && bound=$((bound + 1))
	"$CDM_PLUG" remove || fail "the card stays" || return
	lives=$((lives + 1))
}

# said_no_more: a stressor may have missed memory, which they take from each other; nothing else
said_no_more()
{
	local lines

	lines=$(grep fail: $said | grep -v 'Cannot allocate memory\|shm: zero bytes read')
	[ -z "$lines" ] || fail "$lines"
}

# offline_ram: the hotplug stressor, until $said.end is there. The kernel tries to empty a block of
# RAM until a signal comes, for ever where a page does not move, and no card can be added meanwhile:
# a signal comes each few seconds.
offline_ram()
{
	local status

	until [ -e $said.end ]; do
		stress-ng --temp-path /tmp --oomable --memhotplug 1 --timeout 5 >$said.hotplug 2>&1
		status=$?
		[ $status != 0 ] || continue
		[[ $status == [23] ]] ||
			echo "status $status: $(tail -n 1 $said.hotplug)" >>$said.failed
		sleep 1
	done
}

load()
{
	local lives=0 bound=0 rc=0 stress hotplug status

	stress-ng --temp-path /tmp --oomable --timeout "$seconds" "${stressors[@]}" >$said 2>&1 &
	stress=$!
	rm -f $said.end
	: >$said.failed
	offline_ram &
	hotplug=$!
	while kill -0 $stress 2>/dev/null && [ $rc = 0 ]; do
		one_life || rc=1
	done
	# the hotplug stressor may have been too busy for any of them: then one in peace
	[ $rc != 0 ] || [ $bound -gt 0 ] || one_life || rc=1
	[ $rc = 0 ] || kill $stress
	wait $stress
	status=$?
	touch $said.end
	wait $hotplug
	expect "hotplug stressor" "$(sort $said.failed | uniq -c)" "" || rc=1
	echo "# stress-ng for $seconds seconds, $lives cards, $bound of them used"
	[ $rc = 0 ] || return
	# 2, 3: a stressor failed, or had not what it needs, and said why
	[[ $status == [023] ]] || fail "stress-ng: status $status: $(tail -n 3 $said)" || return
	said_no_more || return
	[ $bound -gt 0 ] || fail "nobody had memory of the card: $(tail -n 2 $said.bound)"
}

test_load()
{
	local blocks total free rc=0

	total=$(grep MemTotal /proc/meminfo)
	blocks=$(ram_blocks)
	free=$(ram_free $said.before)
	forget_leaks
	load || rc=1
	expect "blocks of RAM" "$(ram_blocks)" "$blocks" || rc=1
	expect MemTotal "$(grep MemTotal /proc/meminfo)" "$total" || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" || rc=1
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || rc=1
	# what the kernel keeps for itself: slab's partial lists, per-CPU lists, dentries in use.
	# Checkers keep notes, and KASAN what was freed: there kmemleak is asked.
	free=$((free - $(ram_free $said.after)))
	if [ -e $kmemleak ]; then
		no_leak_found || rc=1
	else
		[ $free -le $((16 << 10)) ] || fail "$free KiB of RAM are missing: $(what_grew)" || rc=1
	fi
	"$CDM_PLUG" add || rc=1
	untouched || rc=1
	expect driver "$(cat "$(cdm_of $nid)/pages_in_use/driver")" 0 || rc=1
	"$CDM_PLUG" remove && return $rc
}

run_tests load
