//! Sets. What SPOP takes differs from side to side, so the rest goes with it.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "set",
    home: &["set1", "set2"],
    argument,
    templates: &[
        "5* SADD $key ( $member )",
        "5* SADD $key ( $int )",
        "SADD $key $integers",
        "3* SREM $key ( $member )",
        "2* SISMEMBER $key $member",
        "2* SMISMEMBER $key ( $member )",
        "3* SMEMBERS $key",
        "SCARD $key",
        "2* SMOVE $key $key $member",
        "SPOP $key ; DEL $same",
        "SPOP $key $several ; DEL $same",
        "SPOP $key 1000 ; SCARD $same",
        "SPOP $key 0 ; SCARD $same",
        "SRANDMEMBER $key",
        "2* SRANDMEMBER $key $several",
        "2* SINTER ( $key )",
        "2* SUNION ( $key )",
        "2* SDIFF ( $key )",
        "SINTERSTORE $key ( $key )",
        "SUNIONSTORE $key ( $key )",
        "SDIFFSTORE $key ( $key )",
        "2* SINTERCARD $keys [ LIMIT $count ]",
        "SSCAN $key 0 [ MATCH $pattern ] COUNT 100000",
        "SSCAN $key $count [ MATCH $pattern ] [ COUNT $count ]",
        "OBJECT ENCODING $key",
        "DEL $key",
    ],
};

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    if name != "integers" {
        return false;
    }
    let from = source.between(-20, 300);
    let count = source.between(1, 520);
    argv.extend((from..from + count).map(|number| number.to_string().into_bytes()));
    true
}
