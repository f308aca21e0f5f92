//! Errors in the arguments of the command line.

use std::error::Error as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};

use crate::error::EXIT_ERROR;
use crate::output;

/// Prints an error of clap. An error of a type of ours becomes one line and a hint.
#[must_use]
pub fn report_usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed pipe is not an error.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        ErrorKind::ValueValidation => {
            if let Some(source) = error.source() {
                let source = source.to_string();
                let text = |kind| error.get(kind).map(ToString::to_string);
                let message = match (
                    text(ContextKind::InvalidArg),
                    text(ContextKind::InvalidValue),
                ) {
                    (Some(argument), Some(value)) => {
                        format!("invalid value '{value}' for '{argument}': {source}")
                    }
                    _ => source,
                };
                output::report(
                    &message,
                    Some("`buildbtw help COMMAND` describes the arguments"),
                );
                return ExitCode::from(EXIT_ERROR);
            }
            let _ = error.print();
        }
        _ => {
            let _ = error.print();
        }
    }
    let _ = std::io::stderr().flush();
    ExitCode::from(EXIT_ERROR)
}
