//! Images as the vendor documents them, and answers that prove nothing.

use super::*;

const ACCOUNT: &str = "123456789012";
const IMAGE: &str = "ami-0123456789abcdef0";

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn principal(id: &str) -> PrincipalId {
    PrincipalId::parse(id).unwrap()
}

/// An image with elements that the parser ignores.
const ROW: &str = "<item><imageId>ami-0123456789abcdef0</imageId><imageLocation>123456789012/golden</imageLocation>\
    <imageState>available</imageState><imageOwnerId>123456789012</imageOwnerId><isPublic>false</isPublic>\
    <architecture>x86_64</architecture><imageType>machine</imageType><name>golden 1</name><description>d</description>\
    <rootDeviceType>ebs</rootDeviceType><rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping>\
    <item><deviceName>/dev/xvda</deviceName><ebs><snapshotId>snap-0123456789abcdef0</snapshotId><volumeSize>8</volumeSize>\
    <deleteOnTermination>true</deleteOnTermination><volumeType>gp3</volumeType><encrypted>false</encrypted></ebs></item>\
    <item><deviceName>/dev/sdb</deviceName><virtualName>ephemeral0</virtualName></item></blockDeviceMapping>\
    <creationDate>2026-01-02T03:04:05.000Z</creationDate><tagSet><item><key>k</key><value>v</value></item></tagSet></item>";

fn answer(rows: &str) -> String {
    format!(
        "<DescribeImagesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
         <imagesSet>{rows}</imagesSet></DescribeImagesResponse>"
    )
}

fn observed(body: &str) -> Result<Option<ImageSeen>, Fault> {
    read_image(body.as_bytes(), &image(), &principal(ACCOUNT))
}

/// The image with one text replaced.
fn with(from: &str, to: &str) -> Result<Option<ImageSeen>, Fault> {
    assert!(ROW.contains(from), "{from}");
    observed(&answer(&ROW.replace(from, to)))
}

fn facts(from: &str, to: &str) -> ImageFacts {
    with(from, to).unwrap().unwrap().facts
}

#[test]
fn documented_answer_is_read() {
    let facts = ImageFacts {
        ownership: Ownership::Own,
        state: ImageState::Available,
        kind: ImageKind::SystemDisk,
        name: "golden 1".to_owned(),
        encrypted: false,
        keys: BTreeSet::new(),
        snapshots: [SnapshotId::parse("snap-0123456789abcdef0").unwrap()].into(),
        from_marketplace: false,
        visibility: Visibility::Shared,
        size: Some(8 << 30),
    };
    let seen = ImageSeen {
        image: image(),
        facts,
        public: false,
        description: "d".to_owned(),
        created: Some("2026-01-02T03:04:05Z".parse().unwrap()),
        tags: [("k".to_owned(), "v".to_owned())].into(),
        encrypted_snapshots: Vec::new(),
        failure: None,
    };
    assert_eq!(observed(&answer(ROW)), Ok(Some(seen)));
    assert_eq!(observed(&answer("")), Ok(None));
    assert_eq!(observed(&answer("").replace("<imagesSet></imagesSet>", "<imagesSet/>")), Ok(None));
}

#[test]
fn owner_is_told_from_id_and_alias() {
    let other = || Ownership::Received { owner: Some(principal("210987654321")) };
    let with_alias = |id: &str, alias: &str| {
        facts(
            "<imageOwnerId>123456789012</imageOwnerId>",
            &format!("<imageOwnerId>{id}</imageOwnerId><imageOwnerAlias>{alias}</imageOwnerAlias>"),
        )
    };
    for (id, alias, wanted) in [
        (ACCOUNT, "", Ownership::Own),
        (ACCOUNT, "self", Ownership::Own),
        ("210987654321", "", other()),
        ("210987654321", "aws-backup-vault", other()),
        ("137112412989", "amazon", Ownership::System),
        ("679593333241", "aws-marketplace", Ownership::Marketplace),
    ] {
        assert_eq!(with_alias(id, alias).ownership, wanted, "{id} {alias}");
    }
}

#[test]
fn states_are_told_and_a_deregistered_image_is_none() {
    for (state, wanted) in [
        ("available", ImageState::Available),
        ("pending", ImageState::Creating),
        ("transient", ImageState::Creating),
        ("failed", ImageState::Failed),
        ("error", ImageState::Failed),
        ("invalid", ImageState::Failed),
        ("disabled", ImageState::Deprecated),
    ] {
        assert_eq!(facts(">available<", &format!(">{state}<")).state, wanted, "{state}");
    }
    assert_eq!(with(">available<", ">deregistered<"), Ok(None));
    assert_eq!(with(">available<", ">melting<"), Err(Fault::Unintelligible));
}

#[test]
fn disks_tell_kind_size_and_encryption() {
    let second = "</ebs></item><item><ebs><volumeSize>100</volumeSize><encrypted>true</encrypted></ebs></item>";
    let two = facts("</ebs></item>", second);
    assert_eq!((two.kind, two.encrypted, two.size), (ImageKind::FullServer, true, Some(108 << 30)));
    let unknown = facts("<volumeSize>8</volumeSize>", "");
    assert_eq!((unknown.kind, unknown.size), (ImageKind::SystemDisk, None));
    let huge = facts(">8<", ">4294967295<");
    assert_eq!(huge.size, Some(4_294_967_295 << 30));
    let (bare, _) = ROW.split_once("<blockDeviceMapping>").unwrap();
    let bare = observed(&answer(&format!("{bare}</item>"))).unwrap().unwrap().facts;
    assert_eq!((bare.kind, bare.encrypted, bare.size), (ImageKind::SystemDisk, false, None));
}

#[test]
fn product_codes_tell_the_marketplace() {
    let codes = |kind: &str| {
        let code = format!("<productCodes><item><productCode>p</productCode><type>{kind}</type></item></productCodes>");
        facts("<architecture>", &format!("{code}<architecture>")).from_marketplace
    };
    assert!(codes("marketplace") && !codes("devpay"));
}

#[test]
fn why_an_image_failed_is_read() {
    let reason = "<imageState>failed</imageState><stateReason><code>Client.InvalidKmsKey</code><message>No key</message>\
                  </stateReason>";
    let seen = with("<imageState>available</imageState>", reason).unwrap().unwrap();
    assert_eq!(seen.failure, Some(("Client.InvalidKmsKey".to_owned(), "No key".to_owned())));
    assert_eq!(with(">available<", ">failed<").unwrap().unwrap().failure, None);
}

#[test]
fn pages_are_read_without_deregistered_images() {
    let gone = ROW.replace(">available<", ">deregistered<");
    let other = ROW.replace(IMAGE, "ami-0fedcba9876543210");
    let body = answer(&format!("{ROW}{gone}{other}"))
        .replace("</DescribeImagesResponse>", "<nextToken>eyJ0 </nextToken></DescribeImagesResponse>");
    let page = read_images(body.as_bytes(), &principal(ACCOUNT)).unwrap();
    let images: Vec<&str> = page.images.iter().map(|seen| seen.image.as_str()).collect();
    assert_eq!((images, page.next.as_deref()), (vec![IMAGE, "ami-0fedcba9876543210"], Some("eyJ0")));
    let last = answer("").replace("</DescribeImagesResponse>", "<nextToken/></DescribeImagesResponse>");
    assert_eq!(read_images(last.as_bytes(), &principal(ACCOUNT)), Ok(ImagePage { images: Vec::new(), next: None }));
}

#[test]
fn long_names_are_cut() {
    let name = format!(">{}<", "镜".repeat(1000));
    assert_eq!(facts(">golden 1<", &name).name.chars().count(), NAME_CHARS_MAX);
    assert_eq!(facts("<name>golden 1</name>", "").name, "");
}

#[test]
fn answers_that_prove_nothing_are_unintelligible() {
    let good = answer(ROW);
    let end = "</DescribeImagesResponse>";
    for body in [
        String::new(),
        "<html>".to_owned(),
        good[..good.len() - 1].to_owned(),
        good.replace("imagesSet", "images"),
        good.replace("DescribeImagesResponse", "DescribeSnapshotsResponse"),
        answer(&ROW.repeat(2)),
        answer(&ROW.replace(IMAGE, "ami-0123456789abcdef1")),
        answer(&ROW.replace("<imageId>ami-0123456789abcdef0</imageId>", "")),
        answer(&ROW.replace(IMAGE, "ami/1")),
        answer(&ROW.replace("<imageOwnerId>123456789012</imageOwnerId>", "")),
        answer(&ROW.replace("<imageOwnerId>123456789012</imageOwnerId>", "<imageOwnerId>root</imageOwnerId>")),
        answer(&ROW.replace("<imageState>available</imageState>", "")),
        answer(&ROW.replace("<isPublic>false</isPublic>", "<isPublic>perhaps</isPublic>")),
        answer(&ROW.replace("<encrypted>false</encrypted>", "<encrypted>no</encrypted>")),
        answer(&ROW.replace(">8<", ">-8<")),
        answer(&ROW.replace(">8<", ">many<")),
        good.replace(end, &format!("<nextToken>more</nextToken>{end}")),
        good.replace(end, &format!("<nextToken>{}</nextToken>{end}", "x".repeat(TOKEN_BYTES_MAX + 1))),
    ] {
        assert_eq!(observed(&body), Err(Fault::Unintelligible), "{body}");
    }
    let many = answer(&"<item/>".repeat(ROWS_MAX + 1));
    assert_eq!(read_images(many.as_bytes(), &principal(ACCOUNT)), Err(Fault::Unintelligible));
}
