//! The number of arguments of every command, as Redis's table has it, asked of the engine itself.
//!
//! The rows are not public; that they agree with Redis's in all else is tested beside them, in
//! `src/command/index.rs`. Here is what a caller sees: one argument too few or too many is the
//! error of that very command, and the right number is not.

#![expect(clippy::expect_used, reason = "a test ends where the ground it stands on is missing")]

use moonkv::{Engine, Options};

/// At least so many commands and subcommands exist; raise it when commands are added.
const COMMANDS_LEAST: usize = 225;

/// Commands whose arguments come in pairs: one more alone would be refused.
const PAIRS: [&str; 5] = ["hset", "hmset", "mset", "msetnx", "xadd"];

/// A row of Redis's table.
struct Row {
    name: &'static str,
    least: usize,
    most: Option<usize>,
}

fn row(line: &'static str) -> Row {
    let mut cells = line.split('\t');
    let (name, arity) = (cells.next().expect("a name"), cells.next().expect("an arity"));
    let arity: i64 = arity.parse().expect("a number");
    let least = usize::try_from(arity.abs()).expect("a small number");
    Row { name, least, most: (arity > 0).then_some(least) }
}

/// The error of a call with so many words, the name counted; dummies follow the name.
fn error(engine: &Engine, name: &str, words: usize) -> String {
    let mut argv: Vec<&str> = name.split('|').collect();
    argv.resize(words.max(argv.len()), "1");
    engine.command(&argv).err().map_or_else(String::new, |error| error.to_string())
}

fn exists(engine: &Engine, row: &Row) -> bool {
    let error = error(engine, row.name, 1);
    !error.starts_with("ERR unknown command") && !error.starts_with("ERR unknown subcommand")
}

fn rows(engine: &Engine) -> Vec<Row> {
    let table = include_str!("reference/commands.tsv");
    let rows = table.lines().skip(1).map(row).filter(|row| exists(engine, row));
    let rows: Vec<Row> = rows.collect();
    assert!(rows.len() >= COMMANDS_LEAST, "only {} commands, {COMMANDS_LEAST} before", rows.len());
    rows
}

#[test]
fn wrong_numbers_of_arguments_are_refused() {
    let engine = Engine::new().expect("an engine opens");
    let mut asked = 0;
    for Row { name, least, most } in rows(&engine) {
        let expected = match name {
            // It ends the transaction, too, and says so.
            "exec" => format!(
                "EXECABORT Transaction discarded because of: \
                 wrong number of arguments for '{name}' command"
            ),
            _ => format!("ERR wrong number of arguments for '{name}' command"),
        };
        let own_words = name.split('|').count();
        let few = (own_words..least).filter(|&words| words > 0);
        for words in few.chain(most.map(|most| most + 1)).chain(most.map(|most| most + 5)) {
            assert_eq!(error(&engine, name, words), expected, "{name} with {words} words");
            asked += 1;
        }
    }
    println!("{asked} wrong calls");
    assert!(asked > COMMANDS_LEAST, "only {asked} wrong calls");
}

#[test]
fn right_numbers_of_arguments_are_not() {
    let engine = Engine::open(&Options::redis()).expect("an engine opens");
    for Row { name, least, most } in rows(&engine) {
        let more = if PAIRS.contains(&name) { 2 } else { 1 };
        let right = [Some(least), most.is_none().then_some(least + more)];
        for words in right.into_iter().flatten() {
            let error = error(&engine, name, words);
            // A container takes the name of a subcommand, which the dummies are not.
            let is_container = error.starts_with("ERR unknown subcommand");
            let refused = error.contains("wrong number of arguments");
            assert!(!refused || is_container, "{name} with {words} words: {error}");
        }
    }
}

#[test]
fn scripts_get_an_error_of_their_own() {
    let engine = Engine::new().expect("an engine opens");
    let script = "return redis.call(unpack(ARGV))";
    for Row { name, least, most } in rows(&engine) {
        let words = most.map_or(least - 1, |most| most + 1);
        if words < name.split('|').count() {
            continue;
        }
        let mut argv: Vec<&str> = name.split('|').collect();
        argv.resize(words, "1");
        let error = engine.eval(script, &[""; 0], &argv).expect_err("it is refused").to_string();
        let expected = "ERR Wrong number of args calling Redis command from script";
        assert!(error.starts_with(expected), "{name} with {words} words: {error}");
    }
}
