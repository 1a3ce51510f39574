//! Reads the headers of ELF files (elf(5)): is a program static, for which machine, which libraries does it want,
//! and what does a kernel module's `.modinfo` section say. Little-endian files of 32 and 64 bits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Result, workspace};

pub const EM_ARM: u16 = 40;
pub const EM_X86_64: u16 = 62;
pub const EM_AARCH64: u16 = 183;
pub const EM_RISCV: u16 = 243;

const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;

/// A file whose header has been found to be sound.
pub struct Elf<'a> {
    bytes: &'a [u8],
    wide: bool,
}

/// One program header, as far as anybody here wants to know.
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
}

impl<'a> Elf<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        if bytes.get(..4) != Some(b"\x7fELF") {
            return Err("not an ELF file".to_owned());
        }
        let wide = match bytes.get(4) {
            Some(1) => false,
            Some(2) => true,
            _ => return Err("an ELF file of neither 32 nor 64 bits".to_owned()),
        };
        if bytes.get(5) != Some(&1) {
            return Err("not a little-endian ELF file".to_owned());
        }
        let elf = Elf { bytes, wide };
        if bytes.len() < if wide { 64 } else { 52 } {
            return Err("a truncated ELF header".to_owned());
        }
        Ok(elf)
    }

    /// An unsigned number of `size` bytes.
    fn number(&self, offset: u64, size: usize) -> Result<u64> {
        let start = usize::try_from(offset).map_err(|_| "an offset beyond the file")?;
        let bytes =
            self.bytes.get(start..).and_then(|rest| rest.get(..size)).ok_or("a truncated ELF file")?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A number whose place and size depend on the class: (offset, size) for 32 and for 64 bits.
    fn field(&self, base: u64, narrow: (u64, usize), wide: (u64, usize)) -> Result<u64> {
        let (offset, size) = if self.wide { wide } else { narrow };
        self.number(base.checked_add(offset).ok_or("an offset beyond the file")?, size)
    }

    pub fn bits(&self) -> u32 {
        if self.wide { 64 } else { 32 }
    }

    pub fn machine(&self) -> Result<u16> {
        Ok(self.number(18, 2)? as u16)
    }

    fn segments(&self) -> Result<Vec<Segment>> {
        let table = self.field(0, (28, 4), (32, 8))?;
        let size = self.field(0, (42, 2), (54, 2))?;
        let count = self.field(0, (44, 2), (56, 2))?;
        let at = |index: u64| table.checked_add(index * size).ok_or("an offset beyond the file");
        let segment = |index| -> Result<Segment> {
            let base = at(index)?;
            Ok(Segment {
                kind: self.number(base, 4)?,
                offset: self.field(base, (4, 4), (8, 8))?,
                address: self.field(base, (8, 4), (16, 8))?,
                size: self.field(base, (16, 4), (32, 8))?,
            })
        };
        (0..count).map(segment).collect()
    }

    fn bytes_at(&self, offset: u64, size: u64) -> Result<&'a [u8]> {
        let start = usize::try_from(offset).map_err(|_| "an offset beyond the file")?;
        let size = usize::try_from(size).map_err(|_| "a size beyond the file")?;
        Ok(self.bytes.get(start..).and_then(|rest| rest.get(..size)).ok_or("a truncated ELF file")?)
    }

    fn string_at(&self, offset: u64) -> Result<String> {
        let start = usize::try_from(offset).map_err(|_| "an offset beyond the file")?;
        let rest = self.bytes.get(start..).ok_or("a string beyond the file")?;
        let end = rest.iter().position(|byte| *byte == 0).ok_or("a string without an end")?;
        Ok(String::from_utf8_lossy(&rest[..end]).into_owned())
    }

    /// The dynamic loader that the program asks for.
    pub fn interpreter(&self) -> Result<Option<String>> {
        match self.segments()?.into_iter().find(|segment| segment.kind == PT_INTERP) {
            Some(segment) => self.string_at(segment.offset).map(Some),
            None => Ok(None),
        }
    }

    /// The names of the shared libraries that the file asks for.
    pub fn needed(&self) -> Result<Vec<String>> {
        let segments = self.segments()?;
        let Some(dynamic) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
            return Ok(Vec::new());
        };
        let word = if self.wide { 8 } else { 4 };
        let entries = (0..dynamic.size / (2 * word as u64)).map(|index| -> Result<(u64, u64)> {
            let base = dynamic.offset + index * 2 * word as u64;
            Ok((self.number(base, word)?, self.number(base + word as u64, word)?))
        });
        let entries: Vec<(u64, u64)> = entries.collect::<Result<_>>()?;
        let strings = entries.iter().find(|(tag, _)| *tag == DT_STRTAB).ok_or("no dynamic string table")?.1;
        let holds = |s: &&Segment| s.kind == PT_LOAD && (s.address..s.address + s.size).contains(&strings);
        let load = segments.iter().find(holds).ok_or("a dynamic string table outside of the file")?;
        let strings = strings - load.address + load.offset;
        let names = entries.iter().filter(|(tag, _)| *tag == DT_NEEDED);
        names.map(|(_, offset)| self.string_at(strings + offset)).collect()
    }

    /// Neither a loader nor anything for it to do: the file runs on a machine without any other file.
    pub fn check_static(&self) -> Result {
        let segments = self.segments()?;
        if !segments.iter().any(|segment| segment.kind == PT_LOAD) {
            return Err("nothing in it is loaded".to_owned());
        }
        for (kind, name) in [(PT_INTERP, "PT_INTERP"), (PT_DYNAMIC, "PT_DYNAMIC")] {
            if segments.iter().any(|segment| segment.kind == kind) {
                return Err(format!("not static: it has a {name} header"));
            }
        }
        Ok(())
    }

    /// The bytes of the section with this name.
    pub fn section(&self, name: &str) -> Result<Option<&'a [u8]>> {
        let table = self.field(0, (32, 4), (40, 8))?;
        let size = self.field(0, (46, 2), (58, 2))?;
        let count = self.field(0, (48, 2), (60, 2))?;
        let names = self.field(0, (50, 2), (62, 2))?;
        let header = |index: u64| table.checked_add(index * size).ok_or("an offset beyond the file");
        let place = |base| -> Result<(u64, u64)> {
            Ok((self.field(base, (16, 4), (24, 8))?, self.field(base, (20, 4), (32, 8))?))
        };
        let names = place(header(names)?)?.0;
        for index in 0..count {
            let base = header(index)?;
            let own = names.checked_add(self.number(base, 4)?).ok_or("an offset beyond the file")?;
            if self.string_at(own)? == name {
                let (offset, size) = place(base)?;
                return self.bytes_at(offset, size).map(Some);
            }
        }
        Ok(None)
    }
}

/// What the architecture is called by people.
pub fn machine_name(machine: u16) -> &'static str {
    match machine {
        EM_ARM => "ARM",
        EM_X86_64 => "x86-64",
        EM_AARCH64 => "AArch64",
        EM_RISCV => "RISC-V",
        _ => "unknown machine",
    }
}

/// Every file that the dynamic programs need to run, by the path at which they look for it: the loaders and, from
/// the host's library folders, the libraries of the libraries too.
pub fn libraries(programs: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found: BTreeMap<PathBuf, ()> = BTreeMap::new();
    let mut todo = programs.to_vec();
    while let Some(path) = todo.pop() {
        let bytes = workspace::read(&path)?;
        let within = |e| format!("{}: {e}", path.display());
        let elf = Elf::parse(&bytes).map_err(within)?;
        let loader = elf.interpreter().map_err(within)?.map(PathBuf::from);
        let mut wanted: Vec<PathBuf> = loader.into_iter().collect();
        for name in elf.needed().map_err(within)? {
            wanted.push(library(&name, elf.machine()?).ok_or_else(|| within(format!("no {name} here")))?);
        }
        for file in wanted {
            if found.insert(file.clone(), ()).is_none() {
                todo.push(file);
            }
        }
    }
    Ok(found.into_keys().collect())
}

/// Looks for a library where Debian's loader does.
fn library(name: &str, machine: u16) -> Option<PathBuf> {
    const FOLDERS: [&str; 8] = [
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ];
    let fits = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        Elf::parse(&bytes).is_ok_and(|elf| elf.machine() == Ok(machine))
    };
    FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit header with program headers of the given kinds, each 56 bytes.
    fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 * kinds.len()];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18..20].copy_from_slice(&machine.to_le_bytes());
        file[32] = 64;
        file[54] = 56;
        file[56] = kinds.len() as u8;
        for (index, kind) in kinds.iter().enumerate() {
            file[64 + 56 * index..][..4].copy_from_slice(&kind.to_le_bytes());
        }
        file
    }

    #[test]
    fn a_program_with_only_loaded_segments_is_static() {
        let bytes = program(EM_RISCV, &[1, 1]);
        let elf = Elf::parse(&bytes).expect("parses");
        assert_eq!(elf.machine().map(machine_name), Ok("RISC-V"));
        assert_eq!((elf.bits(), elf.check_static()), (64, Ok(())));
        assert_eq!(elf.needed(), Ok(vec![]));
    }

    #[test]
    fn a_loader_or_a_dynamic_table_is_not_static() {
        for (kind, name) in [(2, "PT_DYNAMIC"), (3, "PT_INTERP")] {
            let bytes = program(EM_X86_64, &[1, kind]);
            let error = Elf::parse(&bytes).and_then(|elf| elf.check_static());
            assert!(error.is_err_and(|e| e.contains(name)));
        }
    }

    #[test]
    fn this_test_is_a_dynamic_program() {
        let own = std::env::current_exe().expect("a path");
        let bytes = workspace::read(&own).expect("readable");
        let elf = Elf::parse(&bytes).expect("parses");
        assert!(elf.interpreter().expect("readable").is_some_and(|loader| loader.contains("ld-linux")));
        assert!(elf.needed().expect("readable").iter().any(|name| name == "libc.so.6"));
        assert!(elf.section(".text").is_ok_and(|text| text.is_some_and(|text| text.len() > 1000)));
        assert_eq!(elf.section(".no_such"), Ok(None));
        assert!(libraries(&[own]).expect("found").iter().any(|path| path.ends_with("libc.so.6")));
    }

    #[test]
    fn damaged_files_are_errors_and_no_panics() {
        assert!(Elf::parse(b"#!/bin/sh").is_err());
        assert!(Elf::parse(b"\x7fELF\x02\x01").is_err());
        assert!(Elf::parse(b"\x7fELF\x09\x01").is_err());
        let mut bytes = program(EM_ARM, &[1, 2]);
        bytes[32..40].fill(0xff);
        assert!(Elf::parse(&bytes).is_ok_and(|elf| elf.check_static().is_err() && elf.needed().is_err()));
        let own = workspace::read(&std::env::current_exe().expect("a path")).expect("readable");
        for length in (0..2000).chain((2000..own.len()).step_by(own.len() / 50)) {
            if let Ok(elf) = Elf::parse(&own[..length]) {
                let _ = (elf.needed(), elf.interpreter(), elf.section(".text"), elf.check_static());
            }
        }
    }
}
