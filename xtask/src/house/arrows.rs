//! Which crate may depend on which.

use std::path::Path;

use anyhow::{Context, Result};

use super::{packages, read};

/// What one crate may depend on, tests aside.
struct Arrows {
    name: &'static str,
    ours: &'static [&'static str],
    /// Whether it is linked into the driver, and so held to [`KERNEL_CRATES`].
    kernel: bool,
}

/// The only foreign crates in the kernel.
const KERNEL_CRATES: [&str; 4] = ["bitflags", "foldhash", "hashbrown", "zerocopy"];

const fn kernel(name: &'static str, ours: &'static [&'static str]) -> Arrows {
    Arrows {
        name,
        ours,
        kernel: true,
    }
}

const fn tool(name: &'static str, ours: &'static [&'static str]) -> Arrows {
    Arrows {
        name,
        ours,
        kernel: false,
    }
}

/// What samples may use: the user API, and what a program would take of packets.
const SAMPLE: &[&str] = &["named-args", "xdp", "xdp-packet"];

/// The arrows of `ARCHITECTURE.md`.
const TABLE: &[Arrows] = &[
    kernel("xdp-abi", &[]),
    kernel("xdp-ring", &["xdp-abi"]),
    kernel("xdp-packet", &["xdp-abi"]),
    kernel("xdp-rules", &["xdp-abi", "xdp-packet"]),
    kernel("xdp-ebpf", &["xdp-abi", "xdp-packet"]),
    kernel("nt", &[]),
    kernel(
        "xdp-driver",
        &[
            "nt",
            "xdp-abi",
            "xdp-ebpf",
            "xdp-packet",
            "xdp-ring",
            "xdp-rules",
        ],
    ),
    tool("namespaces", &[]),
    tool("nt-sim", &["nt"]),
    // Only tests depend on it.
    tool("panic-paths", &[]),
    // `nt-sim` for the lab, where programs run without Windows.
    tool("xdp", &["nt-sim", "xdp-abi", "xdp-packet", "xdp-ring"]),
    tool("xdpapi", &["xdp", "xdp-abi"]),
    tool(
        "xdp-cli",
        &["xdp", "xdp-abi", "xdp-driver", "xdp-packet", "xdp-rules"],
    ),
    tool("named-args", &["xdp"]),
    tool("icmp_responder", SAMPLE),
    tool("load_balancer", SAMPLE),
    tool("rxfilter", SAMPLE),
    tool("smoltcp_http", SAMPLE),
    tool("sniffer", SAMPLE),
    tool("udp_echo", SAMPLE),
    tool("xdpcfg", &["xdp-abi"]),
    tool("xskfwd", SAMPLE),
    tool("xskmaprx", SAMPLE),
    tool("xskrestricted", SAMPLE),
    tool(
        "xtask",
        &[
            "namespaces",
            "nt-sim",
            "scenarios",
            "xdp-abi",
            "xdp-packet",
            "xdp-ring",
            "xdp-rules",
        ],
    ),
    tool(
        "scenarios",
        &[
            "nt",
            "nt-sim",
            "xdp",
            "xdp-abi",
            "xdp-driver",
            "xdp-packet",
            "xdp-ring",
            "xdp-rules",
        ],
    ),
];

/// Compares every manifest with the table.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let mut manifests = Vec::new();
    for folder in packages(root)? {
        let manifest: toml::Table = read(&folder.join("Cargo.toml"))?
            .parse()
            .with_context(|| format!("{}/Cargo.toml", folder.display()))?;
        let name = manifest
            .get("package")
            .and_then(|package| package.get("name"))
            .and_then(toml::Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let folder_name = folder.file_name().unwrap_or_default();
        // Cargo reserves the name `tests`.
        let expected = if folder_name == "tests" {
            "scenarios".into()
        } else {
            folder_name.to_string_lossy()
        };
        if expected != name {
            broken.push(format!(
                "arrows: folder {} holds the package {name}; folder name = package name",
                folder.display()
            ));
        }
        manifests.push((name, manifest));
    }
    for (name, manifest) in &manifests {
        let Some(arrows) = TABLE.iter().find(|arrows| arrows.name == name) else {
            broken.push(format!(
                "arrows: {name} is not in the table of xtask/src/house/arrows.rs"
            ));
            continue;
        };
        for dependency in dependencies(manifest) {
            let is_ours = manifests.iter().any(|(ours, _)| *ours == dependency);
            if is_ours && !arrows.ours.contains(&dependency.as_str()) {
                broken.push(format!("arrows: {name} may not depend on {dependency}"));
            } else if !is_ours && arrows.kernel && !KERNEL_CRATES.contains(&dependency.as_str()) {
                broken.push(format!("arrows: {name} is linked into the driver and may not depend on {dependency}; only {} may be", KERNEL_CRATES.join(", ")));
            }
        }
    }
    Ok(broken)
}

/// Names of the packages a manifest depends on, tests aside but every target and build script included.
fn dependencies(manifest: &toml::Table) -> Vec<String> {
    let targets = manifest
        .get("target")
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(toml::Table::values)
        .filter_map(toml::Value::as_table);
    let mut names: Vec<String> = std::iter::once(manifest)
        .chain(targets)
        .flat_map(|table| ["dependencies", "build-dependencies"].map(|kind| table.get(kind)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .flat_map(|dependencies| dependencies.iter())
        .map(|(key, value)| {
            value
                .get("package")
                .and_then(toml::Value::as_str)
                .unwrap_or(key)
                .to_owned()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::write;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n{rest}")
    }

    fn house(crates: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().expect("a folder for the test");
        for (name, rest) in crates {
            write(
                root.path(),
                &format!("crates/{name}/Cargo.toml"),
                &manifest(name, rest),
            );
        }
        check(root.path()).expect("the manifests can be read")
    }

    #[test]
    fn arrows_that_point_down_hold() {
        let broken = house(&[
            ("xdp-abi", "[dependencies]\nzerocopy.workspace = true"),
            ("xdp-packet", ""),
            (
                "xdp-rules",
                "[dependencies]\nxdp-abi.workspace = true\nxdp-packet.workspace = true\n[dev-dependencies]\nproptest = \"1\"",
            ),
        ]);
        assert_eq!(broken, [""; 0]);
    }

    #[test]
    fn an_arrow_that_points_up_is_broken() {
        assert_eq!(
            house(&[
                ("xdp-driver", ""),
                ("nt", "[dependencies]\nxdp-driver.workspace = true")
            ]),
            ["arrows: nt may not depend on xdp-driver"]
        );
    }

    #[test]
    fn a_renamed_or_target_dependency_does_not_hide() {
        let broken = house(&[
            ("xdp-abi", ""),
            (
                "nt",
                "[target.'cfg(windows)'.dependencies]\nbytes = { package = \"xdp-abi\", path = \"../xdp-abi\" }",
            ),
        ]);
        assert_eq!(broken, ["arrows: nt may not depend on xdp-abi"]);
    }

    #[test]
    fn a_foreign_crate_in_the_kernel_is_broken() {
        let broken = house(&[("nt", "[build-dependencies]\nlibc = \"0.2\"")]);
        assert_eq!(
            broken,
            [
                "arrows: nt is linked into the driver and may not depend on libc; only bitflags, foldhash, hashbrown, zerocopy may be"
            ]
        );
    }

    #[test]
    fn an_unknown_crate_is_broken() {
        assert_eq!(
            house(&[("common", "")]),
            ["arrows: common is not in the table of xtask/src/house/arrows.rs"]
        );
    }
}
