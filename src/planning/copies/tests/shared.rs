//! Snapshots behind several images, and whatever else may happen at once.

use proptest::prelude::*;

use super::*;

#[test]
fn a_permission_that_another_image_needs_is_handed_over_and_ends_with_the_other_image() {
    let mut cloud = cloud(&[1, 2, 3]);
    let mut first = Table::of(&[1, 2], vec![share(1, vec![ask(7, true)])]);
    let mut second = Table::of(&[2, 3], vec![share(2, vec![ask(7, true)])]);
    first.settle(&mut cloud);
    for _ in 0..4 {
        second.pass_beside(&mut cloud, Some(&first.ledger), 0);
        second.now += WINDOW;
    }
    assert_eq!(second.ledger.copies.ours[&account(7)], [snapshot(2), snapshot(3)].into());
    first.shares.clear();
    for _ in 0..6 {
        first.pass_beside(&mut cloud, Some(&second.ledger), 0);
        first.now += WINDOW;
    }
    assert!(first.is_free() && cloud.snapshots[&snapshot(1)].is_empty(), "{:?}", first.ledger);
    assert_eq!(cloud.snapshots[&snapshot(2)], [account(7)].into(), "the second image still needs it");
    second.shares.clear();
    second.settle(&mut cloud);
    assert!(second.is_free() && cloud.snapshots.values().all(BTreeSet::is_empty));
}

#[test]
fn of_two_images_that_end_at_once_one_takes_the_common_permission_back() {
    let mut cloud = cloud(&[1]);
    let mut tables = [1, 2].map(|n| Table::of(&[1], vec![share(n, vec![ask(7, true)])]));
    for _ in 0..4 {
        for n in [0, 1] {
            let other = tables[1 - n].ledger.clone();
            tables[n].pass_beside(&mut cloud, Some(&other), 0);
            tables[n].now += WINDOW;
        }
    }
    assert!(tables.iter().all(|table| table.ledger.copies.ours.contains_key(&account(7))));
    for table in &mut tables {
        table.shares.clear();
        cloud.image.clear();
    }
    for _ in 0..6 {
        for n in [0, 1] {
            let other = tables[1 - n].ledger.clone();
            tables[n].pass_beside(&mut cloud, Some(&other), 0);
            tables[n].now += WINDOW;
        }
    }
    assert!(cloud.snapshots[&snapshot(1)].is_empty() && tables.iter().all(Table::is_free));
}

#[test]
fn a_permission_that_another_ledger_needs_and_does_not_own_yet_is_held_back_for_now() {
    let mut cloud = cloud(&[1]);
    let mut table = Table::of(&[1], vec![share(1, vec![ask(7, true)])]);
    table.settle(&mut cloud);
    let mut other = table.ledger.clone();
    other.copies.ours.clear();
    table.shares.clear();
    for _ in 0..4 {
        table.pass_beside(&mut cloud, Some(&other), 0);
        table.now += WINDOW;
    }
    assert_eq!(cloud.snapshots[&snapshot(1)], [account(7)].into());
    assert!(!table.is_free(), "and the ledger remembers it");
    table.settle(&mut cloud);
    assert!(cloud.snapshots[&snapshot(1)].is_empty() && table.is_free());
}

proptest! {
    /// Whatever shares ask for and whenever the process ends: when all shares are gone nothing of ours is left, and what others
    /// gave is still there.
    #[test]
    fn nothing_of_ours_is_left_and_nothing_of_others_is_taken(
        steps in prop::collection::vec((0_usize..6, 1_usize..4, any::<bool>(), 0_usize..3), 1..24),
        foreign in prop::collection::btree_set((1_usize..3, 1_usize..5), 0..4),
    ) {
        let (mut cloud, mut table) = (cloud(&[1, 2]), Table::of(&[1, 2], vec![share(1, vec![ask(1, true)])]));
        for (on, who) in &foreign {
            cloud.snapshots.get_mut(&snapshot(*on)).unwrap().insert(account(*who));
        }
        let before = cloud.snapshots.clone();
        for (step, who, copyable, crash) in steps {
            match step {
                0 => table.shares = vec![share(1, vec![ask(who, copyable)])],
                1 => table.shares.push(share(1 + who, vec![ask(who, copyable)])),
                2 => table.shares.iter_mut().for_each(|share| share.suspended = copyable),
                3 => table.now += WINDOW,
                4 => table.hides = copyable,
                _ => {}
            }
            table.shares.dedup_by(|a, b| a.uid == b.uid);
            table.pass_beside(&mut cloud, None, crash);
            table.now += SignedDuration::from_secs(20);
            for (snapshot, recipients) in &before {
                prop_assert!(recipients.is_subset(&cloud.snapshots[snapshot]), "{:?}", cloud.log);
            }
        }
        table.hides = false;
        table.shares.clear();
        table.settle(&mut cloud);
        table.settle(&mut cloud);
        prop_assert_eq!(&cloud.snapshots, &before, "{:?}", cloud.log);
        prop_assert!(cloud.image.is_empty() && table.is_free());
    }
}
