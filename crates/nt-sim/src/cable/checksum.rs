//! Finishes the checksum that a Linux sender has left to its network card.
//!
//! Such a frame has, in the checksum field of TCP or UDP, the sum over the pseudo header, not complemented. A card
//! would add everything from the transport header on, so that is what is done here.

const ETHERNET_BYTES: usize = 14;
const VLAN_BYTES: usize = 4;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Finishes the frame's checksum in place; a frame that is not TCP or UDP over IPv4 or IPv6 is left alone.
pub(super) fn finish(frame: &mut [u8]) {
    let Some((start, length, protocol)) = transport(frame) else {
        return;
    };
    let field = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return,
    };
    let Some(segment) = frame.get_mut(start..start + length) else {
        return;
    };
    if segment.len() < field + 2 {
        return;
    }
    // The unfinished sum in the field is part of what is summed.
    let sum = !ones_complement(segment);
    // UDP has no zero checksum: that would say there is none.
    let sum = if protocol == UDP && sum == 0 {
        0xFFFF
    } else {
        sum
    };
    segment[field..field + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Where the transport header begins, how long header and data are, and which protocol it is.
fn transport(frame: &[u8]) -> Option<(usize, usize, u8)> {
    let mut ip = ETHERNET_BYTES;
    let mut kind = be16(frame, ip - 2)?;
    while matches!(kind, 0x8100 | 0x88A8) {
        ip += VLAN_BYTES;
        kind = be16(frame, ip - 2)?;
    }
    match kind {
        0x0800 => {
            let header = usize::from(frame.get(ip)? & 0x0F) * 4;
            let total = usize::from(be16(frame, ip + 2)?);
            Some((ip + header, total.checked_sub(header)?, *frame.get(ip + 9)?))
        }
        0x86DD => Some((
            ip + 40,
            usize::from(be16(frame, ip + 4)?),
            *frame.get(ip + 6)?,
        )),
        _ => None,
    }
}

fn be16(frame: &[u8], at: usize) -> Option<u16> {
    frame
        .get(at..)?
        .first_chunk()
        .map(|bytes| u16::from_be_bytes(*bytes))
}

fn ones_complement(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| {
            u32::from(u16::from_be_bytes([
                pair[0],
                pair.get(1).copied().unwrap_or(0),
            ]))
        })
        .sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A UDP datagram over IPv4 from 192.0.2.1:1000 to 192.0.2.2:2000 with an odd payload, its checksum unfinished.
    fn udp_frame() -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([
            0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2,
        ]);
        // Pseudo header: both addresses, protocol 17, length 11.
        let pseudo = ones_complement(&[192, 0, 2, 1, 192, 0, 2, 2, 0, 17, 0, 11]);
        frame.extend([0x03, 0xE8, 0x07, 0xD0, 0, 11]);
        frame.extend(pseudo.to_be_bytes());
        frame.extend([1, 2, 3]);
        // Ethernet padding, which is not part of the datagram.
        frame.extend([0xEE; 15]);
        frame
    }

    #[test]
    fn a_finished_datagram_sums_to_all_ones() {
        let mut frame = udp_frame();
        finish(&mut frame);
        let whole = [&[192, 0, 2, 1, 192, 0, 2, 2, 0, 17, 0, 11], &frame[34..45]].concat();
        assert_eq!(ones_complement(&whole), 0xFFFF);
    }

    #[test]
    fn vlan_tags_are_looked_past() {
        let mut plain = udp_frame();
        let mut tagged = udp_frame();
        tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
        finish(&mut plain);
        finish(&mut tagged);
        assert_eq!(tagged[44..46], plain[40..42]);
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_left_alone() {
        for length in 0..udp_frame().len() {
            let mut frame = udp_frame()[..length].to_vec();
            let before = frame.clone();
            finish(&mut frame);
            assert!(
                length >= 45 || frame == before,
                "{length} bytes are not the whole datagram"
            );
        }
        let mut arp = udp_frame();
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        let before = arp.clone();
        finish(&mut arp);
        assert_eq!(arp, before);
    }
}
