//! Rules that one process holds and others change.
//!
//! A program is attached as long as its handle is open, and nothing outlives the process that opened it. So somebody has to stay:
//! `xdp filter apply` and `xdp filter add` in the foreground, or `xdp lab run`. Whoever holds rules opens an [`endpoint`] that only
//! the same user reaches, and serves the [`protocol`]: one request a line, one reply a line, both JSON. The list changes as a
//! whole: the new program is attached first and the old one detached then, so that at every moment at least one of both decides
//! about a frame, and on a failure the old one stays.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "linux.rs"]
mod endpoint;
#[cfg(not(any(windows, all(target_os = "linux", target_arch = "x86_64"))))]
#[path = "nowhere.rs"]
mod endpoint;
#[cfg(windows)]
#[path = "windows.rs"]
mod endpoint;
mod held;
mod hits;
mod on_interface;
mod protocol;
mod server;

pub(crate) use endpoint::names;
pub(crate) use held::{Held, Interface};
pub(crate) use on_interface::OnInterface;
pub(crate) use protocol::{
    Change, InterfaceRules, Listing, Reply, Request, RuleInfo, RuleRecord, Traffic,
};
// Labs are on Linux on x86-64 only.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use protocol::Watched;
pub(crate) use server::Server;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use crate::error::Failure;

/// The longest line that is read: a rule file of many thousand rules.
const LONGEST_LINE: u64 = 16 << 20;
/// Who does not answer in this time is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest name of a session.
const LONGEST_NAME: usize = 48;

/// Whether a session can be called so: it becomes part of a file name.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && !text.starts_with(['.', '-'])
}

/// Reads the name of a session from the command line.
#[cfg(any(test, all(target_os = "linux", target_arch = "x86_64")))]
pub(crate) fn name(text: &str) -> Result<String, String> {
    if is_name(text) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a name has 1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores, and starts with a letter or digit"
        ))
    }
}

/// Asks the session of this name; none when there is no such session.
pub(crate) fn ask(name: &str, request: &Request) -> Result<Option<Reply>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("cannot talk to the session {name}"))
            .because(error)
            .hint("whoever holds it may hang: end it with Ctrl-C in its terminal")
    };
    let Some(mut stream) = endpoint::connect(name, PATIENCE)? else {
        return Ok(None);
    };
    let mut line = serde_json::to_vec(request).map_err(std::io::Error::from)?;
    line.push(b'\n');
    stream
        .write_all(&line)
        .and_then(|()| stream.flush())
        .map_err(failed)?;
    let mut reply = Vec::new();
    BufReader::new(stream.take(LONGEST_LINE))
        .read_until(b'\n', &mut reply)
        .map_err(failed)?;
    let reply = serde_json::from_slice(&reply).map_err(|error| failed(error.into()))?;
    Ok(Some(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_folder() {
        for good in ["lab", "demo-2", "if-12", "a.b_c"] {
            assert!(is_name(good), "{good}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for bad in [
            "",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "-x",
            "a b",
            "ä",
            long.as_str(),
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
