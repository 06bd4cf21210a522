//! The demo without root: a capture in, the same frames out.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use pcap_file::pcap::PcapReader;

use super::{Args, lab, samples};
use crate::driver::{root, target_dir};

/// A recorded conversation: ARP, ICMP, DNS-like UDP, HTTP over TCP, IPv6 neighbour discovery.
const CAPTURE: &str = "samples/captures/two-hosts.pcap";

/// Replays the capture from the wire end to the stack end.
pub(super) fn run(args: &Args) -> Result<()> {
    let input = root().join(CAPTURE);
    let folder = target_dir()?.join("demo");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let output: PathBuf = folder.join("out.pcap");
    let mut command = Command::new(&args.xdp);
    lab::add_arguments(&mut command, args);
    command
        .arg("--wire")
        .arg(prefixed("read:", &input))
        .arg("--stack")
        .arg(prefixed("write:", &output));
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "the lab ended with {status}");
    let (sent, received) = (frames(&input)?, frames(&output)?);
    compare(&sent, &received)?;
    println!(
        "{} frames went in at the wire and came out at the stack, byte for byte",
        sent.len()
    );
    samples::read_by_tshark(&output, received.len())
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
