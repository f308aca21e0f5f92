# makepkg's shell reads this before makepkg, by BASH_ENV. It records which code exits makepkg: the exit code
# alone does not distinguish makepkg's own failures from an `exit` in a PKGBUILD.
unset BASH_ENV
buildbtw_options=" $* "
exit() {
  local status=$? level=0 frame
  # Nothing in here may trigger makepkg's traps.
  trap - ERR
  set +e
  # pkgver() is the only function that runs in a subshell; a successful exit there does not end makepkg.
  [[ " ${FUNCNAME[*]} " == *' update_pkgver '* && ${1:-$status} != 0 ]] && level=1
  if [[ $BASH_SUBSHELL == "$level" && ${FUNCNAME[1]} != clean_up && ! -e /run/buildbtw/notes/ended ]]; then
    {
      printf '%s\n' "${1:-$status}"
      for (( frame = 1; frame < ${#FUNCNAME[@]}; frame++ )); do
        printf '%s\t%s\t%s\n' "${FUNCNAME[frame]}" "${BASH_SOURCE[frame]}" "${BASH_LINENO[frame - 1]}"
      done
    } >/run/buildbtw/notes/ended 2>/dev/null
  fi
  if [[ $BASH_SUBSHELL == 0 && ${FUNCNAME[1]} == main && ${1:-$status} == 0 ]]; then
    buildbtw_save 2>/dev/null
  fi
  builtin exit "${@:-$status}"
}

# makepkg usually runs all functions of a PKGBUILD in one shell. If it runs twice, the second shell gets the
# state of the first one: variables, and the output of pkgver() in case it fails because its work is done
# already, or without a network. makepkg changes the folder just before it calls a function.
cd() {
  if [[ ${FUNCNAME[1]} == cd_safe ]]; then
    case " ${FUNCNAME[*]:2} " in
      *' run_prepare '*)
        unset -f cd
        if [[ $buildbtw_options == *' --nobuild '* ]]; then
          declare -gA buildbtw_before=()
          buildbtw_snapshot buildbtw_before
        fi
        ;;
      *' update_pkgver '*)
        unset -f cd
        [[ ! -e /run/buildbtw/first/pkgver ]] || buildbtw_guard_pkgver
        ;;
      *' run_function '*)
        unset -f cd
        ;;
      ' main ')
        if [[ -e /run/buildbtw/first/variables && -z ${buildbtw_is_set-} ]]; then
          buildbtw_is_set=1
          source /run/buildbtw/first/variables 2>/dev/null
        fi
        ;;
    esac
  fi
  builtin cd "$@"
}

# Collects statements that set the variables again, by name: all but those of bash, and those of makepkg that
# change with the version or the folder.
buildbtw_snapshot() {
  local -n buildbtw_found=$1
  local buildbtw_name IFS=' '
  local -a buildbtw_names
  mapfile -t buildbtw_names < <(compgen -v)
  for buildbtw_name in "${buildbtw_names[@]}"; do
    case $buildbtw_name in
      buildbtw_* | BASH* | COMP_* | DIRSTACK | EPOCH* | EUID | FUNCNAME | GROUPS | HISTCMD | IFS | LINENO | \
        MAPFILE | OLDPWD | OPTARG | OPTERR | OPTIND | PIPESTATUS | PPID | PWD | RANDOM | SECONDS | SHELLOPTS | \
        SHLVL | SRANDOM | UID | _ | basever | epoch | frame | level | newpkgver | pkgrel | pkgver | status) continue ;;
    esac
    local -n buildbtw_variable=$buildbtw_name
    [[ ${buildbtw_variable@a} == *r* ]] || buildbtw_found[$buildbtw_name]=${buildbtw_variable[*]@A}
  done
}

# Saves the state for a second run.
buildbtw_save() {
  local buildbtw_name buildbtw_statement
  local -A buildbtw_after=()
  [[ -z ${newpkgver-} ]] || printf '%s' "$newpkgver" >/run/buildbtw/notes/pkgver
  declare -p buildbtw_before >/dev/null || return
  buildbtw_snapshot buildbtw_after
  for buildbtw_name in "${!buildbtw_after[@]}"; do
    buildbtw_statement=${buildbtw_after[$buildbtw_name]}
    [[ $buildbtw_statement != "${buildbtw_before[$buildbtw_name]-}" ]] || continue
    printf '%s\n' "${buildbtw_statement/#declare -/declare -g}"
  done >/run/buildbtw/notes/variables
}

buildbtw_guard_pkgver() {
  eval "buildbtw_$(declare -f pkgver)"
  pkgver() {
    local answer status
    trap - ERR
    set +e
    answer=$(set -e; buildbtw_pkgver)
    status=$?
    if (( status != 0 )) || [[ -z $answer ]]; then
      echo 'pkgver() failed or printed nothing this time; the version of its first run is used' >&2
      answer=$(</run/buildbtw/first/pkgver)
    fi
    printf '%s\n' "$answer"
  }
}
