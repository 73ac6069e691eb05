//! Pictures for the sample newsroom, painted from a seed, so that a demo needs no downloads and no picture files.
//!
//! The same scene, seed and size always give the same picture. Scenes measure in units (a picture is 1000 units
//! high), so they look alike at every size.

mod canvas;
mod figures;
mod halls;
mod land;
mod nature;
mod night;
mod noise;
mod street;
mod town;

use canvas::Canvas;

/// The scenes there are; any other name is painted as the first.
#[cfg(test)]
const SCENES: [&str; 12] = [
    "mist_mountains",
    "tea_hills",
    "river_dusk",
    "city_night",
    "stadium",
    "market",
    "rice_storm",
    "school",
    "lanterns",
    "road",
    "assembly_hall",
    "forest",
];

/// Paints a scene at the given size; sides of 0 count as 1.
pub fn draw(scene: &str, seed: u64, width: u32, height: u32) -> image::RgbImage {
    let mut canvas = Canvas::new(width, height);
    let (vignette, grain) = (0.4, 0.03);
    match scene {
        "tea_hills" => land::tea_hills(&mut canvas, seed),
        "river_dusk" => nature::river_dusk(&mut canvas, seed),
        "city_night" => night::city_night(&mut canvas, seed),
        "stadium" => halls::stadium(&mut canvas, seed),
        "market" => town::market(&mut canvas, seed),
        "rice_storm" => land::rice_storm(&mut canvas, seed),
        "school" => town::school(&mut canvas, seed),
        "lanterns" => night::lanterns(&mut canvas, seed),
        "road" => street::road(&mut canvas, seed),
        "assembly_hall" => halls::assembly_hall(&mut canvas, seed),
        "forest" => nature::forest(&mut canvas, seed),
        _ => nature::mist_mountains(&mut canvas, seed),
    }
    canvas.finish(seed, vignette, grain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scene_can_be_drawn_at_any_size_and_each_is_another() {
        let mut seen = Vec::new();
        for scene in SCENES {
            let drawn = draw(scene, 7, 60, 40);
            assert_eq!((drawn.width(), drawn.height()), (60, 40), "{scene}");
            assert!(!seen.contains(&drawn), "{scene} looks like another");
            draw(scene, u64::MAX, 0, 1);
            seen.push(drawn);
        }
    }
}
