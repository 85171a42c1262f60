#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Devices under POWER's hash page tables, where QEMU lets nobody map a PCI device's memory
# cacheable: persistent memory is what can be had. In scripts/vm --topology hash. The nodes stay,
# for the programs that come next.
# shellcheck source=tools/testing/selftests/cdm/dax_bus.sh
. "$(dirname "$0")/dax_bus.sh"

grep -qw disable_radix /proc/cmdline || skip_all "page tables are not of POWER's hash kind"
nd=/sys/bus/nd

test_page_tables()
{
	expect MMU "$(sed -n 's/^MMU[^:]*: //p' /proc/cpuinfo)" Hash
}

# make_namespace REGION NAME: in a region's folder, of all of it, with the UUID that is in the record
# it begins with; it is the dax device that the record says
make_namespace()
{
	local uuid

	uuid=$(tr -d '\0' <"$1/of_node/ibm,unit-guid")
	expect uuid "$(write "$uuid" "$nd/devices/$2/uuid")" ok || return
	expect size "$(write "$(cat "$1/available_size")" "$nd/devices/$2/size")" ok || return
	# the driver of disks sees that it is none
	expect "nd_pmem's bind" "$(write "$2" $nd/drivers/nd_pmem/bind)" ENXIO
}

# becomes_a_node NODE
becomes_a_node()
{
	local region namespace dax

	region=$(region_on "$1")
	[ -n "$region" ] || fail "no persistent memory on node $1" || return
	region=$nd/devices/$region
	namespace=$(cat "$region/namespace_seed")
	make_namespace "$region" "$namespace" || return
	dax=${namespace/namespace/dax}
	take_from_device_dax "$dax" || return
	# of 1 GiB, but for the block in which the record is
	bound "$dax" "$1" $((3 * block)) || return
	untouched
}

test_become_nodes()
{
	becomes_a_node 2 && becomes_a_node 3 && becomes_a_node 4 || return
	expect has_cdm "$(cat $nodes/has_cdm)" 2-4 || return
	expect has_memory "$(cat $nodes/has_memory)" 0-1
}

run_tests page_tables become_nodes
