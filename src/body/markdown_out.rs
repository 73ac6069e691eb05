//! Blocks to Markdown: what goes around and between the text. The text itself is in `markdown_text`.

use super::markdown_text::{Line, escape_cell, inline};
use super::text::Numbering;
use super::{Block, Figure, ListKind, ShownFigure, Style, Table, TextBlock};

/// What stands for a block without text, which Markdown would not see.
const EMPTY: &str = "<u></u>";

/// A figure as a reference to its caption, which can be read back.
pub(super) fn reference(figure: &Figure, alt: Option<String>) -> String {
    format!(
        "![{}](caption:{})",
        alternative(&alt.unwrap_or_default()),
        figure.caption_id
    )
}

/// A figure as whoever has nothing but the Markdown can see it: the image, and its words below.
pub(super) fn shown(figure: &ShownFigure) -> String {
    let image = format!(
        "![{}]({})",
        alternative(&figure.alt),
        super::markdown_text::destination(&figure.src)
    );
    let words = [&figure.text, &figure.credit].into_iter().flatten();
    let words: Vec<String> = words
        .filter(|words| !words.is_empty())
        .map(|words| super::text_to_markdown(words, true))
        .collect();
    match words.is_empty() {
        true => image,
        false => format!("{image}\n\n{}", words.join(" ")),
    }
}

fn alternative(alt: &str) -> String {
    let alt: String = alt.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Line::plain(alt.trim()).to_string()
}

pub(super) fn body(blocks: &[Block], figure_text: &dyn Fn(&Figure) -> String) -> String {
    let mut out = String::new();
    let mut lists = Lists::default();
    let mut after_item = false;
    for block in blocks {
        let item = matches!(block, Block::Text(TextBlock { list_item: Some(_), .. }));
        if !item {
            lists = Lists::default();
        }
        if !out.is_empty() {
            out.push_str(if item && after_item { "\n" } else { "\n\n" });
        }
        out.push_str(&match block {
            Block::Text(block) => match block.list_item {
                Some(kind) => lists.item(block, kind),
                None => text(block),
            },
            Block::Figure(figure) => figure_text(figure),
            Block::Table(table) => table_text(table),
            Block::Embed(embed) => {
                let url = super::markdown_text::destination(&embed.url);
                format!("[{}]({url} \"embed\")", Line::plain(&embed.url))
            }
            Block::Divider(_) => "---".to_owned(),
        });
        after_item = item;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

/// The lists that are open, from the outside in: their kind, and how wide their markers are.
#[derive(Default)]
struct Lists {
    open: Vec<(ListKind, usize)>,
    numbering: Numbering,
}

impl Lists {
    fn item(&mut self, block: &TextBlock, kind: ListKind) -> String {
        let level = usize::from(block.level.unwrap_or(1)).max(1);
        self.open.truncate(level);
        if self.open.len() == level {
            self.open.pop();
        }
        let indent: usize = self.open.iter().map(|(_, width)| width).sum();
        let mut markers = String::new();
        // A level that was skipped becomes an item that holds nothing but the next list.
        while self.open.len() < level {
            let number = self.numbering.next(kind, self.open.len() + 1);
            let marker = match kind {
                ListKind::Bullet => "- ".to_owned(),
                ListKind::Number => format!("{number}. "),
            };
            self.open.push((kind, marker.len()));
            markers.push_str(&marker);
        }
        let hanging = " ".repeat(indent + markers.len());
        let text = text(block);
        let mut out = " ".repeat(indent);
        out.push_str(&markers);
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                out.push('\n');
                if !line.is_empty() {
                    out.push_str(&hanging);
                }
            }
            out.push_str(line);
        }
        out
    }
}

fn text(block: &TextBlock) -> String {
    let heading = match block.style {
        Style::H2 => "## ",
        Style::H3 => "### ",
        Style::H4 => "#### ",
        Style::Normal | Style::Blockquote => "",
    };
    let content = match fenced(block) {
        Some(code) if heading.is_empty() => code,
        _ => inline(block, heading.is_empty()),
    };
    let content = if content.is_empty() { EMPTY.to_owned() } else { content };
    match block.style {
        Style::Blockquote => content
            .split('\n')
            .map(|line| format!("> {line}"))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => format!("{heading}{content}"),
    }
}

/// A block that is code with line breaks and nothing else.
fn fenced(block: &TextBlock) -> Option<String> {
    let mut code = String::new();
    for span in block.children.iter().filter(|span| !span.text.is_empty()) {
        if !matches!(&span.marks[..], [mark] if mark == "code") {
            return None;
        }
        code.push_str(&span.text);
    }
    if !code.contains('\n') {
        return None;
    }
    let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    Some(format!("{fence}\n{code}\n{fence}"))
}

/// The first row of a Markdown table is always its head, and all rows are as long as that.
fn table_text(table: &Table) -> String {
    let width = table.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let head = table
        .rows
        .first()
        .filter(|row| row.cells.len() == width && row.cells.iter().all(|cell| cell.header));
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let mut lines = Vec::with_capacity(table.rows.len() + 2);
    match head {
        Some(row) => {
            let mut cells: Vec<String> = row.cells.iter().map(|cell| escape_cell(&cell.text)).collect();
            // A head without any text would be taken for no head at all.
            if let Some(first) = cells.first_mut()
                && row.cells.iter().all(|cell| cell.text.is_empty())
            {
                *first = EMPTY.to_owned();
            }
            lines.push(line(cells));
        }
        None => lines.push(line(vec![String::new(); width])),
    }
    lines.push(line(vec!["---".to_owned(); width]));
    for row in table.rows.iter().skip(usize::from(head.is_some())) {
        let mut cells: Vec<String> = row
            .cells
            .iter()
            .map(|cell| body_cell(&cell.text, cell.header))
            .collect();
        cells.resize(width, String::new());
        lines.push(line(cells));
    }
    lines.join("\n")
}

fn body_cell(text: &str, header: bool) -> String {
    match (header, text.is_empty()) {
        (false, _) => escape_cell(text),
        (true, true) => format!("**{EMPTY}**"),
        (true, false) => Line::strong_cell(text),
    }
}
