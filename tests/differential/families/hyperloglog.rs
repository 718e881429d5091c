//! HyperLogLogs. Their bytes are compared too: GET shows them.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "hyperloglog",
    home: &["hll", "str2"],
    argument,
    templates: &[
        "PFADD $key",
        "5* PFADD $key ( $element )",
        "2* PFADD $key $elements",
        "3* PFCOUNT $key",
        "2* PFCOUNT ( $key )",
        "2* PFMERGE $key ( $key )",
        "PFMERGE $key",
        "GET $key",
        "STRLEN $key",
        "SET $key $value",
        "APPEND $key $value",
        "DEL $key",
        "OBJECT ENCODING $key",
    ],
};

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    if name != "elements" {
        return false;
    }
    let from = source.below(2000);
    let count = source.below(400);
    argv.extend((from..from + count).map(|number| format!("e{number}").into_bytes()));
    true
}
