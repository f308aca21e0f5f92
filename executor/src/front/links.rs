//! Artifacts with links to the packages of a build.

use std::fmt::Write as _;

use buildbtw_model::api::ReportedPackage;

use crate::frames::Finished;

/// Returns the URLs of the packages, one per line.
pub(super) fn text(finished: &Finished, packages: &[ReportedPackage]) -> String {
    let mut text = String::new();
    for package in packages {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", package_url(finished, package));
    }
    text
}

/// Returns a page with links to the packages.
pub(super) fn html(finished: &Finished, packages: &[ReportedPackage]) -> String {
    let mut text = String::from(
        "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>Packages</title>\n<h1>Packages</h1>\n<ul>\n",
    );
    for package in packages {
        let url = escaped(&package_url(finished, package));
        let name = escaped(package.file_name.as_str());
        let _ = writeln!(text, "<li><a href=\"{url}\">{name}</a></li>");
    }
    let (page, repository) = (escaped(&finished.url), escaped(&finished.repository));
    let _ = writeln!(
        text,
        "</ul>\n<p>Repository: <a href=\"{repository}/\">{repository}</a></p>\n\
         <p>Build: <a href=\"{page}\">{page}</a></p>"
    );
    text
}

fn package_url(finished: &Finished, package: &ReportedPackage) -> String {
    // A name may contain an epoch's colon, which is valid in a path.
    format!("{}/{}", finished.repository, package.file_name)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
