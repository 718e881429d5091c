//! Ranges of members. They mean something only where all scores are the same, so they have a key
//! to themselves, and what adds to it is left as it is: a step of two commands is not mutated.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "lex",
    home: &["lex"],
    argument,
    templates: &[
        "6* ZADD lex ( 0 $member ) ; ZCARD lex",
        "ZLEXCOUNT lex $lex $lex",
        "2* ZRANGE lex $lex $lex BYLEX [ REV ] [ LIMIT $index $index ]",
        "ZRANGEBYLEX lex $lex $lex [ LIMIT $index $index ]",
        "ZREVRANGEBYLEX lex $lex $lex [ LIMIT $index $index ]",
        "ZRANGESTORE zset1 lex $lex $lex BYLEX [ REV ] [ LIMIT $index $index ]",
        "ZREMRANGEBYLEX lex $lex $lex",
        "ZRANK lex $member",
    ],
};

const LEX: [&str; 14] =
    ["-", "+", "[a", "(a", "[b", "(c", "[foo", "(foo", "[", "(", "[z", "[1", "(5", "a"];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    if name == "lex" {
        argv.push(source.word(&LEX));
    }
    name == "lex"
}
