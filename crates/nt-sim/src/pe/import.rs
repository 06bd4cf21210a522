//! The import and export tables of an image.

use super::{
    bytes::{ascii_at, put_u64, u16_at, u32_at, u64_at},
    error::PeError,
    headers::Directory,
};

const NAME: &str = "import table";
const LONGEST_NAME: usize = 512;
const MOST_IMPORTS: usize = 1 << 16;

/// Something that a driver wants from another module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The module, as the file spells it.
    pub module: String,
    /// The function or variable; `#N` for an import by ordinal.
    pub name: String,
    /// Where the address goes.
    pub(crate) slot: u32,
}

/// Reads the import table.
pub(crate) fn read(image: &[u8], table: Directory) -> Result<Vec<Import>, PeError> {
    let bad = |problem: String| PeError::directory(NAME, problem);
    let mut imports = Vec::new();
    if table.rva == 0 {
        return Ok(imports);
    }
    let mut descriptor = table.rva as usize;
    loop {
        let field = |offset| u32_at(image, descriptor + offset);
        let outside = || {
            bad(format!(
                "the descriptor at {descriptor:#x} leaves the image"
            ))
        };
        let names = field(0).ok_or_else(outside)?;
        let module = field(12).ok_or_else(outside)?;
        let slots = field(16).ok_or_else(outside)?;
        if module == 0 && slots == 0 {
            return Ok(imports);
        }
        let module = ascii_at(image, module as usize, LONGEST_NAME)
            .filter(|m| !m.is_empty())
            .ok_or_else(|| bad(format!("the module name at {module:#x} is not a name")))?;
        let names = if names == 0 { slots } else { names };
        for i in 0.. {
            let thunk = u64_at(image, names as usize + i * 8)
                .ok_or_else(|| bad(format!("the list of {module} leaves the image")))?;
            if thunk == 0 {
                break;
            }
            if imports.len() == MOST_IMPORTS {
                return Err(bad("it has no end".into()));
            }
            let name = if thunk >> 63 != 0 {
                format!("#{}", thunk & 0xffff)
            } else {
                // A hint of two bytes stands before the name.
                usize::try_from(thunk)
                    .ok()
                    .and_then(|rva| ascii_at(image, rva.checked_add(2)?, LONGEST_NAME))
                    .filter(|n| !n.is_empty())
                    .ok_or_else(|| {
                        bad(format!("import {i} of {module} has no name at {thunk:#x}"))
                    })?
                    .to_owned()
            };
            let slot = (slots as usize + i * 8)
                .try_into()
                .map_err(|_| bad(format!("the slots of {module} leave the image")))?;
            if u64_at(image, slot as usize).is_none() {
                return Err(bad(format!("the slots of {module} leave the image")));
            }
            imports.push(Import {
                module: module.to_owned(),
                name,
                slot,
            });
        }
        descriptor += 20;
    }
}

/// Writes the address of an import.
pub(crate) fn bind(image: &mut [u8], import: &Import, address: u64) -> Result<(), PeError> {
    put_u64(image, import.slot as usize, address)
        .ok_or_else(|| PeError::directory(NAME, format!("no slot for {}", import.name)))
}

/// A name that an image offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exported {
    pub(crate) name: String,
    pub(crate) rva: u32,
}

/// Reads the export table. Forwarders are left out: drivers have none.
pub(crate) fn read_exports(image: &[u8], table: Directory) -> Result<Vec<Exported>, PeError> {
    let bad = |problem: &str| PeError::directory("export table", problem);
    if table.rva == 0 {
        return Ok(Vec::new());
    }
    let at = table.rva as usize;
    let field = |offset| u32_at(image, at + offset).ok_or_else(|| bad("it leaves the image"));
    let (function_count, name_count) = (field(20)?, field(24)?);
    let (functions, names, ordinals) = (field(28)?, field(32)?, field(36)?);
    if name_count as usize > MOST_IMPORTS {
        return Err(bad("it has too many names"));
    }
    let mut exports = Vec::new();
    for i in 0..name_count as usize {
        let entry = || {
            let name = u32_at(image, names as usize + i * 4)?;
            let name = ascii_at(image, name as usize, LONGEST_NAME)?;
            let ordinal = u16_at(image, ordinals as usize + i * 2)?;
            if u32::from(ordinal) >= function_count {
                return None;
            }
            let rva = u32_at(image, functions as usize + usize::from(ordinal) * 4)?;
            (rva as usize <= image.len()).then_some((name, rva))
        };
        let (name, rva) = entry().ok_or_else(|| bad("a name or its function leaves the image"))?;
        let forwarder = (table.rva..table.rva.saturating_add(table.size)).contains(&rva);
        if !forwarder {
            exports.push(Exported {
                name: name.to_owned(),
                rva,
            });
        }
    }
    Ok(exports)
}
