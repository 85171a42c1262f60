#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# cdmctl: what it says is what the kernel says, what it is told it does, and who calls it wrongly
# is told how.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

ctl=$here/cdmctl
[ -x "$ctl" ] || skip_all "cdmctl is not built"
"$ctl" --help >/dev/null || skip_all "cdmctl does not start: are libnuma and libjson-c there?"

# says STATUS TEXT ARGUMENTS...: its exit status, and a piece of what it says
says()
{
	local status=$1 text=$2 said rc=0
	shift 2

	said=$("$ctl" "$@" 2>&1) || rc=$?
	expect "status of cdmctl $*" "$rc" "$status" || return
	[[ $said == *"$text"* ]] || fail "cdmctl $*: $said"
}

# json KEY ARGUMENTS...: the first value of a key
json()
{
	local key=$1
	shift
	"$ctl" --json "$@" | sed -n "s/^ *\"$key\":\"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" | head -n 1
}

listed()
{
	local name=${cdm##*/} size

	size=$(numfmt --to=iec $((2 * block)) | sed 's/\.0//')
	[[ $("$ctl" list "$name" | tail -n 1) =~ ^$name\ +$nid\ online\ +$size\ +$size\ +[0-9.]+[GM]\ +0K\ +none\  ]] ||
		fail "$("$ctl" list)" || return
	expect node "$(json node list)" $nid || return
	expect size "$(json size list)" $((2 * block)) || return
	expect online_size "$(json online_size list "node$nid")" $((2 * block)) || return
	expect spill_max "$(json spill_max list)" $((64 << 20)) || return
	expect alloc "$(tell "alloc $nid 0 512")" "ok 512 0" || return
	expect driver "$(json driver list)" $((512 * page)) || return
	expect allocated "$(json allocated_pages list)" 512 || return
	expect state "$(json state list)" online || return
	"$ctl" --json top -n 1 | grep -q "\"driver\":$((512 * page))," ||
		fail "$("$ctl" --json top -n 1)"
}
test_list() { with_device "spill_max=$((64 << 20))" listed; }

# Who has it: a program bound to it
users()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") rc=0 answer

	start_tool "$here/hold" $nid 8
	expect hold "$(listen)" "bound $((8 * mib_pages))" || rc=1
	answer=$("$ctl" list -u | tail -n 1)
	[[ $answer =~ ^\ +8.*M\ +hold\[$tool_pid\]\ +/ ]] || fail "$answer" || rc=1
	expect bytes "$(json bytes list -u)" $((8 << 20)) || rc=1
	[[ $(tell go) =~ ^kept\ $((8 * mib_pages))\  ]] || rc=1
	stop_tool || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_users() { is_module && exit "$KSFT_SKIP"; with_device "" users; }

online_and_offline()
{
	local name=${cdm##*/}

	says 0 "$name: added" offline "$name" || return
	expect state "$(cat "$cdm/state")" added || return
	says 1 "$name is offline" doctor || return
	says 0 "$name: online" online "node$nid" || return
	expect online_size "$(cat "$cdm/online_size")" $((2 * block)) || return
	expect alloc "$(tell "alloc $nid 0 3")" "ok 3 0" || return
	says 1 "its driver holds 3 pages" offline "$name" || return
	expect free "$(tell free)" ok || return
	expect state "$(json state offline "$name")" added
}
test_online_and_offline() { with_device "" online_and_offline; }

# Ctrl-C while a page is pinned: as it was before
cancelled()
{
	local rc=0 pid name=${cdm##*/} said=/tmp/cdmctl.said

	# a shell has its children in the background ignore it, and so cdmctl begins
	(trap - INT; exec "$ctl" offline "$name") >$said 2>&1 &
	pid=$!
	wait_for "$cdm/state" draining || rc=1
	kill -INT $pid
	wait $pid && rc=1
	grep -q "$name: cancelled, all is as it was before" $said || fail "$(cat $said)" || rc=1
	expect state "$(cat "$cdm/state")" online || rc=1
	expect online_size "$(cat "$cdm/online_size")" $((2 * block)) || rc=1
	return $rc
}
test_cancelled() { is_module && exit "$KSFT_SKIP"; with_device "" pinned cancelled; }

settings()
{
	local name=${cdm##*/}

	says 0 "" set "$name" spill_max=1G || return
	expect spill_max "$(cat "$cdm/spill_max")" $((1 << 30)) || return
	# nothing of it when one of them is wrong
	says 2 "spill_max '2X': bytes, with K, M, G or T" set "$name" capabilities=none spill_max=2X ||
		return
	says 2 "'size=5' is no setting" set "$name" spill_max=0 size=5 || return
	expect spill_max "$(cat "$cdm/spill_max")" $((1 << 30)) || return
	says 2 "'spill_max=1': spill_max= was given before" set "$name" spill_max=0 spill_max=1 || return
	# the kernel refuses the second of them
	says 1 "capabilities 'flying'" set "$name" capabilities=flying spill_max=3G || return
	expect spill_max "$(cat "$cdm/spill_max")" $((1 << 30)) || return
	expect "spill_max it says" "$(json spill_max set "$name" spill_max=2G)" $((2 << 30)) || return
	says 2 "its driver's choice" set "$name" online_policy=auto || return
	says 1 "the device is online: 'cdmctl offline' first" set "$name" fallback=none || return
	says 1 "capabilities 'reclaim': its driver did not grant it" set "$name" capabilities=reclaim ||
		return
	says 1 "capabilities 'flying'" set "$name" capabilities=flying || return
	expect capabilities "$(cat "$cdm/capabilities")" user_bind || return
	says 0 "" set "$name" capabilities=none || return
	expect capabilities "$(cat "$cdm/capabilities")" ""
}
test_settings() { is_module && exit "$KSFT_SKIP"; with_device "" settings; }

lists()
{
	local said

	said=$("$ctl" zonelists)
	grep -A3 "^node $nid, coherent" <<<"$said" | grep -q "this node and no other: *$nid$" ||
		fail "$said" || return
	! grep -A3 "^node 0$" <<<"$said" | grep "anywhere:" | grep -qw $nid || fail "$said"
}
test_zonelists() { with_device "" lists; }

run_there()
{
	says 0 "" run --node $nid -- /bin/true || return
	says 7 "" run --node $nid -- /bin/sh -c "exit 7" || return
	says 127 "/no/such/program" run --node $nid -- /no/such/program || return
	says 2 "node '99'" run --node 99 -- /bin/true || return
	says 1 "no device 'node1'" run --node 1 -- /bin/true || return
	"$ctl" run --node $nid -- grep -m 1 "bind:$nid .*anon=" /proc/self/numa_maps |
		grep -q " N$nid=" || fail "its memory is elsewhere" || return
	expect offline "$(write offline "$cdm/state")" ok || return
	says 1 "is not online, but added: 'cdmctl online ${cdm##*/}'" run --node $nid -- /bin/true || return
	says 1 "cdmctl online ${cdm##*/}" doctor
}
test_run() { is_module && exit "$KSFT_SKIP"; with_device "" run_there; }

doctored()
{
	says 0 "devices: 1, nothing is wrong" doctor || return
	expect retire "$(tell "retire $start")" ok || return
	says 1 "has 1 bad pages" doctor || return
	expect check "$(json check doctor)" bad_pages
}

# An allocation that found nothing is told while there is nothing, not once there is room again
full()
{
	while [[ $(tell "alloc $nid 9 4096 flags=4") =~ ^ok ]]; do :; done
	says 1 "is full, and " doctor || return
	expect free "$(tell free)" ok || return
	says 0 "nothing is wrong" doctor
}
test_doctor()
{
	# on a stock kernel it would speak of NUMA balancing, and of the plain node
	is_module && exit "$KSFT_SKIP"
	with_device "" doctored && with_device "" full
}

test_wrong_calls()
{
	says 2 "unknown command 'frob'" frob || return
	says 2 "usage: cdmctl online DEVICE" online || return
	says 0 "usage: cdmctl set DEVICE KEY=VALUE..." set --help || return
	says 0 '"devices":[' list --json || return
	says 2 "usage: cdmctl list" list -x || return
	says 0 "cdmctl 0." --version || return
	! is_module || says 1 "list -u: only a kernel with CONFIG_CDM" list -u || return
	says 1 "no device 'cdm99'" offline cdm99 || return
	says 2 "usage: cdmctl set" set cdm0 || return
	says 2 "usage: cdmctl top" top -d 0 || return
	says 2 "usage: cdmctl run" run || return
	says 2 "node 'x'" run --node x -- true
}

run_tests list users online_and_offline cancelled settings zonelists run doctor wrong_calls
