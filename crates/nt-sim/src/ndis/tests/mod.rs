//! NDIS, exercised by small filter drivers of linked functions.

mod configuration;
mod datapath;
pub(crate) mod driver;
mod lifecycle;
mod miniport;
mod objects;
mod own_traffic;
mod polling;
mod requests;
mod rules;
mod services;

use crate::{LabError, Rule};

/// A minimal UDP frame between two hosts, `payload` bytes of data.
pub(crate) fn udp(port: u16, payload: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    let len = (28 + payload) as u16;
    frame.extend_from_slice(&[0x45, 0]);
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend_from_slice(&port.to_be_bytes());
    frame.extend_from_slice(&[0, 9]);
    frame.extend_from_slice(&(len - 20).to_be_bytes());
    frame.extend_from_slice(&[0, 0]);
    frame.extend((0..payload).map(|i| i as u8));
    frame
}

/// The rule that stopped the kernel.
pub(crate) fn rule<T: std::fmt::Debug>(result: Result<T, LabError>) -> Rule {
    match result {
        Err(LabError::BugCheck(report)) => report.rule,
        other => panic!("no bugcheck: {other:?}"),
    }
}
