//! The PE checksum, which the kernel verifies of every driver it loads.

use anyhow::{Context, Result, ensure};

/// File offset of the field in `IMAGE_DOS_HEADER` that points to the PE header.
const NEW_HEADER_FIELD: usize = 0x3C;
/// Offset of `OptionalHeader.CheckSum` from the PE signature, the same in 32-bit and 64-bit files.
const CHECKSUM_FIELD: usize = 24 + 64;

/// Where the checksum lies in the file.
pub(crate) fn offset(file: &[u8]) -> Result<usize> {
    let pe = read_u32(file, NEW_HEADER_FIELD).context("the file ends in its DOS header")? as usize;
    ensure!(
        file.get(pe..)
            .is_some_and(|rest| rest.starts_with(b"PE\0\0")),
        "there is no PE signature"
    );
    let offset = pe + CHECKSUM_FIELD;
    read_u32(file, offset).context("the file ends in its PE header")?;
    Ok(offset)
}

/// Computes the checksum: 16-bit words added with end-around carry, the field itself taken as zero, plus the length.
pub(crate) fn compute(file: &[u8], field: usize) -> u32 {
    let mut sum = 0_u32;
    for (index, pair) in file.chunks(2).enumerate() {
        if (field..field + 4).contains(&(index * 2)) {
            continue;
        }
        let word = u16::from_le_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum.wrapping_add(file.len() as u32)
}

/// Writes the right checksum into the file.
pub(crate) fn store(file: &mut [u8]) -> Result<()> {
    let field = offset(file)?;
    let sum = compute(file, field);
    file[field..field + 4].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

fn read_u32(file: &[u8], offset: usize) -> Option<u32> {
    let bytes = file.get(offset..offset.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}
