//! Takes JSON apart: properties one by one, with an error for each that is wrong.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::{Block, FieldError, LinkMark, MAX_ERRORS, MAX_KEY, Span, TableCell, TableRow, allowed_in_text, new_key};
use crate::text::nfc;

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
pub(super) struct Fields<'e> {
    at: String,
    map: Map<String, Value>,
    errors: &'e mut Errors,
}

impl<'e> Fields<'e> {
    pub(super) fn new(errors: &'e mut Errors, at: &str, value: Value) -> Option<Self> {
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

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.shift_remove(name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Notes an error about something further in, by its pointer from here on.
    pub(super) fn add_inside(&mut self, path: &str, code: &'static str, detail: impl Into<String>) {
        let pointer = format!("{}/{path}", self.at);
        self.errors.add(pointer, code, detail);
    }

    pub(super) fn add(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        let pointer = format!("{}/{}", self.at, name.replace('~', "~0").replace('/', "~1"));
        self.errors.add(pointer, code, detail);
    }

    pub(super) fn string(&mut self, name: &str) -> Option<String> {
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

    pub(super) fn required_string(&mut self, name: &str) -> Option<String> {
        if !self.map.contains_key(name) {
            self.add(name, "required", format!("`{name}` is needed"));
        }
        self.string(name)
    }

    pub(super) fn text(&mut self, name: &str) -> String {
        let text = self.required_string(name).unwrap_or_default();
        if text.chars().any(|c| !allowed_in_text(c)) {
            self.add(name, "invalid_text", "control characters are not allowed");
        }
        nfc(&text)
    }

    pub(super) fn key(&mut self) -> String {
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
        nfc(&key)
    }

    pub(super) fn one_of<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Option<T> {
        let sent = self.string(name)?;
        let found = values.iter().find(|(known, _)| *known == sent).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<&str> = values.iter().map(|(known, _)| *known).collect();
            self.add(name, "invalid_value", format!("one of {} is needed", known.join(", ")));
        }
        found
    }

    /// The `_type` of an object that can only be one thing.
    pub(super) fn expect_type(&mut self, expected: &str) {
        if let Some(sent) = self.required_string("_type")
            && sent != expected
        {
            self.add("_type", "unknown_type", format!("only `{expected}` is known here"));
        }
    }

    pub(super) fn list<T: Keyed>(
        &mut self,
        name: &str,
        counts: RangeInclusive<usize>,
        item: fn(&mut Errors, &str, Value) -> Option<T>,
    ) -> Vec<T> {
        let value = self.take(name);
        list(self.errors, &format!("{}/{name}", self.at), value, counts, item)
    }

    pub(super) fn finish(mut self) {
        let unknown: Vec<String> = self.map.keys().cloned().collect();
        for name in unknown {
            self.add(&name, "unknown_field", "no such property here");
        }
    }
}

/// What stands in a list and must have a key of its own there.
pub(super) trait Keyed {
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

pub(super) fn list<T: Keyed>(
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

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
