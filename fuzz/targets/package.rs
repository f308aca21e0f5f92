//! Uploads of packages, through the router. The first byte chooses whether the archive is wrapped
//! in a valid frame, so that the fuzzer gets past the decompression.
#![no_main]

use std::cell::OnceCell;

use axum::http::Method;
use buildbtw_fuzz::Target;
use libfuzzer_sys::fuzz_target;

thread_local! {
    static TARGET: OnceCell<(Target, String)> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    TARGET.with(|target| {
        let (target, attempt) = target.get_or_init(|| {
            let target = Target::new();
            let attempt = target.attempt();
            (target, attempt)
        });
        let digest = buildbtw_fuzz::sha256(data);
        let path = format!(
            "/api/v1/attempts/{attempt}/packages/a-1-1-x86_64.pkg.tar.zst?sha256={digest}"
        );
        target.ask(Method::PUT, &path, data);
    });
});
