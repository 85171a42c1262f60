#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# One device, and everybody at it: onlining, offlining by the core and by hand, and cancelling
# it, its driver and the device itself coming and going, allocations, policies, migration, and
# pages that go bad. No task dies but of a bad page, no content is lost, and at the end the
# device is as good as new.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -e /dev/cdm_test ] || skip_all "needs the module cdm_test"
# a device in a slot is one that can be pulled out, too; a small one changes its state more often
export CDM_PLUG_MIB=256
[ ! -e /sys/bus/pci/slots/1 ] || grep -q 1 /sys/bus/pci/slots/1/adapter || "$CDM_PLUG" add ||
	skip_all "no device"
nid=$(device_nodes | head -n 1)
[ -n "$nid" ] || skip_all "no CDM node"
pci=$(basename "$(readlink -f "$(cdm_of "$nid")/device")")
start=$(awk 'NR == 3 { print $1 }' "/sys/bus/pci/devices/$pci/resource")
end=$((SECONDS + ${CDM_RACE_SECONDS:-60}))

# what a part of it is charged to, where the kernel has such
group=/sys/fs/cgroup/cdm_races
if [ -e /sys/fs/cgroup/dmem.capacity ]; then
	echo +dmem >/sys/fs/cgroup/cgroup.subtree_control
	mkdir $group
fi

# begin JOB: again and again, in the background
begin()
{
	case $1 in
	policies | files | migration | bad_pages)
		[ ! -e $group ] || echo "$BASHPID" >$group/cgroup.procs
		;;
	esac
	again $end "$1"
}

# did WHAT: it came to that
did() { echo >>"/tmp/cdm_race_did_$1"; }

whole_device()
{
	local state

	state=$(cdm_of "$nid")/state
	echo offline >"$state" && did whole_device
	echo online_movable >"$state" && did whole_device
} 2>/dev/null

single_blocks()
{
	local block

	for block in $(blocks_of "$nid" | shuf -n 2); do
		echo offline >"$block/state" && did offline_a_block
		echo online_movable >"$block/state"
	done
} 2>/dev/null

driver()
{
	echo "$pci" >/sys/bus/pci/drivers/cdm_pci/unbind && did unbind
	echo "$pci" >/sys/bus/pci/drivers/cdm_pci/bind && did bind
	sleep 12
	echo 1 >"/sys/bus/pci/devices/$pci/remove"
	echo 1 >/sys/bus/pci/rescan
	sleep 12
} 2>/dev/null

# Its address and its node are the same when it is back
pulled()
{
	local rc=0

	sleep 5
	{ "$CDM_PLUG" yank && "$CDM_PLUG" add; } || rc=$?
	[ $rc != 0 ] || did pull
	[ $rc = 0 ] || { echo "vm-plug: status $rc" && dmesg | tail -n 40; } >>/tmp/cdm_race_lost
}

# When something is at work; then it lets the next one get to its end
cancel()
{
	local file state="" _

	file=$(cdm_of "$nid")/state
	for _ in $(seq 60); do
		read -r state <"$file"
		[[ $state != draining && $state != onlining ]] || break
		sleep 0.05
	done
	echo cancel >"$file" && did cancel
	sleep $((RANDOM % 15))
} 2>/dev/null

# The driver that reports it has a page of the device, or it would not know the device
bad_pages()
{
	printf 'alloc %d 0 1\nretire %d\nfree\n' "$nid" $((start + RANDOM % 65536 * page)) |
		"$here/cdm_test_ctl" | grep -A1 '^ok 1 ' | grep -qx ok && did retire
	sleep 1
}

# To the device and back, as a driver moves pages
migration()
{
	local said

	said=$(printf "migrate $nid 64\n%.0s" {1..20} | "$here/cdm_test_ctl")
	! grep -q '^ok [1-9]' <<<"$said" || did migrate
	[ "$comes_and_goes" != driver ] || ! grep -q 'wrong [1-9]' <<<"$said" ||
		echo "migration: $said" >>/tmp/cdm_race_lost
}

allocations()
{
	printf 'alloc %d 0 500\nalloc %d 4 20\nfree\n' "$nid" "$nid" | "$here/cdm_test_ctl" |
		grep -q '^ok 500 0' && did allocate
	# while a driver has pages, the whole device stays as it is
	sleep 2
}

# held [pin]. 1: the node is not there to bind to; 135: SIGBUS, of a page that has gone bad or
# with the device. Until the kernel knows that a device was pulled out, anything may be read.
held()
{
	local said=/tmp/cdm_race_hold$* rc=0

	"$here/hold" "$nid" 8 "$@" </dev/null >"$said" 2>&1 || rc=$?
	if { [ $rc -gt 1 ] && [ $rc != 135 ]; } ||
		{ [ "$comes_and_goes" = driver ] && grep -q 'wrong [1-9]' "$said"; }; then
		echo "status $rc: $(cat "$said")" >>/tmp/cdm_race_lost
	fi
	! grep -q '^kept [1-9]' "$said" || did "hold$*"
}
policies() { held; }
pins() { held pin; }

# Whose number is another each time that the device comes back
files()
{
	local file

	file=/dev/$(basename "$(cdm_of "$nid")")
	[ ! -c "$file" ] || { head -c 4M /dev/zero >"$file" && did write; }
	sleep 0.1
} 2>/dev/null

# All that can be read of it
readers()
{
	find /sys/class/cdm/*/ -type f -exec cat {} + >/dev/null
	cat $zonelists /proc/buddyinfo "$nodes/node$nid/meminfo" >/dev/null
	numactl -H >/dev/null
} 2>/dev/null

charges()
{
	! grep -q ' [1-9]' $group/dmem.current || did charges
	sleep 0.3
}

test_everybody_at_once()
{
	local job comes_and_goes=driver ways="unbind bind" charges='' what rc=0

	[ ! -e $group ] || charges=charges
	[ ! -e /sys/bus/pci/slots/1 ] || comes_and_goes=pulled ways=pull
	rm -f /tmp/cdm_race_lost /tmp/cdm_race_did_*
	for job in whole_device single_blocks $comes_and_goes cancel allocations policies pins \
		files readers migration bad_pages $charges; do
		begin "$job" &
	done
	wait
	# nobody was kept from it all the time
	for what in whole_device offline_a_block $ways $charges cancel retire migrate allocate hold holdpin write; do
		[ -e "/tmp/cdm_race_did_$what" ] || fail "not once: $what" || { rc=1 && continue; }
		echo "# $what $(wc -l <"/tmp/cdm_race_did_$what")"
	done
	[ ! -e /tmp/cdm_race_lost ] || fail "$(head -n 60 /tmp/cdm_race_lost)" || rc=1
	return $rc
}

test_as_good_as_new()
{
	local cdm

	echo 1 >/proc/sys/vm/drop_caches
	[ ! -e $group ] || expect "what is charged" "$(grep -v ' 0$' $group/dmem.current)" "" || return
	# anew: it has no bad pages then
	{ echo "$pci" >/sys/bus/pci/drivers/cdm_pci/unbind; } 2>/dev/null
	echo "$pci" >/sys/bus/pci/drivers/cdm_pci/bind
	cdm=$(cdm_of "$nid")
	expect online "$(write online_movable "$cdm/state")" ok || return
	expect online_size "$(cat "$cdm/online_size")" "$(cat "$cdm/size")" || return
	echo 1 >/proc/sys/vm/drop_caches
	untouched || return
	expect hold "$("$here/hold" "$nid" 8 </dev/null | tail -n 1)" "kept $((8 * mib_pages)) wrong 0 fresh $((8 * mib_pages))"
}

run_tests everybody_at_once as_good_as_new
