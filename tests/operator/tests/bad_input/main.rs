//! What a person gets for bad input, row by row: the reason, a message that names the field and the remedy, nothing sent
//! that must not be, everything else served all the same, and the way on once the input is mended. Judged by the cloud's
//! journal.

mod duplicates;
mod images;
mod places;
mod recipients;
mod references;
mod times;
mod weather;
