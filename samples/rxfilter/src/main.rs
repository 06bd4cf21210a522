//! Filters what a queue receives with one rule; frames that the rule does not match pass.

#![forbid(unsafe_code)]

use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::ExitCode;

use named_args::{Args, TICK, catch_interrupts, close, find, interrupted, mode, one_of};
use xdp::{Match, Mode, Program, Rule};

const USAGE: &str = "\
Usage: rxfilter -IfIndex <INTERFACE> -QueueId <N|*> -MatchType <TYPE> [MATCH] -Action <ACTION> [-XdpMode <MODE>]

Runs until Ctrl-C. Frames that the rule does not match pass.

  -IfIndex    index of the interface, its name, or lab:...
  -QueueId    a receive queue, or * for all
  -MatchType  All
              UdpDstPort          with -UdpDstPort <PORT>
              IcmpEchoReplyIpv4   with -IcmpDstIpv4 <ADDRESS>
              IcmpEchoReplyIpv6   with -IcmpDstIpv6 <ADDRESS>
  -Action     Pass, Drop, L2Fwd
  -XdpMode    System (default), Generic, Native

Example: rxfilter -IfIndex 6 -QueueId * -MatchType UdpDstPort -UdpDstPort 9 -Action Drop";

/// Makes a rule of a match.
type Act = fn(Match) -> Rule;

struct Filter {
    interface: String,
    /// `None`: all queues.
    queue: Option<u32>,
    rule: Rule,
    mode: Mode,
}

fn main() -> ExitCode {
    named_args::reference_sample(USAGE, |args| {
        let filter = parse(args)?;
        catch_interrupts()?;
        let interface = find(&filter.interface)?;
        let program = Program::builder(&interface)
            .rule(filter.rule)
            .mode(filter.mode);
        let program = match filter.queue {
            Some(queue) => program.queue(queue),
            None => program.all_queues(),
        };
        let program = program.attach()?;
        println!("filtering on {}", interface.name());
        while !interrupted() {
            std::thread::sleep(TICK);
        }
        program.detach();
        close(interface)
    })
}

fn parse(mut args: Args) -> Result<Filter, String> {
    let interface = args.required("-IfIndex")?;
    let queue: String = args.required("-QueueId")?;
    let queue = match queue.as_str() {
        "*" => None,
        number => Some(number.parse().map_err(|_| {
            format!("-QueueId cannot be `{number}`: it is a number, or * for all queues")
        })?),
    };
    let kind: String = args.required("-MatchType")?;
    let kinds = [
        ("All", 0),
        ("UdpDstPort", 1),
        ("IcmpEchoReplyIpv4", 2),
        ("IcmpEchoReplyIpv6", 3),
    ];
    let what = match one_of("-MatchType", &kind, &kinds)? {
        0 => Match::all(),
        1 => Match::udp_dst(args.required("-UdpDstPort")?),
        2 => Match::echo_reply_to(args.required::<Ipv4Addr>("-IcmpDstIpv4")?.into()),
        _ => Match::echo_reply_to(args.required::<Ipv6Addr>("-IcmpDstIpv6")?.into()),
    };
    let action: String = args.required("-Action")?;
    let actions: [(&str, Act); 3] = [
        ("Pass", Match::pass),
        ("Drop", Match::drop),
        ("L2Fwd", Match::send_back),
    ];
    let filter = Filter {
        interface,
        queue,
        rule: one_of("-Action", &action, &actions)?(what),
        mode: mode(&mut args)?,
    };
    args.finish()?;
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &'static str) -> Result<Filter, String> {
        parse(line.split_whitespace().collect())
    }

    #[test]
    fn the_options_of_the_reference_are_taken() {
        let filter = parsed("-ifindex 5 -queueid * -matchtype udpdstport -udpdstport 53 -action drop -xdpmode native")
            .expect("all of it is valid");
        assert_eq!((filter.interface.as_str(), filter.queue), ("5", None));
        assert_eq!(filter.mode, Mode::Native);
        let filter = parsed(
            "-IfIndex lab: -QueueId 3 -MatchType IcmpEchoReplyIpv6 -IcmpDstIpv6 ::1 -Action L2Fwd",
        )
        .expect("all of it is valid");
        assert_eq!((filter.queue, filter.mode), (Some(3), Mode::Auto));
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        for line in [
            "",
            "-IfIndex 5 -QueueId * -MatchType All",
            "-IfIndex 5 -QueueId x -MatchType All -Action Drop",
            "-IfIndex 5 -QueueId * -MatchType UdpDstPort -Action Drop",
            "-IfIndex 5 -QueueId * -MatchType UdpDstPort -UdpDstPort 65536 -Action Drop",
            "-IfIndex 5 -QueueId * -MatchType IcmpEchoReplyIpv4 -IcmpDstIpv4 ::1 -Action Drop",
            "-IfIndex 5 -QueueId * -MatchType Some -Action Drop",
            "-IfIndex 5 -QueueId * -MatchType All -Action Redirect",
            "-IfIndex 5 -QueueId * -MatchType All -Action Drop -Loud",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
