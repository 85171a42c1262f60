#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a driver can ask for beside single blocks, what is done when the device is full, and
# how much of system RAM it may have then.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

# The device's pages, and the reserve that the kernel keeps of them: "min" in zoneinfo
pages=$((device_blocks * block / page))
# the largest block of the page allocator, a piece beyond it, and a memory block, in their orders
top=$(awk 'NR == 1 { print NF - 5 }' /proc/buddyinfo)
block_order=0
while [ $((page << block_order)) -lt $block ]; do block_order=$((block_order + 1)); done
piece=$((block_order - 1 > top ? block_order - 1 : top + 1))
piece_blocks=$(((page << (piece + 2)) / block))

# what lies on CPUs' lists, with a huge page, and the watermark
out_of_reach=$((1024 + $(cat /sys/kernel/mm/transparent_hugepage/hpage_pmd_size) / page))
# and on other CPUs' lists, which a module cannot empty
! is_module || out_of_reach=4096

stat() { cat "$cdm/stats/$1"; }

after_device()
{
	expect "device nodes" "$(device_nodes)" ""
}

# Pieces larger than the page allocator's blocks, and the last pages, want CONFIG_CDM
beyond_a_module() { ! is_module || exit "$KSFT_SKIP"; false; }

# fill [KEY=NUMBER]: take all of the device; what the CPUs know of free pages lags behind
fill()
{
	local in_vain=0

	while [ $in_vain -lt 3 ]; do
		case $(tell "alloc $nid 0 $((2 * pages)) flags=4 ${1-how=4}") in
		"error ENOMEM") in_vain=$((in_vain + 1)) ;;
		ok\ *\ 0) in_vain=0 ;;
		*) fail "not filled" || return ;;
		esac
	done
}

# ways HOW: pages by the thousand, cleared or not, and as many as there are
ways()
{
	local held

	expect alloc "$(tell "alloc $nid 0 5000 how=$1")" "ok 5000 0" || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 5000 || return
	expect allocated "$(stat allocated)" 5000 || return
	# they were written to; the next ones to have them see nothing of it
	expect free "$(tell free)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect cleared "$(tell "alloc $nid 0 5000 how=$1 flags=1")" "ok 5000 0" || return
	expect free "$(tell free)" ok || return
	fill "how=$1" || return
	held=$(cat "$cdm/pages_in_use/driver")
	[ "$held" -ge $((pages - out_of_reach)) ] || fail "no more than $held" || return
	expect "used" "$(used_pages $nid)" "$held" || return
	[ "$(stat failed)" -ge 1 ] || fail "no failure is counted" || return
	expect free "$(tell free)" ok || return
	expect "free pages" "$(used_pages $nid)" 0
}
test_array() { with_device "" ways 4; }
test_list() { with_device "" ways 5; }

# In one piece, larger than the page allocator's blocks: with pages of 4 KiB 64 MiB, and twice that
# is a whole memory block
one_piece()
{
	expect "a piece" "$(tell "alloc $nid $piece 1 how=6")" "ok $((1 << piece)) 0" || return
	expect held "$(cat "$cdm/pages_in_use/driver")" $((1 << piece)) || return
	expect "cleared" "$(tell "alloc $nid $((piece - 2)) 4 how=6 flags=1")" "ok $((1 << piece)) 0" ||
		return
	expect free "$(tell free)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect "over the blocks' border" "$(tell "alloc $nid $((piece + 1)) 1 how=6")" \
		"ok $((2 << piece)) 0" || return
	expect "offline" "$(write offline "$cdm/state")" EBUSY || return
	expect free "$(tell free)" ok || return
	expect "offline" "$(write offline "$cdm/state")" ok || return
	expect "offline device" "$(tell "alloc $nid 12 1 how=6")" "error ENOMEM"
}
test_one_piece() { beyond_a_module || device_blocks=$piece_blocks with_device "" one_piece; }

# A size that is no power of two, and a piece whose end goes back alone
one_piece_trimmed()
{
	expect "half as much again, which goes back" "$(tell "alloc $nid 12 3 how=9")" "ok 12288 0" || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 12288 || return
	expect "three pages, of which one goes back" "$(tell "alloc $nid 1 10 how=9")" "ok 20 0" || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 12308 || return
	expect free "$(tell free)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 && expect used "$(used_pages $nid)" 0
}
test_one_piece_trimmed() { beyond_a_module || device_blocks=$piece_blocks with_device "" one_piece_trimmed; }

# A process's pages are not moved for it: there is no piece that is free
piece_of_the_rest()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") hold rc=0
	local whole=$((block_order + device_blocks - 1))

	start_tool "$here/hold" $nid 8
	expect hold "$(listen)" "bound $((8 * mib_pages))" || rc=1
	hold=("$tool_in" "$tool_out" "$tool_pid")
	use_tool "${device[@]}"
	expect "all of it" "$(tell "alloc $nid $whole 1 how=6")" "error ENOMEM" || rc=1
	expect "small enough" "$(tell "alloc $nid 11 1 how=6")" "ok 2048 0" || rc=1
	use_tool "${hold[@]}"
	[[ $(tell go) =~ ^kept\ $((8 * mib_pages))\ wrong\ 0\  ]] || fail "the process's pages were moved" || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_piece_of_what_is_free()
{
	beyond_a_module || device_blocks=$(((piece_blocks + 2) / 4)) with_device "" piece_of_the_rest
}

# Each order is a block of its size, and no more
orders()
{
	local order

	for order in $(seq 0 "$top"); do
		expect "order $order" "$(tell "alloc $nid $order 3")" "ok $((3 << order)) 0" || return
		expect held "$(cat "$cdm/pages_in_use/driver")" $((3 << order)) || return
		expect free "$(tell free)" ok || return
		expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	done
	# which is no order, and so no allocation that failed
	expect "order beyond" "$(tell "alloc $nid $((top + 1)) 1")" "error ENOMEM" || return
	expect allocated "$(stat allocated)" $((3 * ((2 << top) - 1))) || return
	expect failed "$(stat failed)" 0 || return
	# but for what lies on the lists of CPUs
	[ "$(stat free)" -ge $((2 * pages - out_of_reach)) ] || fail "$(stat free) of $((2 * pages)) are free"
}
test_every_order() { device_blocks=4 with_device "" orders; }

# Where a driver may be as well: with interrupts off, and in an interrupt's handler
not_in_a_process()
{
	expect alloc "$(tell "alloc $nid 0 5000 how=$1 flags=1")" "ok 5000 0" || return
	expect "a block" "$(tell "alloc $nid 9 10 how=$1")" "ok 5120 0" || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 10120 || return
	expect free "$(tell free)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	# and when there is none, without waiting for any
	expect offline "$(write offline "$cdm/state")" ok || return
	expect "of nothing" "$(tell "alloc $nid 0 1 how=$1")" "error ENOMEM" || return
	# but for a budget of RAM
	expect spilled "$(tell "alloc $nid 0 10 how=$1 flags=8")" "ok 0 4" || return
	expect used "$(cat "$cdm/spill_used")" $((4 * page)) || return
	expect free "$(tell free)" ok || return
	expect used "$(cat "$cdm/spill_used")" 0
}
test_irqs_off() { with_device "evicts=1 spill_max=$((4 * page))" not_in_a_process 7; }
test_in_an_interrupt() { with_device "evicts=1 spill_max=$((4 * page))" not_in_a_process 8; }

scrubbed()
{
	expect "not asked for" "$(tell "alloc $nid 0 10")" "ok 10 0" || return
	expect counts "$(tell counts)" "ok evict 0 scrub 0 copy 0" || return
	expect free "$(tell free)" ok || return
	expect "by itself" "$(tell "alloc $nid 3 10 flags=1")" "ok 80 0" || return
	expect "an array" "$(tell "alloc $nid 0 1000 how=4 flags=1")" "ok 1000 0" || return
	expect "one piece" "$(tell "alloc $nid 11 1 how=6 flags=1")" "ok 2048 0" || return
	expect counts "$(tell counts)" "ok evict 0 scrub 3128 copy 0" || return
	expect "a list" "$(tell "alloc $nid 0 100 how=5 flags=1")" "ok 100 0" || return
	expect counts "$(tell counts)" "ok evict 0 scrub 3228 copy 0" || return
	# where nobody may sleep, the CPU does it
	expect "atomic" "$(tell "alloc $nid 0 10 flags=3")" "ok 10 0" || return
	expect counts "$(tell counts)" "ok evict 0 scrub 3228 copy 0"
}
test_scrub() { beyond_a_module || with_device "scrubs=1" scrubbed; }
scrub_fails()
{
	expect alloc "$(tell "alloc $nid 0 5000")" "ok 5000 0" || return
	expect free "$(tell free)" ok || return
	expect "the CPU clears" "$(tell "alloc $nid 0 5000 flags=1")" "ok 5000 0"
}
test_scrub_that_fails() { with_device "scrubs=2" scrub_fails; }

# The driver makes room, 512 pages at a time, and then there is
evicted()
{
	local answer calls

	answer=$(tell "alloc $nid 9 $((pages / 512 + 8))")
	expect "more than there is" "$answer" "ok $((pages + 4096)) 0" || return
	answer=$(tell counts)
	[[ $answer =~ ^ok\ evict\ ([0-9]+)\  ]] || fail "$answer" || return
	calls=${BASH_REMATCH[1]}
	[ "$calls" -ge 8 ] && [ "$calls" -le 32 ] || fail "$calls calls" || return
	[ "$(stat evicted)" -ge 4096 ] || fail "evicted: $(stat evicted)" || return
	[ "$(cat "$cdm/pages_in_use/driver")" -le $pages ] || fail "more than there is" || return
	# nobody is asked who must not be
	expect "without" "$(tell "alloc $nid 9 512 flags=4")" "error ENOMEM" || return
	expect "atomic" "$(tell "alloc $nid 9 1 flags=2")" "error ENOMEM" || return
	expect counts "$(tell counts)" "$answer"
}
test_evict() { beyond_a_module || with_device "evicts=1" evicted; }

# On a device that is full to the page: what the driver gives back is found, also where it lies
# on a CPU's list, and counts for nobody yet
evicted_one_by_one()
{
	local calls

	fill || return
	expect "each in the place of another" "$(tell "alloc $nid 0 100")" "ok 100 0" || return
	calls=$(evict_calls)
	((calls >= 1 && calls <= 100)) || fail "$calls calls"
}
test_evict_one_by_one() { beyond_a_module || with_device "evicts=200" evicted_one_by_one; }

evict_calls() { tell counts | sed 's/^ok evict \([0-9]*\) .*/\1/'; }

# A driver that gives nothing is asked three times for an allocation, and no more
evict_in_vain()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") other calls rc=0

	start_tool "$here/cdm_test_ctl"
	[[ $(tell "alloc $nid 10 $pages") =~ ^ok\ [0-9]+\ 0$ ]] || fail "not full" || rc=1
	other=("$tool_in" "$tool_out" "$tool_pid")
	use_tool "${device[@]}"
	calls=$(evict_calls)
	expect alloc "$(tell "alloc $nid 10 1")" "error ENOMEM" || rc=1
	calls=$(($(evict_calls) - calls))
	# the first time it may have been enough to empty the CPUs' lists
	[ $calls -ge "${1:-1}" ] && [ $calls -le 3 ] || fail "$calls calls" || rc=1
	use_tool "${other[@]}"
	stop_tool || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_evict_in_vain() { with_device "evicts=1" evict_in_vain; }
test_evict_that_lies() { with_device "evicts=1 lies=1" evict_in_vain 2; }

# Who still refers to a device that has gone gets nothing, and its driver is not asked
test_gone_with_its_driver()
{
	local device other how rc=0

	# the one that ends first is started last: no other has its pipe
	start_tool "$here/cdm_test_ctl"
	other=("$tool_in" "$tool_out" "$tool_pid")
	start_tool "$here/cdm_test_ctl"
	device=("$tool_in" "$tool_out" "$tool_pid")
	expect register "$(tell "register $start $((2 * block)) $nid scrubs=1 evicts=1 copies=1")" \
		"ok $nid" || rc=1
	use_tool "${other[@]}"
	expect reference "$(tell "alloc $nid 0 0")" "ok 0 0" || rc=1
	use_tool "${device[@]}"
	stop_tool || rc=1
	use_tool "${other[@]}"
	for how in 0 4 5 6; do
		expect "how=$how" "$(tell "alloc $nid 0 1 how=$how flags=1")" "error ENOMEM" || rc=1
	done
	expect online "$(tell online)" "error ENODEV" || rc=1
	expect offline "$(tell offline)" "error ENODEV" || rc=1
	expect retire "$(tell "retire $start")" "error ENODEV" || rc=1
	stop_tool || rc=1
	after_device && return $rc
}

# A driver onlines and offlines what it registered, and ends what takes too long
by_the_driver()
{
	expect offline "$(tell offline)" ok || return
	expect online "$(tell online)" ok || return
	expect online_size "$(cat "$cdm/online_size")" $((2 * block)) || return
	expect again "$(tell online)" ok || return
	expect "nothing to cancel" "$(tell cancel)" "error ENOENT" || return
	expect "a driver's page" "$(tell "alloc $nid 0 1")" "ok 1 0" || return
	expect busy "$(tell "offline 1")" "error EBUSY" || return
	expect free "$(tell free)" ok && expect offline "$(tell "offline 5")" ok
}
test_by_the_driver() { with_device "" by_the_driver; }

# One piece where blocks are in the way: they are evicted until there is
evict_for_a_piece()
{
	local all=$((device_blocks * block / page))

	expect fill "$(tell "alloc $nid 10 $((all / 1024))")" "ok $all 0" ||
		[[ $(cat "$cdm/pages_in_use/driver") -gt $((all - 4096)) ]] || return
	expect piece "$(tell "alloc $nid $piece 1 how=6")" "ok $((1 << piece)) 0"
}
test_evict_for_a_piece() { beyond_a_module || device_blocks=$piece_blocks with_device "evicts=16" evict_for_a_piece; }

# no_more: not a page of the device can be had. As when it is full; but then the last pages
# come and go with what each CPU knows of them.
no_more()
{
	expect offline "$(write offline "$cdm/state")" ok
}

# Not a page of RAM without a budget, and none beyond it, whichever call asks for it
budget()
{
	local how

	expect "no budget" "$(cat "$cdm/spill_max")" 0 || return
	no_more || return
	for how in 0 4 5; do
		expect "how=$how" "$(tell "alloc $nid 0 100 how=$how flags=8")" "error ENOMEM" ||
			return
	done
	echo $((100 * page)) >"$cdm/spill_max"
	expect "without the flag" "$(tell "alloc $nid 0 1")" "error ENOMEM" || return
	expect "one piece" "$(tell "alloc $nid 12 1 how=6 flags=8")" "error ENOMEM" || return
	expect "too large" "$(tell "alloc $nid 7 1 flags=8")" "error ENOMEM" || return
	expect "a block" "$(tell "alloc $nid 5 1 flags=8")" "ok 0 32" || return
	expect "an array" "$(tell "alloc $nid 0 50 how=4 flags=9")" "ok 0 50" || return
	expect "the rest" "$(tell "alloc $nid 0 50 how=5 flags=8")" "ok 0 18" || return
	expect "atomic" "$(tell "alloc $nid 0 1 flags=10")" "error ENOMEM" || return
	expect "interrupts off" "$(tell "alloc $nid 0 1 how=7 flags=8")" "error ENOMEM" || return
	expect "used" "$(cat "$cdm/spill_used")" $((100 * page)) || return
	expect "spilled" "$(stat spilled)" 100 || return
	# the device is full: nothing comes back; and who has less than before keeps what it has
	expect back "$(tell back)" "ok 0 wrong 0 ENOMEM" || return
	echo 0 >"$cdm/spill_max"
	expect "used" "$(cat "$cdm/spill_used")" $((100 * page)) || return
	expect "more" "$(tell "alloc $nid 0 1 flags=8")" "error ENOMEM" || return
	expect free "$(tell free)" ok || return
	expect "used" "$(cat "$cdm/spill_used")" 0 || return
	expect "held" "$(cat "$cdm/pages_in_use/driver")" 0
}
test_budget() { with_device "" budget; }

# The driver gives what it can, and RAM is what is missing then: never more of it than that
budget_while_online()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") other answer rc=0

	start_tool "$here/cdm_test_ctl"
	other=("$tool_in" "$tool_out" "$tool_pid")
	fill || rc=1
	use_tool "${device[@]}"
	# each evicts the one before. Which is of RAM where no page of the device was left over, and
	# makes no room there; so how many are in RAM is not said, but for the budget.
	answer=$(tell "alloc $nid 0 500 flags=8")
	[[ $answer =~ ^ok\ ([0-9]+)\ ([0-9]+)$ ]] &&
		[ $((BASH_REMATCH[1] + BASH_REMATCH[2])) = 500 ] || fail "$answer" || rc=1
	[ "$(evict_calls)" -ge 300 ] || fail "the driver was not asked first" || rc=1
	[ "$(cat "$cdm/spill_used")" -le $((100 * page)) ] || fail "more than the budget" || rc=1
	# and what is left of the budget
	[[ $(tell "alloc $nid 0 500 flags=12") =~ ^ok\  ]] || fail "nothing is left" || rc=1
	# then none: a page of the device may be found again, one of RAM is not
	answer=$(tell "alloc $nid 0 1 flags=12")
	[[ $answer =~ ^(error\ ENOMEM|ok\ 1\ 0)$ ]] || fail "beyond the budget: $answer" || rc=1
	expect used "$(cat "$cdm/spill_used")" $((100 * page)) || rc=1
	use_tool "${other[@]}"
	stop_tool || rc=1
	use_tool "${device[@]}"
	expect "on the device, now that there is room" "$(tell "alloc $nid 0 100 flags=8")" \
		"ok 100 0" || rc=1
	expect used "$(cat "$cdm/spill_used")" $((100 * page)) || rc=1
	return $rc
}
test_budget_while_online()
{
	with_device "spill_max=$((100 * page)) evicts=1" budget_while_online
}

# A page that is given back to another device stays its owner's, and changes no budget
wrong_device()
{
	local owner=("$tool_in" "$tool_out" "$tool_pid") other other_nid rc=0

	start_tool "$here/cdm_test_ctl"
	[[ $(tell "register $((start + device_blocks * block)) $block -1 spill_max=$page") =~ ^ok\ ([0-9]+)$ ]] ||
		fail "no second device" || rc=1
	other_nid=${BASH_REMATCH[1]-}
	other=("$tool_in" "$tool_out" "$tool_pid")
	use_tool "${owner[@]}"
	expect alloc "$(tell "alloc $nid 0 1")" "ok 1 0" || rc=1
	dmesg -C
	expect "to the other one" "$(tell "misfree $other_nid")" ok || rc=1
	dmesg | grep -q "cdm[0-9]*: pages at 0x[0-9a-f]* are not this device's, and lost" ||
		fail "$(dmesg | tail -n 1)" || rc=1
	expect held "$(cat "$cdm/pages_in_use/driver")" 1 || rc=1
	expect "the other's budget" "$(cat "$(cdm_of "$other_nid")/spill_used")" 0 || rc=1
	expect free "$(tell free)" ok || rc=1
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || rc=1
	use_tool "${other[@]}"
	# nothing is missing, or too much, for it to leave
	expect unregister "$(tell "unregister 5")" ok || rc=1
	stop_tool || rc=1
	use_tool "${owner[@]}"
	return $rc
}
# a module has no second node id for it
test_wrong_device() { beyond_a_module || with_device "" wrong_device; }

# A share is free when the last reference has gone, not when the driver says so
last_reference()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") other rc=0

	no_more || return
	start_tool "$here/cdm_test_ctl"
	other=("$tool_in" "$tool_out" "$tool_pid")
	expect spill "$(tell "alloc $nid 0 4 flags=8")" "ok 0 4" || rc=1
	expect map "$(tell "map 4")" ok || rc=1
	expect back "$(tell back)" "ok 0 wrong 0 EBUSY" || rc=1
	expect free "$(tell free)" ok || rc=1
	sleep 3
	expect "used while mapped" "$(cat "$cdm/spill_used")" $((4 * page)) || rc=1
	expect "the same share again" "$(tell "alloc $nid 0 1 flags=8")" "error ENOMEM" || rc=1
	expect unmap "$(tell unmap)" ok || rc=1
	# at once for who needs it
	expect "then" "$(tell "alloc $nid 0 1 flags=8")" "ok 0 1" || rc=1
	expect "used" "$(cat "$cdm/spill_used")" "$page" || rc=1
	# and by itself
	expect map "$(tell "map 1")" ok || rc=1
	expect free "$(tell free)" ok || rc=1
	expect unmap "$(tell unmap)" ok || rc=1
	sleep 3
	expect "used in the end" "$(cat "$cdm/spill_used")" 0 || rc=1
	stop_tool || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_last_reference() { with_device "spill_max=$((4 * page))" last_reference; }

# The node's next device, with the same budget
again_with_ram()
{
	expect "register again" "$(tell "register $start $((device_blocks * block)) $nid spill_max=$((16 * page))")" \
		"ok $nid" || return
	cdm=$(cdm_of $nid)
}

# What the driver has of RAM keeps the device; what others have of it does not, and counts for the
# next one
leaves_with_ram()
{
	local used

	no_more || return
	expect spill "$(tell "alloc $nid 1 4 flags=8")" "ok 0 8" || return
	dmesg -C
	expect unregister "$(tell "unregister 1")" "error EBUSY" || return
	dmesg | grep -qE 'cannot drain \(-(16|EBUSY)\): pages 0 the driver.s.*; 8 of RAM the driver.s$' ||
		fail "$(dmesg | tail -n 1)" || return
	expect "as before" "$(tell "alloc $nid 0 1 flags=8")" "ok 0 1" || return
	expect map "$(tell "map 1")" ok || return
	expect free "$(tell free)" ok || return
	used=$(cat "$cdm/spill_used")
	[ "$used" -ge "$page" ] || fail "what is mapped does not count" || return
	expect unregister "$(tell "unregister 1")" ok || return
	again_with_ram || return
	expect "counts on" "$(cat "$cdm/spill_used")" "$used" || return
	no_more || return
	expect "beyond it" "$(tell "alloc $nid 0 16 flags=8")" "ok 0 $((16 - used / page))" || return
	expect unmap "$(tell unmap)" ok || return
	# at once for who needs it
	expect "it comes back" "$(tell "alloc $nid 0 16 flags=8")" "ok 0 $((used / page))" || return
	expect free "$(tell free)" ok || return
	expect used "$(cat "$cdm/spill_used")" 0 || return
	# and by itself
	expect spill "$(tell "alloc $nid 0 4 flags=8")" "ok 0 4" || return
	expect map "$(tell "map 4")" ok || return
	expect free "$(tell free)" ok || return
	expect unregister "$(tell "unregister 1")" ok || return
	again_with_ram || return
	expect used "$(cat "$cdm/spill_used")" $((4 * page)) || return
	expect unmap "$(tell unmap)" ok || return
	sleep 3
	expect used "$(cat "$cdm/spill_used")" 0
}
test_leaves_with_ram() { with_device "spill_max=$((16 * page))" leaves_with_ram; }

# Many at once: all of the budget, and not a page more
exact()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") i sum=0 tools=() rc=0

	no_more || return
	for i in 1 2 3 4; do
		start_tool "$here/cdm_test_ctl"
		tools+=("$tool_in $tool_out $tool_pid")
	done
	for i in "${tools[@]}"; do
		# shellcheck disable=SC2086
		use_tool $i
		echo "alloc $nid 0 1000 flags=8" >&"$tool_in"
	done
	for i in "${tools[@]}"; do
		# shellcheck disable=SC2086
		use_tool $i
		[[ $(listen) =~ ^ok\ 0\ ([0-9]+)$ ]] && sum=$((sum + BASH_REMATCH[1]))
	done
	expect "together" $sum 1777 || rc=1
	expect "used" "$(cat "$cdm/spill_used")" $((1777 * page)) || rc=1
	# the last one first: those that were started later hold the others' pipes, too
	for i in 3 2 1 0; do
		# shellcheck disable=SC2086
		use_tool ${tools[i]}
		stop_tool || rc=1
	done
	expect "used" "$(cat "$cdm/spill_used")" 0 || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_budget_is_exact() { with_device "spill_max=$((1777 * page))" exact; }

# brought_back COPIES: with their content; by the device's own copy, 1, where it has one
brought_back()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") other spilled rc=0

	start_tool "$here/cdm_test_ctl"
	other=("$tool_in" "$tool_out" "$tool_pid")
	fill || rc=1
	use_tool "${device[@]}"
	# the kernel may find some pages after all: their number was not known to the CPU that filled
	spilled=$(tell "alloc $nid 2 25 flags=8")
	[[ $spilled =~ ^ok\ ([0-9]+)\ ([0-9]+)$ ]] && [ "${BASH_REMATCH[2]}" -ge 60 ] &&
		[ $((BASH_REMATCH[1] + BASH_REMATCH[2])) = 100 ] || fail "$spilled" || rc=1
	spilled=${BASH_REMATCH[2]}
	use_tool "${other[@]}"
	stop_tool || rc=1
	use_tool "${device[@]}"
	expect back "$(tell back)" "ok $spilled wrong 0 all" || rc=1
	expect "back once more" "$(tell "back all")" "ok 0 wrong 0 EINVAL" || rc=1
	expect used "$(cat "$cdm/spill_used")" 0 || rc=1
	expect held "$(cat "$cdm/pages_in_use/driver")" 100 || rc=1
	expect counts "$(tell counts)" "ok evict 0 scrub 0 copy $(($1 * spilled))" || rc=1
	return $rc
}
test_brought_back() { with_device "spill_max=$((100 * page))" brought_back 0; }
test_brought_back_by_the_device()
{
	with_device "spill_max=$((100 * page)) copies=1" brought_back 1
}
test_brought_back_when_that_fails()
{
	with_device "spill_max=$((100 * page)) copies=2" brought_back 0
}

# Where the driver's pages have to go when the device goes offline
spill_offline()
{
	expect offline "$(write offline "$cdm/state")" ok || return
	expect spill "$(tell "alloc $nid 0 10 flags=8")" "ok 0 10" || return
	expect "no number" "$(write many "$cdm/spill_max")" EINVAL || return
	expect "no number" "$(write -1 "$cdm/spill_max")" EINVAL || return
	expect spill_max "$(cat "$cdm/spill_max")" $((10 * page))
}
test_spill_while_offline() { with_device "spill_max=$((10 * page))" spill_offline; }

run_tests array list every_order one_piece one_piece_trimmed piece_of_what_is_free irqs_off in_an_interrupt scrub scrub_that_fails evict \
	evict_one_by_one evict_in_vain evict_that_lies gone_with_its_driver by_the_driver evict_for_a_piece budget budget_while_online \
	wrong_device last_reference leaves_with_ram \
	budget_is_exact brought_back brought_back_by_the_device brought_back_when_that_fails \
	spill_while_offline
