//! Lists.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "list",
    home: &["list1", "list2"],
    argument,
    templates: &[
        "4* LPUSH $key ( $element )",
        "5* RPUSH $key ( $element )",
        "RPUSH $key $elements",
        "LPUSHX $key ( $element )",
        "RPUSHX $key ( $element )",
        "3* LPOP $key [ $count ]",
        "3* RPOP $key [ $count ]",
        "LLEN $key",
        "3* LRANGE $key $index $index",
        "LRANGE $key 0 -1",
        "2* LINDEX $key $index",
        "2* LSET $key $index $element",
        "3* LINSERT $key BEFORE|AFTER $element $element",
        "2* LREM $key $index $element",
        "LTRIM $key $index $index",
        "3* LPOS $key $element [ RANK $index ] [ COUNT $count ] [ MAXLEN $count ]",
        "2* LMOVE $key $key LEFT|RIGHT LEFT|RIGHT",
        "RPOPLPUSH $key $key",
        "2* LMPOP $keys LEFT|RIGHT [ COUNT $digit ]",
        "BLPOP ( $key ) 0.001",
        "BRPOP ( $key ) 0.001",
        "BLMOVE $key $key LEFT|RIGHT LEFT|RIGHT 0.001",
        "BRPOPLPUSH $key $key 0.001",
        "BLMPOP 0.001 $keys LEFT|RIGHT [ COUNT $digit ]",
        "OBJECT ENCODING $key",
        "DEL $key",
    ],
};

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    if name != "elements" {
        return false;
    }
    let count = source.below(300);
    argv.extend((0..=count).map(|number| (number * 7).to_string().into_bytes()));
    true
}
