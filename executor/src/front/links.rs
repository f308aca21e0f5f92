//! Where the packages of a build are, as files for people.

use std::fmt::Write as _;

use buildbtw_model::api::ReportedPackage;

use crate::frames::Finished;

/// One line with an address for each package.
pub(super) fn text(finished: &Finished, packages: &[ReportedPackage]) -> String {
    let mut text = String::new();
    for package in packages {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", address(finished, package));
    }
    text
}

/// The same as a page.
pub(super) fn html(finished: &Finished, packages: &[ReportedPackage]) -> String {
    let mut text = String::from(
        "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n<title>Packages</title>\n<h1>Packages</h1>\n<ul>\n",
    );
    for package in packages {
        let address = escaped(&address(finished, package));
        let name = escaped(package.file_name.as_str());
        let _ = writeln!(text, "<li><a href=\"{address}\">{name}</a></li>");
    }
    let (page, repository) = (escaped(&finished.url), escaped(&finished.repository));
    let _ = writeln!(
        text,
        "</ul>\n<p>Repository: <a href=\"{repository}/\">{repository}</a></p>\n\
         <p>Build: <a href=\"{page}\">{page}</a></p>"
    );
    text
}

fn address(finished: &Finished, package: &ReportedPackage) -> String {
    // A name may have an epoch, whose colon a path may hold.
    format!("{}/{}", finished.repository, package.file_name)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
