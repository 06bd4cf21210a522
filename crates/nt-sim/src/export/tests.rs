//! What is exported, compared with what existing drivers import and with the reference pages.

use super::*;

/// Functions that an NDIS filter, an NDIS miniport, a protocol-like driver, a plain kernel driver and
/// a network provider were seen to import: `module name` a line.
const SEEN: &str = include_str!("../../abi/seen-imports.txt");

/// Highest IRQL of functions, as annotations and reference pages have it: `module name level` a line.
const LEVELS: &str = include_str!("../../abi/levels.txt");

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().map(|line| line.split(' ').collect())
}

#[test]
fn everything_that_existing_drivers_import_is_there() {
    let mut count = 0;
    for row in rows(SEEN) {
        let [module, name] = row[..] else {
            panic!("{row:?}");
        };
        let export = lookup(module, name);
        assert!(export.is_some(), "{module} has no {name}");
        count += 1;
    }
    assert_eq!(count, 205);
}

#[test]
fn levels_are_those_of_the_reference_pages() {
    let mut wrong = Vec::new();
    let mut compared = 0;
    for row in rows(LEVELS) {
        let [module, name, level] = row[..] else {
            panic!("{row:?}");
        };
        let Some(export) = lookup(module, name) else {
            continue;
        };
        compared += 1;
        let ours = format!("{:?}", export.info.max_irql);
        if ours != level {
            wrong.push(format!("{name}: {ours}, {level} is right"));
        }
    }
    assert!(compared > 300, "only {compared} functions were compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn names_are_exported_once_and_found_in_any_case_of_the_module() {
    for export in all() {
        let upper = export.module.to_ascii_uppercase();
        let found = lookup(&upper, export.info.name).unwrap();
        assert!(std::ptr::eq(found, export), "{}", export.info.name);
    }
    assert!(lookup("hal.dll", "KeQueryPerformanceCounter").is_some());
    assert!(lookup("ndis.sys", "NdisMakeCoffee").is_none());
    assert!(lookup("win32k.sys", "NdisGetVersion").is_none());
}
