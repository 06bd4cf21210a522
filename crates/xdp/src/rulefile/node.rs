//! A parsed document in which every value knows where it stood.

use std::ops::Range;

/// A value and the bytes of the text it came from.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Range<usize>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind {
    Text(String),
    /// None when it does not fit.
    Integer(Option<i64>),
    List(Vec<Node>),
    Table(Vec<Member>),
    /// Something that no field takes, by the name people know.
    Other(&'static str),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Kind {
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a number",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}
