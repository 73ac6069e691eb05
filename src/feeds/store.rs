//! What feeds and sitemaps are made of, from the publications.

use std::collections::{BTreeSet, HashMap};

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::{Enclosure, Feed, Item, LENGTH};
use crate::app::App;
use crate::articles::compose::{Composer, Placement, article_url, docs_of, figure_html};
use crate::articles::corrections;
use crate::articles::corrections::store::corrections_of;
use crate::articles::listing::{ArticleFilters, Resolved, placements};
use crate::articles::publication::{Card, PublicationRow};
use crate::body::text_to_html;
use crate::config::Config;
use crate::db::Conn;
use crate::error::{Problem, Result};
use crate::images::delivered::{addresses_of, media_url, variant_key};
use crate::images::variants::store::READY;
use crate::literals::Live;
use crate::schema::{image_files, image_variants, images, publication_images, publications};
use crate::site::{self, SiteRow};
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
    let mut title = site.name.clone();
    for name in names_asked(conn, &filters)? {
        title = format!("{title} – {name}");
    }
    let (items, used) = items(conn, app, &site, rows)?;
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

/// The names of the section, tag and author that stories are asked of, where it is one and readers know of it.
fn names_asked(conn: &mut Conn, filters: &Resolved<'_>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (kind, ids) in filters.of_kinds() {
        if let [id] = ids
            && is_public(conn, kind, id)?
        {
            let found = names_of(conn, kind, ids)?;
            names.extend(found.into_values().map(|(_, name, _)| name));
        }
    }
    Ok(names)
}

fn items(conn: &mut Conn, app: &App, site: &SiteRow, rows: Vec<PublicationRow>) -> Result<(Vec<Item>, Vec<String>)> {
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
    let covers: Vec<Placement> = rows
        .iter()
        .filter_map(|(_, card)| composer.placement(card.cover.as_ref()?))
        .collect();
    let enclosures = enclosures_of(conn, &app.config, &covers)?;
    let keys = composer.keys();
    let items = rows.into_iter().map(|(row, card)| {
        let doc = docs.get(&row.article_id);
        let doc = doc.ok_or_else(|| Problem::internal("a live publication has no document"))?;
        let lead = card.lead.as_ref().map(|lead| format!("<p>{}</p>", text_to_html(lead)));
        let body = doc.body.read()?.to_html(&figure_html(&placements(&composer, doc)));
        // Readers show it in the place of the summary, which is the lead.
        let corrections = corrections.get(&row.article_id).map_or(&[][..], Vec::as_slice);
        let html = lead.unwrap_or_default() + &body + &corrections::to_html(site, &row.language, corrections);
        let enclosure = card.cover.as_ref().and_then(|cover| enclosures.get(&cover.image_id));
        let enclosure = enclosure.cloned();
        Ok(Item {
            story: composer.summary(&row, card),
            html,
            enclosure,
        })
    });
    Ok((items.collect::<Result<_>>()?, keys))
}

/// The covers' files by the images' ids. How long a variant is, is known once it was made; until then the original is
/// what feeds name.
fn enclosures_of(conn: &mut Conn, config: &Config, covers: &[Placement]) -> Result<HashMap<Id, Enclosure>> {
    let ids: Vec<&Id> = covers.iter().map(|cover| &cover.image.id).collect();
    let originals: Vec<(Id, String, String, i64)> = images::table
        .inner_join(image_files::table.on(image_files::file_key.eq(images::file_key)))
        .filter(images::id.eq_any(ids))
        .select((
            images::id,
            images::file_key,
            image_files::media_type,
            image_files::bytes,
        ))
        .load(conn)?;
    let keys = covers.iter().filter_map(|cover| variant_key(config, &cover.image.url));
    let made: HashMap<String, i64> = image_variants::table
        .filter(image_variants::object_key.eq_any(keys.collect::<Vec<_>>()))
        .filter(image_variants::state.eq(READY))
        .select((image_variants::object_key, image_variants::bytes))
        .load(conn)?
        .into_iter()
        .collect();
    let mut enclosures = HashMap::new();
    for (id, file_key, media_type, bytes) in originals {
        let cover = covers.iter().find(|cover| cover.image.id == id);
        let variant = cover.and_then(|cover| {
            let bytes = made.get(variant_key(config, &cover.image.url)?)?;
            Some(Enclosure {
                url: cover.image.url.clone(),
                media_type: cover.image.media_type.clone(),
                bytes: *bytes,
            })
        });
        let original = || Enclosure {
            url: media_url(config, &file_key),
            media_type,
            bytes,
        };
        enclosures.insert(id, variant.unwrap_or_else(original));
    }
    Ok(enclosures)
}

/// A story's address, and what belongs to it.
pub struct Place {
    /// Its address on the site.
    pub url: String,
    /// Its language.
    pub language: String,
    /// When its content last changed for readers.
    pub updated: Time,
    /// The same story in other languages: language and address.
    pub others: Vec<(String, String)>,
    /// Addresses of its images.
    pub images: Vec<String>,
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

/// What tells where a story is: id, slug, language, section, last change.
type Spot = (Id, String, String, Option<Id>, Time);

/// Stories published in a span of time, oldest first.
pub fn between(conn: &mut Conn, config: &Config, span: (Time, Time), limit: i64) -> Result<Vec<Place>> {
    let (start, end) = span;
    // Without the cards: a page has thousands of stories, and says nothing of them but where they are.
    let rows: Vec<Spot> = publications::table
        .filter(publications::state.eq(Live))
        .filter(
            publications::published_ms
                .ge(start)
                .and(publications::published_ms.lt(end)),
        )
        .order((publications::published_ms, publications::article_id))
        .limit(limit)
        .select((
            publications::article_id,
            publications::slug,
            publications::language,
            publications::section_id,
            publications::updated_ms,
        ))
        .load(conn)?;
    let others = translations_between(conn, span)?;
    let mut images = images_between(conn, config, span)?;
    let spots = rows.iter().chain(others.iter().map(|(_, spot)| spot));
    let sections = sections_of(conn, spots.filter_map(|(.., section, _)| section.as_ref()))?;
    let address = |(id, slug, language, section, _): &Spot| {
        article_url(config, slug_in(&sections, section.as_ref()), slug, id, language)
    };
    let mut alternates: HashMap<&Id, Vec<(String, String)>> = HashMap::new();
    for (of, spot) in &others {
        alternates.entry(of).or_default().push((spot.2.clone(), address(spot)));
    }
    let place = |spot: &Spot| Place {
        url: address(spot),
        language: spot.2.clone(),
        updated: spot.4,
        others: alternates.remove(&spot.0).unwrap_or_default(),
        images: images.remove(&spot.0).unwrap_or_default(),
    };
    Ok(rows.iter().map(place).collect())
}

/// The other languages of stories published in a span, with the ids of these stories.
fn translations_between(conn: &mut Conn, (start, end): (Time, Time)) -> Result<Vec<(Id, Spot)>> {
    let others = diesel::alias!(publications as others);
    Ok(publications::table
        .inner_join(
            others.on(others
                .field(publications::translation_group)
                .eq(publications::translation_group)
                .and(others.field(publications::article_id).ne(publications::article_id))),
        )
        .filter(publications::state.eq(Live))
        .filter(
            publications::published_ms
                .ge(start)
                .and(publications::published_ms.lt(end)),
        )
        .filter(others.field(publications::state).eq(Live))
        .order((publications::article_id, others.field(publications::language)))
        .select((
            publications::article_id,
            others.fields((
                publications::article_id,
                publications::slug,
                publications::language,
                publications::section_id,
                publications::updated_ms,
            )),
        ))
        .load(conn)?)
}

/// Addresses of the images of stories published in a span, each the one that answers name, by the ids of these stories.
fn images_between(conn: &mut Conn, config: &Config, (start, end): (Time, Time)) -> Result<HashMap<Id, Vec<String>>> {
    let rows: Vec<(Id, Id)> = publications::table
        .inner_join(publication_images::table.on(publication_images::article_id.eq(publications::article_id)))
        .filter(publications::state.eq(Live))
        .filter(
            publications::published_ms
                .ge(start)
                .and(publications::published_ms.lt(end)),
        )
        .order((publications::article_id, publication_images::ref_id))
        .select((publications::article_id, publication_images::ref_id))
        .load(conn)?;
    let mut ids: Vec<&Id> = rows.iter().map(|(_, image)| image).collect();
    ids.sort();
    ids.dedup();
    let mut addresses = HashMap::new();
    // PostgreSQL and SQLite both bind only so many values at once.
    for piece in ids.chunks(1000) {
        addresses.extend(addresses_of(conn, config, piece)?);
    }
    let mut found: HashMap<Id, Vec<String>> = HashMap::new();
    for (story, image) in &rows {
        let address = addresses.get(image).cloned();
        found.entry(story.clone()).or_default().extend(address);
    }
    Ok(found)
}

/// The stories of a span of time.
#[derive(Debug, Clone, Copy)]
pub struct Crowd {
    /// How many there are.
    pub stories: i64,
    /// When one of them, or of those that have been withdrawn, last changed for readers.
    pub updated: Time,
}

impl Crowd {
    /// Takes in the stories of another span.
    pub fn add(&mut self, other: Self) {
        self.stories += other.stories;
        self.updated = self.updated.max(other.updated);
    }
}

/// From the year 1 on, which no publication comes before, so that no number is negative: databases round those up.
const YEAR_ONE: i64 = 62_135_596_800_000;

/// The stories of each piece of time of so many milliseconds that has any, the newest first.
pub fn crowds(conn: &mut Conn, span: Option<(Time, Time)>, ms: i64) -> Result<Vec<(Time, Crowd)>> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        piece: i64,
        #[diesel(sql_type = BigInt)]
        stories: i64,
        #[diesel(sql_type = BigInt)]
        updated: i64,
    }
    let (from, to) = span.map_or((-YEAR_ONE, i64::MAX), |(start, end)| (start.ms(), end.ms()));
    // By an index that has all of it.
    let query = format!(
        "SELECT (published_ms + {YEAR_ONE}) / {ms} AS piece, \
         SUM(CASE WHEN state = 'live' THEN 1 ELSE 0 END) AS stories, MAX(updated_ms) AS updated \
         FROM publications WHERE published_ms >= {from} AND published_ms < {to} GROUP BY 1 ORDER BY 1 DESC"
    );
    let rows: Vec<Row> = diesel::sql_query(query).load(conn)?;
    let crowd = |row: Row| {
        let crowd = Crowd {
            stories: row.stories,
            updated: Time::from_ms(row.updated),
        };
        (Time::from_ms(row.piece * ms - YEAR_ONE), crowd)
    };
    Ok(rows.into_iter().map(crowd).collect())
}

/// Whether more stories than so many were published in a span of time.
pub fn has_more_than(conn: &mut Conn, (start, end): (Time, Time), most: i64) -> Result<bool> {
    let counted = publications::table
        .filter(publications::state.eq(Live))
        .filter(
            publications::published_ms
                .ge(start)
                .and(publications::published_ms.lt(end)),
        )
        .count();
    Ok(counted.get_result::<i64>(conn)? > most)
}

fn sections_of<'a>(conn: &mut Conn, ids: impl Iterator<Item = &'a Id>) -> Result<HashMap<Id, Name>> {
    let ids: BTreeSet<&Id> = ids.collect();
    let ids: Vec<Id> = ids.into_iter().cloned().collect();
    names_of(conn, Kind::Section, &ids)
}

fn slug_in<'a>(sections: &'a HashMap<Id, Name>, id: Option<&Id>) -> Option<&'a str> {
    sections.get(id?).map(|(slug, ..)| slug.as_str())
}
