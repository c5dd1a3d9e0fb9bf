//! `docs/kubectl-imageshare.md` shows what the plugin prints: its console blocks are a story that is lived here, command by
//! command, and its help is the program's.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use imageshare_harness::{assets, eventually};
use jiff::Timestamp;

use crate::stage::{Ran, plugin, stage};
use support::PATIENCE;

const PAGE: &str = "docs/kubectl-imageshare.md";

/// What stands on the page for every time.
const TIME: &str = "2026-06-01T12:00:00Z";

/// The endpoints that the examples name.
const ENDPOINTS: [&str; 2] = ["http://cloud-simulator:8480", "http://cloud-simulator:8481"];

/// A command of the page, and what it prints.
#[derive(Debug)]
struct Shown {
    command: String,
    output: String,
}

fn page() -> Result<String> {
    std::fs::read_to_string(assets::workspace().join(PAGE)).context(PAGE)
}

/// The commands of the blocks of a page that are for a console.
fn shown(page: &str) -> Vec<Shown> {
    let blocks = page.split("```console\n").skip(1).filter_map(|rest| rest.split("```\n").next());
    let mut all = Vec::<Shown>::new();
    for block in blocks {
        for line in block.lines() {
            match (line.strip_prefix("$ "), all.last_mut()) {
                (Some(command), _) => all.push(Shown { command: command.to_owned(), output: String::new() }),
                (None, Some(last)) => {
                    last.output.push_str(line);
                    last.output.push('\n');
                }
                (None, None) => {}
            }
        }
    }
    all
}

/// The same text with [`TIME`] for every time: those of a run are its own.
fn timeless(text: &str) -> String {
    let mut timeless = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('T') {
        let word = at.checked_sub(10).and_then(|start| Some((start, rest.get(start..start + TIME.len())?)));
        if let Some((start, word)) = word.filter(|(_, word)| word.parse::<Timestamp>().is_ok()) {
            timeless.push_str(&rest[..start]);
            timeless.push_str(TIME);
            rest = &rest[start + word.len()..];
        } else {
            timeless.push_str(&rest[..=at]);
            rest = &rest[at + 1..];
        }
    }
    timeless + rest
}

/// Without the spaces that clap leaves at the ends of lines.
fn trimmed(text: &str) -> String {
    text.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

/// Applies files of `examples/`, with the endpoints that are served here.
async fn apply(files: &str) -> Result<()> {
    let stage = stage().await?;
    let path = assets::workspace().join(files);
    let mut paths = vec![path.clone()];
    if path.is_dir() {
        paths = std::fs::read_dir(&path)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        paths.sort();
    }
    for path in paths {
        let mut text = std::fs::read_to_string(&path)?;
        for (named, served) in ENDPOINTS.iter().zip([stage.cloud.cloud(), stage.cloud.huawei()]) {
            text = text.replace(named, served);
        }
        stage.control_plane.apply(&text).await?;
    }
    Ok(())
}

/// The words of a command, as a shell splits them; of quotes the page has single ones around whole words.
fn words(command: &str) -> Vec<&str> {
    command.split_whitespace().map(|word| word.trim_matches('\'')).collect()
}

/// Everything on the page that is no help is run in its order. What the operator has yet to do is waited for.
#[tokio::test]
async fn each_command_of_the_page_prints_what_the_page_shows() -> Result<()> {
    let (mut ran, mut applied) = (0, 0);
    for Shown { command, output } in shown(&page()?) {
        if let Some(files) = command.strip_prefix("kubectl apply -f ") {
            apply(files).await?;
            applied += 1;
            continue;
        }
        let Some(plugin_args) = command.strip_prefix("kubectl imageshare ") else {
            let args = command.strip_prefix("kubectl ").with_context(|| command.clone())?;
            stage().await?.control_plane.kubectl(&words(args)).await?;
            continue;
        };
        if plugin_args.ends_with("--help") {
            continue;
        }
        let what = format!("`{command}` to print what {PAGE} shows");
        eventually(PATIENCE, &what, async || {
            let Ran { out, err, .. } = plugin(&words(plugin_args)).await?;
            let printed = timeless(&trimmed(&format!("{out}{err}")));
            ensure!(printed == output, "it printed:\n{printed}");
            Ok(Some(()))
        })
        .await?;
        ran += 1;
    }
    ensure!(ran >= 8 && applied >= 2, "only {ran} commands and {applied} files: the page is not understood");
    Ok(())
}

#[tokio::test]
async fn the_help_of_every_command_is_on_the_page() -> Result<()> {
    let helps: Vec<Shown> = shown(&page()?).into_iter().filter(|shown| shown.command.ends_with("--help")).collect();
    for Shown { command, output } in &helps {
        let args = command.strip_prefix("kubectl imageshare ").with_context(|| command.clone())?;
        let Ran { exit, out, .. } = plugin(&words(args)).await?;
        ensure!(exit == 0 && trimmed(&out) == *output, "{command}: {PAGE} is old, it prints:\n{out}");
    }
    let shown: BTreeSet<&str> = helps.iter().filter_map(|help| words(&help.command).get(2).copied()).collect();
    let overview = plugin(&["--help"]).await?.out;
    let commands = overview.split("Commands:\n").nth(1).context("commands")?;
    let commands =
        commands.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    let wanted: BTreeSet<&str> = commands.filter(|command| *command != "help").chain(["--help"]).collect();
    ensure!(wanted.len() > 5 && shown == wanted, "{shown:?}, but there are {wanted:?}");
    Ok(())
}

#[tokio::test]
async fn each_shell_gets_a_completion_that_knows_the_commands() -> Result<()> {
    for shell in ["bash", "zsh", "fish"] {
        let script = plugin(&["completion", shell]).await?;
        ensure!(script.exit == 0 && script.out.contains("who-has"), "{shell}: {script:?}");
    }
    Ok(())
}

#[test]
fn times_are_found_wherever_they_stand() {
    let text = "THE SINCE T\n2026-11-30T18:00:01Z   x/2025-01-01T00:00:00Z T";
    assert_eq!(timeless(text), format!("THE SINCE T\n{TIME}   x/{TIME} T"));
}
