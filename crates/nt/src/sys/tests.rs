//! Compares every declaration with the fact tables in `abi/`.

extern crate std;

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::path::Path;
use std::string::{String, ToString};
use std::vec::Vec;

use serde_json::Value;

use super::declare::{Constant, Field, Layout};
use super::imports::{self, Import};
use super::*;

const LAYOUTS: &[(&str, &[Layout])] = &[
    ("base.rs", base::LAYOUTS),
    ("context.rs", context::LAYOUTS),
    ("dispatcher.rs", dispatcher::LAYOUTS),
    ("dma.rs", dma::LAYOUTS),
    ("etw.rs", etw::LAYOUTS),
    ("exception.rs", exception::LAYOUTS),
    ("file.rs", file::LAYOUTS),
    ("inet.rs", inet::LAYOUTS),
    ("inet.rs", inet::BITS),
    ("irp.rs", irp::LAYOUTS),
    ("mdl.rs", mdl::LAYOUTS),
    ("ndis/config.rs", ndis::config::LAYOUTS),
    ("ndis/filter.rs", ndis::filter::LAYOUTS),
    ("ndis/header.rs", ndis::header::LAYOUTS),
    ("ndis/miniport.rs", ndis::miniport::LAYOUTS),
    ("ndis/nbl.rs", ndis::nbl::LAYOUTS),
    ("ndis/nbl_info.rs", ndis::nbl_info::LAYOUTS),
    ("ndis/nbl_info.rs", ndis::nbl_info::BITS),
    ("ndis/offload.rs", ndis::offload::LAYOUTS),
    ("ndis/offload.rs", ndis::offload::BITS),
    ("ndis/oid.rs", ndis::oid::LAYOUTS),
    ("ndis/pnp.rs", ndis::pnp::LAYOUTS),
    ("ndis/poll.rs", ndis::poll::LAYOUTS),
    ("ndis/protocol.rs", ndis::protocol::LAYOUTS),
    ("ndis/rss.rs", ndis::rss::LAYOUTS),
    ("nmr.rs", nmr::LAYOUTS),
    ("nmr.rs", nmr::BITS),
    ("object.rs", object::LAYOUTS),
    ("pcw.rs", pcw::LAYOUTS),
    ("process.rs", process::LAYOUTS),
    ("registry.rs", registry::LAYOUTS),
    ("security.rs", security::LAYOUTS),
    ("sync.rs", sync::LAYOUTS),
];

const CONSTANTS: &[(&str, &[Constant])] = &[
    ("constants.rs", constants::CONSTANTS),
    ("enums.rs", enums::CONSTANTS),
    ("ndis/constants.rs", ndis::constants::CONSTANTS),
    ("ndis/enums.rs", ndis::enums::CONSTANTS),
    ("ndis/sizes.rs", ndis::sizes::CONSTANTS),
    ("ndis/status.rs", ndis::status::CONSTANTS),
    ("status.rs", status::CONSTANTS),
];

fn facts(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("abi").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn section(name: &str) -> BTreeMap<String, Value> {
    let mut merged = BTreeMap::new();
    for file in ["ndis.json", "nt.json"] {
        if let Some(entries) = facts(file)[name].as_object() {
            merged.extend(entries.clone());
        }
    }
    merged
}

/// Walks declared types beside the table's dotted names.
struct Walk<'a> {
    declared: BTreeMap<&'a str, &'a Layout>,
    table: BTreeMap<String, Value>,
    seen: BTreeSet<&'a str>,
    errors: Vec<String>,
}

impl<'a> Walk<'a> {
    fn check_type(&mut self, layout: &'a Layout) {
        let entry = self.table[layout.name].clone();
        self.seen.insert(layout.name);
        self.expect(layout.name, "size", layout.size, &entry["size"]);
        self.expect(layout.name, "alignment", layout.align, &entry["align"]);
        let fields: BTreeMap<String, Value> = entry["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(|field| (field["name"].as_str().unwrap().to_string(), field.clone()))
            .collect();
        self.check_fields(layout, layout.name, "", 0, &fields);
    }

    fn check_fields(
        &mut self,
        layout: &'a Layout,
        owner: &str,
        prefix: &str,
        base: usize,
        table: &BTreeMap<String, Value>,
    ) {
        for field in layout
            .fields
            .iter()
            .filter(|field| !field.name.starts_with('_'))
        {
            let path = format!("{prefix}{}", field.name);
            let known = table.get(&path);
            let nested = self
                .declared
                .get(field.ty)
                .copied()
                .filter(|ty| !self.table.contains_key(ty.name));
            let what = format!("{owner}.{path}");
            match (known, nested) {
                (Some(entry), _) => self.check_field(&what, field, base, entry),
                (None, Some(_)) => {}
                (None, None) => self.errors.push(format!("{what} is not in the table")),
            }
            if let Some(nested) = nested {
                self.seen.insert(nested.name);
                let prefix = if known.is_some() {
                    format!("{path}.")
                } else {
                    prefix.to_string()
                };
                self.check_fields(nested, owner, &prefix, base + field.offset, table);
            }
        }
    }

    fn check_field(&mut self, what: &str, field: &Field, base: usize, entry: &Value) {
        self.expect(what, "offset", base + field.offset, &entry["offset"]);
        self.expect(what, "size", field.size, &entry["size"]);
        let bits = entry["bit_offset"]
            .as_u64()
            .zip(entry["bit_width"].as_u64());
        let declared = field
            .bits
            .map(|(low, width)| (u64::from(low), u64::from(width)));
        if bits != declared {
            self.errors
                .push(format!("{what}: bits {declared:?}, table {bits:?}"));
        }
    }

    fn expect(&mut self, what: &str, property: &str, declared: usize, table: &Value) {
        if table.as_u64() != Some(declared as u64) {
            self.errors
                .push(format!("{what}: {property} {declared}, table {table}"));
        }
    }
}

#[test]
fn every_declared_type_and_field_is_laid_out_as_the_table_says() {
    let mut table = section("structs");
    if cfg!(target_arch = "aarch64") {
        table.extend(section("structs_arm64_diff"));
    }
    let all: Vec<&Layout> = LAYOUTS
        .iter()
        .flat_map(|(_, layouts)| layouts.iter())
        .collect();
    let declared: BTreeMap<&str, &Layout> =
        all.iter().map(|layout| (layout.name, *layout)).collect();
    assert_eq!(declared.len(), all.len(), "a type is declared twice");

    let mut walk = Walk {
        declared,
        table,
        seen: BTreeSet::new(),
        errors: Vec::new(),
    };
    for layout in &all {
        if walk.table.contains_key(layout.name) {
            walk.check_type(layout);
        }
    }
    for layout in &all {
        if !walk.seen.contains(layout.name) {
            walk.errors.push(format!(
                "{} {} is neither in the table nor part of a type that is",
                layout.kind, layout.name
            ));
        }
    }
    for name in walk.table.keys() {
        if !walk.seen.contains(name.as_str()) {
            walk.errors
                .push(format!("{name} is in the table but not declared"));
        }
    }
    assert!(walk.errors.is_empty(), "{:#?}", walk.errors);
    assert!(all.len() > 250, "only {} types", all.len());
}

#[test]
fn every_declared_constant_has_the_value_of_the_table() {
    let constants = section("constants");
    let enums = section("enums");
    let mut errors = Vec::new();
    let mut count = 0;
    for constant in CONSTANTS.iter().flat_map(|(_, constants)| constants.iter()) {
        count += 1;
        let (value, size) = if constant.of.is_empty() {
            let entry = constants.get(constant.name);
            (
                entry.map(|entry| entry["value"].clone()),
                entry.and_then(|entry| entry["size"].as_u64()).unwrap_or(8),
            )
        } else {
            (
                enums
                    .get(constant.of)
                    .and_then(|values| values.get(constant.name))
                    .cloned(),
                4,
            )
        };
        let Some(value) = value.as_ref().and_then(|value| {
            value
                .as_i64()
                .map(i128::from)
                .or(value.as_u64().map(i128::from))
        }) else {
            errors.push(format!("{} is not in the table", constant.name));
            continue;
        };
        // The types differ (a flag of a C `int` may be given as u8), the numbers may not.
        let unsigned = |value: i128, size: u64| value & ((1_i128 << (8 * size)) - 1);
        if unsigned(value, size) != unsigned(constant.value, constant.size as u64) {
            errors.push(format!(
                "{} = {:#x}, table {value:#x}",
                constant.name, constant.value
            ));
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(count > 1000, "only {count} constants");
}

#[test]
fn every_import_has_the_parameters_of_the_table_and_exists_on_server_2019() {
    let table = facts("imports.json");
    let modules = [
        imports::hal::IMPORTS,
        imports::ndis::IMPORTS,
        imports::netio::IMPORTS,
    ];
    let all: Vec<&Import> = modules
        .iter()
        .chain(imports::ntoskrnl::IMPORTS)
        .flat_map(|list| list.iter())
        .collect();
    let mut errors = Vec::new();
    for import in &all {
        let name = format!("{}!{}", import.module, import.name);
        let entry = &table[import.module][import.name];
        if entry.is_null() {
            errors.push(format!("{name} is not in the table"));
            continue;
        }
        if let Some(since) = entry["since"].as_str() {
            let version = since
                .split("version ")
                .nth(1)
                .and_then(|rest| rest.get(..4))
                .unwrap_or("");
            if version > "1809" {
                errors.push(format!("{name} appeared in {since}"));
            }
        }
        if entry["documented"] == true {
            continue;
        }
        let params: Vec<u64> = import.params.iter().map(|size| *size as u64).collect();
        if entry["params"] != Value::from(params.clone()) || entry["ret"] != import.ret {
            errors.push(format!(
                "{name}: {params:?} -> {}, table {entry}",
                import.ret
            ));
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(all.len() > 300, "only {} imports", all.len());
}

#[test]
fn no_declaration_escapes_these_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sys");
    let mut files = Vec::new();
    let mut folders = std::vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                files.push(path)
            }
        }
    }
    let listed = |list: &[&str], file: &str| list.contains(&file);
    let layouts: Vec<&str> = LAYOUTS.iter().map(|(file, _)| *file).collect();
    let constants: Vec<&str> = CONSTANTS.iter().map(|(file, _)| *file).collect();
    for path in files {
        let file = path
            .strip_prefix(&root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_string();
        let text = std::fs::read_to_string(&path).unwrap();
        if matches!(file.as_str(), "declare.rs" | "tests.rs") {
            continue;
        }
        for (macros, list) in [
            (&["foreign! {", "bits! {"][..], &layouts),
            (
                &["constants! {", "statuses! {", "enumerations! {"][..],
                &constants,
            ),
        ] {
            for name in macros {
                let uses = text
                    .lines()
                    .filter(|line| line.trim_start().starts_with(name))
                    .count();
                let expected = if file == "context.rs" { 2 } else { 1 };
                assert!(uses <= expected, "{file}: more than one {name}");
                assert!(
                    uses == 0 || listed(list, &file),
                    "{file} is not in the list of {name}"
                );
            }
        }
        // Opaque types have no layout of their own.
        assert!(
            file == "callbacks.rs" || !text.contains("repr(C)"),
            "{file} declares a type outside the macros"
        );
        assert!(
            !text.contains("pub const "),
            "{file} declares a constant outside the macros"
        );
    }
}
