//! Captures: the data is the file.

use xdp_cli::capture::Capture;

/// Checks that no file makes the reader panic, read for ever, or invent bytes.
pub(crate) fn check(data: &[u8]) {
    let Ok(capture) = Capture::open(data) else {
        return;
    };
    let mut ended = false;
    let mut bytes = 0;
    for next in capture {
        assert!(!ended, "nothing comes behind the end");
        match next {
            Ok(packet) => {
                assert!(packet.bytes.len() <= packet.wire_size as usize);
                bytes += packet.bytes.len();
            }
            Err(problem) => ended = problem.is_end(),
        }
    }
    assert!(bytes <= data.len());
}
