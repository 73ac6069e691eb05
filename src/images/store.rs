//! How images are kept: their rows, their files' rows, and who uses them.

use std::collections::{HashMap, HashSet};

use diesel::dsl::{exists, not};
use diesel::prelude::*;
use serde_json::json;

use super::delivered::{FocalPoint, media_url};
use super::management::{ImageQuery, ImageSort};
use super::process::{Placeholder, Processed};
use super::{Image, ImagePatch, ImageRights, ImageUse, USES_NAMED, clean_filename, variants};
use crate::articles::Status;
use crate::articles::compose::docs_of;
use crate::articles::publication::Card;
use crate::articles::record::people;
use crate::audit::{self, Actor};
use crate::auth::{Caller, forbidden};
use crate::changes;
use crate::conditional::Guard;
use crate::config::Config;
use crate::db::{self, Conn, Tx};
use crate::error::{Code, Problem, Result, UsedBy};
use crate::keyset;
use crate::literals;
use crate::page::{Key, PageInfo, Start};
use crate::schema::{
    articles, authors, captions, holds, image_files, images, publication_authors, publication_images, publications,
};
use crate::text::{fold, like_pattern};
use crate::types::{Id, Patch, PersonRef, Time};

/// A row of the table `images`.
#[derive(Debug, Clone, Queryable)]
pub struct ImageRow {
    /// The image's id.
    pub id: Id,
    /// The file's key in the media store.
    pub file_key: String,
    /// The name of the file.
    pub filename: String,
    /// Alternative text.
    pub alt: Option<String>,
    /// Whose image it is.
    pub credit: Option<String>,
    /// Text under it.
    pub caption: Option<String>,
    focal_x: Option<f64>,
    focal_y: Option<f64>,
    rights: String,
    search: String,
    /// Who uploaded it.
    pub uploaded_by: Id,
    /// When it was uploaded.
    pub created: Time,
    /// When it was last changed.
    pub updated: Time,
    /// Raised by every change.
    pub version: i64,
    /// When it was deleted; no query here gives such a row.
    #[allow(dead_code, reason = "the row has the table's columns, whichever are looked at")]
    deleted: Option<Time>,
}

/// A row of the table `image_files`, without the hash of the upload.
#[derive(Debug, Clone, Queryable)]
struct FileRow {
    file_key: String,
    sha256: String,
    media_type: String,
    width: i64,
    height: i64,
    bytes: i64,
    placeholder: Option<String>,
}

/// An image that is about to be in the library: its file is stored already.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// The file's key in the media store.
    pub file_key: String,
    /// The name it was uploaded under.
    pub filename: Option<String>,
    /// What is known about the file; its bytes are not needed here.
    pub processed: Processed,
    /// Its words, checked.
    pub words: ImagePatch,
}

impl ImageRow {
    fn focal_point(&self) -> Option<FocalPoint> {
        self.focal_x.zip(self.focal_y).map(|(x, y)| FocalPoint { x, y })
    }

    /// 403 unless the caller may change it: editors always, writers what they uploaded and nobody has placed.
    pub fn check_may_change(&self, conn: &mut Conn, caller: &Caller) -> Result<()> {
        if caller.is_editor() || (self.uploaded_by == caller.id && !is_used(conn, &self.id)?) {
            Ok(())
        } else {
            Err(forbidden(
                "Writers change and delete images that they uploaded and nobody uses yet; ask an editor.",
            ))
        }
    }
}

/// The image with this id, if it is not deleted.
pub fn get(conn: &mut Conn, id: &Id) -> Result<ImageRow> {
    let row: Option<ImageRow> = images::table
        .find(id)
        .filter(images::deleted_ms.is_null())
        .first(conn)
        .optional()?;
    row.ok_or_else(|| Problem::not_found("image"))
}

/// The image that was made of the same upload and is not deleted.
pub fn find_same(conn: &mut Conn, source_sha256: &str) -> Result<Option<ImageRow>> {
    let of_source = image_files::table
        .filter(image_files::source_sha256.eq(source_sha256))
        .select(image_files::image_id);
    Ok(images::table
        .filter(images::id.eq_any(of_source))
        .filter(images::deleted_ms.is_null())
        .order(images::id)
        .first(conn)
        .optional()?)
}

/// Whether a file of the media store belongs to an image, also a deleted one.
pub fn has_file(conn: &mut Conn, file_key: &str) -> Result<bool> {
    let found: Option<String> = image_files::table
        .find(file_key)
        .select(image_files::file_key)
        .first(conn)
        .optional()?;
    Ok(found.is_some())
}

/// Lets only one transaction at a time decide whether this upload is new. Two of the same file at once on several
/// connections would both find nothing otherwise; what the second reads after the lock includes what the first wrote.
pub fn lock_source(conn: &mut Conn, source_sha256: &str) -> Result<()> {
    db::lock(conn, &format!("image {source_sha256}"))
}

/// Takes the row's lock for whoever is about to refer to the image, so that it is not deleted in the same moment.
/// False when there is no such image.
pub fn hold(tx: &mut Tx<'_>, id: &Id) -> Result<bool> {
    let held = diesel::update(images::table.find(id).filter(images::deleted_ms.is_null()))
        .set(images::file_key.eq(images::file_key))
        .execute(tx.conn)?;
    Ok(held > 0)
}

fn search_text(row: &ImageRow) -> String {
    let texts = [
        Some(&row.filename),
        row.alt.as_ref(),
        row.credit.as_ref(),
        row.caption.as_ref(),
    ];
    let texts: Vec<String> = texts.into_iter().flatten().map(|text| fold(text)).collect();
    texts.join("\n")
}

fn apply(row: &mut ImageRow, patch: ImagePatch) -> Result<()> {
    if let Patch::Set(filename) = patch.filename {
        row.filename = filename;
    }
    patch.alt.apply(&mut row.alt);
    patch.credit.apply(&mut row.credit);
    patch.caption.apply(&mut row.caption);
    if let Some(point) = patch.focal_point.change() {
        row.focal_x = point.map(|point| point.x);
        row.focal_y = point.map(|point| point.y);
    }
    if let Some(change) = patch.rights.change() {
        let mut rights = ImageRights::default();
        if let Some(change) = change {
            rights = serde_json::from_str(&row.rights).map_err(Problem::internal)?;
            change.apply(&mut rights);
        }
        row.rights = serde_json::to_string(&rights).map_err(Problem::internal)?;
    }
    row.search = search_text(row);
    Ok(())
}

/// Puts an image into the library.
pub fn insert(tx: &mut Tx<'_>, actor: &Actor, uploader: &Id, new: &NewImage) -> Result<ImageRow> {
    let file = &new.processed;
    let default = || format!("image.{}", file.extension);
    let mut row = ImageRow {
        id: Id::new(),
        file_key: new.file_key.clone(),
        filename: new.filename.as_deref().and_then(clean_filename).unwrap_or_else(default),
        alt: None,
        credit: None,
        caption: None,
        focal_x: None,
        focal_y: None,
        rights: serde_json::to_string(&ImageRights::default()).map_err(Problem::internal)?,
        search: String::new(),
        uploaded_by: uploader.clone(),
        created: tx.now,
        updated: tx.now,
        version: 1,
        deleted: None,
    };
    apply(&mut row, new.words.clone())?;
    diesel::insert_into(images::table)
        .values((
            images::id.eq(&row.id),
            images::file_key.eq(&row.file_key),
            images::filename.eq(&row.filename),
            images::alt.eq(&row.alt),
            images::credit.eq(&row.credit),
            images::caption.eq(&row.caption),
            images::focal_x.eq(row.focal_x),
            images::focal_y.eq(row.focal_y),
            images::rights.eq(&row.rights),
            images::search.eq(&row.search),
            images::uploaded_by.eq(&row.uploaded_by),
            images::created_ms.eq(row.created),
            images::updated_ms.eq(row.updated),
            images::version.eq(row.version),
        ))
        .execute(tx.conn)?;
    let placeholder = file.placeholder.as_ref().map(serde_json::to_string).transpose();
    diesel::insert_into(image_files::table)
        .values((
            image_files::file_key.eq(&row.file_key),
            image_files::image_id.eq(&row.id),
            image_files::sha256.eq(&file.sha256),
            image_files::source_sha256.eq(&file.source_sha256),
            image_files::media_type.eq(file.media_type),
            image_files::width.eq(i64::from(file.width)),
            image_files::height.eq(i64::from(file.height)),
            image_files::bytes.eq(file.bytes.len() as i64),
            image_files::placeholder.eq(placeholder.map_err(Problem::internal)?),
        ))
        .execute(tx.conn)?;
    variants::store::plan(tx, &row.file_key, file)?;
    variants::store::remember_point(tx, &row.id, &row.file_key, row.focal_point())?;
    audit::record(
        tx,
        actor,
        "image.create",
        "image",
        &row.id,
        json!({ "filename": row.filename, "sha256": file.sha256 }),
    )?;
    Ok(row)
}

/// Takes the row's lock and its next version: from here to the end of the transaction nobody else writes it.
fn claim(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<ImageRow> {
    let claimed: Option<ImageRow> = diesel::update(images::table.find(id).filter(images::deleted_ms.is_null()))
        .set((images::version.eq(images::version + 1), images::updated_ms.eq(tx.now)))
        .returning(images::all_columns)
        .get_result(tx.conn)
        .optional()?;
    let row = claimed.ok_or_else(|| Problem::not_found("image"))?;
    row.check_may_change(tx.conn, caller)?;
    guard.check(row.version - 1)?;
    Ok(row)
}

/// Changes an image. Readers learn of a new focal point at once; the words of published stories are frozen.
pub fn update(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard, patch: ImagePatch) -> Result<ImageRow> {
    let mut row = claim(tx, caller, id, guard)?;
    let before = row.clone();
    apply(&mut row, patch)?;
    diesel::update(images::table.find(id))
        .set((
            images::filename.eq(&row.filename),
            images::alt.eq(&row.alt),
            images::credit.eq(&row.credit),
            images::caption.eq(&row.caption),
            images::focal_x.eq(row.focal_x),
            images::focal_y.eq(row.focal_y),
            images::rights.eq(&row.rights),
            images::search.eq(&row.search),
        ))
        .execute(tx.conn)?;
    if before.focal_point() != row.focal_point() {
        variants::store::remember_point(tx, id, &row.file_key, row.focal_point())?;
    }
    if before.focal_point() != row.focal_point() && is_public(tx.conn, id)? {
        // Lists carry no keys of images; they all carry `names`.
        let keys = vec![changes::key('i', id), "names".to_owned()];
        changes::record(tx, "image.updated", id.as_str(), None, keys);
    }
    let data = json!({ "before": audited(&before), "after": audited(&row) });
    audit::record(tx, &Actor::from(caller), "image.update", "image", id, data)?;
    Ok(row)
}

fn audited(row: &ImageRow) -> serde_json::Value {
    json!({
        "filename": row.filename,
        "alt": row.alt,
        "credit": row.credit,
        "caption": row.caption,
        "focal_point": row.focal_point(),
        "rights": serde_json::from_str::<serde_json::Value>(&row.rights).unwrap_or_default(),
    })
}

/// Takes an image out of the library. Its row and file stay: revisions of articles speak of them.
pub fn delete(tx: &mut Tx<'_>, caller: &Caller, id: &Id, guard: &Guard) -> Result<()> {
    let row = claim(tx, caller, id, guard)?;
    let used = users(tx.conn, id)?;
    if !used.is_empty() {
        let detail = "This image is still in use: take it out there first.";
        let used = serde_json::to_value(&used).map_err(Problem::internal)?;
        return Err(Problem::new(Code::InUse, detail).with("used_in", used));
    }
    diesel::update(images::table.find(id))
        .set(images::deleted_ms.eq(tx.now))
        .execute(tx.conn)?;
    variants::tend::forget(tx, &row.file_key)?;
    let data = json!({ "filename": row.filename });
    audit::record(tx, &Actor::from(caller), "image.delete", "image", id, data)
}

/// Whether a caption (also of a trashed article), a published story, a pinned or previewed revision or an author's
/// portrait uses the image.
fn is_used(conn: &mut Conn, id: &Id) -> Result<bool> {
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
fn users(conn: &mut Conn, id: &Id) -> Result<Vec<UsedBy>> {
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

/// A part of the list.
pub fn list(conn: &mut Conn, query: &ImageQuery, start: &Start) -> Result<(Vec<ImageRow>, PageInfo)> {
    let filtered = || {
        let mut rows = images::table.filter(images::deleted_ms.is_null()).into_boxed();
        if let Some(q) = &query.q {
            rows = rows.filter(images::search.like(like_pattern(q)).escape('\\'));
        }
        if !query.media_type.is_empty() {
            let types: Vec<&str> = query.media_type.iter().map(|kind| kind.as_str()).collect();
            let of_type = image_files::table
                .filter(image_files::media_type.eq_any(types))
                .select(image_files::file_key);
            rows = rows.filter(images::file_key.eq_any(of_type));
        }
        if let Some(uploader) = &query.uploader {
            rows = rows.filter(images::uploaded_by.eq(uploader));
        }
        let placed = exists(captions::table.filter(captions::image_id.eq(images::id)));
        let live = exists(publication_images::table.filter(publication_images::ref_id.eq(images::id)));
        let portrait = exists(authors::table.filter(authors::image_id.eq(images::id.nullable())));
        let held = exists(holds::table.filter(holds::ref_id.eq(images::id).and(holds::until_ms.gt(Time::now()))));
        match query.unused {
            Some(true) => rows
                .filter(not(placed))
                .filter(not(live))
                .filter(not(portrait))
                .filter(not(held)),
            Some(false) => rows.filter(placed.or(live).or(portrait).or(held)),
            None => rows,
        }
    };
    let total = match query.page.include_total {
        true => Some(filtered().count().get_result::<i64>(conn)?),
        false => None,
    };
    let rows: Vec<ImageRow> = match query.sort {
        ImageSort::Created => keyset!(filtered(), start, false, images::created_ms, images::id, int).load(conn)?,
        ImageSort::CreatedDown => keyset!(filtered(), start, true, images::created_ms, images::id, int).load(conn)?,
        ImageSort::Filename => keyset!(filtered(), start, false, images::filename, images::id, text).load(conn)?,
        ImageSort::FilenameDown => keyset!(filtered(), start, true, images::filename, images::id, text).load(conn)?,
    };
    Ok(start.finish(rows, total, |row| {
        let key = if query.sort.is_by_name() {
            Key::Text(row.filename.clone())
        } else {
            Key::Int(row.created.ms())
        };
        (key, row.id.to_string())
    }))
}

/// Images as the caller may see them.
pub fn records(conn: &mut Conn, config: &Config, caller: &Caller, rows: &[ImageRow]) -> Result<Vec<Image>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<&str> = rows.iter().map(|row| row.file_key.as_str()).collect();
    let files: Vec<FileRow> = image_files::table
        .filter(image_files::file_key.eq_any(keys))
        .select((
            image_files::file_key,
            image_files::sha256,
            image_files::media_type,
            image_files::width,
            image_files::height,
            image_files::bytes,
            image_files::placeholder,
        ))
        .load(conn)?;
    let mut files: HashMap<String, FileRow> = files.into_iter().map(|file| (file.file_key.clone(), file)).collect();
    let people = people(conn, rows.iter().map(|row| row.uploaded_by.clone()))?;
    let ids: Vec<&Id> = rows.iter().map(|row| &row.id).collect();
    let mut uses = uses_of(conn, caller, &ids)?;
    let record = |row: &ImageRow| {
        let file = files
            .remove(&row.file_key)
            .ok_or_else(|| Problem::internal(format!("image {} has no file", row.id)))?;
        let placeholder: Option<Placeholder> = file
            .placeholder
            .map(|json| serde_json::from_str(&json))
            .transpose()
            .map_err(Problem::internal)?;
        Ok(Image {
            id: row.id.clone(),
            filename: row.filename.clone(),
            media_type: file.media_type,
            width: file.width,
            height: file.height,
            bytes: file.bytes,
            sha256: file.sha256,
            alt: row.alt.clone(),
            credit: row.credit.clone(),
            caption: row.caption.clone(),
            focal_point: row.focal_point(),
            rights: serde_json::from_str(&row.rights).map_err(Problem::internal)?,
            placeholder,
            url: media_url(config, &row.file_key),
            used_in: uses.remove(&row.id).unwrap_or_default(),
            created_at: row.created,
            created_by: PersonRef {
                id: row.uploaded_by.clone(),
                name: people.get(&row.uploaded_by).cloned().unwrap_or_default(),
            },
            updated_at: row.updated,
            version: row.version,
            duplicate: None,
        })
    };
    rows.iter().map(record).collect()
}

/// One image as the caller may see it.
pub fn record(conn: &mut Conn, config: &Config, caller: &Caller, row: &ImageRow) -> Result<Image> {
    let one = records(conn, config, caller, std::slice::from_ref(row))?.pop();
    one.ok_or_else(|| Problem::internal("a record was not made"))
}

/// A live story that shows an image.
struct Live {
    image: Id,
    article: Id,
    title: String,
    status: String,
}

/// Where images are used: by the captions of working copies that the caller may see, and by live stories, for those
/// who see no more under the title that readers see.
fn uses_of(conn: &mut Conn, caller: &Caller, ids: &[&Id]) -> Result<HashMap<Id, Vec<ImageUse>>> {
    let placed: Vec<(Id, Id, Id, String, String, Id)> = captions::table
        .inner_join(articles::table.on(articles::id.eq(captions::article_id)))
        .filter(captions::image_id.eq_any(ids.to_vec()))
        .order(captions::id.desc())
        .select((
            captions::image_id,
            captions::id,
            articles::id,
            articles::title,
            articles::status,
            articles::owner_id,
        ))
        .load(conn)?;
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
    let rows: Vec<(Id, Id, String, String, String, Id)> = publication_images::table
        .inner_join(publications::table.on(publications::article_id.eq(publication_images::article_id)))
        .inner_join(articles::table.on(articles::id.eq(publication_images::article_id)))
        .filter(publication_images::ref_id.eq_any(ids.to_vec()))
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
        .load(conn)?;
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
