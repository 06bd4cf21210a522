//! Rules on the network cards of the lab, as a program would put them there.

use std::path::Path;

use nt_sim::{Handle, LabError, Process};
use xdp_abi::ClientPtr;
use xdp_abi::hook::HookId;
use xdp_abi::open::{DEVICE_NAME, OPEN_PACKET_NAME, ObjectType, OpenPacket};
use xdp_abi::program::{CreateProgramFlags, ProgramOpen};
use zerocopy::IntoBytes;

use crate::error::Failure;
use crate::filter::load::load_or_show;

/// `FILE_CREATE`.
const FILE_CREATE: u32 = 2;
/// Generic read and write, and synchronize.
const ACCESS: u32 = 0xC010_0000;

/// The rules of a file, ready for a driver.
pub(super) struct Rules(Vec<xdp_abi::Rule>);

impl Rules {
    /// Reads a rule file. What takes a running program of its own is refused.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let file = load_or_show(path)?;
        let mut rules = Vec::new();
        for (number, entry) in (1..).zip(file.entries()) {
            if let Some(target) = entry.target() {
                let what = format!("rule {number} redirects to {target}");
                return Err(
                    Failure::new(what).because("the lab has no sockets and maps of its own")
                );
            }
            if entry.ports().is_some() {
                let what = format!("rule {number} has a port set");
                return Err(
                    Failure::new(what).because("the lab takes rules without port sets only")
                );
            }
            rules.push(*entry.rule());
        }
        Ok(Self(rules))
    }

    /// Puts the rules on all queues of a network card, until the handle is closed.
    pub(super) fn attach<'p>(
        &self,
        process: &'p Process<'_>,
        if_index: u32,
    ) -> Result<Handle<'p>, LabError> {
        let memory = process.alloc(self.0.as_bytes().len().max(1))?;
        memory.write(0, self.0.as_bytes());
        let packet = OpenPacket {
            major_version: 1,
            minor_version: 0,
            api_version: 3,
            object_type: ObjectType::PROGRAM,
        };
        let open = ProgramOpen {
            if_index,
            hook_id: HookId::RX_INSPECT,
            queue_id: 0,
            flags: CreateProgramFlags::ALL_QUEUES,
            rule_count: self.0.len() as u32,
            padding: 0,
            rules: ClientPtr(memory.address() as u64),
        };
        let mut value = packet.as_bytes().to_vec();
        value.extend(open.as_bytes());
        let handle = process
            .open(DEVICE_NAME)
            .disposition(FILE_CREATE)
            .access(ACCESS)
            .ea(OPEN_PACKET_NAME, &value)
            .open();
        // Rules are captured once.
        process.free(memory)?;
        handle
    }
}
