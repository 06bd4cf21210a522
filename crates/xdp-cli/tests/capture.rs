//! Captures as another crate writes them, whole, cut anywhere and damaged.

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use pcap_file::{DataLink, Endianness, TsResolution};
use proptest::prelude::*;
use std::borrow::Cow;
use std::time::Duration;
use xdp_cli::capture::{Capture, Captured, LinkType, Problem};

type Packets = Vec<(Duration, Vec<u8>)>;

fn packets() -> impl Strategy<Value = Packets> {
    let time =
        (0u64..4_000_000_000, 0u32..1_000_000).prop_map(|(s, us)| Duration::new(s, us * 1000));
    proptest::collection::vec((time, proptest::collection::vec(any::<u8>(), 0..100)), 0..8)
}

fn write_pcap(packets: &Packets, endianness: Endianness, ts_resolution: TsResolution) -> Vec<u8> {
    let header = PcapHeader {
        endianness,
        ts_resolution,
        datalink: DataLink::ETHERNET,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for (time, bytes) in packets {
        writer
            .write_packet(&PcapPacket::new(*time, bytes.len() as u32 + 4, bytes))
            .unwrap();
    }
    writer.into_writer()
}

fn write_pcapng(packets: &Packets, endianness: Endianness) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), endianness).unwrap();
    let interface = InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: 0,
        options: Vec::new(),
    };
    writer.write_pcapng_block(interface).unwrap();
    for (time, bytes) in packets {
        // The writer counts in nanoseconds and knows no other resolution: write the ticks of the default one.
        let ticks = Duration::from_nanos(time.as_micros() as u64);
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: ticks,
            original_len: bytes.len() as u32 + 4,
            data: Cow::Borrowed(bytes),
            options: Vec::new(),
        };
        writer.write_pcapng_block(block).unwrap();
    }
    writer.into_inner()
}

fn read(file: &[u8]) -> (Vec<Captured>, Option<Problem>) {
    let mut read = Vec::new();
    let capture = match Capture::open(file) {
        Ok(capture) => capture,
        Err(problem) => return (read, Some(problem)),
    };
    for next in capture {
        match next {
            Ok(packet) => read.push(packet),
            Err(problem) => return (read, Some(problem)),
        }
    }
    (read, None)
}

fn agree(written: &[(Duration, Vec<u8>)], read: &[Captured]) {
    for ((time, bytes), packet) in written.iter().zip(read) {
        assert_eq!(packet.time, Some(*time));
        assert_eq!(&packet.bytes, bytes);
        assert_eq!(packet.wire_size as usize, bytes.len() + 4);
        assert_eq!(packet.link_type, LinkType::ETHERNET);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_another_crate_writes_is_read(packets in packets(), big: bool, nanoseconds: bool) {
        let order = if big { Endianness::Big } else { Endianness::Little };
        let resolution = if nanoseconds { TsResolution::NanoSecond } else { TsResolution::MicroSecond };
        for file in [write_pcap(&packets, order, resolution), write_pcapng(&packets, order)] {
            let (read, problem) = read(&file);
            prop_assert!(problem.is_none(), "{problem:?}");
            prop_assert_eq!(read.len(), packets.len());
            agree(&packets, &read);
        }
    }

    #[test]
    fn a_file_cut_anywhere_gives_everything_before_the_cut(packets in packets(), cut: proptest::sample::Index) {
        for file in [
            write_pcap(&packets, Endianness::Little, TsResolution::MicroSecond),
            write_pcapng(&packets, Endianness::Little),
        ] {
            let (whole, _) = read(&file);
            let end = cut.index(file.len() + 1);
            let (part, problem) = read(&file[..end]);
            prop_assert_eq!(&part[..], &whole[..part.len()]);
            // Between packets a shorter file is a whole file; anywhere else the end is reported.
            prop_assert!(problem.is_some() || part.len() < whole.len() || end == file.len() || packets.is_empty());
            if let Some(problem) = problem {
                prop_assert!(problem.is_end());
            }
        }
    }
}

/// A pcapng file of blocks, little endian.
fn blocks(blocks: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    for (kind, body) in blocks {
        let size = body.len() as u32 + 12;
        file.extend(kind.to_le_bytes());
        file.extend(size.to_le_bytes());
        file.extend(body);
        file.extend(size.to_le_bytes());
    }
    file
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn section() -> (u32, Vec<u8>) {
    (0x0A0D_0D0A, words(&[0x1A2B_3C4D, 1, u32::MAX, u32::MAX]))
}

#[test]
fn a_packet_that_makes_no_sense_is_reported_and_the_next_one_read() {
    let good = (6, [words(&[0, 0, 7, 4, 4]), vec![1, 2, 3, 4]].concat());
    let file = blocks(&[
        section(),
        (1, words(&[1, 0])),
        (6, words(&[5, 0, 0, 0, 0])),
        (6, words(&[0, 0, 0, 400, 400])),
        (6, words(&[0])),
        (0xBAD, words(&[1, 2, 3])),
        good,
    ]);
    let read: Vec<String> = Capture::open(&file[..])
        .unwrap_or_else(|problem| panic!("{problem}"))
        .map(|next| {
            next.map_or_else(
                |problem| problem.to_string(),
                |packet| format!("{:?}", packet.bytes),
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            "it names interface 5, which the file does not have",
            "it says 400 bytes, and its block has 0",
            "its block is too short",
            "[1, 2, 3, 4]",
        ]
    );
}

#[test]
fn a_new_section_forgets_the_interfaces_of_the_one_before() {
    let file = blocks(&[section(), (1, words(&[1, 0])), section(), (3, words(&[0]))]);
    let (packets, problem) = read(&file);
    assert!(packets.is_empty());
    assert_eq!(
        problem.unwrap().to_string(),
        "it belongs to the first interface, and the file has none"
    );
}

#[test]
fn times_in_powers_of_two_and_ten_are_read() {
    // Option 9 is the resolution, one byte, padded to four.
    for (resolution, ticks) in [(3u32, 1500u32), (0x80 | 4, 24), (0, 1)] {
        let interface = [words(&[1, 0]), words(&[1 << 16 | 9, resolution])].concat();
        let file = blocks(&[section(), (1, interface), (6, words(&[0, 0, ticks, 0, 0]))]);
        let (packets, _) = read(&file);
        let expected = if resolution == 0 { 1000 } else { 1500 };
        assert_eq!(packets[0].time, Some(Duration::from_millis(expected)));
    }
}

#[test]
fn sizes_that_cannot_be_are_damage() {
    let header = [
        &[0xD4, 0xC3, 0xB2, 0xA1][..],
        &words(&[0x0004_0002, 0, 0, 65_535, 1]),
    ]
    .concat();
    let file = [header, words(&[1, 1, u32::MAX, 60])].concat();
    let (_, problem) = read(&file);
    assert_eq!(
        problem.unwrap().to_string(),
        "the file is damaged at byte 24: a packet of 4294967295 bytes cannot be"
    );
    let mut file = blocks(&[section(), (1, words(&[1, 0]))]);
    file[32] = 13; // The size of the second block.
    let (_, problem) = read(&file);
    assert_eq!(
        problem.unwrap().to_string(),
        "the file is damaged at byte 28: a block of 13 bytes cannot be"
    );
}

mod written {
    use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
    use pcap_file::pcapng::{Block, PcapNgReader};
    use std::process::Command;
    use std::time::Duration;
    use xdp_cli::capture::Capture;
    use xdp_cli::capture::write::{Direction, Packet, Pcapng, Verdict};

    /// An ARP request: something that every reader knows.
    fn frame() -> Vec<u8> {
        let mut frame = vec![0xFF; 6];
        frame.extend([2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend([
            2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 2,
        ]);
        frame.resize(61, 0);
        frame
    }

    fn file() -> Vec<u8> {
        let mut out = Vec::new();
        let mut file = Pcapng::new(&mut out, &["nic0", "Ethernet 2"], 60).unwrap();
        let frame = frame();
        let plain = Packet {
            interface: 0,
            time: Duration::new(1_700_000_000, 123_456_789),
            bytes: &frame[..42],
            wire_size: 42,
            queue: None,
            verdict: None,
            direction: None,
            comment: None,
        };
        file.write(&plain).unwrap();
        let verdicts = [
            (Verdict::Drop, "rule 1 (dns)"),
            (Verdict::Pass, ""),
            (Verdict::SendBack, "b"),
            (Verdict::Redirect, "c"),
        ];
        for (queue, (verdict, comment)) in (0..).zip(verdicts) {
            let packet = Packet {
                interface: 1,
                bytes: &frame,
                queue: Some(queue),
                verdict: Some(verdict),
                direction: Some(Direction::Inbound),
                comment: Some(comment),
                ..plain
            };
            file.write(&packet).unwrap();
        }
        file.flush().unwrap();
        out
    }

    #[test]
    fn what_is_written_is_read() {
        let out = file();
        let read: Vec<_> = Capture::open(out.as_slice())
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read.len(), 5);
        assert_eq!(
            read[0].time,
            Some(Duration::new(1_700_000_000, 123_456_789))
        );
        assert_eq!(
            (read[0].bytes.as_slice(), read[0].wire_size),
            (&frame()[..42], 42)
        );
        // One byte more than is kept.
        assert_eq!(
            (read[1].bytes.as_slice(), read[1].wire_size),
            (&frame()[..60], 61)
        );
    }

    #[test]
    fn another_reader_finds_interfaces_flags_and_comments() {
        let out = file();
        let mut reader = PcapNgReader::new(out.as_slice()).unwrap();
        let mut found = Vec::new();
        while let Some(block) = reader.next_block() {
            let Block::EnhancedPacket(packet) = block.unwrap() else {
                continue;
            };
            found.extend(packet.options.iter().filter_map(|option| match option {
                EnhancedPacketOption::Flags(flags) => {
                    Some(format!("{} {flags}", packet.interface_id))
                }
                EnhancedPacketOption::Comment(comment) => Some(comment.to_string()),
                _ => None,
            }));
        }
        assert_eq!(
            found,
            ["1 1", "rule 1 (dns)", "1 1", "", "1 1", "b", "1 1", "c"]
        );
        assert_eq!(reader.interfaces().len(), 2);
    }

    /// What Wireshark's own reader makes of it.
    #[test]
    fn tshark_shows_interface_queue_verdict_and_comment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.pcapng");
        std::fs::write(&path, file()).unwrap();
        let fields = [
            "frame.interface_name",
            "frame.packet_flags_direction",
            "frame.comment",
            "frame.time_epoch",
            "frame.len",
            "frame.cap_len",
            "frame.verdict.ebpf_xdp",
            "frame.interface_queue",
        ];
        let mut command = Command::new("tshark");
        command
            .arg("-r")
            .arg(&path)
            .args(["-T", "fields", "-E", "separator=|"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let Ok(output) = command.output() else {
            eprintln!("skipped: there is no tshark");
            return;
        };
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        // Versions differ in how they show flags.
        let text = text.replace("0x00000001", "1");
        let lines: Vec<&str> = text.lines().collect();
        let verdicts = ["1", "2", "3", "4"];
        let comments = ["rule 1 (dns)", "", "b", "c"];
        let mut expected = vec!["nic0|||1700000000.123456789|42|42||".to_owned()];
        for (queue, (verdict, comment)) in verdicts.into_iter().zip(comments).enumerate() {
            let packet =
                format!("Ethernet 2|1|{comment}|1700000000.123456789|61|60|{verdict}|{queue}");
            expected.push(packet);
        }
        assert_eq!(lines, expected);
    }
}
