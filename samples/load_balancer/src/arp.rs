//! The service's address has no host behind it: somebody must say where it is.

use crate::balance::Service;

/// Turns an ARP request for the service's address into its answer.
pub(crate) fn answer(frame: &mut [u8], service: &Service) -> bool {
    let address = service.address.octets();
    let asks = frame.get(12..22) == Some(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1])
        && frame.get(38..42) == Some(&address);
    if asks {
        frame[21] = 2;
        frame.copy_within(22..32, 32);
        frame[22..28].copy_from_slice(&service.mac);
        frame[28..32].copy_from_slice(&address);
        frame.copy_within(6..12, 0);
        frame[6..12].copy_from_slice(&service.mac);
    }
    asks
}
