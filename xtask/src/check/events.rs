//! Whether the driver file tells Windows of the events as the manifest does.

use anyhow::{Context, Result, bail, ensure};

use super::image::Image;
use crate::driver::events::template::{
    CHANNELS, EVENT_SIZE, EVENTS, KEYWORDS, LEVELS, OPCODES, PROVIDER, TEMPLATES, xml,
};
use crate::driver::events::{Event, Field, Messages, Named, Provider, described};

/// More of anything is damage.
const MOST: u32 = 4096;

/// What is wrong with the resources, in a line each.
pub(super) fn check(image: &Image<'_>) -> Vec<String> {
    let (wanted, texts) = match described() {
        Ok(wanted) => wanted,
        Err(error) => return vec![format!("{error:#}")],
    };
    let Some(resource) = image.events else {
        return vec![
            "there is no WEVT_TEMPLATE resource, so Windows cannot name the events".into(),
        ];
    };
    let Some(table) = image.messages else {
        return vec!["there is no message table, so Windows has no text for the events".into()];
    };
    let mut wrong = Vec::new();
    match read(resource) {
        Ok(found) => compare(&found, &wanted, &mut wrong),
        Err(error) => wrong.push(format!("the WEVT_TEMPLATE resource is damaged: {error:#}")),
    }
    match read_messages(table) {
        Ok(found) if found == texts => {}
        Ok(_) => wrong.push("the message table has other texts than the manifest".into()),
        Err(error) => wrong.push(format!("the message table is damaged: {error:#}")),
    }
    wrong
}

fn compare(found: &Provider, wanted: &Provider, wrong: &mut Vec<String>) {
    if found.guid != wanted.guid {
        wrong.push("the provider has another GUID than in the manifest".into());
    }
    for (what, found, wanted) in [
        ("channels", &found.channels, &wanted.channels),
        ("opcodes", &found.opcodes, &wanted.opcodes),
        ("levels", &found.levels, &wanted.levels),
        ("keywords", &found.keywords, &wanted.keywords),
    ] {
        if found != wanted {
            wrong.push(format!("the {what} are not those of the manifest"));
        }
    }
    for (index, (found, wanted)) in found.templates.iter().zip(&wanted.templates).enumerate() {
        if found != wanted {
            wrong.push(format!(
                "template {index} has other fields than in the manifest"
            ));
        }
    }
    for event in &wanted.events {
        let same = |other: &&Event| (other.id, other.version) == (event.id, event.version);
        match found.events.iter().find(same) {
            None => wrong.push(format!("event {} is missing", event.id)),
            Some(found) if found != event => wrong.push(format!(
                "event {} is not as in the manifest: {found:?}, not {event:?}",
                event.id
            )),
            Some(_) => {}
        }
    }
    if found.events.len() != wanted.events.len() || found.templates.len() != wanted.templates.len()
    {
        wrong.push("there are not as many events and templates as in the manifest".into());
    }
}

/// Reads at offsets from the start of a resource.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(self, offset: u32, size: u32) -> Result<&'a [u8]> {
        let end = offset.checked_add(size).context("an offset is too large")?;
        self.0
            .get(offset as usize..end as usize)
            .with_context(|| format!("it ends before {end:#x}"))
    }

    fn word(self, offset: u32) -> Result<u32> {
        let bytes = self.bytes(offset, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into()?))
    }

    fn half(self, offset: u32) -> Result<u16> {
        let bytes = self.bytes(offset, 2)?;
        Ok(u16::from_le_bytes(bytes.try_into()?))
    }

    fn wide(self, offset: u32) -> Result<u64> {
        Ok(u64::from(self.word(offset)?) | u64::from(self.word(offset + 4)?) << 32)
    }

    /// Expects a tag and a size there that stays inside; how many entries it states.
    fn table(self, offset: u32, tag: &[u8; 4]) -> Result<u32> {
        ensure!(
            self.bytes(offset, 4)? == tag,
            "there is no {} at {offset:#x}",
            tag.escape_ascii()
        );
        self.bytes(offset, self.word(offset + 4)?)?;
        let count = self.word(offset + 8)?;
        ensure!(count <= MOST, "{count} entries of {}", tag.escape_ascii());
        Ok(count)
    }

    /// The text between two offsets without what ends it.
    fn text(self, offset: u32, size: u32) -> Result<String> {
        let units: Vec<u16> = self
            .bytes(offset, size)?
            .as_chunks::<2>()
            .0
            .iter()
            .map(|unit| u16::from_le_bytes(*unit))
            .collect();
        let text = String::from_utf16(&units)?;
        let (text, _) = text.split_once('\0').context("a text has no end")?;
        Ok(text.to_owned())
    }

    fn name(self, offset: u32) -> Result<String> {
        let size = self.word(offset)?;
        self.text(
            offset + 4,
            size.checked_sub(4).context("a name has no size")?,
        )
    }

    fn named(
        self,
        table: u32,
        tag: &[u8; 4],
        size: u32,
        entry: impl Fn(u32) -> Result<(u64, u32, u32)>,
    ) -> Result<Vec<(u32, Named)>> {
        (0..self.table(table, tag)?)
            .map(|index| {
                let offset = table + 12 + size * index;
                self.bytes(offset, size)?;
                let (value, message, name) = entry(offset)?;
                let name = self.name(name)?;
                Ok((
                    offset,
                    Named {
                        value,
                        name,
                        message,
                    },
                ))
            })
            .collect()
    }

    fn template(self, offset: u32) -> Result<Vec<Field>> {
        let count = self.table(offset, b"TEMP")?;
        let items = self.word(offset + 16)?;
        let mut fields = Vec::new();
        for index in 0..count {
            let item = items.checked_add(20 * index).context("too large")?;
            let bytes = self.bytes(item, 20)?;
            fields.push(Field {
                name: self.name(self.word(item + 16)?)?,
                input: bytes[4],
                output: bytes[5],
            });
        }
        let expected = xml(&fields);
        ensure!(
            self.bytes(offset + 40, expected.len() as u32)? == expected,
            "the XML of the template at {offset:#x} has other fields than its list"
        );
        Ok(fields)
    }
}

fn read(resource: &[u8]) -> Result<Provider> {
    let it = Reader(resource);
    ensure!(it.bytes(0, 4)? == b"CRIM", "it does not begin with CRIM");
    ensure!(
        it.word(4)? as usize == resource.len(),
        "it has another size"
    );
    ensure!(it.word(12)? == 1, "it describes {} providers", it.word(12)?);
    ensure!(it.word(32)? == PROVIDER, "the provider is not where it is");
    ensure!(it.bytes(PROVIDER, 4)? == b"WEVT", "there is no provider");
    let tables = it.word(PROVIDER + 12)?;
    let table = |kind: u32| -> Result<u32> {
        for index in 0..tables.min(MOST) {
            let entry = PROVIDER + 16 + 8 * index;
            if it.word(entry)? == kind {
                return it.word(entry + 4);
            }
        }
        bail!("there is no table {kind}")
    };
    let wide = |offset: u32| Ok::<_, anyhow::Error>(u64::from(it.word(offset)?));
    let channels = it.named(table(CHANNELS)?, b"CHAN", 16, |at| {
        Ok((wide(at)?, it.word(at + 12)?, it.word(at + 4)?))
    })?;
    let opcodes = it.named(table(OPCODES)?, b"OPCO", 12, |at| {
        Ok((wide(at)? >> 16, it.word(at + 4)?, it.word(at + 8)?))
    })?;
    let levels = it.named(table(LEVELS)?, b"LEVL", 12, |at| {
        Ok((wide(at)?, it.word(at + 4)?, it.word(at + 8)?))
    })?;
    let keywords = it.named(table(KEYWORDS)?, b"KEYW", 16, |at| {
        Ok((it.wide(at)?, it.word(at + 8)?, it.word(at + 12)?))
    })?;

    let list = table(TEMPLATES)?;
    let (mut templates, mut offsets) = (Vec::new(), Vec::new());
    let count = it.table(list, b"TTBL")?;
    let mut at = list + 12;
    for _ in 0..count {
        templates.push(it.template(at)?);
        offsets.push(at);
        at = at.checked_add(it.word(at + 4)?).context("too large")?;
    }

    let list = table(EVENTS)?;
    let mut events = Vec::new();
    for index in 0..it.table(list, b"EVNT")? {
        let at = list + 16 + EVENT_SIZE * index;
        let bytes = it.bytes(at, EVENT_SIZE)?;
        let id = it.half(at)?;
        let event = Event {
            id,
            version: bytes[2],
            channel: bytes[3],
            level: bytes[4],
            opcode: bytes[5],
            keywords: it.wide(at + 8)?,
            message: it.word(at + 16)?,
            template: {
                let template = it.word(at + 20)?;
                let found = offsets.iter().position(|offset| *offset == template);
                found.with_context(|| format!("event {id} has no template"))?
            },
        };
        let refers = |list: &[(u32, Named)], offset: u32| -> u64 {
            let found = list.iter().find(|(at, _)| *at == offset);
            found.map_or(0, |(_, named)| named.value)
        };
        ensure!(
            refers(&opcodes, it.word(at + 24)?) == u64::from(event.opcode)
                && refers(&levels, it.word(at + 28)?) == u64::from(event.level),
            "event {id} refers to another level or opcode than it has"
        );
        let first = it.word(at + 40)?;
        let mut mask = 0;
        for index in 0..it.word(at + 36)?.min(64) {
            let keyword = first.checked_add(4 * index).context("too large")?;
            mask |= refers(&keywords, it.word(keyword)?);
        }
        ensure!(
            mask == event.keywords,
            "event {id} refers to other keywords than it has"
        );
        events.push(event);
    }
    let plain = |list: Vec<(u32, Named)>| list.into_iter().map(|(_, named)| named).collect();
    Ok(Provider {
        guid: it.bytes(16, 16)?.try_into()?,
        channels: plain(channels),
        templates,
        opcodes: plain(opcodes),
        levels: plain(levels),
        keywords: plain(keywords),
        events,
    })
}

fn read_messages(table: &[u8]) -> Result<Messages> {
    let it = Reader(table);
    let mut messages = Messages::new();
    let count = it.word(0)?;
    ensure!(count <= MOST, "{count} blocks");
    for block in 0..count {
        let block = 4 + 12 * block;
        let (low, high) = (it.word(block)?, it.word(block + 4)?);
        ensure!(high >= low && high - low < MOST, "a block has no end");
        let mut at = it.word(block + 8)?;
        for number in low..=high {
            let size = u32::from(it.half(at)?);
            let length = size.checked_sub(4).context("a text has no size")?;
            ensure!(it.half(at + 2)? == 1, "text {number:#x} is not Unicode");
            let text = it.text(at + 4, length)?;
            let text = text.strip_suffix("\r\n").context("a line has no end")?;
            messages.insert(number, text.to_owned());
            at += size;
        }
    }
    Ok(messages)
}
