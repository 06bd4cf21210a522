//! The table of texts, `RT_MESSAGETABLE`: blocks of numbers that follow each other, then the texts.

use super::Messages;

/// `RT_MESSAGETABLE`.
pub(crate) const RT_MESSAGETABLE: u16 = 11;
/// `MESSAGE_RESOURCE_UNICODE`.
const UNICODE: u16 = 1;

/// The contents of the resource. A block for each text: there are few.
pub(crate) fn table(messages: &Messages) -> Vec<u8> {
    let mut blocks = (messages.len() as u32).to_le_bytes().to_vec();
    let mut texts = Vec::new();
    let first = 4 + 12 * messages.len();
    for (number, text) in messages {
        let offset = (first + texts.len()) as u32;
        blocks.extend(
            [*number, *number, offset]
                .iter()
                .flat_map(|n| n.to_le_bytes()),
        );
        let mut bytes: Vec<u8> = format!("{text}\r\n\0")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        texts.extend((bytes.len() as u16 + 4).to_le_bytes());
        texts.extend(UNICODE.to_le_bytes());
        texts.extend(bytes);
    }
    blocks.extend(texts);
    blocks
}
