# SPDX-License-Identifier: Apache-2.0
# fish completion for streamsight(1). What can be completed is what --help lists.

function __streamsight_options
    $argv --help 2>/dev/null | sed -nE 's/^ +(-[a-z], )?(--[a-z-]+=?)([A-Z:|a-z]*)  +(.*)/\2\t\4/p'
end

function __streamsight_command_options
    set -l command (commandline -opc)[2]
    streamsight --help | sed -nE "s/^  $command \[(--[a-z-]+)\] .*/\1/p"
end

set -l tools export inspect verify
complete -c streamsight -n "not __fish_seen_subcommand_from $tools" -f
complete -c streamsight -n __fish_use_subcommand \
    -a "(streamsight --help | sed -nE 's/^  ([a-z][a-z-]*) (.*[^ ])?  +/\1\t/p'; __streamsight_options streamsight)"
complete -c streamsight -n "not __fish_use_subcommand; and not __fish_seen_subcommand_from $tools" -a "(__streamsight_command_options)"
for tool in $tools
    complete -c streamsight -n "__fish_seen_subcommand_from $tool" -a "(__streamsight_options streamsight $tool)"
    complete -c streamsight-$tool -a "(__streamsight_options streamsight-$tool)"
end
