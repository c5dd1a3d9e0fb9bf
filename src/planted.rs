//! Known bugs, one of which can be planted to score the fault campaign and the suite (`tests/planted/bugs.yaml`,
//! `make chaos-score`). Only the feature `planted` compiles them in, which no release has; `planted!` names the place.

/// `planted!("name", sound, bug)`: the sound expression, or the bug where it is the one that was asked for.
#[cfg(not(feature = "planted"))]
macro_rules! planted {
    ($name:literal, $sound:expr, $bug:expr) => {
        $sound
    };
}

#[cfg(feature = "planted")]
macro_rules! planted {
    ($name:literal, $sound:expr, $bug:expr) => {
        if $crate::planted::is_planted($name) { $bug } else { $sound }
    };
}

/// Whether the environment asks for this bug.
#[cfg(feature = "planted")]
pub fn is_planted(name: &str) -> bool {
    static BUG: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("PLANTED_BUG").unwrap_or_default());
    *BUG == name
}
