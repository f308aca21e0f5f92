//! Asks pacman for the source package of a package.

/// A bash function that prints the pkgbase of a package in the repositories, or its own name if the pkgbase
/// is unknown.
pub(super) const BASE_OF: &str = r#"
base_of() {
  local found base
  found=$(pacman -Sddp --print-format '%r %v' -- "$1" 2>/dev/null | tail -n 1)
  base=$(bsdtar -xOf "/var/lib/pacman/sync/${found% *}.db" "$1-${found#* }/desc" 2>/dev/null |
    sed -n '/^%BASE%$/{n;p;q}')
  printf '%s\n' "${base:-$1}"
}"#;
