//! Driver files: the data is the file.

use nt_sim::DriverFile;

/// Checks that no file makes the loader panic or read outside of the file, and that what it accepts
/// can be looked at.
pub(crate) fn check(data: &[u8]) {
    let file = match DriverFile::read(data) {
        Ok(file) => file,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    for import in file.imports() {
        assert!(!import.module.is_empty() && !import.name.is_empty());
    }
    assert!(file.unimplemented_imports().count() <= file.imports().len());
    assert!(file.exports().all(|name| name.len() <= 512));
    let _ = file.damaged_functions();
}
