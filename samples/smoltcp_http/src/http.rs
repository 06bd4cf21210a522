//! Just enough of HTTP/1.1: one page, connections that stay open.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;

/// Connections at a time; each has a socket that listens until it comes.
const CONNECTIONS: usize = 64;
const BUFFER_BYTES: usize = 16 << 10;
const PAGE: &str = "This page came from a TCP/IP stack in user mode, over an AF_XDP socket.\n";

/// A connection, or a socket that waits for one.
struct Connection {
    socket: SocketHandle,
    /// What has come of a request that is not whole. The socket's own buffer is a ring: a request may lie around its end.
    pending: Vec<u8>,
}

pub(crate) struct Server {
    port: u16,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    answered: u64,
}

impl Server {
    pub(crate) fn new(port: u16) -> Self {
        let mut sockets = SocketSet::new(Vec::new());
        let connections = (0..CONNECTIONS)
            .map(|_| {
                let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER_BYTES]);
                let mut socket = tcp::Socket::new(buffer(), buffer());
                // Answers are written whole; waiting for more to send would only delay them.
                socket.set_nagle_enabled(false);
                Connection {
                    socket: sockets.add(socket),
                    pending: Vec::new(),
                }
            })
            .collect();
        Self {
            port,
            sockets,
            connections,
            answered: 0,
        }
    }

    pub(crate) fn sockets(&mut self) -> &mut SocketSet<'static> {
        &mut self.sockets
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Listens where nobody does, and answers requests that have come whole. `true` if there is something to send.
    pub(crate) fn work(&mut self) -> bool {
        let before = self.answered;
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(connection.socket);
            if !socket.is_open() {
                connection.pending.clear();
                // A port other than 0 can always be listened on by a closed socket.
                let _ = socket.listen(self.port);
            }
            if socket.may_recv() {
                self.answered += answer(socket, &mut connection.pending);
            } else if socket.may_send() {
                // The client has said all that it will.
                socket.close();
            }
        }
        self.answered != before
    }
}

/// Answers the requests that a connection holds; returns how many.
fn answer(socket: &mut tcp::Socket<'_>, pending: &mut Vec<u8>) -> u64 {
    while socket.can_recv() && pending.len() < BUFFER_BYTES {
        // It can be received from.
        let _ = socket.recv(|bytes| (bytes.len(), pending.extend_from_slice(bytes)));
    }
    let mut answered = 0;
    while socket.send_capacity() - socket.send_queue() > 2 * PAGE.len() + 256 {
        let (taken, request) = take_request(pending);
        let (reply, keep_open) = match request {
            Request::Incomplete => {
                if pending.len() >= BUFFER_BYTES {
                    // A head that does not end is refused.
                    socket.abort();
                }
                return answered;
            }
            Request::Get { keep_open } => (response("200 OK", PAGE, keep_open), keep_open),
            Request::Other => (response("405 Method Not Allowed", "", false), false),
        };
        pending.drain(..taken);
        // The room was looked at above.
        let _ = socket.send_slice(reply.as_bytes());
        answered += 1;
        if !keep_open {
            socket.close();
            return answered;
        }
    }
    answered
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Incomplete,
    Get { keep_open: bool },
    Other,
}

/// Finds a whole request head at the front of the bytes: how long it is, and what it asks for.
fn take_request(bytes: &[u8]) -> (usize, Request) {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (0, Request::Incomplete);
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let asks = |what: &str| {
        lines.clone().any(|line| {
            line.strip_prefix("connection:")
                .is_some_and(|value| value.trim() == what)
        })
    };
    let request = if first.starts_with("get ") {
        // HTTP/1.0 (`ab`) closes unless asked not to, HTTP/1.1 the other way round.
        let keep_open = if first.ends_with("http/1.0") {
            asks("keep-alive")
        } else {
            !asks("close")
        };
        Request::Get { keep_open }
    } else {
        Request::Other
    };
    (end + 4, request)
}

fn response(status: &str, body: &str, keep_open: bool) -> String {
    let connection = if keep_open { "keep-alive" } else { "close" };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (usize, Request) {
        take_request(text.as_bytes())
    }

    #[test]
    fn requests_are_taken_whole_one_at_a_time() {
        let two = "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\n\r\n";
        assert_eq!(taken(two), (27, Request::Get { keep_open: true }));
        assert_eq!(
            taken("GET / HTTP/1.1\r\nHost: x\r\n"),
            (0, Request::Incomplete)
        );
        assert_eq!(taken("").1, Request::Incomplete);
        assert_eq!(taken("POST / HTTP/1.1\r\n\r\n").1, Request::Other);
        assert_eq!(taken("\u{0}\u{1}\r\n\r\n").1, Request::Other);
    }

    #[test]
    fn connections_stay_open_as_each_version_says() {
        let keeps = |text: &str| taken(text).1 == Request::Get { keep_open: true };
        assert!(keeps("GET / HTTP/1.1\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert!(!keeps("GET / HTTP/1.0\r\n\r\n"));
        assert!(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let text = response("200 OK", PAGE, true);
        let (head, body) = text.split_once("\r\n\r\n").expect("the head ends");
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert_eq!(body, PAGE);
    }
}
