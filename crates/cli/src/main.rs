//! The `lowbit` command: arguments in, one clear answer or one clear error out.

#![forbid(unsafe_code)]

mod args;
mod compare;
mod convert;
mod formats;
mod inspect;
mod output;
mod progress;
mod quantize;
mod settings;
mod table;
mod units;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Quantize(args) => quantize::run(&args),
        Command::Convert(args) => convert::convert(&args),
        Command::Dequantize(args) => convert::dequantize(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Verify(args) => match verify::run(&args) {
            // What is wrong has been said.
            Ok(false) => return ExitCode::FAILURE,
            other => other.map(drop),
        },
        Command::Formats(args) => formats::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of our output went away (`lowbit … | head`): nothing is wrong.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
