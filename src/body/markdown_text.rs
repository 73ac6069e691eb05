//! The text of one block as Markdown that reads back as exactly that text.
//!
//! A line is a list of pieces. Characters that mean something are escaped one by one. Whether `**`, `_` and `~~` open or
//! close depends on the characters next to them (the flanking rules of CommonMark), so in a second step those
//! neighbours are written as character references wherever the plain ones would not do.

use std::fmt;

use super::build::{Marks, Run, join, settle_breaks};
use super::{TextBlock, html_out};

/// A part of a line.
enum Piece {
    /// A character, and how it is written.
    Char(char, String),
    /// `**`, `_` or `~~`.
    Open(&'static str),
    /// The end of the same.
    Close(&'static str),
    /// Anything that starts and ends with punctuation.
    Raw(String),
    /// A line break that leads to a new line of the source.
    Break,
}

/// How the flanking rules see a neighbour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Space,
    Punctuation,
    Letter,
    /// What parsers may see differently, such as marks and symbols of newer Unicode versions.
    Doubtful,
}

/// The text of a block under construction.
pub(super) struct Line {
    pieces: Vec<Piece>,
}

/// Text without marks. `lines` says whether it may take more than one line of the source; headings may not.
pub(super) fn unmarked(text: &str, lines: bool) -> String {
    Line::plain(text).finish(lines, false)
}

/// The text of a block. `lines` says whether it may take more than one line of the source; headings may not.
pub(super) fn inline(block: &TextBlock, lines: bool) -> String {
    let mut line = Line { pieces: Vec::new() };
    line.runs(&settle_breaks(runs(block)), true);
    line.finish(lines, false)
}

/// Plain text for a table cell.
pub(super) fn escape_cell(text: &str) -> String {
    let mut line = Line { pieces: Vec::new() };
    line.text(text);
    line.finish(false, true)
}

/// The address of a link. Parsers resolve character references before they take off backslashes, so an ampersand is
/// kept by the one and brackets by the other.
pub(super) fn destination(href: &str) -> String {
    let mut out = String::with_capacity(href.len());
    for (index, c) in href.char_indices() {
        let rest = href.get(index..).unwrap_or_default();
        match c {
            '&' if rest.contains(';') => out.push_str("&amp;"),
            '(' | ')' | '<' | '>' | '`' | '|' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// The runs of a block; each stretch under one link counts as a link of its own.
fn runs(block: &TextBlock) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::with_capacity(block.children.len());
    let mut last: Option<&str> = None;
    let mut number = 0;
    for span in block.children.iter().filter(|span| !span.text.is_empty()) {
        let has = |name: &str| span.marks.iter().any(|mark| mark == name);
        let link = block.mark_defs.iter().find(|link| has(&link.key));
        let key = link.map(|link| link.key.as_str());
        if key != last {
            number += 1;
            last = key;
        }
        let marks = Marks {
            strong: has("strong"),
            em: has("em"),
            code: has("code"),
            underline: has("underline"),
            strike: has("strike-through"),
            link: link.map(|link| (number, link.href.clone())),
        };
        runs.push(Run {
            text: span.text.clone(),
            marks,
        });
    }
    join(runs)
}

/// What a mark is called while marks are nested, with what opens and what closes it.
fn delimiters(mark: &str) -> (Piece, Piece) {
    match mark {
        "strong" => (Piece::Open("**"), Piece::Close("**")),
        "em" => (Piece::Open("_"), Piece::Close("_")),
        "strike-through" => (Piece::Open("~~"), Piece::Close("~~")),
        _ => (Piece::Raw("<u>".to_owned()), Piece::Raw("</u>".to_owned())),
    }
}

/// The names of the marks that go around text, without code and links.
fn names(marks: &Marks) -> Vec<String> {
    let all = [
        (marks.strong, "strong"),
        (marks.em, "em"),
        (marks.underline, "underline"),
        (marks.strike, "strike-through"),
    ];
    all.iter()
        .filter(|(on, _)| *on)
        .map(|(_, name)| (*name).to_owned())
        .collect()
}

/// A stretch of text that is opened and closed as one: a link with all that is in it, or a run.
struct Unit<'r> {
    runs: &'r [Run],
    names: Vec<String>,
}

/// Links stay whole. Marks that all of a link has may stand around it, the others stand inside.
fn units(runs: &[Run], links: bool) -> Vec<Unit<'_>> {
    let same = |a: &Run, b: &Run| links && a.marks.link.is_some() && a.marks.link == b.marks.link;
    runs.chunk_by(same)
        .map(|runs| {
            let mut common: Vec<String> = runs.first().map(|run| names(&run.marks)).unwrap_or_default();
            common.retain(|name| runs.iter().all(|run| names(&run.marks).contains(name)));
            Unit { runs, names: common }
        })
        .collect()
}

impl Line {
    /// Text without marks, for the alt text of a figure and the like.
    pub(super) fn plain(text: &str) -> Self {
        let mut line = Self { pieces: Vec::new() };
        line.text(text);
        line
    }

    /// A header cell that is not in the head of its table.
    pub(super) fn strong_cell(text: &str) -> String {
        let mut line = Self {
            pieces: vec![Piece::Open("**")],
        };
        line.text(text);
        line.pieces.push(Piece::Close("**"));
        line.finish(false, true)
    }

    fn runs(&mut self, runs: &[Run], links: bool) {
        let units = units(runs, links);
        let marks: Vec<&[String]> = units.iter().map(|unit| unit.names.as_slice()).collect();
        let mut open: Vec<&str> = Vec::new();
        for (index, unit) in units.iter().enumerate() {
            let mut needed = html_out::nested_marks(&marks, index);
            let mut kept = 0;
            while let Some(position) = open
                .get(kept)
                .and_then(|mark| needed.iter().position(|needed| needed == mark))
            {
                needed.remove(position);
                kept += 1;
            }
            self.close(&mut open, kept);
            for mark in needed {
                self.pieces.push(delimiters(mark).0);
                open.push(mark);
            }
            self.unit(unit, links);
        }
        self.close(&mut open, 0);
    }

    fn close(&mut self, open: &mut Vec<&str>, keep: usize) {
        while open.len() > keep {
            if let Some(mark) = open.pop() {
                self.pieces.push(delimiters(mark).1);
            }
        }
    }

    fn unit(&mut self, unit: &Unit<'_>, links: bool) {
        match unit.runs.first() {
            Some(Run {
                marks: Marks {
                    link: Some((_, href)), ..
                },
                ..
            }) if links => {
                self.pieces.push(Piece::Raw("[".to_owned()));
                let inner: Vec<Run> = unit.runs.iter().map(|run| without(run, &unit.names)).collect();
                self.runs(&inner, false);
                self.pieces.push(Piece::Raw(format!("]({})", destination(href))));
            }
            Some(run) if run.marks.code => self.code(&run.text),
            Some(run) => self.text(&run.text),
            None => {}
        }
    }

    fn text(&mut self, text: &str) {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let written = match c {
                '\n' => {
                    self.pieces.push(Piece::Break);
                    continue;
                }
                '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '|' => format!("\\{c}"),
                '&' if chars
                    .peek()
                    .is_none_or(|next| next.is_ascii_alphanumeric() || *next == '#') =>
                {
                    "\\&".to_owned()
                }
                '!' if chars.peek().is_none() => "\\!".to_owned(),
                '\u{a0}' => "&nbsp;".to_owned(),
                c if c != ' ' && c.is_whitespace() => reference(c),
                c => c.to_string(),
            };
            self.pieces.push(Piece::Char(c, written));
        }
    }

    /// Code takes no escapes; a longer fence keeps its backticks apart. Line breaks stand between pieces of code.
    fn code(&mut self, text: &str) {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.pieces.push(Piece::Break);
            }
            if line.is_empty() {
                continue;
            }
            let lengths: Vec<usize> = line.split(|c| c != '`').map(str::len).collect();
            let length = (1..).find(|length| !lengths.contains(length)).unwrap_or(1);
            let fence = "`".repeat(length);
            let edges = |edge: char| (line.starts_with(edge), line.ends_with(edge));
            let spaced = edges(' ') == (true, true) && line.chars().any(|c| c != ' ');
            let pad = if spaced || edges('`') != (false, false) {
                " "
            } else {
                ""
            };
            self.pieces.push(Piece::Raw(format!("{fence}{pad}{line}{pad}{fence}")));
        }
    }

    fn finish(mut self, lines: bool, cell: bool) -> String {
        self.settle_breaks(lines, cell);
        self.settle_edges(!lines && !cell);
        self.settle_neighbours();
        let mut out = self.to_string();
        // A tag alone in the first line would start a block of HTML.
        if !cell && lines && (out == "<br>" || out.starts_with("<br>\\\n")) {
            out.insert_str(0, "<u></u>");
        }
        out
    }

    /// A line break is a backslash at the end of a line where that works: not at the end of the text, not next to what
    /// opens or closes a mark (which needs a neighbour that is no white space), not where all has to be in one line.
    fn settle_breaks(&mut self, lines: bool, cell: bool) {
        let count = self.pieces.len();
        for index in 0..count {
            if !matches!(self.pieces.get(index), Some(Piece::Break)) {
                continue;
            }
            let beside = |piece: Option<&Piece>| matches!(piece, None | Some(Piece::Open(_) | Piece::Close(_)));
            let before = index.checked_sub(1).and_then(|before| self.pieces.get(before));
            let next = self.pieces.get(index + 1);
            let at_start = index == 0 && next.is_some();
            if !lines || cell || next.is_none() || (beside(before) && !at_start) || beside(next) {
                self.set(index, Piece::Raw("<br>".to_owned()));
            }
        }
    }

    /// The white space around lines is cut off when Markdown is read, and what a line starts with may begin a list, a
    /// heading or the like.
    fn settle_edges(&mut self, heading: bool) {
        let count = self.pieces.len();
        let mut start = true;
        for index in 0..count {
            let end = matches!(self.pieces.get(index + 1), None | Some(Piece::Break));
            if start {
                self.escape_start(index);
            }
            start = matches!(self.pieces.get(index), Some(Piece::Break));
            if let Some(Piece::Char(c, written)) = self.pieces.get_mut(index)
                && end
            {
                match c {
                    c if c.is_whitespace() => *written = reference(*c),
                    // The end of a heading may be marked with `#`.
                    '#' if heading => *written = "\\#".to_owned(),
                    _ => {}
                }
            }
        }
    }

    fn escape_start(&mut self, index: usize) {
        let digits = self.pieces[index..]
            .iter()
            .take_while(|piece| matches!(piece, Piece::Char('0'..='9', _)))
            .count();
        let marker = index + digits;
        match self.pieces.get_mut(marker) {
            Some(Piece::Char(c @ ('.' | ')'), written)) if digits > 0 => *written = format!("\\{c}"),
            Some(Piece::Char(c @ ('#' | '-' | '+' | '=' | ':'), written)) if digits == 0 => *written = format!("\\{c}"),
            Some(Piece::Char(c, written)) if digits == 0 && c.is_whitespace() => *written = reference(*c),
            _ => {}
        }
    }

    fn settle_neighbours(&mut self) {
        // Each round only turns characters into references, so this ends; more than a few rounds are not seen.
        while self.settle_round() {}
    }

    fn settle_round(&mut self) -> bool {
        let mut changed = false;
        for index in 0..self.pieces.len() {
            let (delimiter, inner, outer) = match self.pieces.get(index) {
                Some(Piece::Open(delimiter)) => (*delimiter, self.neighbour(index, true), self.neighbour(index, false)),
                Some(Piece::Close(delimiter)) => {
                    (*delimiter, self.neighbour(index, false), self.neighbour(index, true))
                }
                _ => continue,
            };
            let mut inner_kind = self.kind(inner);
            if matches!(inner_kind, Kind::Space | Kind::Doubtful) {
                changed |= self.refer(inner);
                inner_kind = Kind::Punctuation;
            }
            let between_letters = inner_kind == Kind::Letter && delimiter == "_";
            match self.kind(outer) {
                Kind::Doubtful => changed |= self.refer(outer),
                Kind::Letter if between_letters || inner_kind == Kind::Punctuation => changed |= self.refer(outer),
                _ => {}
            }
        }
        changed
    }

    /// The piece next to a delimiter. Parsers look through `~` when they judge, and so do we.
    fn neighbour(&self, index: usize, forward: bool) -> Option<usize> {
        let mut at = index;
        loop {
            at = if forward { at + 1 } else { at.checked_sub(1)? };
            match self.pieces.get(at)? {
                Piece::Open("~~") | Piece::Close("~~") => {}
                _ => return Some(at),
            }
        }
    }

    fn kind(&self, index: Option<usize>) -> Kind {
        match index.and_then(|index| self.pieces.get(index)) {
            None | Some(Piece::Break) => Kind::Space,
            Some(Piece::Open(_) | Piece::Close(_) | Piece::Raw(_)) => Kind::Punctuation,
            // Written as an escape or a reference.
            Some(Piece::Char(_, written)) if written.len() > 1 && written.is_ascii() => Kind::Punctuation,
            Some(Piece::Char(c, _)) if c.is_ascii_punctuation() => Kind::Punctuation,
            Some(Piece::Char(' ', _)) => Kind::Space,
            Some(Piece::Char(c, _)) if c.is_alphanumeric() => Kind::Letter,
            Some(Piece::Char(..)) => Kind::Doubtful,
        }
    }

    fn refer(&mut self, index: Option<usize>) -> bool {
        match index.and_then(|index| self.pieces.get_mut(index)) {
            Some(Piece::Char(c, written)) => {
                *written = reference(*c);
                true
            }
            _ => false,
        }
    }

    fn set(&mut self, index: usize, piece: Piece) {
        if let Some(place) = self.pieces.get_mut(index) {
            *place = piece;
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Char(_, written) | Piece::Raw(written) => f.write_str(written),
            Piece::Open(delimiter) | Piece::Close(delimiter) => f.write_str(delimiter),
            Piece::Break => f.write_str("\\\n"),
        })
    }
}

fn without(run: &Run, names: &[String]) -> Run {
    let keep = |on: bool, name: &str| on && !names.iter().any(|known| known == name);
    let marks = Marks {
        strong: keep(run.marks.strong, "strong"),
        em: keep(run.marks.em, "em"),
        underline: keep(run.marks.underline, "underline"),
        strike: keep(run.marks.strike, "strike-through"),
        ..run.marks.clone()
    };
    Run {
        text: run.text.clone(),
        marks,
    }
}

fn reference(c: char) -> String {
    format!("&#{};", u32::from(c))
}
