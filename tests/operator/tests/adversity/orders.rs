//! Two overlapping shares, deleted and edited in every order, in calm steps and all at once.

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use imageshare_operator::api::{CloudImage, ImageShare};

use crate::behind;
use support::Player;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    DeleteA,
    DeleteB,
    EditA,
    EditB,
}

const DEEDS: [Deed; 4] = [Deed::DeleteA, Deed::DeleteB, Deed::EditA, Deed::EditB];

/// Every order of the four.
fn orders() -> Vec<[Deed; 4]> {
    let mut orders = Vec::new();
    for first in DEEDS {
        for second in DEEDS {
            for third in DEEDS {
                for fourth in DEEDS {
                    let order = [first, second, third, fourth];
                    if DEEDS.iter().all(|deed| order.contains(deed)) {
                        orders.push(order);
                    }
                }
            }
        }
    }
    orders
}

/// What both shares want: A starts with 1 to 4 and is edited to 2, 5 and 7; B starts with 3 to 6 and is edited to 1, 4 and 6.
#[derive(Debug, Clone)]
struct Wanted {
    a: Vec<u32>,
    b: Vec<u32>,
    ended: Vec<&'static str>,
}

impl Wanted {
    fn union(&self) -> Vec<u32> {
        let mut all = [&self.a[..], &self.b[..]].concat();
        all.sort_unstable();
        all.dedup();
        all
    }

    async fn happen(&mut self, player: &Player, deed: Deed, image: u32) -> Result<()> {
        let (share, edited) = match deed {
            Deed::DeleteA | Deed::EditA => ("a", vec![2, 5, 7]),
            Deed::DeleteB | Deed::EditB => ("b", vec![1, 4, 6]),
        };
        let name = format!("{share}-{image}");
        let now = match deed {
            Deed::DeleteA | Deed::DeleteB => {
                player.delete::<ImageShare>(&name).await?;
                self.ended.push(share);
                Vec::new()
            }
            Deed::EditA | Deed::EditB => {
                let answer = player.reshare(&name, edited.clone()).await;
                // What was deleted may be gone, or is edited in vain.
                if self.ended.contains(&share) {
                    return Ok(());
                }
                answer?;
                edited
            }
        };
        *(if share == "a" { &mut self.a } else { &mut self.b }) = now;
        Ok(())
    }
}

async fn walk(player: &Player, order: [Deed; 4], image: u32, calm: bool) -> Result<()> {
    let name = format!("golden-{image}");
    player.image(&name, |spec| spec.image_id = player.image_id(image)).await?;
    let mut wanted = Wanted { a: (1..=4).collect(), b: (3..=6).collect(), ended: Vec::new() };
    for (share, numbers) in [("a", &wanted.a), ("b", &wanted.b)] {
        let ids: Vec<String> = numbers.iter().map(|n| player.recipient(*n)).collect();
        player.share_with(&format!("{share}-{image}"), &ids, |spec| spec.image_ref.name.clone_from(&name)).await?;
    }
    player.until_shared_with(image, wanted.union()).await?;
    player.ready::<CloudImage>(&name).await?;
    for deed in order {
        wanted.happen(player, deed, image).await?;
        if calm {
            player.until_shared_with(image, wanted.union()).await.with_context(|| format!("after {deed:?}"))?;
        }
    }
    for share in ["a", "b"] {
        player.gone::<ImageShare>(&format!("{share}-{image}")).await?;
    }
    player.until_shared_with(image, []).await?;
    player.delete::<CloudImage>(&name).await?;
    player.gone::<CloudImage>(&name).await
}

#[tokio::test]
async fn in_every_order_of_deletes_and_edits_the_union_stays() -> Result<()> {
    let behind = behind().await?;
    let orders = orders();
    assert_eq!(orders.len(), 24);
    // A few at a time: a machine that is too busy tests only its patience.
    let walks = orders.into_iter().map(async |order| {
        let player = behind.player_with(|_| {}).await?;
        let both = async { tokio::try_join!(walk(&player, order, 1, true), walk(&player, order, 2, false)) };
        both.await.with_context(|| format!("{order:?}"))?;
        behind.audit(&[&player], &[]).await.with_context(|| format!("{order:?}"))
    });
    stream::iter(walks).buffer_unordered(6).try_collect::<()>().await
}
