//! Reading the fields of one rule.

use super::catalog::{COMMON, Field};
use super::error::Found;
use super::node::{Kind, Member, Node};
use super::ports::PortBitmap;
use super::text::{self, Address};
use std::net::{SocketAddrV4, SocketAddrV6};
use std::ops::Range;

/// The members of a rule's table, and the mistakes found in them so far.
pub(super) struct Fields<'a> {
    pub(super) span: Range<usize>,
    pub(super) members: &'a [Member],
    pub(super) errors: Vec<Found>,
}

/// Nothing: the mistake is on record.
pub(super) struct Recorded;

type Taken<T> = Result<T, Recorded>;

impl<'a> Fields<'a> {
    pub(super) fn get(&self, name: &str) -> Option<&'a Member> {
        self.members.iter().find(|member| member.key == name)
    }

    pub(super) fn record(
        &mut self,
        span: Range<usize>,
        field: Option<&'static str>,
        message: String,
        expected: Option<&str>,
    ) -> Recorded {
        let expected = expected.map(Into::into);
        self.errors.push(Found {
            span,
            rule: None,
            field,
            message,
            expected,
        });
        Recorded
    }

    fn wrong(&mut self, node: &Node, field: Field, message: String) -> Recorded {
        self.record(
            node.span.clone(),
            Some(field.name()),
            message,
            Some(field.expected()),
        )
    }

    fn wrong_kind(&mut self, node: &Node, field: Field) -> Recorded {
        self.wrong(node, field, format!("this is {}", node.kind.describe()))
    }

    /// Returns a field that must be there.
    fn required(&mut self, field: Field) -> Taken<&'a Node> {
        match self.get(field.name()) {
            Some(member) => Ok(&member.value),
            None => {
                let message = format!("`{}` is missing", field.name());
                Err(self.record(self.span.clone(), None, message, Some(field.expected())))
            }
        }
    }

    fn text(&mut self, node: &'a Node, field: Field) -> Taken<&'a str> {
        match &node.kind {
            Kind::Text(text) => Ok(text),
            _ => Err(self.wrong_kind(node, field)),
        }
    }

    /// Reads text with `read`, whose error says what is wrong with it.
    fn read<T>(
        &mut self,
        node: &'a Node,
        field: Field,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Taken<T> {
        let text = self.text(node, field)?;
        read(text).map_err(|message| self.wrong(node, field, message))
    }

    fn number(&mut self, node: &Node, field: Field, largest: u16) -> Taken<u16> {
        let Kind::Integer(number) = node.kind else {
            return Err(self.wrong_kind(node, field));
        };
        let fits = number.and_then(|number| u16::try_from(number).ok());
        fits.filter(|number| *number <= largest).ok_or_else(|| {
            let message = match number {
                Some(number) => format!("{number} is out of range"),
                None => "this number is out of range".into(),
            };
            self.wrong(node, field, message)
        })
    }

    pub(super) fn port(&mut self) -> Taken<u16> {
        let node = self.required(Field::Port)?;
        self.number(node, Field::Port, u16::MAX)
    }

    pub(super) fn protocol(&mut self) -> Taken<u8> {
        let node = self.required(Field::Protocol)?;
        if matches!(node.kind, Kind::Text(_)) {
            return self.read(node, Field::Protocol, text::protocol);
        }
        Ok(self.number(node, Field::Protocol, 0xFF)? as u8)
    }

    pub(super) fn cid(&mut self) -> Taken<(Vec<u8>, u8)> {
        let offset = match self.get(Field::CidOffset.name()) {
            Some(member) => self.number(&member.value, Field::CidOffset, 20),
            None => Ok(0),
        };
        let node = self.required(Field::Cid)?;
        let cid = self.read(node, Field::Cid, text::hex)?;
        let offset = offset?;
        if cid.len() + usize::from(offset) > 20 {
            let count = cid.len();
            let message = if offset == 0 {
                format!("these are {count} bytes")
            } else {
                format!("these {count} bytes at offset {offset} reach past byte 20")
            };
            return Err(self.wrong(node, Field::Cid, message));
        }
        Ok((cid, offset as u8))
    }

    /// Reads an address with a prefix length or a separate mask.
    pub(super) fn masked<A: Address>(&mut self, address: Field, mask: Field) -> Taken<(A, A)> {
        let separate = self.get(mask.name());
        let node = self.required(address)?;
        let (network, own_mask) = self.read(node, address, text::prefix::<A>)?;
        let all = A::from_bits(u128::MAX);
        let Some(separate) = separate else {
            return Ok((network, own_mask.unwrap_or(all)));
        };
        if own_mask.is_some() {
            let message = "the address has a prefix length already".into();
            return Err(self.record(
                separate.value.span.clone(),
                Some(mask.name()),
                message,
                None,
            ));
        }
        let parse = |text: &str| {
            text.parse()
                .map_err(|_| format!("\"{text}\" is not a mask"))
        };
        Ok((network, self.read(&separate.value, mask, parse)?))
    }

    pub(super) fn address<A: Address>(&mut self, field: Field) -> Taken<A> {
        let node = self.required(field)?;
        self.read(node, field, |text| {
            text.parse()
                .map_err(|_| format!("\"{text}\" is not such an address"))
        })
    }

    pub(super) fn endpoint_v4(&mut self, field: Field) -> Taken<SocketAddrV4> {
        let node = self.required(field)?;
        self.read(node, field, |text| {
            text.parse()
                .map_err(|_| format!("\"{text}\" is not an address and port"))
        })
    }

    pub(super) fn endpoint_v6(&mut self, field: Field) -> Taken<SocketAddrV6> {
        let node = self.required(field)?;
        self.read(node, field, |text| match text.parse::<SocketAddrV6>() {
            Ok(end) if end.scope_id() == 0 => Ok(end),
            Ok(_) => Err("packets carry no zone".into()),
            Err(_) => Err(format!("\"{text}\" is not an address and port")),
        })
    }

    pub(super) fn ports(&mut self) -> Taken<PortBitmap> {
        let node = self.required(Field::Ports)?;
        let items = match &node.kind {
            Kind::List(items) => items.as_slice(),
            _ => std::slice::from_ref(node),
        };
        if items.is_empty() {
            return Err(self.wrong(node, Field::Ports, "the list is empty".into()));
        }
        let mut ports = PortBitmap::new();
        let mut result = Ok(());
        for item in items {
            let range = match item.kind {
                Kind::Text(_) => self.read(item, Field::Ports, text::port_range),
                _ => self
                    .number(item, Field::Ports, u16::MAX)
                    .map(|port| port..=port),
            };
            match range {
                Ok(range) => range.for_each(|port| ports.insert(port)),
                Err(recorded) => result = Err(recorded),
            }
        }
        result.map(|()| ports)
    }

    /// Records every member that a rule with `fields` does not have.
    pub(super) fn refuse_others(&mut self, match_name: &str, fields: &[(Field, bool)]) {
        for member in self.members {
            let key = member.key.as_str();
            if COMMON.contains(&key) || fields.iter().any(|(field, _)| field.name() == key) {
                continue;
            }
            let own = fields.iter().map(|(field, _)| field.name());
            let message = if Field::NAMES.contains(&key) {
                format!("a rule that matches \"{match_name}\" has no `{key}`")
            } else {
                format!(
                    "there is no field `{key}`{}",
                    text::did_you_mean(key, own.clone().chain(COMMON))
                )
            };
            let own: Vec<String> = own.map(|name| format!("`{name}`")).collect();
            let expected = (!own.is_empty()).then(|| own.join(", "));
            self.record(member.key_span.clone(), None, message, expected.as_deref());
        }
    }
}
