#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the tracepoints tell of a device's life, and of those who want its memory.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

tracing=/sys/kernel/tracing
[ -d $tracing/events ] || mount -t tracefs tracefs $tracing 2>/dev/null
[ -d $tracing/events/cdm ] || skip_all "needs CONFIG_EVENT_TRACING"

# told EVENT: what it has told of the device's node since forget, one line each time
told()
{
	sed -n "s/.* $1: device=[0-9]* node=$nid //p" $tracing/trace
}

forget()
{
	echo >$tracing/trace
}

# traced OPTIONS COMMAND...: with_device, and every event of ours
traced()
{
	local rc=0

	forget
	echo 1 >$tracing/events/cdm/enable
	with_device "$@" || rc=1
	echo 0 >$tracing/events/cdm/enable
	return $rc
}

by_hand()
{
	expect "the first blocks" "$(told cdm_progress | xargs)" \
		"online=1 blocks=2 online=2 blocks=2" || return
	forget
	expect offline "$(write offline "$cdm/state")" ok || return
	expect states "$(told cdm_state | xargs)" "state=draining state=added" || return
	expect progress "$(told cdm_progress | xargs)" "online=1 blocks=2 online=0 blocks=2" || return
	forget
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect states "$(told cdm_state | xargs)" "state=onlining state=online" || return
	forget
}
states()
{
	traced "" by_hand || return
	expect "states of the removal" "$(told cdm_state | xargs)" "state=draining state=removed"
}
test_states() { states; }

# A block that somebody holds a page of: who, and how many
blocked()
{
	expect alloc "$(tell "alloc $nid 0 3")" "ok 3 0" || return
	forget
	expect offline "$(write offline "$cdm/state")" EBUSY || return
	expect blocker "$(told cdm_drain_blocked)" \
		"error=-16 driver=3 pinned=0 bad=0 user=0 ram=0"
}
test_blocked() { traced "" blocked; }

# What is bad is told apart from it
blocked_with_bad_ones()
{
	expect retire "$(tell "retire $start")" ok || return
	expect retire "$(tell "retire $((start + 2 * page))")" ok || return
	expect alloc "$(tell "alloc $nid 0 3")" "ok 3 0" || return
	forget
	expect offline "$(write offline "$cdm/state")" EBUSY || return
	expect blocker "$(told cdm_drain_blocked)" \
		"error=-16 driver=3 pinned=0 bad=2 user=0 ram=0"
}
# Some stock kernels have no memory_failure()
can_retire() { [ -e /proc/sys/vm/memory_failure_recovery ]; }
test_blocked_with_bad_ones()
{
	can_retire || exit "$KSFT_SKIP"
	traced "" blocked_with_bad_ones
}

failed()
{
	expect offline "$(write offline "$cdm/state")" ok || return
	forget
	expect alloc "$(tell "alloc $nid 3 1")" "error ENOMEM" || return
	expect failed "$(told cdm_alloc_failed)" "pages=8 flags=0x0" || return
	forget
	expect atomic "$(tell "alloc $nid 0 1 flags=2")" "error ENOMEM" || return
	expect failed "$(told cdm_alloc_failed)" "pages=1 flags=0x2"
}
test_failed() { traced "" failed; }

spilled()
{
	expect offline "$(write offline "$cdm/state")" ok || return
	expect spill "$(tell "alloc $nid 1 2 flags=8")" "ok 0 4" || return
	expect spilled "$(told cdm_spill | xargs)" "pages=2 used=2 pages=2 used=4"
}
test_spilled() { traced "spill_max=$((4 * page))" spilled; }

# Of the driver that has all of the device, one block of 2 MiB
evicted()
{
	while [[ $(tell "alloc $nid 9 4096 flags=4") =~ ^ok ]]; do :; done
	forget
	expect alloc "$(tell "alloc $nid 9 1")" "ok 512 0" || return
	[[ $(told cdm_evict | tail -n 1) =~ ^wanted=512\ evicted=[1-9] ]] || fail "$(told cdm_evict)"
}
test_evicted() { is_module && exit "$KSFT_SKIP"; traced "evicts=1" evicted; }

retired()
{
	expect retire "$(tell "retire $((start + page))")" ok || return
	expect retired "$(told cdm_retire)" "$(printf 'pfn=%#x' $((start / page + 1)))"
}
test_retired()
{
	can_retire || exit "$KSFT_SKIP"
	traced "" retired
}

run_tests states blocked blocked_with_bad_ones failed spilled evicted retired
