# SPDX-License-Identifier: Apache-2.0
# fish completion for streamsight-admin(8). What can be completed is what --help lists.

function __streamsight_admin
    set -l given (commandline -opc)
    set -l help (streamsight-admin --help)
    switch (count $given)
        case 1
            string join \n $help | awk '/^  [a-z]/ { print $1 }' | sort -u
        case 2
            string join \n $help | awk -v noun=$given[2] '/^  [a-z]/ && $1 == noun && $2 ~ /^[a-z]/ { print $2 }'
        case '*'
            string join \n $help | awk -v noun=$given[2] -v verb=$given[3] '/^  [a-z]/ && $1 == noun && $2 == verb' |
                grep -oE -- '--[a-z-]+=?'
    end
    string join \n $help | sed -nE 's/^ +(-[a-z], )(--[a-z-]+=?).*/\2/p'
    printf '%s\n' --json --version
end
complete -c streamsight-admin -f -a "(__streamsight_admin)"
complete -c streamsight-admin -s c -l config -r -F
