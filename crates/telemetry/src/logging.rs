//! The log of a program, on standard error: human-readable lines, or a JSON object per line.

use std::io::{self, IsTerminal as _};
use std::panic::PanicHookInfo;

use buildbtw_model::Explanation;
use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use crate::console::Console;

/// Checks what is logged, for the flags of a program: so that an invalid one in a file is reported with its line.
///
/// # Errors
/// When it is neither a level nor a list of directives.
pub fn log_filter(text: &str) -> Result<String, &'static str> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(
            "expected a level such as `info`, or directives such as `info,buildbtw_server=debug`",
        ),
    }
}

/// The formats of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// The settings of a log.
#[derive(Debug)]
pub struct Logging<'a> {
    /// What is logged: a level, or directives.
    pub filter: &'a str,
    /// How it is written.
    pub format: LogFormat,
    /// The console that observes tasks, if there is one. The filter does not apply to it.
    pub console: Option<Console>,
}

impl Logging<'_> {
    /// Starts to log. Call it once, before the runtime starts: tasks that run already are not observed.
    ///
    /// # Errors
    /// When the filter is invalid, or the console or the log cannot be started.
    pub fn start(self) -> Result<(), Explanation> {
        let filter = EnvFilter::try_new(self.filter).map_err(|error| {
            Explanation::with_hint(
                format!("--log: {error}"),
                "use a level such as `info`, or directives such as `info,buildbtw_server=debug`",
            )
        })?;
        let registry = tracing_subscriber::registry();
        let address = self.console.as_ref().and_then(Console::address);
        let started = match self.console {
            // As a layer of its own the filter also skips what it disables, without asking each layer.
            None => registry.with(filter).with(lines(self.format)).try_init(),
            Some(console) => registry
                .with(console.into_layer()?)
                .with(lines(self.format).with_filter(filter))
                .try_init(),
        };
        started.map_err(|error| Explanation::from(format!("cannot start the log: {error}")))?;
        if let Some(address) = address {
            tracing::info!(%address, "tokio-console is available");
        }
        if self.format == LogFormat::Json {
            // Panics are lines of the log, too.
            std::panic::set_hook(Box::new(log_panic));
        }
        Ok(())
    }
}

/// Returns the layer that writes lines.
fn lines<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => layer.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            // It is the last one of the list.
            .with_current_span(false)
            .boxed(),
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let message = panic.payload_as_str().unwrap_or("no message");
    tracing::error!(panic.location = location, panic.message = message, "panic");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Collects what is written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_an_object_with_the_fields_of_spans_per_line() {
        let written = Written::default();
        let writer = written.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .json()
            .flatten_event(true)
            .with_current_span(false);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let _attempt =
                tracing::info_span!("attempt", trace_id = "0a", attempt.id = "b").entered();
            tracing::warn!(failure.kind = "package", "two\nlines");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(line["timestamp"].is_string());
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["target"], "buildbtw_telemetry::logging::tests");
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["failure.kind"], "package");
        assert_eq!(line["spans"][0]["name"], "attempt");
        assert_eq!(line["spans"][0]["trace_id"], "0a");
        assert_eq!(line["spans"][0]["attempt.id"], "b");
    }

    #[test]
    fn checks_filters_of_flags() {
        for valid in ["info", "info,buildbtw_server=debug", "off", ""] {
            assert_eq!(log_filter(valid).as_deref(), Ok(valid));
        }
        for invalid in ["foo=bar=baz", "a=loud"] {
            assert!(log_filter(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn refuses_an_invalid_filter_with_a_hint() {
        let logging = Logging {
            filter: "a=loud",
            format: LogFormat::Text,
            console: None,
        };
        let error = logging.start().unwrap_err();
        assert!(error.message.starts_with("--log: "), "{error}");
        assert!(error.hint.is_some());
    }
}
