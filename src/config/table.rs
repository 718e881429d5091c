//! The parameters: their names, kinds and defaults, those of Redis 7.0.15. What has no meaning here
//! is remembered and told back, so that tools which set it find what they wrote.
//!
//! Defaults are Redis's but for what an embedded engine does only when it is asked to: nothing is
//! saved, measured or listened to.

use super::kind::Kind::{
    self, Bool, Choice, Choices, Integer, Memory, Portion, Special, Text, Unsigned,
};
use super::special;

/// A parameter.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// Its other name, mostly the one that it had before Redis 7.0.
    pub(super) alias: Option<&'static str>,
    pub(super) kind: Kind,
    pub(super) default: &'static str,
    pub(super) change: Change,
    /// Whether patterns do not find it.
    pub(super) hidden: bool,
}

/// Who may change a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Whoever may use CONFIG SET.
    Free,
    /// Nobody once the engine is open.
    Immutable,
    /// Only who opens the engine's sockets: they stay as they are. What is given as it is, is taken.
    Bound,
    /// Nobody either, unless `enable-protected-configs` says so.
    Protected,
}

const fn row(name: &'static str, kind: Kind, default: &'static str) -> Parameter {
    Parameter { name, alias: None, kind, default, change: Change::Free, hidden: false }
}

impl Parameter {
    const fn alias(mut self, alias: &'static str) -> Parameter {
        self.alias = Some(alias);
        self
    }

    const fn immutable(mut self) -> Parameter {
        self.change = Change::Immutable;
        self
    }

    const fn protected(mut self) -> Parameter {
        self.change = Change::Protected;
        self
    }

    const fn bound(mut self) -> Parameter {
        self.change = Change::Bound;
        self
    }

    const fn hidden(mut self) -> Parameter {
        self.hidden = true;
        self
    }

    /// What Redis says of an address or a port that cannot be had.
    pub(super) fn unbound(&self) -> &'static str {
        match self.kind {
            Kind::Text => "Failed to bind to specified addresses.",
            _ => "Unable to listen on this port. Check server logs.",
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        [Some(self.name), self.alias].into_iter().flatten()
    }
}

/// The server that is followed.
pub(crate) const MASTER: &str = "replicaof";

const COUNT: (i64, i64) = (0, i64::MAX);
const COUNT_32: (i64, i64) = (0, i32::MAX as i64);
const POSITIVE: (i64, i64) = (1, i64::MAX);
const POSITIVE_32: (i64, i64) = (1, i32::MAX as i64);
const ANY_32: (i64, i64) = (i32::MIN as i64, i32::MAX as i64);
const PORT: (i64, i64) = (0, u16::MAX as i64);

const GUARDED: &[&str] = &["no", "yes", "local"];
const SHUTDOWN: &[&str] = &["default", "save", "nosave", "now", "force"];
const POLICIES: &[&str] = &[
    "volatile-lru",
    "volatile-lfu",
    "volatile-random",
    "volatile-ttl",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-random",
    "noeviction",
];
const BUFFER_LIMITS: &str = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";

#[rustfmt::skip]
pub(super) const PARAMETERS: &[Parameter] = &[
    row("acl-pubsub-default", Choice(&["allchannels", "resetchannels"]), "resetchannels"),
    row("aclfile", Text, "").immutable(),
    row("acllog-max-len", Integer(COUNT), "128"),
    row("active-defrag-cycle-max", Integer((1, 99)), "25"),
    row("active-defrag-cycle-min", Integer((1, 99)), "1"),
    row("active-defrag-ignore-bytes", Memory(POSITIVE), "104857600"),
    row("active-defrag-max-scan-fields", Integer(POSITIVE), "1000"),
    row("active-defrag-threshold-lower", Integer((0, 1000)), "10"),
    row("active-defrag-threshold-upper", Integer((0, 1000)), "100"),
    row("active-expire-effort", Integer((1, 10)), "1"),
    row("activedefrag", Bool, "no"),
    row("activerehashing", Bool, "yes"),
    row("always-show-logo", Bool, "no").immutable(),
    row("aof-disable-auto-gc", Bool, "no"),
    row("aof-load-truncated", Bool, "yes"),
    row("aof-rewrite-incremental-fsync", Bool, "yes"),
    row("aof-timestamp-enabled", Bool, "no"),
    row("aof-use-rdb-preamble", Bool, "yes"),
    row("aof_rewrite_cpulist", Text, "").immutable(),
    row("appenddirname", Text, "appendonlydir").immutable(),
    row("appendfilename", Text, "appendonly.aof").immutable(),
    row("appendfsync", Choice(&["everysec", "always", "no"]), "everysec"),
    row("appendonly", Bool, "no"),
    row("auto-aof-rewrite-min-size", Memory(COUNT), "67108864"),
    row("auto-aof-rewrite-percentage", Integer(COUNT_32), "100"),
    row("bgsave_cpulist", Text, "").immutable(),
    row("bind", Text, "* -::*").bound(),
    row("bind-source-addr", Text, ""),
    row("bio_cpulist", Text, "").immutable(),
    row("busy-reply-threshold", Integer(COUNT), "5000").alias("lua-time-limit"),
    row("client-output-buffer-limit", Special(special::buffer_limits), BUFFER_LIMITS),
    row("client-query-buffer-limit", Memory((1 << 20, i64::MAX)), "1073741824"),
    row("cluster-allow-pubsubshard-when-down", Bool, "yes"),
    row("cluster-allow-reads-when-down", Bool, "no"),
    row("cluster-allow-replica-migration", Bool, "yes"),
    row("cluster-announce-bus-port", Integer(PORT), "0"),
    row("cluster-announce-hostname", Special(special::hostname), ""),
    row("cluster-announce-ip", Text, ""),
    row("cluster-announce-port", Integer(PORT), "0"),
    row("cluster-announce-tls-port", Integer(PORT), "0"),
    row("cluster-config-file", Text, "nodes.conf").immutable(),
    row("cluster-enabled", Bool, "no").immutable(),
    row("cluster-link-sendbuf-limit", Unsigned, "0"),
    row("cluster-migration-barrier", Integer(COUNT_32), "1"),
    row("cluster-node-timeout", Integer(COUNT), "15000"),
    row("cluster-port", Integer(COUNT_32), "0").immutable(),
    row("cluster-preferred-endpoint-type", Choice(&["ip", "hostname", "unknown-endpoint"]), "ip"),
    row("cluster-replica-no-failover", Bool, "no").alias("cluster-slave-no-failover"),
    row("cluster-replica-validity-factor", Integer(COUNT_32), "10")
        .alias("cluster-slave-validity-factor"),
    row("cluster-require-full-coverage", Bool, "yes"),
    row("crash-log-enabled", Bool, "yes"),
    row("crash-memcheck-enabled", Bool, "yes"),
    row("daemonize", Bool, "no").immutable(),
    row("databases", Integer(POSITIVE_32), "16").immutable(),
    row("dbfilename", Text, "dump.rdb").protected(),
    row("dir", Text, ".").protected(),
    row("disable-thp", Bool, "yes").immutable(),
    row("dynamic-hz", Bool, "yes"),
    row("enable-debug-command", Choice(GUARDED), "no").immutable(),
    row("enable-module-command", Choice(GUARDED), "no").immutable(),
    row("enable-protected-configs", Choice(GUARDED), "no").immutable(),
    row("hash-max-listpack-entries", Integer(COUNT), "512").alias("hash-max-ziplist-entries"),
    row("hash-max-listpack-value", Memory(COUNT), "64").alias("hash-max-ziplist-value"),
    row("hll-sparse-max-bytes", Memory(COUNT), "3000"),
    row("hz", Special(special::hz), "10"),
    row("ignore-warnings", Text, ""),
    row("io-threads", Integer(COUNT_32), "1").immutable(),
    row("io-threads-do-reads", Bool, "no").immutable(),
    row("jemalloc-bg-thread", Bool, "yes"),
    row("key-load-delay", Integer(ANY_32), "0").hidden(),
    row("latency-monitor-threshold", Integer(COUNT), "0"),
    row("latency-tracking", Bool, "no"),
    row("latency-tracking-info-percentiles", Special(special::percentiles), "50 99 99.9"),
    row("lazyfree-lazy-eviction", Bool, "no"),
    row("lazyfree-lazy-expire", Bool, "no"),
    row("lazyfree-lazy-server-del", Bool, "no"),
    row("lazyfree-lazy-user-del", Bool, "no"),
    row("lazyfree-lazy-user-flush", Bool, "no"),
    row("lfu-decay-time", Integer(COUNT_32), "1"),
    row("lfu-log-factor", Integer(COUNT_32), "10"),
    row("list-compress-depth", Integer(COUNT_32), "0"),
    row("list-max-listpack-size", Integer(ANY_32), "-2").alias("list-max-ziplist-size"),
    row("loading-process-events-interval-bytes", Integer((1024, i32::MAX as i64)), "2097152").hidden(),
    row("logfile", Text, "").immutable(),
    row("loglevel", Choice(&["debug", "verbose", "notice", "warning"]), "notice"),
    row("masterauth", Text, ""),
    row("masteruser", Text, ""),
    row("maxclients", Integer((1, 4294967295)), "10000"),
    row("maxmemory", Unsigned, "0"),
    row("maxmemory-clients", Portion, "0"),
    row("maxmemory-eviction-tenacity", Integer((0, 100)), "10"),
    row("maxmemory-policy", Choice(POLICIES), "noeviction"),
    row("maxmemory-samples", Integer(POSITIVE_32), "5"),
    row("min-replicas-max-lag", Integer(COUNT_32), "10").alias("min-slaves-max-lag"),
    row("min-replicas-to-write", Integer(COUNT_32), "0").alias("min-slaves-to-write"),
    row("no-appendfsync-on-rewrite", Bool, "no"),
    row("notify-keyspace-events", Special(special::events), ""),
    row("oom-score-adj", Choice(&["no", "yes", "relative", "absolute"]), "no"),
    row("oom-score-adj-values", Special(special::score_adjustments), "0 200 800"),
    row("pidfile", Text, "").immutable(),
    row("port", Integer(PORT), "0").bound(),
    row("proc-title-template", Special(special::title), "{title} {listen-addr} {server-mode}"),
    row("propagation-error-behavior", Choice(&["ignore", "panic", "panic-on-replicas"]), "ignore"),
    row("protected-mode", Bool, "yes"),
    row("proto-max-bulk-len", Memory((1 << 20, i64::MAX)), "536870912"),
    row("rdb-del-sync-files", Bool, "no"),
    row("rdb-key-save-delay", Integer(ANY_32), "0").hidden(),
    row("rdb-save-incremental-fsync", Bool, "yes"),
    row("rdbchecksum", Bool, "yes").immutable(),
    row("rdbcompression", Bool, "yes"),
    row("repl-backlog-size", Memory(POSITIVE), "1048576"),
    row("repl-backlog-ttl", Integer(COUNT), "3600"),
    row("repl-disable-tcp-nodelay", Bool, "no"),
    row("repl-diskless-load", Choice(&["disabled", "on-empty-db", "swapdb"]), "disabled"),
    row("repl-diskless-sync", Bool, "yes"),
    row("repl-diskless-sync-delay", Integer(COUNT_32), "5"),
    row("repl-diskless-sync-max-replicas", Integer(COUNT_32), "0"),
    row("repl-ping-replica-period", Integer(POSITIVE_32), "10").alias("repl-ping-slave-period"),
    row("repl-timeout", Integer(POSITIVE_32), "60"),
    row("replica-announce-ip", Text, "").alias("slave-announce-ip"),
    row("replica-announce-port", Integer(PORT), "0").alias("slave-announce-port"),
    row("replica-announced", Bool, "yes"),
    row("replica-ignore-disk-write-errors", Bool, "no"),
    row("replica-ignore-maxmemory", Bool, "yes").alias("slave-ignore-maxmemory"),
    row("replica-lazy-flush", Bool, "no").alias("slave-lazy-flush"),
    row("replica-priority", Integer(COUNT_32), "100").alias("slave-priority"),
    row("replica-read-only", Bool, "yes").alias("slave-read-only"),
    row("replica-serve-stale-data", Bool, "yes").alias("slave-serve-stale-data"),
    row(MASTER, Text, "").alias("slaveof").immutable(),
    row("requirepass", Text, ""),
    row("sanitize-dump-payload", Choice(&["no", "yes", "clients"]), "no"),
    row("save", Special(special::save), ""),
    row("server_cpulist", Text, "").immutable(),
    row("set-max-intset-entries", Integer(COUNT), "512"),
    row("set-proc-title", Bool, "yes").immutable(),
    row("shutdown-on-sigint", Choices(SHUTDOWN), "default"),
    row("shutdown-on-sigterm", Choices(SHUTDOWN), "default"),
    row("shutdown-timeout", Integer(COUNT_32), "10"),
    row("slowlog-log-slower-than", Integer((-1, i64::MAX)), "-1"),
    row("slowlog-max-len", Integer(COUNT), "128"),
    row("socket-mark-id", Integer(COUNT_32), "0").immutable(),
    row("stop-writes-on-bgsave-error", Bool, "yes"),
    row("stream-node-max-bytes", Memory(COUNT), "4096"),
    row("stream-node-max-entries", Integer(COUNT), "100"),
    row("supervised", Text, "no").immutable(),
    row("syslog-enabled", Bool, "no").immutable(),
    row("syslog-facility", Text, "local0").immutable(),
    row("syslog-ident", Text, "redis").immutable(),
    row("tcp-backlog", Integer(COUNT_32), "511").immutable(),
    row("tcp-keepalive", Integer(COUNT_32), "300"),
    row("timeout", Integer(COUNT_32), "0"),
    row("tls-auth-clients", Choice(&["no", "yes", "optional"]), "yes"),
    row("tls-ca-cert-dir", Text, ""),
    row("tls-ca-cert-file", Text, ""),
    row("tls-cert-file", Text, ""),
    row("tls-ciphers", Text, ""),
    row("tls-ciphersuites", Text, ""),
    row("tls-client-cert-file", Text, ""),
    row("tls-client-key-file", Text, ""),
    row("tls-client-key-file-pass", Text, ""),
    row("tls-cluster", Bool, "no"),
    row("tls-dh-params-file", Text, ""),
    row("tls-key-file", Text, ""),
    row("tls-key-file-pass", Text, ""),
    row("tls-port", Integer(PORT), "0").bound(),
    row("tls-prefer-server-ciphers", Bool, "no"),
    row("tls-protocols", Text, ""),
    row("tls-replication", Bool, "no"),
    row("tls-session-cache-size", Integer(COUNT_32), "20480"),
    row("tls-session-cache-timeout", Integer(COUNT_32), "300"),
    row("tls-session-caching", Bool, "yes"),
    row("tracking-table-max-keys", Integer(COUNT), "1000000"),
    row("unixsocket", Text, "").immutable(),
    row("unixsocketperm", Text, "0").immutable(),
    row("use-exit-on-panic", Bool, "no").hidden(),
    row("watchdog-period", Integer(COUNT_32), "0").hidden(),
    row("zset-max-listpack-entries", Integer(COUNT), "128").alias("zset-max-ziplist-entries"),
    row("zset-max-listpack-value", Memory(COUNT), "64").alias("zset-max-ziplist-value"),
];
