#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The services of Documentation/admin-guide/mm/cdm.rst, started by systemd, which is the first
# process of a namespace here. Needs the machine of that page: a dax device on node 2.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

guide=$here/cdm.rst
systemd=/lib/systemd/systemd
units=/run/systemd/system
nid=2
[ -x $systemd ] || skip_all "needs systemd"
[ -e /sys/bus/dax/drivers/cdm ] || skip_all "a kernel without CONFIG_CDM_DAX"
[ "$(cat /sys/bus/dax/devices/dax0.0/target_node 2>/dev/null)" = $nid ] ||
	skip_all "needs the dax device dax0.0 on node $nid"
# it would take over what a systemd outside of the namespace has in /run
[ ! -d $units ] || skip_all "systemd runs here"
mkdir -p $units
# no other service of this machine's
export PATH=$here:$PATH SYSTEMD_UNIT_PATH=$units:/usr/lib/systemd/system container=cdm

# driver_of_dax: which driver has dax0.0
driver_of_dax() { basename "$(readlink /sys/bus/dax/devices/dax0.0/driver)"; }

# unit NAME LINE...: a service, with these lines, that a program of 8 MiB runs in
unit()
{
	{
		printf '[Service]\nExecSearchPath=%s:/usr/local/bin:/usr/bin:/bin\n' "$here"
		printf '%s\n' "${@:2}"
	} >"$units/$1.service"
}
printf '%s\n' "x=\$(head -c 8M /dev/zero | tr '\\0' x)" "touch /run/cdm-\$1" "sleep 1000" >/run/cdm-program

# pages_of NAME: how many pages its program has on the device once it has all that it wants
pages_of()
{
	local name=$1

	systemctl start "$name" || return
	until [ -e "/run/cdm-$name" ]; do
		systemctl --quiet is-active "$name" || fail "service $name has ended" >&2 || return
		sleep 0.1
	done
	used_pages $nid
	systemctl stop "$name"
}

# uses_the_device NAME: its program has all of its memory there, and none is left when it ends
uses_the_device()
{
	local pages

	pages=$(pages_of "$1") || return
	[ "$pages" -ge 2048 ] || fail "$pages pages of the program are on node $nid, not 2048" || return
	untouched
}

# start_systemd: as the first process of a namespace, in a cgroup of its own
start_systemd()
{
	mkdir -p /sys/fs/cgroup/machine
	(
		echo "$BASHPID" >/sys/fs/cgroup/machine/cgroup.procs
		exec unshare --pid --fork --mount --mount-proc --cgroup $systemd --system \
			--unit=basic.target --log-target=null
	) </dev/null >/dev/null 2>&1 &
	outside=$!
	while kill -0 $outside && ! first=$(pgrep -P $outside); do sleep 0.1; done
	trap 'kill -9 $first' EXIT
}

# it listens to nobody whom it cannot see
systemctl() { nsenter --target "$first" --pid --mount --cgroup systemctl "$@"; }

# For as long as it lives: whoever runs this has a deadline
wait_for_systemd()
{
	while kill -0 "$outside"; do
		! systemctl --quiet is-active basic.target 2>/dev/null || return 0
		sleep 0.1
	done
	fail "systemd has ended"
}

# write_service: the page's own, word by word
write_service()
{
	[ ! -e $units/cdm-dax0.0.service ] || return 0
	awk '/cdm-dax0.0.service``::$/ { on = 1; next } on && /^[^ ]/ { exit } on' "$guide" |
		sed 's/^    //' >$units/cdm-dax0.0.service
	grep -q '^ExecStart=' $units/cdm-dax0.0.service || fail "the page has no such service"
}

# What does not go offline must not be unbound: it would stay behind until reboot
test_memory_in_use_stays_with_kmem()
{
	local inject=/sys/kernel/debug/notifier-error-inject/memory/actions/MEM_GOING_OFFLINE/error rc=0

	[ -e $inject ] || skip "needs CONFIG_MEMORY_NOTIFIER_ERROR_INJECT" || return
	write_service || return
	daxctl online-memory dax0.0 >/dev/null 2>&1
	expect "driver before" "$(driver_of_dax)" kmem || return
	wait_for_systemd || return
	echo -12 >$inject
	! systemctl start cdm-dax0.0 2>/dev/null || fail "the service says that it has it" || rc=1
	echo 0 >$inject
	expect driver "$(driver_of_dax)" kmem || rc=1
	expect devices "$(find /sys/class/cdm -mindepth 1)" "" && return $rc
}

# back_to_kmem: as after a boot
back_to_kmem()
{
	systemctl stop cdm-dax0.0 || return
	echo dax0.0 >/sys/bus/dax/drivers/kmem/bind && expect "driver" "$(driver_of_dax)" kmem
}

# For daxctl that is an error
test_memory_that_is_offline()
{
	write_service && wait_for_systemd || return
	daxctl offline-memory dax0.0 >/dev/null 2>&1
	expect "driver before" "$(driver_of_dax)" kmem || return
	systemctl start cdm-dax0.0 || return
	expect driver "$(driver_of_dax)" cdm && back_to_kmem
}

# Where kmem has onlined the memory before
test_dax_memory_is_a_device()
{
	write_service || return
	daxctl online-memory dax0.0 >/dev/null 2>&1
	expect "driver before" "$(driver_of_dax)" kmem || return
	wait_for_systemd || return
	systemctl start cdm-dax0.0 || return
	expect service "$(systemctl is-active cdm-dax0.0)" active || return
	expect driver "$(driver_of_dax)" cdm || return
	expect state "$(cat "$(cdm_of $nid)/state")" online
}

test_service_is_bound()
{
	unit bound "ExecStart=cdmctl run --node $nid -- sh /run/cdm-program bound"
	uses_the_device bound
}

test_service_has_a_policy()
{
	unit policy "ExecStart=sh /run/cdm-program policy" NUMAPolicy=bind NUMAMask=$nid
	uses_the_device policy
}

test_service_ends()
{
	systemctl stop cdm-dax0.0 || return
	expect service "$(systemctl is-active cdm-dax0.0)" inactive || return
	expect "devices" "$(find /sys/class/cdm -mindepth 1)" "" || return
	[ ! -e /sys/bus/dax/devices/dax0.0/driver ] || fail "dax0.0 has driver $(driver_of_dax)"
}

start_systemd
run_tests memory_that_is_offline memory_in_use_stays_with_kmem dax_memory_is_a_device service_is_bound service_has_a_policy service_ends
