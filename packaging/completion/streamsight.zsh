#compdef streamsight streamsight-export streamsight-inspect streamsight-verify
# SPDX-License-Identifier: Apache-2.0
# zsh completion for streamsight(1). What can be completed is what --help lists.

local -a program commands options
program=($words[1])
if [[ $words[1]:t == streamsight ]]; then
	if ((CURRENT == 2)); then
		commands=(${(f)"$($program --help 2>/dev/null | sed -nE 's/^  ([a-z][a-z-]*) (.*[^ ])?  +/\1:/p')"})
		_describe -t commands command commands
	elif [[ $words[2] == (export|inspect|verify) ]]; then
		program+=($words[2])
	else
		options=(${(f)"$($program --help 2>/dev/null | sed -nE "s/^  ${words[2]//[^a-z-]/} \[(--[a-z-]+)\] .*/\1/p")"})
		compadd -a options
		return
	fi
fi
options=(${(f)"$($program --help 2>/dev/null | sed -nE 's/^ +(-[a-z], )?(--[a-z-]+=?).*/\2/p')"})
compadd -- ${options:#*=}
compadd -S '' -- ${(M)options:#*=}
((CURRENT == 2 && $#commands)) || _files
