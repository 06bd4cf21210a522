//! The tables of the full-screen view: queues, rules, talkers.

use std::collections::{BTreeMap, VecDeque};

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Table, Wrap};

use super::{QUIET, TRAFFIC, View};
use crate::args::si;
use crate::monitor::lines::short;
use crate::monitor::sample::{LOSSES, RuleKey};

/// Intervals in the trend of one queue.
const TREND: usize = 16;

const HEAD: Style = Style::new().add_modifier(Modifier::DIM);
const BAD: Style = Style::new().fg(Color::Red);

impl View {
    pub(super) fn queues(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = Block::bordered().title(" Queues ");
        if self.change.queues.is_empty() {
            let text = "No program and no socket is on any queue: nothing is counted.";
            frame.render_widget(Paragraph::new(text).style(QUIET).block(block), area);
            return;
        }
        let mut names = vec![
            "INTERFACE",
            "QUEUE",
            "FRAMES/S",
            "PASSED",
            "DROPPED",
            "TO SOCKET",
            "SENT BACK",
            "LOST",
        ];
        names.push(if self.is_detailed {
            "WHY (SINCE THE START)"
        } else {
            "TREND"
        });
        let rows = self
            .now
            .queues
            .iter()
            .zip(self.change.queues.values())
            .filter(|((key, _), _)| self.is_shown(key))
            .map(|((key, all), frames)| {
                let rate = |number: u64| short(self.change.per_second(number));
                let lost = frames.all_lost();
                let mut cells = vec![
                    Cell::from(key.interface.clone()),
                    Cell::from(match key.hook {
                        "receive" => key.queue.to_string(),
                        _ => format!("tx {}", key.queue),
                    }),
                ];
                let numbers = [
                    frames.seen(),
                    frames.passed,
                    frames.dropped,
                    frames.redirected,
                    frames.sent_back,
                ];
                cells.extend(numbers.map(|number| right(rate(number), 9)));
                cells.push(right(rate(lost), 9).style(if lost > 0 { BAD } else { Style::new() }));
                cells.push(match self.is_detailed {
                    true => {
                        let why = LOSSES.iter().zip(all.lost).filter(|(_, lost)| *lost > 0);
                        let why: Vec<String> = why
                            .map(|((why, _), lost)| format!("{why} {lost}"))
                            .collect();
                        Cell::from(why.join(", "))
                    }
                    false => {
                        let history = self.by_queue.get(key);
                        Cell::from(history.map_or_else(String::new, trend)).style(TRAFFIC)
                    }
                });
                Row::new(cells)
            });
        let names_of = self.now.queues.keys().map(|key| key.interface.as_str());
        let widths = [
            Constraint::Length(width_of("INTERFACE", names_of)),
            Constraint::Length(5),
        ]
        .into_iter()
        .chain([Constraint::Length(9); 6])
        .chain([Constraint::Fill(1)]);
        let header = names.iter().enumerate().map(|(column, name)| match column {
            2..=7 => right((*name).to_owned(), 9),
            _ => Cell::from(*name),
        });
        let table = Table::new(rows, widths)
            .header(Row::new(header).style(HEAD))
            .block(block);
        frame.render_widget(table, area);
    }

    pub(super) fn rules(&self, frame: &mut Frame<'_>, area: Rect) {
        // A rule is one thing for people, on however many queues it is.
        let mut sums: BTreeMap<(String, u64, usize), (u64, u64)> = BTreeMap::new();
        for ((key, rule), hits) in self.now.rules.iter().zip(self.change.rules.values()) {
            let sum = sums
                .entry((key.interface.clone(), key.program, key.number))
                .or_default();
            sum.0 += rule.hits;
            sum.1 += hits;
        }
        let block = Block::bordered().title(" Rules ");
        if sums.is_empty() {
            frame.render_widget(Paragraph::new("No rules.").style(QUIET).block(block), area);
            return;
        }
        let interfaces = || sums.keys().map(|(interface, _, _)| interface.as_str());
        // Where there is one, it is in the list of queues.
        let are_several = interfaces().any(|name| interfaces().next() != Some(name));
        let rows = sums
            .iter()
            .map(|((interface, program, number), (hits, new))| {
                let is_this = |key: &&RuleKey| {
                    key.interface == *interface && key.program == *program && key.number == *number
                };
                let rule = self
                    .now
                    .rules
                    .keys()
                    .find(is_this)
                    .and_then(|key| self.now.rules.get(key));
                let (name, text) =
                    rule.map_or(("", ""), |rule| (rule.name.as_str(), rule.text.as_str()));
                let style = if *new > 0 { Style::new() } else { QUIET };
                let interface = are_several.then(|| Cell::from(interface.clone()));
                Row::new(interface.into_iter().chain([
                    right(number.to_string(), 3),
                    Cell::from(name),
                    right(short(self.change.per_second(*new)), 8),
                    right(hits.to_string(), 10),
                    Cell::from(text),
                ]))
                .style(style)
            });
        let names = self.now.rules.values().map(|rule| rule.name.as_str());
        let interface = Constraint::Length(width_of("INTERFACE", interfaces()));
        let widths = are_several.then_some(interface).into_iter().chain([
            Constraint::Length(3),
            Constraint::Length(width_of("NAME", names)),
            Constraint::Length(8),
            Constraint::Length(10),
            Constraint::Fill(1),
        ]);
        let interface = are_several.then(|| Cell::from("INTERFACE"));
        let header = Row::new(interface.into_iter().chain([
            right("#".into(), 3),
            Cell::from("NAME"),
            right("HITS/S".into(), 8),
            right("HITS".into(), 10),
            Cell::from("RULE"),
        ]));
        frame.render_widget(
            Table::new(rows, widths)
                .header(header.style(HEAD))
                .block(block),
            area,
        );
    }

    pub(super) fn talkers(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = Block::bordered().title(" Top talkers ");
        if self.change.talkers.is_empty() {
            let text = "Nobody was heard yet. On interfaces that are not of a lab in another terminal, --talkers listens.";
            let text = Paragraph::new(text).wrap(Wrap { trim: true });
            frame.render_widget(text.style(QUIET).block(block), area);
            return;
        }
        let beside = 10 + 9 + 13 + 3;
        let room = usize::from(block.inner(area).width).saturating_sub(beside);
        // Who talks now comes before who talked once.
        let mut order: Vec<_> = self.now.talkers.iter().zip(&self.change.talkers).collect();
        order.sort_by_key(|(all, new)| std::cmp::Reverse((new.bytes, all.bytes)));
        let rows = order.into_iter().map(|(all, new)| {
            let style = if new.frames > 0 { Style::new() } else { QUIET };
            Row::new([
                Cell::from(who(&all.pair.source, &all.pair.destination, room)),
                Cell::from(all.pair.service.clone()),
                right(short(self.change.per_second(new.frames)), 9),
                right(si(self.change.per_second(new.bytes) * 8.0, "bit/s"), 13),
            ])
            .style(style)
        });
        let widths = [
            Constraint::Fill(1),
            Constraint::Length(10),
            Constraint::Length(9),
            Constraint::Length(13),
        ];
        let header = Row::new([
            Cell::from("WHO"),
            Cell::from("SERVICE"),
            right("FRAMES/S".into(), 9),
            right("BITS/S".into(), 13),
        ]);
        frame.render_widget(
            Table::new(rows, widths)
                .header(header.style(HEAD))
                .block(block),
            area,
        );
    }
}

/// Both of a pair in so much room: what is left out is in the middle of each.
fn who(source: &str, destination: &str, room: usize) -> String {
    const ARROW: &str = " > ";
    let both = room.saturating_sub(ARROW.len());
    let half = both / 2;
    // What one does not need is the other's.
    let rest = |other: &str| both.saturating_sub(other.chars().count()).max(half);
    let (source, destination) = (
        shortened(source, rest(destination)),
        shortened(destination, rest(source)),
    );
    format!("{source}{ARROW}{destination}")
}

/// A name in so much room.
fn shortened(name: &str, room: usize) -> String {
    let length = name.chars().count();
    if length <= room {
        return name.to_owned();
    }
    let kept = room.saturating_sub(1);
    let (start, end) = (kept.div_ceil(2), kept / 2);
    name.chars()
        .take(start)
        .chain(['…'])
        .chain(name.chars().skip(length - end))
        .collect()
}

/// How wide a column of names is, within reason.
fn width_of<'a>(title: &'a str, names: impl Iterator<Item = &'a str>) -> u16 {
    let width = names.chain([title]).map(|name| name.chars().count()).max();
    width.unwrap_or(0).min(20) as u16
}

fn right(text: String, width: usize) -> Cell<'static> {
    Cell::from(format!("{text:>width$}"))
}

/// The last values as bars of one letter each.
fn trend(history: &VecDeque<u64>) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let start = history.len().saturating_sub(TREND);
    let shown = || history.iter().skip(start);
    let most = shown().copied().max().unwrap_or(0).max(1);
    shown()
        .map(|value| match value {
            0 => ' ',
            value => BARS[((value * 8).div_ceil(most) as usize).clamp(1, 8) - 1],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_keeps_both_ends_of_both() {
        let long = "fe80::2c8e:acff:feb6:1431";
        assert_eq!(who("192.0.2.1", "192.0.2.2", 24), "192.0.2.1 > 192.0.2.2");
        // What the short one does not need is the long one's.
        assert_eq!(who(long, "ff02::1", 24), "fe80::2…6:1431 > ff02::1");
        assert_eq!(who("ff02::1", long, 24), "ff02::1 > fe80::2…6:1431");
        assert_eq!(who(long, long, 23), "fe80:…1431 > fe80:…1431");
        for room in 0..60 {
            let text = who(long, long, room);
            // The arrow and two marks are the least.
            assert!(text.chars().count() <= room.max(5), "{room}: {text}");
        }
    }

    #[test]
    fn trends_are_bars() {
        let history: VecDeque<u64> = [0, 1, 4, 8].into();
        assert_eq!(trend(&history), " ▁▄█");
        let long: VecDeque<u64> = (0..100).collect();
        assert_eq!(trend(&long).chars().count(), TREND);
    }
}
