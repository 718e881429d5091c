//! INFO: what there is to tell of the engine, in Redis's sections and by Redis's names. What has no
//! counterpart here and nothing true to tell is left out.

use super::args::Args;
use super::context::Context;
use super::replication::{host_of, replicas};
use super::spec::Arity::AtLeast;
use super::spec::{Family, Flags, Group, keyless};
use super::{Found, numbered};
use crate::clients::{Client, Kind, Replica};
use crate::config::Config;
use crate::error::CommandResult;
use crate::keyspace::EMPTY_BYTES;
use crate::persist::Kind as Saved;
use crate::server::{Link, Master, system_name, usage};
use crate::session::Session;
use std::fmt::{Display, Write};

pub(super) const FAMILY: Family = Family {
    group: Group::Server,
    commands: &[keyless(
        "info",
        AtLeast(1),
        Flags::LOADING.and(Flags::STALE),
        "1.0.0",
        "O(N) in keys where some have a deadline",
        "Tells of the engine: its clients, memory, counts and keys.",
        info,
    )
    .categories(&["dangerous"])
    .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])],
};

/// The version of Redis whose answers these are.
pub(super) const VERSION: &str = "7.0.15";

/// Writes one section.
type Write_ = fn(&mut Lines, &mut Context<'_>);

/// The sections: how they are asked for, their headings, whether they are told unless others are
/// asked for, and what is in them.
const SECTIONS: [(&str, &str, Asked, Write_); 13] = [
    ("server", "Server", Asked::Always, about_server),
    ("clients", "Clients", Asked::Always, about_clients),
    (super::memory::NAME, "Memory", Asked::Always, about_memory),
    ("persistence", "Persistence", Asked::Always, about_persistence),
    ("stats", "Stats", Asked::Always, about_stats),
    ("replication", "Replication", Asked::Always, about_replication),
    ("cpu", "CPU", Asked::Always, about_cpu),
    ("modules", "Modules", Asked::Always, |_, _| ()),
    ("commandstats", "Commandstats", Asked::ForAll, about_commands),
    ("errorstats", "Errorstats", Asked::Always, about_errors),
    ("latencystats", "Latencystats", Asked::ForAll, about_latencies),
    (super::admin::CLUSTER_NAME, "Cluster", Asked::Always, about_cluster),
    ("keyspace", "Keyspace", Asked::Always, about_keys),
];

/// When a section is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Whenever no other is asked for.
    Always,
    /// When all are asked for.
    ForAll,
}

fn info(cx: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let text = tell(cx, args.rest());
    cx.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// The sections that are asked for, in the order of the table.
fn tell(cx: &mut Context<'_>, asked: &[&[u8]]) -> String {
    let is_asked =
        |word: &str| asked.iter().any(|asked| asked.eq_ignore_ascii_case(word.as_bytes()));
    let (all, usual) = (is_asked("all") || is_asked("everything"), is_asked("default"));
    let mut lines = Lines::default();
    for (name, heading, when, write) in SECTIONS {
        if all || is_asked(name) || ((asked.is_empty() || usual) && when == Asked::Always) {
            if !lines.0.is_empty() {
                lines.0.push_str("\r\n");
            }
            lines.0.push_str(&format!("# {heading}\r\n"));
            write(&mut lines, cx);
        }
    }
    lines.0
}

/// A text of lines.
#[derive(Default)]
struct Lines(String);

impl Lines {
    /// A name and its value.
    fn add(&mut self, name: impl Display, value: impl Display) -> &mut Self {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
        self
    }

    /// A number of bytes, and the same as people write it.
    fn bytes(&mut self, name: &str, bytes: usize) -> &mut Self {
        self.add(name, bytes).add(format_args!("{name}_human"), human(bytes))
    }

    /// Names that all have this value.
    fn all(&mut self, names: &[&str], value: impl Display) -> &mut Self {
        for name in names {
            self.add(name, &value);
        }
        self
    }
}

/// A number of bytes as people write it.
fn human(bytes: usize) -> String {
    let units = [('T', 40), ('G', 30), ('M', 20), ('K', 10)];
    let unit = units.into_iter().find(|(_, bits)| bytes >= 1 << bits);
    match unit {
        Some((unit, bits)) => format!("{:.2}{unit}", bytes as f64 / (1_u64 << bits) as f64),
        None => format!("{bytes}B"),
    }
}

fn about_server(lines: &mut Lines, cx: &mut Context<'_>) {
    let server = &*cx.server;
    let up = server.opened.elapsed().as_secs();
    let text = |name| String::from_utf8_lossy(server.config.text(name)).into_owned();
    let program = std::env::current_exe().map(|path| path.display().to_string());
    lines
        .add("redis_version", VERSION)
        .all(&["redis_git_sha1", "redis_build_id"], "00000000")
        .add("redis_git_dirty", 0)
        .add("moonkv_version", env!("CARGO_PKG_VERSION"))
        .add("redis_mode", "standalone")
        .add("os", system_name())
        .add("arch_bits", usize::BITS)
        .add("multiplexing_api", "threads")
        .add("process_id", std::process::id())
        .add("process_supervised", "no")
        .add("run_id", &server.run_id)
        .add("tcp_port", text("port"))
        .add("server_time_usec", crate::clock::unix_us())
        .add("uptime_in_seconds", up)
        .add("uptime_in_days", up / 86_400)
        .all(&["hz", "configured_hz"], text("hz"))
        .add("lru_clock", (cx.keys.now() / 1000) & 0xff_ffff)
        .add("executable", program.unwrap_or_default())
        .add("config_file", "")
        .add("io_threads_active", 0);
}

fn about_clients(lines: &mut Lines, cx: &mut Context<'_>) {
    let server = &*cx.server;
    let is_connected =
        |session: &&Session| !(session.common || session.client.closing || session.client.spare);
    let connected = cx.host.as_ref().map(|host| host.all().filter(is_connected).count());
    let connected = connected.unwrap_or(server.clients.open);
    lines
        .add("connected_clients", connected)
        .add("cluster_connections", 0)
        .add("maxclients", server.config.number("maxclients"))
        .add("blocked_clients", server.clients.waiting)
        .add("tracking_clients", cx.keys.followed().counts().clients)
        .add("clients_in_timeout_table", 0);
}

/// The bytes of memory that the data takes: what `maxmemory` limits.
pub(super) fn used_memory(cx: &Context<'_>) -> usize {
    cx.keys.used_memory().max(EMPTY_BYTES)
}

fn about_memory(lines: &mut Lines, cx: &mut Context<'_>) {
    let (used, usage) = (used_memory(cx), usage());
    cx.server.peak_memory = cx.server.peak_memory.max(used);
    let peak = cx.server.peak_memory;
    lines
        .bytes("used_memory", used)
        .bytes("used_memory_rss", usage.resident)
        .bytes("used_memory_peak", peak)
        .add("used_memory_peak_perc", percent(used, peak))
        .bytes("total_system_memory", usage.machine);
    about_scripts(lines, cx);
    let config = &cx.server.config;
    lines
        .bytes("maxmemory", config.count("maxmemory"))
        .add("maxmemory_policy", String::from_utf8_lossy(config.text("maxmemory-policy")))
        .add("mem_fragmentation_ratio", ratio(usage.resident, used))
        .all(&["mem_not_counted_for_evict", "mem_replication_backlog"], 0)
        .all(&["mem_clients_slaves", "mem_clients_normal", "mem_aof_buffer"], 0)
        .add("mem_allocator", "libc")
        .all(&["active_defrag_running", "lazyfree_pending_objects"], 0)
        .add("lazyfreed_objects", cx.server.stats.lazily_freed);
}

/// What scripts take. From inside of one that cannot be told.
fn about_scripts(lines: &mut Lines, cx: &mut Context<'_>) {
    let Some(host) = &mut cx.host else { return };
    let (lua, count, texts) = host.scripts.sizes();
    let libraries = || host.scripts.functions().libraries();
    let functions: usize = libraries().map(|(_, library)| library.functions.len()).sum();
    lines
        .add("used_memory_lua", lua)
        .add("used_memory_vm_eval", lua)
        .add("used_memory_lua_human", human(lua))
        .add("used_memory_scripts_eval", texts)
        .add("number_of_cached_scripts", count)
        .add("number_of_functions", functions)
        .add("number_of_libraries", libraries().count())
        .add("used_memory_vm_functions", 0)
        .bytes("used_memory_vm_total", lua)
        .add("used_memory_functions", 0)
        .bytes("used_memory_scripts", texts);
}

fn percent(part: usize, whole: usize) -> String {
    format!("{:.2}%", part as f64 * 100.0 / whole.max(1) as f64)
}

fn ratio(part: usize, whole: usize) -> String {
    format!("{:.2}", part as f64 / whole.max(1) as f64)
}

fn about_persistence(lines: &mut Lines, cx: &mut Context<'_>) {
    let saving = &mut cx.server.saving;
    let active = saving.active();
    let since = |kind| active.filter(|(active, _)| *active == kind).map(|(_, since)| since);
    let is_active = |kind| i32::from(since(kind).is_some());
    let seconds = |kind| since(kind).map_or(-1, |since| since.as_secs() as i64);
    let took = |took: Option<u64>| took.map_or(-1, |seconds| seconds as i64);
    let word = |ok| if ok { "ok" } else { "err" };
    lines
        .all(&["loading", "async_loading"], 0)
        .add("rdb_changes_since_last_save", cx.keys.change_count().saturating_sub(saving.changes))
        .add("rdb_bgsave_in_progress", is_active(Saved::Snapshot))
        .add("rdb_last_save_time", saving.saved_at)
        .add("rdb_last_bgsave_status", word(saving.snapshots.ok))
        .add("rdb_last_bgsave_time_sec", took(saving.snapshots.took))
        .add("rdb_current_bgsave_time_sec", seconds(Saved::Snapshot))
        .add("rdb_saves", saving.snapshots.count)
        .add("rdb_last_cow_size", 0)
        .add("rdb_last_load_keys_expired", saving.read.1)
        .add("rdb_last_load_keys_loaded", saving.read.0)
        .add("aof_enabled", 0)
        .add("aof_rewrite_in_progress", is_active(Saved::Rewrite))
        .add("aof_rewrite_scheduled", i32::from(saving.scheduled() == Some(Saved::Rewrite)))
        .add("aof_last_rewrite_time_sec", took(saving.rewrites.took))
        .add("aof_current_rewrite_time_sec", seconds(Saved::Rewrite))
        .add("aof_last_bgrewrite_status", word(saving.rewrites.ok))
        .add("aof_rewrites", saving.rewrites.count)
        .add("aof_last_write_status", "ok")
        .all(&["aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size"], 0);
}

fn about_stats(lines: &mut Lines, cx: &mut Context<'_>) {
    let server = &*cx.server;
    let listened = |kind| cx.keys.news().subscriptions.count(kind);
    let followed = cx.keys.followed().counts();
    lines
        .add("total_connections_received", server.clients.opened)
        .add("total_commands_processed", server.stats.total())
        .add("instantaneous_ops_per_sec", 0)
        .all(&["rejected_connections", "sync_full", "sync_partial_ok", "sync_partial_err"], 0)
        .add("expired_keys", cx.keys.expired_count())
        .add("evicted_keys", cx.keys.evicted_keys())
        .add("evicted_clients", 0)
        .add("pubsub_channels", listened(Kind::Channel))
        .add("pubsub_patterns", listened(Kind::Pattern))
        .add("pubsubshard_channels", listened(Kind::Shard))
        .all(&["latest_fork_usec", "total_forks", "migrate_cached_sockets"], 0)
        .all(&["slave_expires_tracked_keys", "active_defrag_hits", "active_defrag_misses"], 0)
        .add("tracking_total_keys", followed.keys)
        .add("tracking_total_items", followed.items)
        .add("tracking_total_prefixes", followed.prefixes)
        .add("unexpected_error_replies", 0)
        .add("total_error_replies", server.stats.error_replies)
        .add("dump_payload_sanitizations", 0);
}

fn about_replication(lines: &mut Lines, cx: &mut Context<'_>) {
    let now = cx.keys.now();
    let of = |(client, replica): (&Client, &Replica)| {
        let (host, port) = (host_of(client, replica), replica.port);
        let (offset, lag) = (replica.offset, (now - replica.heard_ms) / 1000);
        format!("ip={host},port={port},state=online,offset={offset},lag={lag}")
    };
    let replicas: Vec<String> = replicas(cx).into_iter().map(of).collect();
    let server = &*cx.server;
    let (mut stream, mut offset) = (&server.run_id, cx.keys.news().feed.offset());
    if let Some(master) = &server.following.master {
        about_master(lines, master, &server.config);
        stream = if master.stream.is_empty() { stream } else { &master.stream };
        offset = master.offset.unwrap_or(0);
    } else {
        lines.add("role", super::admin::ROLE);
    }
    lines.add("connected_slaves", replicas.len());
    for (at, replica) in replicas.iter().enumerate() {
        lines.add(format_args!("slave{at}"), replica);
    }
    lines
        .add("master_failover_state", "no-failover")
        .add("master_replid", stream)
        .add("master_replid2", "0".repeat(40))
        .add("master_repl_offset", offset)
        .add("second_repl_offset", -1)
        .add("repl_backlog_active", 0)
        .add("repl_backlog_size", server.config.number("repl-backlog-size"))
        .all(&["repl_backlog_first_byte_offset", "repl_backlog_histlen"], 0);
}

/// The server that is followed.
fn about_master(lines: &mut Lines, master: &Master, config: &Config) {
    let is_up = master.link == Link::Connected;
    let offset = master.offset.unwrap_or(0);
    let flag = |name| i32::from(config.flag(name));
    lines
        .add("role", super::admin::FOLLOWING)
        .add("master_host", &master.host)
        .add("master_port", master.port)
        .add("master_link_status", if is_up { "up" } else { "down" })
        .add("master_last_io_seconds_ago", master.silent_seconds())
        .add("master_sync_in_progress", i32::from(master.link == Link::Sync))
        .all(&["slave_read_repl_offset", "slave_repl_offset"], offset);
    if !is_up {
        lines.add("master_link_down_since_seconds", master.down_seconds());
    }
    lines
        .add("slave_priority", config.number("replica-priority"))
        .add("slave_read_only", flag("replica-read-only"))
        .add("replica_announced", flag("replica-announced"));
}

fn about_cpu(lines: &mut Lines, _: &mut Context<'_>) {
    let usage = usage();
    let seconds = |seconds: f64| format!("{seconds:.6}");
    lines
        .add("used_cpu_sys", seconds(usage.system_seconds))
        .add("used_cpu_user", seconds(usage.user_seconds))
        .all(&["used_cpu_sys_children", "used_cpu_user_children"], seconds(0.0));
}

fn about_commands(lines: &mut Lines, cx: &mut Context<'_>) {
    for found in numbered().flat_map(Found::family) {
        let Some(count) = cx.server.stats.commands().get(found.number) else { continue };
        if count.calls + count.rejected == 0 {
            continue;
        }
        let each = count.us as f64 / count.calls.max(1) as f64;
        let (name, calls, us) = (found.command.name, count.calls, count.us);
        let (rejected, failed) = (count.rejected, count.failed);
        lines.add(
            format_args!("cmdstat_{name}"),
            format_args!(
                "calls={calls},usec={us},usec_per_call={each:.2},rejected_calls={rejected},\
                 failed_calls={failed}"
            ),
        );
    }
}

fn about_errors(lines: &mut Lines, cx: &mut Context<'_>) {
    for (word, count) in cx.server.stats.errors() {
        let word = String::from_utf8_lossy(word);
        // A colon or a line's end would make two of one.
        let name = word.replace([':', '\r', '\n'], "_");
        lines.add(format_args!("errorstat_{name}"), format_args!("count={count}"));
    }
}

fn about_latencies(lines: &mut Lines, cx: &mut Context<'_>) {
    let percentiles = cx.server.config.text("latency-tracking-info-percentiles");
    let percentiles = String::from_utf8_lossy(percentiles);
    let percentiles: Vec<&str> = percentiles.split(' ').filter(|p| !p.is_empty()).collect();
    for found in numbered().flat_map(Found::family) {
        let Some(times) = cx.server.stats.histogram(found.number) else { continue };
        let value = |percent: &&str| {
            let us = times.percentile(percent.parse().unwrap_or(0.0));
            format!("p{percent}={us:.3}")
        };
        let values = percentiles.iter().map(value).collect::<Vec<_>>().join(",");
        lines.add(format_args!("latency_percentiles_usec_{}", found.command.name), values);
    }
}

fn about_cluster(lines: &mut Lines, _: &mut Context<'_>) {
    lines.add("cluster_enabled", 0);
}

fn about_keys(lines: &mut Lines, cx: &mut Context<'_>) {
    for database in 0..cx.keys.database_count() {
        cx.keys.in_database(database, |keys| {
            let (count, (expires, left)) = (keys.len(), keys.deadlines());
            if count > 0 {
                lines.add(
                    format_args!("db{database}"),
                    format_args!("keys={count},expires={expires},avg_ttl={left}"),
                );
            }
        });
    }
}
