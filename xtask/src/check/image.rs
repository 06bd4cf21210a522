//! A driver file taken apart. Parsing fails only where nothing sensible can be said about the file; what is merely wrong
//! with a driver is left to the rules.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use object::LittleEndian as LE;
use object::pe;
use object::read::pe::{
    ImageNtHeaders, ImageOptionalHeader, Import as ObjectImport, PeFile64, ResourceDirectory,
    ResourceDirectoryEntryData, ResourceNameOrId,
};

use super::checksum;
use crate::driver::events::template::WEVT_TEMPLATE;

/// `VS_FIXEDFILEINFO::dwSignature`, as it lies in the file.
const FIXED_INFO_SIGNATURE: [u8; 4] = 0xFEEF_04BD_u32.to_le_bytes();

/// The parts of a driver file that the rules look at.
pub(super) struct Image<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) machine: pe::Machine,
    pub(super) characteristics: pe::FileFlags,
    pub(super) dll_characteristics: pe::DllFlags,
    pub(super) subsystem: pe::Subsystem,
    pub(super) entry: u32,
    pub(super) size_of_image: u32,
    pub(super) section_alignment: u32,
    pub(super) stored_checksum: u32,
    pub(super) computed_checksum: u32,
    pub(super) sections: Vec<Section<'a>>,
    pub(super) imports: Vec<Import>,
    /// Begin and end of each entry in the exception directory.
    pub(super) functions: Vec<Function>,
    /// Why the exception directory cannot be read, if so.
    pub(super) functions_error: Option<String>,
    /// Number of base relocations.
    pub(super) relocations: Result<usize, String>,
    /// File version of the version resource.
    pub(super) version: Option<[u16; 4]>,
    /// The resource with the description of the events.
    pub(super) events: Option<&'a [u8]>,
    /// The table of texts.
    pub(super) messages: Option<&'a [u8]>,
}

/// One section.
pub(super) struct Section<'a> {
    pub(super) name: String,
    pub(super) address: u32,
    pub(super) size: u32,
    pub(super) flags: pe::SectionFlags,
    pub(super) data: &'a [u8],
}

/// One imported symbol.
pub(super) struct Import {
    pub(super) module: String,
    /// `None` for an import by number.
    pub(super) name: Option<String>,
}

/// One entry of the exception directory.
#[derive(Clone, Copy)]
pub(super) struct Function {
    pub(super) begin: u32,
    /// End address; equal to `begin` on Arm64, whose entries do not carry it.
    pub(super) end: u32,
    pub(super) unwind: u32,
}

impl<'a> Image<'a> {
    /// Takes a file apart.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        ensure!(
            bytes.starts_with(b"MZ"),
            "it is not a PE file (it does not begin with MZ)"
        );
        let checksum_offset = checksum::offset(bytes)?;
        let magic = bytes
            .get(checksum_offset - 64..)
            .and_then(|optional| optional.first_chunk::<2>())
            .map(|magic| u16::from_le_bytes(*magic));
        ensure!(
            magic != Some(pe::IMAGE_NT_OPTIONAL_HDR32_MAGIC),
            "it is a 32-bit image, a driver for 64-bit Windows is needed"
        );
        let file = PeFile64::parse(bytes)
            .map_err(|error| anyhow!("it is damaged or truncated: {error}"))?;

        let headers = file.nt_headers();
        let optional = headers.optional_header();
        let mut sections = Vec::new();
        for header in file.section_table().iter() {
            let data = header.pe_data(bytes).map_err(|error| {
                anyhow!(
                    "it is truncated: section {}: {error}",
                    section_name(&header.name)
                )
            })?;
            sections.push(Section {
                name: section_name(&header.name),
                address: header.virtual_address.get(LE),
                size: header.virtual_size.get(LE),
                flags: header.characteristics.get(LE),
                data,
            });
        }
        let machine = headers.file_header().machine.get(LE);
        let (functions, functions_error) = match read_functions(&file, machine) {
            Ok(functions) => (functions, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Ok(Self {
            bytes,
            machine,
            characteristics: headers.file_header().characteristics.get(LE),
            dll_characteristics: optional.dll_characteristics(),
            subsystem: optional.subsystem(),
            entry: optional.address_of_entry_point(),
            size_of_image: optional.size_of_image(),
            section_alignment: optional.section_alignment(),
            stored_checksum: optional.check_sum(),
            computed_checksum: checksum::compute(bytes, checksum_offset),
            sections,
            imports: read_imports(&file).context("its import table cannot be read")?,
            functions,
            functions_error,
            relocations: count_relocations(&file).map_err(|error| format!("{error:#}")),
            version: read_version(&file),
            events: read_resource(&file, |kind, tree| match kind {
                ResourceNameOrId::Name(name) => name
                    .to_string_lossy(tree)
                    .is_ok_and(|name| name == WEVT_TEMPLATE),
                ResourceNameOrId::Id(_) => false,
            }),
            messages: read_resource(&file, |kind, _| {
                matches!(kind, ResourceNameOrId::Id(pe::RT_MESSAGETABLE))
            }),
        })
    }

    /// Name of the processor architecture.
    pub(super) fn machine_name(&self) -> String {
        match self.machine {
            pe::IMAGE_FILE_MACHINE_AMD64 => "x86-64".into(),
            pe::IMAGE_FILE_MACHINE_ARM64 => "Arm64".into(),
            other => format!("machine {:#06x}", other.0),
        }
    }

    /// The section that an address lies in.
    pub(super) fn section_at(&self, address: u32) -> Option<&Section<'a>> {
        self.sections.iter().find(|section| {
            (section.address..section.address.saturating_add(section.size)).contains(&address)
        })
    }

    /// Initialised bytes from an address to the end of its section.
    pub(super) fn data_at(&self, address: u32) -> Option<&'a [u8]> {
        let section = self.section_at(address)?;
        section.data.get((address - section.address) as usize..)
    }

    /// Sorted names of the imports of each module.
    pub(super) fn imports_by_module(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for import in &self.imports {
            modules
                .entry(&import.module)
                .or_default()
                .push(import.name.as_deref().unwrap_or("(by number)"));
        }
        for names in modules.values_mut() {
            names.sort_unstable();
        }
        modules
    }
}

impl Section<'_> {
    /// Access as `rwx`.
    pub(super) fn access(&self) -> String {
        let flag = |bit, letter| {
            if self.flags.contains(bit) {
                letter
            } else {
                '-'
            }
        };
        [
            flag(pe::IMAGE_SCN_MEM_READ, 'r'),
            flag(pe::IMAGE_SCN_MEM_WRITE, 'w'),
            flag(pe::IMAGE_SCN_MEM_EXECUTE, 'x'),
        ]
        .into_iter()
        .collect()
    }
}

fn section_name(raw: &[u8; 8]) -> String {
    let end = raw.iter().position(|&byte| byte == 0).unwrap_or(raw.len());
    String::from_utf8_lossy(&raw[..end]).into_owned()
}

fn read_imports(file: &PeFile64<'_>) -> Result<Vec<Import>> {
    let mut imports = Vec::new();
    let Some(table) = file.import_table()? else {
        return Ok(imports);
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let module = String::from_utf8_lossy(table.name(descriptor.name.get(LE))?).into_owned();
        let lookup = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            lookup => lookup,
        };
        let mut thunks = table.thunks(lookup)?;
        while let Some(thunk) = thunks.next::<pe::ImageNtHeaders64>()? {
            let name = match table.import::<pe::ImageNtHeaders64>(thunk)? {
                ObjectImport::Ordinal(_) => None,
                ObjectImport::Name(_, name) => Some(String::from_utf8_lossy(name).into_owned()),
            };
            imports.push(Import {
                module: module.clone(),
                name,
            });
        }
    }
    Ok(imports)
}

fn read_functions(file: &PeFile64<'_>, machine: pe::Machine) -> Result<Vec<Function>> {
    let Some(directory) = file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
        return Ok(Vec::new());
    };
    let data = directory.data(file.data(), &file.section_table())?;
    let words = |entry: &[u8]| -> Vec<u32> {
        entry
            .as_chunks::<4>()
            .0
            .iter()
            .map(|word| u32::from_le_bytes(*word))
            .collect()
    };
    match machine {
        pe::IMAGE_FILE_MACHINE_AMD64 => {
            ensure!(
                data.len().is_multiple_of(12),
                "its length is not a multiple of 12"
            );
            Ok(data
                .chunks(12)
                .map(words)
                .map(|words| Function {
                    begin: words[0],
                    end: words[1],
                    unwind: words[2],
                })
                .collect())
        }
        pe::IMAGE_FILE_MACHINE_ARM64 => {
            ensure!(
                data.len().is_multiple_of(8),
                "its length is not a multiple of 8"
            );
            Ok(data
                .chunks(8)
                .map(words)
                .map(|words| Function {
                    begin: words[0],
                    end: words[0],
                    unwind: words[1],
                })
                .collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn count_relocations(file: &PeFile64<'_>) -> Result<usize> {
    let Some(mut blocks) = file
        .data_directories()
        .relocation_blocks(file.data(), &file.section_table())?
    else {
        return Ok(0);
    };
    let mut count = 0;
    while let Some(block) = blocks.next()? {
        for relocation in block {
            match relocation.typ {
                pe::IMAGE_REL_BASED_ABSOLUTE => {}
                pe::IMAGE_REL_BASED_DIR64 => count += 1,
                other => bail!("relocation type {other} has no place in a 64-bit image"),
            }
        }
    }
    Ok(count)
}

/// The first resource of a type.
fn read_resource<'a>(
    file: &PeFile64<'a>,
    wanted: impl Fn(ResourceNameOrId, ResourceDirectory<'a>) -> bool,
) -> Option<&'a [u8]> {
    let sections = file.section_table();
    let directory = file
        .data_directories()
        .resource_directory(file.data(), &sections)
        .ok()??;
    let types = directory.root().ok()?;
    let found = types
        .entries
        .iter()
        .find(|entry| wanted(entry.name_or_id(), directory))?;
    // Type, then name, then language.
    let ResourceDirectoryEntryData::Table(names) = found.data(directory).ok()? else {
        return None;
    };
    let ResourceDirectoryEntryData::Table(languages) =
        names.entries.first()?.data(directory).ok()?
    else {
        return None;
    };
    let ResourceDirectoryEntryData::Data(leaf) = languages.entries.first()?.data(directory).ok()?
    else {
        return None;
    };
    let data = sections.pe_data_at(file.data(), leaf.offset_to_data.get(LE))?;
    data.get(..leaf.size.get(LE) as usize)
}

fn read_version(file: &PeFile64<'_>) -> Option<[u16; 4]> {
    let data = read_resource(file, |kind, _| {
        matches!(kind, ResourceNameOrId::Id(pe::RT_VERSION))
    })?;
    let at = data
        .windows(4)
        .position(|window| window == FIXED_INFO_SIGNATURE)?;
    let word = |index: usize| {
        data.get(at + index..)?
            .first_chunk()
            .map(|bytes| u16::from_le_bytes(*bytes))
    };
    Some([word(10)?, word(8)?, word(14)?, word(12)?])
}
