#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The model driver, cdm_pci, through all that a vendor's driver goes through, while a process
# and a file have memory of the device.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
export CDM_PLUG_MIB=256
nid=2
module=/sys/module/cdm_pci/parameters
edu=/sys/module/cdm_edu/parameters

# with_card COMMAND...: while a card of 256 MiB is in the slot
with_card()
{
	local rc=0

	! grep -qs 1 /sys/bus/pci/slots/1/adapter || "$CDM_PLUG" remove || return
	"$CDM_PLUG" add || return
	card=/sys/bus/pci/devices/$(cat /sys/bus/pci/slots/1/address).0
	cdm=$(cdm_of $nid)
	"$@" || rc=1
	! grep -qs 1 /sys/bus/pci/slots/1/adapter || "$CDM_PLUG" remove || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" && return $rc
}

# with_parameter FILE VALUE DEFAULT COMMAND...: while a module's parameter is another one
with_parameter()
{
	local rc=0

	echo "$2" >"$1"
	"${@:4}" || rc=1
	echo "$3" >"$1"
	return $rc
}

stat() { cat "$cdm/stats/$1"; }

buffers_in_ram() { echo $(($(cat "$cdm/spill_used") >> 21)); }

doors()
{
	local said

	said=$("$here/cdm_doors" $nid) || fail "$said" || return
	expect doors "$(sed 1d <<<"$said")" "fd       4096 pages of 4096
mbind    4096 pages of 4096
driver   4096 pages of 4096
migrate  4096 pages of 4096
back     4096 pages of 4096"
}
test_three_doors() { with_card doors; }

# 256 MiB have room for 128 buffers, and some of it is the kernel's reserve
oversubscribed()
{
	local in_ram

	expect "no budget" "$(write 140 "$card/buffers")" ENOMEM || return
	expect buffers "$(write 0 "$card/buffers")" ok || return
	echo $((64 << 20)) >"$cdm/spill_max"
	expect "with a budget" "$(write 140 "$card/buffers")" ok || return
	in_ram=$(buffers_in_ram)
	[ "$in_ram" -ge 12 ] && [ "$in_ram" -le 32 ] || fail "$in_ram buffers in RAM" || return
	[ "$(stat evicted)" -ge $((12 * 512)) ] || fail "evicted: $(stat evicted)" || return
	expect "too many" "$(write 170 "$card/buffers")" ENOMEM || return
	[ "$(buffers_in_ram)" -le 32 ] || fail "more than the budget" || return
	# the oldest one is in RAM, and when it is used it comes back: another one makes room
	expect "no such buffer" "$(write 5000 "$card/use")" ENXIO || return
	expect buffers "$(write 140 "$card/buffers")" ok || return
	in_ram=$(buffers_in_ram)
	expect use "$(write 0 "$card/use")" ok || return
	[ "$(buffers_in_ram)" -le "$in_ram" ] || fail "more are in RAM" || return
	[ "$(buffers_in_ram)" -ge $((in_ram - 1)) ] || fail "more than one came back"
}
test_oversubscription() { with_card oversubscribed; }

# Moves of single pages are the engine's, as long as that makes sense. Each takes it 0.4 s.
engine()
{
	local before

	before=$(cat $edu/copied_pages)
	expect "by the engine" "$(echo "migrate $nid 8" | "$here/cdm_test_ctl")" "ok 8 8 wrong 0" ||
		return
	expect "copied by it" $(($(cat $edu/copied_pages) - before)) 16 || return
	echo 0 >$edu/max_pages
	expect "by the CPU" "$(echo "migrate $nid 8" | "$here/cdm_test_ctl")" "ok 8 8 wrong 0" ||
		return
	expect "copied by it" $(($(cat $edu/copied_pages) - before)) 16
}
test_engine() { with_parameter $edu/max_pages 1 0 with_card engine; }

# Its registers do not answer any more: the CPU copies, and memory is out of its reach. Bound
# again, it works again.
engine_hangs()
{
	local edu_pci driver=/sys/bus/pci/drivers/cdm_edu rc=0

	edu_pci=$(basename "$(readlink -f "$driver"/0000:*)")
	hung_engine || rc=1
	# whatever came of it, it works for those that follow
	setpci -s "$edu_pci" COMMAND=2:2
	write "$edu_pci" "$driver/unbind" >/dev/null
	expect bind "$(write "$edu_pci" "$driver/bind")" ok || rc=1
	return $rc
}

hung_engine()
{
	local before

	dmesg -C
	setpci -s "$edu_pci" COMMAND=0:2
	expect "without an answer" "$(echo "migrate $nid 2" | "$here/cdm_test_ctl")" \
		"ok 2 2 wrong 0" || return
	expect "log" "$(dmesg | grep -c "cdm_edu $edu_pci: does not answer: not used any more")" 1 ||
		return
	expect "bus master" "$((0x$(setpci -s "$edu_pci" COMMAND) & 4))" 0 || return
	expect unbind "$(write "$edu_pci" "$driver/unbind")" ok || return
	expect "without an engine" "$(echo "migrate $nid 2" | "$here/cdm_test_ctl")" \
		"ok 2 2 wrong 0" || return
	setpci -s "$edu_pci" COMMAND=2:2
	expect bind "$(write "$edu_pci" "$driver/bind")" ok || return
	before=$(cat $edu/copied_pages)
	expect "by the engine" "$(echo "migrate $nid 2" | "$here/cdm_test_ctl")" "ok 2 2 wrong 0" ||
		return
	expect "copied by it" $(($(cat $edu/copied_pages) - before)) 4
}
test_engine_hangs() { with_parameter $edu/max_pages 1 0 with_card engine_hangs; }

# What is no number, and what is not this card's
wrong_words()
{
	local file

	for file in buffers use retire; do
		expect "$file" "$(write much "$card/$file")" EINVAL || return
	done
	expect "address of RAM" "$(write 4096 "$card/retire")" EINVAL || return
	expect "buffers" "$(cat "$card/buffers")" 0
}
test_wrong_words() { with_card wrong_words; }

# Everything at once
whole_life()
{
	local bad hold file rc=0

	echo $((64 << 20)) >"$cdm/spill_max"
	expect buffers "$(write 100 "$card/buffers")" ok || return
	exec {file}<>"/dev/$(basename "$cdm")" || return
	head -c 4M /dev/zero >&"$file" || rc=1
	start_tool "$here/hold" $nid 16
	expect hold "$(listen)" "bound 4096" || rc=1
	hold=("$tool_in" "$tool_out" "$tool_pid")
	# evict and spill, scrub with each buffer
	expect buffers "$(write 135 "$card/buffers")" ok || rc=1
	[ "$(buffers_in_ram)" -ge 8 ] || fail "nothing was evicted" || rc=1
	[ "$(stat spilled)" -ge 4096 ] || fail "nothing was spilled" || rc=1
	expect buffers "$(write 60 "$card/buffers")" ok || rc=1
	# users' pages, moved by the driver
	expect migrate "$(echo "migrate $nid 64" | "$here/cdm_test_ctl")" "ok 64 64 wrong 0" || rc=1
	head -c 4M /dev/zero >&"$file" || fail "the file takes no more" || rc=1
	# a page in the middle goes bad, whoever has it
	bad=$(($(awk 'NR == 3 { print $1 }' "$card/resource") + (100 << 20)))
	expect retire "$(write $bad "$card/retire")" ok || rc=1
	expect retired "$(stat retired)" 1 || rc=1
	expect "bad page elsewhere" "$(write 4096 "$card/retire")" EINVAL || rc=1
	# offline and back: buffers within the budget, the process's memory in any case
	expect buffers "$(write 20 "$card/buffers")" ok || rc=1
	expect offline "$(write offline "$cdm/state")" ok || rc=1
	expect "in RAM" "$(buffers_in_ram)" 20 || rc=1
	expect online "$(write online_movable "$cdm/state")" ok || rc=1
	expect use "$(write 0 "$card/use")" ok || rc=1
	expect "in RAM" "$(buffers_in_ram)" 19 || rc=1
	head -c 4M /dev/zero >&"$file" || fail "the file takes no more" || rc=1
	# and out with it
	"$CDM_PLUG" remove || rc=1
	[[ $(head -c 4K /dev/zero 2>&1 >&"$file") == *"No space left"* ]] ||
		fail "the file still takes something" || rc=1
	exec {file}>&-
	use_tool "${hold[@]}"
	expect content "$(tell go | cut -d' ' -f3-4)" "wrong 0" || rc=1
	stop_tool || fail "the task died" || rc=1
	return $rc
}
test_whole_life() { with_card whole_life; }

# With buffers on the device and in RAM
pulled_out()
{
	echo $((64 << 20)) >"$cdm/spill_max"
	expect buffers "$(write 135 "$card/buffers")" ok || return
	"$CDM_PLUG" yank || return
	[ ! -e $nodes/node$nid ] || fail "node $nid is still there"
}
test_pulled_out() { with_card pulled_out; }

# Two devices of one card, each with a node and half of the memory
partitioned()
{
	local other

	other=$(list_nodes "$(cat $nodes/has_cdm)" | tail -n 1)
	[ "$other" != $nid ] || fail "one node" || return
	expect size "$(cat "$cdm/size")" $((128 << 20)) || return
	expect size "$(cat "$(cdm_of "$other")/size")" $((128 << 20)) || return
	expect buffers "$(write 50 "$card/buffers")" ok || return
	expect "held by the first" "$(cat "$cdm/pages_in_use/driver")" 25600 || return
	expect "held by the second" "$(cat "$(cdm_of "$other")/pages_in_use/driver")" 0 || return
	expect hold "$("$here/hold" "$other" 16 </dev/null | head -n 1)" "bound 4096" || return
	expect "the second one offline" "$(write offline "$(cdm_of "$other")/state")" ok || return
	expect "held by the first" "$(cat "$cdm/pages_in_use/driver")" 25600
}
test_partitions() { with_parameter $module/partitions 2 1 with_card partitioned; }

count_lost() { dmesg | grep -c 'gone without warning'; }

# The card is pulled out while its second device waits for a pinned page. The users of both are
# told at once; the removal waits for who has it pinned.
pulled_out_of_a_drain()
{
	local other before _ rc=0 hold answer=/tmp/cdm_model_drain yank

	other=$(list_nodes "$(cat $nodes/has_cdm)" | tail -n 1)
	before=$(count_lost)
	start_tool "$here/hold" "$other" 8 pin
	expect hold "$(listen)" "bound 2048" || rc=1
	hold=$tool_pid
	write offline "$(cdm_of "$other")/state" >$answer &
	wait_for "$(cdm_of "$other")/state" draining || rc=1
	"$CDM_PLUG" yank &
	yank=$!
	for _ in $(seq 150); do
		[ "$(count_lost)" -lt $((before + 2)) ] || break
		sleep 0.1
	done
	expect "devices that are lost after 15 s" $(($(count_lost) - before)) 2 || rc=1
	kill -KILL "$hold"
	wait $yank || rc=1
	expect "the writer's errno" "$(cat $answer)" ECANCELED || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" && return $rc
}
test_pulled_out_of_a_drain()
{
	with_parameter $module/partitions 2 1 with_card pulled_out_of_a_drain
}

# No driver takes the card then, and the log says why
wrong_partitions()
{
	local rc=0

	! "$CDM_PLUG" add 2>/dev/null || fail "it was taken" || rc=1
	dmesg | grep -q 'partitions 9 is not 1 to 8' || fail "nothing in the log" || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" || rc=1
	"$CDM_PLUG" remove && return $rc
}
test_wrong_partitions() { with_parameter $module/partitions 9 1 wrong_partitions; }

run_tests three_doors oversubscription engine engine_hangs wrong_words whole_life pulled_out partitions \
	pulled_out_of_a_drain wrong_partitions
