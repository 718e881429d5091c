//! Commands on keys of any type, deadlines, and the server's few.

use super::Family;
use crate::grammar::Argv;
use crate::source::{KEYS, Source};

pub(super) const FAMILY: Family = Family {
    name: "generic",
    home: &KEYS,
    argument,
    templates: &[
        "6* DEL ( $key )",
        "UNLINK ( $key )",
        "2* EXISTS ( $key )",
        "TOUCH ( $key )",
        "3* TYPE $key",
        "4* OBJECT ENCODING $key",
        "OBJECT REFCOUNT $key",
        "OBJECT FREQ $key",
        "OBJECT HELP",
        "3* RENAME $key $key",
        "2* RENAMENX $key $key",
        "4* COPY $key $key [ REPLACE ]",
        "COPY $key $key DB 0|1|99 [ REPLACE ]",
        "MOVE $key 0|1|99",
        "RANDOMKEY",
        "KEYS $pattern",
        "SCAN 0 [ MATCH $pattern ] [ TYPE $type ] COUNT 100000",
        "SCAN $count [ MATCH $pattern ] [ COUNT $count ] [ TYPE $type ]",
        // Looking at every key first removes those that have expired.
        "EXISTS $everywhere ; DBSIZE",
        "3* EXPIRE $key $seconds [ NX|XX|GT|LT ]",
        "EXPIRE $key $seconds [ NX|XX ] [ GT|LT ]",
        "2* PEXPIRE $key $milliseconds [ NX|XX|GT|LT ]",
        "EXPIREAT $key $at [ NX|XX|GT|LT ]",
        "PEXPIREAT $key $at-ms [ NX|XX|GT|LT ]",
        "EXPIREAT $key 1",
        "3* TTL $key",
        "3* PTTL $key",
        "EXPIRETIME $key",
        "PEXPIRETIME $key",
        "3* PERSIST $key",
        "2* SORT $key $sorting",
        "2* SORT $key $order STORE $key",
        "SORT $key BY hash1->* [ LIMIT $index $index ] [ DESC ] STORE $key",
        "SORT_RO $key $sorting",
        "DUMP $key",
        "RESTORE $key 0 $value [ REPLACE ]",
        "SELECT 1 ; SET $key $value ; TYPE $key ; SELECT 0",
        "SELECT 1 ; DEL $key ; EXISTS $key ; SELECT 0",
        "SELECT 1 ; COPY $key $key DB 0 ; MOVE $key 0 ; EXISTS $everywhere ; DBSIZE ; SELECT 0",
        "SWAPDB 0 1",
        "SELECT 99 ; SELECT x ; SWAPDB 0 x ; SWAPDB 0 99",
        "CONFIG SET $parameter $limit",
        "CONFIG SET ( $parameter $limit )",
        "CONFIG GET ( $parameter )",
        "PING [ $value ]",
        "ECHO $value",
    ],
};

/// The parameters that say how values are kept, with Redis's own values.
pub(crate) const LIMITS: [(&str, &str); 9] = [
    ("hash-max-listpack-entries", "512"),
    ("hash-max-listpack-value", "64"),
    ("hll-sparse-max-bytes", "3000"),
    ("list-max-listpack-size", "-2"),
    ("set-max-intset-entries", "512"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
];

const TYPES: [&str; 8] = ["string", "list", "set", "zset", "hash", "stream", "HASH", "x"];

const BY: [&str; 6] = ["nosort", "str*", "hash1->*", "missing*", "*", "hash*->a"];

const GET: [&str; 6] = ["#", "str*", "hash1->*", "hash*->a", "missing", "list*"];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    match name {
        "parameter" => argv.push(source.word(&LIMITS.map(|(name, _)| name))),
        "limit" => {
            argv.push(source.word(&["0", "1", "3", "5", "8", "16", "40", "100", "-1", "-2"]))
        }
        "type" => argv.push(source.word(&TYPES)),
        "sorting" => sorting(source, argv),
        "order" => order(source, argv),
        _ => return false,
    }
    true
}

/// Options of SORT.
fn sorting(source: &mut Source, argv: &mut Argv) {
    option(source, argv, 30, "BY", &BY);
    order(source, argv);
}

/// Those under which every element has its place. Without ALPHA most lists are an error, so that
/// is mostly there.
fn order(source: &mut Source, argv: &mut Argv) {
    option(source, argv, 30, "GET", &GET);
    option(source, argv, 15, "GET", &GET);
    option(source, argv, 70, "ALPHA", &[]);
    option(source, argv, 30, "DESC", &[]);
    if source.chance(30) {
        argv.push(b"LIMIT".to_vec());
        source.argument("index", argv);
        source.argument("index", argv);
    }
}

fn option(source: &mut Source, argv: &mut Argv, percent: usize, name: &str, words: &[&str]) {
    if source.chance(percent) {
        argv.push(name.as_bytes().to_vec());
        argv.extend((!words.is_empty()).then(|| source.word(words)));
    }
}
