//! The operator as a process: arguments in, exit status out.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use imageshare_operator::{api, operator};

/// Long-lived caches among many short-lived objects on all threads: the system's allocator holds a quarter more memory.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Sharing cloud machine images, declared in Kubernetes.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run(Box<operator::RunArguments>),
    /// Write the custom resource definitions, one file a kind, into a folder; or all of them to standard output.
    Crds {
        /// The folder.
        folder: Option<PathBuf>,
    },
}

fn main() -> ExitCode {
    let result: Result<(), Box<dyn std::error::Error>> = match Arguments::parse().command {
        Command::Crds { folder } => write_crds(folder.as_ref()),
        Command::Run(arguments) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(operator::run(*arguments)).map_err(Into::into)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if tracing::enabled!(tracing::Level::ERROR) {
                tracing::error!("{error}");
            } else {
                eprintln!("imageshare-operator: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn write_crds(folder: Option<&PathBuf>) -> Result<(), Box<dyn std::error::Error>> {
    for (name, yaml) in api::crd_files()? {
        match folder {
            Some(folder) => std::fs::write(folder.join(name), yaml)?,
            None => write!(std::io::stdout(), "---\n{yaml}")?,
        }
    }
    Ok(())
}
