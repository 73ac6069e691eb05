//! A look at HTML before the parser gets it.
//!
//! A browser's parser never gives up: 200,000 open `<div>`s make it walk through all of them at every tag, and a few
//! unclosed `<b>`s are copied into each of 10,000 paragraphs. This scanner follows the tags roughly and refuses such
//! sources. It never counts fewer open elements than the parser would: an element only counts as closed when its own
//! end tag comes while it is the innermost one.

use super::FieldError;

/// How many elements may be open at one time. Browsers stop at 512; texts need some twenty.
pub(super) const MAX_OPEN: usize = 200;
/// How many marks, summed over all tags, the parser may have to carry on.
const MAX_CARRIED: usize = 1_000_000;

const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
];
/// Elements that the parser reopens in every block until they are closed.
const FORMATTING: [&str; 14] = [
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];
/// Elements that end by themselves when the next of their kind, or the end of their parent, comes.
const OPTIONAL_END: [&str; 10] = ["p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot"];
/// Elements whose content is text for the tokenizer, up to their end tag.
const TEXT_ONLY: [&str; 8] = [
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes",
];
/// Elements that change the rules of the tokenizer or the parser; a body cannot hold them anyway.
const REFUSED: [&str; 5] = ["svg", "math", "select", "plaintext", "frameset"];

/// Refuses what would cost too much to parse.
pub(super) fn check(source: &str) -> Result<(), FieldError> {
    let mut open: Vec<String> = Vec::new();
    let mut carried = 0;
    let mut rest = source;
    while let Some(start) = rest.find('<') {
        let tag = rest.get(start + 1..).unwrap_or_default();
        match tag.chars().next() {
            Some('!' | '?') => rest = after_comment(tag),
            Some('/') if starts_with_letter(tag.get(1..)) => {
                let (name, after) = read_tag(tag.get(1..).unwrap_or_default());
                close(&mut open, &name);
                rest = after;
            }
            Some('/') => rest = after_comment(tag),
            Some(c) if c.is_ascii_alphabetic() => {
                let (name, after) = read_tag(tag);
                rest = after;
                if REFUSED.contains(&name.as_str()) {
                    return Err(FieldError::whole(
                        "unsupported",
                        format!("<{name}>: cannot be kept in an article's body"),
                    ));
                }
                if TEXT_ONLY.contains(&name.as_str()) || name == "noscript" {
                    rest = after_text_only(rest, &name)?;
                } else if !VOID.contains(&name.as_str()) {
                    open_element(&mut open, name);
                }
                carried += open.iter().filter(|name| FORMATTING.contains(&name.as_str())).count();
            }
            _ => rest = tag,
        }
        if open.len() > MAX_OPEN || carried > MAX_CARRIED {
            return Err(FieldError::whole(
                "too_many",
                "elements are nested too deep, or too many are not closed",
            ));
        }
    }
    Ok(())
}

fn open_element(open: &mut Vec<String>, name: String) {
    let ends_sibling = OPTIONAL_END.contains(&name.as_str()) && open.last() == Some(&name);
    if !ends_sibling {
        open.push(name);
    }
}

fn close(open: &mut Vec<String>, name: &str) {
    let optional = |name: &String| OPTIONAL_END.contains(&name.as_str());
    // The end of a block ends the paragraphs, items and cells in it; the end of a mark does not.
    let skipped = match FORMATTING.contains(&name) {
        true => 0,
        false => open
            .iter()
            .rev()
            .take_while(|open| optional(open) && *open != name)
            .count(),
    };
    let Some(index) = open.len().checked_sub(skipped + 1) else {
        return;
    };
    if open.get(index).is_some_and(|open| open == name) {
        open.truncate(index);
    }
}

fn starts_with_letter(text: Option<&str>) -> bool {
    text.is_some_and(|text| text.starts_with(|c: char| c.is_ascii_alphabetic()))
}

/// The name of the tag that starts here, and what follows the tag. Quoted values may hold `>`.
fn read_tag(tag: &str) -> (String, &str) {
    let end = tag
        .find(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>')
        .unwrap_or(tag.len());
    let name = tag.get(..end).unwrap_or_default().to_ascii_lowercase();
    let mut quote = None;
    // A quote only opens a value right behind an equals sign; elsewhere it is part of a name.
    let mut after_equals = false;
    for (index, c) in tag.char_indices().skip_while(|(index, _)| *index < end) {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '>') => return (name, tag.get(index + 1..).unwrap_or_default()),
            (None, '"' | '\'') if after_equals => (quote, after_equals) = (Some(c), false),
            (None, '=') => after_equals = true,
            (None, c) if c.is_ascii_whitespace() => {}
            (None, _) => after_equals = false,
        }
    }
    (name, "")
}

/// What follows a comment, a doctype or what browsers take for a comment.
fn after_comment(tag: &str) -> &str {
    let Some(comment) = tag.strip_prefix("!--") else {
        return after(tag, ">");
    };
    if let Some(rest) = comment.strip_prefix('>').or_else(|| comment.strip_prefix("->")) {
        return rest;
    }
    let end = |mark: &str| comment.find(mark).map(|index| index + mark.len());
    let end = [end("-->"), end("--!>")].into_iter().flatten().min();
    end.and_then(|end| comment.get(end..)).unwrap_or_default()
}

fn after<'s>(text: &'s str, mark: &str) -> &'s str {
    text.split_once(mark).map_or("", |(_, rest)| rest)
}

/// What follows the end tag of an element that holds only text.
fn after_text_only<'s>(text: &'s str, name: &str) -> Result<&'s str, FieldError> {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find("</")) {
        let at = from + found;
        let tag = text.get(at + 2..).unwrap_or_default();
        let named = tag
            .get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name));
        let ended = tag
            .get(name.len()..)
            .is_some_and(|end| end.starts_with(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>'));
        if named && ended {
            let content = text.get(..at).unwrap_or_default();
            // In here a second script would hide the first end tag; nobody writes that in good faith.
            if name == "script"
                && content
                    .split_once("<!--")
                    .is_some_and(|(_, rest)| rest.to_ascii_lowercase().contains("<script"))
            {
                return Err(FieldError::whole(
                    "unsupported",
                    "<script>: a script that comments out another one",
                ));
            }
            return Ok(read_tag(tag).1);
        }
        from = at + 2;
    }
    Ok("")
}
