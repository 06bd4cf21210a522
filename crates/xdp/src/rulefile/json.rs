//! JSON to nodes.
//!
//! Written here because errors must point at the value they are about, and the usual parser forgets where values stood.

use super::error::Found;
use super::node::{Kind, Member, Node};
use std::ops::Range;

/// Deeper nesting than any rule file needs; the parser recurses.
const MAX_DEPTH: usize = 32;

pub(super) fn parse(text: &str) -> Result<Node, Vec<Found>> {
    let mut parser = Parser { text, at: 0 };
    let root = parser.value(0).and_then(|root| {
        parser.skip_space();
        match parser.peek() {
            None => Ok(root),
            Some(_) => Err(parser.unexpected("the end of the file")),
        }
    });
    root.map_err(|found| vec![found])
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

type Parsed<T> = Result<T, Found>;

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Parsed<Node> {
        self.skip_space();
        let start = self.at;
        if depth == MAX_DEPTH {
            return Err(Found::new(
                start..start + 1,
                "not JSON: nested too deeply".into(),
            ));
        }
        let kind = match self.peek() {
            Some('{') => self.table(depth)?,
            Some('[') => self.list(depth)?,
            Some('"') => Kind::Text(self.text()?),
            Some('-' | '0'..='9') => self.number()?,
            Some('a'..='z') => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node {
            kind,
            span: start..self.at,
        })
    }

    fn table(&mut self, depth: usize) -> Parsed<Kind> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some('}') if members.is_empty() => break,
                Some('"') => {}
                _ => return Err(self.unexpected("a field name in double quotes")),
            }
            let start = self.at;
            let key = self.text()?;
            let key_span = start..self.at;
            if members.iter().any(|member| member.key == key) {
                return Err(Found::new(
                    key_span,
                    format!("not JSON: `{key}` appears twice"),
                ));
            }
            self.skip_space();
            self.expect(':')?;
            let value = self.value(depth + 1)?;
            members.push(Member {
                key,
                key_span,
                value,
            });
            self.skip_space();
            match self.peek() {
                Some(',') => self.at += 1,
                Some('}') => break,
                _ => return Err(self.unexpected("`,` or `}`")),
            }
        }
        self.at += 1;
        Ok(Kind::Table(members))
    }

    fn list(&mut self, depth: usize) -> Parsed<Kind> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(']') {
            self.at += 1;
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(',') => self.at += 1,
                Some(']') => break,
                _ => return Err(self.unexpected("`,` or `]`")),
            }
        }
        self.at += 1;
        Ok(Kind::List(items))
    }

    fn text(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(next) = self.peek() else {
                return Err(Found::new(
                    start..self.at,
                    "not JSON: text without end".into(),
                ));
            };
            match next {
                '"' => break,
                '\\' => text.push(self.escape()?),
                '\0'..='\x1F' => return Err(self.unexpected("an escape such as `\\n`")),
                other => {
                    text.push(other);
                    self.at += other.len_utf8();
                }
            }
        }
        self.at += 1;
        Ok(text)
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let wrong = |range: Range<usize>| Found::new(range, "not JSON: no such escape".into());
        let kind = self.peek().ok_or_else(|| wrong(start..start + 1))?;
        self.at += kind.len_utf8();
        Ok(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\x08',
            'f' => '\x0C',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.hex4().ok_or_else(|| wrong(start..self.at))?;
                let units = match first {
                    0xD800..=0xDBFF if self.text[self.at..].starts_with("\\u") => {
                        self.at += 2;
                        vec![first, self.hex4().ok_or_else(|| wrong(start..self.at))?]
                    }
                    _ => vec![first],
                };
                match char::decode_utf16(units).next() {
                    Some(Ok(decoded)) => decoded,
                    _ => return Err(wrong(start..self.at)),
                }
            }
            _ => return Err(wrong(start..self.at)),
        })
    }

    fn hex4(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        self.at += 4;
        u16::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.skip(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let number = &self.text[start..self.at];
        let digits = number.strip_prefix('-').unwrap_or(number);
        let padded = digits.len() > 1 && digits.starts_with('0');
        if digits.bytes().all(|digit| digit.is_ascii_digit()) && !digits.is_empty() && !padded {
            return Ok(Kind::Integer(number.parse().ok()));
        }
        let fraction = digits.trim_start_matches(|c: char| c.is_ascii_digit());
        // What Rust takes for a number and JSON does not: no digit before the point or behind it.
        let behind_point = fraction.strip_prefix('.');
        if number.parse::<f64>().is_ok()
            && fraction.starts_with(['.', 'e', 'E'])
            && !digits.starts_with('.')
            && behind_point.is_none_or(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            return Ok(Kind::Other("a number with a fraction"));
        }
        Err(Found::new(
            start..self.at,
            format!("not JSON: `{number}` is not a number"),
        ))
    }

    fn word(&mut self) -> Parsed<Kind> {
        let start = self.at;
        self.skip(|c| c.is_ascii_alphanumeric());
        match &self.text[start..self.at] {
            "true" | "false" => Ok(Kind::Other("true or false")),
            "null" => Ok(Kind::Other("null")),
            word => Err(Found::new(
                start..self.at,
                format!("not JSON: `{word}` needs double quotes"),
            )),
        }
    }

    fn skip_space(&mut self) {
        self.skip(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn skip(&mut self, mut belongs: impl FnMut(char) -> bool) {
        while let Some(next) = self.peek().filter(|next| belongs(*next)) {
            self.at += next.len_utf8();
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn expect(&mut self, wanted: char) -> Parsed<()> {
        if self.peek() != Some(wanted) {
            return Err(self.unexpected(&format!("`{wanted}`")));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn unexpected(&self, wanted: &str) -> Found {
        let (found, size) = match self.peek() {
            Some(next) => (format!("`{}`", next.escape_debug()), next.len_utf8()),
            None => ("the end of the file".into(), 0),
        };
        Found::new(self.at..self.at + size, format!("not JSON: found {found}")).expecting(wanted)
    }
}
