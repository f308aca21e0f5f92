#!/usr/bin/env bash
# Machines in namespaces of this one: each runs systemd on a root of its own, with a network that connects them.
# Sourced by scripts/follow-install. All mounts, processes and networks end with the script that called isolate.

# The first processes of machines.
declare -A first_process=()

# isolate SCRIPT ARGUMENT…: runs a script again in namespaces of its own, in which it can start machines.
isolate() {
  local status=0
  export MACHINES_CGROUP=machines-$$
  (
    enter_cgroup "$MACHINES_CGROUP"
    exec unshare --mount --net --pid --cgroup --fork --kill-child=KILL --mount-proc --propagation private "$@"
  ) || status=$?
  # The last processes leave a moment after they were killed.
  remove_cgroups || { sleep 1 && remove_cgroups; } || true
  return "$status"
}

remove_cgroups() {
  local hierarchy folders=()
  while read -r hierarchy; do
    folders+=("$hierarchy/$MACHINES_CGROUP")
  done < <(hierarchies)
  find "${folders[@]}" -depth -type d -exec rmdir {} +
}

# enter_cgroup PATH: moves this shell into a new cgroup of each hierarchy.
enter_cgroup() {
  local hierarchy cgroup
  while read -r hierarchy; do
    cgroup=$hierarchy/$1
    mkdir "$cgroup"
    # On v1, a group has no processors and no memory until it gets some.
    if [[ -e $cgroup/cpuset.cpus && ! -e $cgroup/cgroup.controllers ]]; then
      cat "${cgroup%/*}/cpuset.cpus" >"$cgroup/cpuset.cpus"
      cat "${cgroup%/*}/cpuset.mems" >"$cgroup/cpuset.mems"
    fi
    echo "$BASHPID" >"$cgroup/cgroup.procs"
  done < <(hierarchies)
}

# The cgroup hierarchies of this machine: several with v1, one with v2.
hierarchies() {
  awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts
}

# create_bridge ADDRESS
create_bridge() {
  ip link add name br0 type bridge
  ip address add "$1/24" dev br0
  ip link set br0 up
  ip link set lo up
}

# start_machine NAME ROOT ADDRESS: boots a system, and returns when it has started.
start_machine() {
  local name=$1 root=$2 address=$3 unshared tries
  : >"$root.state"
  (
    enter_cgroup "$MACHINES_CGROUP/$name"
    exec unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child=KILL --propagation private \
      bash -c "$(declare -f boot); boot \"\$@\"" _ "$name" "$root"
  ) </dev/null >"$root.console" 2>&1 &
  unshared=$!
  for ((tries = 0; tries < 300; tries++)); do
    first_process[$name]=$(pgrep --parent "$unshared") || true
    # Until then, it is a shell.
    if [[ -n ${first_process[$name]} && $(ps -o comm= -p "${first_process[$name]}") == systemd ]]; then
      on "$name" systemctl is-system-running --wait >"$root.state" 2>/dev/null || true
    fi
    ! grep -qx 'running\|degraded' "$root.state" || break
    kill -0 "$unshared" 2>/dev/null || break
    sleep 0.1
  done
  if ! grep -qx 'running\|degraded' "$root.state"; then
    cat "$root.console" >&2
    echo "the machine $name does not start" >&2
    return 1
  fi
  ip link add "to-$name" type veth peer name eth0 netns "${first_process[$name]}"
  ip link set "to-$name" master br0 up
  on "$name" ip link set lo up
  on "$name" ip address add "$address/24" dev eth0
  on "$name" ip link set eth0 up
}

# Becomes the first process of a machine, in the namespaces of it.
boot() {
  set -eu
  local name=$1 root=$2 device line type options
  mount --bind "$root" "$root"
  cd "$root"
  hostname "$name"
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
  # The same hierarchies as here, each from this script's group downwards.
  while read -r line type options; do
    case $type in
      cgroup2)
        mkdir -p "$root$line"
        mount -t cgroup2 cgroup2 "$root$line"
        ;;
      cgroup)
        mkdir "$root$line"
        # Only the names of controllers make a difference.
        options=$(tr , '\n' <<<"$options" | grep -vxE 'rw|relatime|nosuid|nodev|noexec|xattr|release_agent=.*' | paste -sd ,)
        [[ $options != name=* ]] || options=none,$options
        mount -t cgroup -o "$options" cgroup "$root$line"
        ;;
    esac
  done < <(awk '$3 ~ /^cgroup/ { print $2, $3, $4 }' /proc/mounts)
  mount -t tmpfs -o mode=755 tmpfs dev
  mkdir dev/net dev/pts dev/shm
  for device in null zero full random urandom tty fuse net/tun; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  mount -t tmpfs -o mode=1777 tmpfs dev/shm
  mount -t tmpfs -o mode=755 tmpfs run
  mkdir oldroot
  pivot_root . oldroot
  cd /
  umount -l /oldroot
  rmdir /oldroot
  # As systemd expects of a container manager; credentials of services are mounted from outside of their namespaces.
  mount --make-rshared /
  : >/etc/machine-id
  exec env -i container=other PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin \
    /usr/lib/systemd/systemd --log-target=journal --show-status=no --unit=basic.target
}

# on MACHINE COMMAND…: runs a command as root.
on() {
  local name=$1
  shift
  # The working folder has to be of the machine; --wd would open this machine's.
  # shellcheck disable=SC2016 # for the other shell
  nsenter --target "${first_process[$name]}" --mount --net --pid --uts --ipc --cgroup --root \
    env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 SYSTEMD_PAGER='' \
    bash -c 'cd /root && exec "$@"' _ "$@"
}
