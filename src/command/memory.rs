//! MEMORY USAGE.

use super::args::Args;
use super::context::Context;
use super::keyspec::uses;
use super::spec::Arity::AtLeast;
use super::spec::keyed as row;
use super::spec::{Command, Details, Family, Flags, Group, Keys};
use crate::error::{CommandError, CommandResult};

/// The key of MEMORY's subcommands.
const SECOND: Keys = Keys { first: 2, last: 2, step: 1 };

/// How many elements of a collection are looked at unless the caller says.
const SAMPLES: usize = 5;

pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[Command {
        name: "memory",
        arity: AtLeast(2),
        flags: Flags::NONE,
        keys: Keys::NONE,
        since: "4.0.0",
        complexity: "O(N) in samples",
        summary: "Tells how much memory is used.",
        subcommands: MEMORY,
        details: Details::NONE,
        run: memory,
    }],
};

#[rustfmt::skip]
const MEMORY: &[Command] = &[
    row("memory|usage", AtLeast(3), Flags::READONLY, SECOND, "4.0.0", "O(N) in samples",
        "The bytes a key takes with its value, estimated from some elements.", memory_usage)
        .uses(uses::RO),
];

/// MEMORY itself only answers through its subcommands; the gate asks for one.
fn memory(_: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    Err(args.arity_error())
}

fn memory_usage(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    cx.keys.look_unnoticed();
    let key = args.key()?;
    let mut samples = SAMPLES;
    while !args.is_empty() {
        if args.len() < 2 || !args.take_word("samples") {
            return Err(CommandError::Syntax);
        }
        samples = match args.integer()? {
            // Nought asks for all.
            0 => usize::MAX,
            count => usize::try_from(count).map_err(|_| CommandError::Syntax)?,
        };
    }
    let slot = cx.keys.slot(key);
    match cx.keys.heap_size(slot, samples) {
        Some(bytes) => cx.reply.count(bytes),
        None => cx.reply.null(),
    }
    Ok(())
}
