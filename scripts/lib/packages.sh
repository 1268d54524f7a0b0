# Sourced by scripts that need Debian packages: installs those that are missing.
# shellcheck shell=bash

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# `install_packages NAME…`
install_packages() {
  [ $# -gt 0 ] || return 0
  say "installing $*"
  command -v apt-get >/dev/null || die "there is no apt-get here: install $* yourself"
  as_root apt-get -o DPkg::Lock::Timeout=120 update -qq
  # RUNLEVEL=1: the packages' own services do not start; the tests use instances of their own.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -o DPkg::Lock::Timeout=120 \
    install -y -qq --no-install-recommends "$@" >/dev/null
}

# What the tour of the README is typed into: two shells, curl, and Node.js for the device.
install_tour() {
  local missing=() command
  for command in bash zsh curl npm; do command -v "$command" >/dev/null || missing+=("$command"); done
  install_packages ${missing[@]+"${missing[@]}"}
}

# SQLite, the cryptography and the allocator are C.
install_compiler() {
  local missing=()
  command -v cc >/dev/null || missing+=(gcc libc6-dev)
  command -v make >/dev/null || missing+=(make)
  install_packages ${missing[@]+"${missing[@]}"}
}
