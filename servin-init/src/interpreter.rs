//! Finds out why execve(2) does not find a file that is there: its interpreter is missing, the one that a script
//! names after `#!` or that an ELF file names in PT_INTERP (elf(5)).

use crate::sys::descriptor::File;
use crate::sys::path::Path;
use core::ffi::CStr;
use rustix::fs::{Access, access};

/// How much of a file is looked at. The kernel reads less of a `#!` line (BINPRM_BUF_SIZE, 256), and linkers put
/// the program headers and the interpreter's name at the very beginning, before all code.
const LENGTH: usize = 1024;

/// How often a script's interpreter may be a script (`exec_binprm` in fs/exec.c).
const DEPTH: usize = 5;

/// The first in the chain of interpreters of `program` that does not exist, if there is one; `path` is the room for it.
pub fn missing<'a>(program: &CStr, path: &'a mut Path) -> Option<&'a CStr> {
    let mut start = [0; LENGTH];
    let mut name = named_by(program, &mut start)?;
    for _ in 0..DEPTH {
        let interpreter = path.join(b"", name)?;
        if access(interpreter, Access::EXISTS).is_err() {
            return path.join(b"", name);
        }
        name = named_by(interpreter, &mut start)?;
    }
    None
}

/// The interpreter that `program` names, whose start is read into `start`.
fn named_by<'a>(program: &CStr, start: &'a mut [u8; LENGTH]) -> Option<&'a [u8]> {
    // What the file is too short to fill ends as strings do.
    *start = [0; LENGTH];
    File::open(program)?.read(start);
    let mut name = match start {
        [b'#', b'!', line @ ..] => line,
        _ if *start.first_chunk()? == *b"\x7fELF" && start[4] == CLASS => {
            start.get(elf_interpreter(start)?..)?
        }
        _ => return None,
    };
    while let [b' ' | b'\t', rest @ ..] = name {
        name = rest;
    }
    let end = name.iter().position(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\0')).unwrap_or(name.len());
    (end > 0).then_some(&name[..end])
}

/// Where the interpreter's name is, as the program header of its type says.
fn elf_interpreter(start: &[u8]) -> Option<usize> {
    let mut row = start.get(word(start, TABLE)?..)?;
    while *row.first_chunk()? != PT_INTERP {
        row = row.get(ROW..)?;
    }
    word(row, ROW_OFFSET)
}

/// The type of that header, in the byte order that all our architectures share.
const PT_INTERP: [u8; 4] = 3_u32.to_le_bytes();

/// Where things are according to elf(5). Programs of the other word size are left unexplained.
const WORD: usize = size_of::<usize>();
const CLASS: u8 = (WORD / 4) as u8;
const TABLE: usize = 24 + WORD;
const ROW: usize = if WORD == 8 { 56 } else { 32 };
const ROW_OFFSET: usize = WORD;

fn word(bytes: &[u8], offset: usize) -> Option<usize> {
    Some(usize::from_le_bytes(*bytes.get(offset..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{ffi::CString, path::PathBuf};

    fn file(name: &str, content: &[u8]) -> CString {
        let path = std::env::temp_dir().join(format!("servin-interpreter-{}-{name}", std::process::id()));
        std::fs::write(&path, content).expect("write a file to look at");
        CString::new(path.into_os_string().into_encoded_bytes()).expect("no NUL in it")
    }

    fn missing_of(name: &str, content: &[u8]) -> Option<String> {
        let path = file(name, content);
        let mut interpreter = Path::default();
        let found = missing(&path, &mut interpreter).map(|found| found.to_string_lossy().into_owned());
        std::fs::remove_file(PathBuf::from(path.into_string().expect("UTF-8"))).expect("remove it");
        found
    }

    /// The parts of an ELF file that matter: the table at byte 100, its second row, the name at byte 300.
    fn program(interpreter: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 300];
        file[..5].copy_from_slice(&[0x7f, b'E', b'L', b'F', CLASS]);
        file[TABLE] = 100;
        file[100 + ROW] = 3;
        file[100 + ROW + ROW_OFFSET..][..2].copy_from_slice(&300_u16.to_le_bytes());
        file.extend_from_slice(interpreter);
        file
    }

    #[test]
    fn a_script_and_an_elf_file_name_their_interpreter() {
        assert_eq!(missing_of("script", b"#! \t/no/such -x\nrest").as_deref(), Some("/no/such"));
        assert_eq!(missing_of("dos", b"#!/no/sh\r\n").as_deref(), Some("/no/sh\r"));
        assert_eq!(missing_of("unended", b"#!/no/sh").as_deref(), Some("/no/sh"));
        assert_eq!(missing_of("elf", &program(b"/no/ld.so\0")).as_deref(), Some("/no/ld.so"));
        let installed = std::fs::read("/proc/self/exe").expect("read this program");
        assert_eq!(missing_of("installed", &installed), None);
    }

    #[test]
    fn the_interpreters_own_interpreter_is_followed() {
        let inner = file("inner", b"#!/no/inner\n");
        let line = [b"#!", inner.as_bytes(), b"\n"].concat();
        assert_eq!(missing_of("outer", &line).as_deref(), Some("/no/inner"));
        std::fs::remove_file(inner.to_str().expect("UTF-8")).expect("remove it");
    }

    #[test]
    fn nonsense_names_none() {
        for (name, content) in [
            ("empty", &b""[..]),
            ("text", b"echo"),
            ("bare", b"#!"),
            ("short", b"\x7fELF"),
            ("headless", b"\x7fELF\x02\x01\x01"),
        ] {
            assert_eq!(missing_of(name, content), None, "{name}");
        }
        let mut far = program(b"/no/ld.so\0");
        far[TABLE..TABLE + WORD].fill(0xff);
        assert_eq!(missing_of("far", &far), None);
    }
}
