//! The body of a story: an array of typed blocks in the open format Portable Text, and its other forms.
//!
//! JSON is the form that is stored and delivered; [`Body::from_value`] is its door. Markdown, HTML and plain text are
//! made from it, Markdown and HTML can also be sent. What one of these forms says and a body cannot hold is refused
//! with a [`FieldError`], never dropped in silence.
//!
//! # Markdown
//!
//! CommonMark with tables and strikethrough. `from_markdown(to_markdown(body))` is the same body but for the keys, see
//! "What Markdown cannot hold" below.
//!
//! | Body | Markdown |
//! |---|---|
//! | figure | `![alt](caption:ID)` alone in its paragraph |
//! | embed | `[https://…](https://… "embed")` alone in its paragraph: a link whose title is `embed`. Body links have no titles, so no link can be mistaken for it, and every other reader shows a working link |
//! | divider | `---` |
//! | underline | `<u>…</u>` |
//! | line break | `\` at the end of a line, or `<br>` |
//! | empty paragraph, empty list item | `<u></u>` |
//! | code with line breaks, alone in its block | fenced code block |
//! | header cell outside the first row | `**text**` |
//! | table whose first row is no header row | a first row of empty cells, as Markdown tables need one |
//!
//! No other HTML is taken. Headings 1 become 2, 5 and 6 become 4; nested quotes become one quote; the language of a code
//! block, the alignment of columns and unused link definitions are hints, not content, and are not kept.
//!
//! ## What Markdown cannot hold
//!
//! Keys; spans without text, and neighbouring spans that look the same (they become one); links nobody uses; a link over
//! two separate runs of text (it becomes two links); a code mark on a line break at the edge of the code; rows of
//! different lengths (short ones are filled up).
//!
//! # HTML
//!
//! Text blocks are written as `@portabletext/to-html` writes them. A figure is `<figure data-caption-id="ID">`, an embed
//! `<figure data-embed-url="URL"><a href="URL">URL</a></figure>`. On the way in, attributes other than these, `href` and
//! an underlining `style` are ignored; scripts and styles are dropped with what is in them; links that would run script lose
//! their link; white space collapses as in a browser, so an empty `<p>` and the last `<br>` of a block vanish as well.
//! Several spaces are written as no-break spaces and one space, and that is what they are when they are read again.

mod build;
mod check;
mod collapse;
mod fields;
mod html_guard;
mod html_in;
mod html_out;
mod kept;
mod links;
mod markdown_in;
mod markdown_out;
mod markdown_text;
mod schema;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use html_out::ShownFigure;
pub use kept::KeptBody;
pub use schema::BodyInput;

/// The most blocks a body may have.
pub const MAX_BLOCKS: usize = 2_000;
/// The most spans, and the most links, one block may have.
pub const MAX_SPANS: usize = 2_000;
/// The most rows a table may have.
pub const MAX_ROWS: usize = 1_000;
/// The most cells a table row may have.
pub const MAX_CELLS: usize = 100;
/// The deepest list level.
pub const MAX_LEVEL: u8 = 10;
/// The longest `_key`, in characters.
pub const MAX_KEY: usize = 100;
/// The most errors one check reports; a body that is wrong in more places says so by then.
pub const MAX_ERRORS: usize = 50;
/// The longest Markdown or HTML that is looked at, in bytes.
pub const MAX_SOURCE: usize = 2_000_000;

/// A body whose content has been checked.
///
/// `Deserialize` is for what we stored ourselves and checks shapes only; what comes from outside goes through
/// [`Body::from_value`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Body(Vec<Block>);

/// One block of a body; `_type` says which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "_type", rename_all = "lowercase")]
pub enum Block {
    /// A paragraph, heading, quote or list item.
    #[serde(rename = "block")]
    Text(TextBlock),
    /// An image of the article, by its caption.
    Figure(Figure),
    /// A table of plain text.
    Table(Table),
    /// Something that lives elsewhere, by its address.
    Embed(Embed),
    /// A thematic break.
    Divider(Divider),
}

/// A paragraph, heading, quote or list item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TextBlock {
    /// Unique among the blocks.
    #[serde(rename = "_key")]
    pub key: String,
    /// What the block looks like.
    pub style: Style,
    /// The kind of list it is an item of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_item: Option<ListKind>,
    /// How deep in lists it stands, from 1; only list items have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// The text.
    pub children: Vec<Span>,
    /// The links that marks of the text point at.
    pub mark_defs: Vec<LinkMark>,
}

/// The look of a text block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// A paragraph.
    Normal,
    /// A heading under the title.
    H2,
    /// A heading under an `h2`.
    H3,
    /// A heading under an `h3`.
    H4,
    /// A quote that stands alone.
    Blockquote,
}

/// The kind of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// With bullets.
    Bullet,
    /// With numbers.
    Number,
}

/// A run of text with the same marks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "_type", rename = "span")]
pub struct Span {
    /// Unique among the spans of the block.
    #[serde(rename = "_key")]
    pub key: String,
    /// The text; a line feed is a line break.
    pub text: String,
    /// Decorators, and the key of at most one link of the block.
    pub marks: Vec<String>,
}

/// A link that spans point at by its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "_type", rename = "link")]
pub struct LinkMark {
    /// What marks name; unique among the links of the block.
    #[serde(rename = "_key")]
    pub key: String,
    /// Where it leads.
    pub href: String,
}

/// An image of the article, by its caption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Unique among the blocks.
    #[serde(rename = "_key")]
    pub key: String,
    /// The caption (the placement of an image in this article) that is shown here; a UUID.
    pub caption_id: String,
}

/// A table of plain text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Unique among the blocks.
    #[serde(rename = "_key")]
    pub key: String,
    /// From top to bottom.
    pub rows: Vec<TableRow>,
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// Unique among the rows.
    #[serde(rename = "_key")]
    pub key: String,
    /// From left to right.
    pub cells: Vec<TableCell>,
}

/// One cell of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableCell {
    /// Unique among the cells of the row.
    #[serde(rename = "_key")]
    pub key: String,
    /// The text; a line feed is a line break.
    pub text: String,
    /// Whether it names its row or column.
    pub header: bool,
}

/// Something that lives elsewhere, by its address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Embed {
    /// Unique among the blocks.
    #[serde(rename = "_key")]
    pub key: String,
    /// An absolute `http` or `https` address.
    pub url: String,
}

/// A thematic break.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Divider {
    /// Unique among the blocks.
    #[serde(rename = "_key")]
    pub key: String,
}

/// What is wrong with a body, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// RFC 6901, from the body on, like `/2/children/0/marks/1`; empty for the whole body, and for Markdown and HTML.
    pub pointer: String,
    /// `unknown_type`, `unknown_field`, `wrong_type`, `required`, `invalid_value`, `invalid_text`, `invalid_link`,
    /// `duplicate_key`, `too_many` or `unsupported`.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl FieldError {
    fn whole(code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            pointer: String::new(),
            code,
            detail: detail.into(),
        }
    }
}

/// Text without marks as HTML; line feeds are line breaks.
pub fn text_to_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    html_out::lines(&mut out, text);
    out
}

/// A figure of its own in HTML: the image with its words.
pub fn figure_to_html(caption_id: &str, shown: ShownFigure) -> String {
    let mut out = String::new();
    html_out::figure_html(&mut out, caption_id, Some(shown));
    out
}

/// A figure of its own in Markdown: the image, its words below.
pub fn figure_to_markdown(shown: &ShownFigure) -> String {
    markdown_out::shown(shown)
}

/// An address as Markdown's links have it.
pub fn markdown_destination(url: &str) -> String {
    markdown_text::destination(url)
}

/// Text without marks as Markdown. `lines` says whether it may take more than one line; headings may not.
pub fn text_to_markdown(text: &str, lines: bool) -> String {
    markdown_text::unmarked(text, lines)
}

impl Body {
    /// Parses Portable Text from outside; fills in what may be left out.
    pub fn from_value(value: Value) -> Result<Self, Vec<FieldError>> {
        check::body(value).map(Self)
    }

    /// Parses Markdown; the module describes the dialect.
    pub fn from_markdown(source: &str) -> Result<Self, Vec<FieldError>> {
        markdown_in::parse(source).map(Self)
    }

    /// Parses HTML as a browser does.
    pub fn from_html(source: &str) -> Result<Self, Vec<FieldError>> {
        html_in::parse(source).map(Self)
    }

    /// HTML, with figures filled in by `figures` (caption id to what is shown; `None` leaves an empty figure).
    pub fn to_html(&self, figures: &dyn Fn(&str) -> Option<ShownFigure>) -> String {
        html_out::body(&self.0, figures)
    }

    /// Markdown, figures without an `alt` text.
    #[cfg(test)]
    pub fn to_markdown(&self) -> String {
        self.to_markdown_with(&|_| None)
    }

    /// Markdown, with the `alt` texts of figures filled in by `alt` (by caption id).
    pub fn to_markdown_with(&self, alt: &dyn Fn(&str) -> Option<String>) -> String {
        markdown_out::body(&self.0, &|figure| {
            markdown_out::reference(figure, alt(&figure.caption_id))
        })
    }

    /// Markdown for whoever has nothing else, with figures filled in by `figures` (by caption id); those that cannot be shown
    /// stay references to their captions.
    pub fn to_markdown_shown(&self, figures: &dyn Fn(&str) -> Option<ShownFigure>) -> String {
        markdown_out::body(&self.0, &|figure| match figures(&figure.caption_id) {
            Some(shown) => markdown_out::shown(&shown),
            None => markdown_out::reference(figure, None),
        })
    }

    /// Plain text: paragraphs with blank lines between them, list items with `- ` or `1. `, table cells with tabs between
    /// them; without figures and dividers.
    pub fn to_text(&self) -> String {
        text::body(&self.0)
    }

    /// The number of words of text and tables.
    pub fn word_count(&self) -> usize {
        text::words(&self.0)
    }

    /// The figures: pointer to the `caption_id` property from the body on, and its value.
    pub fn figures(&self) -> Vec<(String, &str)> {
        let blocks = self.0.iter().enumerate();
        blocks
            .filter_map(|(index, block)| match block {
                Block::Figure(figure) => Some((format!("/{index}/caption_id"), figure.caption_id.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Takes the figures out whose caption is not to stay.
    pub fn keep_figures(&mut self, stays: &dyn Fn(&str) -> bool) {
        self.0
            .retain(|block| !matches!(block, Block::Figure(figure) if !stays(figure.caption_id.as_str())));
    }

    /// The blocks in order.
    #[cfg(test)]
    pub fn blocks(&self) -> &[Block] {
        &self.0
    }
}

impl Block {
    /// Unique among the blocks of the body.
    pub fn key(&self) -> &str {
        match self {
            Self::Text(block) => &block.key,
            Self::Figure(block) => &block.key,
            Self::Table(block) => &block.key,
            Self::Embed(block) => &block.key,
            Self::Divider(block) => &block.key,
        }
    }
}

/// The decorators, in the order in which the renderers nest marks of the same length.
const DECORATORS: [&str; 5] = ["strong", "em", "code", "underline", "strike-through"];

/// A fresh `_key`: short, as it is one of at most some thousand siblings.
fn new_key() -> String {
    format!("{:012x}", rand::random::<u64>() >> 16)
}

/// Whether a character may stand in text.
fn allowed_in_text(c: char) -> bool {
    matches!(c, '\n' | '\t') || !c.is_control()
}
