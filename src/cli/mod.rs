//! `kubectl imageshare`: what a person asks of a cluster with image shares, with the rights of their own kubeconfig.
//!
//! | file | content |
//! |---|---|
//! | `arguments` | the command line and its help |
//! | `reader` | reads objects with the user's rights, and records each right that is missing |
//! | `output` | tables, JSON, YAML |
//! | `who_has` | who has an image; what an account has |
//! | `why`, `why/chain`, `remedies` | from the Secret's name to the recipient: the first broken link, and what to do |
//! | `offers`, `answer` | offered images; the `SharedImageAcceptance` that answers one |
//! | `console` | the same as pages for a browser, on loopback |
//! | `plan` | what a set of files would share, and what of it would be refused, without a cluster or against one |
//!
//! Each command reads first, with `reader`; a pure function makes the answer; `output` prints it. An answer that lacks a
//! part says so in its text, in its JSON, on standard error and by its exit status. No command reads a Secret.

mod answer;
mod arguments;
mod console;
mod offers;
mod output;
mod plan;
mod reader;
mod remedies;
mod who_has;
mod why;

use std::io::Read as _;

pub use arguments::Arguments;
use arguments::Command;
use clap::CommandFactory as _;

use crate::cluster::ClusterError;

/// Exit status of an answer that is complete.
const DONE: u8 = 0;
/// Exit status of an answer that lacks a part. Errors have it too.
const INCOMPLETE: u8 = 1;
/// Exit status of a search that found nothing, and could read everything.
const NOTHING_FOUND: u8 = 3;

/// What a command prints, and its exit status.
#[derive(Debug)]
pub struct Answer {
    /// For standard output.
    pub text: String,
    /// For standard error: one line each.
    pub notes: Vec<String>,
    /// The exit status.
    pub exit: u8,
}

/// Why a command has no answer.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The arguments, or what they name, do not fit. The text says what is wrong and what to do.
    #[error("{0}")]
    Refused(String),
    /// The kubeconfig cannot be used.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The API server does not answer, or refuses.
    #[error("{what}: {source}")]
    Cluster {
        /// What was asked of it.
        what: String,
        /// How it failed.
        source: ClusterError,
    },
    /// The answer cannot be written in the format that was asked for.
    #[error("writing the answer: {0}")]
    Output(String),
    /// The terminal cannot be read.
    #[error("reading the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Runs one command.
///
/// # Errors
///
/// Arguments that name nothing, an unusable kubeconfig, or an API server that does not answer. A right that is missing is
/// no error: the answer names it.
pub async fn run(arguments: Arguments) -> Result<Answer, CliError> {
    let Arguments { connection, command } = arguments;
    match command {
        Command::Plan(asked) => plan::run(&connection, &asked).await,
        Command::WhoHas(asked) => who_has::run(&connection, &asked).await,
        Command::Why(asked) => why::run(&connection, &asked).await,
        Command::Offers(asked) => offers::run(&connection, &asked).await,
        Command::Accept(asked) => answer::accept(&connection, &asked).await,
        Command::Reject(asked) => answer::reject(&connection, &asked).await,
        Command::Console(asked) => console::run(&connection, &asked).await,
        Command::Completion { shell } => completion(shell),
    }
}

fn completion(shell: clap_complete::Shell) -> Result<Answer, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "kubectl-imageshare", &mut script);
    let mut text = String::new();
    script.as_slice().read_to_string(&mut text)?;
    Ok(Answer { text, notes: Vec::new(), exit: DONE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_search_needs_an_image_or_an_account_and_not_both() {
        use clap::Parser as _;
        let parsed = |words: &str| Arguments::try_parse_from(words.split(' ')).is_ok();
        assert!(parsed("imageshare who-has ubuntu -n golden-images"));
        assert!(parsed("imageshare who-has --account 1000000000000001 -A"));
        for words in ["who-has", "who-has ubuntu --account 1", "who-has ubuntu -A -n x", "plan", "why", "accept"] {
            assert!(!parsed(&format!("imageshare {words}")), "{words}");
        }
    }
}
