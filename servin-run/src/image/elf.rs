//! What the dynamic loader would read in an ELF file: the machine, the interpreter, the libraries it needs
//! and where it says to look for them.
//!
//! Pure: it asks for pieces of the file through a [`Source`] and makes no system call. Its input may be
//! anything: every offset is checked, every loop and every string is bounded. The rules are those of elf(5)
//! and of the gABI, "Dynamic Section". Little-endian only, as all of Servin's platforms are.

use alloc::string::String;
use alloc::vec::Vec;

/// A file that is read in pieces: a slice in the tests, an open file otherwise.
pub trait Source {
    /// Fills `buffer` from `offset` on, and says how many bytes there were.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize;
}

#[cfg(test)]
impl Source for &[u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or(&[]);
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        length
    }
}

/// The loader's view of one ELF file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Elf {
    /// The class (1: 32 bits, 2: 64 bits) and `e_machine`: what a library must have in common with its user.
    pub abi: (u8, u16),
    /// `PT_INTERP`: the dynamic loader; a statically linked program has none.
    pub interpreter: Option<String>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<String>,
    /// `DT_RPATH`, not split yet.
    pub rpath: Option<String>,
    /// `DT_RUNPATH`, not split yet.
    pub runpath: Option<String>,
}

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;

const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// Longer than what any linker writes; a file beyond a limit is read up to it.
const MAX_SEGMENTS: u64 = 256;
const MAX_DYNAMIC: u64 = 4096;
const MAX_PLACES: usize = 256;
/// `PATH_MAX`.
const MAX_STRING: usize = 4096;

impl Elf {
    /// Reads the headers of `file`; `None` when it is not an ELF program or library, or is a broken one.
    pub fn read(file: &dyn Source) -> Option<Elf> {
        let mut file = Reader { file, block: [0; 1024], start: 0, length: 0 };
        let class = file.number(4, 1)?;
        if file.number(0, 4)? != 0x464c_457f || !(1..=2).contains(&class) || file.number(5, 1)? != 1 {
            return None;
        }
        let mut elf = Elf { abi: (class as u8, file.number(18, 2)? as u16), ..Elf::default() };
        // Where and how long the fields are. Of the header: e_phoff, e_phentsize, e_phnum; of a segment: p_offset,
        // p_vaddr, p_filesz.
        let (word, [table, entry, count, offset, address, size]) =
            if class == 2 { (8, [32, 54, 56, 8, 16, 32]) } else { (4, [28, 42, 44, 4, 8, 16]) };
        let table = file.number(table, word)?;
        let entry = file.number(entry, 2)?;

        let mut loads = Vec::new();
        let mut dynamic = None;
        for index in 0..file.number(count, 2)?.min(MAX_SEGMENTS) {
            let at = table.checked_add(index * entry)?;
            let kind = file.number(at, 4)?;
            let segment = Segment {
                offset: file.number(at.checked_add(offset)?, word)?,
                address: file.number(at.checked_add(address)?, word)?,
                size: file.number(at.checked_add(size)?, word)?,
            };
            match kind {
                PT_LOAD => loads.push(segment),
                PT_DYNAMIC => dynamic = Some(segment),
                PT_INTERP => elf.interpreter = Some(file.string(segment.offset)?),
                _ => {}
            }
        }
        match dynamic {
            Some(dynamic) => elf.read_dynamic(&mut file, word, &dynamic, &loads)?,
            None if elf.interpreter.is_some() => return None,
            None => {}
        }
        Some(elf)
    }

    fn read_dynamic(
        &mut self,
        file: &mut Reader<'_>,
        word: u64,
        dynamic: &Segment,
        loads: &[Segment],
    ) -> Option<()> {
        let mut strings = 0;
        // The strings' place may come behind their users, so places are collected first.
        let mut places = Vec::new();
        let mut at = dynamic.offset;
        for _ in 0..(dynamic.size / (2 * word)).min(MAX_DYNAMIC) {
            let tag = file.number(at, word)?;
            let value = file.number(at.checked_add(word)?, word)?;
            at = at.checked_add(2 * word)?;
            match tag {
                0 => break,
                DT_STRTAB => strings = value,
                DT_NEEDED | DT_RPATH | DT_RUNPATH if places.len() < MAX_PLACES => places.push((tag, value)),
                _ => {}
            }
        }
        let load = loads.iter().find(|load| strings.wrapping_sub(load.address) < load.size);
        for (tag, place) in places {
            let load = load?;
            let text = file.string((strings - load.address).checked_add(load.offset)?.checked_add(place)?)?;
            match tag {
                DT_NEEDED => self.needed.push(text),
                DT_RPATH => self.rpath = Some(text),
                _ => self.runpath = Some(text),
            }
        }
        Some(())
    }
}

struct Segment {
    offset: u64,
    address: u64,
    size: u64,
}

/// Reads numbers and strings by way of a block, since they come in groups.
struct Reader<'file> {
    file: &'file dyn Source,
    block: [u8; 1024],
    start: u64,
    length: usize,
}

impl Reader<'_> {
    fn byte(&mut self, at: u64) -> Option<u8> {
        if at.wrapping_sub(self.start) >= self.length as u64 {
            self.start = at;
            self.length = self.file.read_at(at, &mut self.block);
        }
        self.block[..self.length].get((at - self.start) as usize).copied()
    }

    /// The little-endian number of `size` bytes at `at`.
    fn number(&mut self, at: u64, size: u64) -> Option<u64> {
        let mut number = 0;
        for index in 0..size {
            number |= u64::from(self.byte(at.checked_add(index)?)?) << (8 * index);
        }
        Some(number)
    }

    /// The string at `at`, which must end within [`MAX_STRING`] bytes and be UTF-8.
    fn string(&mut self, at: u64) -> Option<String> {
        let mut text = Vec::new();
        while text.len() < MAX_STRING {
            match self.byte(at.checked_add(text.len() as u64)?)? {
                0 => return String::from_utf8(text).ok(),
                byte => text.push(byte),
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn own() -> Vec<u8> {
        // The test program itself: a dynamically linked file that is always there.
        std::fs::read("/proc/self/exe").unwrap()
    }

    /// A 32-bit library of one page: headers, one load, a dynamic section, strings.
    fn narrow() -> Vec<u8> {
        let mut file = vec![0; 0x200];
        let mut put = |at: usize, words: &[u32]| {
            for (index, word) in words.iter().enumerate() {
                file[at + index * 4..][..4].copy_from_slice(&word.to_le_bytes());
            }
        };
        put(0, &[0x464c_457f, 0x0001_0101]);
        put(16, &[40 << 16 | 3]);
        put(28, &[52]);
        put(40, &[32 << 16 | 52, 2]);
        put(52, &[1, 0, 0x10000, 0, 0x200, 0x200]);
        put(84, &[2, 0x100, 0x10100, 0, 0x40, 0x40]);
        put(0x100, &[1, 1, 29, 9, 5, 0x10180, 0, 0]);
        file[0x180..0x194].copy_from_slice(b"\0libc.so\0$ORIGIN/..\0");
        file
    }

    #[test]
    fn reads_both_classes() {
        let elf = Elf::read(&&narrow()[..]).unwrap();
        assert_eq!(elf.abi, (1, 40));
        assert_eq!(elf.needed, ["libc.so"]);
        assert_eq!((elf.runpath.as_deref(), elf.rpath, elf.interpreter), (Some("$ORIGIN/.."), None, None));

        let elf = Elf::read(&&own()[..]).unwrap();
        assert!(elf.interpreter.unwrap().contains("/ld-"));
        assert!(elf.needed.iter().any(|name| name.starts_with("libc.")), "{:?}", elf.needed);
    }

    #[test]
    fn what_is_not_elf_is_none() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0; 4096], &[0xff; 4096]] {
            assert_eq!(Elf::read(&bytes), None);
        }
    }

    #[test]
    fn a_truncated_file_is_none_or_read_without_a_panic() {
        for file in [narrow(), own()] {
            for length in 0..file.len().min(6000) {
                let _ = Elf::read(&&file[..length]);
            }
        }
        assert_eq!(Elf::read(&&narrow()[..0x185]), None);
    }

    #[test]
    fn mutations_never_panic() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |bound: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % bound
        };
        for mut file in [narrow(), own()] {
            let head = file.len().min(1024);
            for _ in 0..20_000 {
                let mut undo = vec![];
                for _ in 0..=next(6) {
                    let at = next(head);
                    undo.push((at, file[at]));
                    file[at] = [0, 0xff, 0x7f, 0x80, next(256) as u8][next(5)];
                }
                let _ = Elf::read(&&file[..]);
                for (at, byte) in undo.into_iter().rev() {
                    file[at] = byte;
                }
            }
        }
    }
}
