//! Which parser of outside bytes is tried with hostile ones, and by which test: one table, held to the sources, so that
//! none is missing. `make fuzz ROUNDS=n` runs those tests long.
//!
//! Beside these, `tests/hostile_answers.rs` breaks whole answers on their way to the clients, `tests/ssrf` and
//! `tests/foreign_text.rs` follow what was read to the socket and to people's eyes.

mod simulator;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What a source file reads, and who tries it.
struct Row {
    source: &'static str,
    /// The functions that read, as they are called there.
    readers: &'static [&'static str],
    /// The tests, each by its file and name.
    tests: &'static [(&'static str, &'static str)],
}

const ALIBABA: &str = "src/clouds/alibaba/adversarial.rs";
const HUAWEI: &str = "src/clouds/huawei/adversarial.rs";
const OPENSTACK: &str = "src/clouds/openstack/adversarial.rs";
const AWS: &str = "src/clouds/aws/adversarial.rs";
const CLOUDS: &str = "src/clouds/adversarial.rs";
const PLAN: &str = "src/cli/plan/documents.rs";
const OBJECTS: &str = "tests/operator/tests/hostile_objects.rs";

const ANSWERS: &str = "no_answer_makes_a_reader_panic_or_believe_without_bounds";
const ERRORS: &str = "no_error_is_told_but_in_plain_words_and_no_hint_heeded_beyond_reason";

/// Those of the operator; `simulator::TABLE` lists those of the simulator.
const TABLE: &[Row] = &[
    // Alibaba Cloud: answers in JSON, error bodies, Retry-After in both units, keys.
    Row {
        source: "src/clouds/alibaba/wire.rs",
        readers: &[
            "parse",
            "read",
            "read_image",
            "read_row",
            "read_images",
            "read_page",
            "read_recipients",
            "read_regions",
            "read_identity",
            "read_write",
        ],
        tests: &[(ALIBABA, ANSWERS), (ALIBABA, "recipients_are_read_as_they_were_written")],
    },
    Row {
        source: "src/clouds/alibaba/wire/copies.rs",
        readers: &["read_begun", "read_copy", "read_copies"],
        tests: &[(ALIBABA, ANSWERS)],
    },
    Row { source: "src/clouds/alibaba/wire/own.rs", readers: &["read_own"], tests: &[(ALIBABA, ANSWERS)] },
    Row {
        source: "src/clouds/alibaba/wire/roles.rs",
        readers: &["read_granted", "read_arn"],
        tests: &[(ALIBABA, ANSWERS)],
    },
    Row { source: "src/clouds/alibaba/faults.rs", readers: &["fault_of", "retry_after"], tests: &[(ALIBABA, ERRORS)] },
    Row {
        source: "src/clouds/alibaba/sign.rs",
        readers: &["parse"],
        tests: &[(ALIBABA, "every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one")],
    },
    Row {
        source: "src/clouds/alibaba/endpoints.rs",
        readers: &["url_of"],
        tests: &[(ALIBABA, "every_region_is_called_at_a_host_of_the_vendor_or_not_at_all")],
    },
    // AWS: answers in XML, forms, error bodies, Retry-After in both units, dates, keys, hosts.
    Row {
        source: "src/clouds/aws/xml.rs",
        readers: &["parse", "read_tree"],
        tests: &[(AWS, ANSWERS), (AWS, "text_is_read_as_it_was_escaped")],
    },
    Row {
        source: "src/clouds/aws/wire.rs",
        readers: &[
            "read",
            "read_recipients",
            "read_permission",
            "read_regions",
            "read_identity",
            "read_write",
            "read_error",
        ],
        tests: &[(AWS, ANSWERS), (AWS, "recipients_are_read_as_they_were_written")],
    },
    Row {
        source: "src/clouds/aws/wire/images.rs",
        readers: &["read_image", "read_images", "read_row", "read_owner", "read_flag", "read_tags", "read"],
        tests: &[(AWS, ANSWERS)],
    },
    Row {
        source: "src/clouds/aws/wire/snapshots.rs",
        readers: &["read_keys", "read_volume_permissions"],
        tests: &[
            (AWS, ANSWERS),
            ("src/clouds/aws/wire/snapshots.rs", "volume_permissions_are_read_whole_or_not_at_all"),
            ("src/clouds/aws/wire/snapshots.rs", "keys_of_the_snapshots_asked_for_are_read_once_each"),
        ],
    },
    Row { source: "src/clouds/aws/wire/roles.rs", readers: &["read_granted", "read_arn"], tests: &[(AWS, ANSWERS)] },
    Row { source: "src/clouds/aws/wire/copies.rs", readers: &["read_begun"], tests: &[(AWS, ANSWERS)] },
    Row { source: "src/clouds/aws/faults.rs", readers: &["fault_of", "retry_after"], tests: &[(AWS, ERRORS)] },
    Row {
        source: "src/clouds/aws/sign.rs",
        readers: &["parse"],
        tests: &[(AWS, "every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one")],
    },
    Row {
        source: "src/clouds/aws/endpoints.rs",
        readers: &["is_api_host", "url_of"],
        tests: &[(AWS, "every_region_is_called_at_a_host_of_the_vendor_or_not_at_all")],
    },
    // Huawei Cloud: answers, page markers, job bodies, tokens, error bodies, Retry-After, keys.
    Row { source: "src/clouds/huawei/wire/mod.rs", readers: &["read"], tests: &[(HUAWEI, ANSWERS)] },
    Row { source: "src/clouds/huawei/wire/own.rs", readers: &["read_own"], tests: &[(HUAWEI, ANSWERS)] },
    Row {
        source: "src/clouds/huawei/wire/images.rs",
        readers: &["read_image", "read_images"],
        tests: &[(HUAWEI, ANSWERS)],
    },
    Row {
        source: "src/clouds/huawei/wire/members.rs",
        readers: &["read_members"],
        tests: &[(HUAWEI, ANSWERS), (HUAWEI, "members_are_read_as_they_were_written")],
    },
    Row {
        source: "src/clouds/huawei/wire/identities.rs",
        readers: &["read_domain", "read_domain_of_projects", "read_projects", "read_project", "query_of"],
        tests: &[(HUAWEI, ANSWERS)],
    },
    Row {
        source: "src/clouds/huawei/wire/jobs.rs",
        readers: &["read_submitted", "read_job"],
        tests: &[(HUAWEI, "no_job_makes_a_reader_panic_or_fails_in_other_than_plain_words")],
    },
    Row {
        source: "src/clouds/huawei/wire/copies.rs",
        readers: &["read_copy_job", "read_copies", "parse"],
        tests: &[(HUAWEI, "no_job_makes_a_reader_panic_or_fails_in_other_than_plain_words"), (HUAWEI, ANSWERS)],
    },
    Row {
        source: "src/clouds/huawei/faults.rs",
        readers: &["fault_of", "fault_of_job", "retry_after"],
        tests: &[(HUAWEI, ERRORS), (HUAWEI, "no_job_makes_a_reader_panic_or_fails_in_other_than_plain_words")],
    },
    Row {
        source: "src/clouds/huawei/tokens.rs",
        readers: &["read_token"],
        tests: &[(HUAWEI, "no_token_is_kept_longer_than_it_lives_or_a_day")],
    },
    Row {
        source: "src/clouds/huawei/credentials.rs",
        readers: &["access_key", "password"],
        tests: &[(HUAWEI, "every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one")],
    },
    Row {
        source: "src/clouds/huawei/endpoints.rs",
        readers: &["url_of"],
        tests: &[(HUAWEI, "every_region_is_called_at_a_host_of_the_vendor_or_not_at_all")],
    },
    // OpenStack: tokens and catalogues, images, members, copies, page links, error bodies, Retry-After, keys, ids in paths.
    Row {
        source: "src/clouds/openstack/wire.rs",
        readers: &["read", "read_token", "read_image", "read_images", "marker_of", "read_members", "read_member"],
        tests: &[
            (OPENSTACK, ANSWERS),
            (OPENSTACK, "whatever_a_catalogue_names_only_what_is_allowed_is_called"),
            (OPENSTACK, "members_are_read_as_they_were_written"),
            (OPENSTACK, "of_a_link_to_the_next_page_only_the_marker_is_heeded"),
        ],
    },
    Row { source: "src/clouds/openstack/wire/own.rs", readers: &["read_own"], tests: &[(OPENSTACK, ANSWERS)] },
    Row {
        source: "src/clouds/openstack/wire/copies.rs",
        readers: &["read_content", "read_copy"],
        tests: &[(OPENSTACK, ANSWERS)],
    },
    Row {
        source: "src/clouds/openstack/faults.rs",
        readers: &["glance_fault", "keystone_fault", "retry_after"],
        tests: &[(OPENSTACK, ERRORS)],
    },
    Row {
        source: "src/clouds/openstack/keystone.rs",
        readers: &["ask"],
        tests: &[(
            "tests/operator/tests/hostile_answers.rs",
            "whatever_openstack_answers_nobody_panics_and_every_question_ends",
        )],
    },
    Row {
        source: "src/clouds/openstack/credentials.rs",
        readers: &["application", "password"],
        tests: &[(OPENSTACK, "every_key_that_is_taken_is_asked_with_as_it_is_and_no_refusal_repeats_one")],
    },
    Row {
        source: "src/clouds/openstack/client.rs",
        readers: &["below"],
        tests: &[(OPENSTACK, "every_id_is_one_segment_of_its_path")],
    },
    // What all clouds share: the way bytes come in, the endpoint rule, escaping.
    Row {
        source: "src/clouds/transport.rs",
        readers: &["read_whole", "sensitive"],
        tests: &[
            ("src/clouds/transport.rs", "answer_up_to_the_limit_is_read_and_one_byte_more_is_not"),
            ("src/clouds/transport.rs", "endless_answer_without_a_length_is_cut_off"),
        ],
    },
    Row {
        source: "src/clouds/request_id.rs",
        readers: &["note"],
        tests: &[("src/clouds/request_id.rs", "whatever_a_header_holds_only_a_plain_bounded_id_is_noted")],
    },
    Row {
        source: "src/clouds/transport/authorities.rs",
        readers: &["parse"],
        tests: &[(
            "src/clouds/transport/authorities.rs",
            "no_text_makes_the_parser_panic_and_what_it_takes_the_client_takes",
        )],
    },
    Row {
        source: "src/clouds/transport/proxies.rs",
        readers: &["parse", "of", "only"],
        tests: &[(
            "src/clouds/transport/proxies.rs",
            "a_value_that_is_no_proxy_is_refused_by_the_name_of_its_variable_alone",
        )],
    },
    Row {
        source: "src/clouds/endpoint_rule/template.rs",
        readers: &["parse", "check_regional", "check_regional_service"],
        tests: &[
            (CLOUDS, "flags_are_read_or_refused"),
            ("src/clouds/endpoint_rule/template.rs", "a_template_that_no_flag_names_is_refused"),
            ("src/clouds/endpoint_rule/template.rs", "no_region_leads_to_another_host"),
        ],
    },
    Row {
        source: "src/clouds/endpoint_rule.rs",
        readers: &["parse", "parse_port", "check", "check_service", "origin_of"],
        tests: &[
            (CLOUDS, "no_text_passes_for_an_allowed_endpoint_that_a_browser_would_open_elsewhere"),
            (CLOUDS, "flags_are_read_or_refused"),
            ("tests/operator/tests/ssrf/clients.rs", "no_trick_passes_the_rule_and_no_client_calls_where_it_leads"),
        ],
    },
    Row {
        source: "src/clouds/signing.rs",
        readers: &["escape", "canonical_query", "part", "phrase"],
        tests: &[
            (CLOUDS, "what_is_escaped_is_one_segment_and_reads_back_the_same"),
            (CLOUDS, "a_query_reads_back_as_it_was_written"),
            (ALIBABA, "every_key_that_is_taken_can_be_sent_and_no_refusal_repeats_one"),
        ],
    },
    // What the API server hands over: objects, status, annotations, Secrets; and the ids in all of them.
    Row {
        source: "src/domain/identifiers.rs",
        readers: &["parse"],
        tests: &[(OBJECTS, "ids_are_what_they_were_and_safe_wherever_they_go")],
    },
    Row {
        source: "src/domain/provider.rs",
        readers: &["parse_image_name", "parse_account", "parse_principal", "parse_recipient"],
        tests: &[
            (OBJECTS, "ids_are_what_they_were_and_safe_wherever_they_go"),
            (OBJECTS, "names_for_new_images_are_safe_to_show_and_kept"),
        ],
    },
    Row {
        source: "src/domain/aws.rs",
        readers: &["parse_account", "parse_organization"],
        tests: &[(OBJECTS, "ids_are_what_they_were_and_safe_wherever_they_go")],
    },
    Row {
        source: "src/domain/foreign_text.rs",
        readers: &["plain", "image_name"],
        tests: &[(OBJECTS, "foreign_text_is_plain_bounded_and_its_letters_are_kept")],
    },
    Row {
        source: "src/cluster/guard.rs",
        readers: &["deserialize", "read"],
        tests: &[(OBJECTS, "whatever_an_object_holds_its_reader_ends_and_keeps_its_metadata")],
    },
    Row {
        source: "src/cluster/managed.rs",
        readers: &["last_manager"],
        tests: &[("src/cluster/managed.rs", "managed_fields_of_any_shape_hide_no_object")],
    },
    Row {
        source: "src/cluster/credentials.rs",
        readers: &["find", "demand", "find_text"],
        tests: &[("src/cluster/credentials.rs", "whatever_a_secret_holds_only_plain_text_is_found_in_it")],
    },
    Row {
        source: "src/reconcile/convert.rs",
        readers: &["terms", "requested_at", "image_named_by"],
        tests: &[(OBJECTS, "whatever_an_object_holds_its_reader_ends_and_keeps_its_metadata")],
    },
    Row {
        source: "src/planning/ledger.rs",
        readers: &["parse"],
        tests: &[(OBJECTS, "a_ledger_is_read_whole_or_not_at_all_and_reads_back_the_same")],
    },
    Row {
        source: "src/planning/copies/ledger.rs",
        readers: &["parse"],
        tests: &[
            (OBJECTS, "a_ledger_is_read_whole_or_not_at_all_and_reads_back_the_same"),
            ("src/planning/copies/tests.rs", "a_ledger_that_names_a_snapshot_it_does_not_list_is_unreadable"),
        ],
    },
    Row {
        source: "src/planning/replica.rs",
        readers: &["parse"],
        tests: &[(OBJECTS, "a_try_to_copy_is_read_or_refused_and_reads_back_the_same")],
    },
    Row { source: PLAN, readers: &["read"], tests: &[(PLAN, "no_text_makes_it_panic")] },
    Row {
        source: "src/cli/plan/applying.rs",
        readers: &["application"],
        tests: &[("src/cli/plan/applying.rs", "whatever_the_annotation_holds_the_document_is_applied")],
    },
    Row {
        source: "src/cli/console/guard.rs",
        readers: &["check"],
        tests: &[("src/cli/console/guard.rs", "no_bytes_of_a_header_make_it_panic_or_let_anybody_in")],
    },
    Row {
        source: "src/domain/openstack.rs",
        readers: &["parse_project", "parse_recipient"],
        tests: &[("src/domain/openstack.rs", "an_id_is_read_as_it_is_or_refused")],
    },
    // Kubernetes: selectors of an image's owner, what the API server says of its definitions, answers to writes.
    Row {
        source: "src/api/selector.rs",
        readers: &["parse_selector"],
        tests: &[("src/api/selector.rs", "no_selector_makes_the_parser_panic")],
    },
    Row {
        source: "src/cluster/definitions.rs",
        readers: &["read"],
        tests: &[("src/api/definitions.rs", "no_document_makes_the_comparison_panic_or_lacks_nothing_by_accident")],
    },
    Row {
        source: "src/cluster/written.rs",
        readers: &[],
        tests: &[("src/cluster/written.rs", "no_answer_to_a_write_makes_its_reader_panic")],
    },
];

/// What is called like a reader and reads no bytes from outside, and why.
const NO_READERS: &[(&str, &str, &str)] = &[
    ("src/cluster/credentials.rs", "read_keys", "asks the API server; the keys are read by `find`"),
    ("src/clouds/openstack/client.rs", "read_image", "asks Glance; the answer is read in `wire`"),
    ("src/clouds/openstack/client.rs", "read", "makes a question"),
    ("src/cli/plan/dry_run.rs", "read", "asks the API server; the answer is read by `Guarded`"),
    ("src/cli/plan/world.rs", "read", "takes over a document that another row reads"),
    ("src/cluster/lease.rs", "read", "asks the API server; what a lease says is judged in `planning::lease`"),
    ("src/clouds/openstack/client/copying.rs", "read_copy", "asks Glance; the answer is read in `wire`"),
    ("src/planning/attempts.rs", "parse", "takes over what the schema of status typed"),
    ("src/planning/duplicates.rs", "parse", "splits a text, and every text is an owner"),
    ("src/controllers/image_replica/observe.rs", "parse_order", "puts together what other rows parse"),
];

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().chain(simulator::TABLE)
}

/// Words by which code that reads bytes or text is known.
const SIGNS: &[&str] = &[
    "from_slice(body",
    "serde_json::from_slice",
    "serde_json::from_str",
    "serde_yaml::from",
    "Url::parse(&",
    "Url::parse(link",
    "percent_decode",
    "query_pairs()",
    "from_utf8",
    "to_str()",
];

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn text(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source that is no test, by its path in the workspace, up to its tests.
fn code() -> Vec<(String, String)> {
    let mut files = Vec::new();
    sources(&workspace().join("src"), &mut files);
    sources(&workspace().join("tests/simulator/src"), &mut files);
    let name = |file: &PathBuf| file.strip_prefix(workspace()).unwrap().to_string_lossy().into_owned();
    let is_test = |file: &str| {
        let inside = file.trim_start_matches("tests/simulator/");
        inside.ends_with("tests.rs") || inside.contains("/tests/") || inside.ends_with("adversarial.rs")
    };
    let files = files.iter().map(name).filter(|file| !is_test(file));
    files.map(|file| (file.clone(), text(&file).split("#[cfg(test)]\nmod tests").next().unwrap().to_owned())).collect()
}

/// Names of functions that begin like those that read.
fn readers(code: &str) -> BTreeSet<String> {
    let after = code
        .split("fn ")
        .skip(1)
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>());
    let reads = |name: &String| {
        ["read", "parse", "decode"].iter().any(|verb| name == verb || name.starts_with(&format!("{verb}_")))
    };
    after.filter(reads).collect()
}

#[test]
fn every_row_names_what_there_is() {
    for row in rows() {
        let source = text(row.source);
        for reader in row.readers {
            let is_there = source.contains(&format!("fn {reader}(")) || source.contains(&format!("fn {reader}<"));
            assert!(is_there, "{} has no {reader}", row.source);
        }
        assert!(!row.tests.is_empty(), "{}", row.source);
        for (file, test) in row.tests {
            assert!(text(file).contains(&format!("fn {test}(")), "{file} has no {test}");
        }
    }
    for (source, reader, _) in NO_READERS {
        assert!(readers(&text(source)).contains(*reader), "{source} has no {reader}");
    }
}

#[test]
fn every_parser_of_outside_bytes_has_a_row() {
    let listed = |file: &str, reader: &str| {
        rows().any(|row| row.source == file && row.readers.contains(&reader))
            || NO_READERS.iter().any(|(source, name, _)| *source == file && *name == reader)
    };
    let (mut missing, mut seen) = (Vec::new(), 0);
    for (file, code) in code() {
        for reader in readers(&code) {
            seen += 1;
            if !listed(&file, &reader) {
                missing.push(format!("{file}: {reader}"));
            }
        }
        let reads = SIGNS.iter().find(|sign| code.contains(*sign));
        if let Some(sign) = reads.filter(|_| rows().all(|row| row.source != file)) {
            missing.push(format!("{file}: {sign}"));
        }
    }
    assert!(seen > 50, "only {seen} readers were found: the search is broken");
    assert!(missing.is_empty(), "say in TABLE who tries these with hostile bytes:\n{}", missing.join("\n"));
}
