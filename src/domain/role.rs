//! Roles of a cloud whose temporary keys stand in for keys of an account's own.

/// Longest name of a session at AWS and Alibaba Cloud, in characters (their `AssumeRole` pages: 2 to 64).
const SESSION_CHARS_MAX: usize = 64;

/// How long temporary keys are asked for, in seconds: the default of both vendors, which every role allows, and the most that a
/// role gets which another role assumes (AWS: role chaining).
pub const SESSION_SECONDS: u32 = 3600;

/// The name of the sessions of a `CloudAccount`, by which the cloud's audit log tells them apart. The vendors take letters, digits,
/// `.` and `-`, of which names of Kubernetes are made.
pub fn session_name(namespace: &str, name: &str) -> String {
    let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    format!("imageshare-{namespace}-{name}").chars().filter(fits).take(SESSION_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_named_after_their_account_as_far_as_the_vendors_take_it() {
        assert_eq!(session_name("team-a", "golden.v1"), "imageshare-team-a-golden.v1");
        assert_eq!(session_name("", ""), "imageshare--");
        let long = session_name(&"n".repeat(63), &"a".repeat(253));
        assert_eq!((long.len(), long.starts_with("imageshare-nnn")), (64, true));
        assert_eq!(session_name("a b", "ä/c"), "imageshare-ab-c");
    }
}
