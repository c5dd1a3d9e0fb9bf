//! The log of the simulator's process: what listens where, and a line for each request. It holds no credentials: the account
//! stands there once a request was authenticated, and never its key.

use crate::Simulator;
use crate::chassis::journal::{Cut, Entry};
use crate::state::Shared;

/// The most characters of a field that a client chose.
const MAX_FIELD: usize = 100;

/// What listens where, and what is in the worlds.
pub(crate) fn summary(simulator: &Simulator) -> String {
    let file = simulator.state.lock().dump();
    let huawei = file.huawei.as_ref().map_or((0, 0), |world| (world.domains.len(), world.images.len()));
    let aws = file.aws.as_ref().map_or((0, 0), |world| (world.accounts.len(), world.images.len()));
    let stand_in = simulator.stand_in().map(|stand_in| format!(", TLS for the vendors' hosts at {}", stand_in.address));
    format!(
        "cloud-simulator {}: Alibaba Cloud at {} ({}, {}), Huawei Cloud at {} ({}, {}), AWS at {} ({}, {}), admin interface at {}{}",
        env!("CARGO_PKG_VERSION"),
        simulator.cloud_url(),
        count(file.accounts.len(), "account"),
        count(file.images.len(), "image"),
        simulator.huawei_url(),
        count(huawei.0, "account"),
        count(huawei.1, "image"),
        simulator.aws_url(),
        count(aws.0, "account"),
        count(aws.1, "image"),
        simulator.control_url(),
        stand_in.unwrap_or_default(),
    )
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Passes on a line for each entry that the journal gets from now on; it holds the state, so it ends only when it is dropped.
pub(crate) fn follow(state: Shared, write: impl Fn(&str)) -> impl Future<Output = ()> {
    // At the call, not when the future is polled first: requests may have come until then.
    let (mut seen, mut grown) = {
        let state = state.lock();
        (state.journal.last(), state.journal.grown())
    };
    async move {
        while grown.wait_for(|last| *last > seen).await.is_ok() {
            let entries = state.lock().journal.since(seen).to_vec();
            for entry in &entries {
                write(&line(entry));
                seen = entry.seq;
            }
        }
    }
}

/// One entry, as `2026-11-30T09:00:00Z Alibaba DescribeImages account=2000000000000000 region=cn-hangzhou 200 OK`.
fn line(entry: &Entry) -> String {
    let mut line = entry.time.to_string();
    let mut put = |name: &str, value: &str| line.extend([" ", name, &printable(value)]);
    put("", &entry.provider.map_or_else(|| entry.principal.clone(), |provider| format!("{provider:?}")));
    put("", entry.unknown.as_deref().unwrap_or(&entry.action));
    if entry.key_id.is_some() {
        put("account=", &entry.principal);
    }
    if let Some(region) = &entry.region {
        put("region=", region.as_str());
    }
    if let Some(image) = &entry.image {
        put("image=", image.as_str());
    }
    if let Some(job) = &entry.job {
        put("job=", job);
    }
    if !entry.faults.is_empty() {
        put("faults=", &entry.faults.join(","));
    }
    if entry.status > 0 {
        put("", &entry.status.to_string());
    }
    put("", &entry.code);
    match entry.cut {
        Cut::None => {}
        Cut::Before => put("", "cut before the effect"),
        Cut::After => put("", "cut after the effect"),
    }
    line
}

/// One field on one line, with a bounded length.
fn printable(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_FIELD).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_FIELD).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_chose_stays_on_one_line_of_bounded_length() {
        let mut entry =
            Entry::without_request(jiff::Timestamp::UNIX_EPOCH, "LTAI-claimed", "Delete\nforged\u{1b}[2J\u{202e}");
        entry.provider = Some(crate::Provider::Alibaba);
        entry.status = 404;
        entry.code = "x".repeat(5000);
        let line = line(&entry);
        assert!(line.starts_with("1970-01-01T00:00:00Z Alibaba Delete\\nforged\\u{1b}[2J\\u{202e} 404 xxx"), "{line}");
        assert!(line.chars().all(|c| !c.is_control()) && line.len() < 300, "{line}");
        assert!(!line.contains("LTAI-claimed"), "a key that was only claimed: {line}");
        entry.key_id = Some("LTAI-key".to_owned());
        let line = super::line(&entry);
        assert!(line.contains(" account=LTAI-claimed ") && !line.contains("LTAI-key"), "{line}");
    }
}
