//! A look at HTML before the parser gets it.
//!
//! A browser's parser never gives up: 200,000 open `<div>`s make it walk through all of them at every tag, and a few
//! unclosed `<b>`s are copied into each of 10,000 paragraphs. This scanner follows the tags roughly and refuses such
//! sources. It never counts fewer open elements than the parser would: an element only counts as closed when its own
//! end tag comes while it is the innermost one.

use super::FieldError;

/// How many elements may be open at one time. Browsers stop at 512; texts need some twenty.
pub(super) const MAX_OPEN: usize = 200;
/// How many attributes a tag may have; the parser compares each with all others.
const MAX_ATTRIBUTES: usize = 200;
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
const TEXT_ONLY: [&str; 9] = [
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes", "noscript",
];
/// Elements that change the rules of the tokenizer or the parser; a body cannot hold them anyway.
const REFUSED: [&str; 5] = ["svg", "math", "select", "plaintext", "frameset"];

/// Refuses what would cost too much to parse.
pub(super) fn check(source: &str) -> Result<(), FieldError> {
    deepest(source).map(|_| ())
}

/// The number of elements that are open at one time, at most.
pub(super) fn deepest(source: &str) -> Result<usize, FieldError> {
    let mut open: Vec<String> = Vec::new();
    let mut deepest = 0;
    let mut carried = 0;
    let mut rest = source;
    while let Some(start) = rest.find('<') {
        let tag = rest.get(start + 1..).unwrap_or_default();
        let end_tag = tag.strip_prefix('/');
        let named = end_tag.unwrap_or(tag).starts_with(|c: char| c.is_ascii_alphabetic());
        rest = match end_tag {
            Some(end_tag) if named => {
                let tag = read_tag(end_tag);
                close(&mut open, &tag.name);
                limit(tag.attributes, MAX_ATTRIBUTES, "a tag has too many attributes")?;
                tag.rest
            }
            None if named => {
                let tag = read_tag(tag);
                limit(tag.attributes, MAX_ATTRIBUTES, "a tag has too many attributes")?;
                carried += open.iter().filter(|name| FORMATTING.contains(&name.as_str())).count();
                start_tag(&mut open, tag)?
            }
            Some(_) => after_comment(tag),
            None if tag.starts_with(['!', '?']) => after_comment(tag),
            None => tag,
        };
        deepest = deepest.max(open.len());
        limit(
            deepest,
            MAX_OPEN,
            "elements are nested too deep, or too many are not closed",
        )?;
        limit(
            carried,
            MAX_CARRIED,
            "elements are nested too deep, or too many are not closed",
        )?;
    }
    Ok(deepest)
}

fn limit(count: usize, most: usize, detail: &str) -> Result<(), FieldError> {
    if count > most {
        Err(FieldError::whole("too_many", detail))
    } else {
        Ok(())
    }
}

/// Counts the element, and gives what follows the part of the source that is certainly its own.
fn start_tag<'s>(open: &mut Vec<String>, tag: Tag<'s>) -> Result<&'s str, FieldError> {
    if REFUSED.contains(&tag.name.as_str()) {
        let detail = format!("<{}>: cannot be kept in an article's body", tag.name);
        return Err(FieldError::whole("unsupported", detail));
    }
    if TEXT_ONLY.contains(&tag.name.as_str()) {
        return after_text_only(tag.rest, &tag.name);
    }
    if !VOID.contains(&tag.name.as_str()) {
        open_element(open, tag.name);
    }
    Ok(tag.rest)
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

/// Where in a tag a character stands; the names and the steps are those of the HTML standard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeName,
    Name,
    AfterName,
    BeforeValue,
    Quoted(char),
    Unquoted,
}

struct Tag<'s> {
    name: String,
    attributes: usize,
    /// What follows the tag.
    rest: &'s str,
}

/// Reads the tag whose name starts here. This has to be exact: a quote in the wrong place would hide all that follows.
fn read_tag(tag: &str) -> Tag<'_> {
    let end = tag
        .find(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
        .unwrap_or(tag.len());
    let (name, inside) = tag.split_at(end);
    let mut attributes = 0;
    let mut state = State::BeforeName;
    for (index, c) in inside.char_indices() {
        let space = c.is_ascii_whitespace();
        state = match (state, c) {
            (State::Quoted(quote), c) if c == quote => State::BeforeName,
            (State::Quoted(_), _) => state,
            (_, '>') => {
                let rest = inside.get(index + 1..).unwrap_or_default();
                return Tag {
                    name: name.to_ascii_lowercase(),
                    attributes,
                    rest,
                };
            }
            (State::BeforeValue, '"' | '\'') => State::Quoted(c),
            (State::BeforeValue, _) if space => state,
            (State::BeforeValue, _) => State::Unquoted,
            (State::Unquoted, _) if space => State::BeforeName,
            (State::Unquoted, _) => state,
            (_, '/') => State::BeforeName,
            (State::Name, _) if space => State::AfterName,
            (_, _) if space => state,
            (State::Name | State::AfterName, '=') => State::BeforeValue,
            (State::Name, _) => state,
            (State::BeforeName | State::AfterName, _) => {
                attributes += 1;
                State::Name
            }
        };
    }
    Tag {
        name: name.to_ascii_lowercase(),
        attributes,
        rest: "",
    }
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
            return Ok(read_tag(tag).rest);
        }
        from = at + 2;
    }
    Ok("")
}
