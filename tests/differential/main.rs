//! Random commands on moonkv and on a real redis-server 7.0.15: every reply and all data in the
//! end must be the same.
//!
//! Each sequence has a seed of its own and begins with no keys. A difference is shrunk to the few
//! commands that it takes and printed with its seed. What does not exist here is not drawn, so
//! the test grows with the commands. Where there is no redis-server it says so and checks nothing.
//!
//! What Redis leaves open is compared as far as it is not: where a reply has no order of its own,
//! only what is in it is (`Rule`). Where what is left open would be kept, it is not drawn
//! (`is_determined`): ranges by text over members of different scores, and what SORT stores in the
//! order of texts kept elsewhere, of which equal ones lie as its sorting happens to leave them.
//!
//! From the environment: `SEED` and `COUNT`, how many commands; `FAMILY`, which families, and
//! `SKIP`, which commands not, by name and with commas between; `SHOW`, how many differences.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

mod duel;
mod families;
mod grammar;
mod mutate;
#[path = "../../benches/peer/mod.rs"]
#[allow(dead_code, reason = "each of its users uses a part of it")]
mod peer;
mod reply;
mod rule;
mod script;
mod shrink;
mod source;

use duel::{Difference, Duel, Step, show};
use families::{LIMITS, Menu};
use moonkv::Protocol;
use peer::Peer;
use rule::{is_ordered, is_steady};
use shrink::shrink;
use source::Source;
use std::collections::BTreeMap;
use std::env;

/// Commands of a run where `COUNT` says nothing.
const COUNT: u64 = 20_000;
/// Steps of one sequence.
const LENGTH: usize = 250;
/// So many differences are shown, and of one kind only one.
const SHOW: u64 = 8;
/// So many sequences may differ before a run ends, for each that is shown.
const DIFFERENT_MOST: u64 = 5;

#[test]
fn random_commands_get_the_same_replies() {
    let Some(peer) = Peer::start() else {
        println!("skipped: there is no redis-server to compare with");
        return;
    };
    let mut duel = Duel::new(&peer);
    check("redis-server", step, |steps, protocol| duel.play(steps, protocol));
}

#[test]
fn what_was_undone_changes_nothing_that_follows() {
    let step = |menu: &Menu, source: &mut Source| match source.chance(10) {
        true => script::undone(menu, source),
        false => step(menu, source),
    };
    check("without scripts that fail", step, duel::play_undone);
}

/// Plays sequences of random steps, as many as are asked for, and reports where the two sides
/// part.
fn check(
    other: &str,
    step: impl Fn(&Menu, &mut Source) -> Step,
    mut play: impl FnMut(&[Step], Protocol) -> Option<Difference>,
) {
    let menu = menu();
    let (first, count) = (from_environment("SEED", 1), from_environment("COUNT", COUNT));
    let show = from_environment("SHOW", SHOW);
    let sequences = count.div_ceil(LENGTH as u64);
    let mut reports = BTreeMap::new();
    let mut different = 0;
    for seed in first..first + sequences {
        let mut source = Source::new(seed);
        let mut steps = limits(&menu, &mut source);
        steps.extend((0..LENGTH).map(|_| step(&menu, &mut source)));
        let Some(difference) = play(&steps, protocol(seed)) else { continue };
        different += 1;
        reports
            .entry(difference.kind())
            .or_insert_with(|| report(other, seed, &steps, &difference, &mut play));
        if reports.len() as u64 >= show || different >= show * DIFFERENT_MOST {
            break;
        }
    }
    println!("{sequences} sequences of {LENGTH} steps, {} forms of commands", menu.len());
    reports.values().for_each(|report| println!("{report}"));
    assert!(reports.is_empty(), "{different} sequences differ: {other}");
}

fn from_environment(name: &str, default: u64) -> u64 {
    env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// What the commands that exist allow, of the families that are asked for.
fn menu() -> Menu {
    let skipped = words_from_environment("SKIP");
    let is_skipped = |name: &str| skipped.iter().any(|skipped| skipped == name);
    let commands = moonkv::commands();
    let names = commands.iter().map(|command| command.name).filter(|name| !is_skipped(name));
    let wanted = words_from_environment("FAMILY");
    let menu = Menu::new(&names.collect(), &wanted);
    assert!(menu.len() > 0, "no commands in the families {wanted:?}");
    menu
}

fn words_from_environment(name: &str) -> Vec<String> {
    let words = env::var(name).unwrap_or_default();
    words.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Odd seeds speak RESP2, even ones RESP3.
fn protocol(seed: u64) -> Protocol {
    if seed.is_multiple_of(2) { Protocol::Resp3 } else { Protocol::Resp2 }
}

/// Every third sequence has values leave their small forms sooner.
fn limits(menu: &Menu, source: &mut Source) -> Vec<Step> {
    if !source.chance(33) || !menu.has_limits {
        return Vec::new();
    }
    let mut set = |name: &str| {
        let limit = source.between(0, 12).to_string();
        vec![["CONFIG", "SET", name, &limit].map(|word| word.as_bytes().to_vec()).into()]
    };
    LIMITS.iter().map(|(name, _)| set(name)).collect()
}

fn step(menu: &Menu, source: &mut Source) -> Step {
    if source.chance(6) {
        return script::program(menu, source);
    }
    if source.chance(5) && menu.has_transactions {
        return transaction(menu, source);
    }
    let mut step = menu.draw(source);
    if let [argv] = step.as_mut_slice() {
        if source.chance(8) {
            mutate::mutate(argv, source);
        }
        if source.chance(4) {
            mutate::change_case(argv, source);
        }
        // Nothing waits in a script, which saves the time of most that would.
        let scripts_percent = if mutate::may_wait(argv) { 90 } else { 12 };
        if source.chance(scripts_percent) && is_steady(argv) {
            return script::call(argv, source);
        }
    }
    step.iter_mut().for_each(mutate::make_brief);
    step
}

/// A few commands in one transaction, which may be refused, given up or overtaken.
fn transaction(menu: &Menu, source: &mut Source) -> Step {
    let mut step = Step::new();
    let mut words = |words: &[&[u8]]| step.push(words.iter().map(|word| word.to_vec()).collect());
    if source.chance(30) {
        words(&[b"WATCH", &source.key(), &source.key()]);
        if source.chance(30) {
            words(&[b"APPEND", &source.key(), b"overtaken"]);
        }
    }
    words(&[b"MULTI"]);
    for _ in 0..source.below(6) {
        let mut commands = menu.draw(source);
        if let [argv] = commands.as_mut_slice()
            && is_steady(argv)
            && is_ordered(argv)
        {
            if source.chance(5) {
                mutate::mutate(argv, source);
            }
            step.append(&mut commands);
        }
    }
    let end = if source.chance(85) { "EXEC" } else { "DISCARD" };
    step.push(vec![end.into()]);
    step
}

/// What it takes to see a difference, and where it was found.
fn report(
    other: &str,
    seed: u64,
    steps: &[Step],
    found: &Difference,
    play: &mut impl FnMut(&[Step], Protocol) -> Option<Difference>,
) -> String {
    let protocol = protocol(seed);
    let end = found.step.map_or(steps.len(), |at| at + 1);
    let least = shrink(&steps[..end], |steps| play(steps, protocol).is_some());
    let least = if least.is_empty() { steps[..end].to_vec() } else { least };
    let again = play(&least, protocol);
    let note = if again.is_none() { " (only once: it did not happen again)" } else { "" };
    let Difference { argv, ours, theirs, .. } = again.as_ref().unwrap_or(found);
    let mut lines = vec![format!("\nA difference under {protocol:?}, SEED={seed} COUNT=1{note}:")];
    lines.extend(least.iter().flatten().map(|argv| format!("  {}", show(argv))));
    lines.push(format!("  differs in: {}", show(argv)));
    lines.push(format!("  moonkv: {ours}"));
    lines.push(format!("  {other}: {theirs}"));
    lines.join("\n")
}
