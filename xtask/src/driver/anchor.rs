//! An object file whose only content is one absolute pointer, to the entry point.
//!
//! The kernel's loader refuses to move an image that has no relocation table, and 64-bit code may well contain no absolute
//! address at all. With the pointer there is always a table.

use anyhow::{Context, Result};
use object::write::{Object, Relocation, Symbol, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationEncoding, RelocationFlags, RelocationKind,
    SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

use crate::Arch;

/// The object file, in COFF.
pub(super) fn object_file(arch: Arch, entry: &str) -> Result<Vec<u8>> {
    let architecture = match arch {
        Arch::X86_64 => Architecture::X86_64,
        Arch::Aarch64 => Architecture::Aarch64,
    };
    let mut object = Object::new(BinaryFormat::Coff, architecture, Endianness::Little);
    let symbol = object.add_symbol(Symbol {
        name: entry.into(),
        value: 0,
        size: 0,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    });
    // Not a COMDAT section, so the linker keeps it although nothing refers to it.
    let section = object.add_section(Vec::new(), b".rdata".into(), SectionKind::ReadOnlyData);
    object.append_section_data(section, &[0; 8], 8);
    let relocation = Relocation {
        offset: 0,
        symbol,
        addend: 0,
        flags: RelocationFlags::Generic {
            kind: RelocationKind::Absolute,
            encoding: RelocationEncoding::Generic,
            size: 64,
        },
    };
    object
        .add_relocation(section, relocation)
        .context("the anchor's relocation cannot be written")?;
    object
        .write()
        .context("the anchor object cannot be written")
}
