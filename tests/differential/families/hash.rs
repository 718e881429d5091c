//! Hashes.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "hash",
    home: &["hash1", "hash2"],
    argument,
    templates: &[
        "6* HSET $key ( $field $value )",
        "2* HSET $key ( $field $int )",
        "HSET $key $pairs",
        "HMSET $key ( $field $value )",
        "HSETNX $key $field $value",
        "3* HGET $key $field",
        "2* HMGET $key ( $field )",
        "3* HDEL $key ( $field )",
        "HEXISTS $key $field",
        "HSTRLEN $key $field",
        "HLEN $key",
        "2* HGETALL $key",
        "HKEYS $key",
        "HVALS $key",
        "3* HINCRBY $key $field $int",
        "3* HINCRBYFLOAT $key $field $float",
        "HRANDFIELD $key",
        "HRANDFIELD $key $several [ WITHVALUES ]",
        "HSCAN $key 0 [ MATCH $pattern ] COUNT 100000",
        "HSCAN $key $count [ MATCH $pattern ] [ COUNT $count ]",
        "OBJECT ENCODING $key",
        "DEL $key",
    ],
};

/// Enough of them make a hash large.
fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    if name != "pairs" {
        return false;
    }
    let from = source.below(100);
    let count = source.below(520);
    for number in from..=from + count {
        argv.push(number.to_string().into_bytes());
        argv.push(format!("v{number}").into_bytes());
    }
    true
}
