//! Each disguise is seen, and nothing is seen where nothing is: a search that finds nothing proves nothing by itself.

use k8s_openapi::ByteString;
use serde_json::json;

use super::*;

const SECRET: &str = "Canary/Secret+ ThatMust\"Never\\Be?Shown";
const OTHER: &str = "PassingCanaryToken0042";

fn shown(text: impl Into<String>) -> Shown {
    Shown { place: "here".to_owned(), text: text.into() }
}

/// What is seen of `SECRET` and `OTHER` in a text.
fn seen(text: impl Into<String>) -> Vec<(usize, &'static str)> {
    let canaries = Canaries::of([SECRET, OTHER]).unwrap();
    canaries.sightings(&shown(text)).into_iter().map(|sighting| (sighting.secret, sighting.disguise)).collect()
}

/// By whoever encodes for the API server, not by the code that is tried here.
fn encoded(bytes: &[u8]) -> String {
    json!(ByteString(bytes.to_vec())).as_str().unwrap().to_owned()
}

#[test]
fn plain_text_is_seen_wherever_it_stands_and_however_much_of_it() {
    for text in [SECRET.to_owned(), format!("key={SECRET};"), SECRET[..8].to_owned(), format!("\u{fffd}é{SECRET}")] {
        assert!(seen(text.clone()).contains(&(0, "plain")), "{text}");
    }
    assert_eq!(seen(&SECRET[..7]), []);
    assert_eq!(seen(""), []);
    assert_eq!(seen("C"), []);
}

#[test]
fn base64_is_seen_whatever_stands_before_it_and_behind() {
    for before in 0..7 {
        for behind in 0..4 {
            let bytes = [&b"key:id:"[..before], SECRET.as_bytes(), &b"\nend"[..behind]].concat();
            let text = format!("auth {}", encoded(&bytes));
            assert_eq!(seen(text.clone()), [(0, "in base64")], "{before} {behind} {text}");
        }
    }
    assert_eq!(seen(encoded(OTHER.as_bytes())), [(1, "in base64")]);
    // Its first bytes make both letters in which the alphabets differ.
    let canaries = Canaries::of(["\u{fbff}?>?>?>?>"]).unwrap();
    let url = encoded("\u{fbff}?>?>?>?>".as_bytes()).replace('+', "-").replace('/', "_");
    let found: Vec<_> = canaries.sightings(&shown(url)).into_iter().map(|sighting| sighting.disguise).collect();
    assert_eq!(found, ["in base64 for URLs"]);
}

#[test]
fn hexadecimal_digits_are_seen_in_both_cases() {
    let hex = OTHER.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    assert_eq!(seen(format!("<{hex}>")), [(1, "in hexadecimal digits")]);
    assert_eq!(seen(hex.to_uppercase()), [(1, "in upper case hexadecimal digits")]);
}

#[test]
fn what_is_escaped_for_urls_is_seen() {
    assert_eq!(seen("?secret=Canary%2FSecret%2B%20ThatMust"), [(0, "percent-encoded")]);
    assert_eq!(seen("?secret=Canary%2fSecret%2b%20ThatMust"), [(0, "percent-encoded in lower case")]);
    let every = OTHER.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    assert_eq!(seen(every), [(1, "percent-encoded, every byte")]);
    let canaries = Canaries::of(["two words & more"]).unwrap();
    assert_eq!(canaries.sightings(&shown("p=two+words+%26+more"))[0].disguise, "as an HTML form");
}

#[test]
fn what_is_escaped_for_json_and_debug_prints_is_seen() {
    let canaries = Canaries::of(["a\"b\\c\"d\\e\"f"]).unwrap();
    let names = |text: String| -> Vec<_> { canaries.sightings(&shown(text)).into_iter().map(|s| s.disguise).collect() };
    let once = json!({"secret": "a\"b\\c\"d\\e\"f"}).to_string();
    assert_eq!(names(once.clone()), ["escaped for JSON"]);
    assert_eq!(names(json!({"body": once}).to_string()), ["escaped for JSON twice"]);
    assert_eq!(names(format!("{:?}", "a\"b\\c\"d\\e\"f")), ["escaped for JSON"]);
}

#[test]
fn lists_of_bytes_are_seen_on_one_line_and_on_many() {
    let bytes = OTHER.as_bytes().to_vec();
    for text in [format!("{bytes:?}"), format!("{bytes:#?}"), json!(bytes).to_string(), format!("{:?}", &bytes[..8])] {
        assert_eq!(seen(text.clone()), [(1, "as a list of bytes")], "{text}");
    }
    let with_more = [&[1, 2, 3][..], OTHER.as_bytes(), &[200]].concat();
    assert_eq!(seen(format!("{with_more:?}")), [(1, "as a list of bytes")]);
    // Seven of them, a number too large among them, or something else between them: no list of these bytes.
    assert_eq!(seen(format!("{:?}", &bytes[..7])), []);
    assert_eq!(seen("[80, 97, 115, 115, 1000, 105, 110, 103, 67]"), []);
    assert_eq!(seen("80, 97, 115, 115; 105, 110, 103, 67"), []);
    assert_eq!(seen("80, 97, 115, 115, , 105, 110, 103, 67"), []);
    assert_eq!(seen("80 97 115 115 105 110 103 67"), []);
}

#[test]
fn each_secret_is_told_by_its_number_and_place_and_both_at_once() {
    assert_eq!(seen(format!("{OTHER} {SECRET}")), [(0, "plain"), (1, "plain")]);
    let canaries = Canaries::of([SECRET, OTHER]).unwrap();
    let error = canaries.ensure_hidden(&[shown("nothing"), shown(format!("token {OTHER} end"))]).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("1 sightings") && error.contains("here shows secret 1, plain"), "{error}");
    assert!(error.contains("token PassingCanary"), "{error}");
    canaries.ensure_hidden(&[shown("nothing"), shown("Canary, Secret")]).unwrap();
}

#[test]
fn secrets_too_short_to_be_known_and_none_at_all_are_refused() {
    assert!(Canaries::of(["short"]).is_err());
    assert!(Canaries::of(Vec::<String>::new()).is_err());
}

#[test]
fn the_logs_of_a_program_are_those_of_all_its_starts() {
    let run = crate::run::folder("canaries").unwrap();
    for name in ["operator.log", "operator-2.log", "operators.log", "other.log", "operator-2.txt"] {
        std::fs::write(run.join(name), name).unwrap();
    }
    let mut places: Vec<_> = logs(&run, "operator").unwrap().into_iter().map(|log| log.place).collect();
    places.sort();
    assert_eq!(places, ["operator-2.log", "operator.log"]);
    assert!(logs(&run, "absent").is_err());
}
