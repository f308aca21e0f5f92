//! The settings of makepkg: those of the root, followed by the fixed settings of a build. makepkg lets the
//! environment override its settings only for some variables.

use super::super::login_shell::quoted;
use crate::sandbox::job::BuildTask;

/// The path of the file inside the sandbox.
pub(super) const PATH: &str = "/run/buildbtw/makepkg.conf";
/// Reads the settings of the root as makepkg does. Settings of the user are omitted: makepkg looks for them
/// only next to `/etc/makepkg.conf`, and only the build itself could have put them into its home folder.
const OF_ROOT: &str = r#"source /etc/makepkg.conf || return
if [[ $(declare -f source_makepkg_config) == *'.d"'* ]]; then
  for buildbtw_file in /etc/makepkg.conf.d/*.conf; do
    [[ ! -r $buildbtw_file ]] || source "$buildbtw_file" || return
  done
  unset buildbtw_file
fi
"#;

/// Returns the variables of a build, besides those that makepkg itself takes from the environment.
pub(super) fn variables(task: &BuildTask) -> [(&'static str, String); 4] {
    let tool = &task.request.build_tool;
    [
        ("MAKEFLAGS", format!("-j{}", task.jobs)),
        ("NPROC", task.jobs.to_string()),
        ("BUILDTOOL", tool.name.to_string()),
        ("BUILDTOOLVER", tool.version.to_string()),
    ]
}

/// Returns the contents of the file.
pub(super) fn text(task: &BuildTask) -> String {
    let own = variables(task).map(|(name, value)| format!("{name}={}\n", quoted(&value)));
    format!("{OF_ROOT}{}", own.concat())
}
