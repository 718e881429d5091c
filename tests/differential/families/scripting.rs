//! Scripts as such: what does not compile, what is cached, what refuses to write; and commands
//! that nobody has.

use super::{Family, UNKNOWN};
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "scripting",
    home: &["str1", "hash1", "list1"],
    argument,
    templates: &[
        "2* EVAL $source 1 $key ( $value )",
        "EVAL $source $several ( $value )",
        "EVAL_RO $source 1 $key ( $value )",
        "2* SCRIPT LOAD $source",
        "EVALSHA $sha 0",
        "EVALSHA $sha 1 $key ( $value )",
        "EVALSHA_RO $sha 1 $key ( $value )",
        "SCRIPT EXISTS ( $sha )",
        "SCRIPT FLUSH [ SYNC|ASYNC|x ]",
        "SCRIPT KILL",
        "SCRIPT HELP",
        UNKNOWN,
    ],
};

const SOURCES: [&str; 30] = [
    "return 1",
    "return ARGV[1]",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return redis.pcall('GET', KEYS[1])",
    "return redis.call('GET', KEYS[1])",
    "return redis.call('NOSUCH', 1)",
    "return redis.call('GET')",
    "return redis.call()",
    "return redis.call({})",
    "return redis.pcall('SET', KEYS[1], {})",
    "return redis.call('EVAL', 'return 1', 0)",
    "redis.call('SET', KEYS[1], 'half') error('done')",
    "redis.call('SET', KEYS[1], 'half') error({err='MY own'})",
    "redis.call('RPUSH', KEYS[1], 'a') redis.call('INCR', KEYS[1])",
    "return nosuch",
    "nosuch = 1",
    "return nosuch.field",
    "return KEYS[1] .. nil",
    "return {KEYS, ARGV, #KEYS}",
    "return (",
    "return \u{e9}",
    "x = = 1",
    "return 'unfinished",
    "#!lua\nreturn redis.call('GET', KEYS[1])",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], 'x')",
    "#!lua flags=no-such\nreturn 1",
    "#!lua",
    "#!js x=y\nreturn 1",
    "#!lua name=x\nreturn 1",
    "return redis.error_reply('MY error')",
];

/// Of `return 1`, of a text with letters of both cases, of nothing.
const SHAS: [&str; 4] = [
    "e0e1f9fabfc9d4800c877a703b823ac0578ff8db",
    "E0E1F9FABFC9D4800C877A703B823AC0578FF8DB",
    "ffffffffffffffffffffffffffffffffffffffff",
    "short",
];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    match name {
        "source" => argv.push(source.word(&SOURCES)),
        "sha" => argv.push(source.word(&SHAS)),
        _ => return false,
    }
    true
}
