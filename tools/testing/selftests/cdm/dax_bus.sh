# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# For tests that make CDM nodes of dax devices. Sourced instead of lib.sh, never run.

# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

bus=/sys/bus/dax
cdm=$bus/drivers/cdm
[ -e $cdm ] || skip_all "a kernel without CONFIG_CDM_DAX"

# driver_of DAX: its name
driver_of()
{
	[ ! -e "$bus/devices/$1/driver" ] || basename "$(readlink "$bus/devices/$1/driver")"
}

# bind DAX, unbind DAX: the errno's name, or "ok"
bind() { write "$1" $cdm/bind; }
unbind() { write "$1" $cdm/unbind; }

# region_on NODE: what ndctl calls the region whose memory a node would have
region_on()
{
	local dir

	for dir in /sys/bus/nd/devices/region*; do
		[ "$(cat "$dir/target_node" 2>/dev/null)" != "$1" ] || basename "$dir"
	done
}

# take_from_device_dax DAX: whose a namespace's is at first
take_from_device_dax()
{
	expect driver "$(driver_of "$1")" device_dax || return
	expect "device_dax' unbind" "$(write "$1" $bus/drivers/device_dax/unbind)" ok || return
	expect bind "$(bind "$1")" ok
}

# bound DAX NODE SIZE: the device is a CDM node, whole and online
bound()
{
	local dir

	dir=$(cdm_of "$2")
	expect driver "$(driver_of "$1")" cdm || return
	[ -n "$dir" ] || fail "no CDM device on node $2" || return
	expect parent "$(basename "$(readlink -f "$dir/device")")" "$1" || return
	expect state "$(cat "$dir/state")" online || return
	expect size "$(cat "$dir/size")" "$3" || return
	expect online_size "$(cat "$dir/online_size")" "$3" || return
	expect capabilities "$(cat "$dir/capabilities")" user_bind
}
