//! JPEGs whose coefficients come in several scans: progressive ones, and those with a scan for each channel.

use super::super::Rejected;
use super::Frame;
use super::bits::{Bits, Codes, damaged};
use super::scaled::{Channel, Scan};

/// Reads a scan into the coefficients.
pub(super) fn read(
    frame: &Frame,
    scan: &Scan<'_>,
    channels: &mut [Channel],
    bits: &mut Bits<'_>,
    restart: usize,
) -> Result<(), Rejected> {
    let mut places = Vec::new();
    let (units_across, units_down) = if let [(only, ..)] = scan.channels[..] {
        places.push((0, 0, 0));
        frame.blocks(only)
    } else {
        for (i, (index, ..)) in scan.channels.iter().enumerate() {
            let component = frame.components.get(*index).ok_or_else(damaged)?;
            for y in 0..usize::from(component.v) {
                places.extend((0..usize::from(component.h)).map(|x| (i, x, y)));
            }
        }
        frame.units()
    };
    channels.iter_mut().for_each(|channel| channel.mean = 0);
    let (mut until_restart, mut empty) = (restart, 0);
    for unit_y in 0..units_down as usize {
        for unit_x in 0..units_across as usize {
            if restart > 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    (until_restart, empty) = (restart, 0);
                    channels.iter_mut().for_each(|channel| channel.mean = 0);
                }
                until_restart -= 1;
            }
            for (i, x, y) in &places {
                let (index, means, others) = scan.channels.get(*i).copied().ok_or_else(damaged)?;
                let channel = channels.get_mut(index).ok_or_else(damaged)?;
                let (h, v) = match scan.channels.len() {
                    1 => (1, 1),
                    _ => frame
                        .components
                        .get(index)
                        .map_or((1, 1), |c| (usize::from(c.h), usize::from(c.v))),
                };
                let at = (unit_y * v + y) * channel.across + unit_x * h + x;
                let mean = &mut channel.mean;
                let block = channel.blocks.get_mut(at).ok_or_else(damaged)?;
                if frame.progressive {
                    progressive(scan, means, others, block, mean, &mut empty, bits)?;
                } else {
                    *mean = mean.wrapping_add(bits.difference(means.ok_or_else(damaged)?)?);
                    block[0] = *mean as i16;
                    bits.block(others.ok_or_else(damaged)?, block)?;
                }
            }
        }
    }
    Ok(())
}

fn progressive(
    scan: &Scan<'_>,
    means: Option<&Codes>,
    others: Option<&Codes>,
    block: &mut [i16; 64],
    mean: &mut i32,
    empty: &mut u32,
    bits: &mut Bits<'_>,
) -> Result<(), Rejected> {
    let low = scan.low.min(13);
    match (scan.from, scan.high) {
        (0, 0) => {
            *mean = mean.wrapping_add(bits.difference(means.ok_or_else(damaged)?)?);
            block[0] = mean.wrapping_shl(u32::from(low)) as i16;
            Ok(())
        }
        (0, _) => {
            if bits.bit() {
                block[0] |= 1 << low;
            }
            Ok(())
        }
        (_, 0) => first(scan, others.ok_or_else(damaged)?, block, low, empty, bits),
        _ => refined(scan, others.ok_or_else(damaged)?, block, low, empty, bits),
    }
}

/// The first bits of some coefficients.
fn first(
    scan: &Scan<'_>,
    codes: &Codes,
    block: &mut [i16; 64],
    low: u8,
    empty: &mut u32,
    bits: &mut Bits<'_>,
) -> Result<(), Rejected> {
    if *empty > 0 {
        *empty -= 1;
        return Ok(());
    }
    let mut at = scan.from;
    while at <= scan.to {
        let symbol = bits.plain_symbol(codes)?;
        let (run, size) = (symbol >> 4, symbol & 15);
        if size == 0 {
            if run < 15 {
                // This block is over, and so many after it.
                *empty = (1 << run) - 1 + bits.bits(u32::from(run)) as u32;
                return Ok(());
            }
            at += 16;
            continue;
        }
        at += usize::from(run);
        let value = bits.number(u32::from(size));
        if at > 63 {
            return Err(damaged());
        }
        block[at & 63] = (value << low) as i16;
        at += 1;
    }
    Ok(())
}

/// One bit more of some coefficients, and those that are new with it.
fn refined(
    scan: &Scan<'_>,
    codes: &Codes,
    block: &mut [i16; 64],
    low: u8,
    empty: &mut u32,
    bits: &mut Bits<'_>,
) -> Result<(), Rejected> {
    let step = 1_i16 << low;
    let mut at = scan.from;
    if *empty == 0 {
        while at <= scan.to {
            let symbol = bits.plain_symbol(codes)?;
            let (mut run, size) = (symbol >> 4, symbol & 15);
            let mut new = 0;
            if size == 0 {
                if run < 15 {
                    *empty = (1 << run) + bits.bits(u32::from(run)) as u32;
                    break;
                }
            } else {
                new = if bits.bit() { step } else { -step };
            }
            while at <= scan.to {
                let value = &mut block[at & 63];
                at += 1;
                if *value != 0 {
                    refine(value, step, bits);
                } else if run == 0 {
                    *value = new;
                    break;
                } else {
                    run -= 1;
                }
            }
        }
    }
    if *empty > 0 {
        for value in block.get_mut(at..=scan.to).unwrap_or_default() {
            if *value != 0 {
                refine(value, step, bits);
            }
        }
        *empty -= 1;
    }
    Ok(())
}

fn refine(value: &mut i16, step: i16, bits: &mut Bits<'_>) {
    if bits.bit() && *value & step == 0 {
        *value = value.wrapping_add(if *value > 0 { step } else { -step });
    }
}
