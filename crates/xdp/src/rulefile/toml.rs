//! TOML to nodes.

use super::error::Found;
use super::node::{Kind, Member, Node};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) fn parse(text: &str) -> Result<Node, Vec<Found>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let span = root.span();
        return Ok(Node {
            kind: table(root.into_inner()),
            span,
        });
    }
    // One broken line breaks what follows in ways that say nothing: the first error is the one to read.
    let first = errors.into_iter().next();
    let found = first.map(|error| {
        let span = error.span().unwrap_or(0..0);
        Found::new(
            span,
            format!("not TOML: {}", error.message().replace('\n', "; ")),
        )
    });
    Err(found.into_iter().collect())
}

fn table(members: DeTable<'_>) -> Kind {
    let mut members: Vec<Member> = members.into_iter().map(member).collect();
    // The parser sorts by name; mistakes are better read from top to bottom.
    members.sort_by_key(|member| member.key_span.start);
    Kind::Table(members)
}

fn member((key, value): (Spanned<toml::de::DeString<'_>>, Spanned<DeValue<'_>>)) -> Member {
    let key_span = key.span();
    Member {
        key: key.into_inner().into_owned(),
        key_span,
        value: node(value),
    }
}

fn node(value: Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Integer(number) => {
            Kind::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Array(items) => Kind::List(items.into_iter().map(node).collect()),
        DeValue::Table(members) => table(members),
        DeValue::Float(_) => Kind::Other("a number with a fraction"),
        DeValue::Boolean(_) => Kind::Other("true or false"),
        DeValue::Datetime(_) => Kind::Other("a date"),
    };
    Node { kind, span }
}
