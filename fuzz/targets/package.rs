//! Package files. All are read like an upload; only some are uploaded through the router, which is much slower and
//! covers little more.
#![no_main]

use std::cell::OnceCell;

use axum::http::Method;
use buildbtw_fuzz::Target;
use buildbtw_server::repos::package_file::PackageMetadata;
use libfuzzer_sys::fuzz_target;

const NAME: &str = "a-1-1-x86_64.pkg.tar.zst";

thread_local! {
    static TARGET: OnceCell<(Target, String)> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    TARGET.with(|target| {
        let (target, attempt) = target.get_or_init(|| {
            let target = Target::new();
            let attempt = target.claim_attempt();
            (target, attempt)
        });
        let digest = buildbtw_fuzz::sha256(data);
        let path = target.folder().join("package");
        std::fs::write(&path, data).unwrap();
        let name = NAME.parse().unwrap();
        if let Ok(read) = PackageMetadata::read(&path, &name, &"a".parse().unwrap(), &|| false) {
            let desc = read.desc(&name, 1, &digest);
            // Values cannot begin another section.
            let headings = desc.lines().filter(|line| *line == "%NAME%").count();
            assert_eq!(headings, 1, "{desc}");
            let files = read.into_files();
            let listed = |part: &str| {
                files
                    .lines()
                    .any(|line| line.split('/').any(|own| own == part))
            };
            assert!(!listed(".."), "{files}");
        }
        if digest.as_str().starts_with('0') {
            let path = format!("/api/v1/attempts/{attempt}/packages/{NAME}?sha256={digest}");
            target.request(Method::PUT, &path, data);
        }
    });
});
