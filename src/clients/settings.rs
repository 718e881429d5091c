//! The parameters of CONFIG that are about clients.

use super::events::Events;
use super::limits::{OutputLimit, OutputLimits};
use crate::keyspace::Keyspace;
use crate::number::parse_i64;

/// A parameter with a value that makes sense.
pub(crate) enum Setting {
    Events(Events),
    /// None where the default user is let in without one.
    Password(Option<Box<[u8]>>),
    OutputLimits(OutputLimits),
    /// How many keys are remembered for caches on the clients' side; 0 for no limit.
    TrackedKeys(usize),
}

/// Their names.
pub(crate) const NAMES: [&str; 4] = [
    "client-output-buffer-limit",
    "notify-keyspace-events",
    "requirepass",
    "tracking-table-max-keys",
];

impl Setting {
    /// A parameter by its name in lower case; none if it is not one of these. What is wrong with
    /// the value is said as CONFIG SET says it. `present` is what it is now.
    pub(crate) fn parse(
        name: &str,
        text: &[u8],
        present: &Keyspace,
    ) -> Option<Result<Setting, String>> {
        Some(match name {
            "notify-keyspace-events" => Events::parse(text)
                .map(Setting::Events)
                .ok_or_else(|| "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".to_owned()),
            "requirepass" => Ok(Setting::Password((!text.is_empty()).then(|| text.into()))),
            "client-output-buffer-limit" => {
                output_limits(text, present.news().output_limits).map(Setting::OutputLimits)
            }
            "tracking-table-max-keys" => {
                let number = parse_i64(text).ok_or("argument couldn't be parsed into an integer");
                number.map_err(str::to_owned).and_then(|number| {
                    let wrong = || format!("argument must be between 0 and {} inclusive", i64::MAX);
                    usize::try_from(number).map(Setting::TrackedKeys).map_err(|_| wrong())
                })
            }
            _ => return None,
        })
    }

    /// Has it hold from now on.
    pub(crate) fn apply(self, keys: &mut Keyspace) {
        match self {
            Setting::Events(events) => keys.news_mut().set_events(events),
            Setting::Password(password) => keys.news_mut().password = password,
            Setting::OutputLimits(limits) => keys.news_mut().output_limits = limits,
            Setting::TrackedKeys(most) => keys.follow(|followed| followed.set_most(most)),
        }
    }
}

/// A parameter's value as CONFIG GET tells it, by its name in lower case.
pub(crate) fn setting(name: &str, keys: &Keyspace) -> Option<Vec<u8>> {
    let news = keys.news();
    Some(match name {
        "notify-keyspace-events" => news.events().letters().into_bytes(),
        "requirepass" => news.password.as_deref().unwrap_or_default().to_vec(),
        "client-output-buffer-limit" => {
            let OutputLimits { normal, replica, pubsub } = news.output_limits;
            let class = |name: &str, limit: OutputLimit| {
                format!("{name} {} {} {}", limit.hard, limit.soft, limit.soft_seconds)
            };
            let classes =
                [class("normal", normal), class("slave", replica), class("pubsub", pubsub)];
            classes.join(" ").into_bytes()
        }
        "tracking-table-max-keys" => keys.followed().most().to_string().into_bytes(),
        _ => return None,
    })
}

/// A class, two numbers of bytes and one of seconds, several times.
fn output_limits(text: &[u8], present: OutputLimits) -> Result<OutputLimits, String> {
    let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let words: Vec<&[u8]> = words.collect();
    let (fours, rest) = words.as_chunks::<4>();
    if !rest.is_empty() {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    }
    let mut limits = present;
    for [class, hard, soft, seconds] in fours {
        let limit = match class.to_ascii_lowercase().as_slice() {
            b"normal" => &mut limits.normal,
            b"slave" | b"replica" => &mut limits.replica,
            b"pubsub" => &mut limits.pubsub,
            _ => {
                let wrong = "Invalid client class specified in buffer limit configuration.";
                return Err(wrong.to_owned());
            }
        };
        let wrong = "Error in hard, soft or soft_seconds setting in buffer limit configuration.";
        let bytes = |text| {
            let bytes =
                crate::command::parse_memory(text).and_then(|bytes| usize::try_from(bytes).ok());
            bytes.ok_or(wrong)
        };
        let soft_seconds = parse_i64(seconds).filter(|seconds| *seconds >= 0).ok_or(wrong)?;
        *limit = OutputLimit { hard: bytes(hard)?, soft: bytes(soft)?, soft_seconds };
    }
    Ok(limits)
}
