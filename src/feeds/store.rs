//! What feeds and sitemaps are made of, from the publications.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;

use super::{Feed, Item, LENGTH};
use crate::app::App;
use crate::articles::compose::{Composer, article_url, docs_of, figure_html};
use crate::articles::corrections;
use crate::articles::corrections::store::corrections_of;
use crate::articles::listing::{ArticleFilters, Resolved, placements};
use crate::articles::publication::{Card, PublicationRow};
use crate::body::text_to_html;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::literals::Live;
use crate::schema::{image_files, images, publications};
use crate::site;
use crate::taxonomy::{Kind, Name, is_public, names_of};
use crate::types::{Id, Time};

/// The newest stories that pass, and the purge keys of all that is in them.
pub fn feed(conn: &mut Conn, app: &App, filters: &ArticleFilters, address: String) -> Result<(Feed, Vec<String>)> {
    let site = site::current(conn)?;
    let filters = filters.resolve(conn)?;
    let rows: Vec<PublicationRow> = filters
        .rows()
        .order((publications::published_ms.desc(), publications::article_id.desc()))
        .limit(LENGTH)
        .select(PublicationRow::as_select())
        .load(conn)?;
    let mut keys = filters.keys(conn)?;
    let language = match filters.languages() {
        Some([one]) => one.clone(),
        _ => site.default_language().to_owned(),
    };
    let title = match section_name(conn, &filters)? {
        Some(section) => format!("{} – {section}", site.name),
        None => site.name.clone(),
    };
    let (items, used) = items(conn, app, rows)?;
    keys.extend(used);
    let feed = Feed {
        title,
        home: app.config.site_url.clone(),
        address,
        language,
        items,
        site,
    };
    Ok((feed, keys))
}

/// The name of the one section that stories are asked of, when readers know of it.
fn section_name(conn: &mut Conn, filters: &Resolved<'_>) -> Result<Option<String>> {
    let Some([section]) = filters.sections() else {
        return Ok(None);
    };
    if !is_public(conn, Kind::Section, section)? {
        return Ok(None);
    }
    let names = names_of(conn, Kind::Section, std::slice::from_ref(section))?;
    Ok(names.into_values().next().map(|(_, name, _)| name))
}

fn items(conn: &mut Conn, app: &App, rows: Vec<PublicationRow>) -> Result<(Vec<Item>, Vec<String>)> {
    let ids: Vec<Id> = rows.iter().map(|row| row.article_id.clone()).collect();
    let docs = docs_of(conn, &ids)?;
    let corrections = corrections_of(conn, &ids)?;
    let rows: Vec<(PublicationRow, Card)> = rows
        .into_iter()
        .map(|row| row.card().map(|card| (row, card)))
        .collect::<Result<_>>()?;
    let captions = docs.values().flat_map(|doc| &doc.captions);
    let composer = Composer::load(
        conn,
        &app.config,
        Some(&app.known),
        rows.iter().map(|(_, card)| card),
        captions,
    )?;
    let sizes = cover_sizes(conn, rows.iter().map(|(_, card)| card))?;
    let keys = composer.keys();
    let items = rows.into_iter().map(|(row, card)| {
        let doc = docs.get(&row.article_id);
        let doc = doc.ok_or_else(|| Problem::internal("a live publication has no document"))?;
        let lead = card.lead.as_ref().map(|lead| format!("<p>{}</p>", text_to_html(lead)));
        let body = doc.body.read()?.to_html(&figure_html(&placements(&composer, doc)));
        // Readers show it in the place of the summary, which is the lead.
        let corrections = corrections.get(&row.article_id).map_or(&[][..], Vec::as_slice);
        let html = lead.unwrap_or_default() + &body + &corrections::to_html(&row.language, corrections);
        let cover_bytes = card
            .cover
            .as_ref()
            .and_then(|cover| sizes.get(&cover.image_id))
            .copied();
        Ok(Item {
            story: composer.summary(&row, card),
            html,
            cover_bytes,
        })
    });
    Ok((items.collect::<Result<_>>()?, keys))
}

/// The bytes of the covers' files by the images' ids.
fn cover_sizes<'a>(conn: &mut Conn, cards: impl Iterator<Item = &'a Card>) -> Result<HashMap<Id, i64>> {
    let covers: Vec<&Id> = cards.filter_map(|card| Some(&card.cover.as_ref()?.image_id)).collect();
    let rows: Vec<(Id, i64)> = images::table
        .inner_join(image_files::table.on(image_files::file_key.eq(images::file_key)))
        .filter(images::id.eq_any(covers))
        .select((images::id, image_files::bytes))
        .load(conn)?;
    Ok(rows.into_iter().collect())
}

/// A story's address.
pub struct Place {
    /// Its address on the site.
    pub url: String,
    /// When its content last changed for readers.
    pub updated: Time,
}

/// A story that is news.
pub struct News {
    /// Its address on the site.
    pub url: String,
    /// Headline.
    pub title: String,
    /// Language.
    pub language: String,
    /// When it was published.
    pub published: Time,
}

/// The newest stories since a time.
pub fn since(conn: &mut Conn, config: &Config, time: Time, limit: i64) -> Result<Vec<News>> {
    let rows: Vec<PublicationRow> = publications::table
        .filter(publications::state.eq(Live).and(publications::published_ms.ge(time)))
        .order((publications::published_ms.desc(), publications::article_id.desc()))
        .limit(limit)
        .select(PublicationRow::as_select())
        .load(conn)?;
    let sections = sections_of(conn, rows.iter().filter_map(|row| row.section_id.as_ref()))?;
    let news = |row: PublicationRow| {
        let section = slug_in(&sections, row.section_id.as_ref());
        Ok(News {
            url: article_url(config, section, &row.slug, &row.article_id, &row.language),
            title: row.card()?.title,
            language: row.language,
            published: row.published,
        })
    };
    rows.into_iter().map(news).collect()
}

/// Stories published in a span of time, oldest first, from an offset on.
pub fn between(
    conn: &mut Conn,
    config: &Config,
    (start, end): (Time, Time),
    offset: i64,
    limit: i64,
) -> Result<Vec<Place>> {
    // Without the cards: a page has thousands of stories, and says nothing of them but where they are.
    let rows: Vec<(Id, String, String, Option<Id>, Time)> = publications::table
        .filter(publications::state.eq(Live))
        .filter(
            publications::published_ms
                .ge(start)
                .and(publications::published_ms.lt(end)),
        )
        .order((publications::published_ms, publications::article_id))
        .offset(offset)
        .limit(limit)
        .select((
            publications::article_id,
            publications::slug,
            publications::language,
            publications::section_id,
            publications::updated_ms,
        ))
        .load(conn)?;
    let sections = sections_of(conn, rows.iter().filter_map(|(.., section, _)| section.as_ref()))?;
    let place = |(id, slug, language, section, updated): (Id, String, String, Option<Id>, Time)| {
        let section = slug_in(&sections, section.as_ref());
        Place {
            url: article_url(config, section, &slug, &id, &language),
            updated,
        }
    };
    Ok(rows.into_iter().map(place).collect())
}

/// How many stories were published in a span of time.
pub fn count(conn: &mut Conn, (start, end): (Time, Time)) -> Result<i64> {
    Ok(publications::table
        .filter(publications::state.eq(Live))
        .filter(
            publications::published_ms
                .ge(start)
                .and(publications::published_ms.lt(end)),
        )
        .count()
        .get_result(conn)?)
}

/// When the last story before a time was published; without a time, the last of all.
pub fn last_before(conn: &mut Conn, time: Option<Time>) -> Result<Option<Time>> {
    let mut rows = publications::table.filter(publications::state.eq(Live)).into_boxed();
    if let Some(time) = time {
        rows = rows.filter(publications::published_ms.lt(time));
    }
    let last = rows
        .order(publications::published_ms.desc())
        .select(publications::published_ms);
    Ok(last.first(conn).optional()?)
}

fn sections_of<'a>(conn: &mut Conn, ids: impl Iterator<Item = &'a Id>) -> Result<HashMap<Id, Name>> {
    let ids: BTreeSet<&Id> = ids.collect();
    let ids: Vec<Id> = ids.into_iter().cloned().collect();
    names_of(conn, Kind::Section, &ids)
}

fn slug_in<'a>(sections: &'a HashMap<Id, Name>, id: Option<&Id>) -> Option<&'a str> {
    sections.get(id?).map(|(slug, ..)| slug.as_str())
}
