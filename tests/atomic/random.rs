//! Random commands of every family, made from one table of shapes.
//!
//! A new family adds its keys' word to [`FAMILIES`], its shapes to [`SHAPES`] and what its
//! arguments are to [`word`]. Shapes of commands that do not exist here are passed over.

use super::{Argv, START_MS, argv};
use std::collections::BTreeSet;

/// A small generator of its own, so that a seed means the same everywhere (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// The shapes of calls: a word in capitals stands for itself, one in small letters for what
/// [`word`] makes of it. Every command that writes must be here; see [`writers`].
#[rustfmt::skip]
const SHAPES: &[&str] = &[
    "APPEND string value",
    "APPEND string value",
    "BITFIELD string SET u8 bit 255 INCRBY i5 bit integer",
    "BITFIELD string OVERFLOW SAT INCRBY u2 #3 1",
    "BITOP AND string string string",
    "BITOP NOT string string",
    "BITOP XOR string string string",
    "BLMOVE list list RIGHT LEFT wait",
    "BLMPOP wait 2 list list RIGHT COUNT count",
    "BLPOP list list wait",
    "BRPOP list wait",
    "BRPOPLPUSH list list wait",
    "BZMPOP wait 1 zset MIN",
    "BZPOPMAX zset zset wait",
    "BZPOPMIN zset wait",
    "COPY key key",
    "COPY key key REPLACE",
    "DECR string",
    "DECRBY string integer",
    "DEL key key",
    "EXPIRE key seconds",
    "EXPIRE key seconds GT",
    "EXPIREAT key past",
    "FLUSHALL",
    "FLUSHDB ASYNC",
    "GEOADD zset longitude latitude member",
    "GEOADD zset XX CH longitude latitude member longitude latitude member",
    "GEORADIUS zset 10 50 2000 km STORE zset",
    "GEORADIUSBYMEMBER zset member 2000 km STOREDIST zset",
    "GEOSEARCHSTORE zset zset FROMLONLAT 10 50 BYBOX 4000 4000 km ASC COUNT 5",
    "GETDEL string",
    "GETEX string",
    "GETEX string PX milliseconds",
    "GETEX string PXAT past",
    "GETEX string PERSIST",
    "GETSET string value",
    "HDEL hash field field field",
    "HDEL hash fields",
    "HINCRBY hash counter integer",
    "HINCRBYFLOAT hash counter float",
    "HMSET hash field value field value",
    "HSET hash field value",
    "HSET hash field value field value field value",
    "HSET hash pairs",
    "HSETNX hash field value",
    "INCR string",
    "INCRBY string integer",
    "INCRBYFLOAT string float",
    "LINSERT list BEFORE element element",
    "LINSERT list AFTER element value",
    "LMOVE list list LEFT RIGHT",
    "LMOVE list list RIGHT LEFT",
    "LMPOP 2 list list LEFT COUNT count",
    "LPOP list",
    "LPOP list count",
    "LPUSH list element value",
    "LPUSH list elements",
    "LPUSHX list element",
    "LREM list index element",
    "LSET list index value",
    "LSET list index value",
    "LTRIM list index -1",
    "LTRIM list index index",
    "MOVE key 1",
    "MSET string value string value",
    "MSETNX string value string value",
    "PERSIST key",
    "PEXPIRE key milliseconds",
    "PEXPIRE key milliseconds NX",
    "PEXPIREAT key future",
    "PEXPIREAT key past",
    "PFADD hll element value element",
    "PFADD hll elements",
    "PFDEBUG GETREG hll",
    "PFMERGE hll hll hll",
    "PSETEX string milliseconds value",
    "RENAME key key",
    "RENAMENX key key",
    "RESTORE key 0 payload REPLACE",
    "RESTORE key milliseconds payload",
    "RESTORE-ASKING key 0 payload REPLACE",
    "RPOP list",
    "RPOP list count",
    "RPOPLPUSH list list",
    "RPUSH list element",
    "RPUSH list elements",
    "RPUSHX list value",
    "SADD set item",
    "SADD set item item item",
    "SADD set items",
    "SDIFFSTORE set set set",
    "SDIFFSTORE key set set set set",
    "SET string value",
    "SET key value",
    "SET string integer",
    "SET string value KEEPTTL",
    "SET string value XX GET",
    "SET string value PX milliseconds",
    "SET string value PXAT past",
    "SETBIT string bit 1",
    "SETBIT string bit 0",
    "SETEX string seconds value",
    "SETNX string value",
    "SETRANGE string offset value",
    "SETRANGE string offset value",
    "SINTERSTORE set set set",
    "SMOVE set set item",
    "SMOVE set set item",
    "SORT list ALPHA STORE list",
    "SORT key LIMIT 0 5 BY nosort STORE list",
    "SPOP set",
    "SPOP set count",
    "SREM set item item item",
    "SREM set items",
    "SUNIONSTORE set set set",
    "SUNIONSTORE set set",
    "SWAPDB 0 1",
    "UNLINK key",
    "XACK stream group id id",
    "XADD stream * field value",
    "XADD stream id field value field value",
    "XADD stream MAXLEN ~ 10 * field value",
    "XADD stream NOMKSTREAM MAXLEN = 7 * field value",
    "XAUTOCLAIM stream group consumer 0 0 COUNT count",
    "XCLAIM stream group consumer 0 id id",
    "XCLAIM stream group consumer 0 id FORCE JUSTID",
    "XDEL stream id id",
    "XGROUP CREATE stream group 0 MKSTREAM",
    "XGROUP CREATE stream group $",
    "XGROUP CREATECONSUMER stream group consumer",
    "XGROUP DELCONSUMER stream group consumer",
    "XGROUP DESTROY stream group",
    "XGROUP SETID stream group id",
    "XREADGROUP GROUP group consumer COUNT count STREAMS stream >",
    "XREADGROUP GROUP group consumer NOACK STREAMS stream >",
    "XREADGROUP GROUP group consumer STREAMS stream id",
    "XSETID stream id",
    "XTRIM stream MAXLEN 5",
    "XTRIM stream MINID ~ id",
    "ZADD zset score member",
    "ZADD zset scored",
    "ZADD zset GT CH score member score member",
    "ZADD zset XX score member",
    "ZADD zset INCR score member",
    "ZDIFFSTORE zset 2 zset set",
    "ZINCRBY zset score member",
    "ZINTERSTORE zset 2 zset zset",
    "ZMPOP 2 zset zset MAX COUNT count",
    "ZPOPMAX zset",
    "ZPOPMAX zset count",
    "ZPOPMIN zset",
    "ZPOPMIN zset count",
    "ZRANGESTORE zset zset 0 5",
    "ZREM zset member member member",
    "ZREMRANGEBYLEX zset [m1 [m3",
    "ZREMRANGEBYRANK zset index index",
    "ZREMRANGEBYSCORE zset score score",
    "ZUNIONSTORE zset 2 zset set WEIGHTS 2 -1",
];

/// How long a call that waits would wait.
pub const WAIT_SECONDS: &str = "0.001";

/// Keys that begin in a family mostly hold its type; renames see to the rest.
const FAMILIES: [&str; 7] = ["string", "hash", "list", "set", "zset", "stream", "hll"];
const KEYS_PER_FAMILY: usize = 3;

/// What RESTORE reads: a string, a set of integers and a hash, from redis-server 7.0.15.
const PAYLOADS: [&[u8]; 3] = [
    b"\x00\x04some\n\x00F^'\xfd\xb6\xf1\xcbf",
    b"\x0b\x14\x04\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00p\x11\x01\x00\n\x00\
      \x85\xd5\xc1\x06[\x1d\xd0U",
    b"\x10\r\r\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff\n\x00 \xf1=D#T\x08\x9d",
];

fn key(random: &mut Random, family: &str) -> Vec<u8> {
    let family = if random.one_in(8) { random.pick(&FAMILIES) } else { family };
    format!("{family}{}", random.below(KEYS_PER_FAMILY)).into_bytes()
}

/// Lengths on both sides of where something changes its form.
fn value(random: &mut Random) -> Vec<u8> {
    let len = random.pick(&[0, 1, 3, 12, 43, 44, 45, 63, 64, 65, 127, 128, 511, 512, 513, 2000]);
    match random.below(4) {
        0 => random.pick(&["0", "-1", "42", "9223372036854775807", "3.5", "007"]).into(),
        1 => (0..len).map(|_| random.below(256) as u8).collect(),
        _ => vec![b'a' + random.below(26) as u8; len],
    }
}

fn numbered(random: &mut Random, letter: char, most: usize) -> Vec<u8> {
    format!("{letter}{}", random.below(most)).into_bytes()
}

fn score(random: &mut Random) -> Vec<u8> {
    random.pick(&["0", "-0", "1", "1.5", "-3", "7", "1e300", "inf", "-inf", "2", "5"]).into()
}

/// A member of a set: integers of every width, and texts of which some begin alike.
fn item(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0..8 => format!("{}", random.below(60)).into_bytes(),
        8 => random.pick(&["-1", "40000", "-70000", "3000000000", "-9223372036854775808"]).into(),
        9 => vec![b'i'; random.pick(&[1, 14, 15, 24, 40, 41, 56, 64, 65, 88, 89, 300])],
        _ => numbered(random, 'i', 60),
    }
}

/// Appends what a word of a shape stands for.
fn word(random: &mut Random, word: &str, argv: &mut Argv) {
    let text = |text: &str| text.as_bytes().to_vec();
    let made = match word {
        "key" => {
            let family = random.pick(&FAMILIES);
            key(random, family)
        }
        family if FAMILIES.contains(&family) => key(random, family),
        "value" => value(random),
        "payload" => random.pick(&PAYLOADS).to_vec(),
        "integer" => text(random.pick(&["0", "1", "-7", "10000", "-9223372036854775808"])),
        "float" => text(random.pick(&["0.5", "-2", "1e10", "3.25"])),
        "seconds" => text(random.pick(&["-1", "0", "1", "5", "100"])),
        "milliseconds" => text(random.pick(&["-5", "0", "1", "800", "4000", "90000"])),
        "wait" => text(WAIT_SECONDS),
        "past" => text(random.pick(&["1", "1000", "1699999999"])),
        "future" => format!("{}", START_MS + random.below(4_000_000) as i64).into_bytes(),
        "offset" => text(random.pick(&["0", "1", "40", "500", "512", "600"])),
        "bit" => text(random.pick(&["0", "3", "7", "8", "90", "4100", "5000"])),
        "index" => text(random.pick(&["0", "1", "-1", "5", "-6", "40", "-100", "300"])),
        "count" => text(random.pick(&["0", "1", "2", "7", "50", "200"])),
        "longitude" => format!("{}.5", random.below(60)).into_bytes(),
        "latitude" => format!("{}.25", random.below(80)).into_bytes(),
        "score" => score(random),
        "member" => numbered(random, 'm', 160),
        "element" => numbered(random, 'e', 5),
        "counter" => numbered(random, 'c', 3),
        "group" => numbered(random, 'g', 2),
        "consumer" => numbered(random, 'o', 3),
        "id" => format!("{}-{}", START_MS + random.below(9000) as i64, random.below(3)).into(),
        "item" => item(random),
        "field" if random.one_in(30) => vec![b'f'; random.pick(&[64, 65])],
        "field" => numbered(random, 'f', 700),
        "fields" | "pairs" | "scored" | "elements" | "items" => return many(random, word, argv),
        _ => text(word),
    };
    argv.push(made);
}

/// Appends so many arguments that a collection can outgrow its small form.
fn many(random: &mut Random, word: &str, argv: &mut Argv) {
    let most = if random.one_in(3) { 300 } else { 60 };
    let first = random.below(500);
    // Integers alone outgrow theirs later than others, so there are more of them.
    let (most, letter) = match word {
        "items" if random.one_in(2) => (most * 2, ""),
        _ => (most, "i"),
    };
    for i in first..first + 1 + random.below(most) {
        match word {
            "fields" => argv.push(format!("f{i}").into_bytes()),
            "pairs" => {
                argv.extend([format!("f{i}").into_bytes(), format!("{}", i % 7).into_bytes()])
            }
            "scored" => argv.extend([score(random), format!("m{}", i % 160).into_bytes()]),
            "items" => argv.push(format!("{letter}{i}").into_bytes()),
            _ if random.one_in(20) => argv.push(value(random)),
            _ => argv.push(vec![b'e'; 1 + random.below(200)]),
        }
    }
}

/// A maker of commands: the shapes of those that exist here and that a script may call.
pub struct Commands(Vec<&'static str>);

impl Commands {
    pub fn new() -> Commands {
        let commands = moonkv::commands();
        let in_script = commands.iter().filter(|info| !info.flags.contains(&"noscript"));
        let names: BTreeSet<&str> = in_script.map(|info| info.name).collect();
        let exists = |shape: &&&str| names.contains(&*name(&argv(shape)).to_ascii_lowercase());
        Commands(SHAPES.iter().filter(exists).copied().collect())
    }

    /// The commands it makes.
    pub fn names(&self) -> BTreeSet<String> {
        self.0.iter().map(|shape| name(&argv(shape))).collect()
    }

    pub fn make(&self, random: &mut Random) -> Argv {
        let shape = loop {
            let shape = random.pick(&self.0);
            // What removes everything would leave little to undo if it were as usual as the rest.
            let rare = if shape.starts_with("FLUSH") { 12 } else { 1 };
            if random.one_in(rare) {
                break shape;
            }
        };
        let mut argv = Argv::new();
        for part in shape.split(' ') {
            match part.chars().all(|c| c.is_ascii_lowercase()) {
                true => word(random, part, &mut argv),
                false => argv.push(part.as_bytes().to_vec()),
            }
        }
        argv
    }
}

/// The name of a command, as its row has it but in capitals.
pub fn name(argv: &Argv) -> String {
    let word = |at| argv.get(at).map(|word: &Vec<u8>| String::from_utf8_lossy(word).into_owned());
    match word(0).as_deref() {
        Some("XGROUP") => format!("XGROUP|{}", word(1).unwrap_or_default()),
        name => name.unwrap_or_default().to_owned(),
    }
}

/// The commands that write and that a script may call, of those which exist here.
pub fn writers() -> BTreeSet<String> {
    let commands = moonkv::commands();
    // What one command does needs another server, whose answers no undo takes back.
    let in_script = |info: &&moonkv::CommandInfo| {
        let flags = |flag| info.flags.contains(&flag);
        flags("write") && !flags("noscript") && info.name != "migrate"
    };
    commands.iter().filter(in_script).map(|info| info.name.to_ascii_uppercase()).collect()
}
