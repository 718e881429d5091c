//! What values a parameter takes: reading one, and what is wrong with those it does not take.

use crate::number::parse_i64;
use std::borrow::Cow;

/// What is wrong with a value.
pub(super) type Wrong = Cow<'static, str>;

/// Reads a value, given the present one.
type Reading = fn(&[u8], &[u8]) -> Result<Vec<u8>, Wrong>;

/// What values a parameter takes.
pub(super) enum Kind {
    /// `yes` or `no`.
    Bool,
    /// An integer from one number to another.
    Integer((i64, i64)),
    /// A number of bytes within these, which may be given with a unit.
    Memory((i64, i64)),
    /// A number of bytes that may be as large as 64 bits hold.
    Unsigned,
    /// A number of bytes, or a percentage of something.
    Portion,
    /// One of some words.
    Choice(&'static [&'static str]),
    /// Some of some words.
    Choices(&'static [&'static str]),
    /// Anything.
    Text,
    /// What a function takes: it is given the text and the present value.
    Special(Reading),
}

impl Kind {
    /// A value as it is told back, or what is wrong with it.
    pub(super) fn read(&self, text: &[u8], present: &[u8]) -> Result<Vec<u8>, Wrong> {
        match self {
            Kind::Bool => bool_text(up_to_zero(text)),
            Kind::Integer(range) => {
                let value = parse_i64(text);
                let value = value.ok_or("argument couldn't be parsed into an integer")?;
                within(value.into(), *range)
            }
            Kind::Memory(range) => {
                within(parse_memory(text).ok_or("argument must be a memory value")?, *range)
            }
            Kind::Unsigned => {
                let value = parse_memory(text).ok_or("argument must be a memory value")?;
                Ok(value.min(u64::MAX.into()).to_string().into_bytes())
            }
            Kind::Portion => portion(text),
            Kind::Choice(words) => choice(up_to_zero(text), words),
            Kind::Choices(words) => choices(up_to_zero(text), words),
            Kind::Text => Ok(text.to_vec()),
            Kind::Special(read) => read(up_to_zero(text), present),
        }
    }
}

/// What Redis reads of a value that is a string of C's to it: all but integers, percents and passwords.
fn up_to_zero(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn bool_text(text: &[u8]) -> Result<Vec<u8>, Wrong> {
    let word = text.to_ascii_lowercase();
    match word.as_slice() {
        b"yes" | b"no" => Ok(word),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

fn within(value: i128, (least, most): (i64, i64)) -> Result<Vec<u8>, Wrong> {
    let fits = (i128::from(least)..=i128::from(most)).contains(&value);
    let wrong = || format!("argument must be between {least} and {most} inclusive");
    fits.then(|| value.to_string().into_bytes()).ok_or_else(|| wrong().into())
}

fn portion(text: &[u8]) -> Result<Vec<u8>, Wrong> {
    let wrong = "argument must be a memory or percent value";
    let Some(digits) = text.strip_suffix(b"%") else {
        let bytes = parse_memory(text).ok_or(wrong)?;
        return match i64::try_from(bytes) {
            Ok(bytes) => Ok(bytes.to_string().into_bytes()),
            Err(_) => Err("percentage argument must be less or equal to 100".into()),
        };
    };
    match parse_i64(digits).filter(|percent| *percent >= 0) {
        None => Err(wrong.into()),
        Some(0) => Ok(b"0".to_vec()),
        Some(1..=100) => Ok(text.to_vec()),
        Some(_) => Err("percentage argument must be less or equal to 100".into()),
    }
}

fn choice(text: &[u8], words: &[&str]) -> Result<Vec<u8>, Wrong> {
    let found = words.iter().find(|word| word.as_bytes().eq_ignore_ascii_case(text));
    found.map(|word| word.as_bytes().to_vec()).ok_or_else(|| one_of(words))
}

/// Several words, of which the first is what none of them means.
fn choices(text: &[u8], words: &[&str]) -> Result<Vec<u8>, Wrong> {
    let given: Vec<Vec<u8>> = text
        .split(|&byte| byte == b' ')
        .map(|word| choice(word, words))
        .collect::<Result<_, _>>()?;
    let has = |word: &str| given.iter().any(|given| given == word.as_bytes());
    if has("save") && has("nosave") {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    let set: Vec<&str> = words.iter().skip(1).copied().filter(|word| has(word)).collect();
    let none = words.first().copied().unwrap_or_default();
    Ok(if set.is_empty() { none.into() } else { set.join(" ").into_bytes() })
}

fn one_of(words: &[&str]) -> Wrong {
    format!("argument(s) must be one of the following: {}", words.join(", ")).into()
}

/// A number of bytes, perhaps with a unit: `1kb` is 1024 bytes, `1k` is 1000. No digits are a
/// zero, as in Redis.
pub(crate) fn parse_memory(text: &[u8]) -> Option<i128> {
    let text = up_to_zero(text);
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let factor = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number = number.iter().fold(0_i128, |number, digit| {
        number.saturating_mul(10).saturating_add((digit - b'0').into())
    });
    Some(number.saturating_mul(factor))
}
