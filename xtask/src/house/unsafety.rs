//! Where unsafe code may live.

use std::path::Path;

use anyhow::Result;

use super::{packages, read, rust_files, shown};

/// What a crate's root must say about unsafe code.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unsafe {
    /// None anywhere: `#![forbid(unsafe_code)]`.
    Forbid,
    /// Only in files that say why: `#![deny(unsafe_code)]`.
    Deny,
    /// Anywhere, under the rules of the workspace lints.
    Allowed,
}

struct Row {
    name: &'static str,
    std: bool,
    policy: Unsafe,
}

const fn row(name: &'static str, std: bool, policy: Unsafe) -> Row {
    Row { name, std, policy }
}

/// The unsafe table of `ARCHITECTURE.md`.
const TABLE: &[Row] = &[
    row("xdp-abi", false, Unsafe::Forbid),
    row("xdp-packet", false, Unsafe::Forbid),
    row("xdp-rules", false, Unsafe::Forbid),
    row("xdp-ebpf", false, Unsafe::Forbid),
    row("xdp-ring", false, Unsafe::Deny),
    row("nt", false, Unsafe::Allowed),
    row("xdp-driver", false, Unsafe::Deny),
    row("xdp", true, Unsafe::Deny),
    row("xdpapi", true, Unsafe::Deny),
    row("namespaces", true, Unsafe::Forbid),
    row("nt-sim", true, Unsafe::Allowed),
    row("xdp-cli", true, Unsafe::Forbid),
    row("panic-paths", true, Unsafe::Forbid),
    row("xtask", true, Unsafe::Forbid),
    row("tests", true, Unsafe::Forbid),
    row("named-args", true, Unsafe::Deny),
    row("icmp_responder", true, Unsafe::Forbid),
    row("load_balancer", true, Unsafe::Forbid),
    row("rxfilter", true, Unsafe::Forbid),
    row("smoltcp_http", true, Unsafe::Forbid),
    row("sniffer", true, Unsafe::Forbid),
    row("udp_echo", true, Unsafe::Forbid),
    row("xdpcfg", true, Unsafe::Deny),
    row("xskrestricted", true, Unsafe::Deny),
    row("xskfwd", true, Unsafe::Forbid),
    row("xskmaprx", true, Unsafe::Forbid),
];

const OPT_IN: &str = "expect(unsafe_code";
const REASON: &str = "// UNSAFETY:";

/// Compares every crate with the table.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for folder in packages(root)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let Some(row) = TABLE.iter().find(|row| row.name == name) else {
            broken.push(format!(
                "unsafe: {name} is not in the table of xtask/src/house/unsafety.rs"
            ));
            continue;
        };
        for entry in ["src/lib.rs", "src/main.rs"] {
            let file = folder.join(entry);
            if file.exists() {
                check_root(row, &shown(root, &file), &read(&file)?, &mut broken);
            }
        }
        if row.policy == Unsafe::Deny {
            for file in rust_files(&folder.join("src"))? {
                check_opt_in(&shown(root, &file), &read(&file)?, &mut broken);
            }
        }
    }
    Ok(broken)
}

fn check_root(row: &Row, file: &str, text: &str, broken: &mut Vec<String>) {
    let has = |attribute: &str| text.lines().any(|line| line.trim() == attribute);
    let (wanted, holds) = match row.policy {
        Unsafe::Forbid => ("#![forbid(unsafe_code)]", has("#![forbid(unsafe_code)]")),
        Unsafe::Deny => ("#![deny(unsafe_code)]", has("#![deny(unsafe_code)]")),
        Unsafe::Allowed => ("", true),
    };
    if !holds {
        broken.push(format!("unsafe: {file} must say {wanted}"));
    }
    if !row.std && !has("#![no_std]") && !has("#![cfg_attr(not(test), no_std)]") {
        broken.push(format!("unsafe: {file} must say #![no_std]"));
    }
}

/// In a crate that denies unsafe code, a file opts in as a whole, and says why above the attribute.
fn check_opt_in(file: &str, text: &str, broken: &mut Vec<String>) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (index, line) in lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.contains(OPT_IN))
    {
        let comment: Vec<&str> = lines[..index]
            .iter()
            .rev()
            .take_while(|above| above.starts_with("//"))
            .copied()
            .collect();
        if !line.starts_with("#![expect(unsafe_code") {
            broken.push(format!("unsafe: {file}:{}: a file opts in as a whole, by #![expect(unsafe_code, reason = ...)]", index + 1));
        } else if !comment
            .iter()
            .any(|above| above.starts_with(REASON) && above.len() > REASON.len() + 1)
        {
            broken.push(format!(
                "unsafe: {file}:{}: no `{REASON}` comment above says why safe code will not do",
                index + 1
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::write;

    fn house(name: &str, files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder for the test");
        write(root.path(), &format!("crates/{name}/Cargo.toml"), "");
        for (file, text) in files {
            write(root.path(), &format!("crates/{name}/src/{file}"), text);
        }
        check(root.path()).expect("the crate can be read")
    }

    #[test]
    fn a_crate_as_in_the_table_holds() {
        let opted_in = "//! Memory.\n\n// UNSAFETY: the other side writes here,\n// which no reference survives.\n#![expect(unsafe_code, reason = \"shared memory\")]\n";
        assert_eq!(
            house(
                "xdp-ring",
                &[
                    ("lib.rs", "#![no_std]\n#![deny(unsafe_code)]\n"),
                    ("memory.rs", opted_in)
                ]
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_root_without_its_attributes_is_broken() {
        assert_eq!(
            house("xdp-abi", &[("lib.rs", "//! Bytes.\n")]),
            [
                "unsafe: crates/xdp-abi/src/lib.rs must say #![forbid(unsafe_code)]",
                "unsafe: crates/xdp-abi/src/lib.rs must say #![no_std]"
            ]
        );
    }

    #[test]
    fn deny_is_not_forbid() {
        let broken = house("xdp-cli", &[("main.rs", "#![deny(unsafe_code)]\n")]);
        assert_eq!(
            broken,
            ["unsafe: crates/xdp-cli/src/main.rs must say #![forbid(unsafe_code)]"]
        );
    }

    #[test]
    fn an_opt_in_without_its_reason_is_broken() {
        let root = ("lib.rs", "#![no_std]\n#![deny(unsafe_code)]\n");
        let broken = house(
            "xdp-ring",
            &[
                root,
                (
                    "memory.rs",
                    "// UNSAFETY:\n#![expect(unsafe_code, reason = \"x\")]\n",
                ),
            ],
        );
        assert_eq!(
            broken,
            [
                "unsafe: crates/xdp-ring/src/memory.rs:2: no `// UNSAFETY:` comment above says why safe code will not do"
            ]
        );
        let broken = house(
            "xdp-ring",
            &[
                root,
                (
                    "memory.rs",
                    "// UNSAFETY: because\n#[expect(unsafe_code, reason = \"x\")]\nfn f() {}\n",
                ),
            ],
        );
        assert_eq!(
            broken,
            [
                "unsafe: crates/xdp-ring/src/memory.rs:2: a file opts in as a whole, by #![expect(unsafe_code, reason = ...)]"
            ]
        );
    }
}
