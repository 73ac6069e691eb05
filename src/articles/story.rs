//! One live story, found and put together for readers.

use diesel::backend::Backend;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::compose::{ArticleSummary, Composer, Placement, Translation, Translations, translations_of};
use super::corrections::Correction;
use super::corrections::store::corrections_of;
use super::listing::placements;
use super::publication::{Card, Doc, Found, PublicationRow};
use crate::app::App;
use crate::changes::key;
use crate::db::{Conn, KeptJson};
use crate::error::{Code, Problem, Result};
use crate::known::Known;
use crate::request::PathRef;
use crate::types::Time;

/// A live story with everything that its forms are made of.
pub struct Story {
    /// Its row.
    pub row: PublicationRow,
    /// What cards show.
    pub summary: ArticleSummary,
    /// The frozen rest.
    pub doc: Doc,
    /// The placed images, in order.
    pub captions: Vec<Placement>,
    /// What readers are told was wrong, oldest first.
    pub corrections: Vec<Correction>,
    /// The same story in other languages.
    pub translations: Vec<Translation>,
    /// The purge keys of all of it.
    pub keys: Vec<String>,
    /// When the newest thing in it changed.
    pub last_modified: Option<Time>,
}

/// What may be told around a frozen story; most stories have none of it.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// Whether it may have corrections.
    pub corrected: bool,
    /// None when it may have translations, else when it last changed.
    pub alone_since: Option<Option<Time>>,
}

impl Around {
    /// Anything may be there.
    pub const UNKNOWN: Self = Self {
        corrected: true,
        alone_since: None,
    };
}

impl Story {
    /// Puts a story that was found together with what it points at.
    pub fn load(conn: &mut Conn, app: &App, found: Sight) -> Result<Self> {
        let (card, doc) = found.read()?;
        Self::compose(conn, app, Some(&app.known), found.row, card, doc, found.around)
    }

    /// The same from memory alone, and the number of the last change that the look saw. None when more has to be looked
    /// up, or when that look saw what this process does not know yet.
    pub fn recall(app: &App, found: Sight) -> Result<Option<(Self, i64)>> {
        let Around {
            corrected: false,
            alone_since: Some(changed),
        } = found.around
        else {
            return Ok(None);
        };
        if found.head != app.db.truth().followed() {
            return Ok(None);
        }
        // After the look: what has changed since then is not known any more, or shows in the number.
        let Some(site) = app.known.recall_site_change() else {
            return Ok(None);
        };
        let (card, doc) = found.read()?;
        let composer = Composer::recall(&app.config, &app.known, &card, &doc.captions);
        let story = composer.map(|composer| {
            let alone = Translations::none(changed.max(site));
            let story = Self::assemble(composer, alone, Vec::new(), found.row, card, doc);
            (story, found.head)
        });
        Ok(story)
    }

    /// Puts a frozen story together with what it points at, from memory where there is one.
    pub fn compose(
        conn: &mut Conn,
        app: &App,
        known: Option<&Known>,
        row: PublicationRow,
        card: Card,
        doc: Doc,
        around: Around,
    ) -> Result<Self> {
        let composer = Composer::load(conn, &app.config, known, std::iter::once(&card), doc.captions.iter())?;
        let translations = match around.alone_since {
            Some(changed) => Translations::none(changed.max(app.known.site_change(conn)?)),
            None => translations_of(conn, app, &row)?,
        };
        let corrections = match around.corrected {
            true => corrections_of(conn, std::slice::from_ref(&row.article_id))?.remove(&row.article_id),
            false => None,
        };
        let corrections = corrections.unwrap_or_default();
        Ok(Self::assemble(composer, translations, corrections, row, card, doc))
    }

    fn assemble(
        composer: Composer<'_>,
        translations: Translations,
        corrections: Vec<Correction>,
        row: PublicationRow,
        card: Card,
        doc: Doc,
    ) -> Self {
        let mut keys = vec![key('a', &row.article_id), "site".to_owned()];
        keys.extend(composer.keys());
        keys.extend(translations.keys);
        let dates = [Some(row.updated), composer.newest(), translations.newest];
        Self {
            summary: composer.summary(&row, card),
            captions: placements(&composer, &doc),
            corrections,
            translations: translations.list,
            last_modified: dates.into_iter().flatten().max(),
            keys,
            doc,
            row,
        }
    }
}

/// A live story as one look at the tables shows it.
pub struct Sight {
    row: PublicationRow,
    /// [`Doc`].
    doc: Option<KeptJson>,
    around: Around,
    /// The number of the last change of all.
    head: i64,
}

impl Sight {
    fn read(&self) -> Result<(Card, Doc)> {
        let doc = self.doc.as_ref();
        let doc = doc.ok_or_else(|| Problem::internal("a live publication has no document"))?;
        Ok((self.row.card()?, doc.read()?))
    }
}

/// Looks a live story up, with what its forms are made of. Never public is 404, withdrawn 410; an old slug gives the new
/// one.
pub fn find(conn: &mut Conn, article: &PathRef) -> Result<Found<Sight>> {
    let seen = match article {
        PathRef::Id(id) => Look::<false>(id.as_str()).first(conn)?,
        PathRef::Slug(slug) => Look::<true>(slug).first(conn)?,
    };
    let (row, doc, changed, corrected, translated, head) = seen.ok_or_else(|| Problem::not_found("article"))?;
    if row.state != "live" {
        return Err(Problem::new(Code::Gone, "This article has been withdrawn."));
    }
    match article {
        PathRef::Slug(slug) if *slug != row.slug => Ok(Found::Moved(row.slug)),
        _ => Ok(Found::Here(Sight {
            row,
            doc,
            around: Around {
                corrected,
                alone_since: (!translated).then_some(changed),
            },
            head,
        })),
    }
}

type Seen = (PublicationRow, Option<KeptJson>, Option<Time>, bool, bool, i64);

/// One statement for all that a story's page needs besides names: a reader who waits for it waits for one look.
struct Look<'a, const BY_SLUG: bool>(&'a str);

impl<const BY_SLUG: bool> Look<'_, BY_SLUG> {
    fn first(self, conn: &mut Conn) -> Result<Option<Seen>> {
        Ok(match conn {
            Conn::Sqlite(conn) => self.get_result(conn).optional()?,
            Conn::Postgres(conn) => self.get_result(conn).optional()?,
        })
    }
}

/// The columns of [`PublicationRow`] and what [`Seen`] has behind them. A message from a reader is a change of its own, and
/// not of the story.
const COLUMNS: &str = "SELECT p.article_id, p.state, p.slug, p.language, p.translation_group, p.section_id, p.featured, \
     p.title_key, p.published_ms, p.first_published_ms, p.updated_ms, p.feedback_open, p.card, d.doc, \
     (SELECT c.at_ms FROM changes c WHERE c.subject_id = p.article_id AND c.kind <> 'feedback.updated' \
     ORDER BY c.seq DESC LIMIT 1), \
     EXISTS (SELECT 1 FROM corrections k WHERE k.article_id = p.article_id), \
     EXISTS (SELECT 1 FROM publications t WHERE t.translation_group = p.translation_group \
     AND t.article_id <> p.article_id), \
     (SELECT n.n FROM counters n WHERE n.name = 'changes') \
     FROM publications p LEFT JOIN publication_docs d ON d.article_id = p.article_id WHERE p.article_id = ";

impl<const BY_SLUG: bool> QueryId for Look<'_, BY_SLUG> {
    // One text each, which need not be made to be recognized.
    type QueryId = Look<'static, BY_SLUG>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const BY_SLUG: bool> Query for Look<'_, BY_SLUG> {
    #[rustfmt::skip]
    type SqlType = (
        (Text, Text, Text, Text, Text, Nullable<Text>, Bool, Text, BigInt, BigInt, BigInt, Bool, Text),
        Nullable<Text>, Nullable<BigInt>, Bool, Bool, BigInt,
    );
}

impl<C, const BY_SLUG: bool> RunQueryDsl<C> for Look<'_, BY_SLUG> {}

impl<DB: Backend, const BY_SLUG: bool> QueryFragment<DB> for Look<'_, BY_SLUG>
where
    str: ToSql<Text, DB>,
{
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.push_sql(COLUMNS);
        if !BY_SLUG {
            return out.push_bind_param::<Text, str>(self.0);
        }
        out.push_sql("(SELECT s.article_id FROM slugs s WHERE s.slug = ");
        out.push_bind_param::<Text, str>(self.0)?;
        out.push_sql(" AND s.public <> 'none')");
        Ok(())
    }
}
