//! Completion in shells: a script asks this program what may follow, with the variable `COMPLETE`.

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_complete::env::{Bash, CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use crate::cli::Cli;

/// The variable with which a shell asks.
const VARIABLE: &str = "COMPLETE";
const PROGRAM: &str = "buildbtw";
/// Zsh loads a file of `fpath` when it needs it for the first time; the file has to answer at once.
const ZSH_FILE: &str = r#"
if [ "$funcstack[1]" = "_buildbtw" ]; then
    _clap_dynamic_completer_buildbtw "$@"
fi
"#;

/// Completes the command line if a shell asks for it, and returns whether it did. Never prints errors: they would
/// appear in the middle of the line that is being typed.
#[must_use]
pub fn complete_if_asked() -> bool {
    // Spares all other runs the description of the command line.
    if std::env::var_os(VARIABLE).is_none_or(|shell| shell.is_empty() || shell == "0") {
        return false;
    }
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(Cli::command)
        .var(VARIABLE)
        .bin(PROGRAM)
        .completer(PROGRAM)
        .try_complete(std::env::args_os(), folder.as_deref())
        .unwrap_or(true)
}

/// Returns the script that makes a shell ask this program.
///
/// # Errors
/// When the script cannot be written, which does not happen in memory.
pub fn completion_script(shell: Shell) -> std::io::Result<Vec<u8>> {
    let completer: &dyn EnvCompleter = match shell {
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        _ => &Bash,
    };
    let mut script = Vec::new();
    completer.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    if shell == Shell::Zsh {
        script.extend_from_slice(ZSH_FILE.as_bytes());
    }
    Ok(script)
}
