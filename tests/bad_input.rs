//! What a person gets for bad input, row by row: the reason, a message that names the field and the remedy, nothing sent
//! that must not be, everything else served all the same, and the way on once the input is mended. Judged by the cloud's
//! journal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

#[path = "bad_input/duplicates.rs"]
mod duplicates;
#[path = "bad_input/images.rs"]
mod images;
#[path = "bad_input/places.rs"]
mod places;
#[path = "bad_input/recipients.rs"]
mod recipients;
#[path = "bad_input/references.rs"]
mod references;
#[path = "bad_input/times.rs"]
mod times;
#[path = "bad_input/weather.rs"]
mod weather;
