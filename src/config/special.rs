//! Parameters whose values have a form of their own.

use super::kind::{Wrong, parse_memory};
use crate::clients::Events;
use crate::number::{parse_f64, parse_i64};

fn words(text: &[u8]) -> Vec<&[u8]> {
    match text {
        b"" => Vec::new(),
        text => text.split(|&byte| byte == b' ').collect(),
    }
}

/// `hz`, which is brought into its range rather than refused.
pub(super) fn hz(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let value = parse_i64(text).ok_or("argument couldn't be parsed into an integer")?;
    match value {
        0..=0x7fff_ffff => Ok(value.clamp(1, 500).to_string().into_bytes()),
        _ => Err("argument must be between 0 and 2147483647 inclusive".into()),
    }
}

/// `save`: pairs of seconds and changes.
pub(super) fn save(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let numbers = words(text).into_iter().map(parse_i64).collect::<Option<Vec<_>>>();
    let (pairs, odd) = match &numbers {
        Some(numbers) => numbers.as_chunks::<2>(),
        None => return Err("Invalid save parameters".into()),
    };
    let is_sane = |[seconds, changes]: &[i64; 2]| *seconds >= 1 && *changes >= 0;
    match odd.is_empty() && pairs.iter().all(is_sane) {
        true => Ok(text.to_vec()),
        false => Err("Invalid save parameters".into()),
    }
}

/// The classes of clients that have limits for what waits to be sent to them.
const CLASSES: [&str; 3] = ["normal", "slave", "pubsub"];

/// `client-output-buffer-limit`: a class, two numbers of bytes and one of seconds, several times.
/// Classes that are not named keep what they have.
pub(super) fn buffer_limits(text: &[u8], present: &[u8]) -> Result<Vec<u8>, Wrong> {
    let present = words(present);
    let mut limits: Vec<Vec<String>> = present
        .chunks(4)
        .map(|four| four.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect())
        .collect();
    let given = words(text);
    let (fours, odd) = given.as_chunks::<4>();
    if !odd.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for [class, hard, soft, seconds] in fours {
        let class = match class.to_ascii_lowercase().as_slice() {
            b"replica" => "slave".to_owned(),
            class => String::from_utf8_lossy(class).into_owned(),
        };
        let at = CLASSES.iter().position(|known| *known == class);
        let at = at.ok_or("Invalid client class specified in buffer limit configuration.")?;
        let numbers = (parse_memory(hard), parse_memory(soft), parse_i64(seconds));
        let (Some(hard), Some(soft), Some(seconds @ 0..)) = numbers else {
            let wrong =
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
            return Err(wrong.into());
        };
        if let Some(place) = limits.get_mut(at) {
            *place = vec![class, hard.to_string(), soft.to_string(), seconds.to_string()];
        }
    }
    Ok(limits.concat().join(" ").into_bytes())
}

/// Keys that have come to be, of which Redis does not tell where it tells that all is told.
const HIDDEN_EVENT: u8 = b'n';

/// What CONFIG GET tells of the letters of `notify-keyspace-events`.
pub(super) fn events_told(letters: &[u8]) -> &[u8] {
    match letters {
        [b'A', .., HIDDEN_EVENT] => letters.get(..letters.len() - 1).unwrap_or_default(),
        _ => letters,
    }
}

/// `notify-keyspace-events`: letters, at the end the one that is not told back.
pub(super) fn events(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let events = Events::parse(text);
    let events = events.ok_or("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")?;
    let mut letters = events.letters();
    if events.has_any(Events::NEW) && !letters.contains(char::from(HIDDEN_EVENT)) {
        letters.push(char::from(HIDDEN_EVENT));
    }
    Ok(letters.into_bytes())
}

/// `latency-tracking-info-percentiles`: numbers up to 100.
pub(super) fn percentiles(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let mut told = Vec::new();
    for word in words(text) {
        let number =
            parse_f64(word).ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            let range = "parameters should sit between [0.0,100.0]";
            return Err(format!("latency-tracking-info-percentiles {range}").into());
        }
        told.push(number.to_string().into_bytes());
    }
    Ok(told.join(&b' '))
}

/// `oom-score-adj-values`: three numbers.
pub(super) fn score_adjustments(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let words = words(text);
    if words.len() != 3 {
        return Err("wrong number of arguments".into());
    }
    let fits = |word: &&[u8]| parse_i64(word).is_some_and(|n| (-2000..=2000).contains(&n));
    match words.iter().all(fits) {
        true => Ok(text.to_vec()),
        false => {
            Err("Invalid oom-score-adj-values, elements must be between -2000 and 2000.".into())
        }
    }
}

/// `cluster-announce-hostname`.
pub(super) fn hostname(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    match text.len() {
        256.. => Err("Hostnames must be less than 256 characters".into()),
        _ if text.iter().all(is_plain) => Ok(text.to_vec()),
        _ => Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into()),
    }
}

/// What may stand in braces in a process's title.
const TITLE_PARTS: [&str; 7] =
    ["title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file"];

/// `proc-title-template`.
pub(super) fn title(text: &[u8], _: &[u8]) -> Result<Vec<u8>, Wrong> {
    let shown = String::from_utf8_lossy(text);
    let is_known =
        |piece: &str| piece.split_once('}').is_some_and(|(name, _)| TITLE_PARTS.contains(&name));
    match shown.split('{').skip(1).all(is_known) {
        true => Ok(text.to_vec()),
        false => Err("template format is invalid or contains unknown variables".into()),
    }
}
