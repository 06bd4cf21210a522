//! The receive ring of a packet socket: memory that the kernel fills with blocks of frames (`TPACKET_V3`).

use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::MAX_FRAME_BYTES;
use super::checksum;
use super::socket::set_packet_option;

const BLOCK_BYTES: usize = 256 * 1024;
const BLOCKS: usize = 32;
/// The kernel hands over a block that is not full after this many milliseconds.
const RETIRE_MILLISECONDS: u32 = 1;

const STATUS: usize =
    offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, block_status);
const FRAMES: usize =
    offset_of!(libc::tpacket_block_desc, hdr) + offset_of!(libc::tpacket_hdr_v1, num_pkts);
const FIRST: usize = offset_of!(libc::tpacket_block_desc, hdr)
    + offset_of!(libc::tpacket_hdr_v1, offset_to_first_pkt);

/// The mapped ring and the place of the next block to read.
pub(super) struct Ring {
    memory: NonNull<u8>,
    next: usize,
}

// SAFETY: the mapping belongs to this value alone and is not tied to a thread.
unsafe impl Send for Ring {}

impl Ring {
    /// Gives a packet socket its ring. The socket must live as long as the ring is read; the mapping itself outlives it.
    pub(super) fn new(socket: BorrowedFd<'_>) -> io::Result<Self> {
        set_packet_option(
            socket,
            libc::PACKET_VERSION,
            &(libc::tpacket_versions::TPACKET_V3 as libc::c_int),
        )?;
        let request = libc::tpacket_req3 {
            tp_block_size: BLOCK_BYTES as u32,
            tp_block_nr: BLOCKS as u32,
            tp_frame_size: BLOCK_BYTES as u32,
            tp_frame_nr: BLOCKS as u32,
            tp_retire_blk_tov: RETIRE_MILLISECONDS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        set_packet_option(socket, libc::PACKET_RX_RING, &request)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCKS * BLOCK_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(memory.cast::<u8>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => {
                Ok(Self { memory, next: 0 })
            }
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Appends the frames of every block that the kernel has handed over, and gives the blocks back.
    pub(super) fn take(&mut self, frames: &mut Vec<Vec<u8>>) {
        // Once round at most, so that a flood of frames does not keep the caller here.
        for _ in 0..BLOCKS {
            let block = self.next * BLOCK_BYTES;
            if self.status(block).load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
                return;
            }
            self.take_block(block, frames);
            self.status(block)
                .store(libc::TP_STATUS_KERNEL, Ordering::Release);
            self.next = (self.next + 1) % BLOCKS;
        }
    }

    fn take_block(&self, block: usize, frames: &mut Vec<Vec<u8>>) {
        let count = self.read_u32(block + FRAMES);
        let mut header = block + self.read_u32(block + FIRST) as usize;
        for _ in 0..count {
            if header + size_of::<libc::tpacket3_hdr>() > block + BLOCK_BYTES {
                return;
            }
            let field = |offset: usize| self.read_u32(header + offset);
            let status = field(offset_of!(libc::tpacket3_hdr, tp_status));
            // tp_mac is the lower half of the word that it shares with tp_net.
            let start = header + (field(offset_of!(libc::tpacket3_hdr, tp_mac)) & 0xFFFF) as usize;
            let length =
                (field(offset_of!(libc::tpacket3_hdr, tp_snaplen)) as usize).min(MAX_FRAME_BYTES);
            if start + length <= block + BLOCK_BYTES {
                let mut frame = self.copy(start, length);
                if status & libc::TP_STATUS_CSUMNOTREADY != 0 {
                    checksum::finish(&mut frame);
                }
                if status & libc::TP_STATUS_VLAN_VALID != 0 {
                    let variant = offset_of!(libc::tpacket3_hdr, hv1);
                    let tag =
                        field(variant + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci)) as u16;
                    let kind = match status & libc::TP_STATUS_VLAN_TPID_VALID {
                        0 => libc::ETH_P_8021Q as u16,
                        _ => field(variant + offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid))
                            as u16,
                    };
                    put_vlan_tag_back(&mut frame, kind, tag);
                }
                frames.push(frame);
            }
            let to_next = field(offset_of!(libc::tpacket3_hdr, tp_next_offset)) as usize;
            if to_next == 0 {
                return;
            }
            header += to_next;
        }
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        // SAFETY: the offset is within the mapping, as every block has a header.
        let status = unsafe { self.memory.add(block + STATUS) };
        // SAFETY: aligned, as blocks are page-aligned and the field is by four; mapped as long as `self`; the kernel writes
        // it concurrently, which an atomic permits.
        unsafe { AtomicU32::from_ptr(status.as_ptr().cast()) }
    }

    /// Reads a word of a block that the kernel has handed over.
    fn read_u32(&self, offset: usize) -> u32 {
        assert!(
            offset <= BLOCKS * BLOCK_BYTES - 4,
            "the word lies in the ring"
        );
        // SAFETY: the offset is within the mapping, as just checked.
        let word = unsafe { self.memory.add(offset) };
        // SAFETY: four mapped bytes, which the kernel leaves alone until the block is given back.
        unsafe { word.cast::<u32>().read_unaligned() }
    }

    /// Copies bytes of a block that the kernel has handed over.
    fn copy(&self, start: usize, length: usize) -> Vec<u8> {
        assert!(
            start + length <= BLOCKS * BLOCK_BYTES,
            "the frame lies in the ring"
        );
        // SAFETY: the offset is within the mapping, as just checked.
        let bytes = unsafe { self.memory.add(start) };
        // SAFETY: `length` mapped bytes, as just checked, which the kernel leaves alone until the block is given back.
        unsafe { std::slice::from_raw_parts(bytes.as_ptr(), length) }.to_vec()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length and no reference into it is left.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), BLOCKS * BLOCK_BYTES) };
    }
}

/// The kernel takes the outer VLAN tag out of a frame; on the wire it was there.
fn put_vlan_tag_back(frame: &mut Vec<u8>, kind: u16, tag: u16) {
    const ADDRESSES: usize = 12;
    if frame.len() >= ADDRESSES {
        let bytes = [kind.to_be_bytes(), tag.to_be_bytes()].concat();
        frame.splice(ADDRESSES..ADDRESSES, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_tag_goes_behind_the_addresses() {
        let mut frame: Vec<u8> = (0..14).collect();
        put_vlan_tag_back(&mut frame, 0x8100, 0x0064);
        assert_eq!(
            frame,
            [
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x81, 0, 0, 0x64, 12, 13
            ]
        );
        let mut runt = vec![1; 5];
        put_vlan_tag_back(&mut runt, 0x8100, 1);
        assert_eq!(runt, [1; 5]);
    }
}
