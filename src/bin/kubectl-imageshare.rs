//! The kubectl plugin: arguments in, exit status out.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser as _;
use imageshare_operator::cli::{Arguments, run};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string()),
    };
    match runtime.block_on(run(arguments)) {
        Ok(answer) => {
            for note in &answer.notes {
                eprintln!("{note}");
            }
            // A closed pipe, as of `| head`, is no failure of ours.
            drop(std::io::stdout().write_all(answer.text.as_bytes()));
            ExitCode::from(answer.exit)
        }
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}
