//! `moonkv eval`: runs a script as `redis-cli --eval` does.

use crate::target::Target;
use crate::{input, print};
use clap::Args;
use moonkv::Reply;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

/// Runs a script and prints its reply, on an engine of its own or on a server.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A server to run it on: HOST:PORT, or the path of a Unix socket.
    #[arg(long, value_name = "ADDRESS")]
    connect: Option<String>,
    /// Print the reply raw, as other programs like it; so it is where the output is no terminal.
    #[arg(long, conflicts_with = "no_raw")]
    raw: bool,
    /// Print the reply with types and numbers of elements.
    #[arg(long)]
    no_raw: bool,
    /// A Lua file; `-` is standard input.
    file: String,
    /// Keys, then a comma of its own, then arguments.
    #[arg(value_name = "KEY ... , ARG", allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn run(self) -> ExitCode {
        match self.eval() {
            Ok(Reply::Error(_)) => ExitCode::FAILURE,
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("moonkv: {error}");
                ExitCode::FAILURE
            }
        }
    }

    fn eval(&self) -> Result<Reply, String> {
        let script = input::read(&self.file)?;
        let (keys, args) = input::keys_and_args(&self.words);
        let count = keys.len().to_string();
        let mut words: Vec<&[u8]> = vec![b"EVAL", &script, count.as_bytes()];
        words.extend(keys.iter().chain(args).map(String::as_bytes));
        let reply = Target::open(self.connect.as_deref())?.command(&words)?;
        let is_raw = self.raw || !self.no_raw && !io::stdout().is_terminal();
        let text = if is_raw { print::raw(&reply) } else { print::pretty(&reply) };
        io::stdout().write_all(&text).map_err(|error| error.to_string())?;
        Ok(reply)
    }
}
