//! Validation of rules as applications hand them over (specification 03, section 4).

use xdp_abi::{
    ClientPtr, Handle, IpAddressMask, IpPortSet, MatchPattern, MatchType, Port, PortSet, QuicFlow,
    RedirectTargetType, Rule, RuleAction,
};
use xdp_rules::Pattern;
use xdp_rules::validate::{Action, Caller, Field, Reason, RuleError, rules};

fn one(rule: Rule, caller: Caller) -> Result<xdp_rules::validate::ValidRule, RuleError> {
    rules(&[rule], caller).next().expect("one rule")
}

fn with(match_type: MatchType, pattern: MatchPattern) -> Rule {
    Rule::new(match_type, pattern, RuleAction::DROP)
}

fn refused(rule: Rule, caller: Caller, field: Field, reason: Reason) {
    let error = RuleError {
        index: 0,
        field,
        reason,
    };
    assert_eq!(one(rule, caller), Err(error));
}

#[test]
fn every_match_type_of_the_specification_is_accepted_and_no_other() {
    for number in 0..=22 {
        let rule = with(MatchType(number), MatchPattern::default());
        let valid = one(rule, Caller::User).expect("specified");
        assert_eq!(valid.pattern.match_type(), MatchType(number));
        assert_eq!(valid.action, Action::Drop);
    }
    for number in [23, 24, 255, 256, u32::MAX] {
        let rule = with(MatchType(number), MatchPattern::default());
        refused(rule, Caller::User, Field::Match, Reason::Unknown);
    }
}

#[test]
fn a_connection_id_may_not_reach_past_byte_20() {
    let kinds = [
        MatchType::QUIC_FLOW_SRC_CID,
        MatchType::QUIC_FLOW_DST_CID,
        MatchType::TCP_QUIC_FLOW_SRC_CID,
        MatchType::TCP_QUIC_FLOW_DST_CID,
    ];
    for kind in kinds {
        for (cid_offset, cid_length) in [(0, 20), (20, 0), (12, 8), (0, 0), (19, 1)] {
            let flow = QuicFlow {
                udp_port: Port::new(443),
                cid_length,
                cid_offset,
                cid_data: [7; 20],
            };
            let rule = with(kind, MatchPattern::from_quic_flow(flow));
            assert!(one(rule, Caller::User).is_ok(), "{cid_offset} {cid_length}");
        }
        for (cid_offset, cid_length) in [(0, 21), (21, 0), (13, 8), (255, 255), (1, 255), (255, 1)]
        {
            let flow = QuicFlow {
                cid_length,
                cid_offset,
                ..QuicFlow::default()
            };
            let rule = with(kind, MatchPattern::from_quic_flow(flow));
            refused(rule, Caller::User, Field::CidRange, Reason::TooLong);
        }
    }
}

#[test]
fn the_reserved_pointer_of_a_port_set_must_be_null() {
    let set = PortSet {
        port_set: ClientPtr(0x1000),
        reserved: ClientPtr(1),
    };
    let rule = with(MatchType::UDP_PORT_SET, MatchPattern::from_port_set(set));
    refused(rule, Caller::User, Field::PortSetReserved, Reason::NotNull);
    for kind in [
        MatchType::IPV4_UDP_PORT_SET,
        MatchType::IPV6_UDP_PORT_SET,
        MatchType::IPV4_TCP_PORT_SET,
        MatchType::IPV6_TCP_PORT_SET,
    ] {
        let at = IpPortSet {
            address: [10, 0, 0, 1].into(),
            port_set: set,
        };
        let rule = with(kind, MatchPattern::from_ip_port_set(at));
        refused(rule, Caller::User, Field::PortSetReserved, Reason::NotNull);
        let at = IpPortSet {
            port_set: PortSet {
                reserved: ClientPtr::default(),
                ..set
            },
            ..at
        };
        let rule = with(kind, MatchPattern::from_ip_port_set(at));
        let valid = one(rule, Caller::User).expect("null");
        assert_eq!(valid.pattern.port_set(), Some(&ClientPtr(0x1000)));
    }
}

#[test]
fn actions_and_redirect_targets_are_checked() {
    let all = |action| Rule::new(MatchType::ALL, MatchPattern::default(), action);
    for (action, expected) in [
        (RuleAction::DROP, Action::Drop),
        (RuleAction::PASS, Action::Pass),
        (RuleAction::L2FWD, Action::L2Forward),
    ] {
        let valid = one(all(action), Caller::User).expect("specified");
        assert_eq!(valid.action, expected);
    }
    refused(
        all(RuleAction(5)),
        Caller::User,
        Field::Action,
        Reason::Unknown,
    );
    let redirect = |kind| Rule::redirect(MatchType::ALL, MatchPattern::default(), kind, Handle(8));
    let valid = one(redirect(RedirectTargetType::XSK), Caller::User).expect("specified");
    assert_eq!(valid.action, Action::RedirectToSocket(Handle(8)));
    let by_queue = redirect(RedirectTargetType::XSKMAP_BY_QUEUEID);
    let valid = one(by_queue, Caller::User).expect("specified");
    assert_eq!(valid.action, Action::RedirectByQueue(Handle(8)));
    let unknown = redirect(RedirectTargetType(2));
    refused(
        unknown,
        Caller::User,
        Field::RedirectTargetType,
        Reason::Unknown,
    );
    // What belongs to another action is not looked at.
    let drop = Rule {
        action: RuleAction::DROP,
        ..unknown
    };
    assert!(one(drop, Caller::User).is_ok());
}

#[test]
fn ebpf_is_for_kernel_callers_and_stands_alone() {
    let ebpf = Rule::new(MatchType::ALL, MatchPattern::default(), RuleAction::EBPF);
    refused(ebpf, Caller::User, Field::Action, Reason::NotForUser);
    assert!(matches!(
        one(ebpf, Caller::Kernel).map(|valid| valid.action),
        Ok(Action::Ebpf(_))
    ));
    let udp = Rule {
        match_type: MatchType::UDP,
        ..ebpf
    };
    refused(udp, Caller::Kernel, Field::Action, Reason::NotAlone);
    let two = [with(MatchType::ALL, MatchPattern::default()), ebpf];
    let results: Vec<_> = rules(&two, Caller::Kernel).collect();
    assert!(results[0].is_ok());
    let error = results[1].expect_err("not alone");
    assert_eq!((error.index, error.reason), (1, Reason::NotAlone));
    assert_eq!(
        error.to_string(),
        "rule 1: action must be the only rule's and match everything"
    );
}

#[test]
fn bytes_mean_what_the_interface_says() {
    let masked = IpAddressMask {
        mask: [255, 255, 0, 0].into(),
        address: [10, 1, 0, 0].into(),
    };
    let rule = with(MatchType::IPV4_DST_MASK, MatchPattern::from_ip_mask(masked));
    let Ok(Pattern::Ipv4DstMask(valid)) = one(rule, Caller::User).map(|valid| valid.pattern) else {
        panic!("an IPv4 mask");
    };
    assert_eq!(valid.mask.octets(), [255, 255, 0, 0]);
    assert_eq!(valid.address.octets(), [10, 1, 0, 0]);
    let rule = with(
        MatchType::UDP_DST,
        MatchPattern::from_port(Port::from_bytes([0x01, 0xBB])),
    );
    let pattern = one(rule, Caller::User).map(|valid| valid.pattern);
    assert_eq!(pattern, Ok(Pattern::UdpDst(443)));
    let rule = with(
        MatchType::IP_NEXT_HEADER,
        MatchPattern::from_next_header(58),
    );
    let pattern = one(rule, Caller::User).map(|valid| valid.pattern);
    assert_eq!(pattern, Ok(Pattern::IpNextHeader(58)));
}
