use super::testing::{DATA, DriverBuilder};
use super::*;
use iced_x86::code_asm::*;

fn unresolved(imports: &[Import]) -> Result<Vec<Binding>, PeError> {
    Ok(vec![Binding::Unimplemented(0xdead); imports.len()])
}

fn load(file: &[u8]) -> Result<Loaded, PeError> {
    Image::load(file, "test.sys", unresolved)
}

fn message(file: &[u8]) -> String {
    load(file).err().expect("must be refused").to_string()
}

fn sample() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b.begin("Work");
    b.alloc(0x28);
    let word = b.data_address(0x10);
    b.a.mov(rcx, qword_ptr(word)).unwrap();
    b.call_nt("KeSetEvent");
    b.a.add(rsp, 0x28).unwrap();
    b.a.ret().unwrap();
    b.end();
    let slot = b.import("hal.dll", "KeStallExecutionProcessor");
    b.begin("Other");
    b.a.jmp(qword_ptr(slot)).unwrap();
    b.end();
    b
}

#[test]
fn a_driver_is_mapped_relocated_bound_and_described() {
    let file = sample().build();
    let mut asked = Vec::new();
    let image = Image::load(&file, "sample.sys", |imports| {
        let answer = |import: &Import| {
            asked.push(format!("{}!{}", import.module, import.name));
            if import.name == "KeSetEvent" {
                Binding::Bound(0x1122_3344_5566_7788)
            } else {
                Binding::Unimplemented(0x99)
            }
        };
        Ok(imports.iter().map(answer).collect())
    })
    .unwrap();
    assert_eq!(
        asked,
        [
            "ntoskrnl.exe!KeSetEvent",
            "hal.dll!KeStallExecutionProcessor"
        ]
    );
    assert_eq!(image.imports().len(), 2);
    assert_eq!(image.unimplemented_imports().len(), 1);
    assert_eq!(
        image.unimplemented_imports()[0].name,
        "KeStallExecutionProcessor"
    );
    assert_eq!(image.entry(), image.export("DriverEntry").unwrap());
    assert_eq!(image.export("Nothing"), None);
    assert_eq!(image.functions().len(), 3);
    assert_eq!(image.file_size(), file.len());
    assert!(image.base() >= crate::mem::USER_END, "kernel half");
    let slot = image
        .imports()
        .iter()
        .find(|i| i.name == "KeSetEvent")
        .unwrap();
    let bytes = image.bytes();
    assert_eq!(
        array_at(bytes, slot.slot as usize).map(u64::from_le_bytes),
        Some(0x1122_3344_5566_7788)
    );
    let relocated = (image.base() as u64 + u64::from(DATA) + 0x10).to_le_bytes();
    assert!(
        bytes.windows(8).any(|w| w == relocated),
        "the word was relocated"
    );
    let cookie = array_at(bytes, DATA as usize + 0xf0)
        .map(u64::from_le_bytes)
        .unwrap();
    assert_ne!(cookie, 0x2b99_2ddf_a232);
    assert_eq!(cookie >> 48, 0);
    let (_, work) = image
        .functions()
        .find(bytes, image.rva(image.export("Work").unwrap() + 5).unwrap())
        .unwrap();
    assert_eq!(
        work.begin as usize,
        image.export("Work").unwrap() - image.base()
    );
}

#[test]
fn sections_have_the_protections_they_ask_for() {
    let image = load(&sample().build()).unwrap();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let protection = |address: usize| {
        maps.lines()
            .find_map(|line| {
                let (range, rest) = line.split_once(' ')?;
                let (start, end) = range.split_once('-')?;
                let start = usize::from_str_radix(start, 16).ok()?;
                let end = usize::from_str_radix(end, 16).ok()?;
                (start..end)
                    .contains(&address)
                    .then(|| rest[..3].to_owned())
            })
            .unwrap()
    };
    assert_eq!(protection(image.base()), "r--", "headers");
    assert_eq!(protection(image.base() + DATA as usize), "rw-");
    assert_eq!(protection(image.entry()), "r-x");
    assert_eq!(protection(image.base() + image.size() - 1), "r--");
    assert_eq!(protection(image.base() - 1), "---");
    assert_eq!(protection(image.base() + image.size()), "---");
    assert!(find(image.entry()).is_some_and(|i| std::ptr::eq(i, &*image)));
    let entry = image.entry();
    image.unload();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(
        find(entry).is_some_and(Image::unloaded),
        "late calls are recognised"
    );
    assert!(maps.lines().any(|l| {
        let (range, rest) = l.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let start = usize::from_str_radix(start, 16).unwrap();
        let end = usize::from_str_radix(end, 16).unwrap();
        (start..end).contains(&entry) && rest.starts_with("---")
    }));
    drop(image);
    assert!(find(entry).is_none());
}

#[test]
fn files_that_are_no_drivers_are_refused_with_cause_and_fix() {
    assert!(message(b"").contains("not a Windows driver file"));
    assert!(message(b"\x7fELF\x02\x01").contains("an ELF file"));
    assert!(message(b"hello, world").contains("MZ"));
    assert!(message(b"MZ").contains("cut off"));
    let mut dos_only = vec![0; 0x80];
    dos_only[..2].copy_from_slice(b"MZ");
    dos_only[0x3c] = 0x40;
    assert!(message(&dos_only).contains("no \"PE\" signature"));
    let mut arm = sample();
    arm.machine = 0xaa64;
    let text = message(&arm.build());
    assert!(
        text.contains("ARM64") && text.contains("x86_64-pc-windows-msvc"),
        "{text}"
    );
    let mut program = sample();
    program.subsystem = 3;
    let text = message(&program.build());
    assert!(
        text.contains("WINDOWS_CUI") && text.contains("/SUBSYSTEM:NATIVE"),
        "{text}"
    );
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let file = sample().build();
    // The last section's data ends before the padding of the file.
    let used = file.iter().rposition(|&b| b != 0).unwrap();
    for len in (0..used).step_by(7) {
        assert!(
            load(&file[..len]).is_err(),
            "{len} of {used} bytes were accepted"
        );
    }
    assert!(message(&file[..used - 512]).contains("section \".rdata\""));
}

fn patch_u32(file: &mut [u8], at: usize, value: u32) {
    file[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

const OPTIONAL: usize = 0x40 + 24;
const fn directory(index: usize) -> usize {
    OPTIONAL + 112 + index * 8
}

#[test]
fn damaged_headers_are_refused() {
    let file = sample().build();
    let broken = |at: usize, value: u32| {
        let mut file = file.clone();
        patch_u32(&mut file, at, value);
        message(&file)
    };
    assert!(broken(OPTIONAL + 16, 0).contains("no entry point"));
    assert!(broken(OPTIONAL + 16, DATA).contains("not in executable code"));
    assert!(broken(OPTIONAL + 32, 0x200).contains("aligned"));
    assert!(broken(OPTIONAL + 56, u32::MAX).contains("image size"));
    assert!(broken(0x40 + 20, 0x0023_00f0).contains("/FIXED"));
    let sections = OPTIONAL + 240;
    assert!(broken(sections + 12, 0x2000).contains("overlaps"));
    assert!(broken(sections + 12, 0x7fff_f000).contains("leaves the image"));
    assert!(broken(sections + 20, 0x7fff_f000).contains("cut off"));
}

#[test]
fn damaged_directories_are_refused() {
    let file = sample().build();
    let broken = |index: usize, rva: Option<u32>, size: Option<u32>| {
        let mut file = file.clone();
        if let Some(rva) = rva {
            patch_u32(&mut file, directory(index), rva);
        }
        if let Some(size) = size {
            patch_u32(&mut file, directory(index) + 4, size);
        }
        message(&file)
    };
    assert!(broken(0, Some(0xffff_0000), None).contains("export table"));
    assert!(broken(1, Some(0xffff_0000), None).contains("import table"));
    assert!(broken(1, Some(0x2001), None).contains("import table"));
    assert!(broken(3, None, Some(13)).contains(".pdata"));
    assert!(broken(3, Some(0xffff_0000), None).contains(".pdata"));
    assert!(broken(5, Some(0xffff_0000), None).contains("relocation"));
    assert!(broken(5, Some(0x2000), None).contains("relocation"));
}

/// Every single damaged byte of the headers and tables gives a driver or an error, never a crash.
#[test]
fn no_damaged_byte_breaks_the_loader() {
    let file = sample().build();
    let interesting = (0..0x200).chain(file.len() - 0x400..file.len());
    let mut refused = 0;
    for at in interesting {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut broken = file.clone();
            broken[at] = value;
            if let Err(error) = load(&broken) {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 100, "{refused}");
}
