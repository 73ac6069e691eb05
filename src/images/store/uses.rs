//! Who uses an image: captions of working copies, live stories, pinned and previewed revisions, authors' portraits.

use std::collections::{HashMap, HashSet};

use diesel::dsl::exists;
use diesel::prelude::*;

use super::super::{ImageUse, USES_NAMED};
use crate::articles::Status;
use crate::articles::compose::docs_of;
use crate::articles::publication::Card;
use crate::auth::Caller;
use crate::db::Conn;
use crate::error::{Problem, Result, UsedBy};
use crate::literals;
use crate::schema::{
    articles, authors, captions, holds, images, publication_authors, publication_images, publications,
};
use crate::types::{Id, Time};

/// Whether a caption (also of a trashed article), a published story, a pinned or previewed revision or an author's
/// portrait uses the image.
pub fn is_used(conn: &mut Conn, id: &Id) -> Result<bool> {
    let used: Option<Id> = images::table
        .find(id)
        .filter(
            exists(captions::table.filter(captions::image_id.eq(images::id)))
                .or(exists(
                    publication_images::table.filter(publication_images::ref_id.eq(images::id)),
                ))
                .or(exists(
                    authors::table.filter(authors::image_id.eq(images::id.nullable())),
                ))
                .or(exists(holds::table.filter(
                    holds::ref_id.eq(images::id).and(holds::until_ms.gt(Time::now())),
                ))),
        )
        .select(images::id)
        .first(conn)
        .optional()?;
    Ok(used.is_some())
}

/// Whether readers see the image, in a story or as the portrait of a story's author.
pub fn is_public(conn: &mut Conn, id: &Id) -> Result<bool> {
    let stories: Option<Id> = publication_images::table
        .filter(publication_images::ref_id.eq(id))
        .select(publication_images::article_id)
        .first(conn)
        .optional()?;
    if stories.is_some() {
        return Ok(true);
    }
    let portraits: Option<Id> = authors::table
        .inner_join(publication_authors::table.on(publication_authors::ref_id.eq(authors::id)))
        .filter(authors::image_id.eq(id))
        .select(authors::id)
        .first(conn)
        .optional()?;
    Ok(portraits.is_some())
}

/// What stands against deleting the image; at most ten of a kind are named.
pub fn users(conn: &mut Conn, id: &Id) -> Result<Vec<UsedBy>> {
    let used = |kind: &str, id: &Id, title: String| UsedBy {
        kind: kind.to_owned(),
        id: id.to_string(),
        title,
    };
    let placed: Vec<(Id, Id, String)> = captions::table
        .inner_join(articles::table.on(articles::id.eq(captions::article_id)))
        .filter(captions::image_id.eq(id))
        .order(captions::id)
        .select((captions::id, articles::id, articles::title))
        .limit(10)
        .load(conn)?;
    let live: Vec<(Id, String)> = publications::table
        .inner_join(publication_images::table.on(publication_images::article_id.eq(publications::article_id)))
        .filter(publication_images::ref_id.eq(id))
        .select((publications::article_id, publications::card))
        .limit(10)
        .load(conn)?;
    let portraits: Vec<(Id, String)> = authors::table
        .filter(authors::image_id.eq(id))
        .select((authors::id, authors::name))
        .limit(10)
        .load(conn)?;
    let mut all: Vec<UsedBy> = Vec::new();
    for (caption, _, title) in &placed {
        all.push(used("caption", caption, title.clone()));
    }
    for (article, card) in live {
        if !placed.iter().any(|(_, other, _)| *other == article) {
            let card: Card = serde_json::from_str(&card).map_err(Problem::internal)?;
            all.push(used("article", &article, card.title));
        }
    }
    all.extend(portraits.into_iter().map(|(id, name)| used("author", &id, name)));
    for held in crate::holds::users(conn, id)? {
        if !placed.iter().any(|(_, other, _)| other.as_str() == held.id) && !all.iter().any(|one| one.id == held.id) {
            all.push(held);
        }
    }
    Ok(all)
}

/// A live story that shows an image.
struct Live {
    image: Id,
    article: Id,
    title: String,
    status: String,
}

/// Uses that are looked at in one go, and of each image when there are more: a logo may stand in every story.
const AT_ONCE: i64 = 2000;
const OF_EACH: i64 = 200;

/// Loads uses of these images, of none of them without end.
fn bounded<T>(ids: &[&Id], mut load: impl FnMut(Vec<&Id>, i64) -> QueryResult<Vec<T>>) -> Result<Vec<T>> {
    let all = load(ids.to_vec(), AT_ONCE)?;
    if (all.len() as i64) < AT_ONCE {
        return Ok(all);
    }
    let mut some = Vec::new();
    for id in ids {
        some.extend(load(vec![*id], OF_EACH)?);
    }
    Ok(some)
}

/// Where images are used: by the captions of working copies that the caller may see, and by live stories, for those
/// who see no more under the title that readers see.
pub fn uses_of(conn: &mut Conn, caller: &Caller, ids: &[&Id]) -> Result<HashMap<Id, Vec<ImageUse>>> {
    let placed: Vec<(Id, Id, Id, String, String, Id)> = bounded(ids, |ids, most| {
        captions::table
            .inner_join(articles::table.on(articles::id.eq(captions::article_id)))
            .filter(captions::image_id.eq_any(ids))
            .order(captions::id.desc())
            .select((
                captions::image_id,
                captions::id,
                articles::id,
                articles::title,
                articles::status,
                articles::owner_id,
            ))
            .limit(most)
            .load(conn)
    })?;
    let live = live_uses(conn, caller, ids)?;
    let shown: HashMap<(&Id, &Id), &Live> = live.iter().map(|one| ((&one.image, &one.article), one)).collect();
    let mut named: HashSet<(Id, Id)> = HashSet::new();
    let mut uses: HashMap<Id, Vec<ImageUse>> = HashMap::new();
    for (image, caption, article, title, status, owner) in placed {
        let title = match shown.get(&(&image, &article)) {
            _ if caller.is_editor() || owner == caller.id => title,
            Some(live) => live.title.clone(),
            None => continue,
        };
        named.insert((image.clone(), article.clone()));
        uses.entry(image).or_default().push(ImageUse {
            article_id: article,
            caption_id: Some(caption),
            title,
            status: Status::parse(&status)?,
        });
    }
    // What a pinned or previewed revision shows beside.
    let held = held_uses(conn, caller, ids)?;
    // What the working copy has taken out and readers still see.
    let rest: Vec<&Live> = live
        .iter()
        .filter(|one| !named.contains(&(one.image.clone(), one.article.clone())))
        .collect();
    let articles: Vec<Id> = rest.iter().map(|one| one.article.clone()).take(USES_NAMED).collect();
    let docs = docs_of(conn, &articles)?;
    for one in rest {
        let captions = docs.get(&one.article).into_iter().flat_map(|doc| &doc.captions);
        let caption = captions.into_iter().find(|caption| caption.image_id == one.image);
        uses.entry(one.image.clone()).or_default().push(ImageUse {
            article_id: one.article.clone(),
            caption_id: caption.map(|caption| caption.id.clone()),
            title: one.title.clone(),
            status: Status::parse(&one.status)?,
        });
    }
    for (image, one) in held {
        let list = uses.entry(image).or_default();
        if !list.iter().any(|other| other.article_id == one.article_id) {
            list.push(one);
        }
    }
    uses.values_mut().for_each(|list| list.truncate(USES_NAMED));
    Ok(uses)
}

/// Uses by pinned and previewed revisions, for those who may see them.
fn held_uses(conn: &mut Conn, caller: &Caller, ids: &[&Id]) -> Result<Vec<(Id, ImageUse)>> {
    let rows: Vec<(Id, Id, String, String, Id)> = holds::table
        .inner_join(articles::table.on(articles::id.eq(holds::article_id)))
        .filter(holds::ref_id.eq_any(ids.to_vec()).and(holds::until_ms.gt(Time::now())))
        .order(articles::id.desc())
        .select((
            holds::ref_id,
            articles::id,
            articles::title,
            articles::status,
            articles::owner_id,
        ))
        .load(conn)?;
    let open = |owner: &Id| caller.is_editor() || *owner == caller.id;
    rows.into_iter()
        .filter(|(.., owner)| open(owner))
        .map(|(image, article_id, title, status, _)| {
            let status = Status::parse(&status)?;
            Ok((
                image,
                ImageUse {
                    article_id,
                    caption_id: None,
                    title,
                    status,
                },
            ))
        })
        .collect()
}

fn live_uses(conn: &mut Conn, caller: &Caller, ids: &[&Id]) -> Result<Vec<Live>> {
    let rows: Vec<(Id, Id, String, String, String, Id)> = bounded(ids, |ids, most| {
        publication_images::table
            .inner_join(publications::table.on(publications::article_id.eq(publication_images::article_id)))
            .inner_join(articles::table.on(articles::id.eq(publication_images::article_id)))
            .filter(publication_images::ref_id.eq_any(ids))
            .filter(publications::state.eq(literals::Live))
            .order(publication_images::article_id.desc())
            .select((
                publication_images::ref_id,
                publication_images::article_id,
                publications::card,
                articles::title,
                articles::status,
                articles::owner_id,
            ))
            .limit(most)
            .load(conn)
    })?;
    let live = |(image, article, card, title, status, owner): (Id, Id, String, String, String, Id)| {
        let open = caller.is_editor() || owner == caller.id;
        let title = if open {
            title
        } else {
            serde_json::from_str::<Card>(&card).map_err(Problem::internal)?.title
        };
        Ok(Live {
            image,
            article,
            title,
            status,
        })
    };
    rows.into_iter().map(live).collect()
}
