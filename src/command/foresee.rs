//! What can be said of a call in a script before it is made: for the checker of scripts, which sees
//! some of the arguments and knows of the others only that they are there.

use super::context::Caller;
use super::gate::admit;
use super::index::{Found, find, resolve};
use super::introspect::group_of;
use super::keyspec::{find_keys, specs_of};
use super::spec::{Arity, Flags, Group};
use crate::error::CommandError;

/// What is known of a call.
pub(crate) struct Foreseen {
    /// The full name.
    pub(crate) name: &'static str,
    /// Whether it may change data.
    pub(crate) writes: bool,
    /// Whether it may answer otherwise each time, on the same data.
    pub(crate) varies: bool,
    /// Which arguments are keys, the name being number 0.
    pub(crate) keys: Vec<usize>,
}

/// Passes a call through the gate that it will meet. Arguments that are not known are anything that
/// is no word of any command; `more` says that others may follow.
pub(crate) fn foresee(
    argv: &[&[u8]],
    more: bool,
    read_only: bool,
) -> Result<Foreseen, CommandError> {
    let caller = Caller::Script { read_only };
    let named = argv.first().and_then(|name| find(name)).ok_or(CommandError::ScriptUnknown)?;
    let (Found { command, .. }, _) = resolve(named, argv, caller)?;
    let (Arity::Exactly(least) | Arity::AtLeast(least)) = command.arity;
    let count = if more { argv.len().max(least) } else { argv.len() };
    admit(command, count, caller)?;
    let varies = command.details.tips.contains(&"nondeterministic_output");
    // What tells of a key and the time, such as how long it has left or an ID made of the time, is as
    // certain as the clock.
    let is_clockwork = matches!(group_of(named.command), Some(Group::Generic | Group::Stream));
    let tells_time = is_clockwork && command.keys.first != 0;
    Ok(Foreseen {
        name: command.name,
        writes: command.flags.has_any(Flags::WRITE),
        varies: varies && !tells_time,
        keys: match more {
            true => first_key(command.keys.first, argv.len()),
            false => find_keys(&specs_of(command), command.details.varies, argv)
                .unwrap_or_default()
                .into_iter()
                .map(|(place, _)| place)
                .collect(),
        },
    })
}

/// Where arguments may follow only the first key is sure to be one.
fn first_key(first: i32, count: usize) -> Vec<usize> {
    usize::try_from(first).into_iter().filter(|&at| at > 0 && at < count).collect()
}
