//! Short campaigns of fixed seeds. Long ones are for `make chaos`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Duration;

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use imageshare_harness::campaign::Campaign;

const LENGTH: Duration = Duration::from_secs(16);

const SEEDS: [u64; 3] = [1, 2, 3];

#[tokio::test]
async fn whatever_befalls_it_the_operator_keeps_its_word_and_ends_up_where_it_should() -> Result<()> {
    let campaigns = SEEDS.map(|seed| Campaign { seed, length: LENGTH, operator: None });
    let verdicts = try_join_all(campaigns.iter().map(Campaign::run)).await?;
    for verdict in verdicts {
        println!("{}", verdict.summary);
        let found: Vec<String> = verdict.findings.iter().map(ToString::to_string).collect();
        ensure!(found.is_empty(), "{}; logs in {}\n{}", verdict.summary, verdict.run.display(), found.join("\n"));
    }
    Ok(())
}
