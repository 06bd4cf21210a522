//! A web server with one page, enough for curl.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;

use anyhow::{Context, Result};

/// Length of the page.
pub(super) const BODY_BYTES: usize = 4 << 20;

/// What the page has at a place, so that a frame lost, doubled or moved shows.
pub(super) fn expected_byte(at: usize) -> u8 {
    (at.wrapping_mul(0x9E37_79B9) >> 24) as u8
}

/// Serves until the process is killed.
pub(super) fn serve(address: &str) -> Result<ExitCode> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    println!("ready");
    for stream in listener.incoming() {
        if let Err(error) = stream
            .map_err(anyhow::Error::from)
            .and_then(|stream| answer(&stream))
        {
            eprintln!("http server: {error:#}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn answer(mut stream: &TcpStream) -> Result<()> {
    for line in BufReader::new(stream).lines() {
        if line?.is_empty() {
            break;
        }
    }
    let body: Vec<u8> = (0..BODY_BYTES).map(expected_byte).collect();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_page_is_served_whole() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("the port is known");
        let server =
            std::thread::spawn(move || answer(&listener.accept().expect("a connection comes").0));
        let mut client = TcpStream::connect(address).expect("the server listens");
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .expect("the request is sent");
        let mut reply = Vec::new();
        client.read_to_end(&mut reply).expect("the reply arrives");
        server
            .join()
            .expect("the server does not panic")
            .expect("the server answers");
        let header = reply
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .expect("the header ends")
            + 4;
        assert_eq!(reply.len() - header, BODY_BYTES);
        assert!(
            reply[header..]
                .iter()
                .enumerate()
                .all(|(at, byte)| *byte == expected_byte(at))
        );
    }
}
