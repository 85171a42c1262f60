# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What the shell tests for coherent device memory share. A test is a function test_*;
# it fails by returning non-zero, and says why with fail. Sourced, never run.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=/dev/null
. "$here/../kselftest/ktap_helpers.sh"
# shellcheck source=tools/testing/selftests/cdm/machine.sh
. "$here/machine.sh"

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

# skip REASON: what this machine or kernel has not
skip()
{
	echo "# $*"
	return "$KSFT_SKIP"
}

# skip_all REASON
skip_all()
{
	ktap_print_header
	ktap_skip_all "$*"
	exit "$KSFT_SKIP"
}

# has_huge_pages: do the tests' processes have any?
has_huge_pages()
{
	[ -e /sys/kernel/mm/transparent_hugepage ] || skip "a kernel without transparent huge pages" || return
	[ "$huge_pages" -gt 1 ] || skip "a huge page of this kernel is larger than what a test has"
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

# again END COMMAND...: until SECONDS is END. What the kernel refuses meanwhile is its right.
again()
{
	local end=$1
	shift

	while [ $SECONDS -lt "$end" ]; do
		"$@"
	done
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

# slab_kib: what the kernel has of memory for itself
slab_kib()
{
	local _

	# the first time takes note that nobody has used them since; RCU frees some of it later
	for _ in 1 2 3; do
		echo 2 >/proc/sys/vm/drop_caches
		sleep 1
	done
	awk '/^(Slab|VmallocUsed|Percpu|PageTables|KernelStack)/ { n += $2 } END { print n }' \
		/proc/meminfo
}

kmemleak=/sys/kernel/debug/kmemleak

# forget_leaks: what may look like one now is not to be told later
forget_leaks()
{
	[ ! -e $kmemleak ] || { echo scan && echo clear; } >$kmemleak
}

# no_leak_found: by kmemleak, where there is one
no_leak_found()
{
	[ -e $kmemleak ] || return 0
	# what is younger than 5 seconds is not looked at
	sleep 6
	echo scan >$kmemleak
	expect kmemleak "$(cat $kmemleak)" ""
}

# nothing_leaked BEFORE KIB: slab_kib was BEFORE, and may be KIB more now. Where kmemleak and
# page_owner take notes of their own, and with them memory, kmemleak is asked instead.
nothing_leaked()
{
	local grown

	if [ -e $kmemleak ]; then
		no_leak_found
		return
	fi
	grown=$(($(slab_kib) - $1))
	[ $grown -lt "$2" ] || fail "the kernel's memory grew by $grown KiB"
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

# wait_for FILE VALUE: up to 20 seconds
wait_for()
{
	local _

	for _ in $(seq 200); do
		[ "$(cat "$1")" != "$2" ] || return 0
		sleep 0.1
	done
	fail "$1 is '$(cat "$1")', not '$2'"
}

# can_fail_nth: does the kernel let a task's n-th allocation fail? Then arm every kind of it.
can_fail_nth()
{
	local kind

	[ -d /sys/kernel/debug/failslab ] && [ -d /sys/kernel/debug/fail_page_alloc ] || return
	for kind in failslab fail_page_alloc; do
		echo N >/sys/kernel/debug/$kind/ignore-gfp-wait
		echo 0 >/sys/kernel/debug/$kind/verbose
	done
	echo N >/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem
	echo 0 >/sys/kernel/debug/fail_page_alloc/min-order
}

# each_allocation COMMAND UNDO STATE [ERRNO...]: tell COMMAND to cdm_test_ctl with the first
# allocation that it makes in the kernel failing, then with the second, until there are no
# more. It either does without, and is undone by UNDO, or says ENOMEM or an ERRNO; each time what
# STATE prints is as before, and after an error the same command succeeds. %d in COMMAND is a number that is another each time.
each_allocation()
{
	local command=$1 undo=$2 state=$3 before answer n
	shift 3

	before=$($state)
	for ((n = 1; ; n++)); do
		echo "nth $n" >&"$tool_in"
		# shellcheck disable=SC2059	# COMMAND is a format
		answer=$(tell "$(printf "$command" $n)")
		if [[ $answer == ok* ]]; then
			$undo || fail "$undo after $command, without allocation $n" || return
		elif [[ " ENOMEM $* " != *" $(cut -d' ' -f2 <<<"$answer") "* ]]; then
			fail "$command without allocation $n: $answer" || return
		fi
		expect "state after $command without allocation $n" "$($state)" "$before" || return
		if [[ $answer != ok* ]]; then
			# shellcheck disable=SC2059
			[[ $(tell "$(printf "$command" $n)") == ok* ]] || fail "$command again, after $n" || return
			$undo || fail "$undo after $command again, after $n" || return
		fi
		[[ $answer == *injected ]] || break
	done
	[[ $answer == ok* ]] || fail "$command in the end: $answer" || return
	[ $n -gt 1 ] || fail "$command makes no allocation" || return
	echo "# $command: each of $((n - 1)) allocations failed"
}
