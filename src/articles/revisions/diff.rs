//! The difference of two revisions, word by word.

use std::time::{Duration, Instant};

use serde::Serialize;
use similar::{Algorithm, ChangeTag, TextDiff};
use utoipa::ToSchema;

use crate::articles::{CaptionContent, Content, Snapshot};
use crate::types::Id;

/// How long the comparison looks for the shortest difference; what is left then is told as taken out and put in.
const TIME: Duration = Duration::from_millis(300);

/// What became of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffOp {
    /// It is in both.
    Equal,
    /// It was taken out.
    Delete,
    /// It was put in.
    Insert,
}

/// A piece of text. The pieces that are not `insert` make up the text before, those that are not `delete` the text after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct DiffPart {
    /// What became of it.
    pub op: DiffOp,
    /// The text itself.
    #[schema(example = "sông Cầu")]
    pub text: String,
}

/// What became of a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaptionChange {
    /// It is the same in both.
    Unchanged,
    /// Its words, its image, its role or its position are others.
    Changed,
    /// It is new.
    Added,
    /// It is gone.
    Removed,
}

/// A caption in both revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CaptionDiff {
    /// The caption's id.
    pub id: Id,
    /// The image it places, or placed.
    pub image_id: Id,
    /// What became of it.
    pub change: CaptionChange,
    /// Its own text.
    pub text: Vec<DiffPart>,
    /// Its own alternative text.
    pub alt: Vec<DiffPart>,
    /// Its own credit.
    pub credit: Vec<DiffPart>,
}

/// The words of two revisions, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Names of the properties that differ.
    pub changed: Vec<&'static str>,
    /// Headline.
    pub title: Vec<DiffPart>,
    /// Line above the headline.
    pub kicker: Vec<DiffPart>,
    /// Opening paragraph.
    pub lead: Vec<DiffPart>,
    /// The body as plain text.
    pub body: Vec<DiffPart>,
    /// The captions of the second, then those that only the first has.
    pub captions: Vec<CaptionDiff>,
}

/// Compares two revisions within a time.
pub fn compare(before: &Snapshot, after: &Snapshot) -> Compared {
    let deadline = Instant::now() + TIME;
    let words = |before: Option<&str>, after: Option<&str>| {
        let (before, after) = (before.unwrap_or_default(), after.unwrap_or_default());
        compare_words(before, after, deadline)
    };
    let (old, new) = (&before.content, &after.content);
    Compared {
        changed: changed(before, after),
        title: words(Some(&old.title), Some(&new.title)),
        kicker: words(old.kicker.as_deref(), new.kicker.as_deref()),
        lead: words(old.lead.as_deref(), new.lead.as_deref()),
        captions: captions(&before.captions, &after.captions, deadline),
        // The longest comes last, so that it takes nobody's time.
        body: words(Some(&old.body.to_text()), Some(&new.body.to_text())),
    }
}

/// Names of the properties that differ, as writes name them.
fn changed(before: &Snapshot, after: &Snapshot) -> Vec<&'static str> {
    let differs: [(&'static str, bool); 15] = {
        let (a, b): (&Content, &Content) = (&before.content, &after.content);
        [
            ("title", a.title != b.title),
            ("slug", a.slug != b.slug),
            ("kicker", a.kicker != b.kicker),
            ("lead", a.lead != b.lead),
            ("dateline", a.dateline != b.dateline),
            ("body", a.body != b.body),
            ("language", a.language != b.language),
            ("translation_of", before.translation_group != after.translation_group),
            ("section_id", a.section_id != b.section_id),
            ("tag_ids", a.tag_ids != b.tag_ids),
            ("author_ids", a.author_ids != b.author_ids),
            ("source", a.source != b.source),
            ("seo", a.seo != b.seo),
            ("feedback_open", a.feedback_open != b.feedback_open),
            ("featured", a.featured != b.featured),
        ]
    };
    let names = differs
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| name);
    let captions = (before.captions != after.captions).then_some("captions");
    names.chain(captions).collect()
}

fn captions(before: &[CaptionContent], after: &[CaptionContent], deadline: Instant) -> Vec<CaptionDiff> {
    let find = |list: &[CaptionContent], id: &Id| list.iter().find(|caption| caption.id == *id).cloned();
    let kept = after.iter().map(|new| (find(before, &new.id), Some(new.clone())));
    let removed = before.iter().filter(|old| find(after, &old.id).is_none());
    kept.chain(removed.map(|old| (Some(old.clone()), None)))
        .filter_map(|(old, new)| caption(old.as_ref(), new.as_ref(), deadline))
        .collect()
}

fn caption(old: Option<&CaptionContent>, new: Option<&CaptionContent>, deadline: Instant) -> Option<CaptionDiff> {
    let change = match (old, new) {
        (Some(old), Some(new)) if old == new => CaptionChange::Unchanged,
        (Some(_), Some(_)) => CaptionChange::Changed,
        (None, _) => CaptionChange::Added,
        (_, None) => CaptionChange::Removed,
    };
    let words = |of: fn(&CaptionContent) -> &Option<String>| {
        let text = |caption: Option<&CaptionContent>| caption.and_then(|caption| of(caption).clone());
        compare_words(&text(old).unwrap_or_default(), &text(new).unwrap_or_default(), deadline)
    };
    let shown = new.or(old)?;
    Some(CaptionDiff {
        id: shown.id.clone(),
        image_id: shown.image_id.clone(),
        change,
        text: words(|caption| &caption.text),
        alt: words(|caption| &caption.alt),
        credit: words(|caption| &caption.credit),
    })
}

/// The difference of two texts. Words are those of Unicode, so that a comma is not a part of one.
fn compare_words(before: &str, after: &str, deadline: Instant) -> Vec<DiffPart> {
    let diff = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .deadline(deadline)
        .diff_unicode_words(before, after);
    let mut parts: Vec<DiffPart> = Vec::new();
    for change in diff.iter_all_changes() {
        let op = match change.tag() {
            ChangeTag::Equal => DiffOp::Equal,
            ChangeTag::Delete => DiffOp::Delete,
            ChangeTag::Insert => DiffOp::Insert,
        };
        match parts.last_mut() {
            Some(last) if last.op == op => last.text.push_str(change.value()),
            _ => parts.push(DiffPart {
                op,
                text: change.value().to_owned(),
            }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn later() -> Instant {
        Instant::now() + TIME
    }

    fn of(parts: &[DiffPart], without: DiffOp) -> String {
        let kept = parts.iter().filter(|part| part.op != without);
        kept.map(|part| part.text.as_str()).collect()
    }

    #[test]
    fn a_word_that_changed_is_told_alone() {
        let parts = compare_words("Nước sông Cầu lên, dân lo.", "Nước sông Cầu rút, dân lo.", later());
        let told: Vec<(DiffOp, &str)> = parts.iter().map(|part| (part.op, part.text.as_str())).collect();
        assert_eq!(
            told,
            [
                (DiffOp::Equal, "Nước sông Cầu "),
                (DiffOp::Delete, "lên"),
                (DiffOp::Insert, "rút"),
                (DiffOp::Equal, ", dân lo."),
            ]
        );
        assert_eq!(compare_words("", "", later()), []);
    }

    #[test]
    fn long_texts_without_anything_in_common_take_their_time_and_no_more() {
        let text = |start: usize| {
            (0..60_000)
                .map(|n| format!("{} ", (n * 7919 + start) % 50_021))
                .collect::<String>()
        };
        let (before, after) = (text(0), text(17));
        let start = Instant::now();
        let parts = compare_words(&before, &after, later());
        let took = start.elapsed();
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(
            (of(&parts, DiffOp::Insert), of(&parts, DiffOp::Delete)),
            (before, after)
        );
    }

    proptest! {
        #[test]
        fn both_texts_can_be_made_of_the_parts(before in "[ab à.,\n]{0,40}", after in "[ab à.,\n]{0,40}") {
            let parts = compare_words(&before, &after, later());
            prop_assert_eq!(of(&parts, DiffOp::Insert), before);
            prop_assert_eq!(of(&parts, DiffOp::Delete), after);
            prop_assert!(parts.windows(2).all(|pair| pair[0].op != pair[1].op));
        }
    }
}
