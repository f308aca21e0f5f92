#!/usr/bin/env bash
# Formats the output of demonstrations. The sourcing script sets `steps` before the first step.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' blue=$'\e[34m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' blue='' plain=''
fi
current_step=0
: "${steps:=0}"

step() {
  current_step=$((current_step + 1))
  printf '\n%s%d of %d%s  %s%s%s\n\n' "$blue" "$current_step" "$steps" "$plain" "$bold" "$1" "$plain"
}

note() {
  printf '  %s\n' "$@" | sed 's/ *$//'
}

diagram() {
  echo
  sed 's/^/      /'
  echo
}

show() {
  printf '\n  %s$%s %s%s%s\n' "$dim" "$plain" "$bold" "$1" "$plain"
}

quote() {
  sed "s/^/    $dim│$plain /"
}

# Quotes the output of pacman without its repetitive lines.
quietly_quote() {
  { grep -vE '^(:: (Proceed|Running)|\(|checking|loading|looking|resolving|Total|Net|$)|downloading' || true; } | fold --spaces --width=92 | sed 's, *$,,' | quote
}

good() {
  printf '  %s✓%s %s\n' "$green" "$plain" "$1"
}

fail() {
  {
    printf '\n  %s✗%s %s\n' "$red" "$plain" "$1"
    shift
    (($# == 0)) || printf '    %s\n' "$@"
  } >&2
  exit 1
}

fail_with_log() {
  local log=$1
  shift
  {
    printf '\n  %s✗%s %s\n' "$red" "$plain" "$1"
    tail -n 40 "$log" | quote
  } >&2
  exit 1
}
