//! The `lowbit` command: parses arguments, and prints one clear answer or one clear error.

#![forbid(unsafe_code)]

mod args;
mod calibrate;
mod calibrated;
mod compare;
mod convert;
mod eval;
mod formats;
mod inspect;
mod output;
mod progress;
mod quantize;
mod report;
mod settings;
mod table;
mod text;
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
            // The findings have been printed already.
            Ok(false) => return ExitCode::FAILURE,
            other => other.map(drop),
        },
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Formats(args) => formats::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of the output has ended (`lowbit … | head`). That is no error.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
