//! An image that the cloud does not show any more ends no grant: if it comes back, nobody keeps it by mistake.

use imageshare_operator::api::cloud_image::GrantState;
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::planning::sharing::Timing;
use imageshare_operator::planning::unseen::plan_absent;
use jiff::SignedDuration;

use super::table::{TIMING, Table, recipient, share};

impl Table {
    /// Reads the image as absent twice, an absence window apart.
    fn lose_the_image(&mut self) {
        for _ in 0..2 {
            let (settled, _) = plan_absent(&self.ledger, &self.shares, TIMING.absence_window, self.now);
            self.ledger = settled;
            self.write_and_read();
            self.later(6);
        }
    }
}

#[test]
fn an_image_that_is_gone_keeps_its_ledger_and_releases_shares_that_ended() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.pass();
    table.shares[0].deleting = true;
    let (once, again) = plan_absent(&table.ledger, &table.shares, TIMING.absence_window, table.now);
    assert!(once.shares.contains_key("uid-1") && again.is_some(), "one read proves nothing");
    table.lose_the_image();
    assert_eq!(table.states(), [(1, GrantState::ImageGone), (2, GrantState::ImageGone)].into());
    assert_eq!(table.ledger.shares.keys().collect::<Vec<_>>(), ["uid-2"]);
    assert!(table.ledger.image_is_gone() && !once.image_is_gone());
}

#[test]
fn an_image_that_comes_back_is_revoked_from_whom_nobody_wants() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.pass();
    table.shares[0].deleting = true;
    table.lose_the_image();
    table.shares.remove(0);
    table.later(3600);
    table.pass();
    assert_eq!(table.cloud, [recipient(2)].into());
    assert_eq!(table.states(), [(2, GrantState::Granted)].into());
    assert_eq!(table.ledger.absent_since, None);
}

#[test]
fn a_revoke_that_was_pending_when_the_image_went_is_pending_when_it_comes_back() {
    let mut table = Table::new(vec![share(1, &[1])]);
    table.pass();
    table.shares[0].deleting = true;
    table.others_until = table.now + jiff::SignedDuration::from_secs(5);
    table.pass();
    assert_eq!(table.states()[&1], GrantState::Revoking);
    table.lose_the_image();
    assert_eq!(table.states()[&1], GrantState::Revoking);
    table.shares.clear();
    table.pass();
    assert!(table.cloud.is_empty());
}

#[test]
fn an_image_that_comes_back_without_its_recipients_is_shared_again_with_those_wanted() {
    let mut table = Table::new(vec![share(1, &[1]), share(2, &[2])]);
    table.pass();
    table.lose_the_image();
    table.cloud.clear();
    table.shares.remove(0);
    for _ in 0..3 {
        table.later(6);
        table.pass();
    }
    assert_eq!(table.cloud, [recipient(2)].into());
    assert_eq!(table.states(), [(2, GrantState::Granted)].into());
}

#[test]
fn an_absence_counts_later_where_reads_lag() {
    for provider in [Provider::Alibaba, Provider::Huawei, Provider::OpenStack] {
        assert_eq!(TIMING.of(provider), TIMING, "{provider}");
    }
    let lagging = TIMING.of(Provider::Aws);
    assert_eq!(lagging, Timing { absence_window: SignedDuration::from_secs(60), ..TIMING });
    let patient = Timing { absence_window: SignedDuration::from_secs(90), ..TIMING };
    assert_eq!(patient.of(Provider::Aws).absence_window, SignedDuration::from_secs(90), "never sooner than elsewhere");
}
