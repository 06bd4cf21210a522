//! A small sound driver image, made here so that the tests need no toolchain.
//!
//! Its code is four functions: `DriverEntry` and a leaf without unwind data, each with one way to panic; a panic
//! function; and the panic handler.

use object::pe;
use object::write::pe::{NtHeaders, Writer};

use crate::check::checksum;
use crate::check::panic_sites::PANIC_STOP_CODE;
use crate::driver::events::{self, messages, template};
use crate::driver::version;

const TEXT: u32 = 0x1000;
const RDATA: u32 = 0x2000;

/// Start of `DriverEntry`, of the panic function, the handler and the leaf.
pub(super) const ENTRY: u32 = TEXT;
const PANIC: u32 = TEXT + 0x40;
const HANDLER: u32 = TEXT + 0x60;
pub(super) const LEAF: u32 = TEXT + 0x80;

/// The imports, by module.
const IMPORTS: [(&str, &[&str]); 2] = [
    ("ntoskrnl.exe", &["KeBugCheckEx", "ExFreePoolWithTag"]),
    ("ndis.sys", &["NdisFRegisterFilterDriver"]),
];

/// The image.
pub(super) fn driver() -> Vec<u8> {
    let imports = import_section();
    let text = code(RDATA + imports.first_address_slot);
    let unwind = imports.bytes.len() as u32;
    let mut rdata = imports.bytes;
    // Version 1, a prologue of four bytes with one code: allocate 0x28 bytes.
    rdata.extend([1, 4, 1, 0, 4, 0x42, 0, 0]);
    let functions: Vec<u8> = [(ENTRY, 0x20), (PANIC, 0x0B), (HANDLER, 0x10)]
        .iter()
        .flat_map(|(start, size)| [*start, start + size, RDATA + unwind])
        .flat_map(u32::to_le_bytes)
        .collect();

    let mut bytes = Vec::new();
    let mut writer = Writer::new(true, 0x1000, 0x200, &mut bytes);
    writer.reserve_dos_header_and_stub();
    writer.reserve_nt_headers(16);
    writer.reserve_section_headers(5);
    let text_range = writer.reserve_text_section(text.len() as u32);
    let rdata_range = writer.reserve_rdata_section(rdata.len() as u32);
    let pdata_range = writer.reserve_pdata_section(functions.len() as u32);
    let resource = resource_section(pdata_range.virtual_address + 0x1000);
    let rsrc_range = writer.reserve_rsrc_section(resource.len() as u32);
    writer.add_reloc(RDATA, pe::IMAGE_REL_BASED_DIR64);
    writer.reserve_reloc_section();
    assert_eq!(
        (text_range.virtual_address, rdata_range.virtual_address),
        (TEXT, RDATA)
    );
    writer.set_data_directory(1, RDATA + imports.directory, imports.directory_size);

    writer
        .write_dos_header_and_stub()
        .expect("the DOS header fits");
    writer.write_nt_headers(NtHeaders {
        machine: pe::IMAGE_FILE_MACHINE_AMD64,
        time_date_stamp: 0,
        characteristics: pe::IMAGE_FILE_EXECUTABLE_IMAGE | pe::IMAGE_FILE_LARGE_ADDRESS_AWARE,
        major_linker_version: 14,
        minor_linker_version: 0,
        address_of_entry_point: ENTRY,
        image_base: 0x1_4000_0000,
        major_operating_system_version: 10,
        minor_operating_system_version: 0,
        major_image_version: 0,
        minor_image_version: 0,
        major_subsystem_version: 10,
        minor_subsystem_version: 0,
        subsystem: pe::IMAGE_SUBSYSTEM_NATIVE,
        dll_characteristics: pe::IMAGE_DLLCHARACTERISTICS_NX_COMPAT
            | pe::IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE
            | pe::IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
        size_of_stack_reserve: 0x10_0000,
        size_of_stack_commit: 0x1000,
        size_of_heap_reserve: 0x10_0000,
        size_of_heap_commit: 0x1000,
    });
    writer.write_section_headers();
    for (range, data) in [
        (text_range, &text),
        (rdata_range, &rdata),
        (pdata_range, &functions),
        (rsrc_range, &resource),
    ] {
        writer.write_section(range.file_offset, data);
    }
    writer.write_reloc_section();
    checksum::store(&mut bytes).expect("the sample has a header");
    bytes
}

fn code(bugcheck_slot: u32) -> Vec<u8> {
    let mut text = vec![0xCC; 0xA0];
    let mut put = |address: u32, bytes: &[u8]| {
        let at = (address - TEXT) as usize;
        text[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let relative = |next: u32, target: u32| target.wrapping_sub(next).to_le_bytes();
    let frame: [u8; 4] = [0x48, 0x83, 0xEC, 0x28]; // sub rsp, 0x28
    let unframe: [u8; 4] = [0x48, 0x83, 0xC4, 0x28]; // add rsp, 0x28

    put(ENTRY, &frame);
    put(ENTRY + 4, &[0x85, 0xC9]); // test ecx, ecx
    put(ENTRY + 6, &[0x74, 0x06]); // je over the panic
    put(
        ENTRY + 8,
        &[&[0xE8], &relative(ENTRY + 13, PANIC)[..]].concat(),
    );
    put(ENTRY + 13, &[0xCC]);
    put(
        ENTRY + 14,
        &[&[0xE8], &relative(ENTRY + 19, LEAF)[..]].concat(),
    );
    put(ENTRY + 19, &unframe);
    put(ENTRY + 23, &[0xC3]);

    put(PANIC, &frame);
    put(
        PANIC + 4,
        &[&[0xE8], &relative(PANIC + 9, HANDLER)[..]].concat(),
    );
    put(PANIC + 9, &[0x0F, 0x0B]); // ud2

    put(HANDLER, &frame);
    put(
        HANDLER + 4,
        &[&[0xB9], &PANIC_STOP_CODE.to_le_bytes()[..]].concat(),
    ); // mov ecx, code
    put(
        HANDLER + 9,
        &[&[0xFF, 0x15], &relative(HANDLER + 15, bugcheck_slot)[..]].concat(),
    );
    put(HANDLER + 15, &[0xCC]);

    put(LEAF, &[0x85, 0xC9]);
    put(
        LEAF + 2,
        &[&[0x0F, 0x85], &relative(LEAF + 8, PANIC)[..]].concat(),
    ); // jne to the panic function
    put(LEAF + 8, &[0xC3]);
    text
}

struct ImportSection {
    bytes: Vec<u8>,
    /// Offset of the first slot that the loader fills.
    first_address_slot: u32,
    directory: u32,
    directory_size: u32,
}

/// Address slots, then lookup tables, descriptors and names.
fn import_section() -> ImportSection {
    let slots: u32 = IMPORTS
        .iter()
        .map(|(_, names)| 8 * (names.len() as u32 + 1))
        .sum();
    let directory = 8 + 2 * slots;
    let directory_size = 20 * (IMPORTS.len() as u32 + 1);
    let mut names = Vec::new();
    let mut name_at = |text: &[u8]| {
        let at = RDATA + directory + directory_size + names.len() as u32;
        names.extend(text);
        names.resize(names.len().next_multiple_of(2), 0);
        at
    };
    let (mut thunks, mut descriptors) = (Vec::new(), Vec::new());
    for (module, functions) in IMPORTS {
        let first_thunk = RDATA + 8 + thunks.len() as u32;
        let module = name_at(&[module.as_bytes(), &[0]].concat());
        descriptors.extend(
            [first_thunk + slots, 0, 0, module, first_thunk]
                .iter()
                .flat_map(|word| word.to_le_bytes()),
        );
        for function in functions {
            let hint_and_name = name_at(&[&[0, 0], function.as_bytes(), &[0]].concat());
            thunks.extend(u64::from(hint_and_name).to_le_bytes());
        }
        thunks.extend(0_u64.to_le_bytes());
    }
    descriptors.extend([0; 20]);
    // The first eight bytes are the pointer that the one relocation is about.
    let bytes = [&[0; 8][..], &thunks, &thunks, &descriptors, &names].concat();
    ImportSection {
        bytes,
        first_address_slot: 8,
        directory,
        directory_size,
    }
}

/// A resource tree with three leaves: what the events are, their texts, and the version.
fn resource_section(address: u32) -> Vec<u8> {
    let (provider, texts) = events::described().expect("the manifest");
    let name: Vec<u8> = template::WEVT_TEMPLATE
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let count = name.len() as u16 / 2;
    let name = [&count.to_le_bytes()[..], &name, &[0; 4]].concat();
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let leaves = [
        (0, template::resource(&provider)),
        (messages::RT_MESSAGETABLE, messages::table(&texts)),
        (version::RT_VERSION, version::version_info()),
    ];
    // The list of types, then for each one of names and one of languages, then where the data are, the name, the data.
    let (below, descriptions) = (16 + 8 * 3, 16 + 8 * 3 + 48 * 3);
    let name_at = descriptions + 16 * 3;
    let mut data_at = (name_at + name.len() as u32).next_multiple_of(8);
    let mut bytes = words(&[0, 0, 0, 1 | 2 << 16]);
    let (mut lists, mut entries, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (index, (id, content)) in (0_u32..).zip(&leaves) {
        let id = match *id {
            0 => 0x8000_0000 | name_at,
            id => id.into(),
        };
        let names = below + 48 * index;
        bytes.extend(words(&[id, 0x8000_0000 | names]));
        lists.extend(words(&[0, 0, 0, 1 << 16, 1, 0x8000_0000 | (names + 24)]));
        lists.extend(words(&[0, 0, 0, 1 << 16, 0x409, descriptions + 16 * index]));
        entries.extend(words(&[address + data_at, content.len() as u32, 0, 0]));
        let padded = content.len().next_multiple_of(8);
        data.extend(content);
        data.resize(data.len() + padded - content.len(), 0);
        data_at += padded as u32;
    }
    bytes.extend([lists, entries, name].concat());
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(data);
    bytes
}
