//! Plain text.

use super::{Block, ListKind, Table, TextBlock};

/// The number a list item gets, by counting the items before it on its level.
#[derive(Default)]
pub(super) struct Numbering {
    open: Vec<(ListKind, usize)>,
}

impl Numbering {
    /// Counts the item, and gives its number.
    pub(super) fn next(&mut self, kind: ListKind, level: usize) -> usize {
        self.open.truncate(level);
        while self.open.len() < level {
            self.open.push((kind, 0));
        }
        match self.open.last_mut() {
            Some((open, count)) if *open == kind => {
                *count += 1;
                *count
            }
            Some(last) => {
                *last = (kind, 1);
                1
            }
            None => 1,
        }
    }

    /// Something that is no list item ends all lists.
    pub(super) fn end(&mut self) {
        self.open.clear();
    }
}

pub(super) fn body(blocks: &[Block]) -> String {
    let mut out = String::new();
    let mut numbering = Numbering::default();
    let mut after_item = false;
    for block in blocks {
        let item = matches!(block, Block::Text(TextBlock { list_item: Some(_), .. }));
        let Some(text) = block_text(block, &mut numbering) else {
            after_item = false;
            continue;
        };
        if !out.is_empty() {
            out.push_str(if item && after_item { "\n" } else { "\n\n" });
        }
        out.push_str(&text);
        after_item = item;
    }
    out
}

/// The words that a reader reads; for CJK, where words are not separated, the characters.
pub(super) fn words(blocks: &[Block]) -> usize {
    blocks
        .iter()
        .map(|block| match block {
            Block::Text(block) => count(&plain(block)),
            Block::Table(table) => table
                .rows
                .iter()
                .flat_map(|row| &row.cells)
                .map(|cell| count(&cell.text))
                .sum(),
            Block::Figure(_) | Block::Embed(_) | Block::Divider(_) => 0,
        })
        .sum()
}

fn block_text(block: &Block, numbering: &mut Numbering) -> Option<String> {
    let Block::Text(block) = block else {
        numbering.end();
        return match block {
            Block::Table(table) => Some(table_text(table)),
            Block::Embed(embed) => Some(embed.url.clone()),
            _ => None,
        };
    };
    let Some(kind) = block.list_item else {
        numbering.end();
        return Some(plain(block));
    };
    let level = usize::from(block.level.unwrap_or(1));
    let number = numbering.next(kind, level);
    let marker = match kind {
        ListKind::Bullet => "- ".to_owned(),
        ListKind::Number => format!("{number}. "),
    };
    let indent = "  ".repeat(level.saturating_sub(1));
    let hanging = format!("\n{indent}{}", " ".repeat(marker.len()));
    Some(format!("{indent}{marker}{}", plain(block).replace('\n', &hanging)))
}

fn plain(block: &TextBlock) -> String {
    block.children.iter().map(|span| span.text.as_str()).collect()
}

fn table_text(table: &Table) -> String {
    let row_text = |cells: &[super::TableCell]| {
        // A tab or line feed inside a cell would read as a border.
        let cells: Vec<String> = cells.iter().map(|cell| cell.text.replace(['\n', '\t'], " ")).collect();
        cells.join("\t")
    };
    let rows: Vec<String> = table.rows.iter().map(|row| row_text(&row.cells)).collect();
    rows.join("\n")
}

fn count(text: &str) -> usize {
    text.split_whitespace()
        .map(|word| {
            let ideographs = word.chars().filter(|c| is_ideograph(*c)).count();
            let rest = word.chars().any(|c| c.is_alphanumeric() && !is_ideograph(c));
            ideographs + usize::from(rest)
        })
        .sum()
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}
