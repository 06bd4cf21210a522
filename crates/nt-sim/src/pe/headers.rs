//! File and section headers: read once, checked, then trusted.

use super::{
    bytes::{ascii_at, slice_at, u16_at, u32_at, u64_at},
    error::{Machine, PeError},
};

/// Bytes of a page; the unit of section alignment and protection.
pub(crate) const PAGE: usize = 4096;
/// Largest image that is loaded. Drivers of a few megabytes are already large.
const MAX_IMAGE: u32 = 256 << 20;
const SUBSYSTEM_NATIVE: u16 = 1;
const RELOCATIONS_STRIPPED: u16 = 0x0001;

/// Where a data directory lies in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) rva: u32,
    pub(crate) size: u32,
}

/// Which data directory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DirectoryIndex {
    Export = 0,
    Import = 1,
    Exception = 3,
    BaseRelocation = 5,
    Debug = 6,
    LoadConfig = 10,
}

/// A section: a range of the image with one protection.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) rva: u32,
    /// Bytes in memory, a multiple of the page size.
    pub(crate) size: u32,
    file_offset: u32,
    file_size: u32,
    characteristics: u32,
}

impl Section {
    /// Bytes of the file that fill the start of the section.
    pub(crate) fn data<'a>(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let len = self.file_size.min(self.size) as usize;
        slice_at(file, self.file_offset as usize, len)
    }

    pub(crate) fn readable(&self) -> bool {
        self.characteristics & 0x4000_0000 != 0
    }

    pub(crate) fn writable(&self) -> bool {
        self.characteristics & 0x8000_0000 != 0
    }

    pub(crate) fn executable(&self) -> bool {
        self.characteristics & 0x2000_0000 != 0
    }

    /// Code and data that Windows frees once `DriverEntry` has returned.
    pub(crate) fn discardable(&self) -> bool {
        self.characteristics & 0x0200_0000 != 0
    }

    pub(crate) fn contains(&self, rva: u32) -> bool {
        rva.checked_sub(self.rva).is_some_and(|o| o < self.size)
    }
}

/// What the headers of a driver file say, checked.
#[derive(Debug)]
pub(crate) struct Headers {
    pub(crate) entry: u32,
    pub(crate) image_base: u64,
    pub(crate) image_size: u32,
    pub(crate) headers_size: u32,
    pub(crate) sections: Vec<Section>,
    directories: Vec<Directory>,
}

impl Headers {
    /// Reads and checks the headers of `file`.
    pub(crate) fn read(file: &[u8]) -> Result<Headers, PeError> {
        let magic = file.first_chunk::<2>();
        if file.starts_with(b"\x7fELF") {
            return Err(PeError::NotPe("is an ELF file"));
        }
        if magic != Some(b"MZ") {
            return Err(PeError::NotPe("does not start with \"MZ\""));
        }
        let truncated = |what: &str, end: usize| PeError::Truncated {
            what: what.to_owned(),
            end: end as u64,
            size: file.len() as u64,
        };
        let pe = u32_at(file, 0x3c).ok_or_else(|| truncated("the DOS header", 0x40))? as usize;
        let coff = pe.saturating_add(4);
        let optional = pe.saturating_add(24);
        match slice_at(file, pe, 4) {
            None => return Err(truncated("the PE header", optional)),
            Some(b"PE\0\0") => {}
            Some(_) => return Err(PeError::NotPe("has no \"PE\" signature")),
        }
        if file.len() < optional {
            return Err(truncated("the PE header", optional));
        }
        let short = |what: &'static str| move || PeError::BadHeader(format!("{what} is missing"));
        let machine = Machine(u16_at(file, coff).ok_or_else(short("the machine"))?);
        if machine != Machine::AMD64 {
            return Err(PeError::WrongMachine(machine));
        }
        let section_count = u16_at(file, coff + 2).ok_or_else(short("the section count"))?;
        let optional_size = usize::from(u16_at(file, coff + 16).ok_or_else(short("a size"))?);
        let characteristics = u16_at(file, coff + 18).ok_or_else(short("the characteristics"))?;
        let header = slice_at(file, optional, optional_size)
            .ok_or_else(|| truncated("the optional header", optional + optional_size))?;
        if u16_at(header, 0) != Some(0x20b) {
            return Err(PeError::BadHeader(
                "the optional header is not of the 64-bit kind (PE32+)".into(),
            ));
        }
        if header.len() < 112 {
            return Err(PeError::BadHeader(format!(
                "the optional header has {} bytes and needs 112",
                header.len()
            )));
        }
        let field32 = |offset| u32_at(header, offset).unwrap_or(0);
        let subsystem = u16_at(header, 68).unwrap_or(0);
        if subsystem != SUBSYSTEM_NATIVE {
            return Err(PeError::WrongSubsystem(subsystem));
        }
        if characteristics & RELOCATIONS_STRIPPED != 0 {
            return Err(PeError::NotRelocatable);
        }
        let image_size = field32(56);
        let headers_size = field32(60);
        check_sizes(image_size, headers_size, field32(32), file.len())?;
        let count = (field32(108).min(16) as usize).min((header.len() - 112) / 8);
        let directories: Vec<_> = (0..count)
            .map(|i| Directory {
                rva: field32(112 + i * 8),
                size: field32(116 + i * 8),
            })
            .collect();
        let table = optional + optional_size;
        let sections = read_sections(file, table, section_count, image_size, headers_size)?;
        let headers = Headers {
            entry: field32(16),
            image_base: u64_at(header, 24).unwrap_or(0),
            image_size,
            headers_size,
            sections,
            directories,
        };
        headers.check_entry()?;
        Ok(headers)
    }

    /// A data directory; empty if the file does not have it.
    pub(crate) fn directory(&self, index: DirectoryIndex) -> Directory {
        self.directories
            .get(index as usize)
            .copied()
            .unwrap_or_default()
    }

    /// The section that holds `rva`.
    pub(crate) fn section_at(&self, rva: u32) -> Option<&Section> {
        self.sections.iter().find(|s| s.contains(rva))
    }

    fn check_entry(&self) -> Result<(), PeError> {
        if self.entry == 0 {
            return Err(PeError::NoEntryPoint);
        }
        if !self.section_at(self.entry).is_some_and(Section::executable) {
            return Err(PeError::BadHeader(format!(
                "the entry point {:#x} is not in executable code",
                self.entry
            )));
        }
        Ok(())
    }
}

fn check_sizes(image: u32, headers: u32, alignment: u32, file: usize) -> Result<(), PeError> {
    if (alignment as usize) < PAGE || !alignment.is_power_of_two() {
        return Err(PeError::BadHeader(format!(
            "sections are aligned to {alignment:#x} bytes and need a power of two of at least {PAGE:#x}"
        )));
    }
    if image == 0 || image > MAX_IMAGE || headers > image {
        return Err(PeError::BadHeader(format!(
            "the image size is {image:#x} and the size of the headers {headers:#x}"
        )));
    }
    if headers as usize > file {
        return Err(PeError::Truncated {
            what: "the headers".into(),
            end: headers.into(),
            size: file as u64,
        });
    }
    Ok(())
}

fn read_sections(
    file: &[u8],
    table: usize,
    count: u16,
    image_size: u32,
    headers_size: u32,
) -> Result<Vec<Section>, PeError> {
    let mut sections = Vec::with_capacity(count.into());
    let mut free_from = headers_size;
    for i in 0..usize::from(count) {
        let at = table + i * 40;
        let raw = slice_at(file, at, 40).ok_or_else(|| PeError::Truncated {
            what: "the section table".into(),
            end: (table + usize::from(count) * 40) as u64,
            size: file.len() as u64,
        })?;
        let name = section_name(raw);
        let field = |offset| u32_at(raw, offset).unwrap_or(0);
        let (virtual_size, rva) = (field(8), field(12));
        let (file_size, file_offset) = (field(16), field(20));
        let wanted = if virtual_size == 0 {
            file_size
        } else {
            virtual_size
        };
        let end = u64::from(rva) + u64::from(wanted);
        let overlaps = rva < free_from;
        if overlaps || !(rva as usize).is_multiple_of(PAGE) || end > image_size.into() {
            return Err(PeError::BadHeader(format!(
                "section \"{name}\" at {rva:#x}..{end:#x} is misaligned, overlaps another or leaves the image"
            )));
        }
        let file_size = if file_offset == 0 { 0 } else { file_size };
        let file_end = u64::from(file_offset) + u64::from(file_size.min(wanted));
        if file_end > file.len() as u64 {
            return Err(PeError::Truncated {
                what: format!("section \"{name}\""),
                end: file_end,
                size: file.len() as u64,
            });
        }
        let size = wanted.next_multiple_of(PAGE as u32);
        free_from = rva + size;
        sections.push(Section {
            name,
            rva,
            size,
            file_offset,
            file_size: file_size.min(wanted),
            characteristics: field(36),
        });
    }
    Ok(sections)
}

fn section_name(raw: &[u8]) -> String {
    let mut name = [0; 9];
    name[..8].copy_from_slice(&raw[..8]);
    ascii_at(&name, 0, 9).unwrap_or("?").to_owned()
}
