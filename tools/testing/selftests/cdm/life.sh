#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A device's life beyond coming and going: several ranges and several devices, distances,
# who is told of its states, long work that is ended, and a card that is pulled out.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

device_blocks=4
pages=$((block / page))

# nothing_left: as if there had been no device
nothing_left()
{
	expect "device nodes" "$(device_nodes)" "" || return
	expect "class folder" "$(ls /sys/class/cdm)" "" || return
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 0
}

after_device() { nothing_left; }

# Two ranges with a hole between them are one device on one node
two_ranges()
{
	expect size "$(cat "$cdm/size")" $((5 * block)) || return
	expect online_size "$(cat "$cdm/online_size")" $((5 * block)) || return
	expect "iomem entries" "$(grep -c 'System RAM (cdm' /proc/iomem)" 2 || return
	expect blocks "$(blocks_of $nid | wc -l)" 5 || return
	# nearly all of both, and the counters of each block go back to 0
	expect alloc "$(tell "alloc $nid 9 $((5 * pages / 512 - 4))")" "ok $((5 * pages - 2048)) 0" ||
		return
	expect held "$(cat "$cdm/pages_in_use/driver")" $((5 * pages - 2048)) || return
	expect "offline" "$(write offline "$cdm/state")" EBUSY || return
	expect free "$(tell free)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect "offline" "$(write offline "$cdm/state")" ok
}
test_two_ranges()
{
	with_device "start2=$((start + 8 * block)) size2=$block" two_ranges
}

# What was added of the first range goes when the second one cannot be
refused_range()
{
	expect "$1" "$(ask "register $start $block $nid $1")" "error $2" && nothing_left
}
test_ranges_that_overlap() { refused_range "start2=$start size2=$block" EEXIST; }
test_second_range_overlaps_ram() { refused_range "start2=$block size2=$block" EEXIST; }
test_second_range_is_unaligned() { refused_range "start2=$((start + 1)) size2=$block" EINVAL; }

# Partitions: devices of one parent, each with its node; the second one is not the first's
test_partitions()
{
	local first second one node rc=0

	start_tool "$here/cdm_test_ctl"
	first=$(tell "register $start $((2 * block)) -1")
	[[ $first =~ ^ok\ [0-9]+$ ]] || fail "no id: $first" || rc=1
	one=("$tool_in" "$tool_out" "$tool_pid")
	start_tool "$here/cdm_test_ctl"
	second=$(tell "register $((start + 2 * block)) $((2 * block)) -1")
	[[ $second =~ ^ok\ [0-9]+$ ]] || fail "no second id: $second" || rc=1
	[ "$first" != "$second" ] || fail "one id for two devices" || rc=1
	for node in ${first#ok} ${second#ok}; do
		expect "size on node $node" "$(cat "$(cdm_of "$node")/size")" $((2 * block)) || rc=1
		expect "alloc on node $node" "$(tell "alloc $node 0 5")" "ok 5 0" || rc=1
		expect "held on node $node" "$(cat "$(cdm_of "$node")/pages_in_use/driver")" 5 || rc=1
		expect free "$(tell free)" ok || rc=1
	done
	stop_tool || rc=1
	expect "device nodes" "$(device_nodes)" "${first#ok }" || rc=1
	use_tool "${one[@]}"
	stop_tool || rc=1
	nothing_left && return $rc
}

# near node 1 at 25: 20 between the RAM nodes makes 35 to the other one
distance()
{
	expect "distances" "$(cut -d' ' -f1-2 $nodes/node$nid/distance) $(
		cut -d' ' -f3 $nodes/node0/distance) $(cut -d' ' -f3 $nodes/node1/distance)" \
		"35 25 35 25" || return
	numactl -H | grep -q "^ *$nid: *35 *25 *10" || fail "$(numactl -H | tail -n 4)" || return
	# kernel memory that names the node comes from the RAM that is nearest now
	expect "FALLBACK" "$(grep -A2 "NODE ($nid)" /sys/kernel/debug/cdm/zonelists |
		tail -n 1 | cut -d'(' -f2-3)" "0) (node 1) "
}
test_driver_says_the_distance() { with_device "near=1 distance=25" distance; }

# A driver may ask for fallback: then the node's own list begins with it
falls_back()
{
	expect fallback "$(cat "$cdm/fallback")" system || return
	expect "FALLBACK" "$(grep -A2 "NODE ($nid)" /sys/kernel/debug/cdm/zonelists |
		tail -n 1 | cut -d'(' -f2-3)" "0) (node $nid) "
}
test_driver_asks_for_fallback() { with_device "fallback=1" falls_back; }

firmware_distance()
{
	expect "distances" "$(cut -d' ' -f3 $nodes/node0/distance) $(
		cut -d' ' -f3 $nodes/node1/distance)" "40 60"
}
test_firmware_distance_comes_back() { with_device "" firmware_distance; }

access_attributes()
{
	local access=$nodes/node$nid/access0/initiators

	expect read_bandwidth "$(cat $access/read_bandwidth)" 450000 || return
	expect write_bandwidth "$(cat $access/write_bandwidth)" 450000 || return
	expect read_latency "$(cat $access/read_latency)" 300 || return
	expect access1 "$(cat ${access/access0/access1}/write_latency)" 300
}
test_access_attributes() { with_device "bandwidth=450000 latency=300" access_attributes; }

# An uevent for each state, whoever brought it about
uevents()
{
	local line got='' device=("$tool_in" "$tool_out" "$tool_pid")

	# the first block by hand; then the core does the rest, and takes all of it away
	{ echo offline >"$cdm/state"; } 2>/dev/null
	start_tool "$here/uevents"
	expect uevents "$(listen)" ready || return
	echo online_movable >"$(blocks_of $nid | head -n 1)/state"
	echo online_movable >"$cdm/state"
	echo offline >"$cdm/state"
	echo online_movable >"$(blocks_of $nid | tail -n 1)/state"
	echo offline >"$(blocks_of $nid | tail -n 1)/state"
	while read -r -t 2 -u "$tool_out" line; do
		got+="$line,"
	done
	stop_tool
	use_tool "${device[@]}"
	expect uevents "$got" "change online,change onlining,change online,change draining,change added,change online,change added,"
}
test_uevents() { with_device "" uevents; }

deadline()
{
	local begun=$SECONDS

	expect unregister "$(tell "unregister 2")" "error ETIMEDOUT" || return
	[ $((SECONDS - begun)) -le 20 ] || fail "took $((SECONDS - begun)) s, not 2" || return
	expect state "$(cat "$cdm/state")" online || return
	expect pinned "$(cat "$cdm/pages_in_use/pinned")" "$huge_pages" || return
	expect driver "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block))
}
deadline_of_the_caller() { pinned deadline; }
test_deadline_of_the_caller() { with_device "" deadline_of_the_caller; }

# Another tool's offlining ends, too: it gets EINTR where the page is, and the log says who has it
others_deadline()
{
	local one begun=$SECONDS answers=

	dmesg -C
	echo 3 >/sys/module/cdm/parameters/drain_seconds
	for one in $(blocks_of $nid); do
		answers+="$(write offline "$one/state") "
	done
	echo 60 >/sys/module/cdm/parameters/drain_seconds
	[ $((SECONDS - begun)) -le 30 ] || fail "took $((SECONDS - begun)) s" || return
	expect "one of the blocks" "$(tr ' ' '\n' <<<"$answers" | sort | xargs)" "EINTR ok ok ok" ||
		return
	dmesg | grep -q 'cannot drain (-110): .* '"$huge_pages pinned" || fail "$(dmesg | tail -n 1)" || return
	expect online_size "$(cat "$cdm/online_size")" "$block"
}
deadline_of_others() { pinned others_deadline; }
test_deadline_of_other_tools() { with_device "" deadline_of_others; }

# Another tool at a block keeps the core from its work for as long as the core's deadline says
tool_in_the_way()
{
	local begun answers=/tmp/cdm_answers one

	for one in $(blocks_of $nid); do
		write offline "$one/state"
	done >$answers &
	sleep 3
	begun=$SECONDS
	expect unregister "$(tell "unregister 2")" "error ETIMEDOUT" || return
	[ $((SECONDS - begun)) -le 20 ] || fail "took $((SECONDS - begun)) s, not 2" || return
	wait $!
	expect "the tool's answers" "$(sort $answers | uniq -c | xargs)" "1 EINTR 3 ok" || return
	expect online_size "$(cat "$cdm/online_size")" "$block"
}
removal_is_not_kept_by_a_tool() { pinned tool_in_the_way; }
test_removal_is_not_kept_by_a_tool() { with_device "" removal_is_not_kept_by_a_tool; }

# Nor does an administrator's drain, which may go on for ever
drain_in_the_way()
{
	local begun answer=/tmp/cdm_answers

	echo 0 >/sys/module/cdm/parameters/drain_seconds
	write offline "$cdm/state" >$answer &
	wait_for "$cdm/state" draining || return
	begun=$SECONDS
	expect unregister "$(tell "unregister 2")" "error ETIMEDOUT" || return
	[ $((SECONDS - begun)) -le 20 ] || fail "took $((SECONDS - begun)) s, not 2" || return
	wait $!
	echo 60 >/sys/module/cdm/parameters/drain_seconds
	expect "the administrator's errno" "$(cat $answer)" ECANCELED || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block))
}
removal_is_not_kept_by_a_drain() { pinned drain_in_the_way; }
test_removal_is_not_kept_by_a_drain() { with_device "" removal_is_not_kept_by_a_drain; }

cancelled()
{
	local answer=/tmp/cdm_cancelled progress

	write offline "$cdm/state" >$answer &
	wait_for "$cdm/state" draining || return
	progress=$(cat "$cdm/progress")
	[[ $progress =~ ^[0-3]\ 4$ ]] || fail "progress is '$progress'" || return
	expect cancel "$(write cancel "$cdm/state")" ok || return
	wait $!
	expect "the writer's errno" "$(cat $answer)" ECANCELED || return
	expect state "$(cat "$cdm/state")" online || return
	expect progress "$(cat "$cdm/progress")" "0 0" || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block)) || return
	expect "nothing to cancel" "$(write cancel "$cdm/state")" ENOENT
}
unregistration_cancelled()
{
	echo "unregister 60" >&"$tool_in"
	wait_for "$cdm/state" draining || return
	expect cancel "$(write cancel "$cdm/state")" ok || return
	expect unregister "$(listen)" "error ECANCELED" || return
	expect state "$(cat "$cdm/state")" online
}
cancel_an_unregistration() { pinned unregistration_cancelled; }
test_cancel_an_unregistration() { with_device "" cancel_an_unregistration; }

# A driver's remove() cannot fail, and so nobody cancels it
not_cancelled()
{
	echo remove >&"$tool_in"
	wait_for "$cdm/state" draining || return
	expect cancel "$(write cancel "$cdm/state")" ENOENT || return
	sleep 1
	expect state "$(cat "$cdm/state")" draining
}
removal_is_not_cancelled() { pinned not_cancelled && expect remove "$(listen)" ok; }
test_removal_is_not_cancelled() { with_device "" removal_is_not_cancelled; }

# Nor does it wait for another device, which is drained in vain, and for ever
other_in_the_way()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") second hold other begun rc=0
	local answer=/tmp/cdm_answers

	start_tool "$here/cdm_test_ctl"
	other=$(tell "register $((start + 4 * block)) $((4 * block)) -1")
	[[ $other =~ ^ok\ [0-9]+$ ]] || fail "no second device: $other" || rc=1
	other=${other#ok }
	second=("$tool_in" "$tool_out" "$tool_pid")
	start_tool "$here/hold" "$other" 64 pin
	expect hold "$(listen)" "bound $((64 * mib_pages))" || rc=1
	hold=("$tool_in" "$tool_out" "$tool_pid")
	echo 0 >/sys/module/cdm/parameters/drain_seconds
	write offline "$(cdm_of "$other")/state" >$answer &
	wait_for "$(cdm_of "$other")/state" draining || rc=1
	use_tool "${device[@]}"
	begun=$SECONDS
	# if not in time, because the other one's blocks had to come back first, then the next time
	[[ $(tell "unregister 2") =~ ^(ok|error\ ETIMEDOUT)$ ]] || fail "not unregistered" || rc=1
	[ $((SECONDS - begun)) -le 20 ] || fail "took $((SECONDS - begun)) s, not 2" || rc=1
	wait $!
	[ ! -e "$cdm" ] || expect unregister "$(tell "unregister 20")" ok || rc=1
	echo 60 >/sys/module/cdm/parameters/drain_seconds
	expect "the other's errno" "$(cat $answer)" ETIMEDOUT || rc=1
	use_tool "${hold[@]}"
	[[ $(tell go) =~ ^kept\ [0-9]+\ wrong\ 0\  ]] || fail "the task lost something" || rc=1
	stop_tool || rc=1
	use_tool "${second[@]}"
	stop_tool || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_removal_is_not_kept_by_another_device() { with_device "" other_in_the_way; }

cancel_a_drain() { pinned cancelled; }
test_cancel_a_drain() { with_device "" cancel_a_drain; }

# Onlining has nothing that waits: try until the two have met; both ends are whole. Without a
# process more in between, which takes longer than a few blocks.
cancel_onlining()
{
	local answer=/tmp/cdm_cancelled state progress seen="" i met=0

	for i in $(seq 40); do
		[ $met -lt 3 ] || break
		echo offline >"$cdm/state"
		# not what the one before has left there
		: >$answer
		state=
		write online_movable "$cdm/state" >$answer &
		until [ "$state" = onlining ] || [ -s $answer ]; do read -r state <"$cdm/state"; done
		read -r progress <"$cdm/progress"
		[[ ! $progress =~ ^[0-8]\ 8$ ]] || seen=$progress
		{ echo cancel >"$cdm/state"; } 2>/dev/null
		wait $!
		case $(cat $answer) in
		ok) expect online_size "$(cat "$cdm/online_size")" $((8 * block)) || return ;;
		ECANCELED)
			expect online_size "$(cat "$cdm/online_size")" 0 || return
			expect state "$(cat "$cdm/state")" added || return
			met=$((met + 1))
			;;
		*) fail "answer $(cat $answer)" || return ;;
		esac
	done
	[ -n "$seen" ] || fail "no progress was seen" || return
	[ $met -gt 0 ] || fail "not one of $i was cancelled"
}
test_cancel_onlining() { device_blocks=8 with_device "" cancel_onlining; }

# By the driver, of its own drain, from elsewhere
driver_cancels()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") other rc=0

	start_tool "$here/cdm_test_ctl"
	other=("$tool_in" "$tool_out" "$tool_pid")
	expect reference "$(tell "alloc $nid 0 0")" "ok 0 0" || rc=1
	use_tool "${device[@]}"
	echo "offline 60" >&"$tool_in"
	wait_for "$cdm/state" draining || rc=1
	use_tool "${other[@]}"
	expect cancel "$(tell cancel)" ok || rc=1
	stop_tool || rc=1
	use_tool "${device[@]}"
	expect offline "$(listen)" "error ECANCELED" || rc=1
	expect state "$(cat "$cdm/state")" online && return $rc
}
driver_cancels_a_drain() { pinned driver_cancels; }
test_driver_cancels_a_drain() { with_device "" driver_cancels_a_drain; }

# A driver that still has a reference to a device that has gone is told so by each call
gone_for_all_calls()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") other ask rc=0

	start_tool "$here/cdm_test_ctl"
	other=("$tool_in" "$tool_out" "$tool_pid")
	expect reference "$(tell "alloc $nid 0 0")" "ok 0 0" || rc=1
	use_tool "${device[@]}"
	expect unregister "$(tell "unregister 5")" ok || rc=1
	use_tool "${other[@]}"
	expect remove "$(tell remove)" ok || rc=1
	for ask in "unregister 1|ENODEV" "online|ENODEV" "offline|ENODEV" "retire $start|ENODEV" "cancel|ENOENT" \
		"retire 0|EINVAL" "alloc $nid 0 1|ENOMEM" "alloc $nid 0 1 flags=8|ENOMEM"; do
		expect "${ask%|*}" "$(tell "${ask%|*}")" "error ${ask#*|}" || rc=1
	done
	stop_tool || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_gone_for_all_calls() { with_device "spill_max=$page" gone_for_all_calls; }

# An open file is of the device that it was opened for, not of the next one on the node
file_of_another()
{
	local said

	# past what it has already, which moved to RAM
	said=$(head -c 4M /dev/zero 2>&1 >&"$file")
	[[ $said == *"No space left"* ]] || fail "a write says '$said'" || return
	expect used "$(used_pages $nid)" 0
}
test_file_of_the_device_before()
{
	local file rc=0

	start_tool "$here/cdm_test_ctl"
	expect register "$(tell "register $start $block $nid")" "ok $nid" || rc=1
	exec {file}<>"/dev/$(basename "$(cdm_of $nid)")" || rc=1
	head -c 64K /dev/zero >&"$file" || rc=1
	[ "$(used_pages $nid)" -ge $((65536 / page)) ] || fail "nothing was written to the device" || rc=1
	stop_tool || rc=1
	with_device "" file_of_another || rc=1
	exec {file}>&-
	return $rc
}

# Who wrote the file may be killed; what it has begun goes on
writer_is_killed()
{
	local pid

	bash -c 'echo offline >"$1"' - "$cdm/state" &
	pid=$!
	wait_for "$cdm/state" draining || return
	kill -TERM $pid
	sleep 1
	expect state "$(cat "$cdm/state")" draining
}
killed_and_done()
{
	pinned writer_is_killed && wait_for "$cdm/state" added && expect online_size \
		"$(cat "$cdm/online_size")" 0
}
test_signal_to_the_writer_changes_nothing() { with_device "" killed_and_done; }

# The driver is asked for its pages, and gives them
gives_back()
{
	expect alloc "$(tell "alloc $nid 3 10")" "ok 80 0" || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect online "$(write online_movable "$cdm/state")" ok
}
test_driver_gives_its_pages_back() { with_device "gives_back=1" gives_back; }

# Others onlined and offlined blocks: the device says what is
state_follows()
{
	local one

	one=$(blocks_of $nid | head -n 1)/state
	expect state "$(cat "$cdm/state")" added || return
	echo online_movable >"$one"
	expect state "$(cat "$cdm/state")" online || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect "that block" "$(cat "$one")" offline || return
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect online_size "$(cat "$cdm/online_size")" $((4 * block)) || return
	echo offline >"$one"
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect "that block" "$(cat "$one")" online
}
test_state_follows_other_tools() { with_device online_policy=1 state_follows; }

# Power would be cut, and the memory's content with it
no_suspend()
{
	dmesg -C
	expect freeze "$(write freeze /sys/power/state)" EBUSY || return
	expect reason "$(dmesg | grep -c "no suspend while device memory is online on nodes $nid$")" 1 || return
	# and later nothing of it is in the way
	expect offline "$(write offline "$cdm/state")" ok || return
	expect online "$(write online_movable "$cdm/state")" ok
}
test_no_suspend() { with_device "" no_suspend; }
suspend_when_offline()
{
	echo offline >"$cdm/state"
	# up to where somebody would have to wake the machine
	echo freezer >/sys/power/pm_test
	expect freeze "$(write freeze /sys/power/state)" ok
}
test_suspend_when_offline() { with_device "" suspend_when_offline; }

# A kexec'd kernel must not take it for RAM
not_mapped()
{
	expect "in the map" "$(grep -l "$start" /sys/firmware/memmap/*/start)" ""
}
test_not_in_the_firmware_map()
{
	[ -d /sys/firmware/memmap ] || skip "no /sys/firmware/memmap on this architecture" || return
	with_device "" not_mapped
}

# The card is pulled out while processes use it
test_surprise_removal()
{
	local before lines cache=0 rc=0

	echo "$pci" >$driver/bind
	start_tool "$here/lose" $nid 64 cache
	before=$(listen)
	[[ $before =~ ^bound\ $((64 * mib_pages))\ $((64 * mib_pages))\ cache\ ([1-9][0-9]*)$ ]] &&
		cache=${BASH_REMATCH[1]} ||
		fail "lose: $before" || rc=1
	dmesg -C
	"$CDM_PLUG" yank || rc=1
	expect "log" "$(dmesg | grep -c "gone without warning: $((128 * mib_pages + cache)) pages of users are lost")" 1 ||
		rc=1
	# page cache is read again from its disk
	expect after "$(tell go)" "anon $((64 * mib_pages)) shared $((64 * mib_pages)) read EIO ram 0 cache 0 wrong 0" || rc=1
	# and no user fills the log with that: ten in five seconds
	lines=$(dmesg | grep -c "MCE: Killing")
	# on x86 there is one for each that is told
	[ "$lines" -ge 1 ] || [ "$(uname -m)" != x86_64 ] || fail "not a line about it" || rc=1
	[ "$lines" -le 200 ] || fail "$lines lines about $((128 * mib_pages)) faults" || rc=1
	stop_tool || fail "the task died" || rc=1
	nothing_left || rc=1
	[ ! -e $nodes/node$nid ] || fail "node $nid is still there" || rc=1
	# and the slot takes the next one, which has none of it
	"$CDM_PLUG" add && untouched && expect hold "$("$here/hold" $nid 8 </dev/null | tail -n 1)" \
		"kept $((8 * mib_pages)) wrong 0 fresh $((8 * mib_pages))" || rc=1
	echo "$pci" >$driver/unbind
	return $rc
}

# What a process has mapped of a driver's pages stays the driver's business
mapped_and_lost()
{
	expect alloc "$(tell "alloc $nid 0 4")" "ok 4 0" || return
	expect map "$(tell "map 4")" ok || return
	expect lost "$(tell lost)" ok || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 0 || return
	expect "pages of the mapping" "$(used_pages $nid)" 4 || return
	expect unmap "$(tell unmap)" ok || return
	expect "pages of the mapping" "$(used_pages $nid)" 0 || return
	expect remove "$(tell remove)" ok
}
test_driver_maps_what_is_lost() { with_device "gives_back=1" mapped_and_lost; }

# What a program has by the device's file
file_and_lost()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") lose told rc=0

	told=$(dmesg | grep -c "gone without warning")
	start_tool "$here/lose" $nid 64 "/dev/${cdm##*/}"
	expect before "$(listen)" "bound 0 $((64 * mib_pages)) cache 0" || rc=1
	lose=("$tool_in" "$tool_out" "$tool_pid")
	use_tool "${device[@]}"
	# an error handler says it, and remove() once more
	expect lost "$(tell lost)" ok || rc=1
	expect "lost again" "$(tell lost)" ok || rc=1
	expect "lines in the log" "$(dmesg | grep -c "gone without warning")" $((told + 1)) || rc=1
	use_tool "${lose[@]}"
	expect after "$(tell go)" "anon 0 shared $((64 * mib_pages)) read EIO ram 0 cache 0 wrong 0" || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	return $rc
}
test_file_of_a_device_that_is_lost() { with_device "" file_and_lost; }

# Who drains it, and who waits to, gives up for the one who knows that it has gone
lost_for_all()
{
	local answers=/tmp/cdm_lost begun rc=0 device=("$tool_in" "$tool_out" "$tool_pid") hold
	local writers=()

	start_tool "$here/hold" $nid 64 pin
	expect hold "$(listen)" "bound $((64 * mib_pages))" || rc=1
	hold=$tool_pid
	use_tool "${device[@]}"
	write offline "$cdm/state" >$answers.1 &
	writers+=($!)
	wait_for "$cdm/state" draining || rc=1
	write offline "$cdm/state" >$answers.2 &
	writers+=($!)
	write online_movable "$cdm/state" >$answers.3 &
	writers+=($!)
	sleep 1
	begun=$SECONDS
	expect lost "$(tell lost)" ok || rc=1
	[ $((SECONDS - begun)) -le 20 ] || fail "it took $((SECONDS - begun)) s" || rc=1
	kill -KILL "$hold"
	wait "${writers[@]}"
	expect "the writers' errnos" "$(cat $answers.1 $answers.2 $answers.3)" \
		"ECANCELED"$'\n'"ENODEV"$'\n'"ENODEV" || rc=1
	expect "offline a block" "$(write offline "$(blocks_of $nid | head -n 1)/state")" ok || rc=1
	expect "and online" "$(write online_movable "$(blocks_of $nid | head -n 1)/state")" EPERM ||
		rc=1
	expect online "$(write online_movable "$cdm/state")" ENODEV || rc=1
	return $rc
}
test_lost_ends_every_drain() { with_device "" lost_for_all; }

# lost_with_swap LIMIT [shared]: a process with memory that was paged out, as far as LIMIT lets
lost_with_swap()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") rc=0 swapped
	local limit=$1
	shift

	swap_on 64M || return
	echo "$limit" >/sys/block/zram0/mem_limit
	start_tool "$here/swapped" $nid 8 "$@"
	expect swapped "$(listen)" ready || rc=1
	swapped=("$tool_in" "$tool_out" "$tool_pid")
	used=$(used_pages $nid)
	use_tool "${device[@]}"
	expect lost "$(tell lost)" ok || rc=1
	expect "pages on the device" "$(used_pages $nid)" 0 || rc=1
	use_tool "${swapped[@]}"
	answer=$(tell go)
	[ $# = 0 ] || answer+=" $(listen)"
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	swap_off
	return $rc
}
in_swap()
{
	local used answer

	# the parent had it read back; the child never had it anywhere but in swap
	lost_with_swap 0 shared || return
	expect "read back" "$used" $((8 * mib_pages)) || return
	expect "parent and child" "$answer" "lost $((8 * mib_pages)) wrong 0 lost 0 wrong 0"
}
test_what_is_in_swap_is_not_lost() { with_device "caps=3" in_swap; }
not_in_swap()
{
	local used answer

	lost_with_swap 1M || return
	[ "$used" -ge $((4 * mib_pages)) ] || fail "only $used pages were left on the device" || return
	expect "what was left" "$answer" "lost $used wrong 0"
}
test_what_did_not_get_to_swap_is_lost() { with_device "caps=3" not_in_swap; }

run_tests two_ranges ranges_that_overlap second_range_overlaps_ram second_range_is_unaligned \
	partitions driver_says_the_distance driver_asks_for_fallback firmware_distance_comes_back access_attributes \
	uevents deadline_of_the_caller deadline_of_other_tools removal_is_not_kept_by_a_tool removal_is_not_kept_by_a_drain \
	removal_is_not_kept_by_another_device removal_is_not_cancelled cancel_an_unregistration cancel_a_drain cancel_onlining driver_cancels_a_drain gone_for_all_calls file_of_the_device_before \
	signal_to_the_writer_changes_nothing driver_gives_its_pages_back \
	state_follows_other_tools no_suspend suspend_when_offline not_in_the_firmware_map \
	surprise_removal driver_maps_what_is_lost file_of_a_device_that_is_lost lost_ends_every_drain \
	what_is_in_swap_is_not_lost what_did_not_get_to_swap_is_lost
