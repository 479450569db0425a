# SPDX-License-Identifier: Apache-2.0
# bash completion for streamsight(1)

_streamsight() {
	local current=${COMP_WORDS[COMP_CWORD]}

	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "status enroll start stop flush export inspect verify --help --version" -- "$current")
	elif [[ ${COMP_WORDS[1]} == status ]] && ((COMP_CWORD == 2)); then
		mapfile -t COMPREPLY < <(compgen -W "--json" -- "$current")
	elif [[ ${COMP_WORDS[1]} == export || ${COMP_WORDS[1]} == inspect || ${COMP_WORDS[1]} == verify ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}
complete -F _streamsight streamsight
