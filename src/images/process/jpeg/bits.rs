//! Bits and Huffman codes of a JPEG scan, read fast: this loop is most of the time a photograph takes.

use super::super::Rejected;

/// Codes up to this length are found with one look.
const LOOK: u32 = 10;
const NO_CODE: u16 = 0;

/// A Huffman table, ready for looking codes up.
pub(super) struct Codes {
    /// For the next [`LOOK`] bits: symbol and length, or [`NO_CODE`] for a longer code.
    short: Vec<u16>,
    /// For the next [`LOOK`] bits, where code and number both fit in: value, run and length of the two together.
    whole: Vec<(i16, u8, u8)>,
    /// By length: the first code above those of the length, left-aligned to 16 bits; and what to add to a code to get
    /// the place of its symbol.
    above: [u32; 17],
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Codes {
    /// From the counts by length and the symbols, as DHT has them.
    pub(super) fn new(counts: [u8; 16], symbols: &[u8]) -> Result<Self, Rejected> {
        let mut codes = Self {
            short: vec![NO_CODE; 1 << LOOK],
            whole: vec![(0, 0, 0); 1 << LOOK],
            above: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            if let Some(offset) = codes.offset.get_mut(length as usize) {
                *offset = i32::try_from(place).unwrap_or_default() - i32::try_from(code).unwrap_or_default();
            }
            for _ in 0..count {
                let symbol = symbols.get(place).copied().ok_or_else(Rejected::truncated)?;
                if code >> length != 0 {
                    return Err(Rejected::broken("A Huffman table of the JPEG is damaged."));
                }
                codes.fill(code, length, symbol);
                code += 1;
                place += 1;
            }
            if let Some(above) = codes.above.get_mut(length as usize) {
                *above = code << (16 - length);
            }
            code <<= 1;
        }
        Ok(codes)
    }

    fn fill(&mut self, code: u32, length: u32, symbol: u8) {
        if length > LOOK {
            return;
        }
        let spare = LOOK - length;
        let from = (code << spare) as usize;
        for (rest, index) in (from..from + (1 << spare)).enumerate() {
            if let Some(short) = self.short.get_mut(index) {
                *short = u16::from(symbol) << 8 | length as u16;
            }
            let (run, size) = (symbol >> 4, u32::from(symbol & 15));
            let entry = match (run, size) {
                (15, 0) => (0, 15, length as u8),
                // The end of the block: past its last place.
                (0, 0) => (0, 64, length as u8),
                (_, 0) => continue,
                _ if size <= spare => {
                    let number = (rest >> (spare - size)) as i32;
                    (extended(number, size) as i16, run, (length + size) as u8)
                }
                _ => continue,
            };
            if let Some(whole) = self.whole.get_mut(index) {
                *whole = entry;
            }
        }
    }
}

/// The number that `size` bits stand for: the lower half of them are the negative ones.
fn extended(number: i32, size: u32) -> i32 {
    if size > 0 && number < 1 << (size - 1) {
        number - (1 << size) + 1
    } else {
        number
    }
}

/// The bits of a scan, up to the next marker.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, the first of them the highest.
    bits: u64,
    count: u32,
    /// Zeros that were put behind the last byte.
    padded: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self {
            data,
            at: 0,
            bits: 0,
            count: 0,
            padded: 0,
        }
    }

    /// At least 48 bits, of which those behind the end are zeros.
    #[inline]
    fn refill(&mut self) {
        if let Some(next) = self
            .data
            .get(self.at..self.at + 8)
            .and_then(|next| next.try_into().ok())
        {
            let next = u64::from_be_bytes(next);
            // No byte of 255 among the eight, so nothing is stuffed and there is no marker.
            let zeros = !next;
            if zeros.wrapping_sub(0x0101_0101_0101_0101) & next & 0x8080_8080_8080_8080 == 0 {
                self.bits |= next >> self.count;
                let taken = (63 - self.count) >> 3;
                self.at += taken as usize;
                self.count += taken * 8;
                return;
            }
        }
        self.refill_slowly();
    }

    #[cold]
    fn refill_slowly(&mut self) {
        while self.count <= 56 {
            let byte = match (self.data.get(self.at), self.data.get(self.at + 1)) {
                (Some(255), Some(0)) => {
                    self.at += 2;
                    255
                }
                (Some(byte), _) if *byte != 255 => {
                    self.at += 1;
                    *byte
                }
                _ => {
                    self.padded += 8;
                    0
                }
            };
            self.bits |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    #[inline]
    fn ready(&mut self) {
        if self.count < 32 {
            self.refill();
        }
    }

    #[inline]
    fn skip(&mut self, count: u32) {
        self.bits <<= count;
        self.count -= count;
    }

    /// Up to 16 bits; [`Self::ready`] made sure of them.
    #[inline]
    fn take(&mut self, count: u32) -> i32 {
        if count == 0 {
            return 0;
        }
        let value = (self.bits >> (64 - count)) as i32;
        self.skip(count);
        value
    }

    #[inline]
    pub(super) fn bit(&mut self) -> bool {
        self.ready();
        self.take(1) == 1
    }

    pub(super) fn bits(&mut self, count: u32) -> i32 {
        self.ready();
        self.take(count)
    }

    /// The next symbol; enough bits for the number behind it stay ready.
    #[inline]
    fn symbol(&mut self, codes: &Codes) -> Result<u8, Rejected> {
        self.ready();
        let index = (self.bits >> (64 - LOOK)) as usize;
        let short = codes.short.get(index).copied().unwrap_or(NO_CODE);
        if short != NO_CODE {
            self.skip(u32::from(short & 255));
            return Ok((short >> 8) as u8);
        }
        let next = (self.bits >> 48) as u32;
        for length in LOOK + 1..=16 {
            if next < codes.above.get(length as usize).copied().unwrap_or_default() {
                self.skip(length);
                let place =
                    (next >> (16 - length)) as i32 + codes.offset.get(length as usize).copied().unwrap_or_default();
                let symbol = usize::try_from(place).ok().and_then(|place| codes.symbols.get(place));
                return symbol.copied().ok_or_else(damaged);
            }
        }
        Err(damaged())
    }

    pub(super) fn plain_symbol(&mut self, codes: &Codes) -> Result<u8, Rejected> {
        self.symbol(codes)
    }

    /// How far the mean of a block is from that of the block before.
    #[inline]
    pub(super) fn difference(&mut self, codes: &Codes) -> Result<i32, Rejected> {
        let size = u32::from(self.symbol(codes)?.min(15));
        let number = self.take(size);
        Ok(extended(number, size))
    }

    /// A number of `size` bits.
    pub(super) fn number(&mut self, size: u32) -> i32 {
        self.ready();
        let number = self.take(size.min(15));
        extended(number, size.min(15))
    }

    /// All but the first coefficient of a block, in zigzag order; gives the place behind the last one that was set.
    #[inline]
    pub(super) fn block(&mut self, codes: &Codes, block: &mut [i16; 64]) -> Result<usize, Rejected> {
        let (mut at, mut end) = (1_usize, 1_usize);
        while at < 64 {
            self.ready();
            let index = (self.bits >> (64 - LOOK)) as usize;
            let (mut value, mut run, length) = codes.whole.get(index).copied().unwrap_or_default();
            if length == 0 {
                let symbol = self.symbol(codes)?;
                let size = u32::from(symbol & 15);
                run = symbol >> 4;
                if size == 0 && run < 15 {
                    break;
                }
                let number = self.take(size);
                value = extended(number, size) as i16;
            } else {
                self.skip(u32::from(length));
            }
            at += usize::from(run);
            if at > 63 {
                break;
            }
            block[at & 63] = value;
            at += 1;
            end = at;
        }
        Ok(end)
    }

    /// Goes on behind the next restart marker.
    pub(super) fn restart(&mut self) -> Result<(), Rejected> {
        self.check()?;
        // Bytes that were read ahead are never beyond the marker.
        let rest = self.data.get(self.at..).unwrap_or_default();
        let marker = rest
            .windows(2)
            .position(|pair| pair[0] == 255 && (0xd0..=0xd7).contains(&pair[1]))
            .ok_or_else(Rejected::truncated)?;
        *self = Self {
            at: self.at + marker + 2,
            ..Self::new(self.data)
        };
        Ok(())
    }

    /// Whether more was read than there was.
    pub(super) fn check(&self) -> Result<(), Rejected> {
        if self.padded > self.count {
            return Err(Rejected::truncated());
        }
        Ok(())
    }
}

pub(super) fn damaged() -> Rejected {
    Rejected::broken("The JPEG is damaged: its pixels cannot be read.")
}
