//! Asks pacman which source package a package comes from.

/// A function of bash that writes the pkgbase of a package in the repositories, or its own name
/// where that is not known.
pub(super) const BASE_OF: &str = r#"
base_of() {
  local found base
  found=$(pacman -Sddp --print-format '%r %v' -- "$1" 2>/dev/null | tail -n 1)
  base=$(bsdtar -xOf "/var/lib/pacman/sync/${found% *}.db" "$1-${found#* }/desc" 2>/dev/null |
    sed -n '/^%BASE%$/{n;p;q}')
  printf '%s\n' "${base:-$1}"
}"#;
