//! The image library: pictures with their words, rights and whereabouts. Their files are in [`crate::media`].

pub mod delivered;
pub mod management;
pub mod process;
pub mod rights;
pub mod store;
pub mod turns;
pub mod upload;
pub mod variants;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use crate::articles::Status;
use crate::page_type;
use crate::text::Check;
use crate::types::{Id, Patch, PersonRef, Time};
use delivered::FocalPoint;
use process::{CameraFacts, Placeholder};

pub use rights::{ImageRights, ImageRightsInput};

/// Longest alternative text, in characters.
pub const ALT_LENGTH: usize = 1000;
/// Longest credit.
pub const CREDIT_LENGTH: usize = 200;
/// Longest caption.
pub const CAPTION_LENGTH: usize = 2000;
/// Longest file name.
pub const FILENAME_LENGTH: usize = 200;
/// Places that `used_in` names at most.
pub const USES_NAMED: usize = 100;

/// An image of the library.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Image {
    /// The id.
    pub id: Id,
    /// The name of the file as it was uploaded.
    #[schema(example = "song-cau.jpg")]
    pub filename: String,
    /// Type of the stored file.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// Width in pixels, as displayed.
    #[schema(minimum = 1, example = 1600)]
    pub width: i64,
    /// Height in pixels, as displayed.
    #[schema(minimum = 1, example = 1067)]
    pub height: i64,
    /// Size of the stored file.
    #[schema(minimum = 1, example = 245_760)]
    pub bytes: i64,
    /// SHA-256 of the stored file, in hexadecimal; it differs from that of the upload, whose location and device data
    /// were removed.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub sha256: String,
    /// For those who do not see the image; captions without a text of their own take it.
    #[schema(required = true)]
    pub alt: Option<String>,
    /// Whose image it is; captions without a credit of their own take it.
    #[schema(required = true, example = "Ảnh: TTX")]
    pub credit: Option<String>,
    /// Text under the image; captions without a text of their own take it.
    #[schema(required = true)]
    pub caption: Option<String>,
    /// The point that must stay in sight when the image is cut; null for the middle.
    #[schema(required = true)]
    pub focal_point: Option<FocalPoint>,
    /// What the newsroom may do with it.
    pub rights: ImageRights,
    /// What to show before the image is there; null for an AVIF that is put together of tiles.
    #[schema(required = true)]
    pub placeholder: Option<Placeholder>,
    /// What the camera wrote about the picture; null when it wrote nothing, or the file is one that has no such facts. Only
    /// for the newsroom: readers are never told.
    #[schema(required = true)]
    pub camera: Option<Camera>,
    /// Address of the file; it never changes its content. Another file of the same image has another address.
    #[schema(format = "uri", example = "https://api.example.vn/media/3f/3f0c.jpg")]
    pub url: String,
    /// Address of the file as it was uploaded, for editors: it takes the same credentials as this API. Null for others, and where the installation does not keep uploads.
    #[schema(
        required = true,
        format = "uri",
        example = "https://api.example.vn/management/v1/images/018f2c3e-5b7a-7c41-9d2e-3f6a8b1c0d5e/upload"
    )]
    pub upload_url: Option<String>,
    /// Articles that place it, as far as the caller may know of them; at most 100 are named.
    pub used_in: Vec<ImageUse>,
    /// When it was uploaded.
    pub created_at: Time,
    /// Who uploaded it.
    pub created_by: PersonRef,
    /// When it was last changed.
    pub updated_at: Time,
    /// Raised by every change; `ETag` is this in quotation marks.
    #[schema(minimum = 1, example = 3)]
    pub version: i64,
    /// In the answer to an upload: whether the library had the same file already.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false, value_type = bool)]
    pub duplicate: Option<bool>,
}

page_type! {
    /// A page of images.
    ImagePage of Image
}

/// What a camera wrote about a picture.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Camera {
    /// When the shutter was released, on the camera's own clock; with its offset from UTC where the camera knew it.
    #[schema(required = true, example = "2026-03-14T18:05:09+07:00")]
    pub taken_at: Option<String>,
    /// Who made the camera.
    #[schema(required = true, example = "FUJIFILM")]
    pub make: Option<String>,
    /// Which camera.
    #[schema(required = true, example = "X-T5")]
    pub model: Option<String>,
    /// Which lens.
    #[schema(required = true, example = "XF23mmF1.4 R LM WR")]
    pub lens: Option<String>,
    /// Exposure time in seconds, as photographers write it.
    #[schema(required = true, example = "1/250")]
    pub exposure_time: Option<String>,
    /// Aperture as an f-number.
    #[schema(required = true, example = 2.8)]
    pub f_number: Option<f64>,
    /// Sensitivity.
    #[schema(required = true, minimum = 0, example = 400)]
    pub iso: Option<i64>,
    /// Focal length in millimetres.
    #[schema(required = true, example = 23.0)]
    pub focal_length_mm: Option<f64>,
}

impl From<&CameraFacts> for Camera {
    fn from(facts: &CameraFacts) -> Self {
        Self {
            taken_at: facts.taken_at.clone(),
            make: facts.make.clone(),
            model: facts.model.clone(),
            lens: facts.lens.clone(),
            exposure_time: facts.exposure_time.clone(),
            f_number: facts.f_number,
            iso: facts.iso.map(i64::from),
            focal_length_mm: facts.focal_length_mm,
        }
    }
}

/// An article that places an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImageUse {
    /// The article.
    pub article_id: Id,
    /// The caption that places it; one that only the published story still has cannot be read by itself.
    #[schema(required = true)]
    pub caption_id: Option<Id>,
    /// The article's title; the published one for those who see no more.
    #[schema(example = "Lũ rút trên sông Cầu")]
    pub title: String,
    /// The article's state.
    pub status: Status,
}

/// Changes of an image; what is absent stays, null clears.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagePatch {
    /// The name of the file, without a folder.
    #[serde(default)]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 200, example = "song-cau.jpg")]
    pub filename: Patch<String>,
    /// For those who do not see the image.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 1000)]
    pub alt: Patch<String>,
    /// Whose image it is.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 200, example = "Ảnh: TTX")]
    pub credit: Patch<String>,
    /// Text under the image.
    #[serde(default)]
    #[schema(value_type = Option<String>, required = false, max_length = 2000)]
    pub caption: Patch<String>,
    /// The point that must stay in sight, always with both coordinates.
    #[serde(default)]
    #[schema(value_type = Option<FocalPoint>, required = false)]
    pub focal_point: Patch<FocalPoint>,
    /// What the newsroom may do with it.
    #[serde(default)]
    #[schema(value_type = Option<ImageRightsInput>, required = false)]
    pub rights: Patch<ImageRightsInput>,
}

impl ImagePatch {
    /// Checks every rule and brings the texts into the form they are kept in.
    pub fn checked(mut self) -> crate::error::Result<Self> {
        let mut check = Check::new();
        match &self.filename {
            Patch::Set(name) => {
                let name = check.line("/filename", name, FILENAME_LENGTH);
                if name.contains(['/', '\\']) {
                    check.fail("/filename", "invalid_text", "A file name has no folder in it.");
                }
                self.filename = Patch::Set(name);
            }
            Patch::Clear => check.fail("/filename", "required", "An image has a file name."),
            Patch::Keep => {}
        }
        text(&mut check, "/alt", &mut self.alt, ALT_LENGTH);
        line(&mut check, "/credit", &mut self.credit, CREDIT_LENGTH);
        text(&mut check, "/caption", &mut self.caption, CAPTION_LENGTH);
        if let Patch::Set(point) = &self.focal_point {
            for (pointer, value) in [("/focal_point/x", point.x), ("/focal_point/y", point.y)] {
                if !(0.0..=1.0).contains(&value) {
                    check.fail(pointer, "out_of_range", "A coordinate is a number from 0 to 1.");
                }
            }
        }
        if let Patch::Set(rights) = &mut self.rights {
            rights.check(&mut check);
        }
        check.done()?;
        Ok(self)
    }
}

fn kept(text: Option<String>) -> Patch<String> {
    text.map_or(Patch::Clear, Patch::Set)
}

fn line(check: &mut Check, pointer: &str, value: &mut Patch<String>, max: usize) {
    if let Patch::Set(text) = value {
        *value = kept(check.optional_line(pointer, Some(text), max));
    }
}

fn text(check: &mut Check, pointer: &str, value: &mut Patch<String>, max: usize) {
    if let Patch::Set(text) = value {
        *value = kept(check.optional_text(pointer, Some(text), max));
    }
}

/// The base name of an uploaded file: no folders of any system, no control or direction-turning characters, at most
/// 200 characters with the extension kept. None when nothing is left.
pub fn clean_filename(name: &str) -> Option<String> {
    let base = name.rsplit(['/', '\\']).next().unwrap_or("");
    let clean: String = base.nfc().filter(|c| !is_unseen(*c)).collect();
    let clean = clean.trim();
    if clean.is_empty() || clean.chars().all(|c| c == '.') {
        return None;
    }
    let length = clean.chars().count();
    if length <= FILENAME_LENGTH {
        return Some(clean.to_owned());
    }
    let (stem, extension) = match clean.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= 10 => (stem, format!(".{extension}")),
        _ => (clean, String::new()),
    };
    let room = FILENAME_LENGTH - extension.chars().count();
    Some(stem.chars().take(room).collect::<String>().trim_end().to_owned() + &extension)
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_lose_their_folders_and_what_cannot_be_seen() {
        let clean = |name: &str| clean_filename(name);
        assert_eq!(clean("song-cau.jpg").as_deref(), Some("song-cau.jpg"));
        assert_eq!(clean("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(clean("C:\\ảnh\\lũ.png").as_deref(), Some("lũ.png"));
        assert_eq!(clean(" a\r\nb\u{202e}gpj.exe ").as_deref(), Some("abgpj.exe"));
        for nothing in ["", "..", "a/", "\u{0}", " \t"] {
            assert_eq!(clean(nothing), None, "{nothing:?}");
        }
        let long = clean(&format!("{}.jpeg", "ă".repeat(400))).expect("a name");
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with("ă.jpeg"));
    }

    #[test]
    fn a_patch_is_checked_as_a_whole() {
        let patch = ImagePatch {
            filename: Patch::Set("a/b".into()),
            focal_point: Patch::Set(FocalPoint { x: 0.5, y: 1.1 }),
            ..ImagePatch::default()
        };
        let problem = patch.checked().expect_err("two errors");
        let json = problem.to_json("", "", "");
        assert_eq!(json["errors"][0]["pointer"], "/filename");
        assert_eq!(json["errors"][1]["pointer"], "/focal_point/y");
        let empty = ImagePatch {
            alt: Patch::Set("  ".into()),
            ..ImagePatch::default()
        };
        assert_eq!(empty.checked().expect("no error").alt, Patch::Clear);
    }
}
