//! Command lines, and what requests are answered with.

use super::*;

fn answered(text: &str) -> Option<(String, bool)> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(text.as_bytes()).expect("it is HTTP");
    status.is_complete().then(|| reply(&request))
}

#[test]
fn addresses_and_port_are_read() {
    let parsed = |line: &'static str| parse(line.split_whitespace().collect());
    let (interface, addresses, port) =
        parsed("lab: 192.0.2.9 2001:db8::9 -port 8080").expect("all of it is valid");
    assert_eq!((&*interface, port), ("lab:", 8080));
    let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["192.0.2.9/24", "2001:db8::9/64"]);
    for line in [
        "",
        "lab:",
        "lab: x",
        "lab: 1.1.1.1 -Port 0",
        "lab: ::1 ::2 ::3",
        "lab: ::1 -Port",
    ] {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn connections_stay_open_as_each_version_says() {
    let stays = |text| answered(text).expect("it is whole").1;
    assert!(stays("GET / HTTP/1.1\r\n\r\n"));
    assert!(!stays("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
    assert!(!stays("GET / HTTP/1.0\r\n\r\n"));
    assert!(stays("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n"));
    assert!(!stays("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"));
    assert!(answered("GET / HTTP/1.1\r\nHost: x\r\n").is_none());
}

#[test]
fn the_length_is_that_of_the_body() {
    let (text, _) = answered("GET / HTTP/1.1\r\n\r\n").expect("it is whole");
    let (head, body) = text.split_once("\r\n\r\n").expect("the head ends");
    assert!(head.contains(&format!("Content-Length: {}", body.len())));
    assert_eq!(body, PAGE);
}
