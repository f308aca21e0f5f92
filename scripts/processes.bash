#!/usr/bin/env bash
# Manages the processes and files of scripts that start a server of their own, with its data in $work/data and its log
# in $work/logs. $server_pid is its process, and --keep sets $keep. Sourced after show.bash.

: "${work:=}" "${keep:=false}" "${server_pid:=}"
# The URL of the server, once it responds.
url=''

wait_for_server() {
  local deadline=$((SECONDS + 60))
  until [[ -s $work/data/address ]] && url=http://$(<"$work/data/address") &&
    curl --silent --output /dev/null --max-time 5 "$url/"; do
    kill -0 "$server_pid" 2>/dev/null || fail_with_log "$work/logs/server.log" 'The server exited immediately.'
    ((SECONDS < deadline)) || fail_with_log "$work/logs/server.log" 'The server did not respond within 60 s.'
    sleep 0.1
  done
}

# stop PID [SECONDS]: sends SIGTERM, and SIGKILL after this time (by default ten seconds).
stop() {
  local pid=$1 patience=${2:-10} tries
  [[ -n $pid ]] || return 0
  kill -TERM "$pid" 2>/dev/null || return 0
  for ((tries = 0; tries < patience * 10; tries++)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}

# Removes $work, unless it is to be kept.
remove_work_folder() {
  if [[ -n $work && -d $work ]]; then
    if $keep; then
      note '' "Its files are in $work."
    elif grep -qF " $work/" /proc/self/mountinfo; then
      # Never delete through a mount, which may contain the machine's own files.
      note '' "$work is kept, because a file system is still mounted below it."
    else
      rm -rf --one-file-system "$work"
    fi
  fi
}
