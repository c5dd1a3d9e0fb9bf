//! The operator as a process.
use imageshare_operator::api;
fn main() {
    for c in api::all_crds() {
        print!("---\n{}", serde_yaml::to_string(&c).unwrap());
    }
}
