//! Which addresses links and embeds may have.

use url::Url;

/// The longest address, in bytes.
pub(super) const MAX_LINK: usize = 2_048;

const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];

/// Why a link may not lead there.
///
/// White space, control characters and backslashes are refused anywhere: browsers skip or rewrite them, which is how
/// `java\nscript:` gets past naive checks.
pub(super) fn check_href(href: &str) -> Result<(), &'static str> {
    if href.is_empty() {
        return Err("the link is empty");
    }
    if href.len() > MAX_LINK {
        return Err("the link is longer than 2,048 bytes");
    }
    if href
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '\\' | '\u{feff}' | '\u{200b}'..='\u{200f}'))
    {
        return Err("the link has white space, control characters or backslashes");
    }
    match scheme(href) {
        None => Ok(()),
        Some(scheme) if !SCHEMES.contains(&scheme.as_str()) => {
            Err("links may be http, https, mailto, tel, relative paths or #fragments")
        }
        Some(scheme) if scheme.starts_with("http") && !has_host(href) => Err("the address has no host"),
        Some(scheme) if href.len() == scheme.len() + 1 => Err("nothing follows the scheme"),
        Some(_) => Ok(()),
    }
}

/// Why nothing can be embedded from there.
pub(super) fn check_embed(url: &str) -> Result<(), &'static str> {
    check_href(url)?;
    match scheme(url) {
        Some(scheme) if scheme.starts_with("http") => Ok(()),
        _ => Err("an embed needs an absolute http or https address"),
    }
}

/// Whether a browser would run or show something of its own for this address instead of following a link. Looks through
/// the characters that browsers skip.
pub(super) fn is_executable(href: &str) -> bool {
    let seen: String = href.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect();
    matches!(
        scheme(&seen).as_deref(),
        Some("javascript" | "vbscript" | "data" | "blob" | "file" | "about")
    )
}

/// What stands before a colon that is not part of a path, query or fragment, in lower case. The stock renderers decide
/// in the same way, so that a link we take is a link they show.
fn scheme(href: &str) -> Option<String> {
    if href.starts_with(['#', '/']) {
        return None;
    }
    let (before, _) = href.split_once(':')?;
    (!before.contains(['?', '#'])).then(|| before.to_ascii_lowercase())
}

fn has_host(href: &str) -> bool {
    let after_scheme = href.split_once(':').map_or("", |(_, rest)| rest);
    after_scheme.starts_with("//") && Url::parse(href).is_ok_and(|url| url.has_host())
}
