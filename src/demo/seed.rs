//! Fills the sample newsroom from `newsroom.json`, through the same functions that the API uses.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::ImageEncoder;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::draw::draw;
use crate::app::App;
use crate::articles::input::{ArticlePatch, PublishInput};
use crate::articles::{CaptionRole, draft, publication, store};
use crate::audit::Actor;
use crate::auth::{Caller, Role, Via};
use crate::captions::management::CaptionCreate;
use crate::conditional::Guard;
use crate::db::Tx;
use crate::error::{Problem, Result};
use crate::feedback::store as feedback;
use crate::images::process::{Limits, Processed, process_bytes};
use crate::images::rights::ExpiredRights;
use crate::images::store::{NewFile, NewImage};
use crate::json;
use crate::request::PathRef;
use crate::taxonomy::{authors, sections, tags};
use crate::text::{email_key, slugify};
use crate::types::{Id, Time};
use crate::views;

const NEWSROOM: &str = include_str!("newsroom.json");

#[derive(Deserialize)]
struct Newsroom {
    sections: Vec<sections::SectionCreate>,
    tags: Vec<tags::TagCreate>,
    authors: Vec<authors::AuthorCreate>,
    images: Vec<Picture>,
    stories: Vec<Story>,
    feedback: Vec<Message>,
}

#[derive(Clone, Deserialize)]
struct Picture {
    id: String,
    filename: String,
    scene: String,
    seed: u64,
    width: u32,
    height: u32,
    alt: String,
    caption: String,
    credit: String,
}

#[derive(Clone, Deserialize)]
struct Story {
    handle: String,
    title: String,
    kicker: Option<String>,
    lead: String,
    dateline: Option<String>,
    language: String,
    section: String,
    tags: Vec<String>,
    authors: Vec<String>,
    source: Option<Value>,
    hours_ago: i64,
    featured: bool,
    translation_of: Option<String>,
    body_markdown: String,
    captions: Vec<Placed>,
    seo: Option<Value>,
    state: String,
}

#[derive(Clone, Deserialize)]
struct Placed {
    image: String,
    role: CaptionRole,
    text: Option<String>,
    alt: Option<String>,
    credit: Option<String>,
    #[serde(rename = "ref")]
    name: String,
}

#[derive(Clone, Deserialize)]
struct Message {
    story: String,
    name: String,
    email: String,
    phone: Option<String>,
    address: Option<String>,
    message: String,
    may_publish: bool,
    status: crate::feedback::FeedbackStatus,
    visible: bool,
    reply: Option<String>,
}

/// The slug of the newest story, for a command line that works when pasted.
pub fn first_slug() -> String {
    let newsroom: Option<Newsroom> = serde_json::from_str(NEWSROOM).ok();
    let stories = newsroom.map(|newsroom| newsroom.stories).unwrap_or_default();
    let published = stories.iter().filter(|story| story.state == "published");
    published
        .min_by_key(|story| story.hours_ago)
        .map(|story| slugify(&story.title))
        .unwrap_or_default()
}

/// Makes everything. Takes some seconds, most of them for drawing.
pub async fn newsroom(app: &App, admin: Id) -> Result<()> {
    let content: Newsroom = serde_json::from_str(NEWSROOM).map_err(Problem::internal)?;
    let caller = Caller {
        id: admin,
        name: "Trần Thu Hà".into(),
        role: Role::Admin,
        via: Via::Session(Id::new()),
        request_id: "demo".into(),
        take_over: false,
        address: String::new(),
    };
    let pictures = draw_all(&content.images).await?;
    say("keeping the stories");
    let images = keep_pictures(app, &caller, pictures).await?;
    let Newsroom {
        sections,
        tags,
        authors,
        mut stories,
        feedback,
        ..
    } = content;
    let names = names(app, &caller, sections, tags, authors).await?;
    // Originals before their translations, the oldest first.
    stories.sort_by_key(|story| (story.translation_of.is_some(), std::cmp::Reverse(story.hours_ago)));
    let mut ids = HashMap::new();
    let mut live = Vec::new();
    for story in stories {
        let handle = story.handle.clone();
        let is_live = story.state == "published";
        let id = keep_story(app, &caller, story, &names, &images, &ids).await?;
        live.extend(is_live.then(|| id.clone()));
        ids.insert(handle, id);
    }
    for message in feedback {
        keep_message(app, &caller, message, &ids).await?;
    }
    read_stories(app, &live).await?;
    say("");
    Ok(())
}

/// Readers from as many addresses open the stories, some of them oftener than others, so that there is something most
/// viewed.
async fn read_stories(app: &App, stories: &[Id]) -> Result<()> {
    let browser = b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    for (place, story) in (0_u32..).zip(stories) {
        let story = Uuid::try_parse(story.as_str()).map_err(Problem::internal)?;
        // An order that is not that of time.
        let readers = 3 + place * 29 % 83;
        for reader in 0..readers {
            let address = IpAddr::from((0x0a00_0000 + reader).to_be_bytes());
            app.views.record(story, address, Some(browser), Time::now());
        }
    }
    views::store::flush(app, &app.views).await
}

/// One line of progress on the terminal, written over by the next.
fn say(what: &str) {
    let mut out = std::io::stderr();
    if out.is_terminal() {
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(
            out,
            "\r\x1b[K{}",
            if what.is_empty() {
                String::new()
            } else {
                format!("Making the sample newsroom: {what} …")
            }
        );
        let _ = out.flush();
    }
}

/// Draws and processes the pictures, one a core at a time.
async fn draw_all(pictures: &[Picture]) -> Result<Vec<(Picture, Processed)>> {
    let done = Arc::new(AtomicUsize::new(0));
    let total = pictures.len();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let share = total.div_ceil(cores).max(1);
    let tasks: Vec<_> = pictures
        .chunks(share)
        .map(|share| {
            let (share, done) = (share.to_vec(), Arc::clone(&done));
            tokio::task::spawn_blocking(move || {
                let draw_one = |picture: Picture| {
                    let file = paint(&picture)?;
                    say(&format!(
                        "drawing pictures, {} of {total}",
                        done.fetch_add(1, Ordering::Relaxed) + 1
                    ));
                    Ok((picture, file))
                };
                share.into_iter().map(draw_one).collect::<Result<Vec<_>>>()
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.map_err(Problem::internal)??);
    }
    Ok(all)
}

fn paint(picture: &Picture) -> Result<Processed> {
    let drawing = draw(&picture.scene, picture.seed, picture.width, picture.height);
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 86)
        .write_image(
            drawing.as_raw(),
            drawing.width(),
            drawing.height(),
            image::ExtendedColorType::Rgb8,
        )
        .map_err(Problem::internal)?;
    process_bytes(&file, &Limits::default()).map_err(Problem::internal)
}

async fn keep_pictures(app: &App, caller: &Caller, pictures: Vec<(Picture, Processed)>) -> Result<HashMap<String, Id>> {
    let mut ids = HashMap::new();
    for (picture, processed) in pictures {
        let file_key = crate::media::new_key(processed.extension);
        app.media.put(&file_key, processed.bytes.clone()).await?;
        let words = json!({ "alt": picture.alt, "caption": picture.caption, "credit": picture.credit });
        let new = NewImage {
            file: NewFile {
                file_key,
                filename: Some(picture.filename),
                processed,
                upload: None,
            },
            words: json::typed(&words)?,
        };
        let (actor, uploader) = (Actor::from(caller), caller.id.clone());
        let row = app
            .db
            .write(move |tx| crate::images::store::insert(tx, &actor, &uploader, &new))
            .await?;
        ids.insert(picture.id, row.id);
    }
    Ok(ids)
}

/// Ids of sections, tags and authors by slug.
#[derive(Clone, Default)]
struct Names {
    sections: HashMap<String, Id>,
    tags: HashMap<String, Id>,
    authors: HashMap<String, Id>,
}

async fn names(
    app: &App,
    caller: &Caller,
    sections: Vec<sections::SectionCreate>,
    tags: Vec<tags::TagCreate>,
    authors: Vec<authors::AuthorCreate>,
) -> Result<Names> {
    let actor = Actor::from(caller);
    let make = move |tx: &mut Tx<'_>| {
        let mut names = Names::default();
        for new in sections.clone() {
            let made = sections::create(tx, &actor, new)?;
            names.sections.insert(made.slug, made.id);
        }
        for new in tags.clone() {
            let made = tags::create(tx, &actor, new)?;
            names.tags.insert(made.slug, made.id);
        }
        for new in authors.clone() {
            let made = authors::create(tx, &actor, new)?;
            names.authors.insert(made.slug, made.id);
        }
        Ok(names)
    };
    app.db.write(make).await
}

/// The id behind a handle of the file; a handle without one is a fault of the file.
fn find(map: &HashMap<String, Id>, handle: &str) -> Result<Id> {
    map.get(handle)
        .cloned()
        .ok_or_else(|| Problem::internal(format!("newsroom.json speaks of {handle:?} and has none")))
}

async fn keep_story(
    app: &App,
    caller: &Caller,
    story: Story,
    names: &Names,
    images: &HashMap<String, Id>,
    stories: &HashMap<String, Id>,
) -> Result<Id> {
    let all = |map: &HashMap<String, Id>, slugs: &[String]| {
        slugs.iter().map(|slug| find(map, slug)).collect::<Result<Vec<_>>>()
    };
    let original = story
        .translation_of
        .as_ref()
        .map(|handle| find(stories, handle))
        .transpose()?;
    let content = json!({
        "title": story.title,
        "kicker": story.kicker,
        "lead": story.lead,
        "dateline": story.dateline,
        "language": story.language,
        "section_id": find(&names.sections, &story.section)?,
        "tag_ids": all(&names.tags, &story.tags)?,
        "author_ids": all(&names.authors, &story.authors)?,
        "source": story.source,
        "seo": story.seo,
        "featured": story.featured,
        "translation_of": original,
    });
    let first = json::typed::<ArticlePatch>(&content)?.checked(true)?;
    let placed: Vec<(Placed, Id)> = story
        .captions
        .iter()
        .map(|placed| find(images, &placed.image).map(|image| (placed.clone(), image)))
        .collect::<Result<_>>()?;
    let caller = caller.clone();
    let write = move |tx: &mut Tx<'_>| {
        let (row, _) = draft::create(tx, &caller, &first)?;
        let mut body = story.body_markdown.clone();
        for (placed, image_id) in &placed {
            let new = CaptionCreate {
                article_id: row.id.clone(),
                image_id: image_id.clone(),
                role: placed.role,
                text: placed.text.clone(),
                alt: placed.alt.clone(),
                credit: placed.credit.clone(),
                position: None,
                note: None,
            };
            let (caption, _) = crate::captions::store::create(tx, &caller, &new)?;
            body = body.replace(
                &format!("(caption:{})", placed.name),
                &format!("(caption:{})", caption.id),
            );
        }
        let body = json::typed::<ArticlePatch>(&json!({ "body_markdown": body }))?.checked(false)?;
        store::update(tx, &caller, &row.id, &Guard::any(), &body)?;
        if story.state == "published" {
            let published_at = tx.now.plus_seconds(-3600 * story.hours_ago);
            let input = PublishInput {
                published_at: Some(published_at),
                ..PublishInput::default()
            };
            let row = store::lock(tx, &caller, &row.id)?;
            publication::publish(tx, &caller, row, &Guard::any(), &input, None, ExpiredRights::Refuse)?;
        }
        Ok(row.id)
    };
    app.db.write(write).await
}

async fn keep_message(app: &App, caller: &Caller, message: Message, stories: &HashMap<String, Id>) -> Result<()> {
    let article = PathRef::Id(find(stories, &message.story)?);
    let keep_days = app.config.feedback_retention_days;
    let actor = Actor::from(caller);
    let write = move |tx: &mut Tx<'_>| {
        let new = feedback::NewMessage {
            reference: crate::feedback::new_reference(),
            name: message.name.clone(),
            email: message.email.clone(),
            email_key: email_key(&message.email),
            phone: message.phone.clone(),
            address: message.address.clone(),
            message: message.message.clone(),
            search: feedback::search_text(&message.name, Some(&message.email), &message.message),
            consent_version: crate::site::consent_version(tx.conn)?,
            may_publish: message.may_publish,
            keep_days,
        };
        feedback::insert(tx, &article, &new)?;
        let kept = feedback::by_reference(tx.conn, &new.reference)?;
        let edit = feedback::Edit {
            action: if message.reply.is_some() {
                "feedback.reply"
            } else {
                "feedback.update"
            },
            status: Some(message.status),
            visible: Some(message.visible),
            internal_note: None,
            reply: message.reply.clone(),
        };
        feedback::update(tx, &actor, &kept.id, &Guard::any(), &edit)?;
        Ok(())
    };
    app.db.write(write).await
}
