//! `moonkv shell`: commands typed at a prompt, with history and completion.

use crate::print;
use crate::target::Target;
use clap::Args;
use moonkv::Reply;
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs commands that are typed, on an engine of its own or on a server.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A server to run them on: HOST:PORT, or the path of a Unix socket.
    #[arg(long, value_name = "ADDRESS")]
    connect: Option<String>,
}

impl Arguments {
    pub(crate) fn run(self) -> ExitCode {
        match self.talk() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("moonkv: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn talk(&self) -> Result<(), String> {
        let mut target = Target::open(self.connect.as_deref())?;
        let prompt = format!("{}> ", self.connect.as_deref().unwrap_or("moonkv"));
        let mut editor = Editor::<Names, DefaultHistory>::new().map_err(|e| e.to_string())?;
        editor.set_helper(Some(Names::new()));
        let history = history();
        if let Some(path) = &history {
            // There is none the first time.
            let _ = editor.load_history(path);
        }
        loop {
            let line = match editor.readline(&prompt) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => break,
                Err(error) => return Err(error.to_string()),
            };
            // A history that cannot be kept is no reason not to go on.
            let _ = editor.add_history_entry(&line);
            if !answer(&line, &mut target)? {
                break;
            }
        }
        if let Some(path) = &history {
            let _ = editor.save_history(path);
        }
        Ok(())
    }
}

/// Runs what was typed, and prints what it comes to. False to end.
fn answer(line: &str, target: &mut Target) -> Result<bool, String> {
    let Some(words) = moonkv::split_words(line.as_bytes()) else {
        println!("Invalid argument(s)");
        return Ok(true);
    };
    match words.first() {
        None => return Ok(true),
        Some(word) if [&b"exit"[..], b"quit"].iter().any(|end| word.eq_ignore_ascii_case(end)) => {
            return Ok(false);
        }
        Some(_) => (),
    }
    let reply = target.command(&words)?;
    let shown = match io::stdout().is_terminal() {
        true => print::pretty,
        false => print::raw,
    };
    let mut text = shown(&reply);
    target.take_messages().iter().for_each(|message| text.extend(shown(message)));
    let print = |text: &[u8]| {
        let mut out = io::stdout();
        out.write_all(text).and_then(|()| out.flush()).map_err(|error| error.to_string())
    };
    print(&text)?;
    if target.is_remote() && !matches!(reply, Reply::Error(_)) && listens(&words) {
        if io::stdout().is_terminal() {
            print(b"Reading messages... (press Ctrl-C to quit)\n")?;
        }
        loop {
            print(&shown(&target.next_message()?))?;
        }
    }
    Ok(true)
}

/// Whether a server answers a command with messages from then on. As in redis-cli, nothing more can
/// be asked.
fn listens(words: &[Vec<u8>]) -> bool {
    let names = [&b"subscribe"[..], b"psubscribe", b"ssubscribe", b"monitor"];
    words.first().is_some_and(|first| names.iter().any(|name| first.eq_ignore_ascii_case(name)))
}

/// Where lines are kept from one time to the next.
fn history() -> Option<PathBuf> {
    std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".moonkv_history"))
}

/// The names of commands, for completion.
struct Names(Vec<String>);

impl Names {
    fn new() -> Names {
        let spaced = |name: &str| name.replace('|', " ").to_ascii_uppercase();
        Names(moonkv::commands().iter().map(|command| spaced(command.name)).collect())
    }
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let typed = line.get(..at).unwrap_or(line).to_ascii_uppercase();
        let begun = self.0.iter().filter(|name| name.starts_with(&typed));
        let pair = |name: &String| Pair { display: name.clone(), replacement: name.clone() };
        Ok((0, begun.map(pair).collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}

impl Validator for Names {}

impl Helper for Names {}
