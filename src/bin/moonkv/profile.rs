//! `moonkv profile`: where a script's time goes.

use crate::input;
use clap::Args;
use moonkv::{Engine, Options};
use std::process::ExitCode;

/// Runs a script on an empty engine and tells where its time went.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Print collapsed stacks, for flamegraph.pl, inferno or speedscope, rather than a table.
    #[arg(long)]
    collapsed: bool,
    /// A script that is run first, to put there what the other works on.
    #[arg(long, value_name = "FILE")]
    setup: Option<String>,
    /// A Lua file; `-` is standard input.
    file: String,
    /// Keys, then a comma of its own, then arguments.
    #[arg(value_name = "KEY ... , ARG", allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<String>,
}

impl Arguments {
    pub(crate) fn run(self) -> ExitCode {
        match self.profile() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("moonkv: {error}");
                ExitCode::FAILURE
            }
        }
    }

    /// Prints what was spent, and gives the script's error if it had one.
    fn profile(&self) -> Result<(), String> {
        let engine = Engine::open(&Options::redis()).map_err(|error| error.to_string())?;
        let none: [&str; 0] = [];
        if let Some(file) = &self.setup {
            let run = engine.eval(input::read(file)?, &none, &none);
            run.map_err(|error| format!("{file}: {error}"))?;
        }
        let (keys, args) = input::keys_and_args(&self.words);
        let (reply, profile) = engine.profile(input::read(&self.file)?, keys, args);
        match self.collapsed {
            true => print!("{}", profile.collapsed()),
            false => print!("{}", profile.table()),
        }
        reply.map(|_| ()).map_err(|error| match error.traceback() {
            Some(traceback) => format!("{error}\n{traceback}"),
            None => error.to_string(),
        })
    }
}
