#!/usr/bin/env bash
# Processes and files of scripts that start a server of their own, with its data in $work/data and its log in
# $work/logs; $server_pid is its process, and --keep sets $keep. Sourced after show.bash.

: "${work:=}" "${keep:=false}" "${server_pid:=}"
# Where the server is, once it answers.
url=''

wait_for_server() {
  local deadline=$((SECONDS + 60))
  until [[ -s $work/data/address ]] && url=http://$(<"$work/data/address") &&
    curl --silent --output /dev/null --max-time 5 "$url/"; do
    kill -0 "$server_pid" 2>/dev/null || fail_with_log "$work/logs/server.log" 'The server ended at once.'
    ((SECONDS < deadline)) || fail_with_log "$work/logs/server.log" 'The server does not answer.'
    sleep 0.1
  done
}

# stop PID [SECONDS]: asks, waits so long (ten seconds), insists.
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

# Removes $work, unless somebody wants to see it.
remove_work_folder() {
  if [[ -n $work && -d $work ]]; then
    if $keep; then
      note '' "Its files are in $work."
    elif grep -qF " $work/" /proc/self/mountinfo; then
      # Never delete through a mount: what it shows may be the machine's own files.
      note '' "Something is still mounted below $work, so it is left as it is."
    else
      rm -rf --one-file-system "$work"
    fi
  fi
}
