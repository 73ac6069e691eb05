//! The paths that are measured, in an order in which each finds what it needs: views before the most viewed.

use crate::client::{Bytes, ask, request};
use crate::constant;
use crate::measure::{Amount, Figures, Side, in_turn};
use crate::newsroom::{Desk, FIRST_PAGE};
use crate::process::Process;
use crate::reader::{MOST_VIEWED, beacon, beacons, cursor_at, filters, sample, search, slugs, views_written};
use crate::report::{Goal, Line, Report};
use crate::store::Backend;
use crate::words::{HALF, RARE};

/// Ratio to the constant handler that answers from memory are to keep.
const CACHED: f64 = 1.15;
/// Ratio of a picture's variant that answers from memory.
const PICTURE: f64 = 1.3;
/// Ratio of a story that SQLite is asked for.
const UNCACHED: f64 = 5.0;
/// What a deep page, or a page of a hundred times as many stories, may cost more.
const SAME: f64 = 1.1;
/// How deep a deep page is.
const DEEP: usize = 50_000;

/// One part of a run: its database, its lines, how much is asked.
pub struct Part<'p> {
    /// The database.
    pub backend: &'p Backend,
    /// Where the lines go.
    pub report: &'p mut Report,
    /// Part of the full amount of requests.
    pub scale: f64,
    /// How many stories there are.
    pub stories: usize,
    /// Only paths with this in their names; all when empty.
    pub paths: &'p str,
}

/// Requests for a round.
type Requests<'r> = &'r dyn Fn(usize) -> Vec<Bytes>;

/// What a path came to.
struct Taken {
    bytes: usize,
    /// Of each process that was asked; the constant handler's come last.
    figures: Vec<Figures>,
}

impl Taken {
    /// A line about the first process.
    fn line(mut self, path: &str) -> (Line, Vec<Figures>) {
        let ours = self.figures.remove(0);
        let line = Line {
            path: path.to_owned(),
            bytes: Some(self.bytes),
            constant: self.figures.last().map(|constant| (constant.cpu, ours.ratio(constant))),
            figures: Some(ours),
            ..Line::default()
        };
        (line, self.figures)
    }
}

/// Many people who ask for what is in memory.
fn many(scale: f64) -> Amount {
    amount(10_000, 16, scale)
}

/// One after the other: people who ask for the same page at once would share one look at the database.
fn one_by_one(scale: f64) -> Amount {
    amount(1_000, 1, scale)
}

fn amount(requests: usize, connections: usize, scale: f64) -> Amount {
    Amount {
        requests: ((requests as f64 * scale) as usize).max(50),
        connections,
    }
}

impl Part<'_> {
    /// Answers from memory, and beacons.
    pub fn cached(&mut self, process: &Process) -> Result<(), String> {
        let slugs = slugs(process)?;
        let story = slugs.first().ok_or("the newsroom has no stories")?;
        let story = format!("/delivery/v1/articles/{story}");
        for (what, target) in [("one article", story.as_str()), ("newest 20", FIRST_PAGE)] {
            for coding in ["identity", "gzip", "br"] {
                let path = format!("{what}, cached, {coding}");
                let asked = |_| vec![request("GET", target, &[("Accept-Encoding", coding)])];
                self.answered_from_memory(&path, process, &asked, 200, coding, CACHED)?;
            }
            let tag = ask(process.address, &request("GET", target, &[]))?
                .header("etag")
                .to_owned();
            let asked = |_| vec![request("GET", target, &[("If-None-Match", &tag)])];
            self.answered_from_memory(
                &format!("{what}, cached, 304"),
                process,
                &asked,
                304,
                "identity",
                CACHED,
            )?;
        }
        self.pictures(process)?;
        let fresh = beacons(&slugs, many(self.scale).requests);
        self.answered_from_memory(
            "view beacon, every reader new",
            process,
            &fresh,
            202,
            "identity",
            CACHED,
        )?;
        let again = |_| vec![beacon(&slugs[0], 0)];
        self.answered_from_memory("view beacon, the same again", process, &again, 202, "identity", CACHED)?;
        if "most viewed, cached".contains(self.paths) {
            views_written(process)?;
        }
        for (path, target) in [
            ("most viewed, cached", MOST_VIEWED.to_owned()),
            ("search: words of half, cached", search(HALF)),
        ] {
            let asked = |_| vec![request("GET", &target, &[])];
            let taken = self.take(path, &[(process, &asked)], 200, "identity", many(self.scale))?;
            if let Some(taken) = taken {
                self.report.add(taken.line(path).0);
            }
        }
        Ok(())
    }

    fn answered_from_memory(
        &mut self,
        path: &str,
        process: &Process,
        asked: Requests<'_>,
        status: u16,
        coding: &str,
        limit: f64,
    ) -> Result<(), String> {
        let Some(taken) = self.take(path, &[(process, asked)], status, coding, many(self.scale))? else {
            return Ok(());
        };
        let (mut line, _) = taken.line(path);
        line.goal = line.constant.and_then(|(_, ratio)| Goal::at_most(ratio, limit, ""));
        self.report.add(line);
        Ok(())
    }

    /// Variants of a picture that somebody has asked for before.
    fn pictures(&mut self, process: &Process) -> Result<(), String> {
        let variants = [("320", "webp"), ("640", "webp"), ("960", "jpg")];
        let name = |(width, format): (&str, &str)| format!("picture {width} wide as {format}, cached");
        if !variants.iter().any(|variant| name(*variant).contains(self.paths)) {
            return Ok(());
        }
        let original = Desk::sign_in(process)?.upload_photo()?;
        for variant in variants {
            let target = original.replace(".jpg", &format!("-w{}.{}", variant.0, variant.1));
            let asked = |_| vec![request("GET", &target, &[])];
            self.answered_from_memory(&name(variant), process, &asked, 200, "identity", PICTURE)?;
        }
        Ok(())
    }

    /// The same questions to a process that keeps no answers, and to a smaller newsroom beside it, if there is one.
    pub fn uncached(&mut self, process: &Process, small: Option<&Process>) -> Result<(), String> {
        if small.is_none() {
            self.one_article(process)?;
        }
        self.list(
            "newest 20, uncached",
            FIRST_PAGE,
            process,
            small,
            self.stories >= 1_000_000,
        )?;
        self.deep_page(process)?;
        let (section, tag) = filters(process)?;
        self.list("newest 20 of a section, uncached", &section, process, small, false)?;
        self.list("newest 20 of a 1 % tag, uncached", &tag, process, small, false)?;
        self.list("most viewed, uncached", MOST_VIEWED, process, small, false)?;
        if self.stories <= 100_000 {
            self.search(
                "search: two words of half, uncached",
                HALF,
                process,
                small,
                [15.0, 40.0],
            )?;
            self.search("search: two words of 1 %, uncached", RARE, process, small, [3.0, 15.0])?;
        }
        Ok(())
    }

    fn one_article(&mut self, process: &Process) -> Result<(), String> {
        let path = "one article, uncached";
        let slugs = slugs(process)?;
        let all = |_| {
            let targets = slugs.iter().map(|slug| format!("/delivery/v1/articles/{slug}"));
            targets.map(|target| request("GET", &target, &[])).collect()
        };
        let amount = amount(2_000, 16, self.scale);
        if let Some(taken) = self.take(path, &[(process, &all)], 200, "identity", amount)? {
            let (mut line, _) = taken.line(path);
            let ratio = line.constant.filter(|_| self.backend.is_sqlite());
            line.goal = ratio.and_then(|(_, ratio)| Goal::at_most(ratio, UNCACHED, ""));
            self.report.add(line);
        }
        Ok(())
    }

    fn list(
        &mut self,
        path: &str,
        target: &str,
        process: &Process,
        small: Option<&Process>,
        measured_by_growth: bool,
    ) -> Result<(), String> {
        let asked = |_: usize| vec![request("GET", target, &[])];
        let mut sides: Vec<(&Process, Requests<'_>)> = vec![(process, &asked)];
        sides.extend(small.map(|small| (small, &asked as Requests<'_>)));
        let Some(taken) = self.take(path, &sides, 200, "identity", one_by_one(self.scale))? else {
            return Ok(());
        };
        let (mut line, others) = taken.line(path);
        if let (Some(ours), true) = (&line.figures, small.is_some()) {
            let growth = ours.ratio(&others[0]);
            line.note = format!("{growth:.2} × the small newsroom");
            line.goal = Goal::at_most(growth, SAME, " ×").filter(|_| measured_by_growth);
        }
        self.report.add(line);
        Ok(())
    }

    fn deep_page(&mut self, process: &Process) -> Result<(), String> {
        let depth = DEEP.min(self.stories / 2);
        let path = format!("page {depth} stories in, uncached");
        let deep = cursor_at(process, depth)?;
        let deep = |_: usize| vec![request("GET", &format!("{FIRST_PAGE}&cursor={deep}"), &[])];
        let first = |_: usize| vec![request("GET", FIRST_PAGE, &[])];
        let sides: [(&Process, Requests<'_>); 2] = [(process, &deep), (process, &first)];
        let Some(taken) = self.take(&path, &sides, 200, "identity", one_by_one(self.scale))? else {
            return Ok(());
        };
        let (mut line, others) = taken.line(&path);
        if let Some(ours) = &line.figures {
            let ratio = ours.ratio(&others[0]);
            line.note = format!("{ratio:.2} × the first page");
            line.goal = Goal::at_most(ratio, SAME, " ×");
        }
        self.report.add(line);
        Ok(())
    }

    fn search(
        &mut self,
        path: &str,
        words: &str,
        process: &Process,
        small: Option<&Process>,
        limits: [f64; 2],
    ) -> Result<(), String> {
        let asked = |_: usize| vec![request("GET", &search(words), &[])];
        let mut sides: Vec<(&Process, Requests<'_>)> = vec![(process, &asked)];
        sides.extend(small.map(|small| (small, &asked as Requests<'_>)));
        let Some(taken) = self.take(path, &sides, 200, "identity", amount(100, 1, self.scale))? else {
            return Ok(());
        };
        let (mut line, others) = taken.line(path);
        if let Some(ours) = line.figures.as_ref().filter(|_| small.is_some()) {
            line.note = format!("{:.2} × the small newsroom", ours.ratio(&others[0]));
        }
        if let Some(ours) = line.figures.as_ref().filter(|_| self.stories == 100_000) {
            let limit = limits[usize::from(!self.backend.is_sqlite())];
            line.goal = Goal::at_most(ours.p50, limit, " ms p50");
        }
        self.report.add(line);
        Ok(())
    }

    /// Measures in turn with a constant handler of the first side's answer. None when the path is not there.
    fn take(
        &mut self,
        path: &str,
        sides: &[(&Process, Requests<'_>)],
        status: u16,
        coding: &str,
        amount: Amount,
    ) -> Result<Option<Taken>, String> {
        if !path.contains(self.paths) {
            return Ok(None);
        }
        let wrong = |error: String| format!("{path}: {error}");
        let mut samples = Vec::new();
        for (process, requests) in sides {
            match sample(process, *requests, status, coding).map_err(wrong)? {
                Ok(sample) => samples.push(sample),
                Err(absent) => {
                    self.report.add(Line {
                        path: path.to_owned(),
                        note: format!("not there ({absent})"),
                        ..Line::default()
                    });
                    return Ok(None);
                }
            }
        }
        let first = samples.first().ok_or("nobody is asked")?;
        let folder = self.backend.folder("");
        let constant = constant::start(&folder, first).map_err(wrong)?;
        let asked = sides.first().map(|(_, requests)| *requests).ok_or("nobody is asked")?;
        let mut all: Vec<Side<'_>> = Vec::new();
        for ((process, requests), sample) in sides.iter().zip(&samples) {
            // Several addresses, several bodies.
            let alike = requests(0).len() == 1;
            all.push(Side {
                process,
                requests: *requests,
                status,
                body: alike.then_some(sample.body.as_slice()),
            });
        }
        all.push(Side {
            process: &constant,
            requests: asked,
            status,
            body: Some(&first.body),
        });
        let figures = in_turn(&all, amount).map_err(wrong)?;
        drop(all);
        Ok(Some(Taken {
            bytes: first.body.len(),
            figures,
        }))
    }
}
