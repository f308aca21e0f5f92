# Reads a PKGBUILD and notes whether its top level runs a program that is missing or fails: what it
# says may then change when more packages are installed.
mark() { : >/run/buildbtw/notes/depends-on-environment; }
carch=$CARCH
[[ -r /etc/makepkg.conf ]] && source /etc/makepkg.conf
CARCH=$carch
programs=$PATH
# Every program is missing at first, so that all of them come through here.
PATH=/nonexistent
command_not_found_handle() {
  local folder status
  # What a shell runs is not seen here.
  [[ $1 == *sh ]] && mark
  local -a folders
  IFS=: read -ra folders <<<"$programs"
  for folder in "${folders[@]}"; do
    if [[ -f $folder/$1 && -x $folder/$1 ]]; then
      PATH=$programs "$folder/$1" "${@:2}"
      status=$?
      (( status == 0 )) || mark
      return "$status"
    fi
  done
  mark
  return 127
}
# These ask what is installed.
command() { mark; PATH=$programs builtin command "$@"; }
type() { mark; PATH=$programs builtin type "$@"; }
hash() { mark; PATH=$programs builtin hash "$@"; }
trap mark EXIT
set -E
trap mark ERR
# A program that is missing fails also where its output is piped.
set -o pipefail
source ./PKGBUILD
trap - ERR EXIT
