//! Access to structures that drivers and NDIS share.
//!
//! Drivers hand NDIS raw pointers; the reference pages say what they point at. These macros are the
//! only place where NDIS code follows them.

/// Reads a field: `get!(pointer => Field.Sub)`.
macro_rules! get {
    ($p:expr => $($field:tt)+) => {{
        let pointer = $p;
        // SAFETY: the pointer came from a driver (or from NDIS itself) as a live structure of this
        // type; the verifier's rules have been checked where the call came in.
        unsafe { (&raw const (*pointer).$($field)+).read() }
    }};
}

/// Writes a field: `put!(pointer => [Field.Sub] value)`.
macro_rules! put {
    ($p:expr => [$($field:tt)+] $value:expr) => {{
        let pointer = $p;
        let value = $value;
        // SAFETY: as in `get!`, and the structure is NDIS's to write at this point.
        unsafe { (&raw mut (*pointer).$($field)+).write(value) }
    }};
}

pub(crate) use {get, put};

/// Reads a value of a driver's memory.
#[inline]
pub(crate) fn load<T: Copy>(pointer: *const T) -> T {
    // SAFETY: as in `get!`; unaligned because OID buffers need not be aligned.
    unsafe { pointer.read_unaligned() }
}

/// Writes a value into a driver's memory.
#[inline]
pub(crate) fn store<T: Copy>(pointer: *mut T, value: T) {
    // SAFETY: as in `put!`; unaligned because OID buffers need not be aligned.
    unsafe { pointer.write_unaligned(value) }
}

/// The bytes at `pointer`.
#[inline]
pub(crate) fn bytes<'a>(pointer: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: as in `get!`; nobody writes the bytes while the owner of the buffer reads them.
    unsafe { std::slice::from_raw_parts(pointer, len) }
}

/// Copies bytes between driver memory and NDIS; the ranges may not overlap.
#[inline]
pub(crate) fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: both ranges are live buffers of at least `len` bytes, as the caller has checked.
    unsafe { std::ptr::copy_nonoverlapping(from, to, len) }
}

/// Zeroes bytes.
#[inline]
pub(crate) fn zero(to: *mut u8, len: usize) {
    // SAFETY: the range is a live buffer of at least `len` bytes, as the caller has checked.
    unsafe { to.write_bytes(0, len) }
}

/// `pointer` moved by `offset` bytes.
#[inline]
pub(crate) fn at<T, U>(pointer: *const T, offset: usize) -> *mut U {
    pointer.cast_mut().cast::<u8>().wrapping_add(offset).cast()
}

/// Text of a counted string; empty when it has no buffer.
pub(crate) fn text(string: &nt::sys::UNICODE_STRING) -> String {
    if string.Buffer.is_null() {
        return String::new();
    }
    let units: Vec<u16> = (0..usize::from(string.Length / 2))
        .map(|i| load(string.Buffer.wrapping_add(i)))
        .collect();
    String::from_utf16_lossy(&units)
}

/// A counted string together with its characters, both at fixed addresses.
pub(crate) struct Text {
    _units: Box<[u16]>,
    string: Box<nt::sys::UNICODE_STRING>,
}

// SAFETY: the pointer in the string leads to `units`, which moves with it and is never changed.
unsafe impl Send for Text {}
// SAFETY: as above.
unsafe impl Sync for Text {}

impl Text {
    pub(crate) fn new(text: &str) -> Text {
        let mut units: Box<[u16]> = text.encode_utf16().chain([0]).collect();
        let len = (units.len() * 2 - 2) as u16;
        let string = Box::new(nt::sys::UNICODE_STRING {
            Length: len,
            MaximumLength: len + 2,
            Buffer: units.as_mut_ptr(),
        });
        Text {
            _units: units,
            string,
        }
    }

    /// Address for drivers to read.
    pub(crate) fn pointer(&self) -> *mut nt::sys::UNICODE_STRING {
        (&raw const *self.string).cast_mut()
    }
}
