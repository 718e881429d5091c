//! Users and what they may do: rules as redis-server 7.0.15 tells them back, and the gate.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Error, Options, Reply, Session};

/// An engine and a session of it, which lives as long.
fn open() -> (Engine, Session) {
    let engine = Engine::open(&Options::redis()).expect("an engine opens");
    let session = engine.session().expect("a session");
    (engine, session)
}

/// Runs a command; its reply as a text.
fn call(session: &Session, words: &[&str]) -> String {
    match session.command(words) {
        Ok(Reply::Bulk(text)) => String::from_utf8_lossy(&text).into_owned(),
        Ok(Reply::Status(text)) | Err(Error::Reply { message: text, .. }) => text,
        Ok(Reply::Integer(number)) => number.to_string(),
        Ok(Reply::Null) => "null".to_owned(),
        other => panic!("{words:?}: {other:?}"),
    }
}

/// The line of a user in ACL LIST.
fn line(session: &Session, name: &str) -> Option<String> {
    let Ok(Reply::Array(users)) = session.command(&["ACL", "LIST"]) else { panic!("an array") };
    let begin = format!("user {name} ");
    let lines = users.iter().filter_map(|user| user.as_str());
    lines.filter_map(|line| line.strip_prefix(&begin)).next().map(str::to_owned)
}

#[test]
fn rules_are_told_back_as_redis_tells_them() {
    let (_engine, session) = open();
    assert_eq!(line(&session, "default").as_deref(), Some("on nopass ~* &* +@all"));
    for (rules, expected) in [
        ("on", "on resetchannels -@all"),
        ("nopass", "off nopass resetchannels -@all"),
        ("~a* ~b*", "off ~a* ~b* resetchannels -@all"),
        ("~a ~*", "off ~* resetchannels -@all"),
        ("%R~a %W~b %RW~c %WR~d", "off %R~a %W~b ~c ~d resetchannels -@all"),
        ("%R~a %W~a", "off ~a resetchannels -@all"),
        ("%R", "off %R~ resetchannels -@all"),
        ("&a &b", "off resetchannels &a &b -@all"),
        ("allchannels", "off &* -@all"),
        ("+get", "off resetchannels -@all +get"),
        ("+get -get", "off resetchannels -@all"),
        ("+@read -get +get", "off resetchannels -@all +@read"),
        ("allcommands", "off resetchannels +@all"),
        ("+@all -@dangerous", "off resetchannels +@all -@dangerous"),
        ("+@all +get", "off resetchannels +@all"),
        ("+@all -get -@all", "off resetchannels -@all"),
        ("+config|get", "off resetchannels -@all +config|get"),
        ("+config -config|set", "off resetchannels -@all +config -config|set"),
        ("+select|0", "off resetchannels -@all +select|0"),
        ("+select|0 +select", "off resetchannels -@all +select"),
        ("+get|a +get|b", "off resetchannels -@all +get|a +get|b"),
        ("+debug|digest", "off resetchannels -@all +debug|digest"),
        ("-acl +acl|whoami +acl", "off resetchannels -@all +acl"),
        ("+@all -config|get -config", "off resetchannels +@all -config"),
        ("+GET +@READ", "off resetchannels -@all +@read"),
        ("reset", "off sanitize-payload resetchannels -@all"),
        ("skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"),
        ("(+get ~a)", "off resetchannels -@all (~a resetchannels -@all +get)"),
        ("()", "off resetchannels -@all (resetchannels -@all)"),
        ("(+get ~a) clearselectors", "off resetchannels -@all"),
        ("(%R~x &c +@all -get)", "off resetchannels -@all (%R~x resetchannels &c +@all -get)"),
    ] {
        call(&session, &["ACL", "DELUSER", "u"]);
        let words: Vec<&str> =
            ["ACL", "SETUSER", "u"].into_iter().chain(rules.split(' ')).collect();
        assert_eq!(call(&session, &words), "OK", "{rules}");
        assert_eq!(line(&session, "u").as_deref(), Some(expected), "{rules}");
    }
}

#[test]
fn bad_rules_change_nothing() {
    let (_engine, session) = open();
    let unknown = "Unknown command or category name in ACL";
    let hash = "The password hash must be exactly 64 characters and contain only lowercase \
                hexadecimal characters";
    for (rules, at, why) in [
        ("foo", "foo", "Syntax error"),
        ("fo\0o", "fo", "Syntax error"),
        ("on (on)", "(on)", "Syntax error"),
        ("+foo", "+foo", unknown),
        ("-foo", "-foo", unknown),
        ("+@foo", "+@foo", unknown),
        ("+config|foo", "+config|foo", unknown),
        ("-select|0", "-select|0", unknown),
        ("+config|get|x", "+config|get|x", "Allowing first-arg of a subcommand is not supported"),
        ("%X~x", "%X~x", "Syntax error"),
        ("#abc", "#abc", hash),
        ("<p", "<p", "The password you are trying to remove from the user does not exist"),
    ] {
        let words: Vec<&str> =
            ["ACL", "SETUSER", "u"].into_iter().chain(rules.split(' ')).collect();
        let expected = format!("ERR Error in ACL SETUSER modifier '{at}': {why}");
        assert_eq!(call(&session, &words), expected);
        assert_eq!(line(&session, "u"), None, "{rules}");
    }
    let after = call(&session, &["ACL", "SETUSER", "u", "allkeys", "~a"]);
    assert!(after.contains("Adding a pattern after the * pattern (or the 'allkeys' flag)"));
    let open = call(&session, &["ACL", "SETUSER", "u", "(+get ~a", "+set"]);
    assert_eq!(open, "ERR Unmatched parenthesis in acl selector starting at '(+get ~a'.");
    let spaced = call(&session, &["ACL", "SETUSER", "u x"]);
    assert_eq!(spaced, "ERR Usernames can't contain spaces or null characters");
    let default = call(&session, &["ACL", "DELUSER", "u", "default"]);
    assert_eq!(default, "ERR The 'default' user cannot be removed");
}

#[test]
fn what_is_denied_is_an_error_everywhere_and_noted() {
    let (host, session) = open();
    let rules = ["ACL", "SETUSER", "default", "-set", "resetkeys", "~a*", "%R~r*"];
    host.command(&rules).expect("the host may do it");
    let key = "NOPERM this user has no permissions to access one of the keys used as arguments";
    let command = "NOPERM this user has no permissions to run the 'set' command";
    let in_script = "ERR The user executing the script can't";
    for (words, expected) in [
        ("SET a 1", command),
        ("GET a1", "null"),
        ("GET r1", "null"),
        ("GET b", key),
        ("INCR r1", key),
        ("DEL r1", key),
        ("EXISTS r1", "0"),
        ("COPY a1 r1", key),
        ("COPY r1 a1", "0"),
        ("GETDEL r1", key),
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("EVAL return(1) 1 b", key),
        ("EVAL return(redis.acl_check_cmd('set','a','b')) 0", "null"),
        ("EVAL return(redis.acl_check_cmd('get','a')) 0", "1"),
        ("EVAL return(redis.acl_check_cmd('get','b')) 0", "null"),
        ("EVAL return(redis.pcall('set','a','b')) 0", in_script),
        ("EVAL return(redis.pcall('get','b')) 0", in_script),
        (
            "SORT_RO a1 BY w* ALPHA",
            "ERR BY option of SORT denied due to insufficient ACL permissions.",
        ),
        ("ACL WHOAMI", "default"),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let told = call(&session, &words);
        assert!(told.starts_with(expected), "{words:?}: {told}");
    }
    assert_eq!(call(&session, &["MULTI"]), "OK");
    assert_eq!(call(&session, &["GET", "b"]), key);
    assert!(call(&session, &["EXEC"]).starts_with("EXECABORT"));
    call(&session, &["MULTI"]);
    call(&session, &["GET", "a1"]);
    host.command(&["ACL", "SETUSER", "default", "-get"]).expect("the host may do it");
    let Ok(Reply::Array(replies)) = session.command(&["EXEC"]) else { panic!("an array") };
    assert!(
        matches!(&replies[0], Reply::Error(text) if text.starts_with("NOPERM ACLs rules changed"))
    );
    let Ok(Reply::Array(log)) = host.command(&["ACL", "LOG", "100"]) else { panic!("an array") };
    let latest: Vec<&str> =
        log[0].as_array().expect("facts").iter().filter_map(Reply::as_str).collect();
    assert_eq!(latest[..5], ["count", "reason", "command", "context", "multi"]);
    host.command(&["ACL", "LOG", "RESET"]).expect("the log is emptied");
    host.command(&["ACL", "SETUSER", "default", "+@all", "allkeys"]).expect("all is allowed again");
    assert_eq!(call(&session, &["SET", "b", "1"]), "OK");
}

#[test]
fn a_call_can_be_tried_for_a_user() {
    let (_engine, session) = open();
    call(&session, &["ACL", "SETUSER", "v", "+@all", "-set", "~a*", "&c*"]);
    for (words, expected) in [
        ("v get a1", "OK"),
        ("v get b", "This user has no permissions to access the 'b' key"),
        ("v set a 1", "This user has no permissions to run the 'set' command"),
        // The channel of a shard is no key.
        ("v spublish c1 text", "OK"),
        ("v spublish d text", "This user has no permissions to access the 'd' channel"),
        ("v get", "ERR wrong number of arguments for 'get' command"),
        ("v foo", "ERR Command 'foo' not found"),
        ("v config foo", "ERR Command 'config' not found"),
        ("nope get a", "ERR User 'nope' not found"),
        ("default get a", "OK"),
    ] {
        let words: Vec<&str> = ["ACL", "DRYRUN"].into_iter().chain(words.split(' ')).collect();
        assert_eq!(call(&session, &words), expected, "{words:?}");
    }
}

#[test]
fn categories_and_passwords() {
    let (_engine, session) = open();
    let Ok(Reply::Array(names)) = session.command(&["ACL", "CAT", "TRANSACTION"]) else {
        panic!("an array")
    };
    let mut names: Vec<&str> = names.iter().filter_map(Reply::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["discard", "exec", "multi", "unwatch", "watch"]);
    assert_eq!(call(&session, &["ACL", "CAT", "nope"]), "ERR Unknown category 'nope'");
    assert_eq!(call(&session, &["ACL", "GENPASS"]).len(), 64);
    assert_eq!(call(&session, &["ACL", "GENPASS", "5"]).len(), 2);
    assert_ne!(call(&session, &["ACL", "GENPASS"]), call(&session, &["ACL", "GENPASS"]));
    for bad in ["0", "4097"] {
        assert!(
            call(&session, &["ACL", "GENPASS", bad]).starts_with("ERR ACL GENPASS argument must")
        );
    }
    call(&session, &["CONFIG", "SET", "requirepass", "abc"]);
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(line(&session, "default"), Some(format!("on #{hash} ~* &* +@all")));
    call(&session, &["CONFIG", "SET", "requirepass", ""]);
    assert_eq!(line(&session, "default").as_deref(), Some("on nopass ~* &* +@all"));
}
