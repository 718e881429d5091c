//! A redis-server that follows an engine, and what the engine knows of its replicas.

use crate::wire::{Follower, Ours, Received, Theirs, Wire};
use std::time::{Duration, Instant};

/// The longest that anybody is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
#[track_caller]
fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Has a server follow an engine; returns once it does.
fn follow(ours: &Ours, theirs: &Theirs) -> Wire {
    let mut server = theirs.client();
    let port = ours.listener.port().expect("it listens on TCP").to_string();
    server.ask(&["REPLICAOF", "127.0.0.1", &port]);
    wait_for("the server follows", || {
        server.ask(&["INFO", "replication"]).text().contains("master_link_status:up")
    });
    server
}

/// Numbers that look like chance, and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Calls in which `K` is a key of the right type, `k` another one, and `N` a number.
const CALLS: &[(&str, &[&str])] = &[
    (
        "s",
        &[
            "SET K N",
            "SET K N EX 100",
            "SET K N NX PX 50000",
            "SET K N XX GET",
            "SET K N KEEPTTL",
            "GETSET K N",
            "GETDEL K",
            "GETEX K EX 100",
            "GETEX K PERSIST",
            "SETEX K 100 N",
            "INCR K",
            "INCRBY K N",
            "DECRBY K N",
            "INCRBYFLOAT K 0.N",
            "APPEND K N",
            "SETRANGE K N xy",
            "SETBIT K N 1",
            "BITFIELD K INCRBY u8 N 3 SET i4 N 2",
            "MSET K N k N",
            "MSETNX K N k N",
            "BITOP XOR K K k",
            "SETNX K N",
            "SET K N PXAT 1",
        ],
    ),
    (
        "l",
        &[
            "RPUSH K N N N",
            "LPUSH K N N",
            "LPUSHX K N",
            "LPOP K",
            "RPOP K 2",
            "LMPOP 2 k K LEFT COUNT 3",
            "LSET K 0 N",
            "LINSERT K BEFORE N N",
            "LREM K 0 N",
            "LTRIM K 1 -2",
            "RPOPLPUSH K k",
            "LMOVE K k LEFT RIGHT",
            "BLPOP K k 0.01",
            "BRPOP K 0.01",
            "BLMOVE K k RIGHT LEFT 0.01",
            "BLMPOP 0.01 2 K k RIGHT COUNT 2",
            "SORT K ALPHA STORE k",
        ],
    ),
    (
        "t",
        &[
            "SADD K N N N",
            "SREM K N",
            "SPOP K",
            "SPOP K 2",
            "SPOP K 20",
            "SMOVE K k N",
            "SUNIONSTORE K K k",
            "SINTERSTORE K K k",
            "SDIFFSTORE K K k",
        ],
    ),
    (
        "h",
        &[
            "HSET K N N N N",
            "HSETNX K N N",
            "HDEL K N",
            "HINCRBY K N N",
            "HINCRBYFLOAT K N 0.N",
            "HMSET K N N",
        ],
    ),
    (
        "z",
        &[
            "ZADD K N N N N",
            "ZADD K GT CH N N",
            "ZADD K INCR N N",
            "ZINCRBY K N N",
            "ZREM K N",
            "ZPOPMIN K",
            "ZPOPMAX K 2",
            "ZMPOP 2 k K MAX COUNT 2",
            "BZPOPMIN K k 0.01",
            "BZMPOP 0.01 1 K MIN",
            "ZREMRANGEBYSCORE K N 50",
            "ZREMRANGEBYRANK K 0 0",
            "ZUNIONSTORE K 2 K k",
            "ZINTERSTORE K 2 K k",
            "ZDIFFSTORE K 2 K k",
            "ZRANGESTORE K k 0 3",
            "GEOADD K N.5 N.25 N",
            "GEOSEARCHSTORE K k FROMLONLAT 15 37 BYRADIUS 2000 km",
        ],
    ),
    (
        "x",
        &[
            "XADD K * f N",
            "XADD K MAXLEN ~ 3 * f N",
            "XADD K MAXLEN 5 * f N g N",
            "XTRIM K MAXLEN 3",
            "XGROUP CREATE K g 0 MKSTREAM",
            "XGROUP CREATE K g $",
            "XGROUP CREATECONSUMER K g cN",
            "XREADGROUP GROUP g cN COUNT 2 STREAMS K >",
            "XREADGROUP GROUP g cN NOACK COUNT 1 STREAMS K >",
            "XAUTOCLAIM K g cN 0 0 COUNT 3",
            "XGROUP DELCONSUMER K g cN",
            "XGROUP SETID K g 0",
            "XGROUP DESTROY K g",
        ],
    ),
    ("p", &["PFADD K N N", "PFCOUNT K", "PFMERGE K k"]),
    (
        "a",
        &[
            "DEL K",
            "UNLINK K",
            "EXPIRE K 100",
            "PEXPIRE K 100000 NX",
            "EXPIREAT K 1",
            "PERSIST K",
            "RENAME K k",
            "RENAMENX K k",
            "COPY K k",
            "COPY K k REPLACE",
            "MOVE K 3",
            "COPY K k DB 5",
            "SWAPDB 3 5",
            "SELECT 3",
            "SELECT 0",
            "PUBLISH K N",
            "SET K N PX 1",
            "EVAL redis.call('set',KEYS[1],ARGV[1])redis.call('incr',KEYS[1]) 1 K N",
            "EVAL redis.call('spop','tN')redis.call('expire','sN',100)redis.call('xadd','xN','*','f',1) 0",
            "EVAL redis.call('select',4)redis.call('set',KEYS[1],ARGV[1])redis.call('nosuch') 1 K N",
        ],
    ),
];

/// Some call.
fn call(chance: &mut Chance) -> Vec<String> {
    let (kind, calls) = CALLS[chance.below(CALLS.len())];
    let kinds = ["s", "l", "t", "h", "z", "x", "p"];
    let text = calls[chance.below(calls.len())];
    let kind = if kind == "a" { kinds[chance.below(kinds.len())] } else { kind };
    let word = |word: &str, chance: &mut Chance| match word {
        "K" | "k" => format!("{kind}{}", chance.below(4)),
        word => match word.strip_suffix('N') {
            Some(_) if word.len() <= 2 => word.replace('N', &chance.below(30).to_string()),
            _ => word.replace('N', &chance.below(30).to_string()),
        },
    };
    text.split(' ').map(|text| word(text, chance)).collect()
}

/// All there is, key by key. The consumers of groups are left out: Redis does not tell of those that
/// have read nothing.
fn contents(wire: &mut Wire) -> Vec<String> {
    let mut all = Vec::new();
    for database in 0..8 {
        wire.ask(&["SELECT", &database.to_string()]);
        let Received::Array(keys) = wire.ask(&["KEYS", "*"]) else { panic!("no keys") };
        for key in keys.iter().map(Received::text) {
            let kind = wire.ask(&["TYPE", &key]).text();
            let mut ask = |call: &[&str]| wire.ask(call);
            let held = match kind.as_str() {
                "+string" => ask(&["GET", &key]),
                "+list" => ask(&["LRANGE", &key, "0", "-1"]),
                "+set" => in_order(ask(&["SMEMBERS", &key]), 1),
                "+hash" => in_order(ask(&["HGETALL", &key]), 2),
                "+zset" => ask(&["ZRANGE", &key, "0", "-1", "WITHSCORES"]),
                "+stream" => ask(&["XRANGE", &key, "-", "+"]),
                _ => continue,
            };
            let expires = ask(&["PEXPIRETIME", &key]).text();
            let mut line = format!("{database} {key} {kind} {expires} {}", held.text());
            if kind == "+stream" {
                let Received::Array(groups) = ask(&["XINFO", "GROUPS", &key]) else { continue };
                let told = |group: &Received| match group {
                    Received::Array(facts) => {
                        Received::Array([&facts[..2], &facts[4..]].concat()).text()
                    }
                    other => other.text(),
                };
                line.extend(groups.iter().map(told));
            }
            all.push(line);
        }
    }
    wire.ask(&["SELECT", "0"]);
    all.sort();
    all
}

/// Elements that come so many together, in order.
fn in_order(reply: Received, width: usize) -> Received {
    let Received::Array(items) = reply else { return reply };
    let mut groups: Vec<&[Received]> = items.chunks(width).collect();
    groups.sort_by_key(|group| group[0].text());
    Received::Array(groups.concat())
}

#[test]
fn a_server_that_follows_has_the_same() {
    let Some(theirs) = Theirs::start() else { return };
    let ours = Ours::open(|_| ());
    let mut server = follow(&ours, &theirs);
    let (mut client, mut chance) = (ours.client(), Chance(7));
    let mut refused = 0;
    for round in 0..30 {
        for _ in 0..150 {
            let call = call(&mut chance);
            let is_step = chance.below(12) == 0;
            if is_step {
                client.ask(&["MULTI"]);
            }
            let reply = client.ask(&call);
            refused += usize::from(reply.text().starts_with('-'));
            if is_step {
                client.ask(&self::call(&mut chance));
                client.ask(&["EXEC"]);
            }
        }
        // What expires is gone by then.
        std::thread::sleep(Duration::from_millis(3));
        assert!(client.ask(&["DBSIZE"]).text().starts_with(':'));
        let here = contents(&mut client);
        client.ask(&["WAIT", "1", "0"]);
        assert_eq!(here, contents(&mut server), "after {} calls", (round + 1) * 150);
    }
    assert!(refused < 2500, "{refused} calls were refused");
    let Some(late) = Theirs::start() else { return };
    let mut newcomer = follow(&ours, &late);
    let digest = |server: &mut Wire| server.ask(&["DEBUG", "DIGEST"]).text();
    assert_eq!(digest(&mut newcomer), digest(&mut server), "one that begins now");
    assert_eq!(contents(&mut newcomer), contents(&mut server));
}

#[test]
fn waits_end_when_replicas_have_it() {
    let Some(theirs) = Theirs::start() else { return };
    let ours = Ours::open(|_| ());
    let mut client = ours.client();
    assert_eq!(client.ask(&["WAIT", "1", "10"]).text(), ":0", "nobody follows");
    let mut server = follow(&ours, &theirs);
    client.ask(&["SET", "k", "v"]);
    assert_eq!(client.ask(&["WAIT", "1", "0"]).text(), ":1");
    assert_eq!(server.ask(&["GET", "k"]).text(), "v");
    assert_eq!(client.ask(&["WAIT", "2", "20"]).text(), ":1", "there is only one");
    client.ask(&["MULTI"]);
    client.ask(&["WAIT", "2", "0"]);
    assert_eq!(client.ask(&["EXEC"]).text(), "[:1]", "a transaction does not wait");
}

#[test]
fn replicas_are_told_of() {
    let Some(theirs) = Theirs::start() else { return };
    let ours = Ours::open(|_| ());
    let mut client = ours.client();
    let server = follow(&ours, &theirs);
    client.ask(&["SET", "k", "v"]);
    client.ask(&["WAIT", "1", "0"]);
    let info = client.ask(&["INFO", "replication"]).text();
    assert!(
        info.contains("connected_slaves:1\r\nslave0:ip=127.0.0.1,port=0,state=online,"),
        "{info}"
    );
    let offset = info.split("master_repl_offset:").nth(1).and_then(|rest| rest.lines().next());
    let role = client.ask(&["ROLE"]).text();
    let expected = format!("[master :{} [[127.0.0.1 0 ", offset.expect("it is told"));
    assert!(role.starts_with(&expected), "{role}");
    let list = client.ask(&["CLIENT", "LIST", "TYPE", "replica"]).text();
    assert!(list.contains(" flags=S ") && list.contains(" cmd=replconf "), "{list}");
    assert!(!client.ask(&["CLIENT", "LIST", "TYPE", "normal"]).text().contains("flags=S"));
    drop((server, theirs));
    wait_for("the replica is gone", || {
        client.ask(&["INFO", "replication"]).text().contains("connected_slaves:0\r\n")
    });
}

#[test]
fn a_replica_is_killed_like_any_client() {
    let ours = Ours::open(|_| ());
    let mut client = ours.client();
    let mut follower = Follower::begin(&ours.path);
    assert_eq!(client.ask(&["CLIENT", "KILL", "TYPE", "replica"]).text(), ":1");
    assert!(follower.wire().is_closed());
    assert_eq!(client.ask(&["SET", "k", "v"]).text(), "+OK");
    assert!(client.ask(&["INFO", "replication"]).text().contains("connected_slaves:0\r\n"));
}

#[test]
fn a_replica_that_does_not_read_is_given_up() {
    let ours = Ours::open(|_| ());
    let mut client = ours.client();
    client.ask(&["CONFIG", "SET", "client-output-buffer-limit", "replica 1mb 0 0"]);
    let mut follower = Follower::begin(&ours.path);
    let long = "x".repeat(100_000);
    wait_for("it is given up", || {
        client.ask(&["SET", "k", &long]);
        client.ask(&["INFO", "replication"]).text().contains("connected_slaves:0\r\n")
    });
    assert!(follower.wire().is_closed());
}

#[test]
fn what_is_undone_is_not_told() {
    let ours = Ours::open(|options| options.on_error = moonkv::OnError::Rollback);
    let mut follower = Follower::begin(&ours.path);
    let script = "redis.call('set','a',1) redis.call('incr','a') error('no')";
    assert!(ours.engine.eval(script, &[] as &[&str], &[] as &[&str]).is_err());
    let session = ours.engine.session().expect("a session opens");
    session.begin().expect("it begins");
    session.command(&["SET", "b", "1"]).expect("it is set");
    session.rollback().expect("it is undone");
    session.begin().expect("it begins");
    session.command(&["SET", "c", "1"]).expect("it is set");
    let savepoint = session.savepoint().expect("there is a transaction");
    session.command(&["SET", "d", "1"]).expect("it is set");
    session.rollback_to(savepoint).expect("it is undone");
    session.command(&["INCR", "c"]).expect("it is a number");
    session.commit().expect("it is kept");
    ours.engine.command(&["SET", "end", "1"]).expect("it is set");
    let told = follower.until(&["SET", "end", "1"]);
    let told: Vec<String> = told.iter().map(|words| words.join(" ")).collect();
    assert_eq!(told, ["SELECT 0", "MULTI", "SET c 1", "INCR c", "EXEC"]);
}

#[test]
fn signs_of_life_come_now_and_then() {
    let ours = Ours::open(|options| {
        options.config.push(("repl-ping-replica-period".into(), "1".into()));
    });
    let mut follower = Follower::begin(&ours.path);
    let ping = follower.wire().receive();
    assert_eq!(ping, Received::Array(vec![Received::Bulk(Some(b"PING".to_vec()))]));
}

#[test]
fn what_replicas_say_is_checked() {
    let ours = Ours::open(|_| ());
    let mut client = ours.client();
    let ask =
        |client: &mut Wire, call: &str| client.ask(&call.split(' ').collect::<Vec<_>>()).text();
    assert_eq!(ask(&mut client, "REPLCONF listening-port 7000 ip-address 10.0.0.1"), "+OK");
    assert_eq!(ask(&mut client, "REPLCONF capa eof capa psync2"), "+OK");
    assert_eq!(ask(&mut client, "REPLCONF capa"), "-ERR syntax error");
    assert_eq!(ask(&mut client, "REPLCONF nosuch 1"), "-ERR Unrecognized REPLCONF option: nosuch");
    let refused = "-ERR value is not an integer or out of range";
    assert_eq!(ask(&mut client, "REPLCONF listening-port x"), refused);
    // Nobody answers to these two.
    client.send(&["REPLCONF", "ACK", "5"]);
    client.send(&["REPLCONF", "GETACK", "*"]);
    assert_eq!(ask(&mut client, "PING"), "+PONG");
    assert!(ask(&mut client, "INFO replication").contains("connected_slaves:0\r\n"));
    ask(&mut client, "MULTI");
    assert_eq!(ask(&mut client, "SYNC"), "-ERR Command not allowed inside a transaction");
    ask(&mut client, "DISCARD");
    let begun = ask(&mut client, "PSYNC ? -1");
    assert!(begun.starts_with("+FULLRESYNC ") && begun.ends_with(" 0"), "{begun}");
    let host = ours.engine.session().expect("a session opens").command(&["SYNC"]);
    assert!(host.is_err(), "{host:?}");
    let host = ours.engine.session().expect("a session opens").command(&["REPLCONF", "ACK", "1"]);
    assert!(host.is_err(), "{host:?}");
}

#[test]
fn too_few_replicas_end_all_writing() {
    let ours = Ours::open(|options| {
        options.config.push(("min-replicas-to-write".into(), "1".into()));
    });
    let mut client = ours.client();
    assert_eq!(
        client.ask(&["SET", "k", "v"]).text(),
        "-NOREPLICAS Not enough good replicas to write."
    );
    let follower = Follower::begin(&ours.path);
    wait_for("there are enough", || client.ask(&["SET", "k", "v"]).text() == "+OK");
    drop(follower);
    wait_for("there are too few", || client.ask(&["SET", "k", "v"]).text().starts_with('-'));
}
