//! The checksum of gzip (RFC 1952, section 8), eight bytes at a time.

use alloc::boxed::Box;
use alloc::vec;

/// The polynomial, its bits in reverse.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// A checksum in the making.
pub struct Crc32 {
    /// What a byte becomes when 0 to 7 more have come behind it.
    tables: Box<[[u32; 256]]>,
    state: u32,
}

impl Crc32 {
    /// Of nothing yet.
    pub fn new() -> Crc32 {
        let mut tables = vec![[0; 256]; 8].into_boxed_slice();
        for byte in 0..256 {
            let mut value = byte as u32;
            for _ in 0..8 {
                value = value >> 1 ^ if value & 1 == 1 { POLYNOMIAL } else { 0 };
            }
            tables[0][byte] = value;
        }
        for table in 1..8 {
            for byte in 0..256 {
                let before = tables[table - 1][byte];
                tables[table][byte] = before >> 8 ^ tables[0][before as usize & 255];
            }
        }
        Crc32 { tables, state: !0 }
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        let Some((tables, _)) = self.tables.split_first_chunk::<8>() else { return };
        let mut state = self.state;
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let word = u64::from_le_bytes(*eight) ^ u64::from(state);
            state = 0;
            for (place, table) in tables.iter().rev().enumerate() {
                state ^= table[(word >> (8 * place)) as usize & 255];
            }
        }
        for byte in rest {
            state = state >> 8 ^ tables[0][(state as u8 ^ byte) as usize];
        }
        self.state = state;
    }

    /// The checksum of what has come, and from here on that of what comes.
    pub fn take(&mut self) -> u32 {
        !core::mem::replace(&mut self.state, !0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_standards() {
        let mut crc = Crc32::new();
        crc.update(b"123456789");
        assert_eq!(crc.take(), 0xcbf4_3926);
        // In pieces of any length.
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i) as u8).collect();
        crc.update(&bytes);
        let whole = crc.take();
        bytes.chunks(7).for_each(|part| crc.update(part));
        assert_eq!((crc.take(), crc.take()), (whole, 0));
    }
}
