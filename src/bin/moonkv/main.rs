//! The program `moonkv`: one file for each subcommand, each with its arguments and what it does.
//!
//! A subcommand is a variant here and a file with `struct Arguments`, whose `run` gives the code the
//! program ends with.

mod check;
mod config;
mod eval;
mod input;
mod print;
mod profile;
mod serve;
mod shell;
mod target;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Redis's commands and atomic Lua scripts, without a server.
#[derive(Parser)]
#[command(name = "moonkv", version)]
struct Program {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Check(check::Arguments),
    Eval(eval::Arguments),
    Profile(profile::Arguments),
    Serve(serve::Arguments),
    Shell(shell::Arguments),
}

fn main() -> ExitCode {
    match Program::parse().task {
        Task::Check(arguments) => arguments.run(),
        Task::Eval(arguments) => arguments.run(),
        Task::Profile(arguments) => arguments.run(),
        Task::Serve(arguments) => arguments.run(),
        Task::Shell(arguments) => arguments.run(),
    }
}
