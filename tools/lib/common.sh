# Shared by the commands in tools/: sourced, not run.
set -euo pipefail

checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${STREAMSIGHT_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/streamsight}
export PYTHONDONTWRITEBYTECODE=1
python=/usr/bin/python3 # Debian's, for which Debian's modules are installed

# One build folder for each checkout and kind, so that two checkouts don't rebuild each other's.
build_root=$cache/build/$(printf %s "$checkout" | sha256sum | cut -c1-12)

step() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

# show_progress: of lines "[n/m] text", the last one on a terminal, and a line for each tenth of them elsewhere.
show_progress() {
	local line width tenth=0
	width=$(tput cols 2>/dev/null || echo 80)
	while IFS= read -r line; do
		[[ $line =~ ^\[([0-9]+)/([0-9]+)\]\  ]] || continue
		if [ -t 2 ]; then
			printf '\r\033[K     %s' "${line:0:width - 6}" >&2
		elif ((BASH_REMATCH[1] * 10 / BASH_REMATCH[2] != tenth)); then
			tenth=$((BASH_REMATCH[1] * 10 / BASH_REMATCH[2]))
			printf '     %s\n' "$line" >&2
		fi
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
}

# build KIND [meson option…]: configures once, compiles, and prints the folder. Says how far it is, and what failed.
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
		fi >"$log" 2>&1 && ninja -C "$folder" 2>&1 | tee -a "$log" | show_progress
	} || {
		cat "$log" >&2
		echo "The $kind build failed." >&2
		return 1
	}
	echo "$folder"
}

# begin COMMAND…: runs it while the caller does something else, as $!. What still runs when the caller ends is ended with it.
begin() {
	set -m
	"$@" </dev/null >&2 &
	set +m
	trap 'kill -TERM -- $(jobs -pr | sed s/^/-/) 2>/dev/null || true; wait' EXIT
}

# begin_image [OPTION…]: makes what takes longest of the virtual machine's image (tests/vm/image). Whoever needs it waits for it.
# Needs tools/setup image.
begin_image() { begin "$checkout/tests/vm/image" --base "$@"; }
