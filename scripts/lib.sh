# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# What every script here shares: where things are, how to fail, how to show progress.
# Sourced, never run.

CDM_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CDM_BUILD=$CDM_TOP/build
# in a virtual machine those that it was started with
CDM_KVER=${KVER:-${CDM_KVER:-6.12}}
CDM_ARCH=${ARCH:-${CDM_ARCH:-x86_64}}
case $CDM_ARCH in
x86 | amd64) CDM_ARCH=x86_64 ;;
aarch64) CDM_ARCH=arm64 ;;
ppc64el | powerpc) CDM_ARCH=ppc64le ;;
esac
export CDM_TOP CDM_BUILD CDM_KVER CDM_ARCH
# depmod and others, which are not in everybody's PATH
PATH+=:/usr/sbin:/sbin

# die MESSAGE: one line on stderr, exit status 1, or $die_status
die()
{
	printf '%s: %s\n' "$(basename "$0")" "$*" >&2
	exit "${die_status-1}"
}

[ -r "$CDM_TOP/scripts/arch/$CDM_ARCH" ] ||
	die "unknown ARCH '$CDM_ARCH': $(cd "$CDM_TOP/scripts/arch" && echo *)"
# shellcheck source=scripts/arch/x86_64
. "$CDM_TOP/scripts/arch/$CDM_ARCH"
# what compiles a program for that architecture, with the libraries that it will have
arch_gcc=("${arch_cross}gcc")
[ "$arch_root" = / ] || arch_gcc+=(--sysroot="$arch_root")
[ -r "$CDM_TOP/patches/$CDM_KVER" ] ||
	die "unknown KVER '$CDM_KVER': $(cd "$CDM_TOP/patches" && echo *)"
# where the trees of that version are, and the kernels and the programs of that architecture are built
CDM_KERNELS=$CDM_BUILD
[ "$CDM_KVER" = 6.12 ] || CDM_KERNELS=$CDM_BUILD/$CDM_KVER
CDM_OBJECTS=$CDM_KERNELS
[ "$CDM_ARCH" = x86_64 ] || CDM_OBJECTS=$CDM_KERNELS/$CDM_ARCH
export CDM_KERNELS CDM_OBJECTS

# stock_kernel NAME: the whole name of a kernel of Debian's, of which the end may be left out:
# stock-VERSION-FLAVOUR
stock_kernel()
{
	[ "$CDM_KVER" = 6.12 ] || die "KVER=$CDM_KVER: Debian's own kernels have their version in KERNEL= (stock-6.1, stock-6.12)"
	case $1 in
	stock) echo stock-6.12-cloud ;;
	stock-6.1 | stock-6.12) echo "$1-cloud" ;;
	stock-6.1-cloud | stock-6.1-generic | stock-6.12-cloud | stock-6.12-generic) echo "$1" ;;
	*) die "unknown kernel '$1': stock[-6.1|-6.12[-cloud|-generic]]" ;;
	esac
}

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_mirrors FORMAT [FILTER]: each suite of Debian's that apt on this machine has packages from, a line
# each, in a format of apt-get indextargets
debian_mirrors()
{
	apt-get indextargets --format "$1" 'Created-By: Packages' 'Origin: Debian' "${@:2}" | sort -u | grep . ||
		die "apt knows of no mirror of Debian's: apt-get update"
}

# debian_sources CODENAME...: those of these names, as in a sources.list
debian_sources()
{
	local IFS='|'

	# shellcheck disable=SC2016	# apt-get fills them in
	debian_mirrors '$(CODENAME) deb [signed-by='$debian_keyring'] $(REPO_URI) $(RELEASE) $(COMPONENT)' |
		sed -nE "s/^($*) //p" | grep . || die "apt has no mirror of $*"
}

# lay_out_modules DIR: what the modules for a kernel that is not ours are built from
lay_out_modules()
{
	mkdir -p "$1"
	rsync -a --delete --exclude='*.o' --exclude='*.ko' --exclude='*.mod*' --exclude='.*' \
		--exclude='*.symvers' --include='*/' --include='*.[ch]' --include=Makefile \
		--include=Kbuild --exclude='*' \
		"$CDM_TOP/Kbuild" "$CDM_TOP/drivers" "$CDM_TOP/include" "$1/"
}

# kernel_make TREE OBJECTS ARGUMENTS...: make in a kernel tree. A fixed time and name: the same
# source gives the same image, and ccache can share.
kernel_make()
{
	KBUILD_BUILD_TIMESTAMP='2017-03-08' KBUILD_BUILD_USER=cdm KBUILD_BUILD_HOST=cdm \
		CCACHE_BASEDIR=$CDM_BUILD CCACHE_NOHASHDIR=1 \
		make -C "$1" O="$2" ARCH="$arch_kernel" CROSS_COMPILE="$arch_cross" \
		CC="ccache ${arch_cross}gcc" HOSTCC="ccache gcc" KCFLAGS=-Werror \
		-j"$(nproc)" "${@:3}"
}

# patch_file NAME: a file of patches/, of that version, or where it is as in the first, of that
patch_file()
{
	local file=$CDM_TOP/patches/$CDM_KVER/$1

	[ -e "$file" ] || file=$CDM_TOP/patches/6.12/$1
	echo "$file"
}

# listed NAME: the lines of that list in patches/, of the first version's and behind it of that one's own
listed()
{
	local own=$CDM_TOP/patches/$CDM_KVER/$1

	sed '/^#/d' "$CDM_TOP/patches/6.12/$1"
	[ "$CDM_KVER" = 6.12 ] || [ ! -e "$own" ] || sed '/^#/d' "$own"
}

# patch_files: the patches for that version, in their order, with their paths
patch_files()
{
	local patch

	listed series | while read -r patch; do
		patch_file "$patch"
	done
}

# patched_files: the kernel's own files that these touch
patched_files()
{
	local patches

	mapfile -t patches < <(patch_files)
	sed -n 's,^+++ b/,,p' "${patches[@]}" | sort -u
}

# source_version: of the kernel's source that is unpacked, 6.12.48 say
source_version()
{
	awk '/^(VERSION|PATCHLEVEL|SUBLEVEL) =/ { v = v sep $3; sep = "." } END { print v }' \
		"$CDM_KERNELS/src/vanilla/Makefile"
}

# step TITLE LOG COMMAND...: run COMMAND with its output in LOG. Shows that it is
# alive: one rewritten line on a terminal, a line a minute elsewhere. A failure shows
# the last 20 lines of LOG and where it is, and is passed on.
step()
{
	local title=$1 log=$2 pid rc=0 start=$SECONDS shown=0 seconds
	shift 2

	mkdir -p "$(dirname "$log")"
	# a process group of its own: who interrupts us ends all of it
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064	# this pid
	trap "kill -- -$pid; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		seconds=$((SECONDS - start))
		if [ -t 2 ]; then
			printf '\r\033[K%s ... %ds' "$title" "$seconds" >&2
		elif [ $((seconds / 60)) -gt "$shown" ]; then
			shown=$((seconds / 60))
			printf '%s ... %ds\n' "$title" "$seconds" >&2
		fi
	done
	wait "$pid" || rc=$?
	trap - INT TERM HUP
	[ ! -t 2 ] || printf '\r\033[K' >&2
	if [ "$rc" -ne 0 ]; then
		printf '%s: FAILED after %ds (status %d); the last lines of %s:\n' \
			"$title" "$((SECONDS - start))" "$rc" "$log" >&2
		tail -n 20 "$log" >&2
		return "$rc"
	fi
	printf '%s: done in %ds\n' "$title" "$((SECONDS - start))" >&2
}

# need_room MIB DIR WHAT: stop unless DIR's file system has MIB free
need_room()
{
	local free

	mkdir -p "$2"
	free=$(df -Pm "$2" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$1" ] ||
		die "$3 needs $1 MiB in $2, which has $free MiB free"
}
