//! Listening while something else is done.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::endpoint::{Endpoint, Stream};
use super::protocol::{Reply, Request};
use super::{LONGEST_LINE, PATIENCE};
use crate::error::Failure;

/// A request and where its answer goes.
type Asked = (Request, SyncSender<Reply>);

/// An endpoint that a thread listens at; requests wait for [`Server::serve`].
pub(crate) struct Server {
    name: String,
    requests: Receiver<Asked>,
    _endpoint: Endpoint,
}

impl Server {
    /// Opens the endpoint of this name; none when there is one already.
    pub(crate) fn open(name: &str) -> Result<Option<Self>, Failure> {
        let Some(endpoint) = Endpoint::open(name)? else {
            return Ok(None);
        };
        let failed = |error: std::io::Error| {
            Failure::new("cannot listen for changes of rules").because(error)
        };
        let (sender, requests) = sync_channel(0);
        let listening = endpoint.share().map_err(failed)?;
        thread::Builder::new()
            .name("xdp session".into())
            .spawn(move || listen(&listening, &sender))
            .map_err(failed)?;
        Ok(Some(Self {
            name: name.to_owned(),
            requests,
            _endpoint: endpoint,
        }))
    }

    /// Opens an endpoint whose name nobody has: this one, or this one with a number.
    pub(crate) fn open_any(name: &str) -> Result<Self, Failure> {
        for number in 1..100 {
            let name = match number {
                1 => name.to_owned(),
                number => format!("{name}-{number}"),
            };
            if let Some(server) = Self::open(&name)? {
                return Ok(server);
            }
        }
        Err(Failure::new(format!(
            "there are too many sessions named {name}"
        )))
    }

    /// The session's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Answers what was asked meanwhile; tells whether anything was.
    pub(crate) fn serve(&self, mut answer: impl FnMut(Request) -> Reply) -> bool {
        let mut any = false;
        while let Ok((request, asker)) = self.requests.try_recv() {
            any = true;
            // Who does not wait for the answer does not get it.
            let _ = asker.send(answer(request));
        }
        any
    }
}

/// Takes one connection after the other, until nobody serves any more.
fn listen(endpoint: &Endpoint, requests: &SyncSender<Asked>) {
    loop {
        let Ok(stream) = endpoint.accept(PATIENCE) else {
            // Out of handles, perhaps; there will be some again.
            thread::sleep(std::time::Duration::from_millis(100));
            continue;
        };
        if !converse(&stream, requests) {
            return;
        }
    }
}

/// One request and its answer; tells whether anybody serves.
fn converse(stream: &Stream, requests: &SyncSender<Asked>) -> bool {
    let mut line = Vec::new();
    let read = BufReader::new(stream.take(LONGEST_LINE)).read_until(b'\n', &mut line);
    if read.is_err() || line.is_empty() {
        return true;
    }
    let reply = match serde_json::from_slice::<Request>(&line) {
        Ok(request) => {
            let (sender, answer) = sync_channel(1);
            if requests.send((request, sender)).is_err() {
                return false;
            }
            match answer.recv() {
                Ok(reply) => reply,
                Err(_) => return false,
            }
        }
        Err(error) => Reply::refused(
            &Failure::usage("the request makes no sense")
                .because(error)
                .hint("use the same version of xdp on both sides"),
        ),
    };
    if let Ok(mut line) = serde_json::to_vec(&reply) {
        line.push(b'\n');
        let mut stream = stream;
        // Whoever asked has gone, or waits; there is nobody to tell.
        let _ = stream.write_all(&line).and_then(|()| stream.flush());
    }
    true
}
