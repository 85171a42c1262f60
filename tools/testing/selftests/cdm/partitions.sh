#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A card for which firmware has several nodes, as it has for the partitions of a GPU: each gets its
# own, and there are none beyond.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
[ -e $nodes/has_cdm ] || skip_all "a kernel without CONFIG_CDM"
[ -e $nodes/node4 ] || [ "$(cat $nodes/possible)" = 0-4 ] || skip_all "firmware has one node"
block_mib=$((block >> 20))
export CDM_PLUG_MIB=$((4 * block_mib))
parameter=/sys/module/cdm_pci/parameters/partitions

# card_of PARTITIONS COMMAND...: while such a card is in the slot
card_of()
{
	local rc=0

	echo "$1" >$parameter
	"$CDM_PLUG" add || rc=1
	[ $rc != 0 ] || "${@:2}" || rc=1
	! grep -qs 1 /sys/bus/pci/slots/1/adapter || "$CDM_PLUG" remove || rc=1
	echo 1 >$parameter
	expect "when it has gone" "$(cat $nodes/has_cdm)" "" && return $rc
}

# nodes_of SIZE_MIB NODE...
nodes_of()
{
	local size=$1 nid
	shift

	expect nodes "$(list_nodes "$(cat $nodes/has_cdm)" | xargs)" "$*" || return
	for nid; do
		expect "size on node $nid" "$(cat "$(cdm_of "$nid")/size")" $((size << 20)) || return
		expect "pages on node $nid" "$("$here/hold" "$nid" 16 </dev/null | head -n 1)" \
			"bound $((16 * mib_pages))" || return
	done
}

# Nodes are given in the order of firmware's table
test_one() { card_of 1 nodes_of $((4 * block_mib)) 2; }
test_two() { card_of 2 nodes_of $((2 * block_mib)) 2 3; }

# The fourth has none, and no ids were reserved for such: no driver takes the card then
test_more_than_firmware_knows()
{
	local rc=0

	echo 4 >$parameter
	! "$CDM_PLUG" add 2>/dev/null || fail "it was taken" || rc=1
	dmesg | grep -q 'cdm_nodes=' || fail "nothing in the log" || rc=1
	expect has_cdm "$(cat $nodes/has_cdm)" "" || rc=1
	echo 1 >$parameter
	"$CDM_PLUG" remove && return $rc
}

run_tests one two more_than_firmware_knows
