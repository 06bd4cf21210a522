//! Base relocations: what moves an image to where it was mapped.

use super::{
    bytes::{put_u64, u16_at, u32_at, u64_at},
    error::PeError,
    headers::Directory,
};

const NAME: &str = "base relocation table";
const ABSOLUTE: u16 = 0;
const DIR64: u16 = 10;

/// Adds `delta` to every address that the table names. Returns how many there were.
pub(crate) fn apply(image: &mut [u8], table: Directory, delta: u64) -> Result<usize, PeError> {
    let bad = |problem: String| PeError::directory(NAME, problem);
    let mut at = table.rva as usize;
    let end = at + table.size as usize;
    if end > image.len() {
        return Err(bad(format!("it ends at {end:#x}, outside of the image")));
    }
    let mut count = 0;
    while at + 8 <= end {
        let page = u32_at(image, at).unwrap_or(0) as usize;
        let size = u32_at(image, at + 4).unwrap_or(0) as usize;
        if page == 0 && size == 0 {
            break;
        }
        if size < 8 || !size.is_multiple_of(2) || at + size > end {
            return Err(bad(format!("the block at {at:#x} has size {size:#x}")));
        }
        for entry in (at + 8..at + size).step_by(2) {
            let entry = u16_at(image, entry).unwrap_or(0);
            let target = page + usize::from(entry & 0xfff);
            match entry >> 12 {
                ABSOLUTE => continue,
                DIR64 => {}
                kind => return Err(bad(format!("relocation kind {kind} at {target:#x}"))),
            }
            let old = u64_at(image, target)
                .ok_or_else(|| bad(format!("it names {target:#x}, outside of the image")))?;
            put_u64(image, target, old.wrapping_add(delta))
                .ok_or_else(|| bad(format!("it names {target:#x}, outside of the image")))?;
            count += 1;
        }
        at += size;
    }
    Ok(count)
}
