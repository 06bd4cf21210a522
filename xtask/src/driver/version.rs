//! The resources of the image, as a compiled resource file (`.res`) that the linker takes, and the one with the version.

use std::borrow::Cow;

use anyhow::Result;

use super::events::{self, messages, template};

/// `VOS_NT_WINDOWS32`.
const FILE_OS_NT: u32 = 0x0004_0004;
/// `VFT_DRV` and `VFT2_DRV_NETWORK`.
const FILE_TYPE_DRIVER: u32 = 3;
const FILE_SUBTYPE_NETWORK: u32 = 6;
/// `VS_FIXEDFILEINFO::dwSignature`.
const FIXED_INFO_SIGNATURE: u32 = 0xFEEF_04BD;
/// `RT_VERSION`.
pub(crate) const RT_VERSION: u16 = 16;
const LANGUAGE_EN_US: u16 = 0x0409;
const CODE_PAGE_UNICODE: u16 = 1200;

/// The whole `.res` file.
pub(super) fn resource_file() -> Result<Vec<u8>> {
    let (provider, texts) = events::described()?;
    let mut file = Vec::new();
    // A 32-bit resource file starts with an empty entry.
    entry(&mut file, &number(0), 0, 0, 0, &[]);
    for (kind, data) in [
        (
            utf16(template::WEVT_TEMPLATE),
            template::resource(&provider),
        ),
        (number(messages::RT_MESSAGETABLE), messages::table(&texts)),
        (number(RT_VERSION), version_info()),
    ] {
        // Memory flags MOVEABLE | PURE, as resource compilers write them.
        entry(&mut file, &kind, 1, 0x0030, LANGUAGE_EN_US, &data);
    }
    Ok(file)
}

/// A type of resources that has a number.
fn number(kind: u16) -> Vec<u8> {
    [0xFFFF, kind]
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn entry(
    file: &mut Vec<u8>,
    kind: &[u8],
    name: u16,
    memory_flags: u16,
    language: u16,
    data: &[u8],
) {
    let mut ids = [kind, &number(name)].concat();
    pad(&mut ids);
    file.extend(size(data).to_le_bytes());
    file.extend((24 + size(&ids)).to_le_bytes());
    file.extend(ids);
    file.extend(0_u32.to_le_bytes()); // DataVersion
    file.extend(memory_flags.to_le_bytes());
    file.extend(language.to_le_bytes());
    file.extend(0_u32.to_le_bytes()); // Version
    file.extend(0_u32.to_le_bytes()); // Characteristics
    file.extend(data);
    pad(file);
}

/// The contents of the version resource.
pub(crate) fn version_info() -> Vec<u8> {
    let mut numbers = env!("CARGO_PKG_VERSION")
        .split(['.', '-'])
        .map(|part| part.parse::<u32>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    let (major, minor, patch) = (next(), next(), next());
    let (high, low) = (major << 16 | minor, patch << 16);
    let fixed: Vec<u8> = [
        FIXED_INFO_SIGNATURE,
        0x0001_0000,
        high,
        low,
        high,
        low,
        0x3F,
        0,
        FILE_OS_NT,
        FILE_TYPE_DRIVER,
        FILE_SUBTYPE_NETWORK,
        0,
        0,
    ]
    .iter()
    .flat_map(|field| field.to_le_bytes())
    .collect();

    let version = format!("{major}.{minor}.{patch}.0");
    let strings = [
        ("FileDescription", "XDP filter driver"),
        ("FileVersion", version.as_str()),
        ("InternalName", "xdp.sys"),
        ("LegalCopyright", "MIT OR Apache-2.0"),
        ("OriginalFilename", "xdp.sys"),
        ("ProductName", "XDP for Windows in Rust"),
        ("ProductVersion", version.as_str()),
    ];
    let table = block(
        &format!("{LANGUAGE_EN_US:04X}{CODE_PAGE_UNICODE:04X}"),
        &Value::None,
        &strings.map(|(key, text)| block(key, &Value::Text(text.into()), &[])),
    );
    let string_info = block("StringFileInfo", &Value::None, &[table]);
    let translation: Vec<u8> = [LANGUAGE_EN_US, CODE_PAGE_UNICODE]
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .collect();
    let var_info = block(
        "VarFileInfo",
        &Value::None,
        &[block("Translation", &Value::Binary(translation), &[])],
    );
    block(
        "VS_VERSION_INFO",
        &Value::Binary(fixed),
        &[string_info, var_info],
    )
}

enum Value<'a> {
    None,
    Binary(Vec<u8>),
    Text(Cow<'a, str>),
}

/// One node of the version tree: lengths, type, key, value, children, each part on a 4-byte boundary.
fn block(key: &str, value: &Value<'_>, children: &[Vec<u8>]) -> Vec<u8> {
    let (bytes, units, is_text) = match value {
        Value::None => (Vec::new(), 0, 1_u16),
        Value::Binary(bytes) => (bytes.clone(), size(bytes), 0),
        Value::Text(text) => {
            let bytes = utf16(text);
            // A text's length counts characters.
            let units = size(&bytes) / 2;
            (bytes, units, 1)
        }
    };
    let mut out = vec![0; 2];
    out.extend((units as u16).to_le_bytes());
    out.extend(is_text.to_le_bytes());
    out.extend(utf16(key));
    pad(&mut out);
    out.extend(bytes);
    for child in children {
        pad(&mut out);
        out.extend(child);
    }
    let length = size(&out) as u16;
    out[..2].copy_from_slice(&length.to_le_bytes());
    out
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16()
        .chain([0])
        .flat_map(u16::to_le_bytes)
        .collect()
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn size(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
