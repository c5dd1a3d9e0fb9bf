//! What sharing may cost: calls to the cloud, and writes to Kubernetes.

use anyhow::Result;
use futures::future::try_join_all;
use imageshare_operator::api::{CloudAccount, CloudImage, ImageShare};

use support::Player;
use support::sights::{LIST, LOOK, MODIFY};
use support::writes::Writes;

struct Counters {
    accounts: Writes<CloudAccount>,
    images: Writes<CloudImage>,
    shares: Writes<ImageShare>,
}

impl Counters {
    async fn start(player: &Player) -> Result<Self> {
        Ok(Self {
            accounts: Writes::count(player.api()).await?,
            images: Writes::count(player.api()).await?,
            shares: Writes::count(player.api()).await?,
        })
    }

    /// At most 3 writes per share; per image at most 3, and 2 for each pass that looked at the cloud.
    async fn judge(&self, player: &Player, shares: &[String]) -> Result<()> {
        for share in shares {
            let writes = self.shares.to(share).await?;
            assert!(writes <= 3, "{writes} writes to ImageShare {share}");
        }
        let passes = player.calls(LOOK).await?.len();
        let writes = self.images.to("golden").await?;
        assert!(writes <= 3 + 2 * passes, "{writes} writes to the CloudImage in {passes} passes");
        let writes = self.accounts.to("golden").await?;
        assert!(writes <= 3, "{writes} writes to the CloudAccount");
        Ok(())
    }
}

/// Checks of the account apart from calls on images: who the key belongs to, and which regions there are.
async fn judge_account_checks(player: &Player) -> Result<()> {
    let (identity, regions) =
        (player.calls("GetCallerIdentity").await?.len(), player.calls("DescribeRegions").await?.len());
    assert!(identity + regions <= 2, "{identity} identity checks and {regions} lists of regions");
    Ok(())
}

#[tokio::test]
async fn fifty_recipients_in_one_share_take_five_changes_and_three_reads() -> Result<()> {
    let player = Player::enter().await?;
    let counters = Counters::start(&player).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.share("team", 1..=50).await?;
    let share = player.ready::<ImageShare>("team").await?;
    assert_eq!(share["status"]["summary"], "50/50");
    player.ready::<CloudImage>("golden").await?;
    let (looks, lists, changes) =
        (player.calls(LOOK).await?.len(), player.calls(LIST).await?.len(), player.calls(MODIFY).await?.len());
    player.until_shared_with(1, 1..=50).await?;
    assert!(changes <= 5, "{changes} changes");
    assert!(looks <= 3, "{looks} looks at the image");
    assert!(lists <= 3, "{lists} lists of its recipients");
    println!("{changes} changes, {looks} looks at the image, {lists} lists of its recipients");
    judge_account_checks(&player).await?;
    counters.judge(&player, &["team".to_owned()]).await
}

#[tokio::test]
async fn fifty_shares_applied_together_travel_together() -> Result<()> {
    let player = Player::enter().await?;
    let counters = Counters::start(&player).await?;
    player.account(|_| {}).await?;
    player.image("golden", |_| {}).await?;
    player.ready::<CloudImage>("golden").await?;
    let passes_before = player.calls(LOOK).await?.len();
    let names: Vec<String> = (1..=50).map(|n| format!("team-{n}")).collect();
    try_join_all((1..=50).map(|n| {
        let (player, name) = (&player, &names[n as usize - 1]);
        async move { player.share(name, [n]).await }
    }))
    .await?;
    try_join_all(names.iter().map(|name| player.ready::<ImageShare>(name))).await?;
    player.until_shared_with(1, 1..=50).await?;
    let (passes, changes) = (player.calls(LOOK).await?.len() - passes_before, player.calls(MODIFY).await?.len());
    println!("{passes} passes, {changes} changes");
    assert!(passes <= 3, "{passes} passes");
    assert!(changes <= 10, "{changes} changes");
    judge_account_checks(&player).await?;
    counters.judge(&player, &names).await
}
