//! Function names from a PDB: the multi-stream container, the DBI stream, and the symbol records of
//! public symbols and of modules. Types, lines and everything else are left alone.

use crate::pe::{Image, array_at, ascii_at, slice_at, u16_at, u32_at};

const MAGIC: &[u8; 32] = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0";
const INFO_STREAM: usize = 1;
const DBI_STREAM: usize = 3;
const NO_STREAM: u16 = 0xffff;
const LONGEST_NAME: usize = 4096;

const S_PUB32: u16 = 0x110e;
const S_LPROC32: u16 = 0x110f;
const S_GPROC32: u16 = 0x1110;
const PUBLIC_FUNCTION: u32 = 2;

/// Start and name of every function that the PDB knows; `None` if it is no PDB, damaged, or that of
/// another image.
pub(super) fn functions(file: &[u8], image: &Image) -> Option<Vec<(u32, String)>> {
    let container = Container::open(file)?;
    if !belongs_to(&container, image) {
        return None;
    }
    let dbi = container.stream(DBI_STREAM)?;
    let symbols = u16_at(&dbi, 20)?;
    let modules_size = u32_at(&dbi, 24)? as usize;
    let modules = slice_at(&dbi, 64, modules_size)?;
    let sections = image.section_starts();
    let mut found = Vec::new();
    // Modules first: their names are whole, and of two names for one address the first is kept.
    for (stream, size) in module_streams(modules) {
        if let Some(records) = container.stream(stream.into()) {
            // A signature stands before the records.
            let records = slice_at(&records, 4, size.saturating_sub(4)).unwrap_or_default();
            collect(records, &sections, &mut found);
        }
    }
    if symbols != NO_STREAM
        && let Some(records) = container.stream(symbols.into())
    {
        collect(&records, &sections, &mut found);
    }
    Some(found)
}

/// Compares the PDB's identity (GUID and age) with the one that the linker wrote into the image.
fn belongs_to(container: &Container<'_>, image: &Image) -> bool {
    let identity = || {
        let info = container.stream(INFO_STREAM)?;
        let guid: [u8; 16] = array_at(&info, 12)?;
        let record = image.debug_record()?;
        let of_image: [u8; 16] = array_at(record, 4)?;
        Some(record.starts_with(b"RSDS") && guid == of_image)
    };
    identity().unwrap_or(false)
}

/// Symbol stream of each module, and the size of its records.
fn module_streams(modules: &[u8]) -> Vec<(u16, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let entry = || {
            let stream = u16_at(modules, at + 34)?;
            let size = u32_at(modules, at + 36)? as usize;
            let names = modules.get(at + 64..)?;
            let first = names.iter().position(|&b| b == 0)? + 1;
            let second = names.get(first..)?.iter().position(|&b| b == 0)? + 1;
            Some((stream, size, (64 + first + second).next_multiple_of(4)))
        };
        let Some((stream, size, len)) = entry() else {
            return found;
        };
        if stream != NO_STREAM {
            found.push((stream, size));
        }
        at += len;
    }
}

/// Takes the functions from a run of symbol records.
fn collect(records: &[u8], sections: &[u32], found: &mut Vec<(u32, String)>) {
    let mut at = 0;
    while let (Some(len), Some(kind)) = (u16_at(records, at), u16_at(records, at + 2)) {
        let body = at + 4;
        let place = match kind {
            S_PUB32 if u32_at(records, body).is_some_and(|f| f & PUBLIC_FUNCTION != 0) => {
                Some((body + 4, body + 10))
            }
            S_LPROC32 | S_GPROC32 => Some((body + 28, body + 35)),
            _ => None,
        };
        let function = place.and_then(|(place, name)| {
            let offset = u32_at(records, place)?;
            let section = usize::from(u16_at(records, place + 4)?).checked_sub(1)?;
            let name = ascii_at(records, name, LONGEST_NAME)?;
            let rva = sections.get(section)?.checked_add(offset)?;
            Some((rva, name.to_owned()))
        });
        found.extend(function);
        at += usize::from(len) + 2;
    }
}

/// The container: numbered streams, each scattered over blocks of the file.
struct Container<'a> {
    file: &'a [u8],
    block: usize,
    directory: Vec<u8>,
}

impl<'a> Container<'a> {
    fn open(file: &'a [u8]) -> Option<Container<'a>> {
        if !file.starts_with(MAGIC) {
            return None;
        }
        let block = u32_at(file, 32)? as usize;
        if !matches!(block, 512 | 1024 | 2048 | 4096 | 8192) {
            return None;
        }
        let mut container = Container {
            file,
            block,
            directory: Vec::new(),
        };
        let size = u32_at(file, 44)? as usize;
        let map = u32_at(file, 52)? as usize * block;
        container.directory = container.gather(file, map, size)?;
        Some(container)
    }

    /// Joins `size` bytes from the blocks whose numbers stand at `at` of `list`.
    fn gather(&self, list: &[u8], at: usize, size: usize) -> Option<Vec<u8>> {
        if size > self.file.len() {
            return None;
        }
        let mut bytes = Vec::with_capacity(size);
        for i in 0..size.div_ceil(self.block) {
            let number = u32_at(list, at + i * 4)? as usize;
            let len = self.block.min(size - bytes.len());
            bytes.extend(slice_at(self.file, number.checked_mul(self.block)?, len)?);
        }
        Some(bytes)
    }

    fn stream(&self, number: usize) -> Option<Vec<u8>> {
        const ABSENT: u32 = u32::MAX;
        let count = u32_at(&self.directory, 0)? as usize;
        if number >= count {
            return None;
        }
        let size_of = |i: usize| {
            let size = u32_at(&self.directory, 4 + i * 4)?;
            Some(if size == ABSENT { 0 } else { size as usize })
        };
        let mut at = 4 + count * 4;
        for i in 0..number {
            at += size_of(i)?.div_ceil(self.block) * 4;
        }
        self.gather(&self.directory, at, size_of(number)?)
    }
}
