//! Sorted sets.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "zset",
    home: &["zset1", "zset2"],
    argument,
    templates: &[
        "6* ZADD $key ( $score $member )",
        "3* ZADD $key ( 0 $member )",
        "4* ZADD $key [ NX|XX ] [ GT|LT ] [ CH ] ( $score $member )",
        "2* ZADD $key [ NX|XX|GT|LT ] [ CH ] INCR $score $member",
        "ZADD $key $ranking",
        "2* ZINCRBY $key $score $member",
        "ZSCORE $key $member",
        "ZMSCORE $key ( $member )",
        "ZCARD $key",
        "ZCOUNT $key $bound $bound",
        "ZRANK $key $member",
        "ZREVRANK $key $member",
        "3* ZREM $key ( $member )",
        "3* ZRANGE $key $index $index [ REV ] [ WITHSCORES ]",
        "2* ZRANGE $key $bound $bound BYSCORE [ REV ] [ LIMIT $index $index ] [ WITHSCORES ]",
        "ZREVRANGE $key $index $index [ WITHSCORES ]",
        "ZRANGEBYSCORE $key $bound $bound [ WITHSCORES ] [ LIMIT $index $index ]",
        "ZREVRANGEBYSCORE $key $bound $bound [ WITHSCORES ] [ LIMIT $index $index ]",
        "ZREMRANGEBYRANK $key $index $index",
        "ZREMRANGEBYSCORE $key $bound $bound",
        "ZPOPMIN $key [ $count ]",
        "ZPOPMAX $key [ $count ]",
        "2* ZMPOP $keys MIN|MAX [ COUNT $digit ]",
        "BZPOPMIN ( $key ) 0.001",
        "BZPOPMAX ( $key ) 0.001",
        "BZMPOP 0.001 $keys MIN|MAX [ COUNT $digit ]",
        "ZRANDMEMBER $key",
        "2* ZRANDMEMBER $key $several [ WITHSCORES ]",
        "2* ZUNION $keys [ $weights ] [ AGGREGATE SUM|MIN|MAX ] [ WITHSCORES ]",
        "2* ZINTER $keys [ $weights ] [ AGGREGATE SUM|MIN|MAX ] [ WITHSCORES ]",
        "2* ZDIFF $keys [ WITHSCORES ]",
        "2* ZUNIONSTORE $key $keys [ $weights ] [ AGGREGATE SUM|MIN|MAX ]",
        "2* ZINTERSTORE $key $keys [ $weights ] [ AGGREGATE SUM|MIN|MAX ]",
        "2* ZDIFFSTORE $key $keys",
        "ZUNION 3 $key set1 set2 [ WITHSCORES ]",
        "ZINTERSTORE $key 2 $key set1 [ WEIGHTS 2 $float ]",
        "2* ZINTERCARD $keys [ LIMIT $count ]",
        "ZRANGESTORE $key $key $index $index [ REV ]",
        "ZRANGESTORE $key $key $bound $bound BYSCORE [ REV ] [ LIMIT $index $index ]",
        "ZSCAN $key 0 [ MATCH $pattern ] COUNT 100000",
        "ZSCAN $key $count [ MATCH $pattern ] [ COUNT $count ]",
        "OBJECT ENCODING $key",
        "DEL $key",
    ],
};

const SCORES: [&str; 12] = [
    "inf",
    "-inf",
    "+inf",
    "nan",
    "1e17",
    "-0",
    "1.0",
    "0x10",
    "1e-10",
    "9007199254740993",
    "-1e300",
    "4611686018427387905",
];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    let one = match name {
        "score" => score(source),
        "bound" => match source.below(8) {
            0 => source.word(&["-inf", "+inf", "(inf", "(-inf", "inf"]),
            1 | 2 => [b"(".to_vec(), score(source)].concat(),
            _ => score(source),
        },
        "ranking" => {
            for number in 0..=source.below(140) {
                argv.push(number.to_string().into_bytes());
                argv.push(format!("m{number}").into_bytes());
            }
            return true;
        }
        _ => return false,
    };
    argv.push(one);
    true
}

fn score(source: &mut Source) -> Vec<u8> {
    match source.below(10) {
        0..7 => source.between(-3, 12).to_string().into_bytes(),
        7 | 8 => source.float(),
        _ => source.word(&SCORES),
    }
}
