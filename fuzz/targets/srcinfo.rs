//! `.SRCINFO` files: parsed, stored and parsed again.
#![no_main]

use buildbtw_planner::{SourcePackage, parse_srcinfo};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    if let Ok(package) = parse_srcinfo(&text) {
        let stored = package.as_stored();
        let again = SourcePackage::from_stored(stored).expect("the stored package cannot be read");
        assert_eq!(again.as_stored(), stored);
        let architecture = "x86_64".parse().unwrap();
        let _ = package.build_dependencies(&architecture);
        let _ = package.sources(&architecture);
    }
});
