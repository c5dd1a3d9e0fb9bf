//! What is decided about one offer: the whole table of what is wished, what was answered, who offers and where.

use std::collections::BTreeMap;

use imageshare_operator::api::acceptance::AcceptanceDecision::{self, Accept, Reject};
use imageshare_operator::api::acceptance::OfferState;
use imageshare_operator::api::conditions::{Reason, Truth};
use imageshare_operator::domain::fault::Recovery;
use imageshare_operator::domain::identifiers::{ImageId, PrincipalId, Recipient, RecipientKind, VaultId};
use imageshare_operator::domain::image::{Answer, ImageKind, ImageState, ReceivedImage, Reply};
use imageshare_operator::domain::provider::Provider;
use imageshare_operator::planning::acceptance::{AcceptancePlan, Offer, plan_acceptance, waits_for_the_owner};
use imageshare_operator::planning::problem::Problem;

const PROVIDERS: [Provider; 3] = [Provider::Alibaba, Provider::Huawei, Provider::OpenStack];
const DECISIONS: [AcceptanceDecision; 2] = [Accept, Reject];
const KINDS: [ImageKind; 3] = [ImageKind::SystemDisk, ImageKind::DataDisk, ImageKind::FullServer];

fn party(text: &str) -> PrincipalId {
    PrincipalId::parse(text).unwrap()
}

fn received(answer: Option<Answer>) -> ReceivedImage {
    ReceivedImage {
        image: ImageId::parse("d164b5df").unwrap(),
        through: party("us"),
        owner: Some(party("friend")),
        name: "golden".into(),
        kind: ImageKind::SystemDisk,
        state: ImageState::Available,
        answer,
        via: BTreeMap::new(),
    }
}

struct Case {
    provider: Provider,
    decision: AcceptanceDecision,
    vault: Option<VaultId>,
    received: Option<ReceivedImage>,
    known: bool,
}

impl Case {
    fn new(decision: AcceptanceDecision, received: impl Into<Option<ReceivedImage>>) -> Self {
        Self { provider: Provider::Huawei, decision, vault: None, received: received.into(), known: true }
    }

    fn opinion(&self) -> AcceptancePlan {
        plan_acceptance(&Offer {
            provider: self.provider,
            decision: self.decision,
            trusted: &party("friend"),
            vault: self.vault.as_ref(),
            received: self.received.as_ref(),
            known: self.known,
        })
    }
}

fn trouble(opinion: &AcceptancePlan) -> &Problem {
    opinion.result.as_ref().unwrap_err()
}

fn vault() -> VaultId {
    VaultId::parse("vault-1").unwrap()
}

/// Every combination there is, judged by rules that are simpler than the plan.
#[test]
fn over_the_whole_table_an_answer_is_sent_only_to_the_trusted_owner_and_only_if_it_changes_something() {
    let answers = [None, Some(Answer::Pending), Some(Answer::Accepted), Some(Answer::Rejected)];
    let owners = [Some("friend"), Some("stranger"), None];
    let mut cases = 0;
    for provider in PROVIDERS {
        for decision in DECISIONS {
            for answer in answers {
                for owner in owners {
                    for kind in KINDS {
                        for (vault, known) in
                            [(None, false), (None, true), (Some(vault()), false), (Some(vault()), true)]
                        {
                            let image = ReceivedImage { owner: owner.map(party), kind, ..received(answer) };
                            let case = Case { provider, decision, vault, received: Some(image), known };
                            judge(&case, answer, owner == Some("friend"), kind);
                            cases += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, 3 * 2 * 4 * 3 * 3 * 4);
}

fn judge(case: &Case, answer: Option<Answer>, trusted: bool, kind: ImageKind) {
    let opinion = case.opinion();
    let what = format!("{:?} {:?} {answer:?} trusted {trusted} {kind:?}: {opinion:?}", case.provider, case.decision);
    let state = match answer {
        None => OfferState::Shared,
        Some(Answer::Pending) => OfferState::Pending,
        Some(Answer::Accepted) => OfferState::Accepted,
        Some(Answer::Rejected) => OfferState::Rejected,
    };
    assert_eq!(opinion.state, state, "what is so is told, whatever is wished: {what}");
    let as_asked = match case.decision {
        Accept => answer == Some(Answer::Accepted),
        Reject => answer == Some(Answer::Rejected),
    };
    let no_vault = case.provider == Provider::Huawei && kind == ImageKind::FullServer && case.vault.is_none();
    let wanted_reply = match case.decision {
        _ if !trusted || answer.is_none() || as_asked => None,
        Accept if no_vault => None,
        Accept => Some(Reply::Accept { vault: case.vault.clone() }),
        Reject => Some(Reply::Reject),
    };
    assert_eq!(opinion.reply, wanted_reply, "{what}");
    let wanted_reason = match (trusted, answer, as_asked) {
        (false, _, _) => Reason::UntrustedOwner,
        (true, None, _) => Reason::NoAnswerNeeded,
        (true, Some(_), true) if case.decision == Accept => Reason::Accepted,
        (true, Some(_), true) => Reason::Rejected,
        (true, Some(_), false) if case.decision == Accept && no_vault => Reason::VaultRequired,
        (true, Some(_), false) => Reason::Pending,
    };
    let fine = trusted && (as_asked || (answer.is_none() && case.decision == Accept));
    assert_eq!(opinion.result.is_ok(), fine, "{what}");
    let reason = opinion.result.as_ref().map_or_else(|trouble| trouble.reason, |(reason, _)| *reason);
    assert_eq!(reason, wanted_reason, "{what}");
    if let Err(trouble) = &opinion.result {
        let waits = trouble.reason == Reason::Pending;
        assert_eq!(trouble.recovery == Recovery::Blocked, !waits, "a person must act, or it passes: {what}");
        assert_eq!(opinion.reply.is_some(), waits, "what is under way was sent: {what}");
    }
}

#[test]
fn what_nobody_shares_yet_is_waited_for_and_what_was_taken_back_is_told() {
    for provider in PROVIDERS {
        for decision in DECISIONS {
            let unseen = Case { provider, known: false, ..Case::new(decision, None) }.opinion();
            assert_eq!((unseen.state, &unseen.reply), (OfferState::NotOffered, &None));
            assert_eq!(trouble(&unseen).reason, Reason::NotOffered);
            assert!(waits_for_the_owner(trouble(&unseen)), "nothing is wrong: it comes when the owner shares it");
            let lost = Case { provider, ..Case::new(decision, None) }.opinion();
            assert_eq!((lost.state, &lost.reply), (OfferState::Revoked, &None));
            let told = trouble(&lost);
            assert_eq!((told.reason, told.truth()), (Reason::Revoked, Truth::False));
            assert!(!waits_for_the_owner(told));
            assert!(told.message.contains("cannot re-initialise their system disk"), "{}", told.message);
        }
    }
}

#[test]
fn an_untrusted_owner_is_named_beside_the_trusted_one() {
    let stranger = ReceivedImage { owner: Some(party("stranger")), ..received(Some(Answer::Pending)) };
    let opinion = Case::new(Accept, stranger).opinion();
    let message = &trouble(&opinion).message;
    assert!(message.contains("comes from stranger") && message.contains("trusts only friend"), "{message}");
}

#[test]
fn where_nothing_is_asked_accepting_is_done_and_rejecting_cannot_be() {
    let at = |decision| Case { provider: Provider::Alibaba, ..Case::new(decision, received(None)) }.opinion();
    assert_eq!(at(Accept).result.unwrap().0, Reason::NoAnswerNeeded);
    let reject = at(Reject);
    assert_eq!(trouble(&reject).reason, Reason::NoAnswerNeeded);
    assert!(trouble(&reject).message.contains("ask its owner to end the share"));
}

#[test]
fn a_full_server_needs_a_vault_at_huawei_to_be_accepted_and_for_nothing_else() {
    let full = |answer| ReceivedImage { kind: ImageKind::FullServer, ..received(Some(answer)) };
    let without = Case::new(Accept, full(Answer::Pending)).opinion();
    assert!(trouble(&without).message.contains("spec.vaultID"));
    let with = Case { vault: Some(vault()), ..Case::new(Accept, full(Answer::Pending)) }.opinion();
    assert_eq!(with.reply, Some(Reply::Accept { vault: Some(vault()) }));
    assert_eq!(Case::new(Reject, full(Answer::Pending)).opinion().reply, Some(Reply::Reject));
    assert!(Case::new(Accept, full(Answer::Accepted)).opinion().result.is_ok(), "it is accepted already");
}

#[test]
fn another_decision_answers_anew_and_so_does_an_offer_made_again() {
    let reply = |decision, answer| Case::new(decision, received(Some(answer))).opinion().reply;
    let accept = Some(Reply::Accept { vault: None });
    assert_eq!(reply(Accept, Answer::Rejected), accept, "accepted after a reject");
    assert_eq!(reply(Reject, Answer::Accepted), Some(Reply::Reject), "rejected after an accept");
    assert_eq!(reply(Reject, Answer::Pending), Some(Reply::Reject), "offered again after a reject");
    assert_eq!(reply(Accept, Answer::Accepted), None);
    assert_eq!(reply(Reject, Answer::Rejected), None);
}

#[test]
fn a_reject_says_that_the_grant_stays_and_through_whom_the_image_still_comes() {
    let recipient = |kind, id: &str| Recipient { kind, id: party(id) };
    let alone = Case::new(Reject, received(Some(Answer::Rejected))).opinion().result.unwrap();
    assert_eq!(alone.0, Reason::Rejected);
    assert!(alone.1.contains("the owner's grant stays") && !alone.1.contains("through"), "{}", alone.1);
    let via = BTreeMap::from([
        (recipient(RecipientKind::Project, "us"), Some(Answer::Rejected)),
        (recipient(RecipientKind::Account, "our-account"), None),
        (recipient(RecipientKind::Organization, "our-organization"), None),
    ]);
    let still = Case::new(Reject, ReceivedImage { via, ..received(Some(Answer::Rejected)) }).opinion();
    let message = still.result.unwrap().1;
    assert!(message.ends_with("through: Account our-account, Organization our-organization"), "{message}");
}

#[test]
fn the_many_grants_of_a_rejected_image_are_named_within_bounds() {
    let grant = |n| (Recipient { kind: RecipientKind::Organization, id: party(&format!("o-{n:02}")) }, None);
    let via = (0..50).map(grant).collect();
    let opinion = Case::new(Reject, ReceivedImage { via, ..received(Some(Answer::Rejected)) }).opinion();
    let message = opinion.result.unwrap().1;
    assert!(message.contains("and 45 more") && message.len() < 400, "{message}");
}
