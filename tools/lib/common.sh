# Shared by the commands in tools/: sourced, not run.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${STREAMSIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamsight}
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3 # Debian's, for which Debian's modules are installed

# One build folder for each checkout and kind, so that two checkouts don't rebuild each other's.
build_root=$cache/build/$(printf %s "$checkout" | sha256sum | cut -c1-12)

step() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# build KIND [meson option…]: configures once, compiles, and prints the folder. Quiet unless it fails.
build() {
	local kind=$1 folder=$build_root/$1 log
	shift
	mkdir -p "$folder"
	log=$folder/streamsight-build.log
	{
		if [ -e "$folder/build.ninja" ]; then
			meson configure "$folder" "$@"
		else
			meson setup "$folder" "$checkout" "$@"
		fi && ninja -C "$folder"
	} >"$log" 2>&1 || {
		cat "$log" >&2
		echo "The $kind build failed." >&2
		return 1
	}
	echo "$folder"
}
