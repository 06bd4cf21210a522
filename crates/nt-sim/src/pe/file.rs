//! What a driver file contains, found out without running it.

use super::{Binding, Image, Import, Loaded, PeError};
use crate::{
    export,
    seh::{self, Damage},
};

/// A driver file that has been read and checked.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let bytes = std::fs::read("tests/data/seh.sys")?;
/// let file = nt_sim::DriverFile::read(&bytes)?;
/// for import in file.unimplemented_imports() {
///     println!("{}!{} is not simulated", import.module, import.name);
/// }
/// # assert_eq!(file.imports().len(), 3);
/// # Ok(())
/// # }
/// ```
pub struct DriverFile {
    image: Loaded,
}

impl DriverFile {
    /// Reads and checks the bytes of a file.
    ///
    /// # Errors
    /// When it is no driver that can run here; the message says why and what to do.
    pub fn read(bytes: &[u8]) -> Result<DriverFile, PeError> {
        let image = Image::load(bytes, "driver", |imports| {
            Ok(vec![Binding::Unimplemented(0); imports.len()])
        })?;
        Ok(DriverFile { image })
    }

    /// What the file imports.
    pub fn imports(&self) -> &[Import] {
        self.image.imports()
    }

    /// Imports that the simulated kernel does not have.
    pub fn unimplemented_imports(&self) -> impl Iterator<Item = &Import> {
        self.imports()
            .iter()
            .filter(|import| export::lookup(&import.module, &import.name).is_none())
    }

    /// Names that the file exports.
    pub fn exports(&self) -> impl Iterator<Item = &str> {
        self.image.exports().iter().map(|e| e.name.as_str())
    }

    /// Bytes in memory.
    pub fn image_size(&self) -> usize {
        self.image.size()
    }

    /// SHA-256 of the file.
    pub fn sha256(&self) -> [u8; 32] {
        *self.image.sha256()
    }

    /// Functions that cannot be unwound, and why: an exception in one of them, or in what it calls,
    /// would stop the kernel.
    pub fn damaged_functions(&self) -> Vec<String> {
        let functions = self.image.functions();
        (0..functions.len())
            .filter_map(|i| functions.get(self.image.bytes(), i))
            .filter_map(|function| {
                let name = self
                    .image
                    .describe(self.image.base() + function.begin as usize);
                match seh::check_function(&self.image, function) {
                    Ok(()) => None,
                    Err(Damage::Unwind) => {
                        Some(format!("{name}: its unwind information is damaged"))
                    }
                    Err(Damage::Scopes) => Some(format!("{name}: its scope table is damaged")),
                }
            })
            .collect()
    }
}

impl std::fmt::Debug for DriverFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DriverFile")
            .field("image_size", &self.image_size())
            .field("imports", &self.imports().len())
            .finish_non_exhaustive()
    }
}
