# /etc/profile: as on Arch, so that what packages put into /etc/profile.d counts.

umask 022

# Files in /etc/profile.d use this function.
append_path() {
  case ":$PATH:" in
    *:"$1":*) ;;
    *) PATH="${PATH:+$PATH:}$1" ;;
  esac
}

append_path '/usr/local/sbin'
append_path '/usr/local/bin'
append_path '/usr/bin'
# On Arch a link to /usr/bin.
append_path '/usr/sbin'
export PATH

for profile in /etc/profile.d/*.sh; do
  test -r "$profile" && . "$profile"
done
unset profile

unset -f append_path
