//! Generators of malformed input for the tests of every parser of cloud answers, and the tests of the code that all clouds
//! share. `tests/hostile_parsers/` lists which test covers which parser.

use percent_encoding::percent_decode_str;
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};

use super::Fault;
use super::endpoint_rule::AllowedEndpoints;
use super::signing::{canonical_query, escape};
use crate::domain::foreign_text::plain;
use crate::domain::provider::Provider;

/// Texts with a special meaning in terminals, paths, hosts, numbers or JSON.
const NASTY: [&str; 24] = [
    "",
    ".",
    "..",
    "../../v3/auth/tokens",
    "%2e%2e",
    "a/b?c#d",
    "\u{1b}[2J\u{1b}]8;;https://evil.example\u{7}x\u{1b}]8;;\u{7}",
    "\u{9b}31m",
    "\u{202e}\u{2066}\u{200b}\u{feff}",
    "\0",
    "\r\nX-Injected: 1",
    "-1",
    "99999999999999999999999999",
    "1e999",
    "NaN",
    "null",
    "0040%",
    "100%%",
    "٤٠%",
    "2026-13-45T99:99:99Z",
    "9999-12-31T23:59:59.999999999Z",
    "-009999-01-01T00:00:00Z",
    "http://169.254.169.254/latest",
    "\u{fdd0}\u{10ffff}é镜像",
];

/// Any text.
pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(&NASTY[..]).prop_map(str::to_owned),
        6 => any::<String>(),
        3 => "[a-z0-9-]{1,40}",
        1 => (any::<char>(), 1_usize..30_000).prop_map(|(letter, times)| letter.to_string().repeat(times)),
    ]
}

/// Any JSON of small depth.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4).prop_map(|pairs| Value::from(pairs.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// A mutation of one value of an answer.
#[derive(Debug, Clone)]
enum Harm {
    Replace(Value),
    Remove,
    Rename(String),
    Repeat(usize),
    /// Changes the type only: a number becomes text, a text becomes a list of it.
    Disguise,
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        4 => value().prop_map(Harm::Replace),
        2 => Just(Harm::Remove),
        1 => text().prop_map(Harm::Rename),
        1 => (0_usize..40).prop_map(Harm::Repeat),
        1 => Just(Harm::Disguise),
    ]
}

/// Collects the JSON pointers of all values of a document.
fn places(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                places(inner, &format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(rows) => {
            for (index, inner) in rows.iter().enumerate() {
                places(inner, &format!("{here}/{index}"), all);
            }
        }
        _ => {}
    }
}

fn do_harm(document: &mut Value, at: Index, harm: &Harm) {
    let mut all = Vec::new();
    places(document, "", &mut all);
    let place = at.get(&all);
    let (parent, name) = place.rsplit_once('/').unwrap_or_default();
    let taken = document.pointer(place).cloned().unwrap_or_default();
    let put = |document: &mut Value, value: Value| *document.pointer_mut(place).unwrap() = value;
    match harm {
        Harm::Replace(value) => put(document, value.clone()),
        Harm::Disguise => put(document, if taken.is_string() { json!([taken]) } else { taken.to_string().into() }),
        Harm::Repeat(times) => match taken {
            Value::Array(rows) => put(document, rows.into_iter().cycle().take(*times).collect()),
            single => put(document, vec![single; *times].into()),
        },
        Harm::Remove | Harm::Rename(_) => match document.pointer_mut(parent).filter(|_| !place.is_empty()) {
            Some(Value::Object(fields)) => {
                fields.remove(&name.replace("~1", "/").replace("~0", "~"));
                if let Harm::Rename(other) = harm {
                    fields.insert(other.clone(), taken);
                }
            }
            Some(Value::Array(rows)) => drop(rows.remove(name.parse().unwrap())),
            _ => {}
        },
    }
}

/// A mutation of the bytes of an answer.
#[derive(Debug, Clone)]
enum Cut {
    Off,
    Flip(u8),
    Insert(Vec<u8>),
}

fn cut(body: &mut Vec<u8>, at: Index, cut: &Cut) {
    let place = at.index(body.len() + 1);
    match cut {
        Cut::Off => body.truncate(place),
        Cut::Flip(mask) => body.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= mask),
        Cut::Insert(bytes) => drop(body.splice(place..place, bytes.iter().copied())),
    }
}

/// Bodies: mostly real answers with some mutated values; sometimes unchanged, truncated, or arbitrary bytes.
pub(super) fn bodies(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let cuts = prop_oneof![Just(Cut::Off), (1_u8..).prop_map(Cut::Flip), vec(any::<u8>(), 1..9).prop_map(Cut::Insert)];
    let harms = vec((any::<Index>(), harm()), 0..4);
    let real = (select(samples), harms, weighted(0.2, (any::<Index>(), cuts))).prop_map(|(sample, harms, broken)| {
        let mut document: Value = serde_json::from_str(sample).unwrap();
        for (at, harm) in &harms {
            do_harm(&mut document, *at, harm);
        }
        let mut body = document.to_string().into_bytes();
        if let Some((at, how)) = &broken {
            cut(&mut body, *at, how);
        }
        body
    });
    prop_oneof![
        16 => real,
        1 => vec(any::<u8>(), 0..300),
        1 => value().prop_map(|value| value.to_string().into_bytes()),
        1 => (select(&["[", "{\"a\":", "\"", "[[],"][..]), 1_usize..20_000).prop_map(|(part, times)| part.repeat(times).into()),
    ]
}

/// Headers with the given names and any value.
pub(super) fn headers(names: &'static [&'static str]) -> impl Strategy<Value = HeaderMap> {
    let values = prop_oneof![
        3 => any::<u64>().prop_map(|number| number.to_string().into_bytes()),
        3 => text().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
        1 => Just(b"Wed, 21 Oct 2015 07:28:00 GMT".to_vec()),
    ];
    vec((select(names), values), 0..4).prop_map(|pairs| {
        let header = |(name, value): (&'static str, Vec<u8>)| {
            Some((HeaderName::from_static(name), HeaderValue::from_bytes(&value).ok()?))
        };
        pairs.into_iter().filter_map(header).collect()
    })
}

/// Fails if the text of a fault contains terminal control characters or is too long, or if its wait is too long.
pub(super) fn is_decent(fault: &Fault) -> Result<(), TestCaseError> {
    let said = fault.to_string();
    prop_assert!(said.len() < 300 && plain(&said, usize::MAX) == said, "{said:?}");
    if let Fault::Throttled { retry_after: Some(wait) } = fault {
        prop_assert!(wait.as_secs() <= 120 && !wait.is_zero(), "{wait:?}");
    }
    Ok(())
}

/// Returns a parsed value, or checks the fault with [`is_decent`].
pub(super) fn or_decent<T>(read: Result<T, Fault>) -> Result<Option<T>, TestCaseError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(fault) => is_decent(&fault).map(|()| None),
    }
}

/// Texts assembled from valid and invalid parts of an endpoint.
fn endpoint() -> impl Strategy<Value = String> {
    let scheme =
        select(&["https://", "http://", "HTTPS://", "ftp://", "https:", "//", "https:\\\\", "", " https://"][..]);
    let user = select(&["", "", "", "@", "user@", "ecs.aliyuncs.com@", "a:b@", "ecs.aliyuncs.com:443@", "%40"][..]);
    let host = prop_oneof![
        select(
            &[
                "ecs.aliyuncs.com",
                "ec2.us-east-1.amazonaws.com",
                "sts-fips.us-gov-west-1.api.aws",
                "x.execute-api.us-east-1.amazonaws.com",
                "127.0.0.1",
                "[::1]",
                "evil.example",
                "169.254.169.254",
                "aliyuncs.com",
                "[::ffff:7f00:1]"
            ][..]
        )
        .prop_map(str::to_owned),
        "[a-zA-Z0-9._-]{1,12}\\.aliyuncs\\.com",
        text(),
    ];
    let port =
        select(&["", "", "", ":443", ":80", ":8443", ":0", ":00443", ":+443", ":", ":65536", ":443:443", ":4 43"][..]);
    let rest =
        select(&["", "", "", "/", "//", "/x", "?x", "#x", "\\x", "/..", ";x", "%00", "\n", ".", "/@evil.example"][..]);
    (scheme, user, host, port, rest).prop_map(|(s, u, h, p, r)| format!("{s}{u}{h}{p}{r}"))
}

proptest! {
    /// Checks the host with another parser than the one under test.
    #[test]
    fn no_text_passes_for_an_allowed_endpoint_that_a_browser_would_open_elsewhere(text in endpoint()) {
        let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:80", "https://[::1]:8443"]).unwrap();
        for provider in [Provider::Alibaba, Provider::Huawei, Provider::OpenStack, Provider::Aws] {
            let is_vendors = |host: &str| match provider {
                Provider::Alibaba => host.ends_with(".aliyuncs.com"),
                Provider::Huawei => host.ends_with(".myhuaweicloud.com"),
                Provider::OpenStack => false,
                Provider::Aws => matches!(host, "ec2.us-east-1.amazonaws.com" | "sts-fips.us-gov-west-1.api.aws"),
            };
            for checked in [allowed.check(provider, &text), allowed.check_service(provider, &text)] {
                let Ok(checked) = checked else { continue };
                for url in [&Url::parse(&text).unwrap(), checked.url()] {
                    let host = url.host_str().unwrap();
                    let origin = (url.scheme(), host, url.port_or_known_default().unwrap());
                    let fits = origin == ("http", "127.0.0.1", 80)
                        || origin == ("https", "[::1]", 8443)
                        || (origin.0 == "https" && origin.2 == 443 && is_vendors(host));
                    prop_assert!(fits, "{text:?} goes to {origin:?}");
                    let bare = url.username().is_empty() && url.password().is_none();
                    prop_assert!(bare && url.query().is_none() && url.fragment().is_none(), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn flags_are_read_or_refused(entries in vec(endpoint(), 0..4)) {
        prop_assert!(AllowedEndpoints::parse(&entries).is_ok() || !entries.is_empty());
    }

    #[test]
    fn what_is_escaped_is_one_segment_and_reads_back_the_same(text in text()) {
        let escaped = escape(&text);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b);
        prop_assert!(escaped.bytes().all(plain), "{escaped}");
        prop_assert_eq!(percent_decode_str(&escaped).decode_utf8().unwrap(), text);
    }

    #[test]
    fn a_query_reads_back_as_it_was_written(pairs in vec((text(), text()), 0..5), path in of("/[a-z]{1,5}")) {
        let mut url = Url::parse("http://localhost/").unwrap();
        url.set_path(&path.unwrap_or_default());
        url.set_query(Some(&canonical_query(&pairs)));
        let mut read: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let mut wanted = pairs;
        // A pair with an empty name and an empty value disappears.
        wanted.retain(|(name, value)| !name.is_empty() || !value.is_empty());
        read.retain(|(name, value)| !name.is_empty() || !value.is_empty());
        read.sort();
        wanted.sort();
        prop_assert_eq!(read, wanted);
    }
}
