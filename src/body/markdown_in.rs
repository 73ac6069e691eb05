//! Markdown to blocks.

use std::cell::Cell;

use comrak::nodes::{ListType, Node, NodeLink, NodeList, NodeValue};
use comrak::{Arena, Options, try_parse_document};

use super::build::{Builder, Marks, Run, settle_breaks};
use super::{Block, FieldError, ListKind, MAX_SOURCE, Style, links};

/// How deep quotes, lists and marks may stand in each other before we stop following.
const MAX_DEPTH: usize = 60;

pub(super) fn parse(source: &str) -> Result<Vec<Block>, Vec<FieldError>> {
    if source.len() > MAX_SOURCE {
        return Err(vec![FieldError::whole(
            "too_many",
            format!("the Markdown is longer than {MAX_SOURCE} bytes"),
        )]);
    }
    if let Some(index) = source.lines().position(|line| line.contains('\0')) {
        return Err(vec![FieldError::whole(
            "invalid_text",
            format!("line {}: U+0000 is not allowed", index + 1),
        )]);
    }
    let arena = Arena::new();
    // Work that grows faster than the text is long is cut off, whatever the text is made of.
    let budget = Cell::new(source.len() / 8 + 1_000);
    let over_budget = || {
        budget.set(budget.get().saturating_sub(1));
        budget.get() == 0
    };
    let root = try_parse_document(&arena, source, &options(), &over_budget)
        .map_err(|_| vec![FieldError::whole("too_many", "the Markdown is too complicated")])?;
    let mut reader = Reader {
        builder: Builder::default(),
        lines: source.lines().collect(),
    };
    reader.blocks(root, false, 0);
    reader.builder.finish()
}

/// Footnotes and task lists are read so that they can be refused: without, they would turn up as odd text.
fn options() -> Options<'static> {
    let mut options = Options::default();
    options.extension.strikethrough = true;
    options.extension.table = true;
    options.extension.footnotes = true;
    options.extension.tasklist = true;
    options.parse.leave_footnote_definitions = true;
    options
}

struct Reader<'s> {
    builder: Builder,
    lines: Vec<&'s str>,
}

fn place(node: Node<'_>) -> String {
    format!("line {}", node.data().sourcepos.start.line)
}

impl Reader<'_> {
    fn blocks(&mut self, parent: Node<'_>, quote: bool, depth: usize) {
        if depth > MAX_DEPTH {
            self.builder.error(
                "too_many",
                format!("{}: quotes and lists are nested too deep", place(parent)),
            );
            return;
        }
        for node in parent.children() {
            self.block(node, quote, depth);
        }
    }

    fn block(&mut self, node: Node<'_>, quote: bool, depth: usize) {
        let place = place(node);
        let value = node.data().value.clone();
        match value {
            NodeValue::Paragraph => self.paragraph(node, quote, &place),
            NodeValue::Heading(_) if quote => self.builder.unsupported("a heading in a quote", &place),
            NodeValue::Heading(heading) => {
                let style = match heading.level {
                    1 | 2 => Style::H2,
                    3 => Style::H3,
                    _ => Style::H4,
                };
                self.text(node, style, &place);
            }
            NodeValue::BlockQuote => self.blocks(node, true, depth + 1),
            NodeValue::List(list) => self.list(node, &list, quote, depth, &place),
            NodeValue::CodeBlock(code) => {
                let text = code.literal.strip_suffix('\n').unwrap_or(&code.literal).to_owned();
                let run = Run {
                    text,
                    marks: Marks {
                        code: true,
                        ..Marks::default()
                    },
                };
                self.builder.text(text_style(quote), vec![run], &place);
            }
            NodeValue::ThematicBreak if !quote => self.builder.divider(&place),
            NodeValue::Table(_) if !quote => self.table(node, &place),
            other => self.builder.unsupported(&describe(&other), &place),
        }
    }

    fn list(&mut self, node: Node<'_>, list: &NodeList, quote: bool, depth: usize, place_of_list: &str) {
        let kind = match list.list_type {
            ListType::Bullet => ListKind::Bullet,
            ListType::Ordered => ListKind::Number,
        };
        if kind == ListKind::Number && list.start != 1 {
            let what = format!("a numbered list that starts at {}", list.start);
            self.builder.unsupported(&what, place_of_list);
        }
        for item in node.children() {
            let place = place(item);
            if matches!(item.data().value, NodeValue::TaskItem(_)) {
                self.builder.unsupported("a task list", &place);
            }
            self.builder.begin_item(kind, &place);
            self.blocks(item, quote, depth + 1);
            self.builder.end_item();
        }
    }

    fn paragraph(&mut self, node: Node<'_>, quote: bool, place: &str) {
        if let Some(only) = node.first_child()
            && only.next_sibling().is_none()
        {
            let value = only.data().value.clone();
            match value {
                NodeValue::Image(image) => return self.figure(&image, quote, place),
                NodeValue::Link(link) if link.title == "embed" => return self.embed(only, &link, quote, place),
                _ => {}
            }
        }
        self.text(node, text_style(quote), place);
    }

    fn figure(&mut self, image: &NodeLink, quote: bool, place: &str) {
        match image.url.strip_prefix("caption:") {
            None => self.builder.unsupported(
                &format!("the image {} (a figure is ![alt](caption:ID))", image.url),
                place,
            ),
            Some(_) if quote => self.builder.unsupported("a figure in a quote", place),
            Some(_) if !image.title.is_empty() => self.builder.unsupported("the title of a figure", place),
            Some(id) => self.builder.figure(id, place),
        }
    }

    fn embed(&mut self, node: Node<'_>, link: &NodeLink, quote: bool, place: &str) {
        let runs = self.runs(node);
        let text: String = runs.iter().map(|run| run.text.as_str()).collect();
        if quote {
            self.builder.unsupported("an embed in a quote", place);
        } else if text != link.url && text != "embed" && !text.is_empty() {
            // Its words would be lost: an embed has an address only.
            self.builder
                .unsupported("the text of an embed (write its address again)", place);
        } else {
            self.builder.embed(&link.url, place);
        }
    }

    fn text(&mut self, node: Node<'_>, style: Style, place: &str) {
        let runs = settle_breaks(self.runs(node));
        self.builder.text(style, runs, place);
    }

    fn runs(&mut self, node: Node<'_>) -> Vec<Run> {
        let mut runs = Vec::new();
        self.inline(node, &Marks::default(), &mut runs, 0);
        runs
    }

    fn inline(&mut self, parent: Node<'_>, marks: &Marks, runs: &mut Vec<Run>, depth: usize) {
        if depth > MAX_DEPTH {
            self.builder
                .error("too_many", format!("{}: marks are nested too deep", place(parent)));
            return;
        }
        let mut marks = marks.clone();
        let outside = marks.underline;
        for node in parent.children() {
            let value = node.data().value.clone();
            let mut push = |text: &str, marks: &Marks| {
                runs.push(Run {
                    text: text.to_owned(),
                    marks: marks.clone(),
                })
            };
            match value {
                NodeValue::Text(text) => push(&text, &marks),
                NodeValue::SoftBreak => push(" ", &marks),
                NodeValue::LineBreak => push("\n", &marks),
                NodeValue::Code(code) => push(
                    &code.literal,
                    &Marks {
                        code: true,
                        ..marks.clone()
                    },
                ),
                NodeValue::Strong => self.inline(
                    node,
                    &Marks {
                        strong: true,
                        ..marks.clone()
                    },
                    runs,
                    depth + 1,
                ),
                NodeValue::Emph => self.inline(
                    node,
                    &Marks {
                        em: true,
                        ..marks.clone()
                    },
                    runs,
                    depth + 1,
                ),
                NodeValue::Strikethrough => self.inline(
                    node,
                    &Marks {
                        strike: true,
                        ..marks.clone()
                    },
                    runs,
                    depth + 1,
                ),
                NodeValue::Link(link) => {
                    let marks = self.link(&link, &marks, &place(node));
                    self.inline(node, &marks, runs, depth + 1);
                }
                NodeValue::HtmlInline(tag) => match tag.to_ascii_lowercase().as_str() {
                    "<u>" if !marks.underline => marks.underline = true,
                    "</u>" if marks.underline && !outside => {
                        // Marks that stand around nothing still make a table cell a header, so they leave a trace.
                        push("", &marks);
                        marks.underline = false;
                    }
                    "<br>" | "<br/>" | "<br />" => push("\n", &marks),
                    _ => self.builder.unsupported(&format!("the HTML {tag}"), &place(node)),
                },
                other => self.builder.unsupported(&describe(&other), &place(node)),
            }
        }
        if marks.underline && !outside {
            self.builder.unsupported("a <u> that is not closed", &place(parent));
        }
    }

    fn link(&mut self, link: &NodeLink, marks: &Marks, place: &str) -> Marks {
        if !link.title.is_empty() {
            self.builder.unsupported("the title of a link", place);
        }
        if let Err(why) = links::check_href(&link.url) {
            self.builder.error("invalid_link", format!("{place}: {why}"));
        }
        Marks {
            link: Some((self.builder.next_link(), link.url.clone())),
            ..marks.clone()
        }
    }

    fn table(&mut self, node: Node<'_>, place_of_table: &str) {
        let mut rows = Vec::new();
        for row in node.children() {
            let head = matches!(row.data().value, NodeValue::TableRow(true));
            let place = place(row);
            if self.has_more_cells(row) {
                self.builder
                    .unsupported("a table row that is longer than the first", &place);
            }
            let empty = row.children().all(|cell| cell.first_child().is_none());
            if head && empty {
                continue;
            }
            rows.push(row.children().map(|cell| self.cell(cell, head, &place)).collect());
        }
        self.builder.table(rows, place_of_table);
    }

    /// Cells hold text only; strong text in a whole cell says that it is a header.
    fn cell(&mut self, node: Node<'_>, head: bool, place: &str) -> (String, bool) {
        let mut runs = self.runs(node);
        let strong = !runs.is_empty() && runs.iter().all(|run| run.marks.strong);
        for run in &mut runs {
            run.marks.strong &= !strong;
        }
        if runs.iter().any(|run| !run.text.is_empty() && !run.marks.plain()) {
            self.builder.unsupported("formatted text in a table cell", place);
        }
        (runs.into_iter().map(|run| run.text).collect(), head || strong)
    }

    /// The parser leaves out cells for which the first row has no column; their words must not get lost.
    fn has_more_cells(&self, row: Node<'_>) -> bool {
        let Some(last) = row.last_child() else { return false };
        let end = last.data().sourcepos.end;
        let Some(line) = end.line.checked_sub(1).and_then(|line| self.lines.get(line)) else {
            return false;
        };
        let rest = line.get(end.column..).unwrap_or_default();
        rest.split('|').skip(1).any(|cell| !cell.trim().is_empty())
    }
}

fn text_style(quote: bool) -> Style {
    if quote { Style::Blockquote } else { Style::Normal }
}

fn describe(value: &NodeValue) -> String {
    match value {
        NodeValue::HtmlBlock(_) => "HTML".to_owned(),
        NodeValue::Image(image) => format!("the image {} inside text", image.url),
        NodeValue::FootnoteDefinition(_) | NodeValue::FootnoteReference(_) => "a footnote".to_owned(),
        NodeValue::ThematicBreak => "a divider in a quote".to_owned(),
        NodeValue::Table(_) => "a table in a quote".to_owned(),
        _ => "this".to_owned(),
    }
}
