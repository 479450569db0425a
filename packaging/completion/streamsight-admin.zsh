#compdef streamsight-admin
# SPDX-License-Identifier: Apache-2.0
# zsh completion for streamsight-admin(8). What can be completed is what --help lists.

local -a help found
help=(${(f)"$($words[1] --help 2>/dev/null)"})
case $CURRENT in
2) found=(${(f)"$(print -l $help | awk '/^  [a-z]/ { print $1 }')"}) ;;
3) found=(${(f)"$(print -l $help | awk -v noun="$words[2]" '/^  [a-z]/ && $1 == noun && $2 ~ /^[a-z]/ { print $2 }')"}) ;;
*) found=(${(f)"$(print -l $help | awk -v noun="$words[2]" -v verb="$words[3]" '/^  [a-z]/ && $1 == noun && $2 == verb' |
	grep -oE -- '--[a-z-]+=?')"}) ;;
esac
found+=(${(f)"$(print -l $help | sed -nE 's/^ +(-[a-z], )(--[a-z-]+=?).*/\2/p')"} --json --version)
compadd -- ${(u)found:#*=}
compadd -S '' -- ${(uM)found:#*=}
