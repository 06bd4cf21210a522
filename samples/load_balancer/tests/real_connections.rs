//! Real connections from one host reach two others through an address that no host has.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use namespaces::{Host, Network, Program, Side, stage};

const HOSTS: [Host; 3] = [host("client", 1), host("first", 11), host("second", 12)];
const CONNECTIONS: usize = 60;
const LIMIT: Duration = Duration::from_secs(20);

const fn host(name: &'static str, number: u8) -> Host {
    Host {
        name,
        number,
        side: Side::Wire,
    }
}

/// Serves on a host, for as long as the test runs: each connection gets what it sent, with the host's name before it.
fn serve(network: &Network, host: &'static str, address: &str) {
    let address: SocketAddr = address.parse().expect("an address");
    let (tell, ready) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            network.enter(host).expect("the host can be entered");
            let listener = TcpListener::bind(address).expect("the port is free");
            tell.send(()).expect("the test waits");
            std::thread::spawn(move || {
                for mut stream in listener.incoming().map_while(Result::ok) {
                    let mut line = [0; 5];
                    // A client that goes away early is the client's finding.
                    if stream.read_exact(&mut line).is_ok() {
                        let _ = write!(stream, "{host}:");
                        let _ = stream.write_all(&line);
                    }
                }
            });
        });
    });
    ready.recv().expect("the server listens");
}

#[test]
fn connections_are_spread_and_each_stays_with_its_back_end() {
    let Some(network) = stage(&HOSTS, &[]) else {
        return;
    };
    serve(&network, "first", "192.0.2.11:80");
    serve(&network, "second", "192.0.2.12:80");
    let mut command = network.lab(env!("CARGO_BIN_EXE_load_balancer"));
    command.args([
        "lab:wire=if:wire0",
        "192.0.2.100:80",
        "192.0.2.11",
        "02:00:00:00:01:0b",
        "192.0.2.12",
        "02:00:00:00:01:0c",
    ]);
    let balancer = Program::start(command, "balancing", Duration::from_secs(60), None)
        .expect("the sample starts");

    let answers: Vec<String> = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            network.enter("client").expect("the host can be entered");
            let service = SocketAddr::from(([192, 0, 2, 100], 80));
            (0..CONNECTIONS)
                .map(|_| {
                    let mut stream = TcpStream::connect_timeout(&service, LIMIT)?;
                    stream.set_read_timeout(Some(LIMIT))?;
                    stream.write_all(b"hello")?;
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer)?;
                    Ok(answer)
                })
                .collect::<std::io::Result<_>>()
        });
        client.join().expect("the client does not panic")
    })
    .expect("every connection is served");

    let of = |name: &str| {
        answers
            .iter()
            .filter(|answer| **answer == format!("{name}:hello"))
            .count()
    };
    assert_eq!(of("first") + of("second"), CONNECTIONS, "{answers:?}");
    // Source ports are as good as random: that all go one way has a chance of 2^-59.
    assert!(of("first") > 0 && of("second") > 0, "{answers:?}");
    let said = balancer.stop().expect("the sample ends well");
    assert!(
        said.contains(&format!("192.0.2.11: {} connections", of("first"))),
        "{said}"
    );
}
