//! Walking through the entropy-coded data of a JPEG without making pixels of it: are all blocks there?
//!
//! Decoders fill what is missing with grey, also when they are asked to be strict, so a file that was cut and closed
//! with an end marker would pass. Here every code is read, and running out of bits is an answer.

use super::super::Rejected;
use super::super::reader::Reader;
use super::Frame;

/// Codes up to this length are found in one step.
const FAST_BITS: u32 = 9;

/// What the table, restart and scan segments have said so far.
#[derive(Default)]
pub(super) struct Scans {
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: u32,
    /// For each component, whether its DC coefficients came, and for each block of a progressive picture the
    /// coefficients that are not zero: refining scans have a bit for each.
    components: Vec<(bool, Vec<u64>)>,
}

/// A canonical Huffman code.
struct Huffman {
    /// For the next [`FAST_BITS`] bits the length (0: longer) and the value.
    fast: Vec<(u8, u8)>,
    /// For each length the code after its last one, moved up to 16 bits.
    ends: [u32; 17],
    /// For each length what turns a code into a place among the values.
    offsets: [i32; 17],
    values: Vec<u8>,
}

impl Huffman {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Rejected> {
        let counts: [u8; 16] = reader.array()?;
        let values = reader
            .take(counts.iter().map(|count| usize::from(*count)).sum())?
            .to_vec();
        let mut table = Self {
            fast: vec![(0, 0); 1 << FAST_BITS],
            ends: [0; 17],
            offsets: [0; 17],
            values,
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            let at = length as usize;
            table.offsets[at] = i32::try_from(place).unwrap_or_default() - i32::try_from(code).unwrap_or_default();
            for _ in 0..count {
                let value = table.values.get(place).copied().unwrap_or_default();
                if length <= FAST_BITS {
                    let from = (code as usize) << (FAST_BITS - length);
                    let to = from + (1 << (FAST_BITS - length));
                    // Too many codes for their lengths.
                    table
                        .fast
                        .get_mut(from..to)
                        .ok_or_else(damaged)?
                        .fill((length as u8, value));
                }
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return Err(damaged());
            }
            table.ends[at] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<u8, Rejected> {
        let next = bits.peek(16);
        if let Some((length @ 1.., value)) = self.fast.get((next >> (16 - FAST_BITS)) as usize).copied() {
            bits.skip(u32::from(length))?;
            return Ok(value);
        }
        for length in FAST_BITS + 1..=16 {
            let at = length as usize;
            if next < self.ends[at] {
                let place = i32::try_from(next >> (16 - length)).unwrap_or(-1) + self.offsets[at];
                bits.skip(length)?;
                return usize::try_from(place)
                    .ok()
                    .and_then(|p| self.values.get(p))
                    .copied()
                    .ok_or_else(damaged);
            }
        }
        Err(if bits.at_end(16) {
            Rejected::truncated()
        } else {
            damaged()
        })
    }
}

/// The bits between two markers.
struct Bits<'a> {
    data: &'a [u8],
    pos: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            pos: 0,
            held: 0,
            count: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(byte) = self.data.get(self.pos).copied() else {
                return;
            };
            self.pos += 1;
            if byte == 0xff {
                if self.data.get(self.pos) != Some(&0) {
                    // A marker: no bits behind it until a restart is asked for.
                    self.pos -= 1;
                    return;
                }
                self.pos += 1;
            }
            self.held = self.held << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next bits, with zeros behind the last one.
    fn peek(&mut self, wanted: u32) -> u32 {
        if self.count < wanted {
            self.fill();
        }
        let bits = if self.count >= wanted {
            self.held >> (self.count - wanted)
        } else {
            self.held << (wanted - self.count)
        };
        (bits & ((1 << wanted) - 1)) as u32
    }

    fn at_end(&self, wanted: u32) -> bool {
        self.count < wanted
    }

    fn skip(&mut self, mut wanted: u32) -> Result<(), Rejected> {
        while wanted > self.count {
            wanted -= self.count;
            self.count = 0;
            self.fill();
            if self.count == 0 {
                return Err(Rejected::truncated());
            }
        }
        self.count -= wanted;
        Ok(())
    }

    /// At most 16 bits.
    fn take(&mut self, wanted: u32) -> Result<u32, Rejected> {
        if wanted == 0 {
            return Ok(0);
        }
        let bits = self.peek(wanted);
        self.skip(wanted)?;
        Ok(bits)
    }

    /// Goes on behind the next restart marker. Fill bytes before it are passed over.
    fn restart(&mut self) -> Result<(), Rejected> {
        (self.held, self.count) = (0, 0);
        loop {
            match self.data.get(self.pos..self.pos + 2) {
                Some([0xff, 0xd0..=0xd7]) => {
                    self.pos += 2;
                    return Ok(());
                }
                Some(_) => self.pos += 1,
                None => return Err(Rejected::truncated()),
            }
        }
    }
}

/// A component as a scan names it.
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// The band of coefficients and the step that a scan carries.
struct Band {
    from: u32,
    to: u32,
    refines: bool,
}

impl Scans {
    /// A segment with Huffman tables.
    pub(super) fn tables(&mut self, body: &[u8]) -> Result<(), Rejected> {
        let mut reader = Reader::new(body);
        while !reader.is_empty() {
            let id = reader.u8()?;
            let table = Huffman::read(&mut reader)?;
            let class = if id >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            *class.get_mut(usize::from(id & 15)).ok_or_else(damaged)? = Some(table);
        }
        Ok(())
    }

    /// A segment with the number of units between restarts.
    pub(super) fn restarts(&mut self, body: &[u8]) -> Result<(), Rejected> {
        self.restart_interval = u32::from(Reader::new(body).u16_be()?);
        Ok(())
    }

    /// A scan header and its data.
    pub(super) fn scan(&mut self, frame: &Frame, header: &[u8], data: &[u8]) -> Result<(), Rejected> {
        if self.components.is_empty() {
            let blocks = |part: &super::Component| {
                let (across, down) = frame.units();
                if frame.progressive {
                    across * down * u32::from(part.h) * u32::from(part.v)
                } else {
                    0
                }
            };
            self.components = frame
                .components
                .iter()
                .map(|c| (false, vec![0; blocks(c) as usize]))
                .collect();
        }
        let (parts, band) = read_header(frame, header)?;
        for part in &parts {
            let seen = &mut self.components.get_mut(part.component).ok_or_else(damaged)?.0;
            if !*seen && (band.from > 0 || band.refines) {
                return Err(damaged());
            }
            *seen = true;
        }
        self.walk(frame, &parts, &band, &mut Bits::new(data))
    }

    /// Whether every component has come.
    pub(super) fn complete(&self) -> bool {
        !self.components.is_empty() && self.components.iter().all(|(seen, _)| *seen)
    }

    fn walk(&mut self, frame: &Frame, parts: &[Part], band: &Band, bits: &mut Bits<'_>) -> Result<(), Rejected> {
        let (units_across, units_down) = frame.units();
        let alone = parts.len() == 1;
        let (across, down) = match parts {
            // A lone component comes block by block, without those that only pad its units.
            [part] => frame.blocks(part.component),
            _ => (units_across, units_down),
        };
        let (mut run, mut until_restart) = (0_u32, self.restart_interval);
        for unit in 0..across * down {
            if self.restart_interval > 0 {
                if until_restart == 0 {
                    bits.restart()?;
                    (run, until_restart) = (0, self.restart_interval);
                }
                until_restart -= 1;
            }
            let (x, y) = (unit % across, unit / across);
            for part in parts {
                let Some(component) = frame.components.get(part.component) else {
                    return Err(damaged());
                };
                let (h, v) = if alone {
                    (1, 1)
                } else {
                    (u32::from(component.h), u32::from(component.v))
                };
                let stride = units_across * u32::from(component.h);
                for inner in 0..h * v {
                    let block = (y * v + inner / h) * stride + x * h + inner % h;
                    self.block(frame, part, band, block as usize, &mut run, bits)?;
                }
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        frame: &Frame,
        part: &Part,
        band: &Band,
        block: usize,
        run: &mut u32,
        bits: &mut Bits<'_>,
    ) -> Result<(), Rejected> {
        if !frame.progressive {
            let dc = table(&self.dc, part.dc)?.decode(bits)?;
            bits.skip(u32::from(dc))?;
            return sequential(table(&self.ac, part.ac)?, bits);
        }
        if band.from == 0 {
            let wanted = if band.refines {
                1
            } else {
                u32::from(table(&self.dc, part.dc)?.decode(bits)?)
            };
            return bits.skip(wanted);
        }
        let codes = table(&self.ac, part.ac)?;
        let (_, blocks) = self.components.get_mut(part.component).ok_or_else(damaged)?;
        let nonzero = blocks.get_mut(block).ok_or_else(damaged)?;
        if band.refines {
            refine(codes, band, nonzero, run, bits)
        } else {
            first(codes, band, nonzero, run, bits)
        }
    }
}

/// The AC coefficients of a block of a picture that is not progressive.
fn sequential(codes: &Huffman, bits: &mut Bits<'_>) -> Result<(), Rejected> {
    let mut k = 1;
    while k < 64 {
        let code = codes.decode(bits)?;
        let (zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if zeros != 15 {
                break;
            }
            k += 16;
        } else {
            k += zeros + 1;
            if k > 64 {
                return Err(damaged());
            }
            bits.skip(size)?;
        }
    }
    Ok(())
}

/// The first scan of a band: coefficients, or a run of blocks that have none left.
fn first(codes: &Huffman, band: &Band, nonzero: &mut u64, run: &mut u32, bits: &mut Bits<'_>) -> Result<(), Rejected> {
    if *run > 0 {
        *run -= 1;
        return Ok(());
    }
    let mut k = band.from;
    while k <= band.to {
        let code = codes.decode(bits)?;
        let (zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 {
            if zeros < 15 {
                *run = (1 << zeros) - 1 + bits.take(zeros)?;
                break;
            }
            k += 16;
        } else {
            k += zeros;
            if k > band.to {
                return Err(damaged());
            }
            *nonzero |= 1 << k;
            bits.skip(size)?;
            k += 1;
        }
    }
    Ok(())
}

/// A refining scan: a bit for each coefficient that is known, and codes for those that appear.
fn refine(codes: &Huffman, band: &Band, nonzero: &mut u64, run: &mut u32, bits: &mut Bits<'_>) -> Result<(), Rejected> {
    let mut k = band.from;
    while *run == 0 && k <= band.to {
        let code = codes.decode(bits)?;
        let (mut zeros, size) = (u32::from(code >> 4), u32::from(code & 15));
        if size == 0 && zeros < 15 {
            *run = (1 << zeros) + bits.take(zeros)?;
            break;
        }
        if size > 0 {
            // Its sign.
            bits.skip(1)?;
        }
        while k <= band.to {
            if *nonzero >> k & 1 == 1 {
                bits.skip(1)?;
            } else if zeros == 0 {
                break;
            } else {
                zeros -= 1;
            }
            k += 1;
        }
        if size > 0 && k <= band.to {
            *nonzero |= 1 << k;
        }
        k += 1;
    }
    if *run > 0 {
        let rest = (k..=band.to).filter(|k| *nonzero >> k & 1 == 1).count();
        bits.skip(rest as u32)?;
        *run -= 1;
    }
    Ok(())
}

fn read_header(frame: &Frame, header: &[u8]) -> Result<(Vec<Part>, Band), Rejected> {
    let mut reader = Reader::new(header);
    let count = reader.u8()?;
    if !(1..=4).contains(&count) {
        return Err(damaged());
    }
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..count {
        let [id, tables] = reader.array()?;
        let component = frame.components.iter().position(|c| c.id == id).ok_or_else(damaged)?;
        if parts.iter().any(|part| part.component == component) {
            return Err(damaged());
        }
        parts.push(Part {
            component,
            dc: usize::from(tables >> 4),
            ac: usize::from(tables & 15),
        });
    }
    let [from, to, steps] = reader.array()?;
    let band = Band {
        from: u32::from(from),
        to: u32::from(to),
        refines: steps >> 4 > 0,
    };
    let sound = if !frame.progressive {
        // What a picture that is not progressive writes here has no meaning.
        return Ok((
            parts,
            Band {
                from: 0,
                to: 63,
                refines: false,
            },
        ));
    } else if from == 0 {
        to == 0
    } else {
        from <= to && to < 64 && parts.len() == 1
    };
    if sound { Ok((parts, band)) } else { Err(damaged()) }
}

fn table(tables: &[Option<Huffman>; 4], id: usize) -> Result<&Huffman, Rejected> {
    tables.get(id).and_then(Option::as_ref).ok_or_else(damaged)
}

fn damaged() -> Rejected {
    Rejected::broken("The JPEG is damaged: its pixels cannot be read.")
}
