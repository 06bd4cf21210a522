//! The events of the driver, which Windows learns from two resources of the file: what they consist of
//! (`WEVT_TEMPLATE`) and the texts that this refers to (`RT_MESSAGETABLE`). Both come from the manifest
//! `packaging/xdp-events.man`.

pub(crate) mod messages;
pub(crate) mod template;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use roxmltree::{Document, Node};

use super::root;

const MANIFEST: &str = "packaging/xdp-events.man";

/// The keyword of a provider's first channel, which every event in it has.
pub(crate) const CHANNEL_KEYWORD: u64 = 1 << 63;

/// Texts by their number.
pub(crate) type Messages = BTreeMap<u32, String>;

/// Who writes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) guid: [u8; 16],
    pub(crate) channels: Vec<Named>,
    pub(crate) templates: Vec<Template>,
    pub(crate) opcodes: Vec<Named>,
    pub(crate) levels: Vec<Named>,
    pub(crate) keywords: Vec<Named>,
    pub(crate) events: Vec<Event>,
}

/// A number with a name, and the number of the text that tools show for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) value: u64,
    pub(crate) name: String,
    pub(crate) message: u32,
}

/// What an event carries.
pub(crate) type Template = Vec<Field>;

/// A field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: String,
    /// `TDH_INTYPE_...`
    pub(crate) input: u8,
    /// `TDH_OUTTYPE_...`
    pub(crate) output: u8,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: u16,
    pub(crate) version: u8,
    pub(crate) channel: u8,
    pub(crate) level: u8,
    pub(crate) opcode: u8,
    pub(crate) keywords: u64,
    pub(crate) message: u32,
    /// Which template, counted from the first.
    pub(crate) template: usize,
}

/// The provider of the manifest, and its texts.
pub(crate) fn described() -> Result<(Provider, Messages)> {
    let text = std::fs::read_to_string(root().join(MANIFEST))
        .with_context(|| format!("cannot read {MANIFEST}"))?;
    compile(&text).with_context(|| format!("{MANIFEST} cannot be compiled"))
}

/// An attribute; empty when it is absent.
fn get<'a>(element: Node<'a, '_>, name: &str) -> &'a str {
    element.attribute(name).unwrap_or_default()
}

/// Numbers of texts begin as the message compiler's do.
fn compile(manifest: &str) -> Result<(Provider, Messages)> {
    let document = Document::parse(manifest)?;
    let all = |name: &'static str| {
        let elements = document.descendants();
        elements.filter(move |element| element.tag_name().name() == name)
    };
    let mut messages = Messages::new();
    let mut named = |value: u64, name: &str, message: u32, text: &str| {
        messages.insert(message, text.to_owned());
        Named {
            value,
            name: name.to_owned(),
            message,
        }
    };
    let provider = all("provider").next().context("there is no provider")?;
    let mut channels = Vec::new();
    let mut keywords = Vec::new();
    for channel in all("channel") {
        ensure!(channels.is_empty(), "only one channel has a keyword here");
        let name = get(channel, "name");
        channels.push(named(
            number(get(channel, "value"))?,
            name,
            0x9000_0001,
            name,
        ));
        keywords.push(named(CHANNEL_KEYWORD, name, 0x9000_0001, name));
    }
    let mut levels = vec![named(4, "win:Informational", 0x5000_0004, "Information")];
    for level in all("level") {
        let (value, name) = (number(get(level, "value"))?, get(level, "name"));
        levels.push(named(
            value,
            name,
            0x5000_0000 | u32::try_from(value)?,
            name,
        ));
    }
    for keyword in all("keyword") {
        let (mask, name) = (number(get(keyword, "mask"))?, get(keyword, "name"));
        ensure!(mask.is_power_of_two(), "keyword {name} is not one bit");
        let message = 0x1000_0001 + mask.trailing_zeros();
        keywords.push(named(mask, name, message, name));
    }
    let opcodes = vec![
        named(1, "win:Start", 0x3000_0001, "Start"),
        named(2, "win:Stop", 0x3000_0002, "Stop"),
    ];
    let (names, templates) = templates(&document)?;
    let value_of = |list: &[Named], name: &str| {
        list.iter()
            .find(|known| known.name == name)
            .map(|known| known.value)
            .with_context(|| format!("nothing is named {name}"))
    };
    let mut events = Vec::new();
    for event in all("event") {
        let (id, version) = (
            number(get(event, "value"))?.try_into()?,
            number(get(event, "version"))?.try_into()?,
        );
        let template = names
            .iter()
            .position(|name| *name == get(event, "template"))
            .with_context(|| format!("event {id} has no template"))?;
        let mut text = get(event, "symbol").to_owned();
        for (index, field) in templates[template].iter().enumerate() {
            text.push_str(&format!(" {}=%{}", field.name, index + 1));
        }
        let message = 0xB000_0000 | u32::from(version) << 16 | u32::from(id);
        messages.insert(message, text);
        let mut mask = CHANNEL_KEYWORD;
        for keyword in get(event, "keywords").split(' ') {
            mask |= value_of(&keywords, keyword)?;
        }
        events.push(Event {
            id,
            version,
            channel: channels.first().context("there is no channel")?.value as u8,
            level: value_of(&levels, get(event, "level"))?.try_into()?,
            opcode: match get(event, "opcode") {
                "" => 0,
                name => value_of(&opcodes, name)?.try_into()?,
            },
            keywords: mask,
            message,
            template,
        });
    }
    let provider = Provider {
        guid: guid(get(provider, "guid")).context("the provider has no GUID")?,
        channels,
        templates,
        opcodes,
        levels,
        keywords,
        events,
    };
    Ok((provider, messages))
}

/// Names and contents of the templates.
fn templates<'a>(document: &'a Document<'_>) -> Result<(Vec<&'a str>, Vec<Template>)> {
    let (mut names, mut templates) = (Vec::new(), Vec::<Template>::new());
    for element in document.descendants() {
        match element.tag_name().name() {
            "template" => {
                names.push(get(element, "tid"));
                templates.push(Vec::new());
            }
            "data" => {
                let (input, output) = match (get(element, "inType"), get(element, "outType")) {
                    ("win:UInt32", "") => (8, 8),
                    ("win:UInt32", "win:NTSTATUS") => (8, 31),
                    ("win:UInt64", "") => (10, 10),
                    // Shown as hexadecimal digits.
                    ("win:Pointer", "") => (16, 19),
                    other => bail!("a field of type {other:?}"),
                };
                let template = templates.last_mut().context("a field of no template")?;
                template.push(Field {
                    name: get(element, "name").to_owned(),
                    input,
                    output,
                });
            }
            _ => {}
        }
    }
    Ok((names, templates))
}

fn number(text: &str) -> Result<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .with_context(|| format!("`{text}` is not a number"))
}

/// A GUID as it lies in memory: its first three numbers with the low byte first.
fn guid(text: &str) -> Option<[u8; 16]> {
    let digits = text.strip_prefix('{')?.strip_suffix('}')?.replace('-', "");
    let mut bytes = u128::from_str_radix(&digits, 16).ok()?.to_be_bytes();
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{CHANNEL_KEYWORD, described, guid};

    #[test]
    fn a_guid_lies_in_memory_with_its_numbers_reversed() {
        assert_eq!(
            guid("{00112233-4455-6677-8899-aabbccddeeff}"),
            Some([
                0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD,
                0xEE, 0xFF
            ])
        );
        assert_eq!(guid("00112233"), None);
    }

    /// The table in the driver's source, line by line: number, level, opcode and keywords.
    #[test]
    fn the_events_are_those_of_the_drivers_table() {
        let source = include_str!("../../../crates/xdp-driver/src/trace.rs");
        let constant = |name: &str| -> u64 {
            if let Ok(number) = name.parse() {
                return number;
            }
            let line = source
                .lines()
                .find(|line| line.starts_with(&format!("const {name}: ")))
                .expect("a constant");
            let (_, value) = line.split_once(" = ").expect("a value");
            super::number(value.trim_end_matches(';')).expect("a number")
        };
        let written: Vec<_> = source
            .lines()
            .filter(|line| line.starts_with("    ") && line.ends_with(';'))
            .filter_map(|line| {
                let (id, rest) = line.trim().split_once(' ')?;
                let id: u16 = id.parse().ok()?;
                let (_, rest) = rest.trim_end_matches(';').split_once(": ")?;
                let mut parts = rest.split(", ");
                let (level, opcode) = (constant(parts.next()?), constant(parts.next()?));
                let keywords = parts.next()?.split(" | ").map(constant).sum::<u64>();
                Some((id, 0, level as u8, opcode as u8, keywords | CHANNEL_KEYWORD))
            })
            .collect();
        let (provider, _) = described().expect("the manifest");
        let described: Vec<_> = provider
            .events
            .iter()
            .map(|event| {
                (
                    event.id,
                    event.version,
                    event.level,
                    event.opcode,
                    event.keywords,
                )
            })
            .collect();
        assert_eq!(written, described);
        assert_eq!(written.len(), 21);
    }
}
