//! Malformed input for every parser of this cloud's answers and for the code that builds its requests.

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use reqwest::Url;

use super::Operation;
use super::endpoints::{Hosts, Service, is_api_host};
use super::faults::{Asked, fault_of};
use super::sign::{Credentials, Unsigned, sign};
use super::wire::{self, copies, images, roles, snapshots};
use super::xml::Element;
use crate::clouds::adversarial::{headers, is_decent, or_decent, text};
use crate::clouds::transport::sensitive;
use crate::domain::aws::Partition;
use crate::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, RegionId, SnapshotId};

const ACCOUNT: &str = "123456789012";
const IMAGE: &str = "ami-0123456789abcdef0";

const ANSWERS: &[&str] = &[
    "<DescribeImagesResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId><imagesSet><item>\
     <imageId>ami-0123456789abcdef0</imageId><imageState>failed</imageState><imageOwnerId>123456789012</imageOwnerId>\
     <stateReason><code>Client.InternalError</code><message>key</message></stateReason><isPublic>true</isPublic>\
     <name>golden</name><description>d</description><productCodes><item><productCode>p</productCode><type>marketplace</type>\
     </item></productCodes><blockDeviceMapping><item><ebs><snapshotId>snap-1</snapshotId><volumeSize>8</volumeSize>\
     <encrypted>true</encrypted></ebs></item></blockDeviceMapping></item></imagesSet><nextToken>t</nextToken>\
     </DescribeImagesResponse>",
    "<DescribeImageAttributeResponse><requestId>r</requestId><imageId>ami-0123456789abcdef0</imageId><launchPermission>\
     <item><userId>210987654321</userId></item><item><group>all</group></item>\
     <item><organizationArn>arn:aws:organizations::111122223333:organization/o-abcdefghij</organizationArn></item>\
     </launchPermission></DescribeImageAttributeResponse>",
    "<DescribeSnapshotsResponse><requestId>r</requestId><snapshotSet><item><snapshotId>snap-1</snapshotId><encrypted>true\
     </encrypted><kmsKeyId>arn:aws:kms:us-east-1:123456789012:key/1234abcd</kmsKeyId></item></snapshotSet>\
     </DescribeSnapshotsResponse>",
    "<DescribeSnapshotAttributeResponse><requestId>r</requestId><snapshotId>snap-1</snapshotId><createVolumePermission><item>\
     <userId>210987654321</userId></item><item><group>all</group></item></createVolumePermission>\
     </DescribeSnapshotAttributeResponse>",
    "<DescribeRegionsResponse><regionInfo><item><regionName>us-east-1</regionName><optInStatus>opted-in</optInStatus></item>\
     </regionInfo></DescribeRegionsResponse>",
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account></GetCallerIdentityResult>\
     </GetCallerIdentityResponse>",
    "<CopyImageResponse><requestId>r</requestId><imageId>ami-0123456789abcdef0</imageId></CopyImageResponse>",
    "<ModifyImageAttributeResponse><requestId>r</requestId><return>true</return></ModifyImageAttributeResponse>",
    "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>m</Message></Error></Errors></Response>",
    "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredToken</Code><Message>m</Message></Error></ErrorResponse>",
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s</SecretAccessKey>\
     <SessionToken>t</SessionToken><Expiration>1970-01-01T01:00:00Z</Expiration></Credentials></AssumeRoleResult>\
     </AssumeRoleResponse>",
];

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn account() -> PrincipalId {
    PrincipalId::parse(ACCOUNT).unwrap()
}

/// A mutation of one element of an answer.
#[derive(Debug, Clone)]
enum Harm {
    /// Another content, escaped or not.
    Content(String, bool),
    Remove,
    Rename(String),
    Repeat(usize),
    Wrap(usize),
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => (text(), any::<bool>()).prop_map(|(text, escaped)| Harm::Content(text, escaped)),
        2 => Just(Harm::Remove),
        1 => "[a-zA-Z]{1,12}".prop_map(Harm::Rename),
        1 => (0_usize..40).prop_map(Harm::Repeat),
        1 => (0_usize..40).prop_map(Harm::Wrap),
    ]
}

/// An element of a well-formed document: its name, and where it and its content begin and end.
struct Span {
    name: String,
    whole: (usize, usize),
    inner: (usize, usize),
}

fn spans(document: &str) -> Vec<Span> {
    let (mut open, mut found, mut at): (Vec<(String, usize, usize)>, _, _) = (Vec::new(), Vec::new(), 0);
    while let Some(start) = document[at..].find('<').map(|ahead| at + ahead) {
        let Some(end) = document[start..].find('>').map(|ahead| start + ahead + 1) else { break };
        let tag = &document[start + 1..end - 1];
        if tag.starts_with('/') {
            if let Some((name, from, inner)) = open.pop() {
                found.push(Span { name, whole: (from, end), inner: (inner, start) });
            }
        } else if !tag.ends_with('/') && !tag.starts_with(['!', '?']) {
            open.push((tag.split(' ').next().unwrap().to_owned(), start, end));
        }
        at = end;
    }
    found
}

fn do_harm(document: &mut String, at: Index, harm: &Harm) {
    let all = spans(document);
    if all.is_empty() {
        return;
    }
    let Span { name, whole: (from, to), inner: (begin, end) } = at.get(&all);
    let (element, content) = (document[*from..*to].to_owned(), document[*begin..*end].to_owned());
    let changed = match harm {
        Harm::Content(text, escaped) => {
            let text = if *escaped { text.replace('&', "&amp;").replace('<', "&lt;") } else { text.clone() };
            format!("<{name}>{text}</{name}>")
        }
        Harm::Remove => String::new(),
        Harm::Rename(other) => format!("<{other}>{content}</{other}>"),
        Harm::Repeat(times) => element.repeat(*times),
        Harm::Wrap(times) => format!("{}{element}{}", "<item>".repeat(*times), "</item>".repeat(*times)),
    };
    document.replace_range(*from..*to, &changed);
}

/// Bodies: mostly real answers with some mutated elements; sometimes unchanged, truncated, or arbitrary bytes.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let harms = vec((any::<Index>(), harm()), 0..4);
    let cut = weighted(0.2, (any::<Index>(), vec(any::<u8>(), 0..9), any::<bool>()));
    let real = (select(ANSWERS), harms, cut).prop_map(|(sample, harms, cut)| {
        let mut document = sample.to_owned();
        for (at, harm) in &harms {
            do_harm(&mut document, *at, harm);
        }
        let mut body = document.into_bytes();
        if let Some((at, bytes, truncates)) = cut {
            let service = at.index(body.len() + 1);
            if truncates {
                body.truncate(service);
            } else {
                body.splice(service..service, bytes);
            }
        }
        body
    });
    let parts = ["<a>", "<a/>", "&lt;", "<![CDATA[", "<!--", "<?x ", "<!DOCTYPE a [", "</a>", "<a x='"];
    prop_oneof![
        16 => real,
        1 => vec(any::<u8>(), 0..300),
        1 => (vec(select(parts.to_vec()), 0..8), 1_usize..4_000).prop_map(|(parts, times)| parts.concat().repeat(times).into()),
    ]
}

proptest! {
    #[test]
    fn no_answer_makes_a_reader_panic_or_believe_without_bounds(body in bodies()) {
        or_decent(Element::parse(&body))?;
        if let Some(Some(seen)) = or_decent(images::read_image(&body, &image(), &account()))? {
            prop_assert!(seen.image == image() && seen.facts.name.chars().count() <= 256);
        }
        if let Some(page) = or_decent(images::read_images(&body, &account()))? {
            prop_assert!(page.images.len() <= images::ROWS_MAX);
            prop_assert!(page.next.is_none_or(|token| token.len() <= 8192));
        }
        if let Some(recipients) = or_decent(wire::read_recipients(&body, &image()))? {
            prop_assert!(recipients.len() <= 10_000);
        }
        if let Some(regions) = or_decent(wire::read_regions(&body))? {
            prop_assert!(regions.len() <= 200);
        }
        let asked = vec!["snap-1".to_owned()];
        if let Some(keys) = or_decent(snapshots::read_keys(&body, &asked))? {
            prop_assert!(keys.iter().all(|key| (1..=256).contains(&key.as_str().len()) && key.as_str().is_ascii()));
        }
        let snapshot = SnapshotId::parse("snap-1").unwrap();
        if let Some(recipients) = or_decent(snapshots::read_volume_permissions(&body, &snapshot))? {
            prop_assert!(recipients.len() <= 10_000);
        }
        or_decent(copies::read_begun(&body))?;
        if let Some(granted) = or_decent(roles::read_granted(&body, Operation::AssumeRole, Timestamp::UNIX_EPOCH))? {
            prop_assert!(granted.life.is_positive() && granted.life.as_secs() <= 3600);
        }
        if let Some(arn) = roles::read_arn(&body) {
            prop_assert!(arn.len() <= 300 && arn.bytes().all(|byte| byte.is_ascii_graphic()), "{}", arn);
        }
        or_decent(wire::read_identity(&body))?;
        or_decent(wire::read_write(&body, Operation::ModifyImageAttribute))?;
        let _error = wire::read_error(&body);
    }

    #[test]
    fn recipients_are_read_as_they_were_written(ids in vec("[0-9]{12}", 0..60), spaces in "[ \n\t]{0,3}") {
        let row = |id: &String| format!("<item>{spaces}<userId>{id}</userId>{spaces}</item>{spaces}");
        let rows = ids.iter().map(row).collect::<Vec<_>>().concat();
        let body = format!(
            "<DescribeImageAttributeResponse><launchPermission>{spaces}{rows}</launchPermission><imageId>{IMAGE}</imageId>\
             </DescribeImageAttributeResponse>"
        );
        let read = wire::read_recipients(body.as_bytes(), &image()).unwrap();
        let read: Vec<&str> = read.iter().map(|recipient| recipient.id.as_str()).collect();
        prop_assert_eq!(read, ids.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn text_is_read_as_it_was_escaped(text in text()) {
        let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        if let Ok(root) = Element::parse(format!("<a>{escaped}</a>").as_bytes()) {
            prop_assert_eq!(root.text(), text.trim());
        }
    }

    #[test]
    fn no_error_is_told_but_in_plain_words_and_no_hint_heeded_beyond_reason(
        status in any::<u16>(), headers in headers(&["x-amz-retry-after", "retry-after", "date"]), body in bodies(),
        code in text(), temporary in any::<bool>(),
    ) {
        let escaped = code.replace('&', "&amp;").replace('<', "&lt;");
        let coded = format!("<Response><Errors><Error><Code>{escaped}</Code><Message>{escaped}</Message></Error></Errors></Response>");
        for operation in Operation::ALL {
            let asked = Asked { operation, temporary, at: Timestamp::UNIX_EPOCH };
            is_decent(&fault_of(asked, status, &headers, &body))?;
            is_decent(&fault_of(asked, status, &headers, coded.as_bytes()))?;
        }
    }

    #[test]
    fn every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one(
        id in text(), secret in text(), token in of(text()), body in vec(any::<u8>(), 0..40),
    ) {
        match Credentials::parse(&id, &secret, token.as_deref()) {
            Ok(credentials) => {
                let (host, url) = ("ec2.us-east-1.amazonaws.com", Url::parse("https://ec2.us-east-1.amazonaws.com/").unwrap());
                let unsigned = Unsigned { url: &url, host, region: "us-east-1", service: "ec2", body: &body };
                let signed = sign(&unsigned, &credentials, Timestamp::UNIX_EPOCH);
                prop_assert!(signed.is_some_and(|headers| headers.iter().all(|(_, value)| sensitive(value).is_some())));
            }
            Err(refused) => {
                let refused = refused.to_string();
                prop_assert!(secret.trim().len() < 20 || !refused.contains(secret.trim()), "{}", refused);
            }
        }
    }

    #[test]
    fn a_form_reads_back_as_it_was_written(form in vec((text(), text()), 0..5), id in "[0-9]{12}") {
        let body = wire::body_of(Operation::CopyImage, &form);
        let url = Url::parse(&format!("http://localhost/?{body}")).unwrap();
        let read: Vec<(String, String)> = url.query_pairs().into_owned().skip(2).collect();
        prop_assert_eq!(read, form);
        let recipient = Recipient { kind: RecipientKind::Account, id: PrincipalId::parse(&id).unwrap() };
        let written: Vec<(String, String)> = wire::permissions("Add", &[recipient]).collect();
        prop_assert_eq!(written, vec![("LaunchPermission.Add.1.UserId".to_owned(), id)]);
    }

    #[test]
    fn every_region_is_called_at_a_host_of_the_vendor_or_not_at_all(
        region in prop_oneof![text(), "(us|eu|cn|us-gov|eusc-de)-[a-z.@/]{1,9}-[0-9]{1,2}"],
        partition in select(&Partition::ALL[..]), fips in any::<bool>(), dual_stack in any::<bool>(),
    ) {
        let Ok(region) = RegionId::parse(&region) else { return Ok(()) };
        let hosts = Hosts { partition, home: region.clone(), fips, dual_stack, endpoint: None };
        for service in [Service::Region(&region), Service::Home, Service::Sts] {
            let Some(url) = hosts.url_of(service) else { continue };
            prop_assert!(url.scheme() == "https" && is_api_host(url.host_str().unwrap()), "{}", url);
            prop_assert_eq!((url.path(), url.query(), url.port()), ("/", None, None));
        }
    }
}
