# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# A machine with coherent devices, for the tests and the demonstration: its nodes, and who has
# their pages; its files in sysfs; programs that answer. Sourced, never run.

nodes=/sys/devices/system/node
zonelists=/sys/kernel/debug/cdm/zonelists
# a page's bytes, and the pages in a MiB
page=$(getconf PAGESIZE)
mib_pages=$(((1 << 20) / page))
# and of a huge page, where one fits into what a test has; that of 64 KiB pages does not
huge_pages=$(($(cat /sys/kernel/mm/transparent_hugepage/hpage_pmd_size 2>/dev/null || echo "$page") / page))
[ $((huge_pages / mib_pages)) -le 16 ] || huge_pages=1

# a memory block's bytes
block=$((0x$(cat /sys/devices/system/memory/block_size_bytes)))

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

# list_nodes LIST: "0-1,3" as words
list_nodes()
{
	local range

	for range in ${1//,/ }; do
		seq "${range%-*}" "${range#*-}"
	done
}

# is_module: is it our module for an unmodified kernel? What that cannot reach says
# Documentation/mm/cdm-stock.txt
is_module()
{
	[ ! -e $nodes/has_cdm ] && [ -e /sys/class/cdm ]
}

# device_nodes: what is CDM; where nobody knows it, memory without a CPU
device_nodes()
{
	local nid cpus

	if [ -e $nodes/has_cdm ]; then
		list_nodes "$(cat $nodes/has_cdm)"
		return
	fi
	if is_module; then
		cat /sys/class/cdm/*/node 2>/dev/null
		return
	fi
	cpus=" $(list_nodes "$(cat $nodes/has_cpu)" | tr '\n' ' ')"
	for nid in $(list_nodes "$(cat $nodes/has_memory)"); do
		[[ $cpus == *" $nid "* ]] || echo "$nid"
	done
}

# lists_of LIST...: a line a node, "NODE KIND: nodes of LIST / nodes of the next LIST".
# Several zones of a node in a row are one entry: that is the architecture's business.
lists_of()
{
	awk -v wanted="$*" '
		function flush() { if (line != "") print line; line = "" }
		BEGIN { split(wanted, w); for (i in w) want["ZONELIST_" w[i]] = 1 }
		/^\[NODE/ { flush(); gsub(/[][()]/, "", $2); line = $2 " " $3 ":" ; next }
		$1 ~ /^ZONELIST/ { on = $1 in want; last = ""; if (on) line = line " /"; next }
		on { nid = $3; sub(/\)/, "", nid); if (nid != last) line = line " " nid; last = nid }
		END { flush() }' $zonelists
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

# cdm_of NODE: the folder in sysfs of the device that a node belongs to
cdm_of()
{
	local file

	for file in /sys/class/cdm/*/node; do
		[ "$(cat "$file" 2>/dev/null)" != "$1" ] || dirname "$file"
	done
}

# boot_memory_stays: may what the machine booted with never go offline?
boot_memory_stays() { [ "$(uname -m)" = aarch64 ]; }

# blocks_of NODE: its memory blocks' folders
blocks_of()
{
	local block

	for block in "$nodes/node$1"/memory[0-9]*; do
		[ ! -e "$block" ] || readlink -f "$block"
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
	*'hardware error'*) echo EHWPOISON ;;
	*'No such process'*) echo ESRCH ;;
	*) echo "$1" ;;
	esac
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
