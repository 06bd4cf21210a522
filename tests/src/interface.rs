//! An interface: its receive-side scaling.

use nt_sim::{Handle, Output};
use xdp_abi::{
    ObjectHeader,
    ioctl::interface as ioctl,
    offload::{RssCapabilities, RssConfiguration, RssFlags, RssHashTypes},
};
use zerocopy::{FromBytes, IntoBytes};

use crate::status::{Answer, answer};

/// An interface that a client opened.
pub struct Interface<'c> {
    handle: Handle<'c>,
}

/// Settings of receive-side scaling with their tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rss {
    /// What is set.
    pub flags: RssFlags,
    /// Fields that are hashed.
    pub hash_type: RssHashTypes,
    /// The secret key.
    pub key: Vec<u8>,
    /// Processor numbers, all of group 0.
    pub table: Vec<u8>,
}

impl Rss {
    /// The bytes of a request: configuration, key, table.
    pub fn to_bytes(&self) -> Vec<u8> {
        let base = size_of::<RssConfiguration>();
        let configuration = RssConfiguration {
            header: ObjectHeader {
                revision: 1,
                size: base as u32,
            },
            flags: self.flags,
            hash_type: self.hash_type,
            hash_secret_key_offset: base as u16,
            hash_secret_key_size: self.key.len() as u16,
            indirection_table_offset: (base + self.key.len()) as u16,
            indirection_table_size: (self.table.len() * 4) as u16,
        };
        let mut bytes = configuration.as_bytes().to_vec();
        bytes.extend(&self.key);
        bytes.extend(self.table.iter().flat_map(|&number| [0, 0, number, 0]));
        bytes
    }

    /// Reads what the driver returned.
    ///
    /// # Panics
    /// When its offsets lead out of it.
    pub fn from_bytes(bytes: &[u8]) -> Rss {
        let (configuration, _) =
            RssConfiguration::read_from_prefix(bytes).expect("a whole configuration");
        let part = |offset: u16, size: u16| {
            let start = usize::from(offset);
            &bytes[start..start + usize::from(size)]
        };
        let key = part(
            configuration.hash_secret_key_offset,
            configuration.hash_secret_key_size,
        );
        let table = part(
            configuration.indirection_table_offset,
            configuration.indirection_table_size,
        );
        Rss {
            flags: configuration.flags,
            hash_type: configuration.hash_type,
            key: key.to_vec(),
            table: table.chunks(4).map(|entry| entry[2]).collect(),
        }
    }
}

impl<'c> Interface<'c> {
    pub(crate) fn new(handle: Handle<'c>) -> Self {
        Interface { handle }
    }

    /// Its handle.
    pub fn handle(&self) -> &Handle<'c> {
        &self.handle
    }

    /// Closes the handle.
    ///
    /// # Panics
    /// When the kernel stopped.
    pub fn close(self) {
        self.handle.close().expect("the handle closes");
    }

    /// Sends a request; whatever the status, it is an answer.
    pub fn request(&self, code: u32, input: &[u8], output_size: usize) -> Output {
        match answer(self.handle.control_any(code, input, output_size)) {
            Ok(output) => output,
            Err(status) => Output {
                status,
                information: 0,
                bytes: Vec::new(),
            },
        }
    }

    /// What its receive-side scaling can do.
    ///
    /// # Errors
    /// What the driver answers.
    ///
    /// # Panics
    /// When the driver returns another size.
    pub fn rss_capabilities(&self) -> Answer<RssCapabilities> {
        let size = size_of::<RssCapabilities>();
        let output = self.request(ioctl::RSS_GET_CAPABILITIES, &[], size);
        if output.status.0 != 0 {
            return Err(output.status);
        }
        assert_eq!(output.information, size);
        Ok(RssCapabilities::read_from_bytes(&output.bytes).expect("as many bytes as asked for"))
    }

    /// The settings in force.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn rss(&self) -> Answer<Rss> {
        let output = self.request(ioctl::RSS_GET, &[], 4096);
        if output.status.0 != 0 {
            return Err(output.status);
        }
        Ok(Rss::from_bytes(&output.bytes[..output.information]))
    }

    /// Changes the settings.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set_rss(&self, rss: &Rss) -> Answer<()> {
        self.set_rss_bytes(&rss.to_bytes())
    }

    /// Changes the settings with any bytes.
    ///
    /// # Errors
    /// What the driver answers.
    pub fn set_rss_bytes(&self, bytes: &[u8]) -> Answer<()> {
        let status = self.request(ioctl::RSS_SET, bytes, 0).status;
        if status.is_success() {
            Ok(())
        } else {
            Err(status)
        }
    }
}
