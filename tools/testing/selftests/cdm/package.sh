#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The Debian package, as a user would: installed on a machine that has headers and DKMS, its
# module isolates a node, and nothing of it is left when it is purged. Changes the system that
# it runs on: only where CDM_PACKAGE names the package.
# shellcheck source=tools/testing/selftests/cdm/lib.sh
. "$(dirname "$0")/lib.sh"

[ -n "${CDM_PACKAGE-}" ] || skip_all "needs CDM_PACKAGE, and changes the system"
[ -n "${CDM_PLUG-}" ] || skip_all "needs CDM_PLUG"
export DEBIAN_FRONTEND=noninteractive
log=/tmp/cdm_package.log
nid=2

test_installs()
{
	apt-get install -y --no-install-recommends "$CDM_PACKAGE" "${CDM_PACKAGE%/*}"/cdmctl_*.deb \
		>$log 2>&1 ||
		{ tail -n 20 $log; fail "apt-get"; } || return
	expect "dkms status" "$(dkms status cdm | sed 's,^cdm/[^ ]*, ,')" \
		"  $(uname -r), $(uname -m): installed"
}

test_loads()
{
	modprobe cdm || return
	dmesg | grep -q 'cdm: no CONFIG_CDM: isolation without' || fail "not in the log" || return
	# what others have the same devices for, is theirs
	expect "by itself" "$(modprobe -c | grep -cx 'blacklist cdm_\(pci\|edu\)')" 2 || return
	modprobe cdm_pci
}

test_isolates()
{
	"$CDM_PLUG" add || return
	expect node "$(cat /sys/class/cdm/cdm0/node)" $nid || return
	expect state "$(cat /sys/class/cdm/cdm0/state)" online || return
	expect has_memory "$(cat $nodes/has_memory)" 0-1 || return
	expect lists "$(lists_of FALLBACK NOFALLBACK)" "0 RAM: / 0 1 / 0
1 RAM: / 1 0 / 1
$nid CDM: / 0 1 / $nid" || return
	expect used "$(used_pages $nid)" 0 || return
	numactl --interleave=all dd if=/dev/zero of=/dev/shm/file bs=1M count=100 status=none
	rm /dev/shm/file
	expect used "$(used_pages $nid)" 0
}

# What an administrator sees
test_cdmctl()
{
	expect list "$(cdmctl list | awk 'NR == 2 { print $1, $2, $3, $8 }')" "cdm0 $nid online none" ||
		return
	expect node "$(cdmctl --json list | sed -n 's/^ *"node":\(.*\),/\1/p')" $nid
}

test_gives_to_who_asks()
{
	local file rc=0

	exec {file}<>/dev/cdm0
	head -c 64M /dev/zero >&"$file" || rc=1
	expect used "$(used_pages $nid)" 16384 || rc=1
	exec {file}>&-
	expect "used afterwards" "$(used_pages $nid)" 0 && return $rc
}

test_leaves()
{
	expect "unloading" "$(modprobe -r cdm_pci 2>&1; modprobe -r cdm 2>&1)" "" ||
		return
	expect modules "$(lsmod | grep -c ^cdm)" 0 || return
	[ ! -e $nodes/node$nid ] || fail "node $nid is still there" || return
	apt-get purge -y cdm-dkms cdmctl >$log 2>&1 || { tail -n 20 $log; fail "apt-get"; } || return
	expect files "$(ls -d /usr/src/cdm-* /var/lib/dkms/cdm \
		"/lib/modules/$(uname -r)/updates/dkms"/cdm* 2>/dev/null)" ""
}

run_tests installs loads isolates cdmctl gives_to_who_asks leaves
