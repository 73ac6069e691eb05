//! The door for Portable Text: from any JSON to blocks, or to the list of everything that is wrong.

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::fields::{Errors, Fields, kind, list};
use super::{
    Block, DECORATORS, Divider, Embed, FieldError, Figure, LinkMark, ListKind, MAX_BLOCKS, MAX_CELLS, MAX_LEVEL,
    MAX_ROWS, MAX_SPANS, Span, Style, Table, TableCell, TableRow, TextBlock, links,
};
use crate::text::nfc;

pub(super) fn body(value: Value) -> Result<Vec<Block>, Vec<FieldError>> {
    let mut errors = Errors::default();
    let blocks = list(&mut errors, "", Some(value), 0..=MAX_BLOCKS, block);
    errors.into_result(blocks)
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
    let listed = fields.has("listItem");
    let list_item = fields.one_of("listItem", &KINDS);
    let level = level(fields, listed);
    let children = fields.list("children", 0..=MAX_SPANS, span);
    let mark_defs = if fields.has("markDefs") {
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
            let at = format!("markDefs/{index}/_key");
            fields.add_inside(&at, "invalid_value", "this key is the name of a decorator");
        }
    }
    for (child, span) in children.iter().enumerate() {
        let mut linked = false;
        for (mark, name) in span.marks.iter().enumerate() {
            let is_link = links.contains(name.as_str());
            let wrong = if !is_link && !DECORATORS.contains(&name.as_str()) {
                Some("neither a decorator nor the key of a markDef of this block")
            } else if span.marks.iter().take(mark).any(|earlier| earlier == name) {
                Some("the same mark twice")
            } else if is_link && linked {
                Some("links cannot stand in links")
            } else {
                None
            };
            if let Some(why) = wrong {
                fields.add_inside(&format!("children/{child}/marks/{mark}"), "invalid_value", why);
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
            Value::String(name) => marks.push(nfc(&name)),
            other => {
                fields.add_inside(
                    &format!("marks/{index}"),
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
