//! Bounds-checked little-endian reads from bytes that nobody vouches for.

/// Reads a `u16` at `offset`.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    array_at(bytes, offset).map(u16::from_le_bytes)
}

/// Reads a `u32` at `offset`.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    array_at(bytes, offset).map(u32::from_le_bytes)
}

/// Reads a `u64` at `offset`.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    array_at(bytes, offset).map(u64::from_le_bytes)
}

/// Reads `N` bytes at `offset`.
pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// Takes `len` bytes at `offset`.
pub(crate) fn slice_at(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    bytes.get(offset..)?.get(..len)
}

/// Writes a `u64` at `offset`; `None` when it does not fit.
pub(crate) fn put_u64(bytes: &mut [u8], offset: usize, value: u64) -> Option<()> {
    put(bytes, offset, &value.to_le_bytes())
}

/// Writes `value` at `offset`; `None` when it does not fit.
pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) -> Option<()> {
    bytes
        .get_mut(offset..)?
        .get_mut(..value.len())?
        .copy_from_slice(value);
    Some(())
}

/// Reads a NUL-terminated ASCII string of at most `limit` bytes at `offset`.
pub(crate) fn ascii_at(bytes: &[u8], offset: usize, limit: usize) -> Option<&str> {
    let rest = bytes.get(offset..)?;
    let window = rest.get(..limit).unwrap_or(rest);
    let end = window.iter().position(|&b| b == 0)?;
    let text = std::str::from_utf8(window.get(..end)?).ok()?;
    text.bytes()
        .all(|b| b.is_ascii_graphic() || b == b' ')
        .then_some(text)
}
