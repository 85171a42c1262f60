#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Pages with hardware errors, told at registration or later: nobody gets them again.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

pages=$((device_blocks * block / page))
# some pages here and there, two of them neighbours
apart="513 $((pages / 3)) $((pages / 3 + 1)) $((pages * 5 / 8))"

# address N: of the device's Nth page
address()
{
	printf '0x%016x' $((start + $1 * page))
}

corrupted_kb()
{
	awk '/HardwareCorrupted/ { print $2 }' /proc/meminfo
}

after_device()
{
	expect "device nodes" "$(device_nodes)" "" && expect HardwareCorrupted "$(corrupted_kb)" 0
}

# take_all ORDER: all that can be had, which is all but the reserve that the kernel keeps; no
# bad one is among them
take_all()
{
	local answer

	answer=$(tell "alloc $nid $1 $((pages >> $1))")
	[[ $answer =~ ^ok\ ([0-9]+)\ 0$ ]] || fail "alloc: $answer" || return
	[ "${BASH_REMATCH[1]}" -ge $((pages - 1536)) ] || fail "no more than that: $answer"
}

# listed N...: these pages of the device are in the list and out of use, and only these
listed()
{
	local n list=

	for n; do
		list+=$(address "$n")$'\n'
	done
	expect bad_pages "$(cat "$cdm/bad_pages")" "${list%$'\n'}" || return
	expect "marked" "$(cat "$cdm/pages_in_use/bad")" $# || return
	expect HardwareCorrupted "$(corrupted_kb)" $(($# * page / 1024)) || return
	expect "not free" "$(used_pages $nid)" $# || return
	take_all 0 && expect free "$(tell free)" ok && expect "not free" "$(used_pages $nid)" $#
}

told_at_registration()
{
	listed 5 || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect bad_pages "$(cat "$cdm/bad_pages")" "$(address 5)" || return
	expect HardwareCorrupted "$(corrupted_kb)" 0 || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	listed 5
}
test_told_at_registration() { with_device "bad_page=$(address 5)" told_at_registration; }

# The list is the device's: the next one in the same place has none
test_next_device_has_none() { with_device "" listed; }

free_page()
{
	expect retire "$(tell "retire $(address 700)")" ok || return
	listed 700 || return
	expect again "$(tell "retire $(address 700)")" ok || return
	expect retire "$(tell "retire $(address 3)")" ok || return
	listed 3 700 || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect "while offline" "$(tell "retire $(address 9)")" ok || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	listed 3 9 700
}
test_free_page() { with_device "" free_page; }

elsewhere()
{
	expect below "$(tell "retire $((start - 1))")" "error EINVAL" || return
	expect above "$(tell "retire $((start + 2 * block))")" "error EINVAL" || return
	listed
}
test_address_elsewhere() { with_device "" elsewhere; }

by_driver() { tell "retire $(address "$1")"; }
# As firmware does, with no word to the driver
by_firmware() { write "$(address "$1")" /sys/devices/system/memory/hard_offline_page; }

# held_pages ORDER REPORTED: pages that a driver holds, alone or within a larger block: it gets
# the others of the block back. What firmware is told is about them, nobody but the driver can do.
held_pages()
{
	local n answer

	take_all "$1" || return
	for n in $apart; do
		answer=$("$2" "$n")
		[ "$answer" = ok ] || [ "$answer$2" = EBUSYby_firmware ] || fail "report: $answer" ||
			return
	done
	expect free "$(tell free)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	# shellcheck disable=SC2086
	listed $apart || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	# shellcheck disable=SC2086
	listed $apart
}
test_page_of_a_driver() { with_device "" held_pages 0 by_driver; }
test_page_within_a_block_of_a_driver() { with_device "" held_pages 9 by_driver; }
test_page_that_firmware_reports()
{
	[ -e $nodes/has_cdm ] || skip "nobody tells the module of it" || return
	with_device "" held_pages 9 by_firmware
}

# A page of each of the first blocks goes bad
retire_in_blocks()
{
	local n

	for n in $(seq 5 512 $((8 * 512))); do
		expect retire "$(tell "retire $(address "$n")")" ok || return
	done
}

# The process lets go of the first block; nothing is held then, and those pages are out of use
others_let_go()
{
	expect unmap "$(tell unmap)" ok || return
	sleep 3
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	# shellcheck disable=SC2046
	listed $(seq 5 512 $((8 * 512)))
}

# A process still has a page of such a block: it stays in one piece, and the driver's, until then
held_by_others()
{
	take_all 9 || return
	# the first page of the first block that there is
	expect map "$(tell "map 1")" ok || return
	retire_in_blocks || return
	expect free "$(tell free)" ok || return
	sleep 3
	expect "held while mapped" "$(cat "$cdm/pages_in_use/driver")" 512 || return
	expect unregister "$(tell "unregister 1")" "error EBUSY" || return
	others_let_go
}
test_block_that_others_have() { with_device "" held_by_others; }

# The driver has given it back before: whoever has the last reference frees it in one piece
bad_after_it_was_freed()
{
	take_all 9 || return
	expect map "$(tell "map 1")" ok || return
	expect free "$(tell free)" ok || return
	expect "held while mapped" "$(cat "$cdm/pages_in_use/driver")" 512 || return
	retire_in_blocks && others_let_go
}
test_block_that_goes_bad_afterwards() { with_device "" bad_after_it_was_freed; }

# lose_all_over: a process has all of the device, and pages all over it go bad: some will be its
# own. Who calls has its device in $device; $lose is the process then, $retired how many pages.
lose_all_over()
{
	local n nr=$((pages * 3 / 16))

	start_tool "$here/lose" $nid $((nr / mib_pages))
	expect before "$(listen)" "bound $nr $nr cache 0" || rc=1
	lose=("$tool_in" "$tool_out" "$tool_pid")
	use_tool "${device[@]}"
	for n in $(seq 100 $((pages / 13)) $((pages - 1))); do
		expect retire "$(by_driver "$n")" ok || rc=1
		retired=$((retired + 1))
	done
}

# lost_some READ: SIGBUS there, and only there; the file in the middle says READ, a pattern
lost_some()
{
	local line n

	line=$(tell go)
	[[ $line =~ ^anon\ ([0-9]+)\ shared\ ([0-9]+)\ read\ $1\ ram\ 0\ cache\ 0\ wrong\ 0$ ]] ||
		fail "$line" || rc=1
	n=$((BASH_REMATCH[1] + BASH_REMATCH[2]))
	[ $n -ge 1 ] && [ $n -le "$retired" ] || fail "$n pages lost of $retired that are bad" || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
}

page_of_a_process()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") lose retired=0 rc=0

	lose_all_over
	use_tool "${lose[@]}"
	lost_some none
	expect marked "$(cat "$cdm/pages_in_use/bad")" $retired || rc=1
	expect "not free" "$(used_pages $nid)" $retired || rc=1
	return $rc
}
test_page_of_a_process() { with_device "" page_of_a_process; }

# hold_pinned MIB MODE: $hold has so much of the device then, and the page $n of it is pinned.
# Who calls has its device in $device.
hold_pinned()
{
	local addr

	start_tool "$here/hold" $nid "$1" "$2"
	expect hold "$(listen)" "bound $(($1 * mib_pages))" || rc=1
	addr=$(listen)
	[[ $addr =~ ^pinned\ 0x[0-9a-f]+$ ]] || fail "hold: $addr" || rc=1
	hold=("$tool_in" "$tool_out" "$tool_pid")
	n=$(((${addr#pinned } - start) / page))
	use_tool "${device[@]}"
}

# pinned_huge_page REPORTER ANSWER: in a huge page that is pinned: it cannot be split, and so stays
# where it is until the pin goes
pinned_huge_page()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") hold n rc=0

	hold_pinned 32 where
	# its fourth page, and the next one
	n=$(((n & -huge_pages) + 3))
	expect retire "$($1 $n)" "$2" || rc=1
	expect again "$(tell "retire $(address $n)")" ok || rc=1
	expect neighbour "$($1 $((n + 1)))" "$2" || rc=1
	expect bad_pages "$(cat "$cdm/bad_pages")" "$(address $n)"$'\n'"$(address $((n + 1)))" ||
		rc=1
	use_tool "${hold[@]}"
	[[ $(tell go) =~ ^kept\ $((32 * mib_pages))\ wrong\ 0\  ]] || fail "the task lost something" || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	sleep 4
	listed $n $((n + 1)) || rc=1
	expect offline "$(write offline "$cdm/state")" ok || rc=1
	expect online "$(write online_movable "$cdm/state")" ok || rc=1
	listed $n $((n + 1)) && return $rc
}
test_within_a_pinned_huge_page()
{
	has_huge_pages || return
	with_device "" pinned_huge_page by_driver ok
}
test_within_a_pinned_huge_page_by_firmware()
{
	[ -e $nodes/has_cdm ] || skip "nobody tells the module of it" || return
	has_huge_pages || return
	with_device "" pinned_huge_page by_firmware EHWPOISON
}

# Somebody refers to a page that has gone bad: its struct page stays, and with it the block
pinned_small_page()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") hold n rc=0

	hold_pinned 1 small
	expect retire "$(by_driver "$n")" ok || rc=1
	expect "bad pages" "$(cat "$cdm/pages_in_use/bad")" 1 || rc=1
	expect offline "$(write offline "$cdm/state")" EBUSY || rc=1
	expect state "$(cat "$cdm/state")" online || rc=1
	expect unregister "$(tell "unregister 1")" "error EBUSY" || rc=1
	expect online_size "$(cat "$cdm/online_size")" "$(cat "$cdm/size")" || rc=1
	use_tool "${hold[@]}"
	expect "the task" "$(tell go)" gone || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	expect offline "$(write offline "$cdm/state")" ok || rc=1
	expect online "$(write online_movable "$cdm/state")" ok || rc=1
	listed "$n" && return $rc
}
test_page_that_is_bad_and_pinned() { with_device "" pinned_small_page; }

# What lost such pages has lost them, wherever the device is: files do not refer to them any more
bad_in_a_file()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") lose retired=0 rc=0

	lose_all_over
	expect unregister "$(tell "unregister 10")" ok || rc=1
	[ ! -e $nodes/node$nid ] || fail "node $nid is still there" || rc=1
	use_tool "${lose[@]}"
	cat "/proc/$tool_pid/smaps" >/dev/null
	lost_some '(none|EIO)'
	return $rc
}
test_bad_pages_of_a_device_that_left() { with_device "" bad_in_a_file; }

# Who is refused a range has said nothing of the pages of whoever has it
refused_overlap()
{
	write offline "$cdm/state" >/dev/null
	expect refused "$(ask "register $start $block 2 bad_page=$(address 9)")" "error EBUSY" ||
		return
	expect "another node" "$(ask "register $start $block -1 bad_page=$(address 9)")" \
		"error EEXIST" || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect "refused again" "$(ask "register $start $block -1 bad_page=$(address 9)")" \
		"error EEXIST" || return
	listed 5
}
test_refused_registration_touches_nothing()
{
	with_device "bad_page=$(address 5)" refused_overlap
}

# More than a page of sysfs: the file has all of them
long_list()
{
	local n

	for n in $(seq 0 400); do
		echo "retire $(address $((n * 2)))"
	done >&"$tool_in"
	for n in $(seq 0 400); do
		expect "retire" "$(listen)" ok || return
	done
	expect lines "$(wc -l <"$cdm/bad_pages")" 401 || return
	expect "last line" "$(tail -n 1 "$cdm/bad_pages")" "$(address 800)" || return
	expect "not free" "$(used_pages $nid)" 401 && take_all 0 && expect free "$(tell free)" ok
}
test_long_list() { with_device "" long_list; }

run_tests told_at_registration next_device_has_none free_page address_elsewhere \
	page_of_a_driver page_within_a_block_of_a_driver page_that_firmware_reports \
	block_that_others_have block_that_goes_bad_afterwards page_of_a_process within_a_pinned_huge_page \
	within_a_pinned_huge_page_by_firmware page_that_is_bad_and_pinned bad_pages_of_a_device_that_left \
	refused_registration_touches_nothing long_list
