//! HTML output.

/// Escapes a text for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// Returns a link within the site.
pub(super) fn link(path: &str, text: &str) -> String {
    format!("<a href=\"/{}\">{}</a>", escape(path), escape(text))
}

/// Returns a complete page. The body is HTML, the title is not.
pub(super) fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title>\
         <style>body{{font-family:sans-serif;margin:2em auto;max-width:70em;padding:0 1em}}\
         td,th{{text-align:left;padding:.2em 1em .2em 0}}\
         pre{{background:#111;color:#eee;padding:1em;overflow:auto}}</style>\
         <p><a href=\"/\">Stand-in for GitLab</a></p><h1>{0}</h1>{body}</html>\n",
        escape(title)
    )
}

/// Returns a table. Cells are HTML, headings are not.
pub(super) fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = String::from("<table><tr>");
    for heading in headings {
        out.push_str(&format!("<th>{}</th>", escape(heading)));
    }
    out.push_str("</tr>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            out.push_str(&format!("<td>{cell}</td>"));
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
    out
}
