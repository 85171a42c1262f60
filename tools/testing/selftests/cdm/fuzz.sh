#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Users, administrators and the slot do at random whatever they can, for CDM_RACE_SECONDS (60)
# each time. CDM_FUZZ_SEED is what all of it comes from; without one, it is another each time.
# In scripts/vm --topology pci.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
grep -qs 1 /sys/bus/pci/slots/1/adapter || "$CDM_PLUG" add || skip_all "no device"

nid=2
seed=${CDM_FUZZ_SEED:-$((RANDOM << 15 | RANDOM))}
seconds=${CDM_RACE_SECONDS:-60}
said=/tmp/cdm_fuzz
mem_total=$(grep MemTotal /proc/meminfo)

# user NUMBER, namespaced NUMBER, root NUMBER: a worker with a seed of its own
user()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$here/fuzz" $((seed + $1)) "$seconds" user
}
namespaced()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups unshare --user --map-root-user --mount \
		"$here/fuzz" $((seed + $1)) "$seconds" user
}
root() { "$here/fuzz" $((seed + $1)) "$seconds" root; }

# start WORKER...: each in the background, with its number
start()
{
	local worker

	workers=()
	for worker; do
		$worker ${#workers[@]} >$said.${#workers[@]} 2>&1 &
		workers+=($!)
	done
}

# finish [STATUS...]: each has found its own, and no more than its quota, or has ended with such
# a status. What the kernel's out-of-memory killer took is not told from what was killed
# otherwise: it fails.
finish()
{
	local i rc=0 status

	for i in "${!workers[@]}"; do
		wait "${workers[i]}"
		status=$?
		[[ " 0 $* " == *" $status "* ]] || fail "worker $i: status $status" || rc=1
		sed 's/^/# /' "$said.$i"
	done
	return $rc
}

# all_back: a device with nothing in use, that goes off and on
all_back()
{
	local cdm

	cdm=$(cdm_of $nid)
	[ -n "$cdm" ] || fail "no device on node $nid" || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect online_size "$(cat "$cdm/online_size")" "$(cat "$cdm/size")" || return
	untouched || return
	expect pinned "$(cat "$cdm/pages_in_use/pinned")" 0 || return
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || return
	expect MemTotal "$(grep MemTotal /proc/meminfo)" "$mem_total"
}

# Who has no rights cannot keep the device from going, nor flood the log, nor fill the kernel
test_users()
{
	local cdm lines rc=0 slab

	cdm=$(cdm_of $nid)
	chmod 666 "/dev/${cdm##*/}"
	slab=$(slab_kib)
	forget_leaks
	dmesg -C
	start user namespaced user
	while sleep 5 && kill -0 "${workers[0]}" 2>/dev/null; do
		expect "offline among users" "$(write offline "$cdm/state")" ok || rc=1
		expect "online again" "$(write online_movable "$cdm/state")" ok || rc=1
	done
	finish || rc=1
	[ "$(dmesg | grep -c cdm)" -le 20 ] || fail "$(dmesg | grep cdm | tail -n 5)" || rc=1
	# nor what others say of them, but for the lists, which we had composed anew
	lines=$(dmesg | grep -vc 'Fallback order\|zonelists\|Policy zone')
	[ "$lines" -le $((20 + 4 * seconds)) ] || fail "$lines lines in the log" || rc=1
	all_back || rc=1
	nothing_leaked "$slab" 2048 && return $rc
}

# The card comes and goes, too, by the seed
play_with_the_slot()
{
	local ways=(remove eject yank) end=$((SECONDS + seconds)) way

	RANDOM=$seed
	while [ $SECONDS -lt $end ]; do
		sleep $((1 + RANDOM % 8))
		way=${ways[RANDOM % 3]}
		"$CDM_PLUG" "$way" || fail "$way" || return
		"$CDM_PLUG" add || fail "add after $way" || return
		chmod 666 /dev/cdm[0-9]
	done
}

test_everybody()
{
	local rc=0

	forget_leaks
	start user root root namespaced
	play_with_the_slot || rc=1
	# A card that is pulled takes along what a worker had there of its own, code and heap, too:
	# 3, and what a signal says, also for what was read before the kernel knew of it
	finish 3 132 134 135 139 || rc=1
	# what they left set
	"$CDM_PLUG" remove && "$CDM_PLUG" add || rc=1
	all_back || rc=1
	no_leak_found && return $rc
}

# Debian's kernels may keep them from users
userns=/proc/sys/kernel/unprivileged_userns_clone
[ ! -e $userns ] || echo 1 >$userns
echo "# seed $seed"
run_tests users everybody
"$CDM_PLUG" remove
