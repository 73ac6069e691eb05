//! The door for Portable Text: from any JSON to blocks, or to the list of everything that is wrong.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

use super::{
    Block, DECORATORS, Divider, Embed, FieldError, Figure, LinkMark, ListKind, MAX_BLOCKS, MAX_CELLS, MAX_ERRORS,
    MAX_KEY, MAX_LEVEL, MAX_ROWS, MAX_SPANS, Span, Style, Table, TableCell, TableRow, TextBlock, allowed_in_text,
    links, new_key,
};

pub(super) fn body(value: Value) -> Result<Vec<Block>, Vec<FieldError>> {
    let mut errors = Errors::default();
    let blocks = list(&mut errors, "", Some(value), 0..=MAX_BLOCKS, block);
    errors.into_result(blocks)
}

/// Collects errors up to the cap; past it, checking goes on but nothing more is written down.
#[derive(Default)]
pub(super) struct Errors(Vec<FieldError>);

impl Errors {
    pub(super) fn add(&mut self, pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(FieldError {
                pointer: pointer.into(),
                code,
                detail: detail.into(),
            });
        }
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<FieldError>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}

/// One JSON object whose properties are taken out one by one, so that what is left at the end is unknown.
struct Fields<'e> {
    at: String,
    map: Map<String, Value>,
    errors: &'e mut Errors,
}

impl<'e> Fields<'e> {
    fn new(errors: &'e mut Errors, at: &str, value: Value) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self {
                at: at.to_owned(),
                map,
                errors,
            }),
            other => {
                errors.add(
                    at,
                    "wrong_type",
                    format!("an object is needed here, not {}", kind(&other)),
                );
                None
            }
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name)
    }

    fn add(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        let pointer = format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"));
        self.errors.add(pointer, code, detail);
    }

    fn string(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => {
                self.add(
                    name,
                    "wrong_type",
                    format!("a string is needed here, not {}", kind(&other)),
                );
                None
            }
        }
    }

    fn required_string(&mut self, name: &str) -> Option<String> {
        if !self.map.contains_key(name) {
            self.add(name, "required", format!("`{name}` is needed"));
        }
        self.string(name)
    }

    fn text(&mut self, name: &str) -> String {
        let text = self.required_string(name).unwrap_or_default();
        if text.chars().any(|c| !allowed_in_text(c)) {
            self.add(name, "invalid_text", "control characters are not allowed");
        }
        text.nfc().collect()
    }

    fn key(&mut self) -> String {
        if !self.map.contains_key("_key") {
            return new_key();
        }
        let Some(key) = self.string("_key") else {
            return String::new();
        };
        if key.is_empty() || key.chars().count() > MAX_KEY {
            self.add("_key", "invalid_value", format!("a key has 1 to {MAX_KEY} characters"));
        }
        if key.chars().any(char::is_control) {
            self.add("_key", "invalid_text", "control characters are not allowed");
        }
        key.nfc().collect()
    }

    fn one_of<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Option<T> {
        let sent = self.string(name)?;
        let found = values.iter().find(|(known, _)| *known == sent).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = values.iter().map(|(known, _)| *known).collect();
            self.add(name, "invalid_value", format!("one of {} is needed", known.join(", ")));
        }
        found
    }

    /// The `_type` of an object that can only be one thing.
    fn expect_type(&mut self, expected: &str) {
        if let Some(sent) = self.required_string("_type")
            && sent != expected
        {
            self.add("_type", "unknown_type", format!("only `{expected}` is known here"));
        }
    }

    fn list<T: Keyed>(
        &mut self,
        name: &str,
        counts: RangeInclusive<usize>,
        item: fn(&mut Errors, &str, Value) -> Option<T>,
    ) -> Vec<T> {
        let value = self.take(name);
        list(self.errors, &format!("{}/{name}", self.at), value, counts, item)
    }

    fn finish(mut self) {
        let unknown: Vec<String> = self.map.keys().cloned().collect();
        for name in unknown {
            self.add(&name, "unknown_field", "no such property here");
        }
    }
}

/// What stands in a list and must have a key of its own there.
trait Keyed {
    fn key(&self) -> &str;
}

macro_rules! keyed {
    ($($kind:ty),*) => { $(impl Keyed for $kind { fn key(&self) -> &str { &self.key } })* };
}
keyed!(Span, LinkMark, TableRow, TableCell);

impl Keyed for Block {
    fn key(&self) -> &str {
        Block::key(self)
    }
}

fn list<T: Keyed>(
    errors: &mut Errors,
    at: &str,
    value: Option<Value>,
    counts: RangeInclusive<usize>,
    item: fn(&mut Errors, &str, Value) -> Option<T>,
) -> Vec<T> {
    let items = match value {
        None => {
            errors.add(at, "required", "a list is needed here");
            return Vec::new();
        }
        Some(Value::Array(items)) => items,
        Some(other) => {
            errors.add(at, "wrong_type", format!("a list is needed here, not {}", kind(&other)));
            return Vec::new();
        }
    };
    if items.len() > *counts.end() {
        errors.add(
            at,
            "too_many",
            format!("{} where at most {} are allowed", items.len(), counts.end()),
        );
        return Vec::new();
    }
    if items.len() < *counts.start() {
        errors.add(at, "invalid_value", format!("at least {} needed", counts.start()));
    }
    let mut seen = HashSet::new();
    let mut parsed = Vec::with_capacity(items.len());
    for (index, value) in items.into_iter().enumerate() {
        let at = format!("{at}/{index}");
        let Some(item) = item(errors, &at, value) else { continue };
        // An empty key is one that was reported already.
        if !item.key().is_empty() && !seen.insert(item.key().to_owned()) {
            errors.add(
                format!("{at}/_key"),
                "duplicate_key",
                "another one here has the same key",
            );
        }
        parsed.push(item);
    }
    parsed
}

fn block(errors: &mut Errors, at: &str, value: Value) -> Option<Block> {
    let mut fields = Fields::new(errors, at, value)?;
    let block = match fields.required_string("_type")?.as_str() {
        "block" => Block::Text(text_block(&mut fields)),
        "figure" => Block::Figure(Figure {
            key: fields.key(),
            caption_id: caption_id(&mut fields),
        }),
        "table" => Block::Table(table(&mut fields)),
        "embed" => Block::Embed(Embed {
            key: fields.key(),
            url: embed_url(&mut fields),
        }),
        "divider" => Block::Divider(Divider { key: fields.key() }),
        _ => {
            fields.add(
                "_type",
                "unknown_type",
                "one of block, figure, table, embed, divider is needed",
            );
            return None;
        }
    };
    fields.finish();
    Some(block)
}

fn text_block(fields: &mut Fields<'_>) -> TextBlock {
    const STYLES: [(&str, Style); 5] = [
        ("normal", Style::Normal),
        ("h2", Style::H2),
        ("h3", Style::H3),
        ("h4", Style::H4),
        ("blockquote", Style::Blockquote),
    ];
    const KINDS: [(&str, ListKind); 2] = [("bullet", ListKind::Bullet), ("number", ListKind::Number)];
    let key = fields.key();
    let style = fields.one_of("style", &STYLES).unwrap_or(Style::Normal);
    let listed = fields.map.contains_key("listItem");
    let list_item = fields.one_of("listItem", &KINDS);
    let level = level(fields, listed);
    let children = fields.list("children", 0..=MAX_SPANS, span);
    let mark_defs = if fields.map.contains_key("markDefs") {
        fields.list("markDefs", 0..=MAX_SPANS, link_mark)
    } else {
        Vec::new()
    };
    check_marks(fields, &children, &mark_defs);
    TextBlock {
        key,
        style,
        list_item,
        level,
        children,
        mark_defs,
    }
}

fn level(fields: &mut Fields<'_>, listed: bool) -> Option<u8> {
    let Some(value) = fields.take("level") else {
        return listed.then_some(1);
    };
    if !listed {
        fields.add("level", "invalid_value", "only list items have a level");
    }
    let Value::Number(number) = &value else {
        fields.add(
            "level",
            "wrong_type",
            format!("a number is needed here, not {}", kind(&value)),
        );
        return None;
    };
    let level = number
        .as_u64()
        .and_then(|level| u8::try_from(level).ok())
        .filter(|level| (1..=MAX_LEVEL).contains(level));
    if level.is_none() {
        fields.add(
            "level",
            "invalid_value",
            format!("a level is a whole number from 1 to {MAX_LEVEL}"),
        );
    }
    level
}

/// Every mark is a decorator or a link of the block; none twice, and one link at most, as links do not nest.
fn check_marks(fields: &mut Fields<'_>, children: &[Span], mark_defs: &[LinkMark]) {
    let links: HashSet<&str> = mark_defs.iter().map(|link| link.key.as_str()).collect();
    for (index, link) in mark_defs.iter().enumerate() {
        if DECORATORS.contains(&link.key.as_str()) {
            let at = format!("{}/markDefs/{index}/_key", fields.at);
            fields
                .errors
                .add(at, "invalid_value", "this key is the name of a decorator");
        }
    }
    for (child, span) in children.iter().enumerate() {
        let mut linked = false;
        for (mark, name) in span.marks.iter().enumerate() {
            let at = || format!("{}/children/{child}/marks/{mark}", fields.at);
            let is_link = links.contains(name.as_str());
            if !is_link && !DECORATORS.contains(&name.as_str()) {
                fields.errors.add(
                    at(),
                    "invalid_value",
                    "neither a decorator nor the key of a markDef of this block",
                );
            } else if span.marks.iter().take(mark).any(|earlier| earlier == name) {
                fields.errors.add(at(), "invalid_value", "the same mark twice");
            } else if is_link && linked {
                fields.errors.add(at(), "invalid_value", "links cannot stand in links");
            }
            linked |= is_link;
        }
    }
}

fn span(errors: &mut Errors, at: &str, value: Value) -> Option<Span> {
    // What is no object still takes its place, or the pointers of later errors would be off.
    let Some(mut fields) = Fields::new(errors, at, value) else {
        return Some(Span {
            key: String::new(),
            text: String::new(),
            marks: Vec::new(),
        });
    };
    fields.expect_type("span");
    let span = Span {
        key: fields.key(),
        text: fields.text("text"),
        marks: marks(&mut fields),
    };
    fields.finish();
    Some(span)
}

fn marks(fields: &mut Fields<'_>) -> Vec<String> {
    let names = match fields.take("marks") {
        None => return Vec::new(),
        Some(Value::Array(names)) => names,
        Some(other) => {
            fields.add(
                "marks",
                "wrong_type",
                format!("a list is needed here, not {}", kind(&other)),
            );
            return Vec::new();
        }
    };
    if names.len() > DECORATORS.len() + 1 {
        fields.add(
            "marks",
            "too_many",
            "no span has more marks than all decorators and one link",
        );
        return Vec::new();
    }
    let mut marks = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        match name {
            Value::String(name) => marks.push(name.nfc().collect()),
            other => {
                let at = format!("{}/marks/{index}", fields.at);
                fields.errors.add(
                    at,
                    "wrong_type",
                    format!("a string is needed here, not {}", kind(&other)),
                );
            }
        }
    }
    marks
}

fn link_mark(errors: &mut Errors, at: &str, value: Value) -> Option<LinkMark> {
    let Some(mut fields) = Fields::new(errors, at, value) else {
        return Some(LinkMark {
            key: String::new(),
            href: String::new(),
        });
    };
    fields.expect_type("link");
    let key = fields.key();
    let href = fields.required_string("href");
    if let Some(Err(why)) = href.as_deref().map(links::check_href) {
        fields.add("href", "invalid_link", why);
    }
    fields.finish();
    Some(LinkMark {
        key,
        href: href.unwrap_or_default(),
    })
}

fn caption_id(fields: &mut Fields<'_>) -> String {
    let Some(sent) = fields.required_string("caption_id") else {
        return String::new();
    };
    parse_caption_id(&sent).unwrap_or_else(|why| {
        fields.add("caption_id", "invalid_value", why);
        String::new()
    })
}

/// A caption's id in its usual form.
pub(super) fn parse_caption_id(sent: &str) -> Result<String, &'static str> {
    const NO_ID: &str = "a caption id is a UUID like 01890a5d-ac96-774b-bcce-b302099a8057";
    // `Uuid` also reads braced and `urn:` forms; an id has one spelling here.
    let id = Uuid::parse_str(sent).map_err(|_| NO_ID)?;
    if sent.len() == 36 {
        Ok(id.to_string())
    } else {
        Err(NO_ID)
    }
}

fn embed_url(fields: &mut Fields<'_>) -> String {
    let Some(url) = fields.required_string("url") else {
        return String::new();
    };
    if let Err(why) = links::check_embed(&url) {
        fields.add("url", "invalid_link", why);
    }
    url
}

fn table(fields: &mut Fields<'_>) -> Table {
    Table {
        key: fields.key(),
        rows: fields.list("rows", 1..=MAX_ROWS, row),
    }
}

fn row(errors: &mut Errors, at: &str, value: Value) -> Option<TableRow> {
    let mut fields = Fields::new(errors, at, value)?;
    let row = TableRow {
        key: fields.key(),
        cells: fields.list("cells", 1..=MAX_CELLS, cell),
    };
    fields.finish();
    Some(row)
}

fn cell(errors: &mut Errors, at: &str, value: Value) -> Option<TableCell> {
    let mut fields = Fields::new(errors, at, value)?;
    let header = match fields.take("header") {
        None => false,
        Some(Value::Bool(header)) => header,
        Some(other) => {
            fields.add(
                "header",
                "wrong_type",
                format!("true or false is needed here, not {}", kind(&other)),
            );
            false
        }
    };
    let cell = TableCell {
        key: fields.key(),
        text: fields.text("text"),
        header,
    };
    fields.finish();
    Some(cell)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
