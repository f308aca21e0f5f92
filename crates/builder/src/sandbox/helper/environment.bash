# Evaluates a PKGBUILD and records whether its top level runs a program that is missing or fails: its output
# may then change when more packages are installed.
mark() { : >/run/buildbtw/notes/depends-on-environment; }
carch=$CARCH
[[ -r /etc/makepkg.conf ]] && source /etc/makepkg.conf
CARCH=$carch
programs=$PATH
# At first every program is missing, so that all of them come through here.
PATH=/nonexistent
command_not_found_handle() {
  local folder status
  # Programs that a shell runs are not seen here.
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
# These commands test what is installed.
command() { mark; PATH=$programs builtin command "$@"; }
type() { mark; PATH=$programs builtin type "$@"; }
hash() { mark; PATH=$programs builtin hash "$@"; }
trap mark EXIT
set -E
trap mark ERR
# A missing program also fails in a pipe.
set -o pipefail
source ./PKGBUILD
trap - ERR EXIT
