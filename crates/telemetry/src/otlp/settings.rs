//! The standard variables of OpenTelemetry. The library ignores invalid values, which would be noticed only when traces
//! are missing, so they are checked here.

use std::collections::HashMap;
use std::time::Duration;

use buildbtw_model::{Explanation, hide_user_info};
use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    Compression, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, Sampler, ShouldSample};
use percent_encoding::percent_decode_str;
use reqwest::{Certificate, Url};

use super::client::RuntimeClient;

const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const TRACES_PATH: &str = "v1/traces";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_QUEUE: usize = 2048;
const DEFAULT_BATCH: usize = 512;
const DEFAULT_DELAY: Duration = Duration::from_secs(5);
const MAX_NUMBER: usize = 1_000_000_000;

/// What to export to where.
#[derive(Clone, Debug)]
pub struct OtlpSettings {
    endpoint: Url,
    headers: HashMap<String, String>,
    is_compressed: bool,
    timeout: Duration,
    authorities: Vec<Certificate>,
    sampler: Sampler,
    service: Option<String>,
    resource: Vec<KeyValue>,
    queue: usize,
    batch: usize,
    delay: Duration,
}

impl OtlpSettings {
    /// Reads the variables of this process. Returns `None` if they disable OpenTelemetry.
    ///
    /// # Errors
    /// When a value is invalid or not supported.
    pub fn from_env() -> Result<Option<Self>, Explanation> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Reads variables, by a function that returns their values.
    ///
    /// # Errors
    /// As [`OtlpSettings::from_env`].
    pub fn from_variables(
        read: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, Explanation> {
        let variables = Variables(&read);
        if is_disabled(&variables)? {
            return Ok(None);
        }
        if let Some(exporter) = variables.one("OTEL_TRACES_EXPORTER") {
            match exporter.value.as_str() {
                "none" => return Ok(None),
                "otlp" => {}
                _ => return Err(exporter.refuse("is not supported", "set it to `otlp` or `none`")),
            }
        }
        check_protocol(&variables)?;
        let queue = variables.number("OTEL_BSP_MAX_QUEUE_SIZE", 1)?;
        let queue = queue.unwrap_or(DEFAULT_QUEUE);
        let batch = variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1)?;
        let delay = variables.millis("OTEL_BSP_SCHEDULE_DELAY")?;
        let timeout = match variables.millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")? {
            None => variables.millis("OTEL_EXPORTER_OTLP_TIMEOUT")?,
            timeout => timeout,
        };
        Ok(Some(Self {
            endpoint: endpoint(&variables)?,
            headers: headers(&variables)?,
            is_compressed: is_compressed(&variables)?,
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            authorities: authorities(&variables)?,
            sampler: sampler(&variables)?,
            service: variables.one("OTEL_SERVICE_NAME").map(|name| name.value),
            resource: resource(&variables)?,
            queue,
            batch: batch.unwrap_or(DEFAULT_BATCH).min(queue),
            delay: delay.unwrap_or(DEFAULT_DELAY),
        }))
    }

    /// Returns where traces are sent, without user and password.
    pub(super) fn endpoint(&self) -> String {
        hide_user_info(self.endpoint.as_str()).into_owned()
    }

    pub(super) fn http_client(&self) -> Result<reqwest::Client, Explanation> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("buildbtw/", env!("CARGO_PKG_VERSION")))
            .timeout(self.timeout)
            // A collector has no reason to redirect, and the headers may hold a token.
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_merge(self.authorities.iter().cloned())
            .build();
        client.map_err(|error| Explanation::from(format!("cannot export traces: {error}")))
    }

    pub(super) fn exporter(&self, client: RuntimeClient) -> Result<SpanExporter, Explanation> {
        let mut builder = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_endpoint(self.endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(self.timeout)
            .with_headers(self.headers.clone());
        if self.is_compressed {
            builder = builder.with_compression(Compression::Gzip);
        }
        let built = builder.build();
        built.map_err(|error| Explanation::from(format!("cannot export traces: {error}")))
    }

    pub(super) fn resource(&self, program: &'static str, version: &'static str) -> Resource {
        let service = self.service.clone();
        let builder = Resource::builder_empty()
            .with_service_name(program)
            .with_attribute(KeyValue::new("service.version", version))
            // Later ones replace earlier ones.
            .with_attributes(self.resource.iter().cloned());
        match service {
            Some(name) => builder.with_service_name(name).build(),
            None => builder.build(),
        }
    }

    pub(super) fn batches(&self) -> BatchConfig {
        BatchConfigBuilder::default()
            .with_max_queue_size(self.queue)
            .with_max_export_batch_size(self.batch)
            .with_scheduled_delay(self.delay)
            .build()
    }

    pub(super) fn sampler(&self) -> Box<dyn ShouldSample> {
        Box::new(self.sampler.clone())
    }

    pub(super) fn max_queued(&self) -> usize {
        self.queue
    }
}

/// Reads variables. An empty one counts as unset (OpenTelemetry, "Environment Variable Specification").
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

/// A variable that is set.
struct Variable {
    name: &'static str,
    value: String,
}

impl Variable {
    fn refuse(&self, why: &str, hint: &str) -> Explanation {
        let Self { name, value } = self;
        Explanation::with_hint(format!("{name}: `{}` {why}", hide_user_info(value)), hint)
    }

    /// Refuses a value without repeating it, because it may hold a secret.
    fn refuse_secret(&self, why: &str, hint: &str) -> Explanation {
        Explanation::with_hint(format!("{}: {why}", self.name), hint)
    }
}

impl Variables<'_> {
    fn one(&self, name: &'static str) -> Option<Variable> {
        let value = (self.0)(name)?.trim().to_owned();
        (!value.is_empty()).then_some(Variable { name, value })
    }

    fn first(&self, names: [&'static str; 2]) -> Option<Variable> {
        names.into_iter().find_map(|name| self.one(name))
    }

    fn number(&self, name: &'static str, least: usize) -> Result<Option<usize>, Explanation> {
        let Some(variable) = self.one(name) else {
            return Ok(None);
        };
        let number = variable.value.parse().ok();
        let number = number.filter(|number| (least..=MAX_NUMBER).contains(number));
        match number {
            Some(number) => Ok(Some(number)),
            None => {
                let why = format!("is not a number from {least} to {MAX_NUMBER}");
                Err(variable.refuse(&why, "correct it, or unset it for the default"))
            }
        }
    }

    fn millis(&self, name: &'static str) -> Result<Option<Duration>, Explanation> {
        let millis = self.number(name, 0)?;
        Ok(millis.map(|millis| Duration::from_millis(millis as u64)))
    }
}

/// Returns whether everything is disabled. The specification only warns of other values than `true` and `false`, and
/// takes them for `false`.
fn is_disabled(variables: &Variables<'_>) -> Result<bool, Explanation> {
    let Some(variable) = variables.one("OTEL_SDK_DISABLED") else {
        return Ok(false);
    };
    let is = |value: &str| variable.value.eq_ignore_ascii_case(value);
    match (is("true"), is("false")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(variable.refuse("is neither `true` nor `false`", "correct it, or unset it")),
    }
}

fn endpoint(variables: &Variables<'_>) -> Result<Url, Explanation> {
    let parse = |variable: &Variable| {
        let url = Url::parse(&variable.value).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.ok_or_else(|| {
            let why = "is not the URL of a collector";
            variable.refuse(why, "use a URL such as `http://localhost:4318`")
        })
    };
    // Unlike the general address, that of traces is used as it is.
    if let Some(variable) = variables.one("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        return parse(&variable);
    }
    let variable = variables
        .one("OTEL_EXPORTER_OTLP_ENDPOINT")
        .unwrap_or(Variable {
            name: "OTEL_EXPORTER_OTLP_ENDPOINT",
            value: DEFAULT_ENDPOINT.to_owned(),
        });
    let mut url = parse(&variable)?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(TRACES_PATH.split('/'));
    }
    Ok(url)
}

fn check_protocol(variables: &Variables<'_>) -> Result<(), Explanation> {
    let protocol = variables.first([
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_PROTOCOL",
    ]);
    match protocol {
        Some(protocol) if protocol.value != "http/protobuf" => Err(protocol.refuse(
            "is not supported",
            "set it to `http/protobuf`, for which collectors listen on port 4318",
        )),
        _ => Ok(()),
    }
}

fn is_compressed(variables: &Variables<'_>) -> Result<bool, Explanation> {
    let compression = variables.first([
        "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
        "OTEL_EXPORTER_OTLP_COMPRESSION",
    ]);
    match compression {
        None => Ok(false),
        Some(Variable { value, .. }) if value == "none" => Ok(false),
        Some(Variable { value, .. }) if value == "gzip" => Ok(true),
        Some(other) => Err(other.refuse("is not supported", "set it to `gzip` or `none`")),
    }
}

fn headers(variables: &Variables<'_>) -> Result<HashMap<String, String>, Explanation> {
    let variable = variables.first([
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "OTEL_EXPORTER_OTLP_HEADERS",
    ]);
    let Some(variable) = variable else {
        return Ok(HashMap::new());
    };
    let is_header = |(name, value): &(String, String)| {
        http::HeaderName::from_bytes(name.as_bytes()).is_ok()
            && http::HeaderValue::from_str(value).is_ok()
    };
    let headers = pairs(&variable.value).filter(|pairs| pairs.iter().all(is_header));
    let headers = headers.ok_or_else(|| {
        let hint = "use a list such as `name=value,other=value`, with percent-encoded values";
        variable.refuse_secret("the value is not a list of headers", hint)
    })?;
    Ok(headers.into_iter().collect())
}

fn resource(variables: &Variables<'_>) -> Result<Vec<KeyValue>, Explanation> {
    let Some(variable) = variables.one("OTEL_RESOURCE_ATTRIBUTES") else {
        return Ok(Vec::new());
    };
    let attributes = pairs(&variable.value).ok_or_else(|| {
        let hint = "use a list such as `deployment.environment.name=production,host.name=x`";
        variable.refuse("is not a list of attributes", hint)
    })?;
    let attributes = attributes.into_iter();
    Ok(attributes
        .map(|(name, value)| KeyValue::new(name, value))
        .collect())
}

/// Parses `name=value,…` with percent-encoded values.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    let parts = text.split(',').filter(|part| !part.trim().is_empty());
    parts.map(pair).collect()
}

fn authorities(variables: &Variables<'_>) -> Result<Vec<Certificate>, Explanation> {
    let variable = variables.first([
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
    ]);
    let Some(variable) = variable else {
        return Ok(Vec::new());
    };
    let hint = "it names a PEM file of certificate authorities";
    let text = fs_err::read(&variable.value)
        .map_err(|error| Explanation::with_hint(format!("{}: {error}", variable.name), hint))?;
    let certificates = Certificate::from_pem_bundle(&text).unwrap_or_default();
    if certificates.is_empty() {
        return Err(variable.refuse("has no certificates", hint));
    }
    Ok(certificates)
}

fn sampler(variables: &Variables<'_>) -> Result<Sampler, Explanation> {
    let based = |root| Sampler::ParentBased(Box::new(root));
    let Some(variable) = variables.one("OTEL_TRACES_SAMPLER") else {
        return Ok(based(Sampler::AlwaysOn));
    };
    Ok(match variable.value.as_str() {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio(variables)?),
        "parentbased_always_on" => based(Sampler::AlwaysOn),
        "parentbased_always_off" => based(Sampler::AlwaysOff),
        "parentbased_traceidratio" => based(Sampler::TraceIdRatioBased(ratio(variables)?)),
        _ => {
            return Err(variable.refuse(
                "is not a known sampler",
                "use always_on, always_off or traceidratio, each optionally prefixed with parentbased_",
            ));
        }
    })
}

fn ratio(variables: &Variables<'_>) -> Result<f64, Explanation> {
    let Some(variable) = variables.one("OTEL_TRACES_SAMPLER_ARG") else {
        return Ok(1.0);
    };
    let ratio = variable.value.parse().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| variable.refuse("is not a number from 0 to 1", "use a ratio such as 0.1"))
}

#[cfg(test)]
mod tests;
