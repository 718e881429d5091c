//! Positions.

use super::Family;
use crate::grammar::Argv;
use crate::source::Source;

pub(super) const FAMILY: Family = Family {
    name: "geo",
    home: &["geo", "zset1"],
    argument,
    templates: &[
        "6* GEOADD $key ( $position $place )",
        "2* GEOADD $key [ NX|XX ] [ CH ] ( $position $place )",
        "2* GEODIST $key $place $place [ m|km|ft|mi|x ]",
        "GEOHASH $key ( $place )",
        "2* GEOPOS $key ( $place )",
        "4* GEOSEARCH $key $center $shape [ ASC|DESC ] [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ]",
        "2* GEOSEARCH $key $center $shape [ ASC|DESC ] COUNT $digit [ WITHDIST ]",
        "GEOSEARCH $key $center $shape COUNT 100 ANY",
        "2* GEOSEARCHSTORE $key $key $center $shape [ ASC|DESC ] [ COUNT $digit ] [ STOREDIST ]",
        "2* GEORADIUS $key $position $radius $unit [ WITHCOORD ] [ WITHDIST ] [ WITHHASH ] [ ASC|DESC ]",
        "GEORADIUS $key $position $radius $unit [ COUNT $digit ] [ STORE $key ]",
        "GEORADIUS $key $position $radius $unit [ COUNT $digit ] [ STOREDIST $key ]",
        "GEORADIUS_RO $key $position $radius $unit [ WITHDIST ] [ ASC|DESC ]",
        "GEORADIUSBYMEMBER $key $place $radius $unit [ WITHCOORD ] [ WITHDIST ] [ ASC|DESC ]",
        "GEORADIUSBYMEMBER $key $place $radius $unit [ COUNT $digit ] [ STORE|STOREDIST $key ]",
        "GEORADIUSBYMEMBER_RO $key $place $radius $unit [ WITHDIST ] [ ASC|DESC ]",
        "ZREM $key $place",
        "ZSCORE $key $place",
    ],
};

const PLACES: [&str; 9] =
    ["Palermo", "Catania", "Rome", "North", "South", "Date line", "x", "y", "z"];

fn argument(name: &str, source: &mut Source, argv: &mut Argv) -> bool {
    match name {
        "place" => argv.push(source.word(&PLACES)),
        "position" => argv.extend(position(source)),
        "radius" => argv.push(radius(source)),
        "unit" => argv.push(source.word(&["m", "km", "ft", "mi", "KM"])),
        "center" if source.chance(60) => {
            argv.push(b"FROMLONLAT".to_vec());
            argv.extend(position(source));
        }
        "center" => {
            argv.push(b"FROMMEMBER".to_vec());
            argv.push(source.word(&PLACES));
        }
        "shape" => {
            let is_box = source.chance(40);
            argv.push(if is_box { b"BYBOX".to_vec() } else { b"BYRADIUS".to_vec() });
            argv.push(radius(source));
            if is_box {
                argv.push(radius(source));
            }
            argv.push(source.word(&["m", "km", "ft", "mi", "Km"]));
        }
        _ => return false,
    }
    true
}

fn position(source: &mut Source) -> [Vec<u8>; 2] {
    let (low, high) = match source.below(10) {
        0..5 => ((13, 37), (16, 39)),
        5..8 => ((-180, -86), (180, 86)),
        8 => ((179, -1), (180, 1)),
        _ => ((-1, 84), (1, 85)),
    };
    let mut number = |low: i32, high: i32| {
        let number = source.between(i64::from(low) * 1_000_000, i64::from(high) * 1_000_000);
        format!("{}", number as f64 / 1e6).into_bytes()
    };
    [number(low.0, high.0), number(low.1, high.1)]
}

fn radius(source: &mut Source) -> Vec<u8> {
    match source.below(6) {
        0 => source.float(),
        1 => source.word(&["0", "20000", "6000", "1e7", "22000"]),
        _ => source.between(1, 1000).to_string().into_bytes(),
    }
}
