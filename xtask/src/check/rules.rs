//! What a driver file must be.

use std::fmt;

use object::pe;

use super::events;
use super::facts::{self, First};
use super::image::{Function, Image};

/// The modules a driver of ours may import from.
const MODULES: [&str; 4] = ["ntoskrnl.exe", "hal.dll", "ndis.sys", "netio.sys"];
/// Sections must be apart by a page, or memory integrity (HVCI) cannot protect them.
const PAGE: u32 = 4096;

/// Something that makes a file unfit to ship.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defect {
    /// Which rule, in short.
    pub(super) rule: &'static str,
    /// What is wrong with this file.
    pub(super) what: String,
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// Applies every rule.
pub(super) fn check(image: &Image<'_>) -> Vec<Defect> {
    let mut defects = Vec::new();
    let mut fail = |rule: &'static str, what: String| defects.push(Defect { rule, what });

    let known_machine = matches!(
        image.machine,
        pe::IMAGE_FILE_MACHINE_AMD64 | pe::IMAGE_FILE_MACHINE_ARM64
    );
    if !known_machine {
        fail(
            "machine",
            format!(
                "built for {}, not for x86-64 or Arm64",
                image.machine_name()
            ),
        );
    }
    if image.subsystem != pe::IMAGE_SUBSYSTEM_NATIVE {
        fail(
            "subsystem",
            format!("subsystem {} is not NATIVE (1)", image.subsystem.0),
        );
    }
    if !image
        .characteristics
        .contains(pe::IMAGE_FILE_EXECUTABLE_IMAGE)
    {
        fail(
            "image",
            "the file is not marked as an executable image: it was not linked to the end".into(),
        );
    }
    entry(image, &mut fail);
    for section in &image.sections {
        if section.flags.contains(pe::IMAGE_SCN_MEM_WRITE)
            && section.flags.contains(pe::IMAGE_SCN_MEM_EXECUTE)
        {
            fail(
                "writable-code",
                format!("section {} is both writable and executable", section.name),
            );
        }
    }
    if image.section_alignment < PAGE {
        fail(
            "section-alignment",
            format!(
                "sections are aligned to {} bytes, less than a page",
                image.section_alignment
            ),
        );
    }
    relocations(image, &mut fail);
    if known_machine {
        // Every architecture has its own form of unwind data.
        unwind_data(image, &mut fail);
    }
    if image.stored_checksum != image.computed_checksum {
        fail(
            "checksum",
            format!(
                "the header says {:#010x}, the file's checksum is {:#010x}",
                image.stored_checksum, image.computed_checksum
            ),
        );
    }
    for (bit, name) in [
        (pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT, "NX_COMPAT"),
        (pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "DYNAMIC_BASE"),
        (
            pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
            "HIGH_ENTROPY_VA",
        ),
    ] {
        if !image.dll_characteristics.contains(bit) {
            fail("flags", format!("{name} is not set"));
        }
    }
    imports(image, &mut fail);
    if image.version.is_none() {
        fail("version", "there is no version resource".into());
    }
    for what in events::check(image) {
        fail("events", what);
    }
    defects
}

/// Imports whose first version no table states.
pub(super) fn without_stated_version<'a>(image: &'a Image<'_>) -> Vec<&'a str> {
    image
        .imports
        .iter()
        .filter_map(|import| import.name.as_deref())
        .filter(|name| facts::first_build(name).is_none())
        .collect()
}

fn entry(image: &Image<'_>, fail: &mut impl FnMut(&'static str, String)) {
    match image.section_at(image.entry) {
        _ if image.entry == 0 => fail("entry", "there is no entry point".into()),
        None => fail(
            "entry",
            format!("the entry point {:#x} lies in no section", image.entry),
        ),
        Some(section) if !section.flags.contains(pe::IMAGE_SCN_MEM_EXECUTE) => {
            fail(
                "entry",
                format!(
                    "the entry point {:#x} lies in section {}, which is not executable",
                    image.entry, section.name
                ),
            );
        }
        Some(_) => {}
    }
}

fn relocations(image: &Image<'_>, fail: &mut impl FnMut(&'static str, String)) {
    if image
        .characteristics
        .contains(pe::IMAGE_FILE_RELOCS_STRIPPED)
    {
        fail("relocations", "the file is marked as stripped of relocations, so it loads nowhere but at its preferred address".into());
    }
    match &image.relocations {
        Ok(0) => fail("relocations", "there are no base relocations".into()),
        Ok(_) => {}
        Err(why) => fail(
            "relocations",
            format!("the relocation table is damaged: {why}"),
        ),
    }
}

fn unwind_data(image: &Image<'_>, fail: &mut impl FnMut(&'static str, String)) {
    if let Some(why) = &image.functions_error {
        fail(
            "unwind",
            format!("the exception directory is damaged: {why}"),
        );
    } else if image.functions.is_empty() {
        fail(
            "unwind",
            "there is no unwind data, so no exception can pass through the driver".into(),
        );
    } else if let Some(bad) = image
        .functions
        .iter()
        .find(|function| !is_sound(image, function))
    {
        fail(
            "unwind",
            format!(
                "the entry of the function at {:#x} points outside of the image",
                bad.begin
            ),
        );
    } else if !image.functions.is_sorted_by_key(|function| function.begin) {
        fail(
            "unwind",
            "the exception directory is not sorted, so the kernel's search misses functions".into(),
        );
    }
}

fn is_sound(image: &Image<'_>, function: &Function) -> bool {
    let code = image
        .section_at(function.begin)
        .is_some_and(|section| section.flags.contains(pe::IMAGE_SCN_MEM_EXECUTE));
    // On Arm64 the low two bits say whether the unwind data is packed into the word itself.
    let packed = image.machine == pe::IMAGE_FILE_MACHINE_ARM64 && function.unwind & 3 != 0;
    code && function.begin <= function.end
        && (packed || image.data_at(function.unwind & !3).is_some())
}

fn imports(image: &Image<'_>, fail: &mut impl FnMut(&'static str, String)) {
    for module in image.imports_by_module().keys() {
        if !MODULES
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(module))
        {
            fail(
                "import-module",
                format!(
                    "imports from {module}; only {} are allowed",
                    MODULES.join(", ")
                ),
            );
        }
    }
    for import in &image.imports {
        match &import.name {
            None => fail(
                "import-number",
                format!(
                    "imports from {} by number, which differs between Windows builds",
                    import.module
                ),
            ),
            Some(name) => {
                if let Some(First::Later(build, version)) = facts::first_build(name)
                    && build > facts::OLDEST_BUILD
                {
                    fail(
                        "import-version",
                        format!(
                            "{name} first appeared in {version} (build {build}), after Windows Server 2019 (build 17763)"
                        ),
                    );
                }
            }
        }
    }
}
