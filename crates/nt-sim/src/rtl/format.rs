//! printf with the conversions and sizes of the Windows kernel.

use nt::sys::{STRING, UNICODE_STRING};

use crate::mem::guest;

/// Where the arguments behind the format are.
pub(super) enum Arguments<'a> {
    /// A `va_list`: consecutive 8-byte slots.
    List(*const u64),
    /// The arguments of a variadic function, as far as they were passed on.
    Slots(&'a [u64]),
}

impl Arguments<'_> {
    fn next(&mut self) -> u64 {
        match self {
            Self::List(at) => {
                let value = guest::load(*at);
                *at = at.wrapping_add(1);
                value
            }
            Self::Slots(slots) => match slots.split_first() {
                Some((&first, rest)) => {
                    *slots = rest;
                    first
                }
                None => 0,
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Default,
    Byte,
    Short,
    Long,
    Wide,
    Quad,
}

#[derive(Default)]
struct Flags {
    left: bool,
    plus: bool,
    space: bool,
    zero: bool,
    alternate: bool,
}

struct Conversion {
    flags: Flags,
    width: usize,
    precision: Option<usize>,
    size: Size,
}

/// No field is wider: a stray `*` argument must not eat the host's memory.
const MAX_FIELD: usize = 1 << 16;

/// Formats. Characters are 16-bit units; in a narrow function (`wide` false) each stands for one byte.
pub(super) fn format(format: &[u16], arguments: &mut Arguments<'_>, wide: bool) -> Vec<u16> {
    let mut out = Vec::new();
    let mut rest = format;
    while let Some((&unit, tail)) = rest.split_first() {
        rest = tail;
        if unit != u16::from(b'%') {
            out.push(unit);
            continue;
        }
        if let Some((&percent, tail)) = rest.split_first()
            && percent == u16::from(b'%')
        {
            out.push(percent);
            rest = tail;
            continue;
        }
        let conversion = parse(&mut rest, arguments);
        let Some((&kind, tail)) = rest.split_first() else {
            break;
        };
        rest = tail;
        convert(
            &mut out,
            &conversion,
            char::from_u32(kind.into()).unwrap_or('?'),
            arguments,
            wide,
        );
    }
    out
}

fn peek(rest: &[u16]) -> char {
    rest.first()
        .and_then(|&unit| char::from_u32(unit.into()))
        .unwrap_or('\0')
}

fn parse(rest: &mut &[u16], arguments: &mut Arguments<'_>) -> Conversion {
    let mut flags = Flags::default();
    loop {
        match peek(rest) {
            '-' => flags.left = true,
            '+' => flags.plus = true,
            ' ' => flags.space = true,
            '0' => flags.zero = true,
            '#' => flags.alternate = true,
            _ => break,
        }
        *rest = &rest[1..];
    }
    let width = number(rest, arguments);
    if width < 0 {
        flags.left = true;
    }
    let mut precision = None;
    if peek(rest) == '.' {
        *rest = &rest[1..];
        precision = usize::try_from(number(rest, arguments)).ok();
    }
    let size = size(rest);
    let width = (width.unsigned_abs() as usize).min(MAX_FIELD);
    Conversion {
        flags,
        width,
        precision: precision.map(|p| p.min(MAX_FIELD)),
        size,
    }
}

/// A number in the format, or `*` for one among the arguments.
fn number(rest: &mut &[u16], arguments: &mut Arguments<'_>) -> i32 {
    if peek(rest) == '*' {
        *rest = &rest[1..];
        return arguments.next() as i32;
    }
    let mut value = 0i32;
    while let Some(digit) = peek(rest).to_digit(10) {
        value = value.saturating_mul(10).saturating_add(digit as i32);
        *rest = &rest[1..];
    }
    value
}

fn size(rest: &mut &[u16]) -> Size {
    let take = |rest: &mut &[u16], prefix: &str| {
        let units: Vec<u16> = prefix.encode_utf16().collect();
        let found = rest.starts_with(&units);
        if found {
            *rest = &rest[units.len()..];
        }
        found
    };
    let sizes = [
        ("I64", Size::Quad),
        ("I32", Size::Long),
        ("I", Size::Quad),
        ("ll", Size::Quad),
        ("l", Size::Long),
        ("hh", Size::Byte),
        ("h", Size::Short),
        ("w", Size::Wide),
        ("z", Size::Quad),
        ("t", Size::Quad),
        ("j", Size::Quad),
        ("L", Size::Quad),
    ];
    sizes
        .into_iter()
        .find(|(prefix, _)| take(rest, prefix))
        .map_or(Size::Default, |(_, size)| size)
}

fn convert(
    out: &mut Vec<u16>,
    conversion: &Conversion,
    kind: char,
    arguments: &mut Arguments<'_>,
    wide: bool,
) {
    match kind {
        'd' | 'i' => {
            let value = signed(arguments.next(), conversion.size);
            integer(out, conversion, value.unsigned_abs(), value < 0, true, kind);
        }
        'u' | 'o' | 'x' | 'X' => {
            let value = unsigned(arguments.next(), conversion.size);
            integer(out, conversion, value, false, false, kind);
        }
        'p' => {
            let digits = format!("{:016X}", arguments.next());
            pad(
                out,
                conversion,
                &digits.encode_utf16().collect::<Vec<_>>(),
                false,
            );
        }
        'c' | 'C' => {
            let value = arguments.next() as u16;
            let unit = if wide_text(conversion.size, kind == 'C', wide) {
                value
            } else {
                value & 0xff
            };
            pad(out, conversion, &[narrowed(unit, wide)], false);
        }
        's' | 'S' => {
            let text = if wide_text(conversion.size, kind == 'S', wide) {
                wide_string(arguments.next() as *const u16, conversion.precision)
            } else {
                narrow_string(arguments.next() as *const u8, conversion.precision)
            };
            let text: Vec<u16> = text.into_iter().map(|unit| narrowed(unit, wide)).collect();
            pad(out, conversion, &text, false);
        }
        'Z' => {
            let text = counted(arguments.next(), conversion.size);
            let shown = conversion.precision.unwrap_or(text.len()).min(text.len());
            let text: Vec<u16> = text[..shown]
                .iter()
                .map(|&unit| narrowed(unit, wide))
                .collect();
            pad(out, conversion, &text, false);
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            float(out, conversion, f64::from_bits(arguments.next()), kind)
        }
        // The kernel's functions never store a count; the argument is skipped.
        'n' => drop(arguments.next()),
        other => out.push(other as u16),
    }
}

/// A character as the function's output can hold it.
fn narrowed(unit: u16, wide: bool) -> u16 {
    if wide || unit < 0x100 {
        unit
    } else {
        u16::from(b'?')
    }
}

/// Whether text is made of 16-bit units: what the function's own text is, unless the size or the capital letter says
/// otherwise.
fn wide_text(size: Size, capital: bool, wide: bool) -> bool {
    match size {
        Size::Wide | Size::Long => true,
        Size::Short | Size::Byte => false,
        _ => wide != capital,
    }
}

fn signed(value: u64, size: Size) -> i64 {
    match size {
        Size::Byte => (value as i8).into(),
        Size::Short => (value as i16).into(),
        Size::Quad => value as i64,
        _ => (value as i32).into(),
    }
}

fn unsigned(value: u64, size: Size) -> u64 {
    match size {
        Size::Byte => (value as u8).into(),
        Size::Short => (value as u16).into(),
        Size::Quad => value,
        _ => (value as u32).into(),
    }
}

fn integer(
    out: &mut Vec<u16>,
    conversion: &Conversion,
    value: u64,
    negative: bool,
    is_signed: bool,
    kind: char,
) {
    let flags = &conversion.flags;
    let mut digits = match kind {
        'o' => format!("{value:o}"),
        'x' => format!("{value:x}"),
        'X' => format!("{value:X}"),
        _ => value.to_string(),
    };
    if value == 0 && conversion.precision == Some(0) {
        digits.clear();
    }
    let sign = match (negative, is_signed && flags.plus, is_signed && flags.space) {
        (true, ..) => "-",
        (_, true, _) => "+",
        (.., true) => " ",
        _ => "",
    };
    let prefix = match kind {
        'x' if flags.alternate && value != 0 => "0x",
        'X' if flags.alternate && value != 0 => "0X",
        'o' if flags.alternate && !digits.starts_with('0') => "0",
        _ => "",
    };
    let head = format!("{sign}{prefix}");
    let mut wanted = conversion.precision.unwrap_or(0);
    if flags.zero && !flags.left && conversion.precision.is_none() {
        wanted = conversion.width.saturating_sub(head.len());
    }
    let zeros = "0".repeat(wanted.saturating_sub(digits.len()));
    let text: Vec<u16> = format!("{head}{zeros}{digits}").encode_utf16().collect();
    pad(out, conversion, &text, false);
}

fn float(out: &mut Vec<u16>, conversion: &Conversion, value: f64, kind: char) {
    let precision = conversion.precision.unwrap_or(6);
    let exponential = |precision: usize| {
        let text = format!("{value:.precision$e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        (
            format!("{mantissa}e{sign}{:03}", exponent.unsigned_abs()),
            exponent,
        )
    };
    let text = match kind.to_ascii_lowercase() {
        'f' => format!("{value:.precision$}"),
        'e' => exponential(precision).0,
        _ => {
            let significant = precision.max(1);
            let (text, exponent) = exponential(significant - 1);
            if exponent < -4 || exponent >= significant as i32 {
                text
            } else {
                let decimals = (significant as i32 - 1 - exponent) as usize;
                let text = format!("{value:.decimals$}");
                if text.contains('.') {
                    text.trim_end_matches('0').trim_end_matches('.').to_owned()
                } else {
                    text
                }
            }
        }
    };
    let text = if kind.is_ascii_uppercase() {
        text.to_uppercase()
    } else {
        text
    };
    let sign = if conversion.flags.plus && value >= 0.0 {
        "+"
    } else {
        ""
    };
    pad(
        out,
        conversion,
        &format!("{sign}{text}").encode_utf16().collect::<Vec<_>>(),
        conversion.flags.zero,
    );
}

fn pad(out: &mut Vec<u16>, conversion: &Conversion, text: &[u16], zeros: bool) {
    let missing = conversion.width.saturating_sub(text.len());
    let fill =
        |out: &mut Vec<u16>, with: u8| out.extend(std::iter::repeat_n(u16::from(with), missing));
    if conversion.flags.left {
        out.extend_from_slice(text);
        fill(out, b' ');
    } else {
        fill(out, if zeros { b'0' } else { b' ' });
        out.extend_from_slice(text);
    }
}

fn null() -> Vec<u16> {
    "(null)".encode_utf16().collect()
}

fn wide_string(from: *const u16, limit: Option<usize>) -> Vec<u16> {
    if from.is_null() {
        return null();
    }
    (0..limit.unwrap_or(usize::MAX))
        .map(|index| guest::load(from.wrapping_add(index)))
        .take_while(|&unit| unit != 0)
        .collect()
}

fn narrow_string(from: *const u8, limit: Option<usize>) -> Vec<u16> {
    if from.is_null() {
        return null();
    }
    let bytes = (0..limit.unwrap_or(usize::MAX)).map(|index| guest::load(from.wrapping_add(index)));
    bytes.take_while(|&byte| byte != 0).map(u16::from).collect()
}

/// A counted string; which kind, the size says.
fn counted(address: u64, size: Size) -> Vec<u16> {
    if address == 0 {
        return null();
    }
    if matches!(size, Size::Wide | Size::Long) {
        let string = guest::load(address as *const UNICODE_STRING);
        if string.Buffer.is_null() {
            return null();
        }
        return guest::load_many(string.Buffer.cast_const(), usize::from(string.Length / 2));
    }
    let string = guest::load(address as *const STRING);
    if string.Buffer.is_null() {
        return null();
    }
    guest::load_many(string.Buffer.cast_const(), usize::from(string.Length))
        .into_iter()
        .map(u16::from)
        .collect()
}
