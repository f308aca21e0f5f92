#!/usr/bin/env bash
# Selects the packages to build, and installs tools for them. Sourced by run, which sets $here, $names, $packages,
# $for_ci, $ci and $architecture.

: "${here:=}" "${ci:=false}" "${architecture:=}"

# Sets $packages to the named packages and their dependencies, sorted. lua is always included, because it is bumped.
choose_packages() {
  local folder queue chosen=' ' package
  if ((${#names[@]} == 0)); then
    if $ci; then
      names=("${for_ci[@]}")
    else
      for folder in "$here"/packages/*/; do
        names+=("$(basename "$folder")")
      done
    fi
  fi
  queue=(lua "${names[@]}")
  while ((${#queue[@]})); do
    package=${queue[0]}
    queue=("${queue[@]:1}")
    [[ $chosen != *" $package "* ]] || continue
    [[ -d $here/packages/$package ]] || fail "The package $package does not exist."
    if ! grep -qE "arch = ($architecture|any)$" "$here/packages/$package/.SRCINFO"; then
      note "Skipped: $package does not support $architecture."
      continue
    fi
    chosen+="$package "
    local need
    for need in $(fields "$package" depends makedepends checkdepends); do
      mapfile -t -O "${#queue[@]}" queue < <(bases_of "${need%%[<>=]*}")
    done
  done
  mapfile -t packages < <(tr ' ' '\n' <<<"$chosen" | sed '/^$/d' | sort)
}

# fields PACKAGE KEY…: prints values from its .SRCINFO.
fields() {
  local file=$here/packages/$1/.SRCINFO key
  shift
  for key in "$@"; do
    sed -n "s/^\t\?$key = //p" "$file"
  done
}

# bases_of NAME: prints the source packages that build or provide it.
bases_of() {
  { grep -lE "^(pkgname|	provides) = $1$" "$here"/packages/*/.SRCINFO || true; } |
    xargs --no-run-if-empty dirname | xargs --no-run-if-empty -n 1 basename
}

# Prints all built packages.
members() {
  local package
  for package in "${packages[@]}"; do
    fields "$package" pkgname
  done
}

is_chosen() {
  [[ " ${packages[*]} " == *" $1 "* ]]
}

# Installs tools that builds use from this machine. Each line: a dependency, its file, and Debian's packages with it.
install_tools() {
  local missing=() file need candidates
  while read -r need file candidates; do
    is_needed "$need" || continue
    compgen -G "$file" >/dev/null && continue
    missing+=("$candidates")
  done <<'END'
cargo            /usr/bin/cargo                 cargo-web cargo
cmake            /usr/bin/cmake                 cmake
go               /usr/bin/go                    golang-go
jansson          /usr/bin/autoreconf            autoconf
jansson          /usr/bin/automake              automake
jansson          /usr/bin/libtoolize            libtool
libcap           /usr/sbin/setcap               libcap2-bin
libinih          /usr/bin/g++                   g++
meson            /usr/bin/meson                 meson
nodejs           /usr/bin/node                  nodejs
npm              /usr/bin/npm                   npm
ninja            /usr/bin/ninja                 ninja-build
perl             /usr/share/perl/*/ExtUtils/MakeMaker.pm  perl
perl-commonmark  /usr/lib/*/perl/*/CORE/perl.h  libperl-dev
python-pip       /usr/bin/pip3                  python3-pip
tinyxml2         /usr/bin/g++                   g++
END
  ((${#missing[@]})) || return 0
  if $ci; then
    fail "Tools for builds are missing: ${missing[*]}. hint: ./bootstrap installs them"
  fi
  local packages=() package
  # A machine may have no lists of packages yet.
  is_available "${missing[0]%% *}" || apt-get update --quiet=2 </dev/null
  for candidates in "${missing[@]}"; do
    for package in $candidates; do
      is_available "$package" || continue
      packages+=("$package")
      continue 2
    done
    fail "No package has a tool that builds need: $candidates."
  done
  note "Installing tools for builds: ${packages[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${packages[@]}" \
    </dev/null >/dev/null
}

# Succeeds if apt can install a package.
is_available() {
  [[ $(apt-cache policy "$1" 2>/dev/null) == *'Candidate: '[0-9]* ]]
}

# Succeeds if a package is chosen, or if a chosen one depends on it.
is_needed() {
  local package
  is_chosen "$1" && return 0
  for package in "${packages[@]}"; do
    [[ " $(fields "$package" depends makedepends | tr '\n' ' ')" != *" $1 "* ]] || return 0
  done
  return 1
}
