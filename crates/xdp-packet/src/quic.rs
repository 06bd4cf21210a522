//! The version-independent part of QUIC (RFC 8999), as far as rules look at it.

/// Longest connection ID that rules compare; a short header does not state its length, so this many bytes are taken.
pub(crate) const SHORT_CID_MAX: usize = 20;

/// A QUIC header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quic<'a> {
    /// A long header: connection set-up.
    Long {
        /// The version field; rules do not look at it.
        version: u32,
        /// The destination connection ID.
        destination: &'a [u8],
        /// The source connection ID: the one that rules compare.
        source: &'a [u8],
    },
    /// A short header: an established connection.
    Short {
        /// What lies where the destination connection ID is: the next 20 bytes, or fewer when the packet ends.
        destination: &'a [u8],
    },
}

/// The payload ends before the QUIC header does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicIncomplete;

impl<'a> Quic<'a> {
    /// Reads the header at the start of a UDP or TCP payload.
    ///
    /// # Errors
    ///
    /// The payload is empty, or is a long header whose announced connection IDs are not all there.
    #[inline]
    pub fn parse(payload: &'a [u8]) -> Result<Self, QuicIncomplete> {
        let (&first, rest) = payload.split_first().ok_or(QuicIncomplete)?;
        if first & 0x80 == 0 {
            let destination = rest.get(..SHORT_CID_MAX).unwrap_or(rest);
            return Ok(Self::Short { destination });
        }
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(QuicIncomplete)?;
        let (destination, rest) = counted(rest).ok_or(QuicIncomplete)?;
        let (source, _) = counted(rest).ok_or(QuicIncomplete)?;
        Ok(Self::Long {
            version: u32::from_be_bytes(*version),
            destination,
            source,
        })
    }

    /// Returns the connection ID that rules compare: the source of a long header, the destination of a short one.
    #[inline]
    #[must_use]
    pub const fn rule_cid(&self) -> &'a [u8] {
        match self {
            Self::Long { source, .. } => source,
            Self::Short { destination } => destination,
        }
    }
}

/// Splits off a connection ID that states its length in its first byte.
#[inline]
fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&count, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(count))
}
