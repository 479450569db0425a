# SPDX-License-Identifier: Apache-2.0
# bash completion for streamsight-admin(8). What can be completed is what --help lists.

_streamsight_admin() {
	local current=${COMP_WORDS[COMP_CWORD]} noun=${COMP_WORDS[1]} verb=${COMP_WORDS[2]} words

	case $COMP_CWORD in
	1) words=$("$1" --help 2>/dev/null | awk '/^  [a-z]/ { print $1 }') ;;
	2) words=$("$1" --help 2>/dev/null | awk -v noun="$noun" '/^  [a-z]/ && $1 == noun && $2 ~ /^[a-z]/ { print $2 }') ;;
	*) words=$("$1" --help 2>/dev/null | awk -v noun="$noun" -v verb="$verb" '/^  [a-z]/ && $1 == noun && $2 == verb' |
		grep -oE -- '--[a-z-]+=?') ;;
	esac
	words+=" $("$1" --help 2>/dev/null | sed -nE 's/^ +(-[a-z], )(--[a-z-]+=?).*/\2/p') --json --version"
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
	[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -o default -F _streamsight_admin streamsight-admin
