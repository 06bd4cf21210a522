//! What events consist of, `WEVT_TEMPLATE`: one provider, and for each kind of thing a table with its names behind it.
//! Every offset counts from the start of the resource.

use super::{Field, Named, Provider};

/// Type of the resource, which has a name in place of a number.
pub(crate) const WEVT_TEMPLATE: &str = "WEVT_TEMPLATE";
/// Where the provider begins, after the header and the one entry of the list of providers.
pub(crate) const PROVIDER: u32 = 36;
/// Size of the list's entry for one event.
pub(crate) const EVENT_SIZE: u32 = 48;
/// No text.
const NONE: u32 = u32::MAX;
/// A template for `EventData`.
const EVENT_DATA: u32 = 1;

/// The tables of a provider in the order in which they are written; by number in the list of tables.
const TABLES: [u32; 6] = [CHANNELS, TEMPLATES, OPCODES, LEVELS, KEYWORDS, EVENTS];
pub(crate) const LEVELS: u32 = 0;
pub(crate) const OPCODES: u32 = 2;
pub(crate) const KEYWORDS: u32 = 3;
pub(crate) const EVENTS: u32 = 4;
pub(crate) const CHANNELS: u32 = 5;
pub(crate) const TEMPLATES: u32 = 7;

/// The contents of the resource.
pub(crate) fn resource(provider: &Provider) -> Vec<u8> {
    let mut out = Writer(Vec::new());
    out.tag(b"CRIM");
    out.words(&[0]);
    out.0.extend([3, 0, 1, 0]); // version 3.1
    out.words(&[1]);
    out.0.extend(provider.guid);
    out.words(&[PROVIDER]);
    out.tag(b"WEVT");
    out.words(&[0, NONE, TABLES.len() as u32]);
    let list = out.0.len();
    out.words(&[0; 2 * TABLES.len()]);

    let mut starts = Vec::new();
    starts.push(out.len());
    out.named(b"CHAN", &provider.channels, 16, |it, name| {
        words(&[it.value as u32, name, 0, it.message])
    });
    starts.push(out.len());
    let templates = out.templates(&provider.templates);
    starts.push(out.len());
    let opcodes = out.named(b"OPCO", &provider.opcodes, 12, |it, name| {
        words(&[(it.value as u32) << 16, it.message, name])
    });
    starts.push(out.len());
    let levels = out.named(b"LEVL", &provider.levels, 12, |it, name| {
        words(&[it.value as u32, it.message, name])
    });
    starts.push(out.len());
    let keywords = out.named(b"KEYW", &provider.keywords, 16, |it, name| {
        [&it.value.to_le_bytes()[..], &words(&[it.message, name])].concat()
    });
    // Events have numbers of eight bytes.
    out.pad(8);
    starts.push(out.len());
    let at = |list: &[Named], offsets: &[u32], value: u64| {
        let found = list.iter().position(|named| named.value == value);
        found.map_or(0, |index| offsets[index])
    };
    let start = out.begin(b"EVNT", provider.events.len());
    out.words(&[0]);
    let mut lists = out.len() + EVENT_SIZE * provider.events.len() as u32;
    let mut all_keywords = Vec::new();
    for event in &provider.events {
        let with_keyword: Vec<u32> = provider
            .keywords
            .iter()
            .zip(&keywords)
            .filter(|(keyword, _)| event.keywords & keyword.value != 0)
            .map(|(_, offset)| *offset)
            .collect();
        out.0.extend(event.id.to_le_bytes());
        out.0.extend([
            event.version,
            event.channel,
            event.level,
            event.opcode,
            0,
            0,
        ]);
        out.0.extend(event.keywords.to_le_bytes());
        out.words(&[
            event.message,
            templates[event.template],
            at(&provider.opcodes, &opcodes, event.opcode.into()),
            at(&provider.levels, &levels, event.level.into()),
            0, // no task
            with_keyword.len() as u32,
            lists,
            0,
        ]);
        lists += 4 * with_keyword.len() as u32;
        all_keywords.extend(with_keyword);
    }
    out.words(&all_keywords);
    out.end(start);

    for (index, (table, start)) in TABLES.iter().zip(starts).enumerate() {
        out.0[list + 8 * index..][..8].copy_from_slice(&words(&[*table, start]));
    }
    out.end(0);
    out.end(PROVIDER);
    out.0
}

/// An event's data as the event log writes them, in binary XML: `<EventData><Data Name="...">%1</Data>...</EventData>`.
pub(crate) fn xml(fields: &[Field]) -> Vec<u8> {
    const START: u8 = 0x01;
    const START_WITH_ATTRIBUTES: u8 = 0x41;
    const CLOSE_START: u8 = 0x02;
    const END: u8 = 0x04;
    let element = |token: u8, name: &str, rest: &[u8]| {
        let content = [&xml_name(name), rest, &[END]].concat();
        // No other field decides about this element.
        [&[token, 0xFF, 0xFF][..], &sized(&content)].concat()
    };
    let mut data = vec![CLOSE_START];
    for (index, field) in fields.iter().enumerate() {
        let text = utf16(&field.name);
        let count = (text.len() as u16 / 2).to_le_bytes();
        let attribute = [&[0x06][..], &xml_name("Name"), &[0x05, 0x01], &count, &text].concat();
        let mut rest = sized(&attribute);
        rest.extend([CLOSE_START, 0x0D]);
        rest.extend((index as u16).to_le_bytes());
        rest.push(field.input);
        data.extend(element(START_WITH_ATTRIBUTES, "Data", &rest));
    }
    let mut out = vec![0x0F, 1, 1, 0];
    out.extend(element(START, "EventData", &data));
    out.push(0);
    out
}

/// A name: its hash, its length, itself.
fn xml_name(name: &str) -> Vec<u8> {
    let hash = name.encode_utf16().fold(0_u32, |hash, c| {
        hash.wrapping_mul(65599).wrapping_add(c.into())
    });
    let mut out = (hash as u16).to_le_bytes().to_vec();
    out.extend((name.len() as u16).to_le_bytes());
    out.extend(utf16(name));
    out.extend([0; 2]);
    out
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes()[..], bytes].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A name of a template that no other contents have (FNV-1a): event logs keep templates by it.
fn identity(fields: &[Field]) -> [u8; 16] {
    let bytes = xml(fields).into_iter();
    bytes
        .chain(fields.iter().map(|field| field.output))
        .fold(
            0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128,
            |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013B),
        )
        .to_le_bytes()
}

struct Writer(Vec<u8>);

impl Writer {
    fn len(&self) -> u32 {
        self.0.len() as u32
    }

    fn tag(&mut self, tag: &[u8; 4]) {
        self.0.extend(tag);
    }

    fn words(&mut self, numbers: &[u32]) {
        self.0.extend(words(numbers));
    }

    fn pad(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// Begins what is headed by a tag, its size and a number.
    fn begin(&mut self, tag: &[u8; 4], count: usize) -> u32 {
        let start = self.len();
        self.tag(tag);
        self.words(&[0, count as u32]);
        start
    }

    /// Puts the size of what began there.
    fn end(&mut self, start: u32) {
        let size = self.len() - start;
        self.0[start as usize + 4..][..4].copy_from_slice(&size.to_le_bytes());
    }

    fn name(&mut self, name: &str) {
        self.0.extend(name_record(name));
    }

    /// A table and its names; where its entries are.
    fn named(
        &mut self,
        tag: &[u8; 4],
        list: &[Named],
        size: u32,
        entry: impl Fn(&Named, u32) -> Vec<u8>,
    ) -> Vec<u32> {
        let start = self.begin(tag, list.len());
        let first = self.len();
        let mut name = first + size * list.len() as u32;
        for named in list {
            self.0.extend(entry(named, name));
            name += name_record(&named.name).len() as u32;
        }
        for named in list {
            self.name(&named.name);
        }
        self.end(start);
        (0..list.len() as u32)
            .map(|index| first + size * index)
            .collect()
    }

    fn templates(&mut self, templates: &[Vec<Field>]) -> Vec<u32> {
        let table = self.begin(b"TTBL", templates.len());
        let offsets = templates
            .iter()
            .map(|fields| self.template(fields))
            .collect();
        self.end(table);
        offsets
    }

    fn template(&mut self, fields: &[Field]) -> u32 {
        let count = fields.len() as u32;
        let start = self.begin(b"TEMP", fields.len());
        let xml = xml(fields);
        let items = (start as usize + 40 + xml.len()).next_multiple_of(4) as u32;
        self.words(&[count, items, EVENT_DATA]);
        self.0.extend(identity(fields));
        self.0.extend(xml);
        self.pad(4);
        let mut name = items + 20 * count;
        for field in fields {
            self.words(&[0]);
            self.0.extend([field.input, field.output, 0, 0]);
            self.words(&[0, 0, name]);
            name += name_record(&field.name).len() as u32;
        }
        for field in fields {
            self.name(&field.name);
        }
        self.end(start);
        start
    }
}

/// A name with its size before it, in multiples of four bytes.
fn name_record(name: &str) -> Vec<u8> {
    let mut text = utf16(name);
    text.extend([0; 2]);
    text.resize(text.len().next_multiple_of(4), 0);
    [&(text.len() as u32 + 4).to_le_bytes()[..], &text].concat()
}
