#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Persistent memory, and a region of a CXL device, as CDM nodes: both are dax devices once a
# namespace of mode devdax is made of them. In scripts/vm --topology pmem.
# shellcheck source=tools/testing/selftests/cdm/dax_bus.sh
. "$(dirname "$0")/dax_bus.sh"

command -v ndctl >/dev/null || skip_all "needs ndctl"

# of 8 MiB: what is behind a CXL bridge takes QEMU long
pages=$((8 * mib_pages))
cxl=/sys/bus/cxl

# devdax_of REGION: makes its namespace a dax device, and prints that one's name. Where there are
# no labels to make one by, there is one from the beginning.
devdax_of()
{
	local namespace

	namespace=$(ndctl list --region="$1" --namespaces | sed -n 's/.*"dev":"\([^"]*\)".*/\1/p')
	ndctl create-namespace --force --region="$1" --mode=devdax --map=mem \
		${namespace:+--reconfig="$namespace"} |
		sed -n 's/.*"chardev":"\(dax[0-9.]*\)".*/\1/p'
}

# becomes_a_node REGION NODE MIB: and a dax device again, and then a namespace that can be destroyed
becomes_a_node()
{
	local dax

	dax=$(devdax_of "$1")
	[ -n "$dax" ] || fail "no devdax namespace on $1" || return
	take_from_device_dax "$dax" || return
	bound "$dax" "$2" $(($3 << 20)) || return
	expect has_cdm "$(cat $nodes/has_cdm)" "$2" || return
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || return
	untouched || return
	expect hold "$("$here/hold" "$2" 8 </dev/null | tail -n 1)" \
		"kept $pages wrong 0 fresh $pages" || return
	expect unbind "$(unbind "$dax")" ok || return
	expect has_cdm "$(cat $nodes/has_cdm)" "" || return
	expect "device_dax' bind" "$(write "$dax" $bus/drivers/device_dax/bind)" ok || return
	(: <"/dev/$dax") || fail "/dev/$dax cannot be opened" || return
	ndctl destroy-namespace --force --region="$1" all >/dev/null 2>&1 ||
		fail "the namespace on $1 cannot be destroyed"
}

test_persistent_memory()
{
	local region

	region=$(region_on 2)
	[ -n "$region" ] || fail "no region on node 2" || return
	# of 1 GiB; the first block has the namespace's own record
	becomes_a_node "$region" 2 896
}

# set_cxl FILE VALUE
set_cxl()
{
	expect "$1" "$(write "$2" "$cxl/devices/$1")" ok
}

# The window's region, with all of the device's memory, as cxl-cli makes it
make_cxl_region()
{
	local root=decoder0.0 region decoder

	decoder=$(basename $cxl/devices/endpoint*/decoder*.0)
	region=$(cat $cxl/devices/$root/create_pmem_region)
	set_cxl $root/create_pmem_region "$region" || return
	set_cxl "$decoder/mode" pmem || return
	set_cxl "$decoder/dpa_size" $((512 << 20)) || return
	set_cxl "$region/uuid" "$(cat /proc/sys/kernel/random/uuid)" || return
	set_cxl "$region/interleave_granularity" 256 || return
	set_cxl "$region/interleave_ways" 1 || return
	set_cxl "$region/size" $((512 << 20)) || return
	set_cxl "$region/target0" "$decoder" || return
	set_cxl "$region/commit" 1 || return
	expect "bind of $region" "$(write "$region" $cxl/drivers/cxl_region/bind)" ok
}

test_cxl_region()
{
	local region

	make_cxl_region || return
	region=$(region_on 3)
	[ -n "$region" ] || fail "no region on node 3" || return
	# of 512 MiB
	becomes_a_node "$region" 3 384
}

run_tests persistent_memory cxl_region
