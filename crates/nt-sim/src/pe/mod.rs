//! The image loader: from a driver file to code that can be called.
//!
//! A file is read once and believed in nothing: headers, sections, relocations, imports, exports and
//! the function table are checked before they are used. [`Image`] is what remains, mapped where the
//! host had room, with the protections that the sections ask for.

mod binding;
mod bytes;
mod error;
mod file;
mod functions;
mod headers;
mod image;
mod import;
mod mapping;
mod registry;
mod relocation;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    binding::Module,
    bytes::{array_at, ascii_at, slice_at, u16_at, u32_at},
    functions::{FunctionTable, RuntimeFunction, entry_at},
    image::{Binding, Image},
    registry::{Loaded, find},
};
pub use self::{
    error::{Machine, PeError},
    file::DriverFile,
    import::Import,
};

/// An address in words: image, function and offset, or just the number.
pub(crate) fn describe(address: usize) -> String {
    match find(address) {
        Some(image) => image.describe(address),
        None => format!("{address:#x}"),
    }
}
