#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The machine goes over to another kernel while a device is in use: first from a drain by the
# core that cannot end, then, from that kernel, from another tool's. The test runs in all three
# kernels, tells them apart by what "cdm.kexec" in the command line says, and has its cases in
# the last. In scripts/vm --topology pci.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

image=${CDM_IMAGE-}
nid=2

# What is RAM: where it ends, and how much there is of it, to 16 MiB
ram()
{
	sed -n 's/^[0-9a-f]*-\([0-9a-f]*\) : System RAM$/\1/p' /proc/iomem | tail -n 1
	awk '/^MemTotal/ { print int($2 / 1024 / 16) }' /proc/meminfo
}

# offline_whole, offline_block: without a deadline, in vain
offline_whole() { write offline "$(cdm_of $nid)/state"; }
offline_block()
{
	local one

	for one in $(blocks_of $nid); do
		write offline "$one/state"
	done
}

# leave_from HOW NAME: a process has memory of the device pinned, somebody tries to offline it,
# and the next kernel, which is told NAME, is loaded: not into the device, although no RAM has
# addresses as high. Does not return when all is well.
leave_from()
{
	[ -n "$(cdm_of $nid)" ] || "$CDM_PLUG" add || return
	kexec -s -l "$image" --initrd=/run/cdm/initrd.cpio --reuse-cmdline --append="cdm.kexec=$2" ||
		return
	echo 0 >/sys/module/cdm/parameters/drain_seconds
	start_tool "$here/hold" $nid 64 pin
	expect hold "$(listen)" "bound $((64 * mib_pages))" || return
	"$1" >/dev/null &
	sleep 5
	kill -0 $! || fail "$1 has ended: nothing was in its way" || return
	kexec -e
	fail "the next kernel has not been started"
}

# As test_*, but with nothing to say where it succeeds
leave()
{
	leave_from "$@"
	ktap_print_header
	ktap_set_plan 1
	ktap_test_fail "$1"
	ktap_finished
}

# RAM is what firmware calls so, whatever the kernel before had made of the device
test_next_kernel_has_its_ram_only()
{
	expect RAM "$(ram | paste -sd,)" "$came_from"
}

# The card is where it was: it is found, taken and brought online anew, with nothing in use
test_next_kernel_takes_the_device()
{
	local cdm

	cdm=$(cdm_of $nid)
	[ -n "$cdm" ] || fail "no device on node $nid" || return
	wait_for "$cdm/state" online || return
	expect online_size "$(cat "$cdm/online_size")" "$(cat "$cdm/size")" || return
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || return
	untouched || return
	expect hold "$("$here/hold" $nid 64 </dev/null | tail -n 1)" "kept $((64 * mib_pages)) wrong 0 fresh $((64 * mib_pages))"
}

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -r "$image" ] || skip_all "needs CDM_IMAGE"
[ -e /sys/kernel/kexec_loaded ] || skip_all "a kernel without kexec"
command -v kexec >/dev/null || skip_all "needs kexec-tools"
# the last one counts
came_from=$(sed -n 's/.*\<cdm\.kexec=\([^ ]*\).*/\1/p' /proc/cmdline)
case $came_from in
'') leave offline_whole "first:$(ram | paste -sd,)" ;;
first:*) leave offline_block "${came_from#first:}" ;;
*) run_tests next_kernel_has_its_ram_only next_kernel_takes_the_device ;;
esac
