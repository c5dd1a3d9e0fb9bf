//! Writes the reference pages into `docs/reference/`.

use std::fs;

use anyhow::Result;
use clap::Parser;
use imageshare_harness::{assets, reference};

/// Writes the reference pages into docs/reference, from the definitions in crds.
#[derive(Debug, Parser)]
struct Options {}

fn main() -> Result<()> {
    let Options {} = Options::parse();
    let folder = assets::workspace().join("docs/reference");
    fs::create_dir_all(&folder)?;
    for (name, text) in reference::pages(&assets::workspace().join("crds"))? {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
