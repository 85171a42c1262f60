# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the shell tests for coherent device memory share. A test is a function test_*;
# it fails by returning non-zero, and says why with fail. Sourced, never run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
. "$here/../kselftest/ktap_helpers.sh"

nodes=/sys/devices/system/node

# fail MESSAGE: say why the test that is running fails
fail()
{
	echo "# $*"
	return 1
}

# expect WHAT IS SHOULD: two values are the same
expect()
{
	[ "$2" = "$3" ] || fail "$1 is '$2', not '$3'"
}

# run_tests NAME...: each test_NAME as a KTAP test. Each runs in a subshell of its own, in
# which a failing command does not end the test: what counts is what it returns. KSFT_SKIP
# stands for a test that means nothing on this kernel.
run_tests()
{
	local name

	ktap_print_header
	ktap_set_plan $#
	for name; do
		("test_$name")
		case $? in
		0) ktap_test_pass "$name" ;;
		"$KSFT_SKIP") ktap_test_skip "$name" ;;
		*) ktap_test_fail "$name" ;;
		esac
	done
	ktap_finished
}

# skip_all REASON
skip_all()
{
	ktap_print_header
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

# list_nodes LIST: "0-1,3" as words
list_nodes()
{
	local range

	for range in ${1//,/ }; do
		seq "${range%-*}" "${range#*-}"
	done
}

# device_nodes: what is CDM; where nobody knows it, memory without a CPU
device_nodes()
{
	local nid cpus

	if [ -e $nodes/has_cdm ]; then
		list_nodes "$(cat $nodes/has_cdm)"
		return
	fi
	if [ -e /sys/class/cdm ]; then
		cat /sys/class/cdm/*/node 2>/dev/null
		return
	fi
	cpus=" $(list_nodes "$(cat $nodes/has_cpu)" | tr '\n' ' ')"
	for nid in $(list_nodes "$(cat $nodes/has_memory)"); do
		[[ $cpus == *" $nid "* ]] || echo "$nid"
	done
}

# used_pages NODE: pages of the node that somebody has: managed less those in the buddy
# allocator and on per-CPU lists. 0 on an idle device. What goes from one to the other while
# they are read would count as used: the same number twice is needed.
used_pages()
{
	local pages last=

	while pages=$(used_pages_now "$1") && [ "$pages" != "$last" ]; do
		last=$pages
	done
	echo "$pages"
}

# used_pages_now NODE: from buddyinfo, not from the zone's counter of free pages, which is
# kept on each CPU and folded now and then
used_pages_now()
{
	awk -v nid="$1" '
		FILENAME ~ /buddyinfo/ {
			if ($2 + 0 == nid && $4 == "Movable")
				for (order = 0; order + 5 <= NF; order++)
					used -= $(order + 5) * 2 ^ order
			next
		}
		/^Node/ { ours = $2 + 0 == nid && $4 == "Movable" }
		ours && $1 == "managed" { used += $2 }
		ours && $1 == "count:" { used -= $2 }
		END { print used + 0 }' /proc/buddyinfo /proc/zoneinfo
}

# untouched: no device node has a page in use
untouched()
{
	local nid used rc=0

	for nid in $(device_nodes); do
		used=$(used_pages "$nid")
		[ "$used" = 0 ] || fail "$used pages are in use on node $nid" || rc=1
	done
	return $rc
}

# cdm_of NODE: the folder in sysfs of the device that a node belongs to
cdm_of()
{
	local file

	for file in /sys/class/cdm/*/node; do
		[ "$(cat "$file" 2>/dev/null)" != "$1" ] || dirname "$file"
	done
}

# write VALUE FILE: prints the errno's name, or "ok"
write()
{
	errno_name "$( { echo "$1" >"$2"; } 2>&1)"
}

# errno_name TEXT: the shell shows only the text of an errno
errno_name()
{
	case $1 in
	'') echo ok ;;
	*'Invalid argument'*) echo EINVAL ;;
	*'Device or resource busy'*) echo EBUSY ;;
	*'Operation not permitted'*) echo EPERM ;;
	*'Permission denied'*) echo EACCES ;;
	*'Cannot allocate memory'*) echo ENOMEM ;;
	*'No such device or address'*) echo ENXIO ;;
	*'No such device'*) echo ENODEV ;;
	*'No such file'*) echo ENOENT ;;
	*'Operation canceled'*) echo ECANCELED ;;
	*'Interrupted system call'*) echo EINTR ;;
	*'No space left'*) echo ENOSPC ;;
	*'Connection timed out'*) echo ETIMEDOUT ;;
	*'Operation not supported'*) echo EOPNOTSUPP ;;
	*) echo "$1" ;;
	esac
}

# blocks_of NODE: its memory blocks' folders
blocks_of()
{
	local block

	for block in "$nodes/node$1"/memory[0-9]*; do
		[ ! -e "$block" ] || readlink -f "$block"
	done
}

# again END COMMAND...: until SECONDS is END. What the kernel refuses meanwhile is its right.
again()
{
	local end=$1
	shift

	while [ $SECONDS -lt "$end" ]; do
		"$@"
	done
}

# swap_on SIZE, swap_off: swap that takes next to nothing of RAM where every page is alike
swap_on()
{
	if ! { echo "$1" >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null &&
		swapon /dev/zram0; }; then
		fail "no swap"
	fi
}

swap_off()
{
	swapoff /dev/zram0
	echo 1 >/sys/block/zram0/reset
}

# with_child_cpuset COMMAND...: while one cpuset exists somewhere
with_child_cpuset()
{
	local rc=0

	echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
	mkdir /sys/fs/cgroup/cdm_sh
	"$@" || rc=$?
	rmdir /sys/fs/cgroup/cdm_sh
	return $rc
}

# What fails by fault injection; a test asks whether it is there
fail_function=/sys/kernel/debug/fail_function

# add_fault FUNCTION ERRNO: the next calls return -ERRNO and do nothing, as many as "times" says
add_fault()
{
	echo 100 >$fail_function/probability
	echo 0 >$fail_function/verbose
	echo "$1" >$fail_function/inject
	printf '%#x' "-$2" >"$fail_function/$1/retval"
}

# start_tool COMMAND...: a program that answers lines with lines, until stop_tool
start_tool()
{
	local pipes

	pipes=$(mktemp -d)
	mkfifo "$pipes/in" "$pipes/out"
	"$@" <"$pipes/in" >"$pipes/out" &
	tool_pid=$!
	exec {tool_in}>"$pipes/in" {tool_out}<"$pipes/out"
	rm -r "$pipes"
}

# use_tool IN OUT PID: talk to this one from now on, of several that were started
use_tool()
{
	tool_in=$1 tool_out=$2 tool_pid=$3
}

# listen: the program's next line
listen()
{
	local line

	read -r -t 120 -u "$tool_out" line
	echo "$line"
}

# tell LINE: say something to the program, print its answer
tell()
{
	echo "$1" >&"$tool_in"
	listen
}

# stop_tool: the end of its input; returns its exit status
stop_tool()
{
	exec {tool_in}>&- {tool_out}<&-
	wait "$tool_pid"
}
