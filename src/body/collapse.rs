//! White space of HTML.

use super::build::{Marks, Run};

/// Collapses white space as a browser does: runs become one space, none remain at the ends of lines.
#[derive(Default)]
pub(super) struct Collapse {
    runs: Vec<Run>,
    space: Option<Marks>,
    /// Something has been read in this line.
    filled: bool,
}

impl Collapse {
    /// Text as it stands in the source.
    pub(super) fn text(&mut self, text: &str, marks: &Marks) {
        for c in text.chars() {
            if matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
                if self.filled && self.space.is_none() {
                    self.space = Some(marks.clone());
                }
                continue;
            }
            if let Some(space) = self.space.take() {
                self.push(' ', &space);
            }
            self.push(c, marks);
            self.filled = true;
        }
    }

    /// Text of `pre`.
    pub(super) fn verbatim(&mut self, text: &str, marks: &Marks) {
        for c in text.chars().filter(|c| *c != '\r') {
            self.push(c, marks);
            self.filled |= c != '\n';
        }
    }

    /// A `br`.
    pub(super) fn break_line(&mut self, marks: &Marks) {
        self.space = None;
        self.filled = false;
        self.push('\n', marks);
    }

    /// The text up to here. A break at its end shows nothing in a browser: it only ends the last line.
    pub(super) fn take(&mut self) -> Vec<Run> {
        let mut line = std::mem::take(self);
        if let Some(last) = line.runs.last_mut()
            && last.text.ends_with('\n')
        {
            last.text.pop();
        }
        line.runs.retain(|run| !run.text.is_empty());
        line.runs
    }

    fn push(&mut self, c: char, marks: &Marks) {
        match self.runs.last_mut() {
            Some(run) if run.marks == *marks => run.text.push(c),
            _ => self.runs.push(Run {
                text: c.to_string(),
                marks: marks.clone(),
            }),
        }
    }
}
