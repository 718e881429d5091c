//! What those call who run a server: ending, roles, clusters, modules. An engine is alone, and says
//! so.

use super::args::Args;
use super::context::{Caller, Context};
use super::persistence::save_at_end;
use super::spec::Arity::{AtLeast, Exactly};
use super::spec::{Arity, Command, Family, Flags, Group, container, keyless as row, tips};
use crate::error::{CommandError, CommandResult};
use crate::keyspace::Lapse;
use crate::number::parse_i64;
use crate::server::{Master, Shutdown};

const ANYWHERE: Flags = Flags::LOADING.and(Flags::STALE);
const ADMIN: Flags = Flags::ADMIN.and(Flags::NOSCRIPT);
const SYNCED: Flags = ADMIN.and(Flags::NO_ASYNC_LOADING);
const FAST: Flags = ANYWHERE.and(Flags::FAST);
const END: Flags = ADMIN.and(ANYWHERE).and(Flags::NO_MULTI).and(Flags::ALLOW_BUSY);

/// What an engine is to others where it follows none.
pub(super) const ROLE: &str = "master";
/// What it is that follows another one.
pub(super) const FOLLOWING: &str = "slave";
/// What else goes by this name.
pub(super) const CLUSTER_NAME: &str = "cluster";
/// What may be called while a script runs for long, with some of its options.
pub(super) const SHUTDOWN_NAME: &str = "shutdown";

#[rustfmt::skip]
pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[
        row("failover", AtLeast(1), ADMIN.and(Flags::STALE), "6.2.0", "O(1)",
            "An error: there are no replicas.", failover),
        row("lolwut", AtLeast(1), Flags::READONLY.and(Flags::FAST), "5.0.0", "O(1)",
            "Draws tonight's moon, and tells the version.", lolwut),
        container("module", "4.0.0", "Depends on the subcommand",
            "Modules, of which there are none.", MODULE),
        row("replicaof", Exactly(3), SYNCED.and(Flags::STALE), "5.0.0", "O(1)",
            "Follows another server, where there is a listener; NO ONE ends that.", replicaof),
        row(SHUTDOWN_NAME, AtLeast(1), END, "1.0.0", "O(1)",
            "Asks the program to end, where it listens to that.", shutdown),
        row("slaveof", Exactly(3), SYNCED.and(Flags::STALE), "1.0.0", "O(1)",
            "The same as REPLICAOF.", replicaof),
        row("time", Exactly(1), FAST, "2.6.0", "O(1)",
            "The time; in a script that of its beginning.", time)
            .tips(tips::VARYING_OUTPUT),
    ],
};

#[rustfmt::skip]
const MODULE: &[Command] = &[
    row("module|help", Exactly(2), ANYWHERE, "5.0.0", "O(1)", "What there is.", module_help),
    row("module|list", Exactly(2), ADMIN, "4.0.0", "O(1)",
        "The modules that are loaded: none.", module_list).tips(tips::VARYING_ORDER),
    row("module|load", AtLeast(3), SYNCED, "4.0.0", "O(1)",
        "An error: modules cannot be loaded.", module_refused),
    row("module|loadex", AtLeast(3), SYNCED, "7.0.0", "O(1)",
        "An error: modules cannot be loaded.", module_refused),
    row("module|unload", Exactly(3), SYNCED, "4.0.0", "O(1)",
        "An error: modules cannot be loaded.", module_refused),
];

/// A row of CLUSTER's: all answer the same.
const fn own(name: &'static str, arity: Arity, flags: Flags, since: &'static str) -> Command {
    row(name, arity, flags, since, "O(1)", "An error: there is no cluster.", no_cluster)
}

const CHANGES: Flags = Flags::ADMIN.and(Flags::NO_ASYNC_LOADING).and(Flags::STALE);
const TELLS: Flags = Flags::STALE;
const TELLS_ADMIN: Flags = Flags::STALE.and(Flags::ADMIN);

#[rustfmt::skip]
pub(super) const CLUSTER: Family = Family {
    group: Group::Cluster,
    commands: &[
        own("asking", Exactly(1), Flags::FAST, "3.0.0").categories(&["connection"]),
        container(CLUSTER_NAME, "3.0.0", "Depends on the subcommand",
            "Clusters, of which this engine is none.", SUBCOMMANDS),
        own("readonly", Exactly(1), FAST, "3.0.0").categories(&["connection"]),
        own("readwrite", Exactly(1), FAST, "3.0.0").categories(&["connection"]),
    ],
};

#[rustfmt::skip]
const SUBCOMMANDS: &[Command] = &[
    own("cluster|addslots", AtLeast(3), CHANGES, "3.0.0"),
    own("cluster|addslotsrange", AtLeast(4), CHANGES, "7.0.0"),
    own("cluster|bumpepoch", Exactly(2), CHANGES, "3.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|count-failure-reports", Exactly(3), TELLS_ADMIN, "3.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|countkeysinslot", Exactly(3), TELLS, "3.0.0"),
    own("cluster|delslots", AtLeast(3), CHANGES, "3.0.0"),
    own("cluster|delslotsrange", AtLeast(4), CHANGES, "7.0.0"),
    own("cluster|failover", AtLeast(2), CHANGES, "3.0.0"),
    own("cluster|flushslots", Exactly(2), CHANGES, "3.0.0"),
    own("cluster|forget", Exactly(3), CHANGES, "3.0.0"),
    own("cluster|getkeysinslot", Exactly(4), TELLS, "3.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|help", Exactly(2), ANYWHERE, "5.0.0"),
    own("cluster|info", Exactly(2), TELLS, "3.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|keyslot", Exactly(3), TELLS, "3.0.0"),
    own("cluster|links", Exactly(2), TELLS, "7.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|meet", AtLeast(4), CHANGES, "3.0.0"),
    own("cluster|myid", Exactly(2), TELLS, "3.0.0"),
    own("cluster|nodes", Exactly(2), TELLS, "3.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|replicas", Exactly(3), TELLS_ADMIN, "5.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|replicate", Exactly(3), CHANGES, "3.0.0"),
    own("cluster|reset", AtLeast(2), TELLS_ADMIN.and(Flags::NOSCRIPT), "3.0.0"),
    own("cluster|saveconfig", Exactly(2), CHANGES, "3.0.0"),
    own("cluster|set-config-epoch", Exactly(3), CHANGES, "3.0.0"),
    own("cluster|setslot", AtLeast(4), CHANGES, "3.0.0"),
    own("cluster|shards", Exactly(2), TELLS, "7.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|slaves", Exactly(3), TELLS_ADMIN, "3.0.0").tips(tips::VARYING_OUTPUT),
    own("cluster|slots", Exactly(2), TELLS, "3.0.0").tips(tips::VARYING_OUTPUT),
];

fn no_cluster(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    Err(CommandError::text("ERR This instance has cluster support disabled"))
}

fn failover(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let mut aborts = false;
    while !args.is_empty() {
        if args.len() > 1 && args.take_word("timeout") {
            if args.integer()? <= 0 {
                return Err(CommandError::text("ERR FAILOVER timeout must be greater than 0"));
            }
        } else if args.len() > 2 && args.take_word("to") {
            args.next()?;
            args.integer()?;
        } else if args.len() == 1 && args.take_word("abort") {
            aborts = true;
        } else if !args.take_word("force") {
            return Err(CommandError::Syntax);
        }
    }
    let follows = cx.server.following.master.is_some();
    Err(CommandError::text(match aborts {
        true => "ERR No failover in progress.",
        false if follows => "ERR FAILOVER is not valid when server is a replica.",
        false => "ERR FAILOVER requires connected replicas.",
    }))
}

/// Has the listener's side follow another server, or end that.
fn replicaof(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    let (host, port) = (args.next()?, args.next()?);
    if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        if cx.server.following.master.is_some() {
            cx.server.follow(None);
            cx.keys.set_lapse(Lapse::Removed);
        }
        cx.reply.ok();
        return Ok(());
    }
    let port = parse_i64(port).and_then(|port| u16::try_from(port).ok());
    let port = port.ok_or(CommandError::text("ERR Invalid master port"))?;
    if !cx.server.following.able {
        let text = "ERR this engine does not listen: only one that does can follow another";
        return Err(CommandError::text(text));
    }
    let host = String::from_utf8_lossy(host).into_owned();
    let is_same = |master: &Master| master.host.eq_ignore_ascii_case(&host) && master.port == port;
    if cx.server.following.master.as_ref().is_some_and(is_same) {
        cx.reply.status(b"OK Already connected to specified master");
        return Ok(());
    }
    cx.server.follow(Some((host, port)));
    cx.reply.ok();
    Ok(())
}

/// Within a script time stands still.
fn time(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let us = match cx.caller {
        Caller::Host => cx.keys.clock().us(),
        Caller::Script { .. } | Caller::Function { .. } => cx.keys.now().saturating_mul(1000),
    };
    cx.reply.array(2);
    cx.reply.bulk_integer(us.div_euclid(1_000_000));
    cx.reply.bulk_integer(us.rem_euclid(1_000_000));
    Ok(())
}

/// What SHUTDOWN is asked to do.
pub(crate) struct Ending {
    saves: bool,
    pub(super) saves_not: bool,
    pub(super) aborts: bool,
    forces: bool,
}

impl Ending {
    /// Reads the options of SHUTDOWN. Where nobody follows, none but these makes a difference.
    pub(super) fn read(mut args: Args<'_>) -> Result<Ending, CommandError> {
        let mut ending = Ending { saves: false, saves_not: false, aborts: false, forces: false };
        let count = args.len();
        while !args.is_empty() {
            if args.take_word("save") {
                ending.saves = true;
            } else if args.take_word("nosave") {
                ending.saves_not = true;
            } else if args.take_word("abort") {
                ending.aborts = true;
            } else if args.take_word("force") {
                ending.forces = true;
            } else if !args.take_word("now") {
                return Err(CommandError::Syntax);
            }
        }
        let contradicts = (ending.saves && ending.saves_not) || (ending.aborts && count > 1);
        if contradicts { Err(CommandError::Syntax) } else { Ok(ending) }
    }

    /// Asks the program to end, or not to.
    pub(crate) fn carry_out(&self, shutdown: &Shutdown) -> CommandResult {
        match () {
            () if self.aborts && shutdown.take_back() => Ok(()),
            () if self.aborts => Err(CommandError::text("ERR No shutdown in progress.")),
            () if shutdown.ask() => Ok(()),
            () => Err(CommandError::text("ERR the engine is embedded: its program ends it")),
        }
    }
}

fn shutdown(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ending = Ending::read(args)?;
    if cx.server.shutdown.is_allowed() && !(ending.aborts || ending.saves_not) {
        let (host, keys, server, _) = cx.with_host()?;
        let saved = save_at_end(keys, host.scripts, server, ending.saves);
        saved.or_else(|error| if ending.forces { Ok(()) } else { Err(error) })?;
    }
    ending.carry_out(&cx.server.shutdown)?;
    cx.reply.ok();
    Ok(())
}

fn module_list(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.array(0);
    Ok(())
}

fn module_refused(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    check_enabled(cx, "MODULE", "enable-module-command")?;
    Err(CommandError::text("ERR Error loading the extension. Please check the server logs."))
}

/// Refuses a command that a parameter does not let everybody, or anybody, use.
pub(super) fn check_enabled(cx: &mut Context<'_>, command: &str, parameter: &str) -> CommandResult {
    let is_remote = cx.host.as_ref().is_some_and(|host| !host.session.client.origin.is_local());
    let enabled = match cx.server.config.text(parameter) {
        b"yes" => true,
        b"local" => !is_remote,
        _ => false,
    };
    let text = || {
        format!(
            "ERR {command} command not allowed. If the {parameter} option is set to \"local\", you \
             can run it from a local connection, otherwise you need to set this option in the \
             configuration file, and then restart the server."
        )
    };
    if enabled { Ok(()) } else { Err(CommandError::Text(text().into())) }
}

fn module_help(cx: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    cx.reply.statuses(&[
        "MODULE <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        "LIST",
        "    Tell of the modules that are loaded: none.",
        "LOAD <path> [<arg> ...]",
        "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
        "UNLOAD <name>",
        "    Errors: modules cannot be loaded.",
        "HELP",
        "    This text.",
    ]);
    Ok(())
}

/// A month of the moon in seconds, and a new moon in seconds since 1970.
const MONTH: f64 = 29.530_588_853 * 86_400.0;
const NEW_MOON: f64 = 947_182_440.0;
/// How many lines a moon has unless the caller says, and at most.
const RADIUS: i64 = 7;
const RADIUS_MOST: i64 = 30;

fn lolwut(cx: &mut Context<'_>, mut args: Args<'_>) -> CommandResult {
    if args.take_word("version") && !args.is_empty() {
        args.integer()?;
    }
    let radius = args.maybe_next().and_then(parse_i64).unwrap_or(RADIUS);
    let age = (cx.keys.now() as f64 / 1000.0 - NEW_MOON).rem_euclid(MONTH) / MONTH;
    let version = super::info::VERSION;
    let text = format!("{}Redis ver. {version}\n", moon(age, radius.clamp(1, RADIUS_MOST)));
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// The moon as it looks at a part of its month, so many lines above and below its middle.
fn moon(age: f64, radius: i64) -> String {
    let lit = |x: f64, y: f64| {
        // The edge of the shadow is half an ellipse; which side is lit changes at full moon.
        let edge = (1.0 - y * y).sqrt() * (age * std::f64::consts::TAU).cos();
        if age < 0.5 { x > edge } else { x < -edge }
    };
    let mut text = String::new();
    for line in -radius..=radius {
        let y = line as f64 / (radius as f64 + 0.5);
        for column in -2 * radius..=2 * radius {
            let x = column as f64 / (2.0 * radius as f64 + 1.0);
            text.push(match x * x + y * y {
                1.0.. => ' ',
                _ if lit(x, y) => '@',
                _ => '.',
            });
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moon_waxes_to_the_full_and_wanes() {
        let lit = |age| moon(age, 5).matches('@').count();
        assert_eq!(lit(0.0), 0);
        assert!(lit(0.1) < lit(0.25) && lit(0.25) < lit(0.5));
        assert!(lit(0.9) < lit(0.75) && lit(0.75) < lit(0.5));
        assert!(!moon(0.5, 5).contains('.'));
    }
}
