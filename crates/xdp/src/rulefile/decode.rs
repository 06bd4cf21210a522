//! Nodes to rules.

use super::catalog::{ACTIONS, COMMON, Family, Field, MATCHES, MatchInfo, Shape};
use super::error::{Found, Lines};
use super::fields::{Fields, Recorded};
use super::node::{Kind, Member, Node};
use super::ports::PortBitmap;
use super::text::did_you_mean;
use super::{Entry, Target};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use xdp_abi::{
    ActionParams, InetAddr, IpAddressMask, IpPortSet, MatchPattern, Port, PortSet, QuicFlow,
    RedirectParams, RedirectTargetType, Rule, RuleAction, Tuple,
};

/// An entry that does not know its line yet.
#[derive(Debug)]
pub(super) struct Pending {
    entry: Entry,
    start: usize,
}

impl Pending {
    pub(super) fn finish(mut self, lines: &Lines<'_>) -> Entry {
        self.entry.line = lines.line(self.start);
        self.entry
    }
}

const FILE: &str = "`rule`: a list of tables, one for each rule";

pub(super) fn file(root: &Node) -> Result<Vec<Pending>, Vec<Found>> {
    let Kind::Table(members) = &root.kind else {
        let message = format!("the file is {}", root.kind.describe());
        return Err(vec![
            Found::new(root.span.clone(), message).expecting("a table with `rule`"),
        ]);
    };
    let mut errors = Vec::new();
    let mut rules = None;
    for Member {
        key,
        key_span,
        value,
    } in members
    {
        match (key.as_str(), &value.kind) {
            ("rule", Kind::List(items)) => rules = Some(items.as_slice()),
            ("rule", Kind::Table(_)) => rules = Some(std::slice::from_ref(value)),
            ("rule", kind) => {
                let message = format!("`rule` is {}", kind.describe());
                errors.push(Found::new(value.span.clone(), message).expecting(FILE));
            }
            // Editors want to know the schema of a file.
            ("$schema", Kind::Text(_)) => {}
            (other, _) => {
                let hint = did_you_mean(other, ["rule"].into_iter());
                let message = format!("a rule file has no `{other}`{hint}");
                errors.push(Found::new(key_span.clone(), message).expecting(FILE));
            }
        }
    }
    let Some(rules) = rules else {
        if errors.is_empty() {
            let message = "the file has no rules".into();
            errors.push(Found::new(0..0, message).expecting(FILE));
        }
        return Err(errors);
    };
    let mut entries = Vec::with_capacity(rules.len());
    for (index, node) in rules.iter().enumerate() {
        match rule(node) {
            Ok(entry) => entries.push(Pending {
                entry,
                start: node.span.start,
            }),
            Err(found) => {
                let name = name_of(node);
                errors.extend(found.into_iter().map(|mut error| {
                    error.rule = Some((index, name.clone()));
                    error
                }));
            }
        }
    }
    if errors.is_empty() {
        Ok(entries)
    } else {
        Err(errors)
    }
}

fn name_of(node: &Node) -> Option<String> {
    let Kind::Table(members) = &node.kind else {
        return None;
    };
    members
        .iter()
        .find(|member| member.key == "name")
        .and_then(|member| match &member.value.kind {
            Kind::Text(name) if is_name(name) => Some(name.clone()),
            _ => None,
        })
}

fn rule(node: &Node) -> Result<Entry, Vec<Found>> {
    let Kind::Table(members) = &node.kind else {
        let message = format!("the rule is {}", node.kind.describe());
        return Err(vec![
            Found::new(node.span.clone(), message).expecting("a table"),
        ]);
    };
    // The span of a table may be everything it holds; its first line is enough to point at.
    let mut fields = Fields {
        span: node.span.clone(),
        members,
        errors: Vec::new(),
    };
    let name = name(&mut fields);
    let condition = condition(&mut fields);
    let action = action(&mut fields);
    match (name, condition, action) {
        (Ok(name), Ok(condition), Ok(action)) if fields.errors.is_empty() => {
            let Condition {
                info,
                pattern,
                ports,
            } = condition;
            let Action {
                action,
                params,
                target,
            } = action;
            let rule = Rule {
                params,
                ..Rule::new(info.match_type, pattern, action)
            };
            Ok(Entry {
                name,
                line: 0,
                rule,
                ports: ports.map(Arc::new),
                target,
            })
        }
        _ => Err(fields.errors),
    }
}

fn name(fields: &mut Fields<'_>) -> Result<Option<String>, Recorded> {
    for key in ["name", "comment"] {
        let Some(member) = fields.get(key) else {
            continue;
        };
        let message = match &member.value.kind {
            Kind::Text(text) if key == "comment" || is_name(text) => continue,
            Kind::Text(_) => format!("`{key}` has characters that cannot be shown"),
            other => format!("`{key}` is {}", other.describe()),
        };
        return Err(fields.record(member.value.span.clone(), None, message, Some("text")));
    }
    Ok(fields
        .get("name")
        .and_then(|member| match &member.value.kind {
            Kind::Text(name) => Some(name.clone()),
            _ => None,
        }))
}

/// Names are printed wherever a rule is: they must not command the terminal.
fn is_name(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

struct Condition {
    info: &'static MatchInfo,
    pattern: MatchPattern,
    ports: Option<PortBitmap>,
}

fn condition(fields: &mut Fields<'_>) -> Result<Condition, Recorded> {
    let names = || MATCHES.iter().map(|info| info.name);
    let written = one_of(fields, "match", names, "a match type such as \"udp-dst\"")?;
    let Some(info) = MATCHES.iter().find(|info| info.name == written) else {
        return Err(Recorded);
    };
    fields.refuse_others(info.name, info.shape.fields());
    let (pattern, ports) = pattern(fields, info.shape)?;
    Ok(Condition {
        info,
        pattern,
        ports,
    })
}

/// Reads a field that takes one of a few names.
fn one_of<'n, Names: Iterator<Item = &'n str>>(
    fields: &mut Fields<'_>,
    field: &'static str,
    names: impl Fn() -> Names,
    expected: &str,
) -> Result<&'n str, Recorded> {
    let Some(member) = fields.get(field) else {
        let message = format!("`{field}` is missing");
        return Err(fields.record(fields.span.clone(), None, message, Some(expected)));
    };
    let Kind::Text(written) = &member.value.kind else {
        let message = format!("this is {}", member.value.kind.describe());
        let span = member.value.span.clone();
        return Err(fields.record(span, Some(field), message, Some(expected)));
    };
    names().find(|name| name == written).ok_or_else(|| {
        let hint = did_you_mean(written, names());
        let message = format!("there is no \"{}\"{hint}", written.escape_debug());
        // With a good guess at hand, a list of two dozen names only hides it.
        let expected = match hint.as_str() {
            "" => format!("one of {}", names().collect::<Vec<_>>().join(", ")),
            _ => expected.to_owned(),
        };
        fields.record(
            member.value.span.clone(),
            Some(field),
            message,
            Some(&expected),
        )
    })
}

fn pattern(
    fields: &mut Fields<'_>,
    shape: Shape,
) -> Result<(MatchPattern, Option<PortBitmap>), Recorded> {
    let pattern = match shape {
        Shape::Nothing => MatchPattern::default(),
        Shape::Port => MatchPattern::from_port(Port::new(fields.port()?)),
        Shape::Masked(family) => MatchPattern::from_ip_mask(masked(fields, family)?),
        Shape::Quic => {
            let (port, cid) = (fields.port(), fields.cid());
            let (port, (cid, cid_offset)) = (port?, cid?);
            let mut cid_data = [0; 20];
            cid_data[..cid.len()].copy_from_slice(&cid);
            MatchPattern::from_quic_flow(QuicFlow {
                udp_port: Port::new(port),
                cid_length: cid.len() as u8,
                cid_offset,
                cid_data,
            })
        }
        Shape::Tuple(family) => MatchPattern::from_tuple(tuple(fields, family)?),
        Shape::Ports => {
            let ports = fields.ports()?;
            return Ok((MatchPattern::from_port_set(port_set(&ports)), Some(ports)));
        }
        Shape::AddressPorts(family) => {
            let (address, ports) = (address(fields, family), fields.ports());
            let (address, ports) = (address?, ports?);
            let set = IpPortSet {
                address,
                port_set: port_set(&ports),
            };
            return Ok((MatchPattern::from_ip_port_set(set), Some(ports)));
        }
        Shape::Protocol => MatchPattern::from_next_header(fields.protocol()?),
        Shape::Address(family) => {
            let address = address(fields, family)?;
            // The driver ignores the mask; a full one says what is meant.
            let mask = match family {
                Family::V4 => [0xFF; 4].into(),
                Family::V6 => [0xFF; 16].into(),
            };
            MatchPattern::from_ip_mask(IpAddressMask { mask, address })
        }
    };
    Ok((pattern, None))
}

fn port_set(ports: &PortBitmap) -> PortSet {
    PortSet {
        port_set: ports.address(),
        ..PortSet::default()
    }
}

fn address(fields: &mut Fields<'_>, family: Family) -> Result<InetAddr, Recorded> {
    let field = Field::Address(family);
    Ok(match family {
        Family::V4 => fields.address::<Ipv4Addr>(field)?.octets().into(),
        Family::V6 => fields.address::<Ipv6Addr>(field)?.octets().into(),
    })
}

fn masked(fields: &mut Fields<'_>, family: Family) -> Result<IpAddressMask, Recorded> {
    let (address, mask) = (Field::Prefix(family), Field::Mask(family));
    Ok(match family {
        Family::V4 => {
            let (address, mask) = fields.masked::<Ipv4Addr>(address, mask)?;
            IpAddressMask {
                mask: mask.octets().into(),
                address: address.octets().into(),
            }
        }
        Family::V6 => {
            let (address, mask) = fields.masked::<Ipv6Addr>(address, mask)?;
            IpAddressMask {
                mask: mask.octets().into(),
                address: address.octets().into(),
            }
        }
    })
}

fn tuple(fields: &mut Fields<'_>, family: Family) -> Result<Tuple, Recorded> {
    let (from, to) = (Field::Source(family), Field::Destination(family));
    Ok(match family {
        Family::V4 => {
            let (source, destination) = (fields.endpoint_v4(from), fields.endpoint_v4(to));
            let (source, destination) = (source?, destination?);
            Tuple {
                source_address: source.ip().octets().into(),
                destination_address: destination.ip().octets().into(),
                source_port: Port::new(source.port()),
                destination_port: Port::new(destination.port()),
            }
        }
        Family::V6 => {
            let (source, destination) = (fields.endpoint_v6(from), fields.endpoint_v6(to));
            let (source, destination) = (source?, destination?);
            Tuple {
                source_address: source.ip().octets().into(),
                destination_address: destination.ip().octets().into(),
                source_port: Port::new(source.port()),
                destination_port: Port::new(destination.port()),
            }
        }
    })
}

struct Action {
    action: RuleAction,
    params: ActionParams,
    target: Option<Target>,
}

fn action(fields: &mut Fields<'_>) -> Result<Action, Recorded> {
    let names = || ACTIONS.into_iter();
    let action = match one_of(
        fields,
        "action",
        names,
        "one of pass, drop, l2fwd, redirect",
    )? {
        "pass" => RuleAction::PASS,
        "drop" => RuleAction::DROP,
        "l2fwd" => RuleAction::L2FWD,
        _ => RuleAction::REDIRECT,
    };
    let to = fields.get("redirect-to");
    if action != RuleAction::REDIRECT {
        if let Some(member) = to {
            let message = "only a rule that redirects has `redirect-to`".to_owned();
            return Err(fields.record(member.key_span.clone(), None, message, None));
        }
        return Ok(Action {
            action,
            params: ActionParams::default(),
            target: None,
        });
    }
    let target = target(fields, to)?;
    let target_type = match target {
        Target::Socket(_) => RedirectTargetType::XSK,
        Target::Map(_) => RedirectTargetType::XSKMAP_BY_QUEUEID,
    };
    let params = RedirectParams {
        target_type,
        ..RedirectParams::default()
    };
    Ok(Action {
        action,
        params: ActionParams::from_redirect(params),
        target: Some(target),
    })
}

fn target(fields: &mut Fields<'_>, to: Option<&Member>) -> Result<Target, Recorded> {
    const EXPECTED: &str = "{ socket = \"NAME\" } or { map = \"NAME\" }";
    let Some(to) = to else {
        let message = "`redirect-to` is missing".into();
        return Err(fields.record(fields.span.clone(), None, message, Some(EXPECTED)));
    };
    if let Kind::Table(members) = &to.value.kind
        && let [
            Member {
                key,
                value:
                    Node {
                        kind: Kind::Text(name),
                        ..
                    },
                ..
            },
        ] = members.as_slice()
        && !name.is_empty()
        && is_name(name)
    {
        match key.as_str() {
            "socket" => return Ok(Target::Socket(name.clone())),
            "map" => return Ok(Target::Map(name.clone())),
            _ => {}
        }
    }
    let message = "this names no target".into();
    Err(fields.record(
        to.value.span.clone(),
        Some("redirect-to"),
        message,
        Some(EXPECTED),
    ))
}

const _: () = assert!(
    COMMON.len() == 5,
    "name, comment, match, action and redirect-to are read above"
);
