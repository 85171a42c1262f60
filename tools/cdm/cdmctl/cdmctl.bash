# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# bash completion of cdmctl.

_cdmctl_devices()
{
	local folder

	for folder in /sys/class/cdm/cdm*; do
		[ ! -e "$folder" ] || echo "${folder##*/}"
	done
}

_cdmctl_nodes()
{
	cat /sys/class/cdm/cdm*/node 2>/dev/null
}

_cdmctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} words
	local commands="list online offline set zonelists top run doctor" command="" candidate

	for candidate in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $candidate in
		-*) ;;
		*) command=$candidate && break ;;
		esac
	done
	case $command in
	"") words="--json --help --version $commands" ;;
	list) words="-u $(_cdmctl_devices)" ;;
	online | offline) words=$(_cdmctl_devices) ;;
	set)
		case ${COMP_WORDS[COMP_CWORD - 2]-}$previous in
		fallback=) words="none system" ;;
		capabilities=) words="none user_bind reclaim compaction thp_collapse" ;;
		*=) words="" ;;
		*)
			words="$(_cdmctl_devices) fallback= capabilities= spill_max="
			compopt -o nospace
			;;
		esac
		;;
	top) words="-d -n" ;;
	run)
		if [[ " ${COMP_WORDS[*]:0:COMP_CWORD} " == *" -- "* ]]; then
			mapfile -t COMPREPLY < <(compgen -c -- "$word")
			return
		elif [ "$previous" = --node ]; then
			words=$(_cdmctl_nodes)
		else
			words="--node --"
		fi
		;;
	*) words="" ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _cdmctl cdmctl
