//! How long a source file may be.

use std::path::Path;

use anyhow::Result;

use super::{packages, read, rust_files, shown};

/// Past this a file holds more than one concept.
const MOST_LINES: usize = 800;

/// Finds files that are too long.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for folder in packages(root)? {
        for file in rust_files(&folder)? {
            let lines = read(&file)?.lines().count();
            if lines > MOST_LINES {
                broken.push(format!(
                    "size: {} has {lines} lines; split it by concept ({MOST_LINES} at most)",
                    shown(root, &file)
                ));
            }
        }
    }
    Ok(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::write;

    #[test]
    fn only_a_file_over_the_limit_is_broken() {
        let root = tempfile::tempdir().expect("a folder for the test");
        write(root.path(), "crates/nt/Cargo.toml", "");
        write(
            root.path(),
            "crates/nt/src/lib.rs",
            &"//\n".repeat(MOST_LINES),
        );
        write(
            root.path(),
            "crates/nt/src/sys/ndis.rs",
            &"//\n".repeat(MOST_LINES + 1),
        );
        let broken = check(root.path()).expect("the crate can be read");
        assert_eq!(
            broken,
            ["size: crates/nt/src/sys/ndis.rs has 801 lines; split it by concept (800 at most)"]
        );
    }
}
