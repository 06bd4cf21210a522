use super::*;
use proptest::prelude::*;
use xdp_abi::{MatchType, RedirectTargetType, RuleAction};

const EVERY_MATCH: &str = include_str!("../../tests/data/every-match.toml");

#[test]
fn every_match_type_is_read_and_described() {
    let file = RuleFile::parse(EVERY_MATCH).unwrap();
    let lines: Vec<String> = file
        .entries()
        .iter()
        .map(|entry| format!("{} => {}", entry.condition(), entry.action()))
        .collect();
    let expected = [
        "udp-dst 443 => redirect to socket \"rx\"",
        "ipv4-dst-mask 192.0.2.0/24 => pass",
        "ipv4-dst-mask 10.0.0.7 mask 255.0.0.255 => drop",
        "ipv6-dst-mask 2001:db8::/32 => drop",
        "quic-flow-src-cid 4433 cid c1d2e3 => drop",
        "quic-flow-dst-cid 4433 cid c1d2 at 2 => drop",
        "ipv4-udp-tuple 192.0.2.1:1000 > 192.0.2.2:2000 => l2fwd",
        "ipv6-udp-tuple [2001:db8::1]:1000 > [2001:db8::2]:2000 => l2fwd",
        "udp-port-set {53, 123, 8000-8100} => redirect to map \"queues\"",
        "ipv4-udp-port-set 192.0.2.1 {1-3} => drop",
        "ipv6-udp-port-set 2001:db8::1 {5} => drop",
        "ipv4-tcp-port-set 192.0.2.1 {80, 443} => drop",
        "ipv6-tcp-port-set 2001:db8::1 {80, 443} => drop",
        "tcp-dst 22 => pass",
        "tcp-quic-flow-src-cid 443 cid any at 8 => drop",
        "tcp-quic-flow-dst-cid 443 cid 00112233445566778899aabbccddeeff00112233 => drop",
        "tcp-control-dst 80 => drop",
        "ip-next-header gre => drop",
        "inner-ipv4-dst-mask-udp 10.1.0.0/16 => drop",
        "inner-ipv6-dst-mask-udp ::/0 => drop",
        "icmpv4-echo-reply-ip-dst 192.0.2.9 => drop",
        "icmpv6-echo-reply-ip-dst 2001:db8::9 => drop",
        "udp => pass",
        "all => drop",
    ];
    assert_eq!(lines, expected);
    for info in MATCHES {
        let used = file
            .entries()
            .iter()
            .any(|entry| entry.rule().match_type == info.match_type);
        assert!(used, "{} is not in the file", info.name);
    }
    let last = file.entries().last().unwrap();
    assert_eq!((last.name(), last.line()), (Some("the rest"), 132));
}

#[test]
fn names_are_the_standard_ones_in_kebab_case() {
    assert_eq!(MATCHES.len(), MatchType::NAMED.len());
    for (info, (value, c_name)) in MATCHES.iter().zip(MatchType::NAMED) {
        let kebab = c_name
            .trim_start_matches("XDP_MATCH_")
            .to_lowercase()
            .replace('_', "-");
        assert_eq!((info.name, info.match_type), (kebab.as_str(), *value));
    }
}

#[test]
fn a_bound_rule_has_the_bytes_the_driver_reads() {
    let file = RuleFile::parse(EVERY_MATCH).unwrap();
    let rules = file
        .bind(|target| match target {
            Target::Socket(name) if name == "rx" => Some(Handle(7)),
            Target::Map(name) if name == "queues" => Some(Handle(9)),
            _ => None,
        })
        .unwrap();

    let redirect = rules[0].params.redirect();
    assert_eq!(rules[0].action, RuleAction::REDIRECT);
    assert_eq!(
        (redirect.target_type, redirect.target),
        (RedirectTargetType::XSK, Handle(7))
    );
    // Port 443 is 0x01BB, and lies in the rule as it does in a packet.
    assert_eq!(rules[0].pattern.words[0].to_ne_bytes()[..2], [0x01, 0xBB]);

    let mask = rules[1].pattern.ip_mask();
    assert_eq!(mask.mask.ipv4().bytes, [255, 255, 255, 0]);
    assert_eq!(mask.address.ipv4().bytes, [192, 0, 2, 0]);

    let flow = rules[5].pattern.quic_flow();
    assert_eq!(
        (flow.cid_length, flow.cid_offset, &flow.cid_data[..3]),
        (2, 2, &[0xC1, 0xD2, 0][..])
    );

    let by_queue = rules[8].params.redirect();
    assert_eq!(by_queue.target_type, RedirectTargetType::XSKMAP_BY_QUEUEID);
    let address = rules[8].pattern.port_set().port_set;
    let ports = file.port_set(address).unwrap();
    assert!(ports.contains(53) && ports.contains(8050) && !ports.contains(54));
    assert!(rules[8].pattern.port_set().reserved.is_null());
}

#[test]
fn a_target_that_does_not_exist_is_named() {
    let file = RuleFile::parse(EVERY_MATCH).unwrap();
    let error = file
        .bind(|target| (target.name() == "rx").then_some(Handle(1)))
        .unwrap_err();
    assert_eq!(error.to_string(), "rule 9: there is no map \"queues\"");
}

#[test]
fn json_of_the_same_shape_gives_the_same_rules() {
    let table: ::toml::Table = EVERY_MATCH.parse().unwrap();
    let json = serde_json::to_string_pretty(&table).unwrap();
    let (from_toml, from_json) = (
        RuleFile::parse(EVERY_MATCH).unwrap(),
        RuleFile::parse(&json).unwrap(),
    );
    for (left, right) in from_toml.entries().iter().zip(from_json.entries()) {
        assert_eq!(left.condition().to_string(), right.condition().to_string());
        assert_eq!(left.action().to_string(), right.action().to_string());
        assert_eq!(left.name(), right.name());
    }
    assert_eq!(from_toml.entries().len(), from_json.entries().len());
}

/// A file of one rule with `lines` in it, and the mistakes that reading it must report.
fn refused(lines: &str, expected: &[&str]) {
    let text = format!("[[rule]]\n{lines}\n");
    let errors = RuleFile::parse(&text).expect_err(lines);
    let got: Vec<String> = errors.as_slice().iter().map(ToString::to_string).collect();
    assert_eq!(got, expected, "{lines}");
}

#[test]
fn every_mistake_in_a_field_is_reported_with_its_place() {
    let port = "expected a port: a number from 0 to 65535";
    refused(
        "match = 'udp-dst'\nport = 70000\naction = 'drop'",
        &[&format!(
            "line 3, column 8: rule 1: `port`: 70000 is out of range: {port}"
        )],
    );
    refused(
        "match = 'udp-dst'\nport = 99999999999999999999\naction = 'drop'",
        &[&format!(
            "line 3, column 8: rule 1: `port`: this number is out of range: {port}"
        )],
    );
    refused(
        "name = 'web'\nmatch = 'tcp-dst'\nport = '80'\naction = 'drop'",
        &[&format!(
            "line 4, column 8: rule 1 (web): `port`: this is text: {port}"
        )],
    );
    refused(
        "match = 'udp-dst'\nprot = 1\naction = 'drop'",
        &[
            &format!("line 1, column 1: rule 1: `port` is missing: {port}"),
            "line 3, column 1: rule 1: there is no field `prot`; did you mean \"port\"?: expected `port`",
        ],
    );
    refused(
        "match = 'all'\nport = 1\naction = 'drop'",
        &["line 3, column 1: rule 1: a rule that matches \"all\" has no `port`"],
    );
    refused(
        "match = 'ipv4-dst-mask'\naddress = '10.0.0.1/8'\naction = 'drop'",
        &[
            "line 3, column 11: rule 1: `address`: 10.0.0.1 has bits set behind its first 8, so that nothing could match; \
           did you mean \"10.0.0.0/8\"?: expected an IPv4 address or prefix such as \"192.0.2.0/24\"",
        ],
    );
    refused(
        "match = 'ipv4-dst-mask'\naddress = '10.0.0.0/33'\naction = 'drop'",
        &[
            "line 3, column 11: rule 1: `address`: /33 is longer than an address, which has 32 bits: \
           expected an IPv4 address or prefix such as \"192.0.2.0/24\"",
        ],
    );
    refused(
        "match = 'ipv6-dst-mask'\naddress = '2001:db8::/32'\nmask = 'ffff::'\naction = 'drop'",
        &["line 4, column 8: rule 1: `mask`: the address has a prefix length already"],
    );
    refused(
        "match = 'ipv6-udp-tuple'\nsource = '2001:db8::1'\ndestination = '[fe80::1%3]:5'\naction = 'drop'",
        &[
            "line 3, column 10: rule 1: `source`: \"2001:db8::1\" is not an address and port: \
             expected an IPv6 address and port such as \"[2001:db8::1]:443\"",
            "line 4, column 15: rule 1: `destination`: packets carry no zone: \
             expected an IPv6 address and port such as \"[2001:db8::1]:443\"",
        ],
    );
    let cid = "expected a connection ID: up to 20 bytes in hexadecimal such as \"c1d2e3f4\"";
    for (written, message) in [
        (
            "cid = 'c1d'",
            "\"c1d\" does not have two digits for every byte",
        ),
        (
            "cid = 'c1::d2'",
            "\"c1::d2\" does not have two digits for every byte",
        ),
        ("cid = 'xy'", "`x` is not a hexadecimal digit"),
        (
            "cid = '000000000000000000000000000000000000000000'",
            "these are 21 bytes",
        ),
        (
            "cid = 'c1d2'\ncid-offset = 19",
            "these 2 bytes at offset 19 reach past byte 20",
        ),
    ] {
        refused(
            &format!("match = 'quic-flow-src-cid'\nport = 1\naction = 'drop'\n{written}"),
            &[&format!(
                "line 5, column 7: rule 1: `cid`: {message}: {cid}"
            )],
        );
    }
    let ports = "expected a list of ports and ranges such as [53, \"8000-8100\"]";
    refused(
        "match = 'udp-port-set'\nports = [1, -2, '9-5', 'a', 1.5]\naction = 'drop'",
        &[
            &format!("line 3, column 13: rule 1: `ports`: -2 is out of range: {ports}"),
            &format!(
                "line 3, column 17: rule 1: `ports`: range 9-5 is empty; did you mean \"5-9\"?: {ports}"
            ),
            &format!("line 3, column 24: rule 1: `ports`: \"a\" is not a port: {ports}"),
            &format!(
                "line 3, column 29: rule 1: `ports`: this is a number with a fraction: {ports}"
            ),
        ],
    );
    refused(
        "match = 'udp-port-set'\nports = []\naction = 'drop'",
        &[&format!(
            "line 3, column 9: rule 1: `ports`: the list is empty: {ports}"
        )],
    );
    refused(
        "match = 'ip-next-header'\nprotocol = 'upd'\naction = 'drop'",
        &[
            "line 3, column 12: rule 1: `protocol`: no protocol is called \"upd\"; did you mean \"udp\"?: \
           expected an IP protocol: a number from 0 to 255, or a name such as \"gre\"",
        ],
    );
}

#[test]
fn mistakes_in_the_action_are_reported() {
    let target = "expected { socket = \"NAME\" } or { map = \"NAME\" }";
    refused(
        "match = 'all'\naction = 'ebpf'",
        &[
            "line 3, column 10: rule 1: `action`: there is no \"ebpf\": expected one of pass, drop, l2fwd, redirect",
        ],
    );
    refused(
        "match = 'all'\naction = 'redirect'",
        &[&format!(
            "line 1, column 1: rule 1: `redirect-to` is missing: {target}"
        )],
    );
    refused(
        "match = 'all'\naction = 'drop'\nredirect-to = { socket = 'rx' }",
        &["line 4, column 1: rule 1: only a rule that redirects has `redirect-to`"],
    );
    for wrong in [
        "'rx'",
        "{}",
        "{ sokcet = 'rx' }",
        "{ socket = 1 }",
        "{ socket = '' }",
        "{ socket = 'a', map = 'b' }",
    ] {
        refused(
            &format!("match = 'all'\naction = 'redirect'\nredirect-to = {wrong}"),
            &[&format!(
                "line 4, column 15: rule 1: `redirect-to`: this names no target: {target}"
            )],
        );
    }
}

#[test]
fn mistakes_in_the_file_are_reported() {
    for (text, expected) in [
        (
            "",
            "line 1, column 1: the file has no rules: expected `rule`: a list of tables, one for each rule",
        ),
        (
            "rules = []",
            "line 1, column 1: a rule file has no `rules`; did you mean \"rule\"?: \
             expected `rule`: a list of tables, one for each rule",
        ),
        (
            "rule = 1",
            "line 1, column 8: `rule` is a number: expected `rule`: a list of tables, one for each rule",
        ),
        (
            "rule = [1]",
            "line 1, column 9: rule 1: the rule is a number: expected a table",
        ),
        (
            "[[rule]]\nmatch = \"udp",
            "line 2, column 13: not TOML: invalid basic string, expected `\"`",
        ),
        (
            "{",
            "line 1, column 2: not JSON: found the end of the file: expected a field name in double quotes",
        ),
        (
            "{\"rule\": []} x",
            "line 1, column 14: not JSON: found `x`: expected the end of the file",
        ),
        (
            "{\"rule\": [], \"rule\": []}",
            "line 1, column 14: not JSON: `rule` appears twice",
        ),
        (
            "{\"rule\": nope}",
            "line 1, column 10: not JSON: `nope` needs double quotes",
        ),
        (
            "{\"é\": \"\\x\"}",
            "line 1, column 8: not JSON: no such escape",
        ),
    ] {
        let errors = RuleFile::parse(text).expect_err(text);
        assert_eq!(errors.to_string(), expected, "{text}");
    }
    let deep = format!("{{\"rule\": {}", "[".repeat(100_000));
    assert!(
        RuleFile::parse(&deep)
            .unwrap_err()
            .to_string()
            .contains("nested too deeply")
    );
}

#[test]
fn names_that_would_command_a_terminal_are_refused() {
    refused(
        "name = \"a\\u001b[2J\"\nmatch = 'all'\naction = 'drop'",
        &["line 2, column 8: rule 1: `name` has characters that cannot be shown: expected text"],
    );
    let target = RuleFile::parse(
        "[[rule]]\nmatch = 'all'\naction = 'redirect'\nredirect-to = { socket = \"\\u0007\" }",
    );
    assert!(
        target
            .unwrap_err()
            .to_string()
            .contains("this names no target")
    );
}

#[test]
fn a_byte_order_mark_is_overlooked() {
    for text in ["\u{FEFF}rule = []", "\u{FEFF}{\"rule\": []}"] {
        assert!(
            RuleFile::parse(text).unwrap().entries().is_empty(),
            "{text}"
        );
    }
    let errors = RuleFile::parse("\u{FEFF}rules = []").unwrap_err();
    assert_eq!(
        (errors.as_slice()[0].line, errors.as_slice()[0].column),
        (1, 1)
    );
}

#[test]
fn an_empty_list_of_rules_is_legal() {
    assert!(RuleFile::parse("rule = []").unwrap().entries().is_empty());
    assert!(
        RuleFile::parse("{\"rule\": []}")
            .unwrap()
            .entries()
            .is_empty()
    );
}

#[test]
fn the_schema_is_json_and_knows_every_match_type() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    let rules = schema["$defs"]["rule"]["oneOf"].as_array().unwrap();
    let names: Vec<_> = rules
        .iter()
        .map(|rule| rule["properties"]["match"]["const"].as_str().unwrap())
        .collect();
    assert_eq!(names, MATCHES.map(|info| info.name));
    for rule in rules {
        let required = rule["required"].as_array().unwrap();
        assert!(
            required
                .iter()
                .all(|field| rule["properties"].get(field.as_str().unwrap()).is_some())
        );
    }
}

/// JSON-like text: mostly well-formed, sometimes not.
fn jsonish() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        "[-+0-9.eE]{1,6}",
        "\"[a-z\\\\u0-9d/\"]{0,5}\"",
        Just("{".into()),
        Just("}".into()),
        Just("[".into()),
        Just("]".into()),
        Just(":".into()),
        Just(",".into()),
        Just("null".into()),
        Just("true".into()),
        Just("\"k\":".into()),
        Just(" \n".into()),
        Just("\u{1}é".into()),
    ];
    proptest::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn our_json_is_the_usual_json(text in jsonish()) {
        let usual: Result<serde_json::Value, _> = serde_json::from_str(&text);
        match json::parse(&text) {
            Ok(_) => {
                // The usual parser refuses numbers that no float can hold.
                let too_large = usual.as_ref().err().is_some_and(|error| error.to_string().contains("out of range"));
                prop_assert!(usual.is_ok() || too_large, "only we accept {text:?}: {usual:?}");
            }
            Err(found) => {
                let twice = found[0].message.contains("appears twice");
                prop_assert!(usual.is_err() || twice, "only we refuse {text:?}: {found:?}");
            }
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*", at: proptest::sample::Index, junk in "\\PC{0,3}") {
        let _ = RuleFile::parse_toml(&text);
        let _ = RuleFile::parse_json(&text);
        // A good file with something in it that does not belong there.
        let at = at.index(EVERY_MATCH.len());
        if let Some((before, behind)) = EVERY_MATCH.split_at_checked(at) {
            let _ = RuleFile::parse_toml(&format!("{before}{junk}{behind}"));
        }
    }

    #[test]
    fn port_sets_hold_what_was_put_in(ports: Vec<u16>, probe: u16) {
        let mut set = PortBitmap::new();
        ports.iter().for_each(|port| set.insert(*port));
        prop_assert_eq!(set.contains(probe), ports.contains(&probe));
        let from_ranges: Vec<u16> = set.ranges().flatten().collect();
        let mut sorted = ports;
        sorted.sort_unstable();
        sorted.dedup();
        prop_assert_eq!(from_ranges, sorted);
    }
}

#[test]
fn a_json_number_has_digits_behind_its_point() {
    for text in ["0.", "1.e3", "-7."] {
        let error = RuleFile::parse_json(text).unwrap_err();
        assert!(error.to_string().contains("is not a number"), "{text}");
    }
}

#[test]
fn rules_can_be_moved_between_lists() {
    let rule = |ports: &str| {
        format!("[[rule]]\nmatch = \"udp-port-set\"\nports = [{ports}]\naction = \"drop\"\n")
    };
    let mut list = RuleFile::parse_toml(&rule("1")).unwrap();
    let before = list.clone();
    let added = RuleFile::parse_toml(&rule("2")).unwrap().into_entries();
    for entry in added {
        list.insert(0, entry);
    }
    let held = |list: &RuleFile| -> Vec<bool> {
        let rules = list.bind(|_| None).unwrap();
        let sets = rules.iter().map(|rule| rule.pattern.port_set().port_set);
        // What a rule points at is there for as long as any list has the rule.
        sets.map(|set| list.port_set(set).unwrap().contains(2))
            .collect()
    };
    assert_eq!(held(&list), [true, false]);
    assert!(list.remove(2).is_none());
    assert!(list.remove(1).is_some());
    assert_eq!(held(&list), [true]);
    drop(list);
    assert_eq!(held(&before), [false]);
    let bytes = before.entries()[0].ports().unwrap().to_bytes();
    assert_eq!(bytes.len(), 8192);
    assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    assert!(RuleFile::empty().entries().is_empty());
}
