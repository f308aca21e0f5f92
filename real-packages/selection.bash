#!/usr/bin/env bash
# Which packages are built, and what this machine needs for that. Sourced by run, which sets $here, $names, $packages,
# $for_ci, $ci and $architecture.

: "${here:=}" "${ci:=false}" "${architecture:=}"

# The named packages and what they need of the others, sorted; lua is always there, because it is bumped.
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
    [[ -d $here/packages/$package ]] || fail "There is no package $package here."
    if ! grep -qE "arch = ($architecture|any)$" "$here/packages/$package/.SRCINFO"; then
      note "$package is not for $architecture."
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

# fields PACKAGE KEY…: the values of its .SRCINFO.
fields() {
  local file=$here/packages/$1/.SRCINFO key
  shift
  for key in "$@"; do
    sed -n "s/^\t\?$key = //p" "$file"
  done
}

# bases_of NAME: the source packages here that make or provide it.
bases_of() {
  { grep -lE "^(pkgname|	provides) = $1$" "$here"/packages/*/.SRCINFO || true; } |
    xargs --no-run-if-empty dirname | xargs --no-run-if-empty -n 1 basename
}

# All packages that come out.
members() {
  local package
  for package in "${packages[@]}"; do
    fields "$package" pkgname
  done
}

is_chosen() {
  [[ " ${packages[*]} " == *" $1 "* ]]
}

# What builds find on this machine: the file that has to be there, and Debian's packages that bring it.
install_tools() {
  local missing=() file need candidates package
  while read -r need file candidates; do
    is_needed "$need" || continue
    compgen -G "$file" >/dev/null && continue
    for package in $candidates; do
      if apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        missing+=("$package")
        break
      fi
    done
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
    fail "Builds need ${missing[*]}, which ./bootstrap installs."
  fi
  note "Installing what builds need: ${missing[*]}"
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" \
    </dev/null >/dev/null
}

# Whether a package is chosen, or needs this.
is_needed() {
  local package
  is_chosen "$1" && return 0
  for package in "${packages[@]}"; do
    [[ " $(fields "$package" depends makedepends | tr '\n' ' ')" != *" $1 "* ]] || return 0
  done
  return 1
}
