//! AVIF.

use avif_serialize::Aviffy;
use avif_serialize::constants::MatrixCoefficients as Matrix;
use rav1e::prelude::{
    ChromaSamplePosition, ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig,
    EncoderStatus, MatrixCoefficients, PixelRange, SpeedSettings, TransferCharacteristics,
};

use crate::{Failed, Planes};

/// Encodes planes as they are, in one thread. The quantizer goes from 0 (lossless) to 255, the speed from 0 to 10.
///
/// # Errors
///
/// [`Failed`] when the planes are not of their sizes, or too small for the encoder (16 pixels a side).
pub fn avif(planes: Planes<'_>, quantizer: u8, speed: u8) -> Result<Vec<u8>, Failed> {
    planes.check()?;
    let side = |side: usize| u32::try_from(side).map_err(|_| Failed);
    let (width, height) = (side(planes.width)?, side(planes.height)?);
    let coded = coded(planes, quantizer, speed)?;
    Ok(Aviffy::new()
        .set_chroma_subsampling((true, true))
        .set_matrix_coefficients(Matrix::Bt601)
        .set_full_color_range(true)
        .to_vec(&coded, None, width, height, 8))
}

fn coded(planes: Planes<'_>, quantizer: u8, speed: u8) -> Result<Vec<u8>, Failed> {
    let encoder = EncoderConfig {
        width: planes.width,
        height: planes.height,
        bit_depth: 8,
        chroma_sampling: ChromaSampling::Cs420,
        chroma_sample_position: ChromaSamplePosition::Unknown,
        pixel_range: PixelRange::Full,
        color_description: Some(ColorDescription {
            color_primaries: ColorPrimaries::BT709,
            transfer_characteristics: TransferCharacteristics::SRGB,
            matrix_coefficients: MatrixCoefficients::BT601,
        }),
        still_picture: true,
        quantizer: usize::from(quantizer),
        min_quantizer: quantizer,
        speed_settings: SpeedSettings::from_preset(speed.min(10)),
        ..EncoderConfig::default()
    };
    let mut context: Context<u8> = Config::new()
        .with_encoder_config(encoder)
        .with_threads(1)
        .new_context()
        .map_err(|_| Failed)?;
    let mut frame = context.new_frame();
    let half = planes.width.div_ceil(2);
    let sources = [(planes.y, planes.width), (planes.cb, half), (planes.cr, half)];
    for (target, (bytes, stride)) in frame.planes.iter_mut().zip(sources) {
        target.copy_from_raw_u8(bytes, stride, 1);
    }
    context.send_frame(frame).map_err(|_| Failed)?;
    context.flush();
    let mut out = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) => out.extend_from_slice(&packet.data),
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(out),
            Err(_) => return Err(Failed),
        }
    }
}
