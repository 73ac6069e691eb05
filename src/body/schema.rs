//! The OpenAPI schemas of bodies, written by hand: `_type` is a string with one value, and what may be left out differs
//! between what is sent and what is answered. Both are made by the same functions, so that they stay alike.

use std::borrow::Cow;

use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Discriminator, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::links::MAX_LINK;
use super::{
    Block, Body, Divider, Embed, Figure, LinkMark, MAX_BLOCKS, MAX_CELLS, MAX_KEY, MAX_LEVEL, MAX_ROWS, MAX_SPANS,
    Span, Table, TableCell, TableRow, TextBlock,
};

type Named = Vec<(String, RefOr<Schema>)>;

/// Which of the two forms of a schema is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Answered,
    Sent,
}

impl Form {
    fn name(self, base: &str) -> String {
        match self {
            Self::Answered => base.to_owned(),
            Self::Sent => format!("{base}Input"),
        }
    }

    fn reference(self, base: &str) -> RefOr<Schema> {
        RefOr::Ref(Ref::from_schema_name(self.name(base)))
    }
}

/// Which properties must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Always,
    /// In answers; when sent, we fill it in.
    Answered,
    Never,
}

struct Object {
    form: Form,
    builder: ObjectBuilder,
}

impl Object {
    fn new(form: Form, tag: Option<&str>, description: &str) -> Self {
        let builder = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(description));
        // Answers may grow, requests are checked for names we do not know.
        let builder = match form {
            Form::Sent => builder.additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false))),
            Form::Answered => builder,
        };
        let mut object = Self { form, builder };
        if let Some(tag) = tag {
            object = object.property("_type", one_of_words(&[tag], "What this is."), Needed::Always);
        }
        let key = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_KEY))
            .description(Some(
                "Unique among its siblings, and stable. Filled in when it is not sent.",
            ));
        object.property("_key", key, Needed::Answered)
    }

    fn property(self, name: &str, schema: impl Into<RefOr<Schema>>, needed: Needed) -> Self {
        let mut builder = self.builder.property(name, schema);
        if needed == Needed::Always || (needed == Needed::Answered && self.form == Form::Answered) {
            builder = builder.required(name);
        }
        Self { builder, ..self }
    }

    fn finish(self, example: Value) -> RefOr<Schema> {
        self.builder.examples([example]).into()
    }
}

fn one_of_words(words: &[&str], description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words.iter().copied()))
        .description(Some(description))
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
}

fn list(items: RefOr<Schema>, counts: (usize, usize), description: &str) -> ArrayBuilder {
    let min = (counts.0 > 0).then_some(counts.0);
    ArrayBuilder::new()
        .items(items)
        .min_items(min)
        .max_items(Some(counts.1))
        .description(Some(description))
}

fn text_block(form: Form) -> RefOr<Schema> {
    let styles = ["normal", "h2", "h3", "h4", "blockquote"];
    let level = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)))
        .minimum(Some(1))
        .maximum(Some(f64::from(MAX_LEVEL)))
        .description(Some(
            "How deep the item stands in lists. Only list items have it; 1 when it is not sent.",
        ));
    Object::new(form, Some("block"), "A paragraph, heading, quote or list item.")
        .property(
            "style",
            one_of_words(&styles, "What the block looks like; `normal` is a paragraph."),
            Needed::Answered,
        )
        .property(
            "listItem",
            one_of_words(&["bullet", "number"], "Only for list items: the kind of the list."),
            Needed::Never,
        )
        .property("level", level, Needed::Never)
        .property(
            "children",
            list(
                form.reference("Span"),
                (0, MAX_SPANS),
                "The text, in runs of the same look.",
            ),
            Needed::Always,
        )
        .property(
            "markDefs",
            list(
                form.reference("LinkMark"),
                (0, MAX_SPANS),
                "The links that `marks` of the text name.",
            ),
            Needed::Answered,
        )
        .finish(text_block_example())
}

fn text_block_example() -> Value {
    json!({
        "_type": "block",
        "_key": "5d1c02e8a4f7",
        "style": "normal",
        "children": [
            {"_type": "span", "_key": "b0a3771c9e52", "text": "Read the ", "marks": []},
            {"_type": "span", "_key": "07f4d2c81b6a", "text": "report", "marks": ["strong", "9c2e6fd01873"]}
        ],
        "markDefs": [{"_type": "link", "_key": "9c2e6fd01873", "href": "https://example.com/report"}]
    })
}

fn span(form: Form) -> RefOr<Schema> {
    let mark = text(
        "A decorator (`strong`, `em`, `underline`, `strike-through`, `code`) or the `_key` of one of the block's `markDefs`.",
    );
    Object::new(form, Some("span"), "A run of text with the same marks.")
        .property("text", text("The text; a line feed is a line break."), Needed::Always)
        .property(
            "marks",
            list(
                mark.into(),
                (0, 6),
                "How the text looks, and where it leads; at most one link.",
            ),
            Needed::Answered,
        )
        .finish(json!({"_type": "span", "_key": "b0a3771c9e52", "text": "Read the ", "marks": ["strong"]}))
}

fn link_mark(form: Form) -> RefOr<Schema> {
    let href = text("Where the link leads: http, https, mailto, tel, a relative path or a #fragment.")
        .min_length(Some(1))
        .max_length(Some(MAX_LINK));
    Object::new(
        form,
        Some("link"),
        "A link that spans of the block name in their marks.",
    )
    .property("href", href, Needed::Always)
    .finish(json!({"_type": "link", "_key": "9c2e6fd01873", "href": "https://example.com/report"}))
}

fn figure(form: Form) -> RefOr<Schema> {
    let id = text("The caption that is shown here: the placement of an image in this article.")
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    Object::new(form, Some("figure"), "An image of the article.")
        .property("caption_id", id, Needed::Always)
        .finish(
            json!({"_type": "figure", "_key": "61ab93d04ce7", "caption_id": "01890a5d-ac96-774b-bcce-b302099a8057"}),
        )
}

fn table(form: Form) -> RefOr<Schema> {
    let rows = list(
        form.reference("TableRow"),
        (1, MAX_ROWS),
        "From top to bottom. A first row of header cells only is the head.",
    );
    Object::new(form, Some("table"), "A table of plain text.").property("rows", rows, Needed::Always).finish(json!({
        "_type": "table",
        "_key": "e81f7720b3d5",
        "rows": [
            {"_key": "1a", "cells": [{"_key": "1", "text": "Team", "header": true}, {"_key": "2", "text": "Points", "header": true}]},
            {"_key": "1b", "cells": [{"_key": "1", "text": "Hanoi", "header": false}, {"_key": "2", "text": "31", "header": false}]}
        ]
    }))
}

fn table_row(form: Form) -> RefOr<Schema> {
    let cells = list(form.reference("TableCell"), (1, MAX_CELLS), "From left to right.");
    Object::new(form, None, "One row of a table.")
        .property("cells", cells, Needed::Always)
        .finish(json!({"_key": "1b", "cells": [{"_key": "1", "text": "Hanoi", "header": false}]}))
}

fn table_cell(form: Form) -> RefOr<Schema> {
    let header = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some("Whether it names its row or column; false when it is not sent."));
    Object::new(form, None, "One cell of a table.")
        .property("text", text("Plain text; a line feed is a line break."), Needed::Always)
        .property("header", header, Needed::Answered)
        .finish(json!({"_key": "1", "text": "Hanoi", "header": false}))
}

fn embed(form: Form) -> RefOr<Schema> {
    let url = text("Its absolute address, http or https.")
        .format(Some(SchemaFormat::Custom("uri".to_owned())))
        .pattern(Some("^[hH][tT][tT][pP][sS]?://"))
        .max_length(Some(MAX_LINK));
    Object::new(
        form,
        Some("embed"),
        "Something that lives elsewhere, such as a video; the front end decides how it is shown.",
    )
    .property("url", url, Needed::Always)
    .finish(json!({"_type": "embed", "_key": "c47d0e915f2b", "url": "https://www.youtube.com/watch?v=aqz-KE-bpKQ"}))
}

fn divider(form: Form) -> RefOr<Schema> {
    Object::new(form, Some("divider"), "A thematic break.").finish(json!({"_type": "divider", "_key": "f20b8a6c13d9"}))
}

fn block(form: Form) -> RefOr<Schema> {
    let kinds = [
        ("block", "TextBlock"),
        ("figure", "Figure"),
        ("table", "Table"),
        ("embed", "Embed"),
        ("divider", "Divider"),
    ];
    let mapping = kinds.map(|(tag, name)| (tag, format!("#/components/schemas/{}", form.name(name))));
    let more = match form {
        Form::Answered => " More kinds may come; skip those you do not know.",
        Form::Sent => "",
    };
    let description = format!("One block of a body, in the format Portable Text; `_type` says which kind.{more}");
    let builder = OneOfBuilder::new()
        .description(Some(description))
        .discriminator(Some(Discriminator::with_mapping("_type", mapping)))
        .examples([text_block_example()]);
    kinds
        .iter()
        .fold(builder, |builder, (_, name)| builder.item(form.reference(name)))
        .into()
}

fn body(form: Form) -> RefOr<Schema> {
    list(
        form.reference("Block"),
        (0, MAX_BLOCKS),
        "The body of a story, in the format Portable Text: its blocks in order.",
    )
    .into()
}

/// What a component refers to, and that in turn.
fn with_parts(form: Form, parts: &[&str], schemas: &mut Named) {
    for part in parts {
        let (schema, inner): (RefOr<Schema>, &[&str]) = match *part {
            "Block" => (block(form), &["TextBlock", "Figure", "Table", "Embed", "Divider"]),
            "TextBlock" => (text_block(form), &["Span", "LinkMark"]),
            "Span" => (span(form), &[]),
            "LinkMark" => (link_mark(form), &[]),
            "Figure" => (figure(form), &[]),
            "Table" => (table(form), &["TableRow"]),
            "TableRow" => (table_row(form), &["TableCell"]),
            "TableCell" => (table_cell(form), &[]),
            "Embed" => (embed(form), &[]),
            _ => (divider(form), &[]),
        };
        schemas.push((form.name(part), schema));
        with_parts(form, inner, schemas);
    }
}

macro_rules! components {
    ($($answered:ident, $sent:ident, $schema:ident, [$($part:literal),*], $doc:literal;)*) => { $(
        #[doc = $doc]
        #[doc = "\n\nStands for the schema only: what is sent is read by [`Body::from_value`]."]
        #[derive(Debug, Clone, Copy)]
        #[allow(dead_code, reason = "stands for a schema, and is named by what holds it")]
        pub enum $sent {}

        components!(@one $answered, $schema, Form::Answered, [$($part),*]);
        components!(@one $sent, $schema, Form::Sent, [$($part),*]);
    )* };
    (@one $kind:ident, $schema:ident, $form:expr, [$($part:literal),*]) => {
        impl PartialSchema for $kind {
            fn schema() -> RefOr<Schema> {
                $schema($form)
            }
        }

        impl ToSchema for $kind {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($kind))
            }

            fn schemas(schemas: &mut Named) {
                with_parts($form, &[$($part),*], schemas);
            }
        }
    };
}

components! {
    Body, BodyInput, body, ["Block"], "A body as it is sent.";
    Block, BlockInput, block, ["TextBlock", "Figure", "Table", "Embed", "Divider"], "A block as it is sent.";
    TextBlock, TextBlockInput, text_block, ["Span", "LinkMark"], "A text block as it is sent.";
    Span, SpanInput, span, [], "A span as it is sent.";
    LinkMark, LinkMarkInput, link_mark, [], "A link as it is sent.";
    Figure, FigureInput, figure, [], "A figure as it is sent.";
    Table, TableInput, table, ["TableRow"], "A table as it is sent.";
    TableRow, TableRowInput, table_row, ["TableCell"], "A table row as it is sent.";
    TableCell, TableCellInput, table_cell, [], "A table cell as it is sent.";
    Embed, EmbedInput, embed, [], "An embed as it is sent.";
    Divider, DividerInput, divider, [], "A divider as it is sent.";
}
