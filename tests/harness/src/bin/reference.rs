//! Writes the reference pages into `docs/reference/`.

use std::fs;

use anyhow::Result;
use imageshare_harness::{assets, reference};

fn main() -> Result<()> {
    let folder = assets::workspace().join("docs/reference");
    fs::create_dir_all(&folder)?;
    for (name, text) in reference::pages(&assets::workspace().join("crds"))? {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
