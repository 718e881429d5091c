//! docs/commands.md says what the command table says: it is generated from it.

use std::fmt::Write;
use std::path::Path;

#[test]
fn the_list_of_commands_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let wanted = page();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/commands.md is out of date: UPDATE=1 cargo test --test commands_doc"
    );
}

fn page() -> String {
    let mut commands = moonkv::commands();
    commands.sort_by_key(|command| (command.group, command.name));
    let mut page = String::from(
        "# Commands\n\nGenerated from the command table. Replies and errors are those of Redis 7.0; \
         arity counts the name,\na negative one is a minimum.\n",
    );
    let mut group = "";
    for command in &commands {
        if command.group != group {
            group = command.group;
            let head = "| command | arity | flags | since | cost | what it does |\n|---|---|---|---|---|---|";
            write!(page, "\n## {group}\n\n{head}\n").unwrap();
        }
        let name = command.name.to_uppercase().replace('|', " ");
        let flags = command.flags.join(" ");
        let (arity, since) = (command.arity, command.since);
        let (cost, summary) = (command.complexity, command.summary);
        writeln!(page, "| {name} | {arity} | {flags} | {since} | {cost} | {summary} |").unwrap();
    }
    page
}
