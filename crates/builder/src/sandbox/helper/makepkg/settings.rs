//! Settings of makepkg: those of the root, and then what a build is given whatever they say. makepkg
//! lets the environment win over its settings for some variables only.

use super::super::login_shell::quoted;
use crate::sandbox::job::BuildTask;

/// Where makepkg finds them.
pub(super) const PATH: &str = "/run/buildbtw/makepkg.conf";
/// Reads those of the root as makepkg does. Settings of the user are left out: makepkg looks for them
/// only beside `/etc/makepkg.conf`, and only the build itself could have put them into its home folder.
const OF_ROOT: &str = r#"source /etc/makepkg.conf || return
if [[ $(declare -f source_makepkg_config) == *'.d"'* ]]; then
  for buildbtw_file in /etc/makepkg.conf.d/*.conf; do
    [[ ! -r $buildbtw_file ]] || source "$buildbtw_file" || return
  done
  unset buildbtw_file
fi
"#;

/// The variables that a build is given, besides those that makepkg itself takes from the environment.
pub(super) fn variables(task: &BuildTask) -> [(&'static str, String); 4] {
    let tool = &task.request.build_tool;
    [
        ("MAKEFLAGS", format!("-j{}", task.jobs)),
        ("NPROC", task.jobs.to_string()),
        ("BUILDTOOL", tool.name.to_string()),
        ("BUILDTOOLVER", tool.version.to_string()),
    ]
}

/// The text of the file.
pub(super) fn text(task: &BuildTask) -> String {
    let own = variables(task).map(|(name, value)| format!("{name}={}\n", quoted(&value)));
    format!("{OF_ROOT}{}", own.concat())
}
