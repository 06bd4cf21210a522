//! Function names from the linker's map.

use std::path::Path;

use anyhow::{Context, Result};

/// Addresses (relative to the image) and names, sorted by address.
#[derive(Default)]
pub(super) struct Symbols(Vec<(u32, String)>);

/// Reads a map file; no symbols if there is none.
pub(super) fn read_map(file: &Path) -> Result<Symbols> {
    if !file.exists() {
        return Ok(Symbols::default());
    }
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Symbols::parse(&text))
}

impl Symbols {
    fn parse(text: &str) -> Self {
        let base = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("Preferred load address is "))
            .and_then(|base| u64::from_str_radix(base.trim(), 16).ok())
            .unwrap_or(0);
        let mut symbols: Vec<(u32, String)> = text
            .lines()
            .filter_map(|line| {
                let mut columns = line.split_whitespace();
                let (section, name, address) = (columns.next()?, columns.next()?, columns.next()?);
                let is_symbol = section
                    .split_once(':')
                    .is_some_and(|(section, offset)| section.len() == 4 && offset.len() == 8);
                let address = u64::from_str_radix(address, 16).ok()?.checked_sub(base)?;
                is_symbol.then_some((u32::try_from(address).ok()?, name.to_owned()))
            })
            .collect();
        symbols.sort();
        Self(symbols)
    }

    /// Name of the function at an address, or the address in figures.
    pub(super) fn name_of(&self, address: u32) -> String {
        let after = self.0.partition_point(|(start, _)| *start <= address);
        match after.checked_sub(1).map(|index| &self.0[index]) {
            Some((_, name)) => format!("{:#}", rustc_demangle::demangle(name)),
            None => format!("{address:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_map_and_are_demangled() {
        let map = "Timestamp is 0\n\n Preferred load address is 0000000140000000\n\n Start         Length     Name                   Class\n \
                   0001:00000000 000000f6H .text                   CODE\n\n  Address         Publics by Value              Rva+Base               Lib:Object\n\n \
                   0001:00000000       DriverEntry                0000000140001000     a.o\n \
                   0001:00000080       _ZN4core9panicking9panic_fmt17h0123456789abcdefE 0000000140001080     a.o\n";
        let symbols = Symbols::parse(map);
        assert_eq!(symbols.name_of(0x1000), "DriverEntry");
        assert_eq!(symbols.name_of(0x10ff), "core::panicking::panic_fmt");
        assert_eq!(symbols.name_of(0x10), "0x10");
    }
}
