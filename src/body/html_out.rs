//! HTML, made by escaping only.
//!
//! Text blocks come out byte for byte as the stock renderer `@portabletext/to-html` writes them (the test folder
//! `portable-text` compares), so that a front end may take our HTML today and render the blocks itself tomorrow. That
//! includes its oddities: a list of another kind on the same level starts anew outside the list it stood in.

use super::{Block, DECORATORS, ListKind, Span, Style, Table, TextBlock, links};

/// What a figure shows, for HTML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ShownFigure {
    /// The address of the image.
    pub src: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// For those who do not see the image.
    pub alt: String,
    /// What stands under it.
    pub text: Option<String>,
    /// Whose image it is.
    pub credit: Option<String>,
}

type Figures<'f> = &'f dyn Fn(&str) -> Option<ShownFigure>;

pub(super) fn body(blocks: &[Block], figures: Figures<'_>) -> String {
    let mut out = String::new();
    let mut lists = Lists::default();
    for block in blocks {
        match block {
            Block::Text(block) => match block.list_item {
                Some(kind) => lists.item(&mut out, block, kind),
                None => {
                    lists.close_all(&mut out);
                    let tag = style_tag(block.style);
                    out.push_str(&format!("<{tag}>"));
                    inline(&mut out, block);
                    out.push_str(&format!("</{tag}>"));
                }
            },
            other => {
                lists.close_all(&mut out);
                custom(&mut out, other, figures);
            }
        }
    }
    lists.close_all(&mut out);
    out
}

/// The lists that are open, from the outside in. Each has one open item, which is closed by the item that follows.
#[derive(Default)]
struct Lists {
    open: Vec<OpenList>,
}

struct OpenList {
    kind: ListKind,
    level: u8,
    /// What closes the open item: a styled item wraps its nested lists as well.
    item_end: String,
}

impl Lists {
    fn item(&mut self, out: &mut String, block: &TextBlock, kind: ListKind) {
        let level = block.level.unwrap_or(1);
        let found = match self.open.last() {
            None => None,
            Some(list) if level > list.level => None,
            // An item on a level of its own kind goes on with the innermost such list; every other one starts a new
            // list, outside of all others.
            Some(_) => match self
                .open
                .iter()
                .position(|list| list.level == level && list.kind == kind)
            {
                Some(index) => {
                    while self.open.len() > index + 1 {
                        self.close_last(out);
                    }
                    Some(index)
                }
                None => {
                    self.close_all(out);
                    None
                }
            },
        };
        match found {
            Some(_) => {
                if let Some(list) = self.open.last() {
                    out.push_str(&list.item_end);
                }
            }
            None => {
                out.push_str(match kind {
                    ListKind::Bullet => "<ul>",
                    ListKind::Number => "<ol>",
                });
                self.open.push(OpenList {
                    kind,
                    level,
                    item_end: String::new(),
                });
            }
        }
        out.push_str("<li>");
        let mut item_end = "</li>".to_owned();
        if block.style != Style::Normal {
            let tag = style_tag(block.style);
            out.push_str(&format!("<{tag}>"));
            item_end = format!("</{tag}></li>");
        }
        inline(out, block);
        if let Some(list) = self.open.last_mut() {
            list.item_end = item_end;
        }
    }

    fn close_last(&mut self, out: &mut String) {
        if let Some(list) = self.open.pop() {
            out.push_str(&list.item_end);
            out.push_str(match list.kind {
                ListKind::Bullet => "</ul>",
                ListKind::Number => "</ol>",
            });
        }
    }

    fn close_all(&mut self, out: &mut String) {
        while !self.open.is_empty() {
            self.close_last(out);
        }
    }
}

fn style_tag(style: Style) -> &'static str {
    match style {
        Style::Normal => "p",
        Style::H2 => "h2",
        Style::H3 => "h3",
        Style::H4 => "h4",
        Style::Blockquote => "blockquote",
    }
}

/// The marks of a span from the outside in: those that go on over more of the following spans come first, then links,
/// then decorators in their order.
pub(super) fn nested_marks<'a>(spans: &[&'a [String]], index: usize) -> Vec<&'a str> {
    let Some(own) = spans.get(index) else { return Vec::new() };
    let mut marks: Vec<(usize, usize, &str)> = own
        .iter()
        .map(|mark| {
            let run = spans
                .iter()
                .skip(index)
                .take_while(|marks| marks.contains(mark))
                .count();
            let known = DECORATORS
                .iter()
                .position(|name| name == mark)
                .map_or(0, |position| position + 1);
            (run, known, mark.as_str())
        })
        .collect();
    marks.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    marks.into_iter().map(|(_, _, mark)| mark).collect()
}

fn inline(out: &mut String, block: &TextBlock) {
    let marks: Vec<&[String]> = block.children.iter().map(|span| span.marks.as_slice()).collect();
    let mut open: Vec<&str> = Vec::new();
    for (index, span) in block.children.iter().enumerate() {
        let mut needed = nested_marks(&marks, index);
        let mut kept = 0;
        while let Some(position) = open
            .get(kept)
            .and_then(|mark| needed.iter().position(|needed| needed == mark))
        {
            needed.remove(position);
            kept += 1;
        }
        close_marks(out, block, &mut open, kept);
        for mark in needed {
            out.push_str(&mark_tags(block, mark).0);
            open.push(mark);
        }
        span_text(out, span);
    }
    close_marks(out, block, &mut open, 0);
}

fn close_marks(out: &mut String, block: &TextBlock, open: &mut Vec<&str>, keep: usize) {
    while open.len() > keep {
        if let Some(mark) = open.pop() {
            out.push_str(mark_tags(block, mark).1);
        }
    }
}

fn mark_tags(block: &TextBlock, mark: &str) -> (String, &'static str) {
    let (start, end) = match mark {
        "strong" => ("<strong>", "</strong>"),
        "em" => ("<em>", "</em>"),
        "code" => ("<code>", "</code>"),
        "underline" => ("<span style=\"text-decoration:underline\">", "</span>"),
        "strike-through" => ("<del>", "</del>"),
        key => return link_tags(block, key),
    };
    (start.to_owned(), end)
}

fn link_tags(block: &TextBlock, key: &str) -> (String, &'static str) {
    let href = block
        .mark_defs
        .iter()
        .find(|link| link.key == key)
        .map(|link| link.href.as_str());
    match href {
        // Checked at the door already; this keeps the promise for whatever else may have got into the database.
        Some(href) if links::check_href(href).is_ok() => (format!("<a href=\"{}\">", escape(href)), "</a>"),
        _ => (String::new(), ""),
    }
}

fn span_text(out: &mut String, span: &Span) {
    lines(out, &span.text);
}

pub(super) fn lines(out: &mut String, text: &str) {
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push_str("<br/>");
        }
        escape_into(out, line);
    }
}

fn custom(out: &mut String, block: &Block, figures: Figures<'_>) {
    match block {
        Block::Text(_) => {}
        Block::Figure(figure) => figure_html(out, &figure.caption_id, figures(&figure.caption_id)),
        Block::Table(table) => table_html(out, table),
        Block::Embed(embed) => {
            let url = escape(&embed.url);
            match links::check_embed(&embed.url) {
                Ok(()) => out.push_str(&format!(
                    "<figure data-embed-url=\"{url}\"><a href=\"{url}\">{url}</a></figure>"
                )),
                Err(_) => out.push_str(&format!("<figure>{url}</figure>")),
            }
        }
        Block::Divider(_) => out.push_str("<hr/>"),
    }
}

pub(super) fn figure_html(out: &mut String, caption_id: &str, shown: Option<ShownFigure>) {
    out.push_str(&format!("<figure data-caption-id=\"{}\">", escape(caption_id)));
    if let Some(shown) = shown {
        out.push_str(&format!(
            "<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{}\" loading=\"lazy\"/>",
            escape(&shown.src),
            shown.width,
            shown.height,
            escape(&shown.alt)
        ));
        let text = shown.text.filter(|text| !text.is_empty());
        let credit = shown.credit.filter(|credit| !credit.is_empty());
        if text.is_some() || credit.is_some() {
            out.push_str("<figcaption>");
            lines(out, text.as_deref().unwrap_or_default());
            if let Some(credit) = credit {
                let space = if text.is_some() { " " } else { "" };
                out.push_str(&format!("{space}<small>"));
                lines(out, &credit);
                out.push_str("</small>");
            }
            out.push_str("</figcaption>");
        }
    }
    out.push_str("</figure>");
}

/// A first row of header cells only is the table's head.
fn table_html(out: &mut String, table: &Table) {
    let head = usize::from(
        table
            .rows
            .first()
            .is_some_and(|row| row.cells.iter().all(|cell| cell.header)),
    );
    let rows = |out: &mut String, part: &str, from: usize, to: usize| {
        let rows: Vec<_> = table.rows.iter().take(to).skip(from).collect();
        if rows.is_empty() {
            return;
        }
        out.push_str(&format!("<{part}>"));
        for row in rows {
            out.push_str("<tr>");
            for cell in &row.cells {
                let tag = if cell.header { "th" } else { "td" };
                out.push_str(&format!("<{tag}>"));
                lines(out, &cell.text);
                out.push_str(&format!("</{tag}>"));
            }
            out.push_str("</tr>");
        }
        out.push_str(&format!("</{part}>"));
    };
    out.push_str("<table>");
    rows(out, "thead", 0, head);
    rows(out, "tbody", head, table.rows.len());
    out.push_str("</table>");
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}

/// All but the last of several spaces become no-break spaces, so that browsers show them.
fn escape_into(out: &mut String, text: &str) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            ' ' if chars.peek() == Some(&' ') => out.push_str("&nbsp;"),
            c => out.push(c),
        }
    }
}
