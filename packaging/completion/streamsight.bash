# SPDX-License-Identifier: Apache-2.0
# bash completion for streamsight(1). What can be completed is what --help lists.

_streamsight_options() {
	"$@" --help 2>/dev/null | sed -nE 's/^ +(-[a-z], )?(--[a-z-]+=?).*/\2/p'
}

_streamsight() {
	local program=("$1") current=${COMP_WORDS[COMP_CWORD]} words

	COMPREPLY=()
	if [[ ${1##*/} == streamsight ]]; then
		if ((COMP_CWORD == 1)); then
			words=$("$1" --help 2>/dev/null | sed -nE 's/^  ([a-z][a-z-]*) .*/\1/p' && _streamsight_options "$1")
			mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
			return
		fi
		case ${COMP_WORDS[1]} in
		export | inspect | verify) program+=("${COMP_WORDS[1]}") ;;
		*)
			words=$("$1" --help 2>/dev/null | sed -nE "s/^  ${COMP_WORDS[1]//[^a-z-]/} \[(--[a-z-]+)\] .*/\1/p")
			mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
			return
			;;
		esac
	fi
	if [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_streamsight_options "${program[@]}")" -- "$current")
		[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "${current#=}")
	fi
}
complete -F _streamsight streamsight streamsight-export streamsight-inspect streamsight-verify
