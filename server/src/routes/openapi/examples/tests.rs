//! The examples fit the types that they are examples of.

use buildbtw_model::api;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;

/// Reads an example as its type, and requires that the type knows all its fields.
fn check<T: DeserializeOwned + Serialize>(example: &Value) {
    let name = std::any::type_name::<T>();
    let parsed: T = serde_json::from_value(example.clone()).expect(name);
    let written = serde_json::to_value(parsed).unwrap();
    for (field, value) in example.as_object().unwrap() {
        let is_default = written.get(field).is_none() && value.as_array().is_none_or(Vec::is_empty);
        assert!(
            written.get(field).is_some() || is_default,
            "{name} has no field {field}"
        );
    }
}

#[test]
fn gives_examples_that_fit_their_types() {
    let mut seen = 0;
    macro_rules! check_all {
        ($all:expr; $($type:ident)+) => {
            for (name, example) in $all {
                match name {
                    $(stringify!($type) => check::<api::$type>(&example),)+
                    other => panic!("no type is checked for {other}"),
                }
                seen += 1;
            }
        };
    }
    let all = [
        requests(),
        edits(),
        workers(),
        namespaces(),
        builds(),
        attempts(),
        tokens(),
        others(),
        sources(),
    ]
    .concat();
    check_all!(all; CreateNamespace CreateIteration RetryBuilds PlanPreview CreateToken ClaimRequest
        AdoptAttempt ExchangeIdToken Outcome NamespaceSummary NamespaceDetail IterationSummary
        IterationOverview RetriedBuilds BuildSummary BuildDetail AttemptSummary Event ClaimedBuild
        ExchangedIdToken AttemptInputs HeartbeatResponse LogAppended UploadedPackage OutcomeAccepted TokenSummary
        CreatedToken TokenIdentity SourceRepositorySummary SourcesOverview TaskOutage ReadyResponse Problem
        SetPriority Activity WorkerMachine WorkerLoad DrainWorker WorkerSummary EditNamespace SourceRefs);
    assert_eq!(seen, 41);
}
