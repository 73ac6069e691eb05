//! How readers search.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get};
use diesel::prelude::*;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::entry::{moment, numbers_of};
use super::heads::{Head, Heads, Text};
use super::highlight::{Highlight, HighlightField, highlight};
use super::names::named;
use super::query::{Spelling, Term, parse};
use super::result::{Found, MatchedAs, SearchResult};
use super::score::Scorer;
use super::store::{self, Span};
use super::wanted::Wanted;
use crate::app::{App, State};
use crate::articles::compose::ArticleSummary;
use crate::articles::listing::{ArticleFilters, summaries};
use crate::articles::publication::PublicationRow;
use crate::cache::{Outcome, Target, serve};
use crate::changes;
use crate::conditional::Made;
use crate::db::Conn;
use crate::error::Result;
use crate::literals::Live;
use crate::page::{Key, PageQuery, Start, wrong_cursor};
use crate::page_type;
use crate::request::{FromParams, Params, Query, invalid};
use crate::schema::publications;
use crate::shelf::Kept;
use crate::types::Id;

/// Mounts the handlers.
pub fn mount(config: &mut ServiceConfig<'_>) {
    config.service(search_articles);
}

/// Hits of which the index is asked whether the terms stand side by side in them, in body, captions or names: the newest. It
/// has to look at each word's places for that. Headlines are compared for all.
const SEQUENCED: usize = 250;
/// Hits whose relevance is compared: the newest.
const RANKED: i64 = 1000;
/// Hits are counted up to this.
const COUNTED: i64 = 100_000;

page_type! {
    /// A page of found stories.
    SearchPage of SearchResult
}

/// Orders of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum SearchSort {
    /// What answers best first.
    #[serde(rename = "relevance")]
    Relevance,
    /// Newest publication first.
    #[serde(rename = "-published_at")]
    PublishedAtDown,
}

/// What is looked for.
#[derive(Debug, Clone, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words, with or without accents; all must be there. Words in quotation marks are a phrase. The last word may be a
    /// beginning. There are no other operators.
    #[param(min_length = 1, max_length = 200, example = "thai nguyen")]
    q: String,
    /// The order.
    #[param(required = false)]
    sort: SearchSort,
    #[param(ignore)]
    filters: ArticleFilters,
    #[param(ignore)]
    page: PageQuery,
}

impl FromParams for SearchQuery {
    fn take(params: &mut Params) -> Result<Self> {
        let sorts = [
            ("relevance", SearchSort::Relevance),
            ("-published_at", SearchSort::PublishedAtDown),
        ];
        Ok(Self {
            q: params
                .words("q")?
                .ok_or_else(|| invalid("q", "is needed: it says what to look for"))?,
            sort: params.choice("sort", &sorts)?.unwrap_or(SearchSort::Relevance),
            filters: ArticleFilters::take(params)?,
            page: PageQuery::take(params)?,
        })
    }
}

/// Search stories.
///
/// Looks in headline, lead, body, image texts and the names of authors and tags of published stories, with or without
/// accents. Stories that have the words as they were typed come first. Relevance is compared among the 1,000 newest
/// hits, and these are the list; with `sort=-published_at` all hits are.
#[utoipa::path(
    tag = "search",
    params(SearchQuery, ArticleFilters, PageQuery),
    responses((status = 200, description = "A page of found stories.", body = SearchPage))
)]
#[get("/search")]
async fn search_articles(app: State, query: Query<SearchQuery>, req: HttpRequest) -> Result<HttpResponse> {
    let query = query.0;
    let list = format!("search {:?} {:?} {:?}", query.q, query.sort, query.filters);
    let start = query.page.start(&list, &Key::Int(0))?;
    if start.after.is_some() && place(&start).is_none() {
        return Err(wrong_cursor());
    }
    let (state, target) = (app.clone(), Target::of(&req));
    serve(&app, &req, move |conn| {
        find(conn, &state, &query, &start, &target).map(Outcome::Here)
    })
    .await
}

/// A hit with its place in the list: by score, then by the time of publication, then by id.
#[derive(Debug, Clone)]
struct Ranked {
    score: i64,
    moment: i64,
    hit: Arc<Kept<Head>>,
    matched_as: MatchedAs,
}

/// Where a hit stands; higher places come first.
type Rank<'r> = (i64, i64, &'r str);

fn find(conn: &mut Conn, app: &App, query: &SearchQuery, start: &Start, target: &Target) -> Result<Made> {
    let terms = parse(&query.q);
    let lookup = Lookup::new(conn, query, &terms)?;
    let (found, total) = match query.sort {
        SearchSort::Relevance => {
            let all = lookup.by_relevance(conn, &app.heads)?;
            let total = all.len() as i64;
            (cut(all, start), total)
        }
        SearchSort::PublishedAtDown => lookup.by_date(conn, &app.heads, start, query.page.include_total)?,
    };
    let (found, page) = start.finish(found, query.page.include_total.then_some(total), |hit| {
        (Key::Int(hit.score), format!("{}.{}", hit.moment, hit.hit.article_id))
    });
    let data = results(conn, app, &terms, found)?;
    let newest = changes::newest(conn)?;
    let keys = ["articles", "names", "site"].map(str::to_owned).into();
    let link = page.link_at(&app.config.public_url, &target.path, &target.query);
    let mut made = Made::json(&SearchPage { data, page }, newest, keys, link)?;
    super::until_filled(&mut made);
    Ok(made)
}

/// The place that a cursor names.
fn place(start: &Start) -> Option<Rank<'_>> {
    let (score, rest) = start.after.as_ref()?;
    let (moment, id) = rest.split_once('.')?;
    Some((score.int(), moment.parse().ok()?, id))
}

/// The page of a list that is in memory.
fn cut(mut all: Vec<Ranked>, start: &Start) -> Vec<Ranked> {
    if let Some(place) = place(start) {
        all.retain(|hit| {
            if start.backwards {
                hit.place() > place
            } else {
                hit.place() < place
            }
        });
    }
    let order = |one: &Ranked, other: &Ranked| match start.backwards {
        true => one.place().cmp(&other.place()),
        false => other.place().cmp(&one.place()),
    };
    // A page is a small part of a thousand hits: only that is put in order.
    let fetch = usize::try_from(start.fetch).unwrap_or(0);
    if fetch < all.len() {
        all.select_nth_unstable_by(fetch, order);
        all.truncate(fetch);
    }
    all.sort_unstable_by(order);
    all
}

/// Hits that are looked up beyond a page, so that those of its last millisecond are seldom asked for by themselves.
const BEYOND: i64 = 50;

/// One search, ready to be asked of the index.
struct Lookup<'q> {
    terms: &'q [Term],
    exact: Wanted,
    folded: Wanted,
    /// The terms side by side; none when there is but one.
    sequence: Option<Sequence>,
    span: Span,
}

/// Terms that stand side by side, in a text or in a name.
struct Sequence {
    exact: Wanted,
    folded: Wanted,
}

impl<'q> Lookup<'q> {
    fn new(conn: &mut Conn, query: &SearchQuery, terms: &'q [Term]) -> Result<Self> {
        if terms.is_empty() {
            return Ok(Self {
                terms,
                exact: Wanted::default(),
                folded: Wanted::default(),
                sequence: None,
                span: store::ALL,
            });
        }
        let whole = Term::sequence(terms);
        // Names are looked at once for both.
        let asked: Vec<Term> = terms.iter().chain(&whole).cloned().collect();
        let named = named(conn, &asked)?;
        let filters = query.filters.resolve(conn)?;
        let wanted = |spelling, names: &[Vec<String>]| {
            let mut wanted = Wanted::terms(terms, spelling, names);
            filters.marks().into_iter().for_each(|marks| wanted.any_mark(marks));
            wanted
        };
        let (after, before) = query.filters.times();
        Ok(Self {
            terms,
            exact: wanted(Spelling::Exact, &named.exact),
            folded: wanted(Spelling::Folded, &named.folded),
            sequence: whole.map(|whole| {
                let wanted = |spelling, names: &[Vec<String>]| {
                    let names = names.get(terms.len()..).unwrap_or_default();
                    Wanted::terms(std::slice::from_ref(&whole), spelling, names)
                };
                Sequence {
                    exact: wanted(Spelling::Exact, &named.exact),
                    folded: wanted(Spelling::Folded, &named.folded),
                }
            }),
            span: Span {
                from: after.map_or(i64::MIN, super::entry::first_number),
                to: before.map_or(i64::MAX, |time| super::entry::first_number(time) - 1),
            },
        })
    }

    fn by_relevance(&self, conn: &mut Conn, heads: &Heads) -> Result<Vec<Ranked>> {
        let numbers = store::numbers(conn, &self.folded, Spelling::Folded, self.span, true, RANKED)?;
        let exact = store::among(conn, &self.exact, Spelling::Exact, &numbers)?;
        let (exact, folded): (Vec<i64>, Vec<i64>) = numbers.into_iter().partition(|number| exact.contains(number));
        let mut ranked = Vec::new();
        for (numbers, spelling) in [(exact, Spelling::Exact), (folded, Spelling::Folded)] {
            let scorer = Scorer::new(self.terms, spelling);
            let in_sequence = match &self.sequence {
                Some(Sequence { exact, folded }) => {
                    let wanted = if spelling == Spelling::Exact { exact } else { folded };
                    let newest = &numbers[..numbers.len().min(SEQUENCED)];
                    store::among(conn, wanted, spelling, newest)?
                }
                None => HashSet::new(),
            };
            let hits = heads.of(conn, &numbers)?;
            let one = |hit: Arc<Kept<Head>>| {
                let score = scorer.score(&hit, in_sequence.contains(&hit.row_id));
                Ranked::new(hit, score, spelling == Spelling::Exact)
            };
            ranked.extend(hits.into_iter().map(one));
        }
        Ok(ranked)
    }

    fn by_date(&self, conn: &mut Conn, heads: &Heads, start: &Start, count: bool) -> Result<(Vec<Ranked>, i64)> {
        let total = match count {
            true => store::count(conn, &self.folded, self.span, COUNTED)?,
            false => 0,
        };
        let mut span = self.span;
        if let Some((moment, ..)) = place(start) {
            // From the cursor's millisecond on: numbers do not say who comes first in it.
            let own = numbers_of(moment);
            if start.backwards {
                span.from = span.from.max(own.from);
            } else {
                span.to = span.to.min(own.to);
            }
        }
        let (newest, fetch) = (!start.backwards, start.fetch + BEYOND);
        let mut numbers = Vec::new();
        loop {
            let piece = store::numbers(conn, &self.folded, Spelling::Folded, span, newest, fetch)?;
            let last = piece
                .last()
                .copied()
                .filter(|_| piece.len() as i64 == fetch)
                .map(moment);
            numbers.extend(piece);
            let page = cut(self.ranked_by_date(conn, heads, &numbers)?, start);
            let is_full = |page: &[Ranked]| page.len() as i64 >= start.fetch;
            let Some(last) = last.filter(|last| !is_full(&page) || page.last().is_some_and(|hit| hit.moment == *last))
            else {
                return Ok((page, total));
            };
            // What was cut off may have others of the last millisecond in it.
            let own = numbers_of(last);
            let whole = Span {
                from: own.from.max(self.span.from),
                to: own.to.min(self.span.to),
            };
            numbers.retain(|number| moment(*number) != last);
            numbers.extend(store::numbers(
                conn,
                &self.folded,
                Spelling::Folded,
                whole,
                newest,
                i64::MAX,
            )?);
            let page = cut(self.ranked_by_date(conn, heads, &numbers)?, start);
            if is_full(&page) {
                return Ok((page, total));
            }
            if start.backwards {
                span.from = own.to + 1;
            } else {
                span.to = own.from - 1;
            }
        }
    }

    fn ranked_by_date(&self, conn: &mut Conn, heads: &Heads, numbers: &[i64]) -> Result<Vec<Ranked>> {
        let exact = store::among(conn, &self.exact, Spelling::Exact, numbers)?;
        let hits = heads.of(conn, numbers)?;
        let one = |hit: Arc<Kept<Head>>| {
            let (score, is_exact) = (moment(hit.row_id), exact.contains(&hit.row_id));
            Ranked::new(hit, score, is_exact)
        };
        Ok(hits.into_iter().map(one).collect())
    }
}

impl Ranked {
    fn place(&self) -> Rank<'_> {
        (self.score, self.moment, self.hit.article_id.as_str())
    }

    fn new(hit: Arc<Kept<Head>>, score: i64, is_exact: bool) -> Self {
        Self {
            score,
            moment: moment(hit.row_id),
            hit,
            matched_as: if is_exact { MatchedAs::Exact } else { MatchedAs::Folded },
        }
    }
}

fn results(conn: &mut Conn, app: &App, terms: &[Term], found: Vec<Ranked>) -> Result<Vec<SearchResult>> {
    let ids: Vec<Id> = found.iter().map(|hit| hit.hit.article_id.clone()).collect();
    let rows = rows_of(conn, &ids)?;
    let texts = app.heads.texts(conn, &ids)?;
    let texts: HashMap<&Id, Arc<Kept<Text>>> = ids
        .iter()
        .zip(texts)
        .filter_map(|(id, text)| Some((id, text?)))
        .collect();
    let list = summaries(conn, app, rows, &[])?;
    let ways: HashMap<&Id, MatchedAs> = found.iter().map(|hit| (&hit.hit.article_id, hit.matched_as)).collect();
    let result = |article: ArticleSummary| {
        let matched_as = ways.get(&article.id).copied().unwrap_or(MatchedAs::Folded);
        let spelling = match matched_as {
            MatchedAs::Exact => Spelling::Exact,
            MatchedAs::Folded => Spelling::Folded,
        };
        let highlights = highlights(&article, texts.get(&article.id).map(|text| &***text), terms, spelling);
        let found = Found { highlights, matched_as };
        SearchResult { article, found }
    };
    Ok(list.into_iter().map(result).collect())
}

/// Live publications in the order of their ids here.
pub fn rows_of(conn: &mut Conn, ids: &[Id]) -> Result<Vec<PublicationRow>> {
    let mut rows: Vec<PublicationRow> = publications::table
        .filter(publications::article_id.eq_any(ids).and(publications::state.eq(Live)))
        .select(PublicationRow::as_select())
        .load(conn)?;
    let places: HashMap<&Id, usize> = ids.iter().enumerate().map(|(place, id)| (id, place)).collect();
    rows.sort_by_key(|row| places.get(&row.article_id).copied());
    Ok(rows)
}

fn highlights(article: &ArticleSummary, text: Option<&Text>, terms: &[Term], spelling: Spelling) -> Vec<Highlight> {
    let mark = |field, text: &str| highlight(field, text, terms, spelling);
    let mut found: Vec<Highlight> = mark(HighlightField::Title, &article.title).into_iter().collect();
    found.extend(article.lead.iter().filter_map(|lead| mark(HighlightField::Lead, lead)));
    if let Some(text) = text {
        found.extend(mark(HighlightField::Body, &text.body));
        // One image tells enough.
        let mut captions = text.captions.iter();
        found.extend(captions.find_map(|text| mark(HighlightField::Caption, text)));
    }
    found.extend(
        article
            .authors
            .iter()
            .filter_map(|author| mark(HighlightField::Author, &author.name)),
    );
    found.extend(
        article
            .tags
            .iter()
            .filter_map(|tag| mark(HighlightField::Tag, &tag.name)),
    );
    found
}
