use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Option<OtlpSettings>, Explanation> {
    OtlpSettings::from_variables(|name| {
        let found = variables.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn refusal(variables: &[(&str, &str)]) -> String {
    let refused = read(variables).unwrap_err();
    assert!(refused.hint.is_some(), "{refused}");
    refused.to_string()
}

fn settings(variables: &[(&str, &str)]) -> OtlpSettings {
    read(variables).unwrap().unwrap()
}

#[test]
fn has_the_standard_defaults() {
    let settings = settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]);
    assert_eq!(settings.endpoint(), "http://localhost:4318/v1/traces");
    assert_eq!((settings.queue, settings.batch), (2048, 512));
    assert_eq!(settings.timeout, Duration::from_secs(10));
    assert!(!settings.is_compressed);
    let resource = settings.resource("program", "1.2.3");
    let name = resource.get(&"service.name".into()).unwrap();
    assert_eq!(name.as_str(), "program");
}

#[test]
fn appends_the_path_to_the_general_endpoint_only() {
    for (name, value, expected) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "http://c:1/",
            "http://c:1/v1/traces",
        ),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "https://c/otlp",
            "https://c/otlp/v1/traces",
        ),
        (
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            "https://c/x",
            "https://c/x",
        ),
    ] {
        assert_eq!(settings(&[(name, value)]).endpoint(), expected);
    }
}

#[test]
fn prefers_variables_for_traces() {
    let settings = settings(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces/"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all/"),
        (
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
            "authorization=Bearer%20x",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "other=y"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10"),
    ]);
    assert_eq!(settings.endpoint(), "http://traces/");
    assert_eq!(settings.timeout, Duration::from_millis(250));
    assert_eq!(
        settings.headers,
        HashMap::from([("authorization".to_owned(), "Bearer x".to_owned())])
    );
}

#[test]
fn names_the_service_by_its_own_variable_first() {
    let name = |variables: &[(&str, &str)]| {
        let resource = settings(variables).resource("program", "1");
        resource.get(&"service.name".into()).unwrap().to_string()
    };
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,host.name=b%20c");
    assert_eq!(name(&[attributes]), "a");
    assert_eq!(name(&[attributes, ("OTEL_SERVICE_NAME", "own")]), "own");
}

#[test]
fn exports_nothing_if_disabled() {
    for variable in [
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        assert!(read(&[variable]).unwrap().is_none(), "{variable:?}");
    }
}

#[test]
fn refusals_match_snapshot() {
    let refused = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://collector"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "no url"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_SDK_DISABLED", "maybe"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "name"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization"),
    ];
    let mut refused = refused.map(|variable| refusal(&[variable])).to_vec();
    refused.push(refusal(&[
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
    ]));
    let file = std::env::temp_dir().join(format!("no-authority-{}", std::process::id()));
    fs_err::write(&file, "none").unwrap();
    let path = file.to_str().unwrap();
    let no_authority = refusal(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", path)]);
    fs_err::remove_file(&file).unwrap();
    refused.push(no_authority.replace(path, "FILE"));
    insta::assert_snapshot!(refused.join("\n\n"));
}

#[test]
fn refusals_do_not_show_passwords() {
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://u:s3cret@collector")];
    let error = read(&endpoint).unwrap_err();
    assert!(!error.message.contains("s3cret"), "{error}");
}

#[test]
fn false_disables_nothing() {
    assert!(read(&[("OTEL_SDK_DISABLED", "False")]).unwrap().is_some());
}

#[test]
fn does_not_repeat_secret_headers_in_errors() {
    let error = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "hunter2")]).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
