//! The newest stories for feed readers, and the addresses of all of them for search engines.
//!
//! A feed is made once, as [`Feed`], and written in three ways; a sitemap is a list of [`store::Place`]s. Both are made of
//! publications alone.

mod atom;
pub mod delivery;
mod json;
mod rss;
mod sitemap;
mod store;
mod xml;

use crate::articles::compose::ArticleSummary;
use crate::site::SiteRow;
use crate::types::Time;

/// How many stories a feed has.
pub const LENGTH: i64 = 20;

/// What a feed says, whatever it is written as.
pub struct Feed {
    /// The site.
    pub site: SiteRow,
    /// What it is called: the site's name, and the section's when it is asked for stories of one.
    pub title: String,
    /// The site's address.
    pub home: String,
    /// The feed's own address.
    pub address: String,
    /// The language, when it is asked for stories in one language; else the site's first.
    pub language: String,
    /// The stories, newest first.
    pub items: Vec<Item>,
}

/// A story in a feed.
pub struct Item {
    /// What cards show.
    pub story: ArticleSummary,
    /// The story as HTML: the opening paragraph and the body.
    pub html: String,
    /// The cover's file.
    pub enclosure: Option<Enclosure>,
}

/// A file that goes with a story; readers of feeds are told how long it is.
#[derive(Debug, Clone)]
pub struct Enclosure {
    /// Its address.
    pub url: String,
    /// Its media type.
    pub media_type: String,
    /// Its size.
    pub bytes: i64,
}

impl Feed {
    /// When the newest of it changed; an empty feed is as old as the site.
    pub fn updated(&self) -> Time {
        let newest = self.items.iter().map(|item| item.story.updated_at).max();
        newest.unwrap_or(self.site.updated_at)
    }
}
