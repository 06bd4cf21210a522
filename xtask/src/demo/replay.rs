//! A recorded conversation goes in at the wire; what must come out at the stack is known frame for frame.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use pcap_file::pcap::PcapReader;
use xdp_packet::{Depth, Packet};

use super::rules::FIREWALL;
use super::{Args, capture, lab, say, step};
use crate::driver::root;

/// A recorded conversation: ARP, ICMP, DNS-like UDP, HTTP over TCP, IPv6 neighbour discovery.
pub(super) const CAPTURE: &str = "samples/captures/two-hosts.pcap";

/// Replays the capture from the wire end to the stack end: first everything passes, then a port is dropped.
pub(super) fn run(args: &Args) -> Result<()> {
    let sent = frames(&root().join(CAPTURE))?;
    step("A recorded conversation goes through the driver and into a file");
    let (count, file) = (sent.len(), "passed.pcap");
    replay(args, lab::PASS_PATH, file, &sent)?;
    say(&format!(
        "{count} frames went in at the wire and came out at the stack, byte for byte"
    ));
    capture::read_by_tshark(&capture::folder()?.join(file), count)?;

    step("The same with rules that close TCP port 8080");
    let is_closed = |frame: &Vec<u8>| {
        let packet = Packet::parse_slice(frame, Depth::Transport);
        packet
            .tcp()
            .is_some_and(|tcp| tcp.destination_port() == 8080)
    };
    let (closed, rest): (Vec<_>, Vec<_>) = sent.into_iter().partition(is_closed);
    ensure!(!closed.is_empty(), "the capture has nothing for port 8080");
    replay(args, FIREWALL, "filtered.pcap", &rest)?;
    say(&format!(
        "{} frames were dropped, and the other {} came out, byte for byte",
        closed.len(),
        rest.len()
    ));
    Ok(())
}

/// Has the lab replay the capture, and compares what comes out.
fn replay(args: &Args, rules: &str, file: &str, expected: &[Vec<u8>]) -> Result<()> {
    let output = capture::folder()?.join(file);
    let mut command = Command::new(&args.xdp);
    lab::add_arguments(&mut command, args, rules);
    command
        .arg("--wire")
        .arg(prefixed("read:", &root().join(CAPTURE)))
        .arg("--stack")
        .arg(prefixed("write:", &output));
    let text = super::traffic::output(&mut command)?;
    // What comes before is the driver's name and paths that are said here.
    let (_, story) = text.split_once("running").unwrap_or_default();
    for line in story.lines().skip(1) {
        println!("  | {line}");
    }
    compare(expected, &frames(&output)?)
}

fn prefixed(prefix: &str, file: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(prefix);
    text.push(file);
    text
}

fn frames(file: &Path) -> Result<Vec<Vec<u8>>> {
    let mut reader = PcapReader::new(
        File::open(file).with_context(|| format!("cannot open {}", file.display()))?,
    )
    .with_context(|| format!("{} is not a pcap file", file.display()))?;
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        frames.push(
            packet
                .with_context(|| format!("{} is damaged", file.display()))?
                .data
                .into_owned(),
        );
    }
    Ok(frames)
}

fn compare(sent: &[Vec<u8>], received: &[Vec<u8>]) -> Result<()> {
    ensure!(!sent.is_empty(), "the capture holds no frame");
    if let Some(at) = sent
        .iter()
        .zip(received)
        .position(|(sent, received)| sent != received)
    {
        bail!("frame {} came out changed", at + 1);
    }
    ensure!(
        sent.len() == received.len(),
        "{} frames went in, {} came out",
        sent.len(),
        received.len()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_capture_can_be_read() {
        let frames = frames(&root().join(CAPTURE)).expect("the capture is readable");
        assert!(frames.len() > 50);
        assert!(
            frames
                .iter()
                .all(|frame| (14..=1514).contains(&frame.len()))
        );
    }

    #[test]
    fn any_difference_is_told() {
        let sent = [vec![1], vec![2]];
        assert!(compare(&sent, &sent).is_ok());
        assert_eq!(
            compare(&sent, &[vec![1], vec![3]]).unwrap_err().to_string(),
            "frame 2 came out changed"
        );
        assert_eq!(
            compare(&sent, &sent[..1]).unwrap_err().to_string(),
            "2 frames went in, 1 came out"
        );
        assert_eq!(
            compare(&[], &[]).unwrap_err().to_string(),
            "the capture holds no frame"
        );
    }
}
