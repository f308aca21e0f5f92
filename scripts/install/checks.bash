#!/usr/bin/env bash
# Tries what notes/install.md says about the installed services, after its commands. Sourced by scripts/follow-install.

: "${work:=}" "${programs:=}" "${distribution:=}"

# fails MESSAGE
fails() {
  echo "follow-install: $*" >&2
  return 1
}

# property MACHINE UNIT NAME
property() {
  on "$1" systemctl show --property "$3" --value "$2"
}

# until_is VALUE COMMAND…: waits until a command prints a value.
until_is() {
  local value=$1 tries
  shift
  for ((tries = 0; tries < 300; tries++)); do
    [[ $("$@" 2>/dev/null) != "$value" ]] || return 0
    sleep 0.1
  done
  fails "\`$*\` prints $("$@"), not $value"
}

repository_is_usable() {
  say 'the repository, from another machine'
  # shellcheck disable=SC2016 # for the other shell
  on worker bash -euc '
    printf "[options]\nArchitecture = x86_64\nSigLevel = Never\n[first]\nServer = https://build.example.org/repo/first/latest/\$arch\n" >upgrade.conf
    mkdir -p db
    pacman --config upgrade.conf --dbpath db -Sy
    pacman --config upgrade.conf --dbpath db -Sp --print-format "%n %v" libgreet greeter' | tee "$work/packages-of-first"
  grep -q '^greeter ' "$work/packages-of-first"
}

server_is_confined() {
  say 'the user of the server, and its files'
  local owner user
  user=$(on server ps -o uid= -p "$(property server buildbtw-server MainPID)" | tr -d ' ')
  owner=$(on server stat --format '%u %a' /var/lib/private/buildbtw-server/buildbtw.sqlite3)
  echo "uid $user; the database: $owner"
  ((user >= 61184 && user <= 65519)) || fails 'the server has no dynamic user'
  [[ $owner == "$user 600" ]] || fails 'the database is not private'
  on server bash -euc '! getent passwd buildbtw-server >/dev/null || exit 1; getent group buildbtw'
  on server systemctl status buildbtw-server | grep -F 'serving at 127.0.0.1:8080'
  on server systemd-analyze security --no-pager buildbtw-server | tail -n 1
  [[ $(on worker stat --format '%U %a' /etc/buildbtw/worker-token) == 'root 600' ]] || fails 'the token is readable'
}

# What "Later" tells administrators to run, as root and without the variables of the units.
commands_find_the_services() {
  say 'doctor'
  on server buildbtw-server doctor | tee "$work/doctor"
  grep -q '^ok       running server: it answers at http://127.0.0.1:8080$' "$work/doctor"
  grep -q '^ok       database: ' "$work/doctor"
  grep -q '^ok       public URL: ' "$work/doctor"
  on server buildbtw doctor
  on worker buildbtw-worker doctor | tee "$work/doctor"
  grep -q '^ok       token: ' "$work/doctor"
  grep -q '^ok       scratch folder: ./var/lib/buildbtw-worker/1. is private' "$work/doctor"
  grep -q '^ok       build of a package: ' "$work/doctor"
  say 'backup and check'
  on server buildbtw-server backup /root/backup
  on server test -s /root/backup/buildbtw.sqlite3
  on server bash -euc '
    systemctl stop buildbtw-server
    buildbtw-server check
    systemctl start buildbtw-server'
  until_is active property server buildbtw-server ActiveState
  [[ $(on server stat --format '%a' /var/lib/private/buildbtw-server/buildbtw.sqlite3) == 600 ]] ||
    fails 'the database is not private'
}

reload_reads_files_again() {
  say 'reload'
  on server bash -euc '
    cd /etc/buildbtw
    cp base-repositories.toml correct
    echo "[[repository]]" >>base-repositories.toml
    systemctl reload buildbtw-server'
  until_is 1 status_names base-repositories.toml
  on server systemctl status buildbtw-server | grep -F 'Status:'
  on server bash -euc 'cd /etc/buildbtw && mv correct base-repositories.toml && systemctl reload buildbtw-server'
  until_is serving property server buildbtw-server StatusText
}

# Prints whether the status of the server contains a text.
status_names() {
  [[ $(property server buildbtw-server StatusText) != *"$1"* ]] || echo 1
}

socket_outlives_the_service() {
  say 'requests during restarts, with the socket'
  # shellcheck disable=SC2016 # for the other shell
  on server bash -euc '
    systemctl stop buildbtw-server
    # More starts than systemd allows within ten seconds.
    systemctl reset-failed buildbtw-server || true
    systemctl enable --now buildbtw-server.socket
    # The first request starts the service.
    curl --silent --show-error --fail --output /dev/null http://127.0.0.1:8080/
    systemctl is-active buildbtw-server
    ask() {
      local count=0
      until [[ -e /tmp/restarted ]]; do
        # A connection without a request may be closed when the server stops; 7 is a refused one.
        curl --silent --fail --output /dev/null http://127.0.0.1:8080/ || [[ $? != 7 ]] || exit 1
        count=$((count + 1))
      done
      echo "$count requests, none refused"
    }
    ask &
    for _ in 1 2 3; do
      systemctl restart buildbtw-server
    done
    touch /tmp/restarted
    wait $!'
}

# with_watchdog MACHINE UNIT: shortens the time after which systemd ends a service that hangs.
with_watchdog() {
  # shellcheck disable=SC2016 # for the other shell
  on "$1" bash -euc '
    mkdir -p "/run/systemd/system/$1.d"
    printf "[Unit]\nStartLimitIntervalSec=0\n[Service]\nWatchdogSec=2\nRestartSec=0\n" \
      >"/run/systemd/system/$1.d/watchdog.conf"
    systemctl daemon-reload
    systemctl restart "$1"
    # It feeds the watchdog, so this does not restart it.
    before=$(systemctl show --property WatchdogTimestampMonotonic --value "$1")
    until [[ $(systemctl show --property WatchdogTimestampMonotonic --value "$1") != "$before" ]]; do sleep 0.1; done
    test "$(systemctl show --property NRestarts --value "$1")" = 0
    systemctl kill --kill-whom main --signal STOP "$1"' _ "$2"
}

hanging_server_is_restarted() {
  say 'a server that hangs'
  with_watchdog server buildbtw-server.service
  until_is 1 property server buildbtw-server NRestarts
  until_is active property server buildbtw-server ActiveState
  on server journalctl --unit buildbtw-server --no-pager --output cat | grep -F 'Watchdog timeout'
  on server buildbtw show first | head -n 5
}

hanging_worker_is_restarted() {
  say 'a worker that hangs'
  with_watchdog worker buildbtw-worker@1.service
  until_is 1 property worker buildbtw-worker@1 NRestarts
  until_is active property worker buildbtw-worker@1 ActiveState
}

rejected_worker_stays_down() {
  say 'a worker whose token is rejected'
  on worker bash -euc '
    cp -p /etc/buildbtw/worker-token /root/correct
    echo wrong >/etc/buildbtw/worker-token
    systemctl restart buildbtw-worker@1 || true'
  until_is failed property worker buildbtw-worker@1 ActiveState
  [[ $(property worker buildbtw-worker@1 ExecMainStatus) == 77 ]] || fails 'the worker exited with another code'
  on worker bash -euc '
    mv /root/correct /etc/buildbtw/worker-token
    systemctl reset-failed buildbtw-worker@1
    systemctl start buildbtw-worker@1'
}

second_instance_has_settings_of_its_own() {
  say 'another worker on the same machine'
  on worker bash -euc '
    echo BUILDBTW_JOBS=2 >/etc/buildbtw/worker-2.env
    systemctl enable --now buildbtw-worker@2
    systemctl show --property StatusText --value buildbtw-worker@1 buildbtw-worker@2
    test -d /var/lib/buildbtw-worker/2' | tee "$work/workers"
  grep -qx 'claims up to 1 build at https://build.example.org' "$work/workers"
  grep -qx 'claims up to 2 builds at https://build.example.org' "$work/workers"
}

# With the stand-in for GitLab on the same machine: as credentials of systemd, and as files that a reload reads again.
secrets_of_gitlab_reach_the_server() {
  say 'GitLab, and its secrets'
  cp "$programs/fake-gitlab" "$work/server/usr/local/bin"
  # shellcheck disable=SC2016 # for the other shell
  on server bash -euc '
    mkdir /srv/gitlab
    cp -r /srv/sources /srv/gitlab/adopted
    systemd-run --quiet --unit fake-gitlab fake-gitlab --root /srv/gitlab/root --group packaging \
      --adopt /srv/gitlab/adopted --address-file /srv/gitlab/address --token-file /etc/buildbtw/gitlab-token
    until [[ -s /srv/gitlab/address ]]; do sleep 0.1; done
    head -c 24 /dev/urandom | base64 >/etc/buildbtw/webhook-secret
    systemd-tmpfiles --create buildbtw-server.conf
    stat --format "%n %U %G %a" /etc/buildbtw/gitlab-token
    mkdir -p /etc/systemd/system/buildbtw-server.service.d
    cp /usr/share/doc/buildbtw-server/gitlab.conf /etc/systemd/system/buildbtw-server.service.d
    sed -i -e "/^sources_/d" -e "s#^data_dir = .*#data_dir = \"/var/lib/buildbtw-server/with-gitlab\"#" \
      /etc/buildbtw/server.toml
    cat >>/etc/buildbtw/server.toml <<END
gitlab_url = "$(cat /srv/gitlab/address)"
gitlab_group = "packaging"
gitlab_token_file = "/etc/buildbtw/gitlab-token"
gitlab_webhook_secret_file = "/etc/buildbtw/webhook-secret"
END
    systemctl daemon-reload
    systemctl restart buildbtw-server
    buildbtw sources --server http://127.0.0.1:8080
    # The stand-in has no webhook, which is a failure.
    buildbtw-server doctor >doctor || true
    grep "^ok       running server: " doctor
    grep "^ok       GitLab token: " doctor
    echo "the files themselves"
    rm /etc/systemd/system/buildbtw-server.service.d/gitlab.conf
    systemctl daemon-reload
    systemctl restart buildbtw-server
    mv /etc/buildbtw/webhook-secret /root
    systemctl reload buildbtw-server'
  until_is 1 status_names webhook-secret
  on server bash -euc 'mv /root/webhook-secret /etc/buildbtw && systemctl reload buildbtw-server'
  until_is serving property server buildbtw-server StatusText
}

# `just demo` as on Arch: without dpkg, on a system that pacstrap installs.
demo_runs() {
  say 'the demo, on a pacstrapped system'
  local home=$work/worker/root/buildbtw program
  mkdir -p "$home/bin"
  git ls-files -z demo scripts | xargs -0 cp --parents --target-directory "$home"
  for program in buildbtw buildbtw-server buildbtw-worker; do
    cp "$programs/$program" "$home/bin"
  done
  on worker bash -euc '! type -P dpkg-query && buildbtw/demo/run --ci --bin-dir buildbtw/bin'
}

# removed MACHINE PACKAGE UNIT: removes a package while its service runs, and checks that its settings are kept.
removed() {
  say "removal of $2"
  until_is active property "$1" "$3" ActiveState
  if [[ $distribution == debian ]]; then
    on "$1" apt-get remove --yes --quiet=2 "$2"
  else
    # Hooks of pacman do not stop services.
    on "$1" systemctl disable --now "$3"
    on "$1" pacman -R --noconfirm "$2"
  fi
  until_is inactive property "$1" "$3" ActiveState
  on "$1" bash -euc "! type -P $2"
  # pacman keeps what was changed under another name.
  on "$1" bash -euc "compgen -G '/etc/buildbtw/${2#buildbtw-}.toml*'"
}

removed_server_keeps_its_data() {
  removed server buildbtw-server buildbtw-server.service
  on server test -e /var/lib/private/buildbtw-server/buildbtw.sqlite3
}
