//! Copies: content read from one image and written into another. Glance has one thread here, so all content is small
//! enough to be held by the sockets between; `replicas_openstack` copies what is not.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use imageshare_harness::eventually;
use imageshare_operator::clouds::copying::Content;
use imageshare_operator::clouds::{ContentFacts, CopyMark, CopyOrder, CopyProgress, Copying};
use imageshare_operator::domain::fault::Refusal;
use imageshare_operator::domain::identifiers::ObjectUid;
use serde_json::Value;

use super::*;

const DISK: usize = 256 * 1024;
const LIMIT: Duration = Duration::from_secs(30);

/// An order that no other test has.
fn order(source: &str, name: &str) -> CopyOrder {
    CopyOrder {
        source: at(source),
        region: at(source).region,
        name: Provider::OpenStack.parse_image_name(name).unwrap(),
        mark: CopyMark { uid: ObjectUid::parse(&format!("{:032x}", rand::random::<u128>())).unwrap(), attempt: 1 },
        agency: None,
        project: None,
        vault: None,
        key: None,
    }
}

fn facts(properties: &[(&str, &str)]) -> ContentFacts {
    let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ContentFacts {
        disk_format: "raw".to_owned(),
        container_format: "bare".to_owned(),
        min_disk: 2,
        min_ram: 64,
        size: DISK as u64,
        hash: None,
        properties,
    }
}

/// Content of this length, of which so much arrives before a fault, if less does.
fn content(length: usize, arrives: usize) -> Content {
    let pieces = (0..arrives / 4096).map(|number| Ok(Bytes::from(vec![u8::try_from(number % 251).unwrap(); 4096])));
    let fault = (arrives < length).then_some(Err(Fault::Unavailable));
    Content { size: length as u64, pieces: stream::iter(pieces.chain(fault).collect::<Vec<_>>()).boxed() }
}

async fn begin(cloud: &Arc<dyn Cloud>, order: &CopyOrder, facts: &ContentFacts) -> Result<String, Fault> {
    match cloud.begin_copy(order, Some(facts), Priority::Edit).await? {
        Copying::Image(image) => Ok(image.to_string()),
        Copying::Job(job) => panic!("{job}"),
    }
}

async fn follow(cloud: &Arc<dyn Cloud>, order: &CopyOrder, image: &str) -> CopyProgress {
    cloud.follow_copy(order, &Copying::Image(at(image).image), Priority::Edit).await.unwrap()
}

/// An image with content and properties.
async fn source(cloud: &Arc<dyn Cloud>, properties: &[(&str, &str)]) -> String {
    let image = begin(cloud, &order("x", "golden"), &facts(properties)).await.unwrap();
    cloud.upload(&at(&image), content(DISK, DISK), Priority::Edit).await.unwrap();
    image
}

async fn carry(from: &Arc<dyn Cloud>, source: &str, to: &Arc<dyn Cloud>, copy: &str) -> Result<(), Fault> {
    let content = from.download(&at(source), Priority::Edit).await?;
    to.upload(&at(copy), content, Priority::Edit).await
}

fn refused(refusal: Refusal, code: &str) -> Fault {
    Fault::Refused { refusal, code: code.to_owned() }
}

fn id_used() -> Result<String, Fault> {
    Err(refused(Refusal::Unknown, "IdUsed"))
}

#[tokio::test]
async fn a_received_image_becomes_an_own_one_once() {
    let openstack = servers().await;
    let (owner, member) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("member").await.unwrap());
    let (theirs, ours) = (client(&owner, openstack), client(&member, openstack));
    let image = source(&theirs, &[("hw_disk_bus", "virtio"), ("os_distro", "debian"), ("owner_id", "x")]).await;
    let order = order(&image, "copied 镜像");
    assert_eq!(ours.content_facts(&at(&image), Priority::Edit).await, Err(Fault::NotFound(Missing::Image)));
    assert_eq!(ours.download(&at(&image), Priority::Edit).await.err(), Some(Fault::NotFound(Missing::Image)));

    openstack.add_member(&owner, &image, &member.id).await.unwrap();
    let facts = ours.content_facts(&at(&image), Priority::Edit).await.unwrap();
    let seen = openstack.image(&owner, &image).await.unwrap().unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    assert_eq!(facts.hash, Some((text(&seen, "os_hash_algo"), text(&seen, "os_hash_value"))));
    let properties = [
        ("hw_disk_bus", "virtio"),
        ("imageshare_source_checksum", seen["checksum"].as_str().unwrap()),
        ("os_distro", "debian"),
    ];
    let properties: BTreeMap<_, _> = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!((facts.size, facts.min_disk, &facts.properties), (DISK as u64, 2, &properties));

    assert_eq!(ours.find_copy(&order, Priority::Edit).await, Ok(None));
    let copy = begin(&ours, &order, &facts).await.unwrap();
    assert_eq!(ours.find_copy(&order, Priority::Edit).await, Ok(Some(at(&copy).image)));
    assert_eq!(follow(&ours, &order, &copy).await, CopyProgress::Empty);
    assert_eq!(begin(&ours, &order, &facts).await, Ok(copy.clone()), "once more is the same");
    carry(&ours, &image, &ours, &copy).await.unwrap();
    assert_eq!(follow(&ours, &order, &copy).await, CopyProgress::Made(at(&copy).image));
    assert_eq!(begin(&ours, &order, &facts).await, Ok(copy.clone()));

    let made = openstack.image(&member, &copy).await.unwrap().unwrap();
    for same in ["os_hash_algo", "os_hash_value", "checksum", "size", "min_ram", "disk_format", "hw_disk_bus"] {
        assert_eq!(made[same], seen[same], "{same}");
    }
    assert_eq!((text(&made, "owner"), text(&made, "visibility")), (member.id.clone(), "shared".to_owned()));
    assert_eq!(text(&made, "name"), "copied 镜像");
    assert_eq!(made["imageshare_mark"], order.mark.description());
    assert_eq!(made["owner_id"], Value::Null);
    // It can be shared on, and outlives its source.
    assert_eq!(share(&ours, &copy, &owner.id).await, Ok(Submitted::Done));
    openstack.delete_image(&owner, &image).await.unwrap();
    assert_eq!(openstack.download(&member, &copy).await.unwrap().unwrap().len(), DISK);
}

#[tokio::test]
async fn a_copy_of_another_project_is_none_of_ours() {
    let openstack = servers().await;
    let (owner, other) =
        (openstack.create_project("owner").await.unwrap(), openstack.create_project("other").await.unwrap());
    let (cloud, order) = (client(&owner, openstack), order("x", "copy"));
    let copy = begin(&cloud, &order, &facts(&[])).await.unwrap();
    openstack.add_member(&owner, &copy, &other.id).await.unwrap();
    let others = client(&other, openstack);
    assert_eq!(begin(&others, &order, &facts(&[])).await, id_used());
    assert_eq!(others.find_copy(&order, Priority::Edit).await, Ok(None));
    assert_eq!(others.cancel_copy(&order, &at(&copy).image).await, Ok(()));
    assert_eq!(follow(&cloud, &order, &copy).await, CopyProgress::Empty, "it is still there");
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_an_empty_image_to_be_written_again() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let cloud = client(&owner, openstack);
    let image = source(&cloud, &[]).await;
    let facts = cloud.content_facts(&at(&image), Priority::Edit).await.unwrap();
    let order = order(&image, "copy");
    let copy = begin(&cloud, &order, &facts).await.unwrap();
    for arrives in [0, DISK / 2, DISK - 4096] {
        let broken = cloud.upload(&at(&copy), content(DISK, arrives), Priority::Edit).await;
        assert_eq!(broken, Err(Fault::Unavailable), "as the pieces told");
        // Glance hears of it a moment later.
        let ended = eventually(LIMIT, "the end of the upload", async || {
            let progress = follow(&cloud, &order, &copy).await;
            Ok((!matches!(progress, CopyProgress::Running { .. })).then_some(progress))
        });
        assert_eq!(ended.await.unwrap(), CopyProgress::Empty, "{arrives}");
    }
    assert_eq!(begin(&cloud, &order, &facts).await, Ok(copy.clone()), "as after a crash");
    carry(&cloud, &image, &cloud, &copy).await.unwrap();
    assert_eq!(follow(&cloud, &order, &copy).await, CopyProgress::Made(at(&copy).image));
}

#[tokio::test]
async fn a_copy_that_is_cancelled_goes_and_its_id_with_it() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let cloud = client(&owner, openstack);
    let image = source(&cloud, &[]).await;
    let facts = cloud.content_facts(&at(&image), Priority::Edit).await.unwrap();
    let order = order(&image, "copy");
    let copy = begin(&cloud, &order, &facts).await.unwrap();
    cloud.upload(&at(&copy), content(DISK, DISK / 2), Priority::Edit).await.unwrap_err();
    assert_eq!(cloud.cancel_copy(&order, &at(&copy).image).await, Ok(()));
    assert_eq!(cloud.cancel_copy(&order, &at(&copy).image).await, Ok(()), "once more is no error");
    assert_eq!(follow(&cloud, &order, &copy).await, CopyProgress::Gone);
    assert_eq!(cloud.find_copy(&order, Priority::Edit).await, Ok(None));
    assert_eq!(begin(&cloud, &order, &facts).await, id_used(), "a deleted image keeps its id");
    let mut again = order.clone();
    again.mark.attempt = 2;
    let copy = begin(&cloud, &again, &facts).await.unwrap();
    carry(&cloud, &image, &cloud, &copy).await.unwrap();
    assert_eq!(follow(&cloud, &again, &copy).await, CopyProgress::Made(at(&copy).image));
}

#[tokio::test]
async fn content_that_is_not_the_source_s_is_no_copy() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let cloud = client(&owner, openstack);
    let image = source(&cloud, &[]).await;
    let facts = cloud.content_facts(&at(&image), Priority::Edit).await.unwrap();
    let (one, two) = (order(&image, "one"), order(&image, "two"));
    let other = || Content { size: DISK as u64, pieces: stream::iter([Ok(vec![1; DISK].into())]).boxed() };
    let copy = begin(&cloud, &one, &facts).await.unwrap();
    cloud.upload(&at(&copy), other(), Priority::Edit).await.unwrap();
    let differs = CopyProgress::Failed(refused(Refusal::Unknown, "ChecksumDiffers"));
    assert_eq!(follow(&cloud, &one, &copy).await, differs);
    // Of another algorithm than this cloud's: MD5 decides.
    for (order, wanted) in [(one, Some(differs)), (two, None)] {
        let mut order = order;
        order.mark.attempt = 2;
        let facts = ContentFacts { hash: Some(("blake9".to_owned(), "77".to_owned())), ..facts.clone() };
        let copy = begin(&cloud, &order, &facts).await.unwrap();
        let sent = if wanted.is_some() { other() } else { content(DISK, DISK) };
        cloud.upload(&at(&copy), sent, Priority::Edit).await.unwrap();
        assert_eq!(follow(&cloud, &order, &copy).await, wanted.unwrap_or(CopyProgress::Made(at(&copy).image)));
    }
}

#[tokio::test]
async fn an_image_is_written_once_and_read_when_it_is_whole() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let cloud = client(&owner, openstack);
    let image = begin(&cloud, &order("x", "copy"), &facts(&[])).await.unwrap();
    assert_eq!(
        cloud.content_facts(&at(&image), Priority::Edit).await,
        Err(Fault::Conflict(Conflict::ImageBusy)),
        "queued"
    );
    assert_eq!(cloud.download(&at(&image), Priority::Edit).await.err(), Some(refused(Refusal::Copy, "NoContent")));
    cloud.upload(&at(&image), content(DISK, DISK), Priority::Edit).await.unwrap();
    for length in [4096, DISK, 64 * DISK] {
        let again = cloud.upload(&at(&image), content(length, length), Priority::Edit).await;
        assert_eq!(again, Err(Fault::Conflict(Conflict::ImageBusy)), "{length}");
    }
    assert_eq!(cloud.content_facts(&at(&image), Priority::Edit).await.unwrap().size, DISK as u64);
    let gone = cloud.upload(&at("8a64453f-71c1-4448-8994-264aae537a42"), content(4096, 4096), Priority::Edit).await;
    assert_eq!(gone, Err(Fault::NotFound(Missing::Image)));
}

#[tokio::test]
async fn what_the_destination_does_not_take_is_told() {
    let openstack = servers().await;
    let owner = openstack.create_project("owner").await.unwrap();
    let cloud = client(&owner, openstack);
    let unknown = ContentFacts { disk_format: "floppy".to_owned(), ..facts(&[]) };
    assert_eq!(begin(&cloud, &order("x", "copy"), &unknown).await, Err(refused(Refusal::Copy, "Http400")));
    assert_eq!(begin(&cloud, &order("x", "copy 𠀀"), &facts(&[])).await, Err(refused(Refusal::Name, "Http400")));
    let long = "像".repeat(255);
    assert!(begin(&cloud, &order("x", &long), &facts(&[])).await.is_ok());
    // 128 are allowed here, three of them ours.
    let names: Vec<String> = (0..130).map(|number| format!("p{number}")).collect();
    let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
    let full = Fault::QuotaExceeded { quota: Quota::PrivateImages };
    assert_eq!(begin(&cloud, &order("x", "copy"), &facts(&many)).await, Err(full));
    assert!(begin(&cloud, &order("x", "copy"), &facts(&many[..100])).await.is_ok());
}
