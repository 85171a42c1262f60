#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The model driver, cdm_pci, through all that a vendor's driver goes through, while a process
# and a file have memory of the device.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
# two blocks, which have room for so many buffers of 2 MiB, but for the kernel's reserve
export CDM_PLUG_MIB=$((2 * block >> 20))
room=$((CDM_PLUG_MIB / 2))
buffer_pages=$((2 * mib_pages))
nid=2
module=/sys/module/cdm_pci/parameters
edu=/sys/module/cdm_edu/parameters

# with_card COMMAND...: while such a card is in the slot
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
	local said nr=$((16 * mib_pages))

	said=$("$here/cdm_doors" $nid) || fail "$said" || return
	expect doors "$(sed 1d <<<"$said")" "$(printf '%-8s %d pages of %d\n' \
		fd $nr $nr mbind $nr $nr driver $nr $nr migrate $nr $nr back $nr $nr)"
}
test_three_doors() { with_card doors; }

# More buffers than the card has room for
oversubscribed()
{
	local in_ram

	expect "no budget" "$(write $((room + 12)) "$card/buffers")" ENOMEM || return
	expect buffers "$(write 0 "$card/buffers")" ok || return
	echo $((64 << 20)) >"$cdm/spill_max"
	expect "with a budget" "$(write $((room + 12)) "$card/buffers")" ok || return
	in_ram=$(buffers_in_ram)
	[ "$in_ram" -ge 12 ] && [ "$in_ram" -le 32 ] || fail "$in_ram buffers in RAM" || return
	[ "$(stat evicted)" -ge $((12 * buffer_pages)) ] || fail "evicted: $(stat evicted)" || return
	expect "too many" "$(write $((room + 42)) "$card/buffers")" ENOMEM || return
	[ "$(buffers_in_ram)" -le 32 ] || fail "more than the budget" || return
	# the oldest one is in RAM, and when it is used it comes back: another one makes room
	expect "no such buffer" "$(write 5000 "$card/use")" ENXIO || return
	expect buffers "$(write $((room + 12)) "$card/buffers")" ok || return
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
	expect "address of RAM" "$(write "$page" "$card/retire")" EINVAL || return
	expect "buffers" "$(cat "$card/buffers")" 0
}
test_wrong_words() { with_card wrong_words; }

# What is in the buffers goes to RAM with them, and comes back
checksums()
{
	local i

	for i; do
		dd if="$card/content" bs=2M skip="$i" count=1 iflag=fullblock status=none | md5sum
	done | sort
}
content_of_buffers()
{
	local before after i

	echo $((64 << 20)) >"$cdm/spill_max"
	expect buffers "$(write 100 "$card/buffers")" ok || return
	before=$(checksums 0 | head -n 1)
	expect "cleared" "$before" "$(head -c 2M /dev/zero | md5sum)" || return
	for i in 0 1 2; do
		head -c 2M /dev/urandom |
			dd of="$card/content" bs=2M seek="$i" iflag=fullblock conv=notrunc status=none ||
			return
	done
	before=$(checksums 0 1 2)
	expect buffers "$(write $((room + 7)) "$card/buffers")" ok || return
	[ "$(buffers_in_ram)" -ge 8 ] || fail "$(buffers_in_ram) buffers in RAM" || return
	# the oldest ones were evicted, one after the other; the last of them is the first now
	i=$(buffers_in_ram)
	after=$(checksums $((i - 3)) $((i - 2)) $((i - 1)))
	expect "in RAM" "$after" "$before" || return
	expect buffers "$(write 60 "$card/buffers")" ok
}
test_content_of_buffers() { with_card content_of_buffers; }

# What the card uses itself stays where it is, and is there again when it is asked for
channels()
{
	local each=$((4 * mib_pages + 32 + 16 + 4))

	expect channels "$(write 3 "$card/channels")" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" $((3 * each)) || return
	expect channels "$(write 1 "$card/channels")" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" $each || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect channels "$(cat "$card/channels")" 0 || return
	expect "while offline" "$(write 1 "$card/channels")" ENOMEM || return
	expect "none is left" "$(cat "$card/channels") $(cat "$cdm/pages_in_use/driver")" "0 0" || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect "too many" "$(write 1000 "$card/channels")" ENOMEM || return
	expect held "$(cat "$cdm/pages_in_use/driver")" $(($(cat "$card/channels") * each)) || return
	expect channels "$(write 2 "$card/channels")" ok
}
test_channels() { with_card channels; }

# frames ADDRESS PAGES: the physical addresses of the tool's pages
frames()
{
	local frame

	dd if="/proc/$tool_pid/pagemap" bs=8 skip=$(($1 / page)) count="$2" status=none |
		od -An -v -tu8 -w8 |
		while read -r frame; do echo $(((frame & ((1 << 55) - 1)) * page)); done
}

# find_unpinned NODE PAGES NR: the tool has so many pages in a mapping on NODE, one of them pinned:
# $start_of is where the mapping begins, and from $address on NR pages are without the pinned one
find_unpinned()
{
	local pinned

	pinned=$(listen)
	start_of=0x$(awk -v n=" N$1=$2 " '$0 ~ n { print $1 }' "/proc/$tool_pid/numa_maps" | head -n 1)
	address=$start_of
	! frames "$start_of" "$3" | grep -qx $((${pinned#pinned })) || address=$((start_of + $3 * page))
	address=$(printf '%#x' "$address")
}

# The memory of a process comes near, and a page of it that is about to fail goes away in time
fetched()
{
	local start_of address rc=0 half=$mib_pages

	start_tool "$here/hold" 0 2 small
	expect hold "$(listen)" "bound $((2 * mib_pages))" || rc=1
	find_unpinned 0 $((2 * half)) $half
	expect fetch "$(write "$tool_pid $address $half" "$card/fetch")" ok || rc=1
	expect fetched "$(cat "$card/fetch")" "$half pages, node $nid, 1 mappings" || rc=1
	expect "no process" "$(write "4194303 $address 1" "$card/fetch")" ESRCH || rc=1
	expect "no address" "$(write "$tool_pid" "$card/fetch")" EINVAL || rc=1
	expect failing "$(write "$(frames "$address" 1)" "$card/failing")" ok || rc=1
	expect retired "$(stat retired)" 1 || rc=1
	expect "pages there" "$(awk -v a="${start_of#0x}" '$1 == a' "/proc/$tool_pid/numa_maps" |
		grep -o "N$nid=[0-9]*")" "N$nid=$((half - 1))" || rc=1
	expect "the task" "$(tell go)" gone || rc=1
	stop_tool || fail "the task died" || rc=1
	return $rc
}
test_fetch() { with_card fetched; }

# What a card remembers of itself is told when it is registered, and its budget, too
remembered()
{
	local resource

	resource=$(awk 'NR == 3 { print $1 }' "$card/resource")
	expect bad_pages "$(cat "$cdm/bad_pages")" "$(printf '0x%016x\n0x%016x' $((resource + page)) $((
		resource + 0x100000)))" || return
	expect retired "$(stat retired)" 2 || return
	expect spill_max "$(cat "$cdm/spill_max")" 1048576
}
test_what_a_card_remembers()
{
	with_parameter $module/bad_offsets "$page",0x100000,0x7000000000 0x7000000000 \
		with_parameter $module/spill_max 1048576 0 with_card remembered
}

# Everything at once, while a process uses what it has there
whole_life()
{
	local bad hold file scrubbed copied rc=0

	echo $((64 << 20)) >"$cdm/spill_max"
	expect buffers "$(write 100 "$card/buffers")" ok || return
	exec {file}<>"/dev/$(basename "$cdm")" || return
	head -c 4M /dev/zero >&"$file" || rc=1
	start_tool "$here/hold" $nid 16 busy
	expect hold "$(listen)" "bound $((16 * mib_pages))" || rc=1
	hold=("$tool_in" "$tool_out" "$tool_pid")
	# evict and spill, scrub with each buffer on the device
	scrubbed=$(cat $module/scrubbed_pages)
	expect buffers "$(write $((room + 7)) "$card/buffers")" ok || rc=1
	[ "$(buffers_in_ram)" -ge 8 ] || fail "nothing was evicted" || rc=1
	[ "$(stat spilled)" -ge $((8 * buffer_pages)) ] || fail "nothing was spilled" || rc=1
	scrubbed=$(($(cat $module/scrubbed_pages) - scrubbed))
	[ $scrubbed -ge $((20 * buffer_pages)) ] || fail "$scrubbed pages scrubbed" || rc=1
	expect buffers "$(write 60 "$card/buffers")" ok || rc=1
	# users' pages, moved by the driver
	expect migrate "$(echo "migrate $nid 64" | "$here/cdm_test_ctl")" "ok 64 64 wrong 0" || rc=1
	head -c 4M /dev/zero >&"$file" || fail "the file takes no more" || rc=1
	copied=$(cat $edu/copied_pages)
	echo 1 >$edu/max_pages
	expect "by the engine" "$(echo "migrate $nid 2" | "$here/cdm_test_ctl")" "ok 2 2 wrong 0" || rc=1
	echo 0 >$edu/max_pages
	[ $(($(cat $edu/copied_pages) - copied)) -ge 4 ] || fail "the engine copied nothing" || rc=1
	# a page in the middle goes bad, whoever has it
	bad=$(($(awk 'NR == 3 { print $1 }' "$card/resource") + (100 << 20)))
	expect retire "$(write $bad "$card/retire")" ok || rc=1
	expect retired "$(stat retired)" 1 || rc=1
	expect "bad page elsewhere" "$(write "$page" "$card/retire")" EINVAL || rc=1
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
	expect buffers "$(write $((room + 7)) "$card/buffers")" ok || return
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
	expect size "$(cat "$cdm/size")" "$block" || return
	expect size "$(cat "$(cdm_of "$other")/size")" "$block" || return
	expect buffers "$(write 50 "$card/buffers")" ok || return
	expect "held by the first" "$(cat "$cdm/pages_in_use/driver")" $((50 * buffer_pages)) || return
	expect "held by the second" "$(cat "$(cdm_of "$other")/pages_in_use/driver")" 0 || return
	expect hold "$("$here/hold" "$other" 16 </dev/null | head -n 1)" "bound $((16 * mib_pages))" || return
	expect "the second one offline" "$(write offline "$(cdm_of "$other")/state")" ok || return
	expect "held by the first" "$(cat "$cdm/pages_in_use/driver")" $((50 * buffer_pages))
}
test_partitions() { with_parameter $module/partitions 2 1 with_card partitioned; }

# From one device to another: the engine reaches both
fetched_from_the_other()
{
	local other start_of address before rc=0

	other=$(list_nodes "$(cat $nodes/has_cdm)" | tail -n 1)
	start_tool "$here/hold" "$other" 1 small
	expect hold "$(listen)" "bound $((1 * mib_pages))" || rc=1
	find_unpinned "$other" "$mib_pages" 3
	before=$(cat $edu/copied_pages)
	expect fetch "$(write "$tool_pid $address 3" "$card/fetch")" ok || rc=1
	expect fetched "$(cat "$card/fetch")" "3 pages, node $nid, 1 mappings" || rc=1
	expect "copied by the engine" $(($(cat $edu/copied_pages) - before)) 3 || rc=1
	expect "where they are" "$(awk -v a="${start_of#0x}" '$1 == a' "/proc/$tool_pid/numa_maps" |
		grep -o "N[0-9]*=[0-9]*" | xargs)" "N$nid=3 N$other=$((mib_pages - 3))" || rc=1
	expect "the task" "$(tell go)" gone || rc=1
	stop_tool || fail "the task died" || rc=1
	return $rc
}
test_fetch_from_the_other_partition()
{
	with_parameter $module/partitions 2 1 with_parameter $edu/max_pages 1 0 \
		with_card fetched_from_the_other
}

count_lost() { dmesg | grep -c 'gone without warning'; }

# The card is pulled out while its second device waits for a pinned page. The users of both are
# told at once; the removal waits for who has it pinned.
pulled_out_of_a_drain()
{
	local other before _ rc=0 hold answer=/tmp/cdm_model_drain yank

	other=$(list_nodes "$(cat $nodes/has_cdm)" | tail -n 1)
	before=$(count_lost)
	start_tool "$here/hold" "$other" 8 pin
	expect hold "$(listen)" "bound $((8 * mib_pages))" || rc=1
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

run_tests three_doors oversubscription content_of_buffers channels fetch what_a_card_remembers engine engine_hangs wrong_words whole_life pulled_out partitions fetch_from_the_other_partition \
	pulled_out_of_a_drain wrong_partitions
