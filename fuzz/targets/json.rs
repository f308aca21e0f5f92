//! All JSON bodies that the server accepts, through the router. The first byte chooses the route.
#![no_main]

use std::cell::OnceCell;

use axum::http::Method;
use buildbtw_fuzz::Target;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static TARGET: OnceCell<(Target, String)> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else {
        return;
    };
    TARGET.with(|target| {
        let (target, attempt) = target.get_or_init(|| {
            let target = Target::new();
            let attempt = target.claim_attempt();
            (target, attempt)
        });
        let outcome = format!("/api/v1/attempts/{attempt}/outcome");
        let log = format!("/api/v1/attempts/{attempt}/log?offset={choice}");
        let (method, path) = match choice % 8 {
            0 => (Method::POST, "/api/v1/namespaces"),
            1 => (Method::POST, "/api/v1/namespaces/fuzz/iterations"),
            2 => (Method::POST, "/api/v1/namespaces/fuzz/retry"),
            3 => (Method::POST, "/api/v1/attempts/claim"),
            4 => (Method::PUT, &*outcome),
            5 => (Method::POST, "/api/v1/tokens"),
            6 => (Method::POST, "/api/v1/plans"),
            _ => (Method::POST, &*log),
        };
        target.request(method, path, &without_wait(body));
    });
});

/// Sets the wait of a claim to zero, which would only delay the fuzzer.
fn without_wait(body: &[u8]) -> Vec<u8> {
    match serde_json::from_slice(body) {
        Ok(serde_json::Value::Object(mut object)) if object.contains_key("claim") => {
            object.insert("wait_s".into(), 0.into());
            serde_json::to_vec(&object).unwrap()
        }
        _ => body.to_vec(),
    }
}
