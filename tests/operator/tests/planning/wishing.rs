//! What can be wished at each cloud: kinds of recipients, how their ids are written, the owner itself, sites.

use std::collections::{BTreeMap, BTreeSet};

use imageshare_operator::api::conditions::Reason;
use imageshare_operator::domain::aws::Partition;
use imageshare_operator::domain::identifiers::RecipientKind::{self, Account, Organization, Project};
use imageshare_operator::domain::identifiers::RegionId;
use imageshare_operator::domain::provider::{Provider, Site};
use imageshare_operator::domain::share::{AskedRecipient, Share};
use imageshare_operator::planning::desired::DesiredRecipients;

use super::table::share;
use super::world::{OWNER_ACCOUNT, OWNER_PROJECT, World, hex_id, id_of};

fn asked(kind: RecipientKind, id: &str, site: Option<Site>) -> AskedRecipient {
    AskedRecipient { kind, id: id.to_owned(), site, name: None, copyable: false }
}

/// What becomes of one wish, under terms that may be changed first.
fn judged(world: &World, sites: BTreeMap<Site, BTreeSet<String>>, asked: AskedRecipient) -> Result<(), Reason> {
    let terms = imageshare_operator::planning::desired::Terms { sites, ..world.terms() };
    let shares = [Share { recipients: vec![asked], ..share(1, &[]) }];
    let wishes = DesiredRecipients::gather(&terms, &shares, &world.ledger, world.now);
    assert_eq!(wishes.wanted.len() + wishes.declined.len(), 1, "a wish is wanted or declined");
    wishes.declined.into_values().next().map_or(Ok(()), Err)
}

const AWS_ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-abcdefghij";

fn at(provider: Provider, kind: RecipientKind, id: &str) -> Result<(), Reason> {
    judged(&World::at(provider, vec![]), BTreeMap::new(), asked(kind, id, None))
}

#[test]
fn each_cloud_knows_its_kinds_of_recipients_and_no_others() {
    let table = [
        (Provider::Huawei, [Account, Project, Organization].as_slice()),
        (Provider::OpenStack, &[Project]),
        (Provider::Alibaba, &[Account]),
        (Provider::Aws, &[Account, Organization]),
    ];
    for (provider, known) in table {
        for kind in [Account, Project, Organization] {
            let uid = "1000000000000001".to_owned();
            let id = match (provider, kind) {
                (Provider::Alibaba, Account) => uid,
                (Provider::Aws, Account) => "012345678901".to_owned(),
                (Provider::Aws, Organization) => AWS_ORGANIZATION.to_owned(),
                _ => id_of(kind, 5),
            };
            let wanted = if known.contains(&kind) { Ok(()) } else { Err(Reason::RecipientKindUnsupported) };
            assert_eq!(at(provider, kind, &id), wanted, "{kind} at {provider}");
        }
    }
}

#[test]
fn an_id_that_is_not_written_as_the_cloud_writes_it_is_declined() {
    let id = hex_id(5);
    let (upper, short) = (hex_id(0xabc).to_uppercase(), &id[1..]);
    let table = [
        (Provider::Huawei, Project, upper.as_str()),
        (Provider::Huawei, Project, short),
        (Provider::Huawei, Account, "1000000000000001"),
        (Provider::Huawei, Account, upper.as_str()),
        (Provider::Huawei, Organization, "o-abc"),
        (Provider::Huawei, Organization, "organizations::123:ou:o-abc/ou-xyz"),
        (Provider::Huawei, Organization, &format!("organizations::{id}:ou:o-abc")),
        (Provider::Huawei, Organization, &format!("organizations::{id}:unit:o-abc/ou-x")),
        (Provider::OpenStack, Project, "a/b"),
        (Provider::Aws, Account, "12345678901"),
        (Provider::Aws, Account, "1000000000000001"),
        (Provider::Aws, Organization, "o-abcdefghij"),
        (Provider::Aws, Organization, "all"),
        (Provider::Aws, Organization, "arn:aws:organizations::111122223333:account/o-abcdefghij/123456789012"),
        (Provider::OpenStack, Project, "a.b"),
        (Provider::OpenStack, Project, "0f9a4c1e-6f5b-4b7e-9d53-6a1c2f3e4d5b"),
        (Provider::OpenStack, Project, &"p".repeat(65)),
    ];
    for (provider, kind, id) in table {
        assert_eq!(at(provider, kind, id), Err(Reason::InvalidRecipient), "{kind} {id} at {provider}");
    }
    assert_eq!(at(Provider::OpenStack, Project, "team_a-1"), Ok(()), "not every Keystone makes hexadecimal ids");
}

#[test]
fn nobody_is_given_their_own_image() {
    for (provider, kind, owner) in [
        (Provider::Huawei, Project, OWNER_PROJECT),
        (Provider::Huawei, Account, OWNER_ACCOUNT),
        (Provider::OpenStack, Project, OWNER_PROJECT),
    ] {
        assert_eq!(at(provider, kind, &hex_id(owner)), Err(Reason::RecipientIsOwner), "{kind} at {provider}");
    }
}

#[test]
fn a_recipient_of_a_site_that_does_not_sell_the_region_is_declined() {
    let world = World::at(Provider::Huawei, vec![]);
    let on = |sites: &BTreeMap<_, _>, site| judged(&world, sites.clone(), asked(Project, &hex_id(5), site));
    let table = BTreeMap::new();
    assert_eq!(on(&table, Some(Site::Europe)), Err(Reason::RegionNotOnSite), "cn-north-4 is not sold in Europe");
    for sold in [None, Some(Site::China), Some(Site::International)] {
        assert_eq!(on(&table, sold), Ok(()));
    }
    let overridden = BTreeMap::from([
        (Site::Europe, BTreeSet::from(["cn-north-4".to_owned()])),
        (Site::China, BTreeSet::from(["cn-north-1".to_owned()])),
    ]);
    assert_eq!(on(&overridden, Some(Site::Europe)), Ok(()), "spec.sites says otherwise");
    assert_eq!(on(&overridden, Some(Site::China)), Err(Reason::RegionNotOnSite));
    assert_eq!(on(&overridden, Some(Site::International)), Ok(()), "a site it does not name is as built in");
}

#[test]
fn openstack_knows_no_sites() {
    let world = World::at(Provider::OpenStack, vec![]);
    for site in [Site::China, Site::International, Site::Europe] {
        assert_eq!(judged(&world, BTreeMap::new(), asked(Project, &hex_id(5), Some(site))), Ok(()));
    }
}

#[test]
fn who_crosses_sites_is_known_of_the_wanted() {
    let world = World::at(Provider::Huawei, vec![]);
    let recipients = vec![asked(Project, &hex_id(1), Some(Site::China)), asked(Project, &hex_id(2), None)];
    let shares = [Share { recipients, ..share(1, &[]) }];
    let wishes = DesiredRecipients::gather(&world.terms(), &shares, &world.ledger, world.now);
    let across: Vec<bool> = wishes.wanted.values().map(|wanted| wanted.across_sites).collect();
    assert_eq!(across, [true, false]);
}

#[test]
fn nobody_of_another_partition_of_aws_gets_an_image() {
    let judged = |partition, kind, id: &str, site| {
        let world = World::at(Provider::Aws, vec![]);
        let terms = imageshare_operator::planning::desired::Terms {
            site: Some(Site::Partition(partition)),
            region: RegionId::parse(partition.home_region()).unwrap(),
            ..world.terms()
        };
        terms.judge(&asked(kind, id, site)).map(|_| ())
    };
    let of_china = AWS_ORGANIZATION.replace("arn:aws:", "arn:aws-cn:");
    assert_eq!(judged(Partition::Commercial, Organization, AWS_ORGANIZATION, None), Ok(()));
    assert_eq!(judged(Partition::China, Organization, &of_china, None), Ok(()));
    for (partition, id) in [(Partition::Commercial, of_china.as_str()), (Partition::GovCloud, AWS_ORGANIZATION)] {
        assert_eq!(judged(partition, Organization, id, None), Err(Reason::RegionNotOnSite), "{id} in {partition}");
    }
    // An account's id does not show its partition.
    assert_eq!(judged(Partition::China, Account, "123456789012", None), Ok(()));
    let elsewhere = judged(Partition::Commercial, Account, "123456789012", Some(Site::China));
    assert_eq!(elsewhere, Err(Reason::RegionNotOnSite), "sites are of other clouds");
}

#[test]
fn an_organization_in_two_spellings_is_one_recipient_of_all_shares_that_name_it() {
    let other = AWS_ORGANIZATION.replace("111122223333", "999988887777");
    let unit = "arn:aws:organizations::999988887777:ou/o-abcdefghij/ou-abcd-12345678";
    let naming = |n, ids: &[&str]| {
        let recipients = ids.iter().map(|id| asked(Organization, id, None)).collect();
        Share { recipients, ..share(n, &[]) }
    };
    let shares = [naming(1, &[&other, unit]), naming(2, &[AWS_ORGANIZATION, &other])];
    let mut world = World::at(Provider::Aws, shares.to_vec());
    world.passes(2);
    let granted: Vec<&str> = world.ledger.grants.keys().map(|recipient| recipient.id.as_str()).collect();
    assert_eq!(granted, [other.as_str(), unit], "as the older share writes it");
    assert_eq!(world.ledger.holders.values().map(BTreeSet::len).collect::<Vec<_>>(), [2, 1]);
    world.assert_at_rest();

    // The older share goes: what the other one names otherwise stays, and stays written so.
    world.shares.remove(0);
    world.passes(20);
    let left: Vec<&str> = world.cloud.keys().map(|recipient| recipient.id.as_str()).collect();
    assert_eq!((left, world.revoked.len()), (vec![other.as_str()], 1));
    world.assert_at_rest();
    world.shares.clear();
    world.passes(20);
    assert!(world.cloud.is_empty() && world.ledger.grants.is_empty());
}

#[test]
fn a_paused_or_leaving_share_holds_an_organization_that_it_names_otherwise() {
    let other = AWS_ORGANIZATION.replace("111122223333", "999988887777");
    let naming = |n, id: &str| Share { recipients: vec![asked(Organization, id, None)], ..share(n, &[]) };
    let mut world = World::at(Provider::Aws, vec![naming(1, AWS_ORGANIZATION), naming(2, &other)]);
    world.passes(2);
    world.shares[1].suspended = true;
    world.shares.remove(0);
    world.passes(20);
    assert_eq!((world.cloud.len(), world.revoked.len()), (1, 0));
    (world.shares[0].suspended, world.shares[0].deleting, world.shares[0].retain) = (false, true, true);
    world.passes(2);
    world.shares.clear();
    world.passes(20);
    assert_eq!((world.cloud.len(), world.revoked.len()), (1, 0), "left behind as its share asked");
}

#[test]
fn organizations_of_two_partitions_are_two_recipients_whatever_their_ids() {
    let of_china = AWS_ORGANIZATION.replace("arn:aws:", "arn:aws-cn:");
    let recipients = [AWS_ORGANIZATION, &of_china].map(|id| asked(Organization, id, None)).to_vec();
    let mut world = World::at(Provider::Aws, vec![Share { recipients, ..share(1, &[]) }]);
    world.passes(2);
    assert_eq!(world.cloud.len(), 1);
    let declined: Vec<(&str, Reason)> =
        world.ledger.declined.iter().map(|(recipient, reason)| (recipient.id.as_str(), *reason)).collect();
    assert_eq!(declined, [(of_china.as_str(), Reason::RegionNotOnSite)]);
}
