//! Lists of stories: the filters that every list of them takes, the query behind it, its purge keys, the summaries.

use diesel::prelude::*;
use utoipa::IntoParams;

use super::compose::{ArticleSummary, Composer, Placement, docs_of, published_body};
use super::delivery::ListInclude;
use super::publication::{Card, Doc, PublicationRow};
use crate::app::App;
use crate::changes::key;
use crate::db::Conn;
use crate::error::Result;
use crate::keyset;
use crate::literals::Live;
use crate::page::Start;
use crate::request::{FromParams, Params, invalid};
use crate::schema::{publication_authors, publication_tags, publications};
use crate::search;
use crate::taxonomy::{self, Kind};
use crate::text::fold;
use crate::types::{Id, Time};

/// Which stories. Several values of one filter mean any of them.
#[derive(Debug, Clone, Default, PartialEq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ArticleFilters {
    /// Just these stories.
    #[param(required = false, max_items = 100)]
    id: Vec<Id>,
    /// Of these sections (slugs or ids).
    #[param(required = false, max_items = 50, example = json!(["thoi-su"]))]
    section: Vec<String>,
    /// With one of these tags (slugs or ids).
    #[param(required = false, max_items = 50)]
    tag: Vec<String>,
    /// By one of these authors (slugs or ids).
    #[param(required = false, max_items = 50)]
    author: Vec<String>,
    /// In these languages.
    #[param(required = false, max_items = 20, example = json!(["vi"]))]
    language: Vec<String>,
    /// Taken from the source with this name; accents and case do not matter.
    #[param(required = false, nullable = false, value_type = String, max_length = 200)]
    source: Option<String>,
    /// Only those that belong to the front page, or only the others.
    #[param(required = false, nullable = false, value_type = bool)]
    featured: Option<bool>,
    /// Published at this time or later.
    #[param(required = false, nullable = false, value_type = Time)]
    published_after: Option<Time>,
    /// Published before this time.
    #[param(required = false, nullable = false, value_type = Time)]
    published_before: Option<Time>,
}

impl FromParams for ArticleFilters {
    fn take(params: &mut Params) -> Result<Self> {
        Ok(Self {
            id: params.ids("id", 100)?,
            tag: params.references("tag")?,
            author: params.references("author")?,
            source: params.words("source")?,
            featured: params.flag("featured")?,
            published_after: params.time("published_after")?,
            published_before: params.time("published_before")?,
            ..Self::of_section_and_language(params)?
        })
    }
}

impl ArticleFilters {
    /// The two filters that every list of stories takes.
    pub fn of_section_and_language(params: &mut Params) -> Result<Self> {
        let language = params.many("language", 20)?;
        if language.iter().any(|language| !crate::text::is_language(language)) {
            return Err(invalid("language", "takes lower-case BCP 47 tags such as vi"));
        }
        Ok(Self {
            section: params.references("section")?,
            language,
            ..Self::default()
        })
    }

    /// Looks up what the names of sections, tags and authors mean; unknown ones are in no story.
    pub fn resolve(&self, conn: &mut Conn) -> Result<Resolved<'_>> {
        Ok(Resolved {
            sections: taxonomy::find_ids(conn, Kind::Section, &self.section)?,
            tags: taxonomy::find_ids(conn, Kind::Tag, &self.tag)?,
            authors: taxonomy::find_ids(conn, Kind::Author, &self.author)?,
            filters: self,
        })
    }
}

impl ArticleFilters {
    /// From when on and until when.
    pub fn times(&self) -> (Option<Time>, Option<Time>) {
        (self.published_after, self.published_before)
    }
}

/// Filters with the ids of what they name.
pub struct Resolved<'f> {
    filters: &'f ArticleFilters,
    sections: Vec<Id>,
    tags: Vec<Id>,
    authors: Vec<Id>,
}

impl Resolved<'_> {
    /// The live publications that pass.
    pub fn rows(&self) -> publications::BoxedQuery<'_, <Conn as diesel::Connection>::Backend> {
        let filters = self.filters;
        let mut rows = publications::table.filter(publications::state.eq(Live)).into_boxed();
        if !filters.id.is_empty() {
            rows = rows.filter(publications::article_id.eq_any(&filters.id));
        }
        if !filters.section.is_empty() {
            rows = rows.filter(publications::section_id.eq_any(&self.sections));
        }
        if !filters.tag.is_empty() {
            let of = publication_tags::table
                .filter(publication_tags::ref_id.eq_any(&self.tags))
                .select(publication_tags::article_id);
            rows = rows.filter(publications::article_id.eq_any(of));
        }
        if !filters.author.is_empty() {
            let of = publication_authors::table
                .filter(publication_authors::ref_id.eq_any(&self.authors))
                .select(publication_authors::article_id);
            rows = rows.filter(publications::article_id.eq_any(of));
        }
        if !filters.language.is_empty() {
            rows = rows.filter(publications::language.eq_any(&filters.language));
        }
        if let Some(source) = &filters.source {
            rows = rows.filter(publications::source_key.eq(fold(source)));
        }
        if let Some(featured) = filters.featured {
            rows = rows.filter(publications::featured.eq(featured));
        }
        if let Some(time) = filters.published_after {
            rows = rows.filter(publications::published_ms.ge(time));
        }
        if let Some(time) = filters.published_before {
            rows = rows.filter(publications::published_ms.lt(time));
        }
        rows
    }

    /// Where a page by time of publication can be read from: the stories of one tag or author, in this order, when nothing
    /// else is asked. Their number does not matter then; None when the rows have to be looked through.
    pub fn page_of_one(&self, conn: &mut Conn, start: &Start, descending: bool) -> Result<Option<Vec<Id>>> {
        let filters = self.filters;
        let alone = ArticleFilters {
            tag: filters.tag.clone(),
            author: filters.author.clone(),
            ..ArticleFilters::default()
        };
        if *filters != alone || filters.tag.len() + filters.author.len() != 1 {
            return Ok(None);
        }
        let ids = match (self.tags.as_slice(), self.authors.as_slice()) {
            ([tag], []) => {
                use publication_tags::{article_id, published_ms, ref_id};
                let rows = publication_tags::table.filter(ref_id.eq(tag)).into_boxed();
                keyset!(rows, start, descending, published_ms, article_id, int)
                    .select(article_id)
                    .load(conn)?
            }
            ([], [author]) => {
                use publication_authors::{article_id, published_ms, ref_id};
                let rows = publication_authors::table.filter(ref_id.eq(author)).into_boxed();
                keyset!(rows, start, descending, published_ms, article_id, int)
                    .select(article_id)
                    .load(conn)?
            }
            _ => return Ok(None),
        };
        Ok(Some(ids))
    }

    /// The sections that stories must be in; none when all pass.
    pub fn sections(&self) -> Option<&[Id]> {
        (!self.filters.section.is_empty()).then_some(self.sections.as_slice())
    }

    /// What is asked of sections, tags and authors, each by kind.
    pub fn of_kinds(&self) -> [(Kind, &[Id]); 3] {
        [
            (Kind::Section, self.sections.as_slice()),
            (Kind::Tag, self.tags.as_slice()),
            (Kind::Author, self.authors.as_slice()),
        ]
    }

    /// The languages that stories must be in; none when all pass.
    pub fn languages(&self) -> Option<&[String]> {
        (!self.filters.language.is_empty()).then_some(self.filters.language.as_slice())
    }

    /// The same for the search index, but for the times: of each group of marks a story has one.
    pub fn marks(&self) -> Vec<Vec<String>> {
        let filters = self.filters;
        let mut groups = Vec::new();
        for (is_asked, letter, ids) in [
            (!filters.id.is_empty(), 'a', &filters.id),
            (!filters.section.is_empty(), 's', &self.sections),
            (!filters.tag.is_empty(), 't', &self.tags),
            (!filters.author.is_empty(), 'u', &self.authors),
        ] {
            if is_asked {
                groups.push(search::id_marks(letter, ids));
            }
        }
        if !filters.language.is_empty() {
            groups.push(
                filters
                    .language
                    .iter()
                    .map(|language| search::language_mark(language))
                    .collect(),
            );
        }
        groups.extend(filters.source.iter().map(|source| vec![search::source_mark(source)]));
        groups.extend(filters.featured.map(|featured| vec![search::featured_mark(featured)]));
        groups
    }

    /// The purge keys of a list of these stories.
    pub fn keys(&self, conn: &mut Conn) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut known = 0;
        for (kind, letter, ids) in [
            (Kind::Section, 'S', &self.sections),
            (Kind::Tag, 'T', &self.tags),
            (Kind::Author, 'U', &self.authors),
        ] {
            for id in ids {
                // A key for what no story uses would tell that it exists.
                if taxonomy::is_public(conn, kind, id)? {
                    keys.push(key(letter, id));
                    known += 1;
                }
            }
        }
        let asked = self.filters.section.len() + self.filters.tag.len() + self.filters.author.len();
        if known < asked || known == 0 || known > 50 {
            keys = vec!["articles".into()];
        }
        // A renamed section, tag or author shows in every list.
        keys.extend(["names".into(), "site".into()]);
        Ok(keys)
    }
}

/// Summaries of some rows, in their order.
pub fn summaries(
    conn: &mut Conn,
    app: &App,
    rows: Vec<PublicationRow>,
    include: &[ListInclude],
) -> Result<Vec<ArticleSummary>> {
    let rows: Vec<(PublicationRow, Card)> = rows
        .into_iter()
        .map(|row| row.card().map(|card| (row, card)))
        .collect::<Result<_>>()?;
    let mut docs = if include.is_empty() {
        Default::default()
    } else {
        let ids: Vec<Id> = rows.iter().map(|(row, _)| row.article_id.clone()).collect();
        docs_of(conn, &ids)?
    };
    let captions = docs.values().flat_map(|doc| &doc.captions);
    let composer = Composer::load(
        conn,
        &app.config,
        Some(&app.known),
        rows.iter().map(|(_, card)| card),
        captions,
    )?;
    rows.into_iter()
        .map(|(row, card)| {
            let mut summary = composer.summary(&row, card);
            if let Some(doc) = docs.remove(&row.article_id) {
                let captions = placements(&composer, &doc);
                if include.contains(&ListInclude::Body) {
                    summary.body = Some(published_body(doc.body, &captions)?);
                }
                if include.contains(&ListInclude::Captions) {
                    summary.captions = Some(captions);
                }
            }
            Ok(summary)
        })
        .collect()
}

/// The placed images of a story, in order.
pub fn placements(composer: &Composer<'_>, doc: &Doc) -> Vec<Placement> {
    doc.captions
        .iter()
        .filter_map(|caption| composer.placement(caption))
        .collect()
}
