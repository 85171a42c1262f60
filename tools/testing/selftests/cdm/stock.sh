#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The driver core as a module for a kernel that was not made for it: the node is nobody's
# from the first moment on, and all is as before when the module has gone.
# shellcheck source=tools/testing/selftests/cdm/slot.sh
. "$(dirname "$0")/slot.sh"

[ ! -e $nodes/has_cdm ] || skip_all "a kernel with CONFIG_CDM"
modules=${CDM_MODULES?}/modules/drivers/cdm
after_device() { nobodys; }

total_kib() { awk '/^MemTotal/ { print $2 }' /proc/meminfo; }

# What the kernel said of its lists when it composed them last, as "NODE: NODE...": what it is
# without our module
lists_in_log()
{
	dmesg | tac | sed -n 's/.*Fallback order for Node \([0-9]*: [0-9 ]*[0-9]\) *$/\1/p' | sort -un
}

# The node is in no list and no mask, and has no page in use
nobodys()
{
	expect has_memory "$(cat $nodes/has_memory)" "0-1" || return
	expect has_normal_memory "$(cat $nodes/has_normal_memory)" "0-1" || return
	expect Mems_allowed "$(awk '/^Mems_allowed_list/ { print $2 }' /proc/self/status)" "0-1" ||
		return
	expect lists "$(lists_of FALLBACK | grep -c "/.*\<$nid\>")" 0
}

alone()
{
	nobodys || return
	expect "lists of the nodes" "$(lists_of FALLBACK NOFALLBACK)" "0 RAM: / 0 1 / 0
1 RAM: / 1 0 / 1
$nid CDM: / 0 1 / $nid" || return
	expect MemTotal "$(total_kib)" "$total" || return
	expect used "$(used_pages $nid)" 0 || return
	expect zones "$(cat "$nodes/node$nid"/memory*/valid_zones | sort -u)" Movable
}
test_alone_from_the_start()
{
	local total

	total=$(total_kib)
	with_device caps=0 alone && expect "MemTotal afterwards" "$(total_kib)" "$total"
}

# online, as distributions have it, would choose ZONE_NORMAL
test_auto_onlining_finds_no_other_zone()
{
	local auto=/sys/devices/system/memory/auto_online_blocks saved value rc=0 total

	saved=$(cat $auto)
	total=$(total_kib)
	for value in offline online online_kernel online_movable; do
		echo $value >$auto
		with_device caps=0 alone || fail "with $value" || rc=1
	done
	echo "$saved" >$auto
	return $rc
}

by_hand()
{
	local part

	part=$(blocks_of $nid | head -n 1)
	expect state "$(cat "$cdm/state")" added || return
	expect online_kernel "$(write online_kernel "$part/state")" EPERM || return
	expect online_movable "$(write online_movable "$part/state")" ok || return
	expect state "$(cat "$cdm/state")" online || return
	expect online_size "$(cat "$cdm/online_size")" $block || return
	nobodys && expect "the rest" "$(write online_movable "$cdm/state")" ok || return
	expect offline "$(write offline "$cdm/state")" ok
}
test_by_hand() { with_device "caps=0 online_policy=1" by_hand; }

# A driver gets it, from a restricted cpuset, too; who only hints at the node gets RAM
driver()
{
	local pages=$((device_blocks * block / page)) answer

	expect pages "$(tell "alloc $nid 0 1000")" "ok 1000 0" || return
	expect blocks "$(tell "alloc $nid 9 4")" "ok 2048 0" || return
	expect array "$(tell "alloc $nid 0 1000 how=4 flags=1")" "ok 1000 0" || return
	expect held "$(cat "$cdm/pages_in_use/driver")" 4048 || return
	expect offline "$(write offline "$cdm/state")" EBUSY || return
	expect free "$(tell free)" ok || return
	expect "a hint" "$(tell "alloc $nid 0 1000 how=1")" "ok 0 1000" || return
	expect "a movable hint" "$(tell "alloc $nid 0 1000 how=3")" "ok 0 1000" || return
	# -EOPNOTSUPP, by range
	expect migrate "$(tell "migrate $nid 8")" "ok -95 -95 wrong 0" || return
	# all but the reserve that the kernel keeps, and what is on other CPUs' lists
	answer=$(tell "alloc $nid 9 $pages")
	[[ $answer =~ ^ok\ ([0-9]+)\ 0$ ]] && [ "${BASH_REMATCH[1]}" -ge $((pages - 4096)) ] ||
		fail "no more than that: $answer" || return
	expect "no more" "$(tell "alloc $nid 9 1")" "error ENOMEM" || return
	expect free "$(tell free)" ok && expect used "$(used_pages $nid)" 0
}
test_driver_gets_pages() { with_device caps=0 driver; }

from_a_cpuset()
{
	local group=/sys/fs/cgroup/cdm_sh rc=0

	echo 0 >$group/cpuset.mems && echo "$tool_pid" >$group/cgroup.procs || return
	driver || rc=1
	# it belongs to the first group again, so that this one can go
	echo "$tool_pid" >/sys/fs/cgroup/cgroup.procs
	return $rc
}
test_driver_in_a_cpuset() { with_child_cpuset with_device caps=0 from_a_cpuset; }

# refused NAME COMMAND...: a log line says that it needs another kernel
refused()
{
	dmesg -C
	expect "$1" "$("${@:2}")" EOPNOTSUPP || return
	expect "log lines of $1" "$(dmesg | grep -c "$1.*a kernel with CONFIG_")" 1
}
refused_register() { ask "register $start $block $nid $1" | sed 's/^error //'; }
refused_by_sysfs()
{
	refused fallback write system "$cdm/fallback" &&
		refused capabilities write user_bind "$cdm/capabilities"
}
test_what_it_cannot_do()
{
	refused caps refused_register caps=1 || return
	refused distance refused_register "caps=0 near=0 distance=60" || return
	expect "no reserved ids" "$(ask "register $start $block -1 caps=0")" "error ENOSPC" ||
		return
	with_device caps=0 refused_by_sysfs
}

# RAM is full and more is wanted all the time, while the device comes and goes
test_comes_under_pressure()
{
	local hog rc=0 total i

	total=$(total_kib)
	swap_on 1G || return
	"$here/hog" $(($(awk '/MemFree/ { print $2 }' /proc/meminfo) * 105 / 100 / 1024)) &
	hog=$!
	for i in 1 2 3 4 5; do
		with_device caps=0 alone || fail "time $i" || rc=1
	done
	kill $hog 2>/dev/null
	wait $hog 2>/dev/null
	swap_off
	return $rc
}

# Who allocates movable memory, and would like it there, gets none, not even in the moment in which
# blocks come online, all at once or by hand
hint_while()
{
	start_tool "$here/cdm_test_ctl"
	while [ -e "$1" ]; do
		tell "alloc $nid 0 3000 how=3"
		tell free >/dev/null
	done
	stop_tool
}

hinted_at()
{
	local said go answers hinting i first rc=0

	first=/sys/devices/system/memory/memory$((start / block))/state
	said=$(mktemp)
	go=$(mktemp)
	hint_while "$go" >"$said" &
	hinting=$!
	for i in 1 2 3; do
		expect "online, time $i" "$(write online_movable "$cdm/state")" ok || rc=1
		expect "used, time $i" "$(used_pages $nid)" 0 || rc=1
		expect "offline, time $i" "$(write offline "$cdm/state")" ok || rc=1
		expect "a block, time $i" "$(write online_movable "$first")" ok || rc=1
		expect "used by hand, time $i" "$(used_pages $nid)" 0 || rc=1
		expect_free "time $i" $block || rc=1
		expect "offline by hand, time $i" "$(write offline "$first")" ok || rc=1
	done
	rm "$go"
	wait $hinting || rc=1
	answers=$(grep -c '^ok 0 3000$' "$said")
	[ "$answers" -ge 5 ] || fail "$answers allocations meanwhile" || rc=1
	expect "of the device" "$(grep -v '^ok 0 3000$' "$said")" "" || rc=1
	rm "$said"
	return $rc
}
test_comes_while_others_want_it() { with_device "caps=0 online_policy=1" hinted_at; }

# expect_free WHEN BYTES: of the device; each CPU may know of a few pages more, or less
expect_free()
{
	local off=$(($(cat "$cdm/stats/free") - $2 / page))

	[ ${off#-} -lt 512 ] || fail "free, $1: off by $off"
}

# Another one's word counts, after ours: the block is as it was, and comes online the next time
refused_by_another()
{
	local inject=/sys/kernel/debug/notifier-error-inject/memory/actions/MEM_GOING_ONLINE/error free rc=0

	free=$(awk '$1 == "nr_free_pages" { print $2 }' /proc/vmstat)
	echo -12 >$inject || rc=1
	expect "refused" "$(write online_movable "$cdm/state")" ENOMEM || rc=1
	expect "a block refused" "$(write online_movable "/sys/devices/system/memory/memory$((start / block))/state")" \
		ENOMEM || rc=1
	echo 0 >$inject || rc=1
	free=$(($(awk '$1 == "nr_free_pages" { print $2 }' /proc/vmstat) - free))
	[ ${free#-} -lt 16384 ] || fail "the machine's free pages: off by $free" || rc=1
	expect "online" "$(write online_movable "$cdm/state")" ok || rc=1
	expect_free "afterwards" $((device_blocks * block)) || rc=1
	expect "used" "$(used_pages $nid)" 0 || rc=1
	return $rc
}
test_another_refuses_it()
{
	local rc=0

	modprobe memory-notifier-error-inject 2>/dev/null || skip "a kernel without notifiers that fail" || return
	with_device "caps=0 online_policy=1" refused_by_another || rc=1
	modprobe -r memory-notifier-error-inject || rc=1
	return $rc
}

# The device's pages that are on a list of the LRU, as pfns (KPF_LRU, KPF_UNEVICTABLE)
pages_on_lru()
{
	perl -e 'open F, "<", "/proc/kpageflags" or die; seek F, 8 * $ARGV[0], 0; read F, $b, 8 * $ARGV[1];
		my $i = 0; for (unpack "Q*", $b) { print $ARGV[0] + $i, "\n" if $_ >> 5 & 1 || $_ >> 18 & 1; $i++ }' \
		$((start / page)) $((device_blocks * block / page))
}

# What was written stays, also where somebody wants the page out of use; what hardware has lost is
# an error, not zeroes
written_and_lost()
{
	local memory=/sys/devices/system/memory file pfn got rc=0

	exec {file}<>"/dev/$(basename "$cdm")" || return
	head -c $((4 * page)) /dev/zero | tr '\0' x >&$file || rc=1
	for pfn in $(pages_on_lru); do
		write "$(printf '%#x' $((pfn * page)))" $memory/soft_offline_page >/dev/null
	done
	got=$(perl -e 'open F, "<&=", $ARGV[0]; sysseek F, 0, 0; sysread F, $b, $ARGV[1];
		print length $b, " ", $b =~ tr/x//' "$file" $((4 * page)))
	expect "what is read, what of it was written" "$got" "$((4 * page)) $((4 * page))" || rc=1
	pfn=$(pages_on_lru | head -n 1)
	[ -n "$pfn" ] || fail "no page is on a list" || rc=1
	write "$(printf '%#x' $((pfn * page)))" $memory/hard_offline_page >/dev/null
	# which of the four it is, nobody says
	got=$(perl -e 'open F, "+<&=", $ARGV[0]; for (0 .. 3) { sysseek F, $_ * $ARGV[1], 0;
		$b = "x" x $ARGV[1]; $n++ if !defined syswrite(F, $b) && $!{EIO};
		sysseek F, $_ * $ARGV[1], 0; $n++ if !defined sysread(F, $b, $ARGV[1]) && $!{EIO} }
		print $n' "$file" "$page")
	expect "EIO where it is lost" "$got" 2 || rc=1
	exec {file}>&-
	return $rc
}
test_what_was_written_stays()
{
	[ -e /sys/devices/system/memory/soft_offline_page ] || skip "a kernel that takes no page out of use" || return
	with_device caps=0 written_and_lost
}

# Firmware's word is heard by mm alone: a driver's block of which a page is bad is nobody's again
reported_by_firmware()
{
	local all n answer
	all=$((device_blocks * block / page))

	answer=$(tell "alloc $nid 9 $((all / 512))")
	[[ $answer =~ ^ok\ [0-9]+\ 0$ ]] || fail "blocks: $answer" || return
	for n in 700 5000; do
		write "$(printf '%#x' $((start + n * page)))" \
			/sys/devices/system/memory/hard_offline_page >/dev/null
	done
	expect free "$(tell free)" ok || return
	# whatever they find, it is not these
	answer=$(tell "alloc $nid 9 $((all / 512))")
	[[ $answer =~ ^ok\ [0-9]+\ 0$ ]] || fail "blocks again: $answer" || return
	expect free "$(tell free)" ok || return
	expect offline "$(write offline "$cdm/state")" ok || return
	expect listed "$(cat "$cdm/bad_pages")" "$(printf '0x%016x\n' $((start + 700 * page)) \
		$((start + 5000 * page)))" || return
	# 6.12 has a rule of its own, until the memory has been removed
	if [[ $(uname -r) != 6.1.* ]]; then
		expect online "$(write online_movable "$cdm/state")" EHWPOISON
		return
	fi
	expect online "$(write online_movable "$cdm/state")" ok || return
	answer=$(tell "alloc $nid 0 $all")
	[[ $answer =~ ^ok\ [0-9]+\ 0$ ]] || fail "pages: $answer" || return
	expect free "$(tell free)" ok
}
test_bad_pages_by_firmware()
{
	[ -e /sys/devices/system/memory/hard_offline_page ] || skip "a kernel that takes no page out of use" || return
	with_device caps=0 reported_by_firmware
}

# Nobody had time to move anything away
pulled_out()
{
	local rc=0

	start_tool "$here/lose" $nid 64 "/dev/$(basename "$(cdm_of $nid)")"
	expect before "$(listen)" "bound 0 $((64 * mib_pages)) cache 0" || rc=1
	dmesg -C
	"$CDM_PLUG" yank || rc=1
	expect "log" "$(dmesg | grep -c 'gone without warning: 16384 pages of users are lost')" 1 || rc=1
	expect after "$(tell go)" "anon 0 shared 16384 read EIO ram 0 cache 0 wrong 0" || rc=1
	stop_tool || fail "the task died" || rc=1
	[ ! -e $nodes/node$nid ] || fail "node $nid is still there" || rc=1
	nobodys && return $rc
}
test_surprise_removal()
{
	echo "$pci" >$driver/bind
	pulled_out || return
	# and the slot takes the next one
	"$CDM_PLUG" add && echo "$pci" >$driver/unbind
}

# By no policy, nor by name in a system call
names_it()
{
	local rc=0 group=/sys/fs/cgroup/cdm_sh

	! numactl -a --membind=$nid true 2>/dev/null || fail "--membind" || rc=1
	! numactl -a --interleave=$nid true 2>/dev/null || fail "--interleave" || rc=1
	! numactl -a --preferred=$nid true 2>/dev/null || fail "--preferred" || rc=1
	numactl -a --membind=0,$nid "$here/hog" 64 || fail "RAM beside it" || rc=1
	# pages of this shell's: none of them goes there
	! migratepages $$ 0,1 $nid 2>/dev/null || fail "migratepages" || rc=1
	# a cpuset takes any node that may have memory one day, and gives none that has not
	echo 0,$nid >$group/cpuset.mems
	expect "mems beside RAM" "$(cat $group/cpuset.mems.effective)" 0 || rc=1
	echo $nid >$group/cpuset.mems
	expect "mems alone" "$(cat $group/cpuset.mems.effective)" 0-1 || rc=1
	expect used "$(used_pages $nid)" 0 && return $rc
}
test_policies_cannot_name_it() { with_child_cpuset with_device caps=0 names_it; }

# Of what the kernel calls RAM in its own accounts, none is the device's
in_the_accounts()
{
	local now half page_kib=$((page / 1024))

	now=$(awk '/^(MemTotal|CommitLimit)/ { print $2 }' /proc/meminfo)
	expect "MemTotal, CommitLimit" "$now" "$1" || return
	mount -t tmpfs cdm_tmpfs /mnt
	now=$(df -k --output=size /mnt | tail -n 1)
	umount /mnt
	# half of the pages, of which there may be an odd number
	half=$((total / page_kib / 2))
	expect "a tmpfs" $((now)) $((half * page_kib))
}
test_alone_in_the_accounts()
{
	local total

	total=$(total_kib)
	with_device caps=0 in_the_accounts \
		"$(awk '/^(MemTotal|CommitLimit)/ { print $2 }' /proc/meminfo)"
}

# Power would be cut, and the memory's content with it
no_suspend()
{
	dmesg -C
	expect freeze "$(write freeze /sys/power/state)" EBUSY || return
	expect "log lines" "$(dmesg | grep -c "node $nid is online: offline its device")" 1
}
test_no_suspend()
{
	[ -e /sys/power/state ] || skip "a kernel that does not suspend" || return
	with_device caps=0 no_suspend
}

# Whether a page was known before it came online, by whoever, or goes bad later: all that can
# be had is had, and no bad page is among it
no_bad_ones()
{
	local address answer

	write online_movable "$(blocks_of $nid | sort -V | head -n 1)/state" >/dev/null
	expect "the rest" "$(write online_movable "$cdm/state")" ok || return
	address=$(printf '%#x' $((start + 700 * page)))
	expect retire "$(tell "retire $address")" ok || return
	answer=$(tell "alloc $nid 0 $((device_blocks * block / page))")
	[[ $answer =~ ^ok\ [0-9]+\ 0$ ]] || fail "alloc: $answer" || return
	expect listed "$(wc -l <"$cdm/bad_pages")" 2 || return
	expect free "$(tell free)" ok || return
	answer=$(tell "alloc $nid 9 $((device_blocks * block / page / 512))")
	[[ $answer =~ ^ok\ [0-9]+\ 0$ ]] || fail "blocks: $answer" || return
	expect free "$(tell free)" ok && expect offline "$(write offline "$cdm/state")" ok
}
test_bad_pages_stay_away()
{
	if [ ! -e /sys/devices/system/memory/hard_offline_page ]; then
		refused "page 0x.*" refused_register "caps=0 bad_page=$start"
		return
	fi
	with_device "caps=0 online_policy=1 bad_page=$((start + 5 * page))" no_bad_ones
}

cycle()
{
	local file

	insmod "$modules/cdm.ko" && insmod "$modules/cdm_edu.ko" && insmod "$modules/cdm_pci.ko" &&
		"$CDM_PLUG" add || return
	exec {file}<>/dev/cdm0 || return
	head -c 64M /dev/zero >&$file || return
	expect used "$(used_pages $nid)" 16384 || return
	"$CDM_PLUG" remove && rmmod cdm_pci cdm_edu || return
	# its content is in RAM now
	expect "unloading in use" "$(rmmod cdm 2>&1 | grep -c 'in use')" 1 || return
	exec {file}>&-
	rmmod cdm
}

footprint()
{
	cat /proc/iomem $nodes/possible $nodes/online $nodes/has_*
	ls /sys/class /sys/devices/system/memory
	lists_in_log
	total_kib
	lsmod | grep cdm
}

# Loaded, plugged, used, unplugged, unloaded: as often as that, nothing is left
test_load_cycles_leave_nothing()
{
	local before slab i cycles=${CDM_LOAD_CYCLES:-5}

	"$CDM_PLUG" remove
	rmmod cdm_test cdm_pci cdm_edu cdm || return
	cycle && cycle || fail "the first cycles failed" || return
	before=$(footprint)
	slab=$(slab_kib)
	forget_leaks
	for i in $(seq "$cycles"); do
		cycle || fail "cycle $i failed" || return
	done
	expect footprint "$(footprint)" "$before" || return
	# what others of the kernel set up meanwhile; a block's device, group and memmap would be
	# tens of KiB a cycle
	nothing_leaked "$slab" $((cycles * 2 + 400))
}

run_tests alone_from_the_start alone_in_the_accounts policies_cannot_name_it no_suspend auto_onlining_finds_no_other_zone by_hand driver_gets_pages \
	driver_in_a_cpuset what_it_cannot_do comes_under_pressure comes_while_others_want_it another_refuses_it what_was_written_stays \
	bad_pages_stay_away bad_pages_by_firmware surprise_removal load_cycles_leave_nothing
