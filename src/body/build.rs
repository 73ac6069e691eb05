//! Puts blocks together while Markdown or HTML is read: spans from runs of marked text, list items from whatever stands
//! in them.

use super::check::parse_caption_id;
use super::fields::Errors;
use super::{
    Block, Divider, Embed, FieldError, Figure, LinkMark, ListKind, MAX_BLOCKS, MAX_CELLS, MAX_LEVEL, MAX_ROWS,
    MAX_SPANS, Span, Style, Table, TableCell, TableRow, TextBlock, allowed_in_text, links, new_key,
};
use crate::text::nfc;

/// The marks of a run of text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub(super) strong: bool,
    pub(super) em: bool,
    pub(super) code: bool,
    pub(super) underline: bool,
    pub(super) strike: bool,
    /// A number for each link in the source, and where it leads: two links to one place are still two.
    pub(super) link: Option<(usize, String)>,
}

impl Marks {
    pub(super) fn plain(&self) -> bool {
        *self == Self::default()
    }

    fn without_code(&self) -> Self {
        Self {
            code: false,
            ..self.clone()
        }
    }
}

/// A run of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) marks: Marks,
}

/// A list item that is being read.
struct Item {
    kind: ListKind,
    /// The block that holds the item's text, once there is some.
    block: Option<(Style, Vec<Run>)>,
    /// A nested list has begun, after which no more text can be added.
    nested: bool,
}

/// Collects blocks and errors.
#[derive(Default)]
pub(super) struct Builder {
    blocks: Vec<Block>,
    items: Vec<Item>,
    pub(super) errors: Errors,
    links: usize,
}

impl Builder {
    pub(super) fn finish(self) -> Result<Vec<Block>, Vec<FieldError>> {
        self.errors.into_result(self.blocks)
    }

    pub(super) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(super) fn error(&mut self, code: &'static str, detail: impl Into<String>) {
        self.errors.add("", code, detail);
    }

    pub(super) fn unsupported(&mut self, what: &str, place: &str) {
        self.error(
            "unsupported",
            format!("{place}: {what} cannot be kept in an article's body"),
        );
    }

    /// A number for a link that was met.
    pub(super) fn next_link(&mut self) -> usize {
        self.links += 1;
        self.links
    }

    pub(super) fn in_item(&self) -> bool {
        !self.items.is_empty()
    }

    /// A list item begins; its text goes into it until [`Builder::end_item`].
    pub(super) fn begin_item(&mut self, kind: ListKind, place: &str) {
        self.write_item();
        if let Some(parent) = self.items.last_mut() {
            parent.nested = true;
        }
        if self.items.len() == usize::from(MAX_LEVEL) {
            self.error(
                "too_many",
                format!("{place}: lists are nested deeper than {MAX_LEVEL} levels"),
            );
        }
        self.items.push(Item {
            kind,
            block: None,
            nested: false,
        });
    }

    /// The item ends. One without any text is an empty item; one that holds only a nested list is nothing of its own.
    pub(super) fn end_item(&mut self) {
        if let Some(item) = self.items.last_mut()
            && item.block.is_none()
            && !item.nested
        {
            item.block = Some((Style::Normal, Vec::new()));
        }
        self.write_item();
        self.items.pop();
    }

    /// Text that stands on its own, or in the innermost list item. Several paragraphs of one item become lines of it.
    pub(super) fn text(&mut self, style: Style, runs: Vec<Run>, place: &str) {
        let runs = self.checked(runs, place);
        let Some(item) = self.items.last_mut() else {
            self.push(Block::Text(text_block(style, None, None, &runs)));
            return;
        };
        match &mut item.block {
            _ if item.nested => self.unsupported("text that follows a nested list in its item", place),
            Some((known, _)) if *known != style => {
                self.unsupported("a list item of several kinds (text, heading, quote)", place);
            }
            Some((_, lines)) => {
                lines.push(Run {
                    text: "\n".to_owned(),
                    marks: Marks::default(),
                });
                lines.extend(runs);
            }
            None => item.block = Some((style, runs)),
        }
    }

    pub(super) fn divider(&mut self, place: &str) {
        if self.outside_lists("a divider in a list", place) {
            self.push(Block::Divider(Divider { key: new_key() }));
        }
    }

    pub(super) fn figure(&mut self, id: &str, place: &str) {
        match parse_caption_id(id) {
            Err(why) => self.error("invalid_value", format!("{place}: {why}")),
            Ok(caption_id) => {
                if self.outside_lists("a figure in a list", place) {
                    self.push(Block::Figure(Figure {
                        key: new_key(),
                        caption_id,
                    }));
                }
            }
        }
    }

    pub(super) fn embed(&mut self, url: &str, place: &str) {
        match links::check_embed(url) {
            Err(why) => self.error("invalid_link", format!("{place}: {why}")),
            Ok(()) => {
                if self.outside_lists("an embed in a list", place) {
                    self.push(Block::Embed(Embed {
                        key: new_key(),
                        url: url.to_owned(),
                    }));
                }
            }
        }
    }

    pub(super) fn table(&mut self, rows: Vec<Vec<(String, bool)>>, place: &str) {
        let rows: Vec<_> = rows.into_iter().filter(|cells| !cells.is_empty()).collect();
        if rows.is_empty() || !self.outside_lists("a table in a list", place) {
            return;
        }
        if rows.len() > MAX_ROWS || rows.iter().any(|cells| cells.len() > MAX_CELLS) {
            self.error(
                "too_many",
                format!("{place}: a table has at most {MAX_ROWS} rows of {MAX_CELLS} cells"),
            );
            return;
        }
        let mut built = Vec::with_capacity(rows.len());
        for cells in rows {
            let cell = |(text, header): (String, bool)| TableCell {
                key: new_key(),
                text: self.checked_text(&text, place),
                header,
            };
            built.push(TableRow {
                key: new_key(),
                cells: cells.into_iter().map(cell).collect(),
            });
        }
        self.push(Block::Table(Table {
            key: new_key(),
            rows: built,
        }));
    }

    fn outside_lists(&mut self, what: &str, place: &str) -> bool {
        if self.in_item() {
            self.unsupported(what, place);
        }
        !self.in_item()
    }

    fn checked(&mut self, runs: Vec<Run>, place: &str) -> Vec<Run> {
        let mut checked = join(runs);
        for run in &mut checked {
            run.text = self.checked_text(&run.text, place);
        }
        checked
    }

    fn checked_text(&mut self, text: &str, place: &str) -> String {
        if text.chars().any(|c| !allowed_in_text(c)) {
            self.error("invalid_text", format!("{place}: control characters are not allowed"));
        }
        nfc(text)
    }

    fn write_item(&mut self) {
        let level = u8::try_from(self.items.len()).unwrap_or(MAX_LEVEL).min(MAX_LEVEL);
        let Some(item) = self.items.last_mut() else { return };
        let kind = item.kind;
        if let Some((style, runs)) = item.block.take() {
            item.nested = true;
            self.push(Block::Text(text_block(style, Some(kind), Some(level), &runs)));
        }
    }

    fn push(&mut self, block: Block) {
        if self.blocks.len() == MAX_BLOCKS {
            self.error("too_many", format!("a body has at most {MAX_BLOCKS} blocks"));
        }
        if let Block::Text(block) = &block
            && block.children.len().max(block.mark_defs.len()) > MAX_SPANS
        {
            self.error("too_many", format!("a block has at most {MAX_SPANS} spans"));
        }
        // One over the cap is enough to know; the rest only costs memory.
        if self.blocks.len() <= MAX_BLOCKS {
            self.blocks.push(block);
        }
    }
}

/// Neighbours with the same marks become one run; runs without text vanish.
pub(super) fn join(runs: Vec<Run>) -> Vec<Run> {
    let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match joined.last_mut() {
            _ if run.text.is_empty() => {}
            Some(last) if last.marks == run.marks => last.text.push_str(&run.text),
            _ => joined.push(run),
        }
    }
    joined
}

/// Neither Markdown nor a reader can tell whether a line break is code. It is when it stands between code.
pub(super) fn settle_breaks(runs: Vec<Run>) -> Vec<Run> {
    let mut split: Vec<Run> = Vec::new();
    for run in runs {
        for piece in run.text.split_inclusive('\n') {
            let (line, brk) = piece.strip_suffix('\n').map_or((piece, false), |line| (line, true));
            split.push(Run {
                text: line.to_owned(),
                marks: run.marks.clone(),
            });
            if brk {
                split.push(Run {
                    text: "\n".to_owned(),
                    marks: run.marks.without_code(),
                });
            }
        }
    }
    let mut runs = join(split);
    for index in 1..runs.len() {
        let (before, after) = runs.split_at_mut(index);
        let (Some(previous), Some((this, rest))) = (before.last(), after.split_first_mut()) else {
            continue;
        };
        let Some(next) = rest.first() else { continue };
        let only_breaks = this.text.chars().all(|c| c == '\n') && !this.marks.code;
        let same = previous.marks == next.marks && previous.marks.without_code() == this.marks;
        if only_breaks && previous.marks.code && same {
            this.marks.code = true;
        }
    }
    join(runs)
}

/// A block of these runs; a block without text still has a span, as editors need one to put the cursor into.
fn text_block(style: Style, list_item: Option<ListKind>, level: Option<u8>, runs: &[Run]) -> TextBlock {
    let mut mark_defs: Vec<(usize, LinkMark)> = Vec::new();
    let mut children = Vec::with_capacity(runs.len().max(1));
    for run in join(runs.to_vec()) {
        let mut marks = Vec::new();
        let decorators = [
            (run.marks.strong, "strong"),
            (run.marks.em, "em"),
            (run.marks.code, "code"),
            (run.marks.underline, "underline"),
            (run.marks.strike, "strike-through"),
        ];
        marks.extend(
            decorators
                .iter()
                .filter(|(on, _)| *on)
                .map(|(_, name)| (*name).to_owned()),
        );
        if let Some((number, href)) = run.marks.link {
            // The runs under one link stand side by side.
            let key = match mark_defs.last().filter(|(known, _)| *known == number) {
                Some((_, link)) => link.key.clone(),
                None => {
                    let key = new_key();
                    mark_defs.push((number, LinkMark { key: key.clone(), href }));
                    key
                }
            };
            marks.push(key);
        }
        children.push(Span {
            key: new_key(),
            text: run.text,
            marks,
        });
    }
    if children.is_empty() {
        children.push(Span {
            key: new_key(),
            text: String::new(),
            marks: Vec::new(),
        });
    }
    let mark_defs = mark_defs.into_iter().map(|(_, link)| link).collect();
    TextBlock {
        key: new_key(),
        style,
        list_item,
        level,
        children,
        mark_defs,
    }
}
