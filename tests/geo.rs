//! Places in sorted sets, through the engine: what is found, in which order, what is stored where,
//! and that a script that fails leaves nothing of it.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Options, Protocol, Reply};

/// Cities, at their places.
const CITIES: &str = "GEOADD sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania \
                      13.583333 37.316667 Agrigento";

fn engine() -> Engine {
    let engine = Engine::open(&Options::redis()).expect("an engine opens");
    assert_eq!(line(&engine, CITIES), "3");
    engine
}

fn words(call: &str) -> Vec<&str> {
    call.split_whitespace().collect()
}

/// A call's reply on one line.
fn line(engine: &Engine, call: &str) -> String {
    engine.command(&words(call)).map_or_else(|error| error.to_string(), |reply| shown(&reply))
}

fn shown(reply: &Reply) -> String {
    match reply {
        Reply::Null => "nil".to_owned(),
        Reply::Integer(value) => value.to_string(),
        Reply::Array(elements) => {
            format!("[{}]", elements.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
        other => other.as_str().expect("a text").to_owned(),
    }
}

/// Calls with their replies, one after the other.
fn check(engine: &Engine, transcript: &[(&str, &str)]) {
    for (call, expected) in transcript {
        assert_eq!(line(engine, call), *expected, "{call}");
    }
}

#[test]
fn places_are_given_back() {
    check(
        &engine(),
        &[
            ("GEOPOS sicily Palermo none", "[[13.36138933897018433 38.11555639549629859] nil]"),
            ("GEOPOS none Palermo", "[nil]"),
            ("GEOHASH sicily Palermo Catania none", "[sqc8b49rny0 sqdtr74hyu0 nil]"),
            ("GEODIST sicily Palermo Catania", "166274.1516"),
            ("GEODIST sicily Palermo Catania Km", "166.2742"),
            ("GEODIST sicily Palermo Palermo", "0.0000"),
            ("GEODIST sicily Palermo none", "nil"),
            ("ZSCORE sicily Palermo", "3479099956230698"),
            ("GEOADD sicily NX CH 0 0 Palermo 1 1 Trapani", "1"),
            ("GEOADD sicily XX 13.361389 38.1 Palermo 2 2 none", "0"),
            ("GEOADD sicily XX CH 13.361389 38.115556 Palermo 2 2 none", "1"),
            ("GEOADD sicily CH 13.361389 38.115556 Palermo", "0"),
        ],
    );
}

#[test]
fn coordinates_have_all_their_digits_in_both_protocols() {
    let engine = engine();
    let argv: Vec<&[u8]> = vec![b"GEOPOS", b"sicily", b"Palermo"];
    for (protocol, expected) in [
        (
            Protocol::Resp2,
            "*1\r\n*2\r\n$20\r\n13.36138933897018433\r\n$20\r\n38.11555639549629859\r\n",
        ),
        (Protocol::Resp3, "*1\r\n*2\r\n,13.36138933897018433\r\n,38.11555639549629859\r\n"),
    ] {
        let bytes = engine.command_resp(&argv, protocol).expect("a reply");
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
    }
    let script =
        "redis.setresp(3); return redis.call('GEOPOS', KEYS[1], 'Palermo')[1][1].double * 2";
    let reply = engine.eval(script, &["sicily"], &[""; 0]).expect("a reply");
    assert_eq!(reply, Reply::Integer(26));
}

#[test]
fn a_script_gets_a_small_coordinate_as_it_is_written() {
    let engine = Engine::new().unwrap();
    engine.command(&["GEOADD", "near", "-0.017087", "84.329487", "null island"]).unwrap();
    let longitude = "redis.setresp(3)
        return string.format('%.17g', redis.call('GEOPOS', KEYS[1], 'null island')[1][1].double)";
    let told = engine.eval(longitude, &["near"], &[""; 0]).unwrap();
    assert_eq!(told, Reply::Bulk(b"-0.017088353633880619".to_vec()), "as in Redis 7.0");
}

#[test]
fn what_is_around_is_found_in_order() {
    check(
        &engine(),
        &[
            (
                "GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC",
                "[Catania Agrigento Palermo]",
            ),
            (
                "GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km DESC",
                "[Palermo Agrigento Catania]",
            ),
            ("GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1", "[Catania]"),
            ("GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km DESC COUNT 1", "[Palermo]"),
            ("GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1 ANY", "[Agrigento]"),
            ("GEOSEARCH sicily FROMLONLAT 15 37 BYBOX 400 100 km ASC", "[Agrigento]"),
            ("GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 0 m", "[Palermo]"),
            ("GEOSEARCH sicily FROMLONLAT -15 37 BYRADIUS 1 m", "[]"),
            (
                "GEOSEARCH sicily FROMLONLAT 15 37 BYRADIUS 60 km WITHHASH WITHDIST WITHCOORD",
                "[[Catania 56.4413 3479447370796909 [15.08726745843887329 37.50266842333162032]]]",
            ),
            ("GEORADIUS sicily 15 37 200 km ASC WITHDIST COUNT 1", "[[Catania 56.4413]]"),
            ("GEORADIUS_RO sicily 15 37 60 km", "[Catania]"),
            ("GEORADIUSBYMEMBER sicily Agrigento 100 km", "[Agrigento Palermo]"),
            ("GEORADIUSBYMEMBER_RO sicily Agrigento 62 mi DESC", "[Palermo Agrigento]"),
            ("GEORADIUSBYMEMBER none Agrigento far away", "[]"),
        ],
    );
}

#[test]
fn equals_are_found_as_they_lie() {
    let engine = engine();
    for member in 0..40 {
        line(&engine, &format!("GEOADD same 1 1 m{member:02}"));
    }
    let all = line(&engine, "GEOSEARCH same FROMLONLAT 1 1 BYRADIUS 1 km ASC");
    let sorted: Vec<String> = (0..40).map(|member| format!("m{member:02}")).collect();
    assert_eq!(all, format!("[{}]", sorted.join(" ")));
    // Of many equals the first few are chosen as Redis's partial sort leaves them.
    let few = line(&engine, "GEOSEARCH same FROMLONLAT 1 1 BYRADIUS 1 km COUNT 5");
    assert_eq!(few, "[m39 m01 m02 m03 m04]");
}

#[test]
fn what_is_found_is_stored() {
    check(
        &engine(),
        &[
            ("SET there text EX 100", "OK"),
            ("GEOSEARCHSTORE there sicily FROMLONLAT 15 37 BYRADIUS 200 km COUNT 2", "2"),
            ("TTL there", "-1"),
            ("ZRANGE there 0 -1", "[Agrigento Catania]"),
            ("ZSCORE there Catania", "3479447370796909"),
            ("GEORADIUS sicily 15 37 200 km STORE a STOREDIST there", "3"),
            ("ZRANGE there 0 0 WITHSCORES", "[Catania 56.441257870158204]"),
            ("EXISTS a", "0"),
            ("GEOSEARCHSTORE sicily sicily FROMMEMBER Palermo BYRADIUS 10 m STOREDIST", "1"),
            ("ZRANGE sicily 0 -1 WITHSCORES", "[Palermo 0]"),
            ("GEORADIUSBYMEMBER none x y z STORE there", "0"),
            ("EXISTS there", "0"),
            ("SET there text", "OK"),
            ("GEOSEARCHSTORE there sicily FROMLONLAT 0 0 BYRADIUS 1 m", "0"),
            ("EXISTS there", "0"),
        ],
    );
}

#[test]
fn errors_change_nothing() {
    let engine = engine();
    let unit = "ERR unsupported unit provided. please use M, KM, FT, MI";
    check(
        &engine,
        &[
            (
                "GEOADD sicily 0 0 new 181 0 Palermo",
                "ERR invalid longitude,latitude pair 181.000000,0.000000",
            ),
            ("GEOADD sicily 0 0 new x 0 Palermo", "ERR value is not a valid float"),
            ("GEOADD sicily NX XX 0 0 new", "ERR syntax error"),
            ("GEOADD sicily NX CH NX", "ERR syntax error"),
            ("EXISTS new", "0"),
            ("GEODIST sicily a b cm", unit),
            ("GEODIST sicily a b m m", "ERR syntax error"),
            ("GEORADIUS sicily 1 1 -1 m", "ERR radius cannot be negative"),
            ("GEORADIUS sicily 1 1 x m", "ERR need numeric radius"),
            ("GEORADIUS sicily 1 1 1 cm", unit),
            ("GEORADIUS_RO sicily 1 1 1 m STORE x", "ERR syntax error"),
            ("GEORADIUSBYMEMBER sicily none x y", "ERR could not decode requested zset member"),
            ("GEOSEARCH sicily FROMMEMBER Palermo FROMLONLAT 1 1 ASC", "ERR syntax error"),
            (
                "GEOSEARCH sicily FROMMEMBER Palermo BYBOX 1 -1 m",
                "ERR height or width cannot be negative",
            ),
            (
                "GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 1 m ANY",
                "ERR the ANY argument requires COUNT argument",
            ),
            ("GEOSEARCH sicily FROMMEMBER Palermo BYRADIUS 1 m COUNT 0", "ERR COUNT must be > 0"),
            (
                "GeoSearch sicily BYRADIUS 1 m ASC ASC ASC",
                "ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for GeoSearch",
            ),
            (
                "GEOSEARCH none FROMMEMBER Palermo ASC ASC ASC ASC",
                "ERR exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH",
            ),
            (
                "GEOSEARCHSTORE d sicily FROMMEMBER Palermo BYRADIUS 1 m WITHDIST",
                "ERR GEOSEARCHSTORE is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            ),
            (
                "GEORADIUS sicily 1 1 1 m STORE d WITHDIST",
                "ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
            ),
            ("SET text x", "OK"),
            (
                "GEOADD text 0 0 new",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("GEORADIUS text x y", "ERR wrong number of arguments for 'georadius' command"),
            (
                "GEORADIUS text x y z m",
                "WRONGTYPE Operation against a key holding the wrong kind of value",
            ),
            ("ZCARD sicily", "3"),
        ],
    );
}

#[test]
fn a_failed_script_leaves_every_place_as_it_was() {
    let engine = Engine::new().expect("an engine opens");
    line(&engine, CITIES);
    line(&engine, "RPUSH there a b c");
    let before = ["ZRANGE sicily 0 -1 WITHSCORES", "LRANGE there 0 -1", "DBSIZE"];
    let seen = before.map(|call| line(&engine, call));
    let script = "
        redis.call('GEOADD', 'sicily', 1, 1, 'Palermo', 2, 2, 'new')
        redis.call('GEOSEARCHSTORE', 'there', 'sicily', 'FROMLONLAT', 1, 1, 'BYRADIUS', 9e9, 'm')
        redis.call('GEOSEARCHSTORE', 'sicily', 'there', 'FROMLONLAT', 1, 1, 'BYRADIUS', 1, 'km')
        redis.call('GEORADIUS', 'there', 1, 1, 1, 'm', 'STOREDIST', 'elsewhere')
        error('no')";
    assert!(engine.eval(script, &[""; 0], &[""; 0]).is_err());
    assert_eq!(before.map(|call| line(&engine, call)), seen);
    assert!(
        engine
            .command(&["EVAL_RO", "return redis.call('GEORADIUS', 'sicily', 1, 1, 1, 'm')", "0"])
            .is_err()
    );
}
