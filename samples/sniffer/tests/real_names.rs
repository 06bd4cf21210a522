//! Names are seen in real traffic, and the traffic gets through all the same.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

use namespaces::{LEFT, Program, RIGHT, stage};

const LIMIT: Duration = Duration::from_secs(20);

const QUESTION: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";

/// A client hello that has nothing but a server name.
fn hello() -> Vec<u8> {
    let name = b"tls.example.org";
    let list = [&[0, 0, name.len() as u8][..], name].concat();
    let extension = [
        &[0, 0, 0, list.len() as u8 + 2, 0, list.len() as u8][..],
        &list,
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0, 0, extension.len() as u8],
        &extension,
    ]
    .concat();
    [
        &[22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8][..],
        &body,
    ]
    .concat()
}

#[test]
fn names_are_printed_and_frames_go_on() {
    let Some(network) = stage(&[LEFT, RIGHT], &[]) else {
        return;
    };
    let mut command = network.lab(env!("CARGO_BIN_EXE_sniffer"));
    command.arg("lab:wire=if:wire0,stack=if:stack0");
    let sniffer = Program::start(command, "listening on", Duration::from_secs(60), None)
        .expect("the sample starts");
    std::thread::scope(|scope| {
        let (tell, ready) = mpsc::channel();
        let server = scope.spawn(|| {
            let tell = tell;
            network.enter(RIGHT.name).expect("the host can be entered");
            let udp = UdpSocket::bind("192.0.2.2:53").expect("the port is free");
            udp.set_read_timeout(Some(LIMIT))
                .expect("a timeout can be set");
            let tcp = TcpListener::bind("192.0.2.2:443").expect("the port is free");
            tell.send(()).expect("the test waits");
            let mut question = [0; 512];
            let (length, from) = udp.recv_from(&mut question).expect("the question arrives");
            assert_eq!(&question[..length], QUESTION);
            udp.send_to(&question[..length], from)
                .expect("it is answered");
            let (mut stream, _) = tcp.accept().expect("the connection arrives");
            let mut record = vec![0; hello().len()];
            stream.read_exact(&mut record).expect("the hello arrives");
            assert_eq!(record, hello());
            stream.write_all(b"ok").expect("it is answered");
        });
        ready.recv_timeout(LIMIT).expect("the server listens");
        let client = scope.spawn(|| {
            network.enter(LEFT.name).expect("the host can be entered");
            let udp = UdpSocket::bind("192.0.2.1:0").expect("a port is free");
            udp.set_read_timeout(Some(LIMIT))
                .expect("a timeout can be set");
            udp.send_to(QUESTION, "192.0.2.2:53").expect("it is sent");
            udp.recv(&mut [0; 512]).expect("the answer arrives");
            let mut stream = TcpStream::connect("192.0.2.2:443").expect("it connects");
            stream
                .set_read_timeout(Some(LIMIT))
                .expect("a timeout can be set");
            stream.write_all(&hello()).expect("it is sent");
            stream.read_exact(&mut [0; 2]).expect("the answer arrives");
        });
        client.join().expect("the client is content");
        server.join().expect("the server is content");
    });
    let said = sniffer.stop().expect("the sample ends well");
    assert!(
        said.contains("dns www.example.com from 192.0.2.1"),
        "{said}"
    );
    assert!(
        said.contains("tls tls.example.org from 192.0.2.1"),
        "{said}"
    );
}
