use super::*;
use crate::monitor::sample::{Frames, LOSSES, Rule, RuleKey};
use crate::session::Traffic;
use crate::talkers::{Pair, Talker};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

fn queue(number: u32) -> QueueKey {
    QueueKey {
        interface: "nic0".into(),
        hook: "receive",
        queue: number,
    }
}

/// What there is after so many seconds, of traffic that is the same in each.
fn sample(seconds: u64) -> Sample {
    let frames = |passed: u64, lost: u64| {
        let mut losses = [0; LOSSES.len()];
        losses[0] = lost * seconds;
        Frames {
            passed: passed * seconds,
            dropped: 200 * seconds,
            lost: losses,
            ..Frames::default()
        }
    };
    let rule = |queue: u32, number: usize, name: &str, hits: u64| {
        let key = RuleKey {
            interface: "nic0".into(),
            queue,
            program: 4,
            number,
        };
        let rule = Rule {
            name: name.into(),
            text: "udp-dst 53 drop".into(),
            hits: hits * seconds,
        };
        (key, rule)
    };
    let talker = |source: &str, bytes: u64| Talker {
        pair: Pair {
            source: source.into(),
            destination: "192.0.2.2".into(),
            service: "TCP 443".into(),
        },
        frames: 10 * seconds,
        bytes: bytes * seconds,
    };
    Sample {
        at: Duration::from_secs(seconds),
        queues: [(queue(0), frames(1000, 0)), (queue(1), frames(3000, 5))].into(),
        rules: [
            rule(0, 1, "dns", 200),
            rule(1, 1, "dns", 200),
            rule(0, 2, "rule 2", 0),
        ]
        .into(),
        traffic: vec![Traffic {
            interface: "nic0".into(),
            received: 4400 * seconds,
            received_bytes: 1_000_000 * seconds,
            ..Traffic::default()
        }],
        talkers: vec![talker("192.0.2.9", 100), talker("192.0.2.1", 125_000)],
    }
}

/// The screen as text.
fn drawn(view: &View, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width));
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>())
        .map(|row| row.trim_end().to_owned() + "\n")
        .collect()
}

fn view() -> View {
    let mut view = View::new("lab:demo".into(), sample(0));
    for second in 1..=3 {
        view.take(sample(second));
    }
    view
}

fn words(line: &str) -> Vec<&str> {
    line.split([' ', '│'])
        .filter(|word| !word.is_empty())
        .collect()
}

/// The words of the line that starts with these.
fn line<'a>(screen: &'a str, start: &[&str]) -> Vec<&'a str> {
    let mut lines = screen.lines().map(words);
    lines
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("no {start:?}:\n{screen}"))
}

#[test]
fn queues_rules_and_talkers_are_on_the_screen() {
    let screen = drawn(&view(), 120, 30);
    assert!(
        screen.starts_with(
            "xdp monitor lab:demo   3 s   nic0: in 4.40 kf/s, 8.00 Mbit/s; out 0 f/s, 0 bit/s\n"
        ),
        "{screen}"
    );
    assert!(screen.contains("now 4.40 k, most 4.40 k"), "{screen}");
    let queues = line(&screen, &["nic0", "0"]);
    assert_eq!(
        queues,
        [
            "nic0",
            "0",
            "1.20",
            "k",
            "1.00",
            "k",
            "200",
            "0",
            "0",
            "0",
            "███"
        ],
        "{screen}"
    );
    let queues = line(&screen, &["nic0", "1"]);
    assert_eq!(
        queues,
        [
            "nic0",
            "1",
            "3.20",
            "k",
            "3.00",
            "k",
            "200",
            "0",
            "0",
            "5",
            "███"
        ],
        "{screen}"
    );
    // The hits of both queues together, beside the talkers with the loudest first.
    let rules = line(&screen, &["1", "dns"]);
    assert_eq!(
        rules[..7],
        ["1", "dns", "400", "1200", "udp-dst", "53", "drop"],
        "{screen}"
    );
    assert_eq!(
        rules[7..],
        [
            "192.0.2.1",
            ">",
            "192.0.2.2",
            "TCP",
            "443",
            "10",
            "1.00",
            "Mbit/s"
        ],
        "{screen}"
    );
    assert!(
        screen.ends_with("q leave   p pause   e why frames are lost\n"),
        "{screen}"
    );
}

#[test]
fn it_fits_a_small_terminal_and_no_terminal() {
    let screen = drawn(&view(), 80, 24);
    assert!(
        screen.contains("Rules") && screen.contains("Top talkers"),
        "{screen}"
    );
    for (width, height) in [(20, 5), (1, 1), (300, 100)] {
        drawn(&view(), width, height);
    }
}

#[test]
fn keys_pause_and_tell_why() {
    let mut view = view();
    let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
    assert_eq!(view.key(key(KeyCode::Char('e'))), Wish::Nothing);
    let screen = drawn(&view, 120, 30);
    assert!(
        line(&screen, &["nic0", "1"])
            .join(" ")
            .ends_with("no room in the socket 15"),
        "{screen}"
    );
    view.key(key(KeyCode::Char('p')));
    view.take(sample(9));
    let screen = drawn(&view, 120, 30);
    assert!(
        screen
            .lines()
            .next()
            .is_some_and(|line| line.contains("   3 s ") && line.ends_with("paused")),
        "{screen}"
    );
    // What came meanwhile is part of the next interval.
    view.key(key(KeyCode::Char('p')));
    view.take(sample(13));
    let screen = drawn(&view, 120, 30);
    assert!(screen.contains("in 4.40 kf/s"), "{screen}");
    assert_eq!(view.key(key(KeyCode::Char('q'))), Wish::Leave);
    assert_eq!(view.key(key(KeyCode::Esc)), Wish::Leave);
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(view.key(interrupt), Wish::Interrupt);
}

#[test]
fn an_empty_system_says_so() {
    let mut view = View::new("lab:".into(), Sample::default());
    view.take(Sample::default());
    let screen = drawn(&view, 100, 24);
    for text in [
        "No program and no socket is on any queue",
        "No rules.",
        "Nobody was heard yet",
    ] {
        assert!(screen.contains(text), "{text}:\n{screen}");
    }
}

#[test]
fn a_queue_that_went_and_came_back_begins_again() {
    let mut view = view();
    let mut without = sample(4);
    without.queues.remove(&queue(1));
    view.take(without);
    assert!(!view.by_queue.contains_key(&queue(1)));
    let mut again = sample(5);
    again.queues.insert(
        queue(1),
        Frames {
            passed: 7,
            ..Frames::default()
        },
    );
    view.take(again);
    assert_eq!(view.by_queue[&queue(1)], [7]);
}

#[test]
fn rules_name_their_interface_where_there_are_several() {
    let screen = drawn(&view(), 120, 30);
    assert_eq!(screen.matches("INTERFACE").count(), 1, "{screen}");
    let mut both = sample(4);
    let other: Vec<_> = both
        .rules
        .iter()
        .map(|(key, rule)| {
            let key = RuleKey {
                interface: "nic1".into(),
                ..key.clone()
            };
            (key, rule.clone())
        })
        .collect();
    both.rules.extend(other);
    let mut view = View::new("all interfaces".into(), both.clone());
    view.take(both);
    let screen = drawn(&view, 120, 30);
    assert_eq!(screen.matches("INTERFACE").count(), 2, "{screen}");
    line(&screen, &["nic1", "1", "dns"]);
}
