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
        "2* SORT $key $sorting STORE $key",
        "SORT_RO $key $sorting",
        "DUMP $key",
        "RESTORE $key 0 $value [ REPLACE ]",
        "PING [ $value ]",
        "ECHO $value",
    ],
};

const TYPES: [&str; 8] = ["string", "list", "set", "zset", "hash", "stream", "HASH", "x"];

const BY: [&str; 6] = ["nosort", "str*", "hash1->*", "missing*", "*", "hash*->a"];

const GET: [&str; 6] = ["#", "str*", "hash1->*", "hash*->a", "missing", "list*"];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    match name {
        "type" => argv.push(source.word(&TYPES)),
        "sorting" => sorting(source, argv),
        _ => return false,
    }
    true
}

/// Options of SORT. Without ALPHA most lists are an error, so that is mostly there.
fn sorting(source: &mut Source, argv: &mut Argv) {
    let mut option = |percent: usize, name: &str, words: &[&str]| {
        if source.chance(percent) {
            argv.push(name.as_bytes().to_vec());
            if !words.is_empty() {
                argv.push(source.word(words));
            }
        }
    };
    option(30, "BY", &BY);
    option(30, "GET", &GET);
    option(15, "GET", &GET);
    option(70, "ALPHA", &[]);
    option(30, "DESC", &[]);
    if source.chance(30) {
        argv.push(b"LIMIT".to_vec());
        source.argument("index", argv);
        source.argument("index", argv);
    }
}
