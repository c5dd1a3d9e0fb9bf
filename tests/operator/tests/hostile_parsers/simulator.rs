//! The parsers of the simulator.

use super::Row;

const SIMULATOR: &str = "tests/simulator/tests/hostile.rs";
const HUAWEI_REQUESTS: &str = "tests/simulator/src/huawei/tests/callers.rs";
const AWS_REQUESTS: &str = "tests/simulator/src/aws/tests.rs";

const NO_PANIC: &str = "no_request_makes_the_cloud_panic";
const DOORS: &str = "no_request_to_a_cloud_port_makes_the_simulator_panic_and_it_still_serves";

pub(super) const TABLE: &[Row] = &[
    // The simulator: world files, requests with their queries, bodies, paths and signatures, the control port.
    Row {
        source: "tests/simulator/src/world_file.rs",
        readers: &["parse"],
        tests: &[
            (SIMULATOR, "a_world_file_is_read_or_refused_and_a_world_made_of_it_or_not"),
            (SIMULATOR, "text_that_is_no_world_file_is_refused_in_words"),
            (SIMULATOR, "a_world_file_that_would_grow_without_end_is_refused"),
            (SIMULATOR, "no_world_that_is_loaded_makes_the_simulator_panic"),
        ],
    },
    Row {
        source: "tests/simulator/src/admin.rs",
        readers: &["read_journal", "read_clock"],
        tests: &[(SIMULATOR, "nothing_asked_of_the_control_port_makes_the_simulator_panic")],
    },
    Row {
        source: "tests/simulator/src/alibaba/admin.rs",
        readers: &["read_image"],
        tests: &[(SIMULATOR, "nothing_asked_of_the_control_port_makes_the_simulator_panic")],
    },
    Row {
        source: "tests/simulator/src/chassis/wire.rs",
        readers: &["read", "decode_pairs"],
        tests: &[(SIMULATOR, DOORS)],
    },
    Row { source: "tests/simulator/src/chassis/exchange.rs", readers: &["read"], tests: &[(SIMULATOR, DOORS)] },
    Row { source: "tests/simulator/src/chassis/signature.rs", readers: &["parse"], tests: &[(SIMULATOR, DOORS)] },
    Row {
        source: "tests/simulator/src/chassis/tls.rs",
        readers: &["read_connect"],
        tests: &[("tests/simulator/src/chassis/tls.rs", "no_head_makes_the_proxy_panic_and_only_a_connect_is_taken")],
    },
    Row {
        source: "tests/simulator/src/chassis/tokens.rs",
        readers: &["read"],
        tests: &[("tests/simulator/src/chassis/tokens.rs", "no_token_makes_the_cloud_panic_or_passes_for_another")],
    },
    Row { source: "tests/simulator/src/chassis/pairs.rs", readers: &[], tests: &[(SIMULATOR, DOORS)] },
    Row { source: "tests/simulator/src/alibaba/params.rs", readers: &[], tests: &[(SIMULATOR, DOORS)] },
    Row { source: "tests/simulator/src/alibaba/filters.rs", readers: &["read"], tests: &[(SIMULATOR, DOORS)] },
    Row {
        source: "tests/simulator/src/alibaba/signature.rs",
        readers: &["read"],
        tests: &[(SIMULATOR, DOORS), ("tests/simulator/src/alibaba/tests.rs", "no_request_makes_the_cloud_panic")],
    },
    Row {
        source: "tests/simulator/src/alibaba/authentication.rs",
        readers: &["parse_date"],
        tests: &[(SIMULATOR, DOORS), ("tests/simulator/src/alibaba/tests.rs", "no_request_makes_the_cloud_panic")],
    },
    Row {
        source: "tests/simulator/src/alibaba/operations.rs",
        readers: &["find"],
        tests: &[("tests/simulator/src/alibaba/tests.rs", "no_request_makes_the_cloud_panic")],
    },
    Row { source: "tests/simulator/src/huawei/images.rs", readers: &["read"], tests: &[(HUAWEI_REQUESTS, NO_PANIC)] },
    Row {
        source: "tests/simulator/src/huawei/authentication.rs",
        readers: &["parse_date"],
        tests: &[(SIMULATOR, DOORS), (HUAWEI_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/huawei/signature.rs",
        readers: &["read"],
        tests: &[(SIMULATOR, DOORS), (HUAWEI_REQUESTS, NO_PANIC)],
    },
    Row { source: "tests/simulator/src/huawei/temporary.rs", readers: &[], tests: &[(HUAWEI_REQUESTS, NO_PANIC)] },
    Row { source: "tests/simulator/src/huawei/route.rs", readers: &["find"], tests: &[(HUAWEI_REQUESTS, NO_PANIC)] },
    Row {
        source: "tests/simulator/src/huawei/bodies.rs",
        readers: &["read", "parse"],
        tests: &[(HUAWEI_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/huawei/recipient.rs",
        readers: &["parse"],
        tests: &[(HUAWEI_REQUESTS, NO_PANIC)],
    },
    Row { source: "tests/simulator/src/huawei/iam.rs", readers: &[], tests: &[(SIMULATOR, DOORS)] },
    Row {
        source: "tests/simulator/src/aws/answers.rs",
        readers: &["read_token"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/operations.rs",
        readers: &["read"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/authentication.rs",
        readers: &["parse_date"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/recipient.rs",
        readers: &["parse"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/filters.rs",
        readers: &["read"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/quotas.rs",
        readers: &[],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/signature.rs",
        readers: &["read"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/params.rs",
        readers: &[],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
    Row {
        source: "tests/simulator/src/aws/hosts.rs",
        readers: &["read"],
        tests: &[(SIMULATOR, DOORS), (AWS_REQUESTS, NO_PANIC)],
    },
];
