# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# What scripts/setup, run and test share; sourced, from anywhere.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
export CLICOLOR_FORCE=0

say() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Root that works in someone's clone builds as the clone's owner: no file there ends up belonging to root.
owner=$(stat -c %U "$repo")
as_owner() {
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ "$owner" != UNKNOWN ]; then
    runuser -u "$owner" -- env HOME="$(getent passwd "$owner" | cut -d: -f6)" "$@"
  else
    "$@"
  fi
}

# Gives back to the owner what root wrote into the build tree (test logs, for example).
give_back() {
  if [ "$(id -u)" = 0 ] && [ "$owner" != root ] && [ -d "$repo/build" ]; then
    chown -hR "$owner:" "$repo/build"
  fi
}

# Root runs what it builds here, so nobody else may be able to change it: refuses a clone, or a folder above it, that is open to others.
check_trust() {
  [ "$(id -u)" = 0 ] || return 0
  local path=$repo mode
  while :; do
    mode=$(stat -c %a "$path")
    if (( (0$mode & 0002) && !(0$mode & 01000) )); then
      fail "everybody may write to $path, so root will not run what is built in $repo: chmod o-w it, or clone elsewhere"
    fi
    case $(stat -c %U "$path") in
      root | "$owner") ;;
      *) fail "$path belongs to $(stat -c %U "$path"), who could replace what root runs from $repo: clone elsewhere" ;;
    esac
    [ "$path" != / ] || break
    path=$(dirname "$path")
  done
}

# configure PRESET [cmake options...], quietly unless it fails
configure() {
  local preset=$1 log; shift
  log=$(mktemp)
  if ! as_owner cmake -S "$repo" --preset "$preset" "$@" >"$log" 2>&1; then
    tail -n 30 "$log" >&2; rm -f "$log"
    fail "configuring the preset $preset failed (missing packages: scripts/setup)"
  fi
  rm -f "$log"
}

# build PRESET TARGET...: ninja's progress line on a terminal; elsewhere only a line every 30 seconds, and the errors
build() {
  local preset=$1 log status=0; shift
  local command=(as_owner cmake --build "$repo/build/$preset" --parallel "$(nproc)" --target "$@")
  if [ -t 1 ]; then "${command[@]}"; return; fi
  log=$(mktemp)
  local shown=$SECONDS line
  "${command[@]}" 2>&1 </dev/null | while IFS= read -r line; do
    printf '%s\n' "$line"
    if (( SECONDS - shown >= 30 )); then shown=$SECONDS; printf '%.120s\n' "$line" >&2; fi
  done >"$log" || status=$?
  if [ $status != 0 ]; then
    grep -E -A 15 '^FAILED|error:|Error ' "$log" | head -n 80 >&2 || tail -n 40 "$log" >&2
    rm -f "$log"
    fail "building $* ($preset) failed"
  fi
  rm -f "$log"
}
