# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests that register the memory of the device in the slot themselves: plugs it in, takes
# it over from its driver, and says what there is. Sourced instead of lib.sh, never run.

# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

[ -e /dev/cdm_test ] || skip_all "needs the module cdm_test"
[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
grep -qs 1 /sys/bus/pci/slots/1/adapter || "$CDM_PLUG" add || skip_all "no device"

nid=2
driver=/sys/bus/pci/drivers/cdm_pci
pci=$(cat /sys/bus/pci/slots/1/address).0
export CDM_TEST_PARENT=$pci
start=$(awk 'NR == 3 { print $1 }' "/sys/bus/pci/devices/$pci/resource")
{ echo "$pci" >$driver/unbind; } 2>/dev/null

# how large the devices of with_device are
device_blocks=2

# ask COMMAND: what a process of its own is answered
ask()
{
	echo "$*" | "$here/cdm_test_ctl"
}

# after_device: what holds when it has gone; a test may want more
after_device()
{
	expect "device nodes" "$(device_nodes)" ""
}

# with_device OPTIONS COMMAND...: while a device of device_blocks is registered
with_device()
{
	local options=$1 rc=0
	shift

	start_tool "$here/cdm_test_ctl"
	expect register "$(tell "register $start $((device_blocks * block)) $nid $options")" \
		"ok $nid" || rc=1
	# shellcheck disable=SC2034	# for COMMAND
	cdm=$(cdm_of $nid)
	[ $rc != 0 ] || "$@" || rc=1
	stop_tool || rc=1
	after_device && return $rc
}

# pinned COMMAND...: while a page of the device cannot be moved
pinned()
{
	local device=("$tool_in" "$tool_out" "$tool_pid") hold rc=0

	start_tool "$here/hold" $nid 64 pin
	expect hold "$(listen)" "bound $((64 * mib_pages))" || rc=1
	hold=("$tool_in" "$tool_out" "$tool_pid")
	use_tool "${device[@]}"
	"$@" || rc=1
	use_tool "${hold[@]}"
	[[ $(tell go) =~ ^kept\ [0-9]+\ wrong\ 0\  ]] || fail "the task lost something" || rc=1
	stop_tool || fail "the task died" || rc=1
	use_tool "${device[@]}"
	return $rc
}
