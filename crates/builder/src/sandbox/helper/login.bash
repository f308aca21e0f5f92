# Sources the files of a login shell, and records the current file all the time: a file that exits the shell
# or never ends cannot be asked afterwards.
login_note=/run/buildbtw/notes/login
login_file= login_errexit=
printf '/etc/profile\n\n' >|"$login_note"
set -o functrace
trap '
  if [[ $- == *e* && -z $login_errexit ]]; then
    login_errexit=$login_file
    printf "%s\n%s\n" "$login_file" "$login_errexit" >|"$login_note"
  fi
  if [[ $BASH_SOURCE != "$login_file" && $BASH_SOURCE == /* ]]; then
    login_file=$BASH_SOURCE
    printf "%s\n%s\n" "$login_file" "$login_errexit" >|"$login_note"
  fi
' DEBUG
if [[ -r /etc/profile ]]; then
  source /etc/profile
fi
trap - DEBUG
printf 'done\n' >|"$login_note"
