//! What the newsroom may do with an image, and until when.
//!
//! A story that shows an image whose right has ended is not published (or, by a setting, published with a warning); a job
//! ([`watch`]) tells in time that a right ends. Stories that are public already are not taken down: whether a picture has
//! to go, or the licence is renewed, is for people to decide.

pub mod mail;
pub mod watch;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::articles::CaptionContent;
use crate::db::Conn;
use crate::error::{Code, FieldError, Problem, Result};
use crate::schema::images;
use crate::text::Check;
use crate::types::{Id, Patch, Time};

/// Of an image's right it has been told that it ends soon.
pub const TOLD_AHEAD: i64 = 1;
/// It has been told that it has ended; the literal [`crate::literals::ToldEnded`] is the same.
pub const TOLD_ENDED: i64 = 2;

/// Images that one refusal names in its sentence; all of them are in its list.
const NAMED: usize = 3;

/// `RIGHTS_EXPIRED`: what becomes of publishing a story with an image whose right has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiredRights {
    /// It is refused.
    Refuse,
    /// It is done; the article's `warnings` tell.
    Warn,
}

/// What the newsroom may do with an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageRights {
    /// The licence or the contract.
    #[schema(required = true, example = "CC BY 4.0")]
    pub licence: Option<String>,
    /// Where it comes from.
    #[schema(required = true, example = "TTXVN")]
    pub source: Option<String>,
    /// When the right to show it ends. From then on no story that places it is published.
    #[schema(required = true)]
    pub expires_at: Option<Time>,
    /// Countries where it may be shown (ISO 3166-1 alpha-2); none means everywhere. Colleagues and front ends heed them:
    /// the API does not know where a reader is.
    #[serde(default)]
    #[schema(example = json!(["VN", "LA"]))]
    pub regions: Vec<String>,
    /// Anything else colleagues have to know.
    #[schema(required = true)]
    pub notes: Option<String>,
}

/// Rights as they are sent; what is absent stays, null clears.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageRightsInput {
    /// The licence or the contract.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 200, example = "CC BY 4.0")]
    pub licence: Patch<String>,
    /// Where it comes from.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 200)]
    pub source: Patch<String>,
    /// When the right to show it ends.
    #[serde(default)]
    #[schema(value_type = Option<Time>, required = false)]
    pub expires_at: Patch<Time>,
    /// Countries where it may be shown (ISO 3166-1 alpha-2, upper case); none means everywhere.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, required = false, example = json!(["VN", "LA"]))]
    pub regions: Patch<Vec<String>>,
    /// Anything else colleagues have to know.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 2000)]
    pub notes: Patch<String>,
}

impl ImageRightsInput {
    /// Checks every rule and brings the texts into the form they are kept in.
    pub fn check(&mut self, check: &mut Check) {
        super::line(check, "/rights/licence", &mut self.licence, 200);
        super::line(check, "/rights/source", &mut self.source, 200);
        super::text(check, "/rights/notes", &mut self.notes, 2000);
        if let Patch::Set(regions) = &mut self.regions {
            for (place, region) in regions.iter().enumerate() {
                if !is_country(region) {
                    let detail = "A region is a country's code by ISO 3166-1 alpha-2 in upper case, such as VN.";
                    check.fail(format!("/rights/regions/{place}"), "invalid_value", detail);
                }
            }
            regions.sort();
            regions.dedup();
        }
    }

    /// Writes the patch over the rights.
    pub fn apply(self, to: &mut ImageRights) {
        self.licence.apply(&mut to.licence);
        self.source.apply(&mut to.source);
        self.expires_at.apply(&mut to.expires_at);
        self.notes.apply(&mut to.notes);
        if let Some(regions) = self.regions.change() {
            to.regions = regions.unwrap_or_default();
        }
    }
}

/// The codes that ISO 3166-1 has given to countries and territories.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT \
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM \
    FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO \
    JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
    MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA \
    SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US \
    UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

fn is_country(code: &str) -> bool {
    code.len() == 2 && COUNTRIES.split_ascii_whitespace().any(|known| known == code)
}

/// An image of a story whose right has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExpiredRight {
    /// The image.
    pub image_id: Id,
    /// The caption that places it.
    pub caption_id: Id,
    /// When its right ended.
    pub expires_at: Time,
}

/// A placed image whose right ends before some time.
struct Ending<'c> {
    place: usize,
    caption: &'c CaptionContent,
    filename: String,
    own_caption: Option<String>,
    end: Time,
}

impl Ending<'_> {
    /// The image and its caption, as an editor knows them.
    fn named(&self) -> String {
        let words = self.caption.text.as_ref().or(self.own_caption.as_ref());
        match words {
            Some(words) => format!("{:?} (caption {:?})", self.filename, shortened(words)),
            None => format!("{:?} (a caption without text)", self.filename),
        }
    }

    fn error(&self, now: Time) -> FieldError {
        let (code, detail) = if self.end <= now {
            (
                "rights_expired",
                format!("The right to show {} ended at {}.", self.named(), self.end),
            )
        } else {
            (
                "rights_expiring",
                format!("The right to show {} ends at {}.", self.named(), self.end),
            )
        };
        FieldError::at(format!("/captions/{}", self.place), code, detail)
    }
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn ending<'c>(conn: &mut Conn, captions: &'c [CaptionContent], before: Time) -> Result<Vec<Ending<'c>>> {
    if captions.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&Id> = captions.iter().map(|caption| &caption.image_id).collect();
    type Row = (Id, String, Option<String>, Option<Time>);
    let rows: Vec<Row> = images::table
        .filter(images::id.eq_any(ids))
        .filter(images::rights_expire_ms.le(before.ms()))
        .select((images::id, images::filename, images::caption, images::rights_expire_ms))
        .load(conn)?;
    let mut found = Vec::new();
    for (place, caption) in captions.iter().enumerate() {
        let row = rows.iter().find(|(id, ..)| *id == caption.image_id);
        if let Some((_, filename, own_caption, Some(end))) = row {
            found.push(Ending {
                place,
                caption,
                filename: filename.clone(),
                own_caption: own_caption.clone(),
                end: *end,
            });
        }
    }
    Ok(found)
}

/// 409 when a story is to be public at a time at which the right of one of its images has ended, unless that is only
/// warned of.
pub fn check(conn: &mut Conn, captions: &[CaptionContent], at: Time, rule: ExpiredRights) -> Result<()> {
    if rule == ExpiredRights::Warn {
        return Ok(());
    }
    let ended = ending(conn, captions, at)?;
    if ended.is_empty() {
        return Ok(());
    }
    let mut named: Vec<String> = ended.iter().take(NAMED).map(Ending::named).collect();
    if ended.len() > NAMED {
        named.push(format!("{} more", ended.len() - NAMED));
    }
    let detail = format!(
        "The right to show {} has ended by then: take it out of the article, or renew the image's rights.",
        named.join(", ")
    );
    let errors = ended.iter().map(|one| one.error(at)).collect();
    let list: Vec<ExpiredRight> = ended
        .iter()
        .map(|one| ExpiredRight {
            image_id: one.caption.image_id.clone(),
            caption_id: one.caption.id.clone(),
            expires_at: one.end,
        })
        .collect();
    let list = serde_json::to_value(list).map_err(Problem::internal)?;
    Err(Problem::new(Code::RightsExpired, detail)
        .with_errors(errors)
        .with("expired_rights", list))
}

/// What editors of an article are warned of: rights of its images that have ended, or end within so many days.
pub fn warnings(conn: &mut Conn, captions: &[CaptionContent], days: i64) -> Result<Vec<FieldError>> {
    let now = Time::now();
    let found = ending(conn, captions, now.plus_seconds(days * 24 * 3600))?;
    Ok(found.iter().map(|one| one.error(now)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_those_of_the_standard() {
        assert_eq!(COUNTRIES.split_ascii_whitespace().count(), 249);
        for (code, known) in [
            ("VN", true),
            ("LA", true),
            ("vn", false),
            ("XX", false),
            ("VNM", false),
            ("", false),
        ] {
            assert_eq!(is_country(code), known, "{code}");
        }
    }

    #[test]
    fn regions_are_kept_once_and_in_order() {
        let mut input = ImageRightsInput {
            regions: Patch::Set(vec!["VN".into(), "LA".into(), "VN".into()]),
            ..ImageRightsInput::default()
        };
        let mut check = Check::new();
        input.check(&mut check);
        assert!(check.done().is_ok());
        let mut rights = ImageRights::default();
        input.apply(&mut rights);
        assert_eq!(rights.regions, ["LA", "VN"]);
        let clear = ImageRightsInput {
            regions: Patch::Clear,
            ..ImageRightsInput::default()
        };
        clear.apply(&mut rights);
        assert!(rights.regions.is_empty());
    }
}
