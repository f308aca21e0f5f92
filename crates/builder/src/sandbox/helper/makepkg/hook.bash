# The shell of makepkg reads this before makepkg, by BASH_ENV. It writes down which code ends
# makepkg: the exit code alone does not tell makepkg's own failures from an `exit` in a PKGBUILD.
unset BASH_ENV
exit() {
  local status=$? level=0 frame
  # Nothing in here may start makepkg's traps.
  trap - ERR
  set +e
  # pkgver() is the only function that runs in a subshell; one that succeeds ends nothing.
  [[ " ${FUNCNAME[*]} " == *' update_pkgver '* && ${1:-$status} != 0 ]] && level=1
  if [[ $BASH_SUBSHELL == "$level" && ${FUNCNAME[1]} != clean_up && ! -e /run/buildbtw/notes/ended ]]; then
    {
      printf '%s\n' "${1:-$status}"
      for (( frame = 1; frame < ${#FUNCNAME[@]}; frame++ )); do
        printf '%s\t%s\t%s\n' "${FUNCNAME[frame]}" "${BASH_SOURCE[frame]}" "${BASH_LINENO[frame - 1]}"
      done
    } >/run/buildbtw/notes/ended 2>/dev/null
  fi
  builtin exit "${@:-$status}"
}
