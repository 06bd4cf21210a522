//! Requests that nobody sane makes.

use scenarios::{Stage, status};
use xdp_abi::ioctl::interface as ioctl;

/// A sequence of numbers that looks random.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// A request that is nearly right: a few of its bytes are not, and perhaps its end is missing.
fn spoil(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..numbers.below(4) {
        let at = numbers.below(bytes.len().min(44));
        bytes[at] = match numbers.below(3) {
            0 => 0xff,
            1 => 0,
            _ => numbers.next() as u8,
        };
    }
    if numbers.below(4) == 0 {
        bytes.truncate(numbers.below(bytes.len() + 1));
    }
    bytes
}

#[test]
fn s08_4_s08_5_requests_that_are_nearly_right_do_no_harm() {
    Stage::new().cpus(4).queues(4).play(|s| {
        s.nic.answer_oid(0xfc01_0215, |input| {
            let mut output = input.to_vec();
            for element in output.chunks_exact_mut(144) {
                element[140..].fill(0);
            }
            Ok(output)
        });
        let mut rss = vec![1, 0, 0, 0, 24, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0];
        rss.extend([24, 0, 40, 0, 64, 0, 16, 0]);
        rss.extend([3; 40]);
        rss.extend([0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0]);
        let mut quic = [0_u8; 152];
        (quic[0], quic[4], quic[16], quic[32]) = (1, 152, 9, 4);
        let quic = quic.repeat(3);
        let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
        let mut outcomes = [0; 2];
        for _ in 0..600 {
            let interface = s.app.interface(s.nic.if_index()).unwrap();
            for _ in 0..4 {
                let (code, good) = match numbers.below(2) {
                    0 => (ioctl::RSS_SET, &rss),
                    _ => (ioctl::QEO_SET, &quic),
                };
                let input = spoil(good, &mut numbers);
                let room = match code {
                    ioctl::RSS_SET => 0,
                    _ => input.len(),
                };
                let got = interface.request(code, &input, room).status;
                outcomes[usize::from(got == status::SUCCESS)] += 1;
                let known = [
                    status::SUCCESS,
                    status::INVALID_PARAMETER,
                    status::NOT_SUPPORTED,
                    status::DUPLICATE_OBJECTID,
                    status::NOT_FOUND,
                    status::INVALID_DEVICE_STATE,
                ];
                assert!(known.contains(&got), "{got:?} for {input:?}");
            }
            interface.close();
            assert_eq!(s.nic.queue_processors(), [0, 1, 2, 3]);
        }
        assert!(outcomes.iter().all(|count| *count > 100), "{outcomes:?}");
    });
}
