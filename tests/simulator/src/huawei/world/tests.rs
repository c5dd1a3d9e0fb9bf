//! The vendor's rules on sharing, answering and deleting, one by one.

use super::*;
use crate::chassis::effect::Effect;
use crate::chassis::exchange::JobFailure;
use crate::huawei::world_file::HuaweiFile;
use jiff::SignedDuration;

const GOLDEN: &str = "cc4f2d1e-0000-4000-8000-000000000001";
const SERVER: &str = "cc4f2d1e-0000-4000-8000-000000000002";
/// The owner's project, its second one in the region, and one elsewhere.
const OWNER: &str = "0a000000000000000000000000000000";
const SECOND: &str = "0b000000000000000000000000000000";
/// The domain of projects 1 to 200, and the one whose site lacks the region.
const CROWD: &str = "dddddddddddddddddddddddddddddddd";
const EUROPEAN: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";
const OWNERS_DOMAIN: &str = "d0000000000000000000000000000000";
const UNIT: &str = "organizations::d0000000000000000000000000000000:ou:o-acme/ou-dev";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

fn project(n: usize) -> AccountId {
    AccountId::from(format!("{n:032}").as_str())
}

fn projects(range: impl Iterator<Item = usize>) -> Vec<Recipient> {
    range.map(|n| Recipient::project(&project(n))).collect()
}

fn named(kind: MemberKind, id: &str) -> Vec<Recipient> {
    vec![Recipient { kind, id: AccountId::from(id) }]
}

fn world_of(rules: &str, golden: &str) -> World {
    let crowd: Vec<_> = (1..=200).map(|n| format!("      - {{id: '{}', region: cn-north-4}}\n", project(n))).collect();
    let text = format!(
        "
rules: {{{rules}}}
sites:
  China: [cn-north-4, cn-south-1]
  Europe: [eu-west-101]
domains:
  - id: {OWNERS_DOMAIN}
    site: China
    projects:
      - {{id: {OWNER}, region: cn-north-4}}
      - {{id: {SECOND}, region: cn-north-4, name: cn-north-4_two}}
  - id: {CROWD}
    site: China
    organizations: ['{UNIT}']
    projects:
{crowd}      - {{id: '{far}', region: cn-south-1}}
  - {{id: {EUROPEAN}, site: Europe, projects: [{{id: '{european}', region: eu-west-101}}]}}
images:
  - {{id: {GOLDEN}, project: {OWNER}, name: golden{golden}}}
  - {{id: {SERVER}, project: {OWNER}, name: server, kind: fullServer}}
",
        crowd = crowd.concat(),
        far = project(900),
        european = project(901),
    );
    World::load(serde_yaml::from_str::<HuaweiFile>(&text).unwrap(), at(0)).unwrap()
}

fn world() -> World {
    world_of("", "")
}

fn asker(project: &AccountId) -> Asker {
    Asker { project: project.clone(), region: RegionId::from("cn-north-4"), key_id: "key".to_owned() }
}

fn owner() -> AccountId {
    AccountId::from(OWNER)
}

fn ids(ids: &[&str]) -> Vec<ImageId> {
    ids.iter().map(|id| ImageId::from(*id)).collect()
}

fn add(recipients: Vec<Recipient>) -> Order {
    Order::Add { images: ids(&[GOLDEN]), recipients }
}

fn remove(recipients: Vec<Recipient>) -> Order {
    Order::Remove { images: ids(&[GOLDEN]), recipients }
}

fn answer_of(image: &str, status: MemberStatus, vault: Option<&str>) -> Order {
    Order::Answer { images: ids(&[image]), status, vault: vault.map(str::to_owned) }
}

fn answer(status: MemberStatus) -> Order {
    answer_of(GOLDEN, status, None)
}

fn submit(world: &mut World, who: &AccountId, order: Order, failure: Option<JobFailure>) -> Result<(), String> {
    let submission = Submission { id: "job".to_owned(), failure, slow_millis: 0 };
    world.submit(&asker(who), order, submission, at(0)).map_err(|refusal| refusal.code)
}

/// Asks for a job and waits for its end: the effects, or the code of refusal, at once or in the job.
fn run(world: &mut World, who: &AccountId, order: Order) -> Result<Vec<(ImageId, Effect)>, String> {
    submit(world, who, order, None)?;
    let ended = world.end_next(at(150)).unwrap();
    ended.code.map_or(Ok(ended.effects), Err)
}

fn code(world: &mut World, who: &AccountId, order: Order) -> String {
    run(world, who, order).unwrap_err()
}

fn status_of(world: &World, recipient: &Recipient) -> Option<MemberStatus> {
    world.image(&ImageId::from(GOLDEN)).unwrap().member(recipient).map(|member| member.status)
}

fn members(world: &World) -> usize {
    world.image(&ImageId::from(GOLDEN)).unwrap().members().len()
}

fn accepted(range: impl Iterator<Item = usize>) -> String {
    let rows: Vec<_> = range.map(|n| format!("{{type: project, id: '{}', status: accepted}}", project(n))).collect();
    format!(", members: [{}]", rows.join(", "))
}

#[test]
fn a_project_answers_its_offer_and_a_domain_or_an_organization_has_it_at_once() {
    let mut world = world();
    let everybody = [projects(1..=1), named(MemberKind::Domain, CROWD), named(MemberKind::Organization, UNIT)].concat();
    let effects = run(&mut world, &owner(), add(everybody.clone())).unwrap();
    assert_eq!(effects[0].1.added, everybody.iter().map(|one| one.id.clone()).collect::<Vec<_>>());
    let statuses: Vec<_> = everybody.iter().map(|one| status_of(&world, one).unwrap()).collect();
    assert_eq!(statuses, [MemberStatus::Pending, MemberStatus::Accepted, MemberStatus::Accepted]);
}

#[test]
fn a_job_takes_effect_when_it_ends_and_not_before() {
    let mut world = world();
    submit(&mut world, &owner(), add(projects(1..=1)), None).unwrap();
    let phase = |world: &World, now| world.job(&owner(), "job").unwrap().phase(at(now));
    assert_eq!((phase(&world, 0), phase(&world, 49), phase(&world, 50)), (Phase::Init, Phase::Init, Phase::Running));
    assert!(world.end_next(at(149)).is_none());
    assert_eq!(members(&world), 0);
    let ended = world.end_next(at(400)).unwrap();
    assert_eq!((ended.at, ended.code), (at(150), None));
    assert_eq!((members(&world), phase(&world, 400)), (1, Phase::Success));
    assert_eq!(world.image(&ImageId::from(GOLDEN)).unwrap().members()[0].created, at(150));
    assert!(world.job(&project(1), "job").is_none(), "a job is its asker's");
}

#[test]
fn jobs_take_effect_in_the_order_in_which_they_end() {
    let mut world = world();
    let slow = Submission { id: "slow".to_owned(), failure: None, slow_millis: 100 };
    world.submit(&asker(&owner()), add(projects(1..=1)), slow, at(0)).unwrap();
    let quick = Submission { id: "quick".to_owned(), failure: None, slow_millis: 0 };
    world.submit(&asker(&owner()), remove(projects(1..=1)), quick, at(10)).unwrap();
    let ended: Vec<_> = std::iter::from_fn(|| world.end_next(at(1000))).map(|ended| (ended.id, ended.at)).collect();
    assert_eq!(ended, [("quick".to_owned(), at(160)), ("slow".to_owned(), at(250))]);
    assert_eq!(members(&world), 1);
}

#[test]
fn a_pending_offer_uses_no_quota() {
    let mut world = world_of("", &accepted(1..=128));
    run(&mut world, &owner(), add(projects(129..=200))).unwrap();
    assert_eq!(members(&world), 200);
    assert_eq!(code(&mut world, &project(129), answer(MemberStatus::Accepted)), "IMG.0088");
    assert_eq!(status_of(&world, &projects(129..=129)[0]), Some(MemberStatus::Pending));
    run(&mut world, &project(128), answer(MemberStatus::Rejected)).unwrap();
    run(&mut world, &project(129), answer(MemberStatus::Accepted)).unwrap();
}

#[test]
fn a_recipient_that_has_the_image_at_once_does_not_fit_into_a_full_quota() {
    let mut world = world_of("", &accepted(1..=128));
    let error = submit(&mut world, &owner(), add(named(MemberKind::Domain, CROWD)), None);
    assert_eq!(error, Ok(()), "the quota is counted in the job");
    assert_eq!(world.end_next(at(150)).unwrap().code.as_deref(), Some("IMG.0088"));
    let job = world.job(&owner(), "job").unwrap();
    assert_eq!((job.phase(at(150)), job.refusal().unwrap().code.as_str()), (Phase::Fail, "IMG.0088"));
    assert_eq!(members(&world), 128);
}

#[test]
fn ten_may_use_a_full_server_image_and_each_takes_it_into_a_vault() {
    let mut world = world();
    let order = Order::Add { images: ids(&[SERVER]), recipients: projects(1..=11) };
    run(&mut world, &owner(), order).unwrap();
    assert_eq!(code(&mut world, &project(1), answer_of(SERVER, MemberStatus::Accepted, None)), "IMG.0184");
    let accept = || answer_of(SERVER, MemberStatus::Accepted, Some("vault"));
    for n in 1..=10 {
        run(&mut world, &project(n), accept()).unwrap();
    }
    assert_eq!(code(&mut world, &project(11), accept()), "IMG.0088");
    run(&mut world, &project(11), answer_of(SERVER, MemberStatus::Rejected, None)).unwrap();
}

#[test]
fn an_answer_can_be_changed_and_a_rejected_offer_is_made_anew_by_sharing_again() {
    let mut world = world();
    let one = projects(1..=1);
    run(&mut world, &owner(), add(one.clone())).unwrap();
    for status in [MemberStatus::Rejected, MemberStatus::Accepted, MemberStatus::Rejected] {
        let effects = run(&mut world, &project(1), answer(status)).unwrap();
        assert_eq!(
            (effects[0].1.answered[0].status.as_str(), status_of(&world, &one[0])),
            (status.word(), Some(status))
        );
        assert!(effects[0].1.added.is_empty() && effects[0].1.removed.is_empty());
    }
    let again = run(&mut world, &owner(), add(one.clone())).unwrap();
    assert_eq!((again[0].1.answered[0].status.as_str(), again[0].1.added.len()), ("pending", 0));
    assert_eq!(status_of(&world, &one[0]), Some(MemberStatus::Pending));
}

#[test]
fn adding_a_present_and_removing_an_absent_member_succeed_without_effect() {
    let mut world = world_of("", &accepted(1..=1));
    assert!(run(&mut world, &owner(), add(projects(1..=1))).unwrap().is_empty());
    assert!(run(&mut world, &owner(), remove(projects(2..=2))).unwrap().is_empty());
    assert!(run(&mut world, &project(1), answer(MemberStatus::Accepted)).unwrap().is_empty());
    assert_eq!(status_of(&world, &projects(1..=1)[0]), Some(MemberStatus::Accepted));
}

#[test]
fn an_organization_is_taken_back_by_its_bare_id_or_its_urn() {
    let mut world = world();
    for name in ["ou-dev", UNIT] {
        run(&mut world, &owner(), add(named(MemberKind::Organization, UNIT))).unwrap();
        let effects = run(&mut world, &owner(), remove(named(MemberKind::Organization, name))).unwrap();
        assert_eq!(effects[0].1.removed, [AccountId::from(UNIT)]);
    }
    run(&mut world, &owner(), add(named(MemberKind::Organization, UNIT))).unwrap();
    let both = [named(MemberKind::Organization, "ou-dev"), named(MemberKind::Organization, UNIT)].concat();
    assert_eq!(run(&mut world, &owner(), remove(both)).unwrap()[0].1.removed.len(), 1);
}

#[test]
fn nobody_but_the_owner_shares_and_nobody_shares_with_himself() {
    let mut world = world_of("", &accepted(1..=1));
    assert_eq!(code(&mut world, &project(1), add(projects(2..=2))), "IMG.0047");
    assert_eq!(code(&mut world, &project(1), remove(projects(1..=1))), "IMG.0047");
    assert_eq!(code(&mut world, &project(2), add(projects(3..=3))), "IMG.0144");
    assert_eq!(code(&mut world, &AccountId::from(SECOND), add(projects(3..=3))), "IMG.0144");
    assert_eq!(code(&mut world, &owner(), add(vec![Recipient::project(&owner())])), "IMG.0076");
    assert_eq!(code(&mut world, &owner(), add(named(MemberKind::Domain, OWNERS_DOMAIN))), "IMG.0076");
}

#[test]
fn a_recipient_must_exist_and_be_served_in_the_images_region() {
    let mut world = world();
    assert_eq!(code(&mut world, &owner(), add(projects(777..=777))), "IMG.0108");
    assert_eq!(code(&mut world, &owner(), add(named(MemberKind::Project, CROWD))), "IMG.0108");
    assert_eq!(code(&mut world, &owner(), add(projects(900..=900))), "IMG.0177");
    assert_eq!(code(&mut world, &owner(), add(projects(901..=901))), "IMG.0177");
    assert_eq!(code(&mut world, &owner(), add(named(MemberKind::Domain, EUROPEAN))), "IMG.0177");
    let stranger = UNIT.replace("o-acme", "o-other");
    assert_eq!(code(&mut world, &owner(), add(named(MemberKind::Organization, &stranger))), "IMG.0108");
    world.patch_domain(&AccountId::from(CROWD), DomainPatch { closed: Some(true), ..DomainPatch::default() });
    assert_eq!(code(&mut world, &owner(), add(projects(1..=1))), "IMG.0108");
}

#[test]
fn images_that_may_not_be_shared_are_refused_each_by_its_own_code() {
    let cases = [
        (", encrypted: true", "IMG.0098"),
        (", kind: fullServer, fromCbr: false", "IMG.0135"),
        (", origin: market", "IMG.0089"),
        (", origin: gold", "IMG.0089"),
        (", status: saving", "IMG.0090"),
        (", status: killed", "IMG.0046"),
    ];
    for (extra, expected) in cases {
        assert_eq!(code(&mut world_of("", extra), &owner(), add(projects(1..=1))), expected, "{extra}");
    }
}

#[test]
fn one_recipient_that_cannot_be_keeps_all_others_out() {
    let mut world = world();
    assert_eq!(
        code(&mut world, &owner(), add(projects(1..=3).into_iter().chain(projects(777..=777)).collect())),
        "IMG.0108"
    );
    assert_eq!(members(&world), 0);
}

#[test]
fn a_job_that_is_made_to_fail_keeps_what_it_had_done() {
    let mut world = world();
    let failure = JobFailure { code: "IMG.0112".to_owned(), partial: 2 };
    submit(&mut world, &owner(), add(projects(1..=3)), Some(failure)).unwrap();
    let ended = world.end_next(at(150)).unwrap();
    assert_eq!(ended.code.as_deref(), Some("IMG.0112"));
    assert_eq!(ended.effects[0].1.added, [project(1), project(2)]);
    assert_eq!(members(&world), 2);
    assert!(!world.job(&owner(), "job").unwrap().is_done_for(&ImageId::from(GOLDEN)));
}

#[test]
fn what_changed_since_a_job_was_asked_for_counts_when_it_ends() {
    let mut world = world();
    submit(&mut world, &owner(), add(projects(1..=1)), None).unwrap();
    let patch = ImagePatch { delete: true, ..ImagePatch::default() };
    world.patch_image(&ImageId::from(GOLDEN), patch, at(1)).unwrap();
    assert_eq!(world.end_next(at(150)).unwrap().code.as_deref(), Some("IMG.0144"));
}

#[test]
fn an_answer_needs_an_offer_to_the_answering_project_itself() {
    let mut world = world();
    run(&mut world, &owner(), add(named(MemberKind::Domain, CROWD))).unwrap();
    assert_eq!(code(&mut world, &project(1), answer(MemberStatus::Rejected)), "IMG.0114");
    assert_eq!(code(&mut world, &AccountId::from(SECOND), answer(MemberStatus::Accepted)), "IMG.0144");
    assert_eq!(code(&mut world, &owner(), answer(MemberStatus::Accepted)), "IMG.0114");
}

#[test]
fn a_recipient_sees_only_the_members_through_which_it_has_the_image() {
    let mut world = world();
    let all = [projects(1..=3), named(MemberKind::Domain, CROWD), named(MemberKind::Organization, UNIT)].concat();
    run(&mut world, &owner(), add(all)).unwrap();
    let golden = ImageId::from(GOLDEN);
    let seen = |who: &AccountId| world.members_seen(who, &golden, at(150)).map(|members| members.len());
    assert_eq!(seen(&owner()).unwrap(), 5);
    assert_eq!(seen(&project(1)).unwrap(), 3);
    assert_eq!(seen(&project(9)).unwrap(), 2);
    assert_eq!(seen(&AccountId::from(SECOND)).unwrap_err().code, "IMG.0144");
    assert_eq!(seen(&project(900)).unwrap_err().code, "IMG.0144", "another region sees nothing of it");
    assert!(world.members_seen(&owner(), &golden, at(149)).unwrap().is_empty(), "as it was before");
}

#[test]
fn a_rejecting_project_keeps_the_image_through_its_domain() {
    let mut world = world();
    run(&mut world, &owner(), add([projects(1..=1), named(MemberKind::Domain, CROWD)].concat())).unwrap();
    run(&mut world, &project(1), answer(MemberStatus::Rejected)).unwrap();
    let received = world.received(&project(1)).unwrap();
    let statuses: Vec<_> = received[0].via.iter().map(|via| via.status.unwrap()).collect();
    assert_eq!(statuses, [MemberStatus::Rejected, MemberStatus::Accepted]);
}

fn delete(world: &mut World, who: &AccountId) -> Result<(), String> {
    let submission = Submission { id: "deletion".to_owned(), failure: None, slow_millis: 0 };
    world.delete_image(&asker(who), &ImageId::from(GOLDEN), submission, at(0)).map_err(|refusal| refusal.code)
}

#[test]
fn a_deleted_image_goes_a_moment_later_and_its_members_with_it() {
    let mut world = world_of("", &accepted(1..=2));
    delete(&mut world, &owner()).unwrap();
    delete(&mut world, &owner()).unwrap();
    assert_eq!(code(&mut world, &owner(), add(projects(3..=3))), "IMG.0046");
    let effect = world.end_next(at(150)).unwrap().effects.remove(0).1;
    assert!(effect.deleted);
    assert_eq!(effect.removed, [project(1), project(2)]);
    assert!(world.image(&ImageId::from(GOLDEN)).is_none() && world.end_next(at(9999)).is_none());
}

#[test]
fn protected_images_and_those_shared_with_more_than_projects_are_not_deleted() {
    assert_eq!(delete(&mut world_of("", ", protected: true"), &owner()).unwrap_err(), "IMG.0028");
    let mut world = world_of("", &accepted(1..=1));
    assert_eq!(delete(&mut world, &project(1)).unwrap_err(), "IMG.0092");
    assert_eq!(delete(&mut world, &project(2)).unwrap_err(), "IMG.0144");
    for recipient in [named(MemberKind::Domain, CROWD), named(MemberKind::Organization, UNIT)] {
        run(&mut world, &owner(), add(recipient.clone())).unwrap();
        assert_eq!(delete(&mut world, &owner()).unwrap_err(), "IMG.0105");
        run(&mut world, &owner(), remove(recipient)).unwrap();
    }
    assert_eq!(delete(&mut world_of("", ", origin: gold"), &owner()).unwrap_err(), "IMG.0094");
}

#[test]
fn a_world_that_contradicts_itself_is_refused_and_a_dumped_one_loads_as_it_was() {
    let good = world_of("", &accepted(1..=1)).dump().unwrap();
    let again = World::load(good.clone(), at(0) + SignedDuration::from_secs(1)).unwrap();
    assert_eq!(serde_json::to_value(again.dump()).unwrap(), serde_json::to_value(&good).unwrap());
    let broken = |change: fn(&mut HuaweiFile)| {
        let mut file = good.clone();
        change(&mut file);
        World::load(file, at(0)).unwrap_err()
    };
    assert!(broken(|file| file.images[0].id = ImageId::from("m-1")).contains("UUID"));
    assert!(broken(|file| file.images.push(file.images[0].clone())).contains("twice"));
    assert!(broken(|file| file.images[0].project = project(777)).contains("not in the world"));
    assert!(broken(|file| file.domains[0].id = AccountId::from("short")).contains("hexadecimal"));
    assert!(broken(|file| file.domains[0].projects[0].region = RegionId::from("eu-west-0")).contains("no region"));
    assert!(broken(|file| file.domains[0].organizations = vec![AccountId::from("o-1")]).contains("URN"));
}
