//! Images within a style sheet. They become files of their own, because the security policy of pages lets a browser
//! load images from this server only, and none from `data:` URLs.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

/// The start of a URL in a style sheet.
const URL: &str = "url(";

/// An image of a style sheet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Image {
    /// The name to which the style sheet refers.
    pub(super) name: String,
    /// Its media type.
    pub(super) media_type: &'static str,
    /// Its bytes.
    pub(super) content: Vec<u8>,
}

/// Replaces the `data:` URLs of a style sheet by names of files, and returns these.
pub(super) fn separate(style: &str) -> anyhow::Result<(String, Vec<Image>)> {
    let mut text = String::with_capacity(style.len());
    let mut images = Vec::new();
    let mut rest = style;
    // What is within a data URL is skipped: an SVG can have URLs of its own.
    while let Some(start) = rest.find(URL) {
        let (before, after) = rest.split_at(start + URL.len());
        text.push_str(before);
        let (url, end) = if let Some(quoted) = after.strip_prefix("\"data:") {
            let mut ends = quoted.match_indices("\")");
            let end = ends.find(|(end, _)| !quoted[..*end].ends_with('\\'));
            let (end, _) = end.context("a quoted URL has no end")?;
            (quoted[..end].replace("\\\"", "\""), &quoted[end + 1..])
        } else if let Some(plain) = after.strip_prefix("data:") {
            let end = plain.find(')').context("a URL has no end")?;
            (plain[..end].to_owned(), &plain[end..])
        } else {
            rest = after;
            continue;
        };
        let image = read(images.len() + 1, &url)?;
        text.push_str(&image.name);
        images.push(image);
        rest = end;
    }
    text.push_str(rest);
    Ok((text, images))
}

/// Reads an image from what follows `data:`.
fn read(number: usize, url: &str) -> anyhow::Result<Image> {
    let (kind, data) = url.split_once(',').context("a data URL has no data")?;
    let (media_type, extension) = match kind.split(';').next().unwrap_or_default() {
        "image/svg+xml" => ("image/svg+xml", "svg"),
        "image/png" => ("image/png", "png"),
        "image/jpeg" => ("image/jpeg", "jpg"),
        other => anyhow::bail!("{other} is not a known type of image"),
    };
    let content = if kind.ends_with(";base64") {
        STANDARD.decode(data)?
    } else {
        percent_decode_str(data).collect()
    };
    Ok(Image {
        name: format!("image-{number}.{extension}"),
        media_type,
        content,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_images_into_files() {
        let style = r##"a{background:#fff url("data:image/svg+xml;charset=utf-8,<svg a=\"url(%23b)\" c=\")\"/>") 0}
            b{background:url(data:image/png;base64,iVBORw==)}c{src:url(font.woff)}"##;
        let (text, images) = separate(style).unwrap();
        assert_eq!(
            text,
            "a{background:#fff url(image-1.svg) 0}
            b{background:url(image-2.png)}c{src:url(font.woff)}"
        );
        assert_eq!(images.len(), 2);
        assert_eq!(images[0].content, br#"<svg a="url(#b)" c=")"/>"#);
        assert_eq!(images[0].media_type, "image/svg+xml");
        assert_eq!(images[1].content, b"\x89PNG");
        for broken in [
            "a{b:url(data:image/png;base64,iVBORw",
            "a{b:url(\"data:image/png,x)}",
            "a{b:url(data:image/png;base64,?)}",
            "a{b:url(data:text/html,x)}",
            "a{b:url(data:image/png)}",
        ] {
            assert!(separate(broken).is_err(), "{broken}");
        }
    }
}
