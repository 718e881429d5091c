//! Bitmaps.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "bitmap",
    home: &["bits", "str1"],
    argument,
    templates: &[
        "4* SETBIT $key $offset 0|1",
        "SET $key $value",
        "2* GETBIT $key $offset",
        "2* BITCOUNT $key",
        "2* BITCOUNT $key $index $index [ BYTE|BIT ]",
        "BITCOUNT $key $int $int [ BYTE|BIT ]",
        "BITPOS $key 0|1",
        "BITPOS $key 0|1 $index",
        "2* BITPOS $key 0|1 $index $index [ BYTE|BIT ]",
        "2* BITOP AND|OR|XOR $key ( $key )",
        "BITOP NOT $key $key [ $key ]",
        "BITOP nand $key $key",
        "3* BITFIELD $key ( $field-operation )",
        "BITFIELD_RO $key ( GET $field-type $field-offset )",
        "BITFIELD_RO $key ( $field-operation )",
        "GET $key",
        "STRLEN $key",
        "OBJECT ENCODING $key",
    ],
};

const TYPES: [&str; 14] =
    ["u1", "u8", "i8", "u4", "i5", "u16", "i16", "u63", "i64", "u32", "i32", "u64", "i65", "x8"];

const OFFSETS: [&str; 10] = ["#0", "#1", "#3", "#-1", "0", "100", "-1", "#x", "64", "7"];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    match name {
        "offset" if source.chance(90) => argv.push(source.below(300).to_string().into_bytes()),
        "offset" => argv.push(source.word(&["-1", "4294967296", "x", "20000", "8", "7"])),
        "field-type" => argv.push(source.word(&TYPES)),
        "field-offset" if source.chance(60) => {
            argv.push(source.below(80).to_string().into_bytes());
        }
        "field-offset" => argv.push(source.word(&OFFSETS)),
        "field-operation" => operation(source, argv),
        _ => return false,
    }
    true
}

fn operation(source: &mut Source, argv: &mut Argv) {
    let word = source.word(&["GET", "SET", "INCRBY", "OVERFLOW", "INCRBY"]);
    argv.push(word.clone());
    if word == b"OVERFLOW" {
        return argv.push(source.word(&["WRAP", "SAT", "FAIL", "wrap", "none"]));
    }
    source.argument("field-type", argv);
    source.argument("field-offset", argv);
    if word != b"GET" {
        source.argument("int", argv);
    }
}
