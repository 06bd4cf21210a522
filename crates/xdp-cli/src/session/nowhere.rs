//! No endpoints: where there are neither labs nor the driver, nobody holds rules.

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::error::{Exit, Failure};

/// There is none.
pub(super) enum Endpoint {}

/// There is none.
pub(super) enum Stream {}

impl Endpoint {
    pub(super) fn open(_: &str) -> Result<Option<Self>, Failure> {
        Err(Failure::new("nothing can hold rules here")
            .because("there is no XDP driver on this system, and no lab")
            .ending(Exit::NotSupported))
    }

    pub(super) fn accept(&self, _: Duration) -> io::Result<Stream> {
        match *self {}
    }

    pub(super) fn share(&self) -> io::Result<Self> {
        match *self {}
    }
}

impl Read for &Stream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match **self {}
    }
}

impl Write for &Stream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match **self {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match **self {}
    }
}

impl Read for Stream {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match *self {}
    }
}

impl Write for Stream {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        match *self {}
    }

    fn flush(&mut self) -> io::Result<()> {
        match *self {}
    }
}

pub(super) fn connect(_: &str, _: Duration) -> Result<Option<Stream>, Failure> {
    Ok(None)
}

pub(crate) fn names() -> Vec<String> {
    Vec::new()
}
