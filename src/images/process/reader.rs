//! Reading numbers out of untrusted bytes: running out of them is an answer, never a panic.

use super::Rejected;

/// A position in some bytes. Reading past the end says that the picture is cut off.
pub(super) struct Reader<'a> {
    data: &'a [u8],
    pos: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, pos: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pos >= self.data.len()
    }

    /// Everything from here to the end, without moving.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.data.get(self.pos..).unwrap_or_default()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Rejected> {
        let end = self.pos.checked_add(count).ok_or_else(Rejected::truncated)?;
        let part = self.data.get(self.pos..end).ok_or_else(Rejected::truncated)?;
        self.pos = end;
        Ok(part)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let part = self.take(N)?;
        part.try_into().map_err(|_| Rejected::truncated())
    }

    pub(super) fn u8(&mut self) -> Result<u8, Rejected> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16_be(&mut self) -> Result<u16, Rejected> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u16_le(&mut self) -> Result<u16, Rejected> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u24_le(&mut self) -> Result<u32, Rejected> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    pub(super) fn u32_be(&mut self) -> Result<u32, Rejected> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u32_le(&mut self) -> Result<u32, Rejected> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A big-endian number of 0, 1, 2, 4 or 8 bytes, as the boxes of AVIF choose.
    pub(super) fn uint_be(&mut self, size: usize) -> Result<u64, Rejected> {
        Ok(self
            .take(size)?
            .iter()
            .fold(0, |value, byte| (value << 8) | u64::from(*byte)))
    }
}
