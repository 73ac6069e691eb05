//! Colour profiles: what a variant shows is sRGB, whatever the original was measured in, and so needs no profile.

use moxcms::{ColorProfile, DataColorSpace, Layout, RenderingIntent, TransformOptions};

use super::raster::{Plane, Raster};

/// Steps between the colours that tell whether a profile is sRGB under another name.
const PROBES: [u8; 5] = [0, 64, 128, 192, 255];
/// How far a colour may move for the profile to count as sRGB: less than an encoder moves it.
const SAME: u8 = 2;

fn options() -> TransformOptions {
    TransformOptions {
        rendering_intent: RenderingIntent::RelativeColorimetric,
        ..TransformOptions::default()
    }
}

/// The picture in sRGB. A profile that is damaged, or is for another kind of picture, is as good as none.
pub(super) fn to_srgb(raster: Raster, profile: Option<&ColorProfile>) -> Raster {
    let Some(profile) = profile else { return raster };
    match (raster, profile.color_space) {
        (Raster::Grey(plane), DataColorSpace::Gray) => grey(plane, profile),
        (raster @ (Raster::Ycc(_) | Raster::Rgb(_)), DataColorSpace::Rgb) => {
            Raster::Rgb(convert(raster.into_rgb(), profile, Layout::Rgb))
        }
        (Raster::Rgba(plane), DataColorSpace::Rgb) => Raster::Rgba(convert(plane, profile, Layout::Rgba)),
        (raster, _) => raster,
    }
}

/// Reads a profile; none when it is damaged or says what is meant without one.
pub(super) fn profile(icc: &[u8]) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    if profile.color_space != DataColorSpace::Rgb {
        return Some(profile);
    }
    let mut colours = Vec::new();
    for red in PROBES {
        for green in PROBES {
            colours.extend(PROBES.iter().flat_map(|blue| [red, green, *blue]));
        }
    }
    let count = colours.len() / 3;
    let before = Plane {
        width: count,
        height: 1,
        data: colours,
    };
    let after = convert(before.clone(), &profile, Layout::Rgb);
    let same = before.data.iter().zip(&after.data).all(|(a, b)| a.abs_diff(*b) <= SAME);
    (!same).then_some(profile)
}

fn convert(plane: Plane, profile: &ColorProfile, layout: Layout) -> Plane {
    let Ok(transform) = profile.create_transform_8bit(layout, &ColorProfile::new_srgb(), layout, options()) else {
        return plane;
    };
    let mut data = vec![0; plane.data.len()];
    match transform.transform(&plane.data, &mut data) {
        Ok(()) => Plane { data, ..plane },
        Err(_) => plane,
    }
}

fn grey(plane: Plane, profile: &ColorProfile) -> Raster {
    let transform = profile.create_transform_8bit(Layout::Gray, &ColorProfile::new_srgb(), Layout::Rgb, options());
    let mut data = vec![0; plane.data.len() * 3];
    match transform.map(|transform| transform.transform(&plane.data, &mut data)) {
        Ok(Ok(())) => Raster::Grey(Plane {
            data: data.as_chunks::<3>().0.iter().map(|[_, green, _]| *green).collect(),
            ..plane
        }),
        _ => Raster::Grey(plane),
    }
}

/// Four inks, 255 for none, as the JPEGs of Adobe's programs hold them (and in practice all), to sRGB.
///
/// Without a profile it is the plain arithmetic that every viewer falls back to.
pub(super) fn inks_to_rgb(inks: Plane, profile: Option<&ColorProfile>) -> Plane {
    let (width, height) = (inks.width, inks.height);
    if let Some(profile) = profile.filter(|profile| profile.color_space == DataColorSpace::Cmyk) {
        let full: Vec<u8> = inks.data.iter().map(|ink| 255 - ink).collect();
        let mut data = vec![0; width * height * 3];
        let transform = profile.create_transform_8bit(Layout::Rgba, &ColorProfile::new_srgb(), Layout::Rgb, options());
        if let Ok(Ok(())) = transform.map(|transform| transform.transform(&full, &mut data)) {
            return Plane { width, height, data };
        }
    }
    let data = inks
        .data
        .as_chunks()
        .0
        .iter()
        .flat_map(|[c, m, y, k]| [c, m, y].map(|ink| ((u32::from(*ink) * u32::from(*k) + 127) / 255) as u8))
        .collect();
    Plane { width, height, data }
}
