//! Every rule catches its defect, planted into a sound file, and no other rule fires.

mod sample;

use object::pe;
use object::read::pe::PeFile64;

use super::image::Image;
use super::panic_sites::{self, PanicSites};
use super::{checksum, rules};

/// Offsets in the optional header.
const ENTRY_POINT: usize = 16;
const SECTION_ALIGNMENT: usize = 32;
const CHECKSUM: usize = 64;
const SUBSYSTEM: usize = 68;
const DLL_CHARACTERISTICS: usize = 70;
const DIRECTORIES: usize = 112;

/// A file that defects are planted into.
struct Planter {
    bytes: Vec<u8>,
    pe: usize,
}

impl Planter {
    fn new(bytes: &[u8]) -> Self {
        let pe = checksum::offset(bytes).expect("the file has a header") - 24 - CHECKSUM;
        Self {
            bytes: bytes.to_vec(),
            pe,
        }
    }

    fn optional(&mut self, field: usize) -> &mut [u8] {
        &mut self.bytes[self.pe + 24 + field..]
    }

    fn file_characteristics(&mut self) -> &mut u8 {
        &mut self.bytes[self.pe + 22]
    }

    fn drop_directory(&mut self, index: usize) {
        self.optional(DIRECTORIES + 8 * index)[..8].fill(0);
    }

    fn section_flags(&mut self, index: usize) -> &mut [u8] {
        let table = self.pe
            + 24
            + usize::from(u16::from_le_bytes([
                self.bytes[self.pe + 20],
                self.bytes[self.pe + 21],
            ]));
        &mut self.bytes[table + 40 * index + 36..][..4]
    }

    /// File offset of an address in the image.
    fn offset_of(&self, address: u32) -> usize {
        let file = PeFile64::parse(&self.bytes[..]).expect("the file parses");
        let section = file
            .section_table()
            .iter()
            .find(|section| section.contains_rva(address))
            .expect("the address lies in a section");
        let (start, _) = section.pe_file_range();
        (start + address - section.virtual_address.get(object::LittleEndian)) as usize
    }

    fn directory(&self, index: usize) -> u32 {
        let file = PeFile64::parse(&self.bytes[..]).expect("the file parses");
        file.data_directory(index)
            .expect("the directory is there")
            .virtual_address
            .get(object::LittleEndian)
    }

    /// Overwrites a name of at least the same length.
    fn rename(&mut self, from: &str, to: &str) {
        assert!(to.len() <= from.len());
        let needle = [from.as_bytes(), &[0]].concat();
        let at = self
            .bytes
            .windows(needle.len())
            .position(|window| window == needle)
            .expect("the name is in the file");
        self.bytes[at..at + needle.len()].fill(0);
        self.bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }

    fn find(&self, wanted: &[u8]) -> usize {
        find(&self.bytes, wanted)
    }

    /// Gives a type of resources another number.
    fn change_resource_type(&mut self, from: u32, to: u32) {
        let tree = self.offset_of(self.directory(pe::IMAGE_DIRECTORY_ENTRY_RESOURCE));
        let entry = (0..3)
            .map(|index| tree + 16 + 8 * index)
            .find(|at| self.bytes[*at..][..4] == from.to_le_bytes())
            .expect("the type is there");
        self.put(entry, &to.to_le_bytes());
    }

    fn put(&mut self, offset: usize, value: &[u8]) {
        self.bytes[offset..offset + value.len()].copy_from_slice(value);
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
        .expect("it is in the file")
}

/// A defect: the rule that must fire, part of its message, and how it is planted.
type Plant = (&'static str, &'static str, fn(&mut Planter));

const PLANTS: &[Plant] = &[
    ("machine", "machine 0x01c4", |file| {
        file.bytes[file.pe + 4..][..2].copy_from_slice(&0x01C4_u16.to_le_bytes())
    }),
    ("subsystem", "subsystem 3 is not NATIVE", |file| {
        file.optional(SUBSYSTEM)[0] = 3
    }),
    ("image", "not linked to the end", |file| {
        *file.file_characteristics() &= !2
    }),
    ("entry", "there is no entry point", |file| {
        file.optional(ENTRY_POINT)[..4].fill(0)
    }),
    ("entry", "lies in no section", |file| {
        file.optional(ENTRY_POINT)[..4].copy_from_slice(&0x0FFF_0000_u32.to_le_bytes())
    }),
    ("entry", "which is not executable", |file| {
        let data = file.directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION);
        file.optional(ENTRY_POINT)[..4].copy_from_slice(&data.to_le_bytes());
    }),
    ("writable-code", "both writable and executable", |file| {
        file.section_flags(0)[3] |= 0x80
    }),
    ("section-alignment", "512 bytes, less than a page", |file| {
        file.optional(SECTION_ALIGNMENT)[..4].copy_from_slice(&512_u32.to_le_bytes())
    }),
    ("relocations", "there are no base relocations", |file| {
        file.drop_directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC)
    }),
    ("relocations", "marked as stripped", |file| {
        *file.file_characteristics() |= 1
    }),
    ("relocations", "relocation type 3", |file| {
        let block = file.offset_of(file.directory(pe::IMAGE_DIRECTORY_ENTRY_BASERELOC));
        let first = &mut file.bytes[block + 9];
        *first = *first & 0x0F | 0x30;
    }),
    ("unwind", "there is no unwind data", |file| {
        file.drop_directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION)
    }),
    ("unwind", "not a multiple of 12", |file| {
        let size = DIRECTORIES + 8 * pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION + 4;
        file.optional(size)[0] -= 1;
    }),
    ("unwind", "points outside of the image", |file| {
        let first = file.offset_of(file.directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION));
        file.put(first + 8, &0x7FFF_FFF0_u32.to_le_bytes());
    }),
    ("unwind", "not sorted", |file| {
        let first = file.offset_of(file.directory(pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION));
        file.bytes[first..first + 24].rotate_left(12);
    }),
    ("flags", "NX_COMPAT is not set", |file| {
        file.optional(DLL_CHARACTERISTICS)[1] &= !0x01
    }),
    ("flags", "DYNAMIC_BASE is not set", |file| {
        file.optional(DLL_CHARACTERISTICS)[0] &= !0x40
    }),
    ("flags", "HIGH_ENTROPY_VA is not set", |file| {
        file.optional(DLL_CHARACTERISTICS)[0] &= !0x20
    }),
    ("import-module", "imports from tdi.sys", |file| {
        file.rename("ndis.sys", "tdi.sys")
    }),
    (
        "import-version",
        "ExAllocatePool2 first appeared in Windows 10, version 2004 (build 19041)",
        |file| {
            file.rename("ExFreePoolWithTag", "ExAllocatePool2");
        },
    ),
    (
        "import-version",
        "NdisRegisterPoll first appeared in Windows 11",
        |file| file.rename("NdisFRegisterFilterDriver", "NdisRegisterPoll"),
    ),
    ("import-number", "by number", |file| {
        let descriptor = file.offset_of(file.directory(pe::IMAGE_DIRECTORY_ENTRY_IMPORT));
        let lookup = u32::from_le_bytes(
            file.bytes[descriptor..][..4]
                .try_into()
                .expect("four bytes"),
        );
        file.put(
            file.offset_of(lookup),
            &0x8000_0000_0000_0007_u64.to_le_bytes(),
        );
    }),
    ("version", "no version resource", |file| {
        file.change_resource_type(16, 17)
    }),
    ("events", "no message table", |file| {
        file.change_resource_type(11, 12)
    }),
    ("events", "no WEVT_TEMPLATE resource", |file| {
        let name: Vec<u8> = "WEVT_TEMPLATE".bytes().flat_map(|c| [c, 0]).collect();
        let at = file.find(&name);
        file.put(at, b"X");
    }),
    ("events", "there is no KEYW", |file| {
        let at = file.find(b"KEYW");
        file.put(at, b"QEYW");
    }),
    ("events", "event 1 is missing", |file| {
        let at = file.find(b"EVNT") + 16;
        file.put(at, &99_u16.to_le_bytes());
    }),
    ("events", "event 1 is not as in the manifest", |file| {
        let at = file.find(b"EVNT") + 16;
        file.put(at + 3, &[17]);
    }),
    ("events", "event 1 is missing", |file| {
        let at = file.find(b"EVNT") + 16;
        file.put(at + 2, &[1]);
    }),
    ("events", "another level or opcode", |file| {
        let at = file.find(b"EVNT") + 16;
        file.put(at + 4, &[25]);
    }),
    ("events", "event 1 refers to other keywords", |file| {
        let at = file.find(b"EVNT") + 16;
        file.bytes[at + 8] ^= 1;
    }),
    ("events", "template 0 has other fields", |file| {
        // The one field's type of display.
        let at = file.find(b"TEMP") + 16;
        let items = u32::from_le_bytes(file.bytes[at..][..4].try_into().expect("four bytes"));
        let start = file.find(b"CRIM");
        file.put(start + items as usize + 5, &[8]);
    }),
    ("events", "other fields than its list", |file| {
        let at = file.find(b"TEMP") + 16;
        let items = u32::from_le_bytes(file.bytes[at..][..4].try_into().expect("four bytes"));
        let start = file.find(b"CRIM");
        file.put(start + items as usize + 4, &[8]);
    }),
    ("events", "the keywords are not those", |file| {
        let name: Vec<u8> = "Generic".bytes().flat_map(|c| [c, 0]).collect();
        let at = file.find(b"KEYW");
        let at = at + find(&file.bytes[at..], &name);
        file.put(at, b"K");
    }),
    ("events", "the provider has another GUID", |file| {
        let at = file.find(b"CRIM") + 16;
        file.bytes[at] ^= 1;
    }),
    ("events", "other texts than the manifest", |file| {
        let text: Vec<u8> = "Information\r".bytes().flat_map(|c| [c, 0]).collect();
        let at = file.find(&text);
        file.put(at, b"i");
    }),
    ("version", "no version resource", |file| {
        let signature = 0xFEEF_04BD_u32.to_le_bytes();
        let at = file
            .bytes
            .windows(4)
            .position(|window| window == signature)
            .expect("the version is in the file");
        file.put(at, &[0; 4]);
    }),
];

fn defects(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let image = Image::parse(bytes).expect("the file parses");
    rules::check(&image)
        .into_iter()
        .map(|defect| (defect.rule, defect.what))
        .collect()
}

fn plant_each_into(sound: &[u8]) {
    assert_eq!(
        defects(sound),
        [],
        "the file is sound before anything is planted"
    );
    for (rule, message, plant) in PLANTS {
        let mut file = Planter::new(sound);
        plant(&mut file);
        checksum::store(&mut file.bytes).expect("the file still has a header");
        let found = defects(&file.bytes);
        assert_eq!(
            found.len(),
            1,
            "exactly `{message}` should be found: {found:?}"
        );
        assert_eq!(found[0].0, *rule, "{found:?}");
        assert!(
            found[0].1.contains(message),
            "`{message}` should be in {found:?}"
        );
    }
}

#[test]
fn each_planted_defect_is_found() {
    plant_each_into(&sample::driver());
}

/// The same on a real file: `./x test` sets `XDP_DRIVER` to the driver that it built.
#[test]
fn each_planted_defect_is_found_in_the_driver_file() {
    let Some(file) = std::env::var_os("XDP_DRIVER") else {
        eprintln!("skipped: XDP_DRIVER names no driver file");
        return;
    };
    plant_each_into(&std::fs::read(file).expect("XDP_DRIVER can be read"));
}

#[test]
fn a_changed_byte_breaks_the_checksum() {
    let mut file = Planter::new(&sample::driver());
    let last = file.bytes.len() - 1;
    file.bytes[last] ^= 1;
    assert_eq!(
        defects(&file.bytes)
            .iter()
            .map(|(rule, _)| *rule)
            .collect::<Vec<_>>(),
        ["checksum"]
    );
}

#[test]
fn the_checksum_is_the_one_that_windows_computes() {
    // By hand: words 0x0201 and 0x0403 and the odd byte 0x05, the field at 8 left out, plus the length.
    assert_eq!(
        checksum::compute(&[1, 2, 3, 4, 5], 8),
        0x0201 + 0x0403 + 0x05 + 5
    );
    // A carry comes back in at the bottom.
    assert_eq!(checksum::compute(&[0xFF, 0xFF, 0x02, 0x00], 8), 2 + 4);
    assert_eq!(
        checksum::compute(&[1, 0, 9, 9, 9, 9], 2),
        1 + 6,
        "the field counts as zero"
    );
}

fn refusal(bytes: &[u8]) -> String {
    match Image::parse(bytes) {
        Ok(_) => "parsed".into(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn what_is_not_a_64_bit_pe_file_is_refused_with_the_reason() {
    assert!(refusal(b"").contains("not a PE file"));
    assert!(refusal(b"\x7fELF and so on").contains("not a PE file"));
    assert!(refusal(b"MZ").contains("ends in its DOS header"));
    let mut file = Planter::new(&sample::driver());
    file.bytes[file.pe] = b'Q';
    assert!(refusal(&file.bytes).contains("no PE signature"));
    let mut file = Planter::new(&sample::driver());
    file.optional(0)[..2].copy_from_slice(&0x010B_u16.to_le_bytes());
    assert!(refusal(&file.bytes).contains("32-bit image"));
}

#[test]
fn a_truncated_file_is_never_taken_for_a_sound_one() {
    let whole = sample::driver();
    for length in 0..whole.len() {
        match Image::parse(&whole[..length]) {
            Ok(image) => assert!(
                !rules::check(&image).is_empty(),
                "the first {length} bytes pass"
            ),
            Err(error) => assert!(!format!("{error:#}").is_empty()),
        }
    }
    assert!(refusal(&whole[..whole.len() - 0x200]).contains("truncated"));
}

#[test]
fn damaged_files_do_not_upset_the_checker() {
    let sound = sample::driver();
    // A fixed linear congruential sequence: the same damage in every run.
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut parsed = 0;
    for _ in 0..4000 {
        let mut bytes = sound.clone();
        for _ in 0..=random(8) {
            let at = random(bytes.len());
            bytes[at] = random(256) as u8;
        }
        if let Ok(image) = Image::parse(&bytes) {
            parsed += 1;
            rules::check(&image);
            panic_sites::find(&image);
        }
    }
    assert!(
        parsed > 1000,
        "most damage should leave the headers alone: {parsed}"
    );
}

#[test]
fn panic_sites_are_counted_from_the_code_alone() {
    let bytes = sample::driver();
    let image = Image::parse(&bytes).expect("the sample parses");
    let PanicSites::Found(sites) = panic_sites::find(&image) else {
        panic!("the sample has a panic handler")
    };
    let functions: Vec<u32> = sites.iter().map(|site| site.function).collect();
    assert_eq!(functions, [sample::ENTRY, sample::LEAF]);
}

#[test]
fn a_file_without_a_panic_handler_has_no_panic_sites() {
    let mut bytes = sample::driver();
    let code = panic_sites::PANIC_STOP_CODE.to_le_bytes();
    let at = bytes
        .windows(4)
        .position(|window| window == code)
        .expect("the handler loads its code");
    bytes[at] ^= 1;
    let image = Image::parse(&bytes).expect("the sample parses");
    assert!(matches!(panic_sites::find(&image), PanicSites::NoHandler));
}

#[test]
fn the_version_is_read_back() {
    let bytes = sample::driver();
    let version = Image::parse(&bytes)
        .expect("the sample parses")
        .version
        .expect("there is a version");
    let text = version.map(|part| part.to_string()).join(".");
    assert!(text.starts_with(env!("CARGO_PKG_VERSION")), "{text}");
}
