//! HTML to blocks, by way of a browser's parser.

use std::ops::Deref;

use scraper::{ElementRef, Html, Node};

use super::build::{Builder, Marks};
use super::collapse::Collapse;
use super::{Block, FieldError, ListKind, MAX_SOURCE, Style, html_guard, links};

/// How deep we follow. The parser adds elements of its own to those that the guard counted.
const MAX_DEPTH: usize = html_guard::MAX_OPEN * 2;

/// Dropped with all that is in them: what is run or styles, and what is about the page instead of on it.
const DROPPED: [&str; 12] = [
    "script", "style", "noscript", "template", "object", "applet", "noframes", "noembed", "title", "meta", "link",
    "base",
];
/// Their content counts, they do not.
const TRANSPARENT_BLOCKS: [&str; 12] = [
    "html", "body", "head", "div", "section", "article", "main", "header", "footer", "aside", "address", "center",
];
const TRANSPARENT_MARKS: [&str; 12] = [
    "span", "small", "big", "font", "abbr", "time", "cite", "dfn", "bdi", "data", "label", "wbr",
];

pub(super) fn parse(source: &str) -> Result<Vec<Block>, Vec<FieldError>> {
    if source.len() > MAX_SOURCE {
        return Err(vec![FieldError::whole(
            "too_many",
            format!("the HTML is longer than {MAX_SOURCE} bytes"),
        )]);
    }
    if source.contains('\0') {
        return Err(vec![FieldError::whole("invalid_text", "U+0000 is not allowed")]);
    }
    html_guard::check(source).map_err(|error| vec![error])?;
    let html = Html::parse_fragment(source);
    let mut reader = Reader::default();
    reader.content(html.root_element(), &Context::default());
    reader.flush(&Context::default());
    reader.builder.finish()
}

/// What the elements around a place say about it.
#[derive(Clone, Default)]
struct Context {
    marks: Marks,
    style: Option<Style>,
    /// The style of items: that of a quote around the outermost list.
    item_style: Option<Style>,
    /// Inside `pre`, white space is kept.
    verbatim: bool,
    depth: usize,
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    line: Collapse,
}

impl Reader {
    fn content(&mut self, parent: ElementRef<'_>, context: &Context) {
        for node in parent.children() {
            match node.value() {
                Node::Text(text) if context.verbatim => self.line.verbatim(text.deref(), &context.marks),
                Node::Text(text) => self.line.text(text.deref(), &context.marks),
                Node::Element(_) => {
                    if let Some(element) = ElementRef::wrap(node) {
                        self.element(element, context);
                    }
                }
                _ => {}
            }
        }
    }

    fn element(&mut self, element: ElementRef<'_>, outer: &Context) {
        let mut context = outer.clone();
        context.depth += 1;
        if context.depth > MAX_DEPTH {
            self.builder.error("too_many", "elements are nested too deep");
            return;
        }
        let name = element.value().name();
        match name {
            "br" => self.line.break_line(&context.marks),
            "hr" => self.between(outer, name, |builder| builder.divider("<hr>")),
            "p" => self.block(element, outer, &context),
            "pre" => {
                context.marks.code = true;
                context.verbatim = true;
                self.block(element, outer, &context);
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.heading(element, outer, context),
            "blockquote" => {
                // A quote in a quote is one quote.
                if outer.style.is_some_and(|style| style != Style::Blockquote) {
                    self.builder.unsupported("a quote in a heading", "<blockquote>");
                }
                context.style = Some(Style::Blockquote);
                self.block(element, outer, &context);
            }
            "ul" | "menu" => self.list(element, outer, &context, ListKind::Bullet),
            "ol" => self.list(element, outer, &context, ListKind::Number),
            "li" => self.item(element, outer, &context, ListKind::Bullet),
            "table" => self.table(element, outer),
            "figure" => self.figure(element, outer),
            "img" => match element.attr("data-caption-id") {
                Some(id) => self.between(outer, name, |builder| builder.figure(id, "<img>")),
                None => self.builder.unsupported("an image without data-caption-id", "<img>"),
            },
            name if DROPPED.contains(&name) => {}
            name if TRANSPARENT_BLOCKS.contains(&name) || name == "nav" => self.block(element, outer, &context),
            name => match self.mark(element, name, context) {
                Some(context) => self.content(element, &context),
                None => self.builder.unsupported("this element", &format!("<{name}>")),
            },
        }
    }

    /// The context inside an element that stands in text, or `None` for one that is not known.
    fn mark(&mut self, element: ElementRef<'_>, name: &str, mut context: Context) -> Option<Context> {
        match name {
            // Word processors wrap whole documents in a `<b>` that is not bold.
            "b" if style_of(element, "font-weight").is_some_and(|weight| weight == "normal" || weight == "400") => {}
            "strong" | "b" => context.marks.strong = true,
            "em" | "i" => context.marks.em = true,
            "u" | "ins" => context.marks.underline = true,
            "s" | "del" | "strike" => context.marks.strike = true,
            "code" | "kbd" | "samp" | "tt" => context.marks.code = true,
            "a" => context.marks.link = self.link(element).or(context.marks.link),
            "span" if underlined(element) => context.marks.underline = true,
            name if TRANSPARENT_MARKS.contains(&name) => {}
            _ => return None,
        }
        Some(context)
    }

    fn link(&mut self, element: ElementRef<'_>) -> Option<(usize, String)> {
        let href = element.attr("href")?;
        if links::is_executable(href) {
            return None;
        }
        // What browsers do to an address before they use it.
        let trimmed = href.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_ascii_control());
        let href = trimmed.replace(['\t', '\n', '\r'], "").replace(' ', "%20");
        if href.is_empty() {
            return None;
        }
        match links::check_href(&href) {
            Ok(()) => Some((self.builder.next_link(), href)),
            Err(why) => {
                self.builder.error("invalid_link", format!("<a href>: {why}"));
                None
            }
        }
    }

    /// Writes down the text that has been read up to here.
    fn flush(&mut self, context: &Context) {
        let runs = self.line.take();
        if !runs.is_empty() {
            let style = context.style.unwrap_or(Style::Normal);
            self.builder.text(style, runs, place(style));
        }
    }

    /// An element that stands in a block of its own.
    fn block(&mut self, element: ElementRef<'_>, outer: &Context, context: &Context) {
        self.flush(outer);
        self.content(element, context);
        self.flush(context);
    }

    fn heading(&mut self, element: ElementRef<'_>, outer: &Context, mut context: Context) {
        if outer.style.is_some() {
            self.builder
                .unsupported("a heading in a quote or heading", "<h1> to <h6>");
        }
        context.style = Some(match element.value().name() {
            "h1" | "h2" => Style::H2,
            "h3" => Style::H3,
            _ => Style::H4,
        });
        self.block(element, outer, &context);
    }

    /// What is no text ends the paragraph it stands in; in quotes and headings there is no place for it.
    fn between(&mut self, outer: &Context, name: &str, write: impl FnOnce(&mut Builder)) {
        self.flush(outer);
        if outer.style.is_some() {
            self.builder
                .unsupported("this element in a quote or heading", &format!("<{name}>"));
        } else {
            write(&mut self.builder);
        }
    }

    fn list(&mut self, element: ElementRef<'_>, outer: &Context, context: &Context, kind: ListKind) {
        self.flush(outer);
        // An item is styled by what is in it, or by a quote around all lists, but not by what the text of the item
        // around it stands in: the stock renderers nest lists in the headings of items.
        let mut inner = context.clone();
        if self.builder.in_item() {
            inner.style = inner.item_style;
        } else {
            inner.item_style = inner.style;
        }
        if element.attr("reversed").is_some() || element.attr("start").is_some_and(|start| start.trim() != "1") {
            self.builder.unsupported("a list that does not count from 1", "<ol>");
        }
        for node in element.children() {
            match ElementRef::wrap(node) {
                Some(item) if item.value().name() == "li" => self.item(item, &inner, &inner, kind),
                // A list right in a list belongs to the item before it; as ours start one level deeper, so may this.
                Some(list) if matches!(list.value().name(), "ul" | "ol" | "menu") => {
                    self.builder.begin_item(kind, "<ul>");
                    self.element(list, &inner);
                    self.builder.end_item();
                }
                Some(other) if DROPPED.contains(&other.value().name()) => {}
                Some(other) => {
                    self.builder
                        .unsupported("an element between list items", &format!("<{}>", other.value().name()));
                }
                None => match node.value() {
                    Node::Text(text) if !text.trim().is_empty() => {
                        self.builder
                            .unsupported("text between list items", &format!("<{}>", element.value().name()));
                    }
                    _ => {}
                },
            }
        }
    }

    fn item(&mut self, element: ElementRef<'_>, outer: &Context, context: &Context, kind: ListKind) {
        self.flush(outer);
        if element.attr("value").is_some() {
            self.builder.unsupported("the number of a list item", "<li value>");
        }
        self.builder.begin_item(kind, "<li>");
        self.content(element, context);
        self.flush(context);
        self.builder.end_item();
    }

    fn figure(&mut self, element: ElementRef<'_>, outer: &Context) {
        // What is in them is shown, not said: the caption and the address are kept elsewhere.
        match (element.attr("data-caption-id"), element.attr("data-embed-url")) {
            (Some(id), _) => self.between(outer, "figure", |builder| builder.figure(id, "<figure>")),
            (None, Some(url)) => self.between(outer, "figure", |builder| builder.embed(url, "<figure>")),
            (None, None) => {
                self.builder
                    .unsupported("a figure without data-caption-id or data-embed-url", "<figure>");
            }
        }
    }

    fn table(&mut self, element: ElementRef<'_>, outer: &Context) {
        let mut rows = Vec::new();
        let mut parts = Vec::new();
        for part in element.children().filter_map(ElementRef::wrap) {
            match part.value().name() {
                "thead" | "tbody" | "tfoot" => parts.extend(part.children().filter_map(ElementRef::wrap)),
                "tr" => parts.push(part),
                "colgroup" | "col" => {}
                name if DROPPED.contains(&name) => {}
                name => self
                    .builder
                    .unsupported("this element in a table", &format!("<{name}>")),
            }
        }
        for row in parts {
            if row.value().name() == "tr" {
                let cells: Vec<_> = row.children().filter_map(ElementRef::wrap).collect();
                rows.push(
                    cells
                        .into_iter()
                        .filter_map(|cell| self.cell(cell, outer.depth))
                        .collect(),
                );
            } else if !DROPPED.contains(&row.value().name()) {
                self.builder
                    .unsupported("this element in a table", &format!("<{}>", row.value().name()));
            }
        }
        self.between(outer, "table", |builder| builder.table(rows, "<table>"));
    }

    fn cell(&mut self, element: ElementRef<'_>, depth: usize) -> Option<(String, bool)> {
        let name = element.value().name();
        if !matches!(name, "td" | "th") {
            return None;
        }
        for span in ["colspan", "rowspan"] {
            if element.attr(span).is_some_and(|count| count.trim() != "1") {
                self.builder
                    .unsupported("a cell over several columns or rows", &format!("<{name} {span}>"));
            }
        }
        // A cell is a small document: its paragraphs become lines.
        let mut inner = Reader::default();
        std::mem::swap(&mut inner.builder.errors, &mut self.builder.errors);
        let context = Context {
            depth: depth + 1,
            ..Context::default()
        };
        inner.content(element, &context);
        inner.flush(&context);
        std::mem::swap(&mut inner.builder.errors, &mut self.builder.errors);
        let mut lines = Vec::new();
        for block in inner.builder.blocks() {
            match block {
                Block::Text(block) if block.style == Style::Normal && block.list_item.is_none() => {
                    // A header cell is strong by itself.
                    let extra = |mark: &String| name == "td" || mark != "strong";
                    if block.children.iter().any(|span| span.marks.iter().any(extra)) {
                        self.builder
                            .unsupported("formatted text in a table cell", &format!("<{name}>"));
                    }
                    lines.push(block.children.iter().map(|span| span.text.as_str()).collect::<String>());
                }
                _ => self
                    .builder
                    .unsupported("anything but text in a table cell", &format!("<{name}>")),
            }
        }
        Some((lines.join("\n"), name == "th"))
    }
}

fn place(style: Style) -> &'static str {
    match style {
        Style::Normal => "<p>",
        Style::H2 => "<h2>",
        Style::H3 => "<h3>",
        Style::H4 => "<h4>",
        Style::Blockquote => "<blockquote>",
    }
}

fn style_of(element: ElementRef<'_>, property: &str) -> Option<String> {
    let style = element.attr("style")?.to_ascii_lowercase();
    style.split(';').find_map(|rule| {
        let (name, value) = rule.split_once(':')?;
        (name.trim() == property).then(|| value.trim().to_owned())
    })
}

/// How the stock renderers write underlined text.
fn underlined(element: ElementRef<'_>) -> bool {
    style_of(element, "text-decoration").is_some_and(|value| value.split_whitespace().any(|word| word == "underline"))
}
