//! Streams. An ID that is made of the time differs from side to side, so none is asked for.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "stream",
    home: &["stream", "stream", "stream", "stream", "list1"],
    argument,
    templates: &[
        "8* XADD $key $id ( $field $value )",
        "3* XADD $key $next ( $field $value )",
        "3* XADD $key [ NOMKSTREAM ] [ MAXLEN|MINID [ =|~ ] $count [ LIMIT $count ] ] $id $field $value",
        "XADD $key 9-* $field $value",
        "XLEN $key",
        "3* XRANGE $key $from $to [ COUNT $count ]",
        "2* XREVRANGE $key $to $from [ COUNT $count ]",
        "2* XDEL $key ( $id )",
        "XTRIM $key MAXLEN|MINID [ =|~ ] $count [ LIMIT $count ]",
        "XSETID $key $id [ ENTRIESADDED $count ] [ MAXDELETEDID $id ]",
        "2* XREAD [ COUNT $count ] STREAMS $key $id",
        "XREAD [ COUNT $count ] STREAMS $key $key $id $id",
        "XREAD [ COUNT $count ] BLOCK 1 STREAMS $key $id",
        "4* XGROUP CREATE $key $group $start [ MKSTREAM ] [ ENTRIESREAD $several ]",
        "XGROUP CREATECONSUMER $key $group $consumer",
        "XGROUP DELCONSUMER $key $group $consumer",
        "XGROUP DESTROY $key $group",
        "XGROUP SETID $key $group $start [ ENTRIESREAD $several ]",
        "6* XREADGROUP GROUP $group $consumer [ COUNT $count ] [ NOACK ] STREAMS $key >",
        "2* XREADGROUP GROUP $group $consumer [ COUNT $count ] STREAMS $key $id",
        "XREADGROUP GROUP $group $consumer [ COUNT $count ] BLOCK 1 STREAMS $key >",
        "3* XACK $key $group ( $id )",
        "2* XPENDING $key $group",
        "2* XPENDING $key $group [ IDLE 0 ] $from $to $count [ $consumer ]",
        "2* XCLAIM $key $group $consumer 0 ( $id ) [ IDLE 5000 ] [ RETRYCOUNT $count ] [ FORCE ] [ JUSTID ]",
        "XCLAIM $key $group $consumer 0|100000000 $id [ TIME 1000 ] [ LASTID $id ] [ FORCE ]",
        "2* XAUTOCLAIM $key $group $consumer 0|100000000 $from [ COUNT $digit ] [ JUSTID ]",
        "2* XINFO STREAM $key",
        "XINFO STREAM $key FULL [ COUNT $count ]",
        "XINFO GROUPS $key",
        "XINFO CONSUMERS $key $group",
        "XGROUP HELP",
        "XINFO HELP",
        "OBJECT ENCODING $key",
    ],
};

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    let one = match name {
        "id" => id(source),
        "next" => source.word(&["1-*", "2-*", "3-*", "5-*", "100-*"]),
        "from" if source.chance(50) => b"-".to_vec(),
        "to" if source.chance(50) => b"+".to_vec(),
        "from" | "to" if source.chance(20) => [b"(".to_vec(), id(source)].concat(),
        "from" | "to" => id(source),
        "start" if source.chance(70) => source.word(&["0", "$"]),
        "start" => id(source),
        "group" => source.word(&["g1", "g1", "g2"]),
        "consumer" => source.word(&["alice", "bob", "eve"]),
        _ => return false,
    };
    argv.push(one);
    true
}

fn id(source: &mut Source) -> Vec<u8> {
    let time = source.below(12);
    match source.below(20) {
        0 => source.word(&["0-0", "18446744073709551615-18446744073709551615", "-", "+", "$", ">"]),
        1 => source.word(&["5-", "-5", "x", "1-1-1", "18446744073709551615", "0", "00-1"]),
        2..6 => time.to_string().into_bytes(),
        _ => format!("{time}-{}", source.below(4)).into_bytes(),
    }
}
