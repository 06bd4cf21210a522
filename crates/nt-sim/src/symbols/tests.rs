use super::*;
use crate::pe::{Binding, Image, Loaded, testing::DriverBuilder};

fn load(file: &[u8]) -> Loaded {
    Image::load(file, "names.sys", |imports| {
        Ok(vec![Binding::Bound(0); imports.len()])
    })
    .unwrap()
}

fn sample() -> DriverBuilder {
    let mut b = DriverBuilder::new();
    b.trivial_entry();
    b.begin_hidden();
    b.alloc(0x28);
    b.a.nop().unwrap();
    b.end();
    b.begin("_ZN3foo3bar17h0123456789abcdefE");
    b.a.ret().unwrap();
    b.end();
    b
}

#[test]
fn exports_and_function_starts_name_addresses() {
    let image = load(&sample().build());
    let entry = image.entry();
    assert_eq!(image.describe(entry), "names.sys!DriverEntry");
    assert_eq!(image.describe(entry + 3), "names.sys!DriverEntry+0x3");
    let hidden = image.functions().get(image.bytes(), 1).unwrap().begin;
    assert_eq!(
        image.describe(image.base() + hidden as usize + 4),
        format!("names.sys!sub_{hidden:x}+0x4")
    );
    let mangled = image.export("_ZN3foo3bar17h0123456789abcdefE").unwrap();
    assert_eq!(image.describe(mangled), "names.sys!foo::bar");
    assert_eq!(
        image.describe(image.base() + 0x1010),
        "names.sys+0x1010",
        "data has no name"
    );
    assert_eq!(crate::pe::describe(0x1234), "0x1234");
}

/// Writes a PDB: the container with the four streams that are read.
struct PdbWriter {
    blocks: Vec<[u8; 512]>,
}

impl PdbWriter {
    fn store(&mut self, bytes: &[u8]) -> Vec<u32> {
        bytes
            .chunks(512)
            .map(|chunk| {
                let mut block = [0; 512];
                block[..chunk.len()].copy_from_slice(chunk);
                self.blocks.push(block);
                self.blocks.len() as u32 - 1
            })
            .collect()
    }

    fn write(streams: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = PdbWriter {
            blocks: vec![[0; 512]],
        };
        let mut directory = vec![streams.len() as u32];
        directory.extend(streams.iter().map(|s| s.len() as u32));
        for stream in streams {
            let blocks = writer.store(stream);
            directory.extend(blocks);
        }
        let directory: Vec<u8> = directory.iter().flat_map(|w| w.to_le_bytes()).collect();
        let blocks: Vec<u8> = writer
            .store(&directory)
            .iter()
            .flat_map(|w| w.to_le_bytes())
            .collect();
        let map = writer.store(&blocks)[0];
        let mut head = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0".to_vec();
        let count = writer.blocks.len() as u32;
        for word in [512, 1, count, directory.len() as u32, 0, map] {
            head.extend(word.to_le_bytes());
        }
        writer.blocks[0][..head.len()].copy_from_slice(&head);
        writer.blocks.concat()
    }
}

fn record(kind: u16, body: &[u8], name: &str) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(body);
    bytes.extend(name.bytes());
    bytes.push(0);
    while !(bytes.len() + 2).is_multiple_of(4) {
        bytes.push(0);
    }
    let mut record = (bytes.len() as u16).to_le_bytes().to_vec();
    record.extend(bytes);
    record
}

const GUID: [u8; 16] = *b"0123456789abcdef";

fn pdb(guid: [u8; 16], hidden_offset: u32, text: u16) -> Vec<u8> {
    let mut public = 2_u32.to_le_bytes().to_vec();
    public.extend(0_u32.to_le_bytes());
    public.extend(text.to_le_bytes());
    let globals = record(0x110e, &public, "PublicEntry");
    let mut procedure = vec![0; 28];
    procedure.extend(hidden_offset.to_le_bytes());
    procedure.extend(text.to_le_bytes());
    procedure.push(0);
    let mut module_symbols = 4_u32.to_le_bytes().to_vec();
    module_symbols.extend(record(0x1110, &procedure, "_RNvC3xdp6hidden"));
    let mut module = vec![0; 64];
    module[34..36].copy_from_slice(&5_u16.to_le_bytes());
    module[36..40].copy_from_slice(&(module_symbols.len() as u32).to_le_bytes());
    module.extend(b"object\0library\0");
    let padded = module.len().next_multiple_of(4);
    module.resize(padded, 0);
    let mut dbi = vec![0; 64];
    dbi[20..22].copy_from_slice(&4_u16.to_le_bytes());
    dbi[24..28].copy_from_slice(&(module.len() as u32).to_le_bytes());
    dbi.extend(module);
    let mut info = vec![0; 12];
    info.extend(guid);
    PdbWriter::write(&[vec![], info, vec![], dbi, globals, module_symbols])
}

#[test]
fn a_pdb_names_what_the_image_does_not() {
    let mut b = sample();
    b.pdb_guid = Some(GUID);
    let file = b.build();
    let image = load(&file);
    let entry = image.functions().get(image.bytes(), 0).unwrap().begin;
    let hidden = image.functions().get(image.bytes(), 1).unwrap().begin;
    // The code is the second section and starts with DriverEntry.
    let good = pdb(GUID, hidden - entry, 2);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("names.pdb");
    std::fs::write(&path, good).unwrap();
    let symbols = Symbols::of_image(&image, Some(&path));
    assert_eq!(symbols.name_of(hidden + 1), Some(("xdp::hidden", 1)));
    assert_eq!(symbols.name_of(entry), Some(("PublicEntry", 0)));
    std::fs::write(&path, pdb([0; 16], hidden - entry, 2)).unwrap();
    let symbols = Symbols::of_image(&image, Some(&path));
    assert_eq!(
        symbols.name_of(entry),
        Some(("DriverEntry", 0)),
        "of another build"
    );
}

#[test]
fn a_damaged_pdb_is_ignored() {
    let mut b = sample();
    b.pdb_guid = Some(GUID);
    let image = load(&b.build());
    let good = pdb(GUID, 0x10, 2);
    for len in (0..good.len()).step_by(97) {
        let _ = pdb::functions(&good[..len], &image);
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] = 0xff;
        let _ = pdb::functions(&bad, &image);
    }
    assert!(pdb::functions(b"not a pdb", &image).is_none());
    assert!(pdb::functions(&good, &image).is_some_and(|f| f.len() == 2));
}
