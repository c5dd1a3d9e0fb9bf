//! What is said and what is so.

use super::*;

/// The share of Anne is said to be ready, in this generation of two.
fn said(story: Story, generation: u64) -> Story {
    story.share_with(Change::Modified, "team", &[ANNE], |share| {
        share["metadata"]["generation"] = json!(2);
        let ready = json!({"type": "Ready", "status": "True", "reason": "Shared", "observedGeneration": generation});
        share["status"] = json!({"conditions": [ready]});
    })
}

fn told(story: Story) -> Vec<Invariant> {
    story.found().into_iter().filter(|invariant| *invariant == Invariant::StatusTruth).collect()
}

#[test]
fn a_share_that_is_called_shared_before_its_recipients_have_the_image_is_found() {
    let story = || Story::default().image(Change::Added, &[]).share("team", &[ANNE]);
    assert_eq!(told(said(story().ledger(&[(ANNE, "Granted")]), 2)), [Invariant::StatusTruth]);
    assert_eq!(told(said(story().ledger(&[(ANNE, "Intended")]).grants(&[ANNE]), 2)), []);
    // Of another generation, it says nothing of these recipients.
    assert_eq!(told(said(story(), 1)), []);
}
