//! LATENCY: events that took long, and how long the calls of each command take.

use super::args::Args;
use super::context::Context;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::tips;
use super::spec::{Command, Family, Flags, Group, container, keyless as row};
use super::{Found, find, numbered};
use crate::error::{CommandError, CommandResult, clipped};
use crate::server::{Events, Sample};

const HELP: Flags = Flags::LOADING.and(Flags::STALE);
const ADMIN: Flags = HELP.and(Flags::ADMIN).and(Flags::NOSCRIPT);
const SPECIAL: &[&str] =
    &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[container("latency", "2.8.13", "Depends on the subcommand", "Tells what takes long.", LATENCY)],
};

#[rustfmt::skip]
const LATENCY: &[Command] = &[
    row("latency|doctor", Exactly(2), ADMIN, "2.8.13", "O(N) in samples kept",
        "Explains what took long.", doctor).tips(SPECIAL),
    row("latency|graph", Exactly(3), ADMIN, "2.8.13", "O(N) in samples kept",
        "Draws how long events of a kind took.", graph).tips(SPECIAL),
    row("latency|help", Exactly(2), HELP, "2.8.13", "O(1)", "What there is.", help),
    row("latency|histogram", AtLeast(2), ADMIN, "7.0.0", "O(N) in commands told of",
        "How many calls of each command took how long.", histogram).tips(SPECIAL),
    row("latency|history", Exactly(3), ADMIN, "2.8.13", "O(N) in samples kept",
        "When events of a kind took how long.", history).tips(SPECIAL),
    row("latency|latest", Exactly(2), ADMIN, "2.8.13", "O(N) in kinds of events",
        "The latest event of each kind.", latest).tips(SPECIAL),
    row("latency|reset", AtLeast(2), ADMIN, "2.8.13", "O(N) in samples kept",
        "Forgets events of some kinds, or all.", reset).tips(tips::ALL_NODES),
];

fn history(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let events = cx.server.latency.find(args.next()?);
    let samples: Vec<Sample> =
        events.map_or_else(Vec::new, |(_, events)| events.samples().collect());
    cx.reply.array(samples.len());
    for Sample { at, ms } in samples {
        cx.reply.array(2);
        cx.reply.integer(at);
        cx.reply.integer(ms);
    }
    Ok(())
}

fn latest(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let latency = &cx.server.latency;
    cx.reply.array(latency.len());
    for (name, events) in latency.all() {
        let Sample { at, ms } = events.latest().unwrap_or(Sample { at: 0, ms: 0 });
        cx.reply.array(4);
        cx.reply.bulk(name.as_bytes());
        [at, ms, events.most_ms].into_iter().for_each(|number| cx.reply.integer(number));
    }
    Ok(())
}

fn reset(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let latency = &mut cx.server.latency;
    let count = match args.rest() {
        [] => latency.forget_all(),
        names => names.iter().filter(|name| latency.forget(name)).count(),
    };
    cx.reply.count(count);
    Ok(())
}

fn histogram(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let asked: Vec<Found> = match args.rest() {
        [] => numbered().flat_map(Found::family).collect(),
        names => names.iter().filter_map(|name| named(name)).flatten().collect(),
    };
    let stats = &cx.server.stats;
    let found: Vec<_> = asked
        .iter()
        .filter_map(|found| Some((found.command.name, stats.histogram(found.number)?)))
        .collect();
    cx.reply.map(found.len());
    for (name, times) in found {
        cx.reply.bulk(name.as_bytes());
        cx.reply.map(2);
        cx.reply.bulk(b"calls");
        cx.reply.integer(times.total().cast_signed());
        cx.reply.bulk(b"histogram_usec");
        let powers = times.by_powers();
        cx.reply.map(powers.len());
        for (us, count) in powers {
            cx.reply.integer(us.cast_signed());
            cx.reply.integer(count.cast_signed());
        }
    }
    Ok(())
}

/// What a name means: a command with its subcommands, or one of these.
fn named(name: &[u8]) -> Option<Vec<Found>> {
    let own = name.split(|&byte| byte == b'|').next().unwrap_or_default();
    let family = find(own)?.family();
    let whole = own.len() == name.len();
    let is_meant = |row: &Found| whole || row.command.name.as_bytes().eq_ignore_ascii_case(name);
    Some(family.filter(is_meant).collect())
}

fn graph(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let event = args.next()?;
    let Some((name, events)) = cx.server.latency.find(event) else {
        let begin = b"ERR No samples available for event '";
        return Err(CommandError::quoting(&[begin, clipped(event, usize::MAX), b"'"]));
    };
    let text = draw(name, events, cx.keys.now() / 1000);
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// How many columns a drawing has at most.
const COLUMNS: usize = 80;
/// How many lines the highest column has.
const LINES: usize = 4;
/// The tops of columns, from low to high.
const TOPS: [char; 3] = ['_', 'o', '#'];

/// A column for each sample, and under it how long ago that was.
fn draw(name: &str, events: &Events, now: i64) -> String {
    let samples: Vec<Sample> = events.samples().collect();
    let times = || samples.iter().map(|sample| sample.ms);
    let (high, low) = (times().max().unwrap_or(0), times().min().unwrap_or(0));
    let ever = events.most_ms;
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {ever} ms)\n{}\n",
        "-".repeat(COLUMNS)
    );
    for run in samples.chunks(COLUMNS) {
        let columns: Vec<Vec<char>> =
            run.iter().map(|sample| column(*sample, (low, high), now)).collect();
        let lines = columns.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..lines {
            let at = |column: &Vec<char>| column.get(line).copied().unwrap_or(' ');
            text.extend(columns.iter().map(at));
            text.push('\n');
        }
    }
    text
}

/// A column from its top to the age below it.
fn column(sample: Sample, (low, high): (i64, i64), now: i64) -> Vec<char> {
    let part = (sample.ms - low) as f64 / (high - low).max(1) as f64;
    let steps = LINES * TOPS.len();
    let height = ((part * steps as f64) as usize).min(steps - 1);
    let (full, top) = (height / TOPS.len(), height % TOPS.len());
    let mut column = vec![' '; LINES - 1 - full];
    column.extend(TOPS.get(top));
    column.extend(std::iter::repeat_n('|', full));
    column.push(' ');
    column.extend(age(now - sample.at).chars());
    column
}

/// Some seconds in the unit in which people count so many.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{}s", seconds.max(0)),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn doctor(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let text = match (cx.server.measures.event_ms, cx.server.latency.len()) {
        (0, 0) => "Events are not watched. CONFIG SET latency-monitor-threshold <milliseconds> \
                   has those kept that take as long.\n"
            .to_owned(),
        (_, 0) => "No event has taken as long as latency-monitor-threshold says.\n".to_owned(),
        _ => explain(cx),
    };
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// What took long, in words.
fn explain(cx: &Context<'_>) -> String {
    let mut text = "These events took long:\n\n".to_owned();
    for (at, (name, events)) in cx.server.latency.all().enumerate() {
        let times: Vec<i64> = events.samples().map(|sample| sample.ms).collect();
        let count = (times.len() as i64).max(1);
        let mean = times.iter().sum::<i64>() / count;
        let deviation = times.iter().map(|ms| (ms - mean).abs()).sum::<i64>() / count;
        text += &format!(
            "{}. {name}: {} latency spikes (average {mean}ms, mean deviation {deviation}ms). \
             Worst all time event {}ms.\n",
            at + 1,
            times.len(),
            events.most_ms,
        );
    }
    text + "\nSLOWLOG GET tells which calls took long, if slowlog-log-slower-than has them kept. \
            Commands that look at many elements, and scripts that run many of them, can be split.\n"
}

fn help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&[
        "LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "DOCTOR",
        "    Explain what took long.",
        "GRAPH <event>",
        "    Draw how long events of a kind took.",
        "HISTORY <event>",
        "    Tell when events of a kind took how long.",
        "LATEST",
        "    Tell of the latest event of each kind.",
        "RESET [<event> ...]",
        "    Forget the events of some kinds, or all.",
        "HISTOGRAM [COMMAND ...]",
        "    Tell how many calls of these commands, or of all, took how long.",
        "HELP",
        "    This text.",
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Latency;

    /// What redis-server 7.0.15 draws for such samples.
    #[test]
    fn columns_are_drawn_as_redis_draws_them() {
        let mut latency = Latency::default();
        for (at, ms) in [(1000, 12), (1001, 20), (1001, 22), (1002, 2)] {
            latency.add("event", ms, at);
        }
        let (name, events) = latency.find(b"EVENT").unwrap();
        let head =
            format!("event - high 22 ms, low 2 ms (all time high 22 ms)\n{}\n", "-".repeat(80));
        let drawn = draw(name, events, 1002);
        assert_eq!(drawn, head + " # \n_| \n|| \n||_\n   \n210\nsss\n");
        assert_eq!(events.latest(), Some(Sample { at: 1002, ms: 2 }));
        assert!(latency.forget(b"event") && !latency.forget(b"event"));
    }

    #[test]
    fn ages_are_told_in_the_largest_unit() {
        let cases = [(-1, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (200_000, "2d")];
        cases.iter().for_each(|(seconds, text)| assert_eq!(age(*seconds), *text));
    }
}
