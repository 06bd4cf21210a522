//! Frames as the ends of a NIC see them.

use std::ops::Deref;

/// A frame with what travels beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The bytes, from the destination address on, without frame check sequence.
    pub data: Vec<u8>,
    /// What travels beside the bytes (out of band).
    pub info: FrameInfo,
}

/// Out-of-band data of a frame. Zero means absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameInfo {
    /// `TcpIpChecksumNetBufferListInfo`: what the NIC found (towards the stack) or shall do (towards
    /// the wire).
    pub checksum: u32,
    /// `TcpLargeSendNetBufferListInfo`: segmentation that the NIC shall do.
    pub large_send: u32,
    /// `Ieee8021QNetBufferListInfo`: the VLAN tag that was taken out of the frame.
    pub vlan: u32,
    /// `TcpRecvSegCoalesceInfo`: how many segments were coalesced into the frame.
    pub coalesced: u32,
    /// `NetBufferListHashValue`.
    pub hash: u32,
    /// `NetBufferListHashInfo`: hash function and type.
    pub hash_info: u32,
    /// The time stamp.
    pub timestamp: u64,
    /// `NBL.NblFlags`.
    pub flags: u32,
    /// In how many MDLs the bytes came. Not used for sending.
    pub mdls: u32,
    /// The virtual processor that delivered it. Not used for sending.
    pub processor: u32,
}

impl Frame {
    /// A frame of these bytes, nothing beside them.
    pub fn new(data: impl Into<Vec<u8>>) -> Frame {
        Frame {
            data: data.into(),
            info: FrameInfo::default(),
        }
    }

    /// The same bytes with other out-of-band data.
    #[must_use]
    pub fn with(mut self, info: FrameInfo) -> Frame {
        self.info = info;
        self
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.data
    }
}

impl From<Vec<u8>> for Frame {
    fn from(data: Vec<u8>) -> Frame {
        Frame::new(data)
    }
}

impl From<&[u8]> for Frame {
    fn from(data: &[u8]) -> Frame {
        Frame::new(data)
    }
}

impl<const N: usize> From<[u8; N]> for Frame {
    fn from(data: [u8; N]) -> Frame {
        Frame::new(data)
    }
}

impl From<&Vec<u8>> for Frame {
    fn from(data: &Vec<u8>) -> Frame {
        Frame::new(data.as_slice())
    }
}
