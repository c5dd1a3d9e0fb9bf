//! Runs programs side by side, and prints the output of each in one piece.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::minutes;
use crate::programs::Program;

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) status: ExitStatus,
    pub(crate) took: Duration,
    output: PathBuf,
}

impl Ended {
    pub(crate) fn passed(&self) -> bool {
        self.status.success()
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n     Running {}", self.name)?;
        out.write_all(&fs::read(&self.output)?)
    }
}

/// The programs that wait, run and have ended, and where their output is printed.
struct Progress<W> {
    out: W,
    waiting: std::vec::IntoIter<(usize, Program)>,
    running: Vec<String>,
    ended: Vec<Ended>,
    all: usize,
    begin: Instant,
}

/// Runs programs in this order, `jobs` of them at any time, and returns them in the order in which they ended. The output of each
/// is printed once it has ended, the output of failed ones after all others.
pub(crate) fn side_by_side<W: Write + Send>(
    programs: Vec<Program>,
    jobs: u32,
    folder: &Path,
    out: W,
) -> Result<Vec<Ended>> {
    let all = programs.len();
    let waiting = programs.into_iter().enumerate().collect::<Vec<_>>().into_iter();
    let progress = Progress { out, waiting, running: Vec::new(), ended: Vec::new(), all, begin: Instant::now() };
    let progress = Mutex::new(progress);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work(&progress, folder))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| anyhow::bail!("a worker panicked")))
    })?;
    let Progress { mut out, ended, .. } = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    for failed in ended.iter().filter(|program| !program.passed()) {
        failed.print(&mut out)?;
    }
    Ok(ended)
}

fn work<W: Write>(progress: &Mutex<Progress<W>>, folder: &Path) -> Result<()> {
    let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || lock().next();
    while let Some((number, program)) = next() {
        let output = folder.join(format!("{number}.log"));
        let ended = run(program, output)?;
        lock().end(ended)?;
    }
    Ok(())
}

fn run(program: Program, output: PathBuf) -> Result<Ended> {
    let Program { name, mut command } = program;
    let begin = Instant::now();
    let file = File::create(&output).with_context(|| format!("making {}", output.display()))?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let status = command.status().with_context(|| format!("starting {name}"))?;
    Ok(Ended { name, status, took: begin.elapsed(), output })
}

impl<W: Write> Progress<W> {
    fn next(&mut self) -> Option<(usize, Program)> {
        let next = self.waiting.next()?;
        self.running.push(next.1.name.clone());
        Some(next)
    }

    fn end(&mut self, ended: Ended) -> Result<()> {
        self.running.retain(|name| *name != ended.name);
        if ended.passed() {
            ended.print(&mut self.out)?;
        }
        let how = if ended.passed() {
            "ended".to_owned()
        } else {
            format!("FAILED ({}), its output follows at the end", ended.status)
        };
        let (name, took, since) = (&ended.name, minutes(ended.took), minutes(self.begin.elapsed()));
        write!(self.out, "suite: {name} {how} after {took}; {} of {} done in {since}", self.ended.len() + 1, self.all)?;
        let running = self.running.join(", ");
        writeln!(self.out, "{}{running}", if running.is_empty() { "" } else { ", now: " })?;
        self.ended.push(ended);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::process::Command;

    use imageshare_harness::run;

    use super::*;

    fn program(name: &str, script: &str) -> Program {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        Program { name: name.to_owned(), command }
    }

    fn side_by_side_of(programs: Vec<Program>, jobs: u32) -> (Vec<Ended>, String) {
        let mut out = Vec::new();
        let ended = side_by_side(programs, jobs, &run::folder("suite-of-tests").unwrap(), &mut out).unwrap();
        (ended, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_output_of_a_program_is_printed_once_and_in_one_piece() {
        let fifo = run::folder("suite-of-tests").unwrap().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        // Each waits for the other between its lines: they run at the same time.
        let fifo = fifo.display();
        let one = program("one", &format!("echo one begins; echo >{fifo}; echo one ends >&2"));
        let other = program("other", &format!("echo other begins; read line <{fifo}; echo other ends"));
        let (ended, printed) = side_by_side_of(vec![one, other], 2);
        assert!(ended.iter().all(Ended::passed));
        for whole in ["Running one\none begins\none ends\n", "Running other\nother begins\nother ends\n"] {
            assert_eq!(printed.matches(whole).count(), 1, "{printed}");
        }
    }

    #[test]
    fn failed_programs_are_printed_last_and_the_others_run_all_the_same() {
        let failing = program("failing", "echo it broke; exit 101");
        let (ended, printed) = side_by_side_of(vec![failing, program("sound", "echo all is well")], 1);
        assert_eq!(ended.iter().map(Ended::passed).collect::<Vec<_>>(), [false, true]);
        let (sound, broken) = (printed.find("all is well").unwrap(), printed.find("it broke").unwrap());
        assert!(sound < broken && printed.matches("it broke").count() == 1, "{printed}");
    }

    #[test]
    fn a_program_that_a_signal_ends_has_failed() {
        let (ended, _) = side_by_side_of(vec![program("killed", "kill -s KILL $$")], 1);
        assert!(!ended.first().unwrap().passed());
    }

    #[test]
    fn no_more_programs_run_at_a_time_than_are_asked_for() {
        let folder = run::folder("suite-of-tests").unwrap().join("held");
        let folder = folder.display();
        // Who finds the folder runs beside the one that made it.
        let alone = format!("mkdir {folder} && sleep 0.05 && rmdir {folder}");
        let (ended, printed) = side_by_side_of((0..4).map(|n| program(&n.to_string(), &alone)).collect(), 1);
        assert!(ended.iter().all(Ended::passed), "{printed}");
    }
}
