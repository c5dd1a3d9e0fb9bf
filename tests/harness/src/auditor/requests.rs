//! Requests as the journal recorded them, for rules about what was read and what was asked for in vain.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::witness::reads;
use super::{Auditor, Invariant, Violation, text};

/// Repetitions are counted within this time.
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// Injected faults that make an answer unreadable: such an answer proves nothing.
const UNREADABLE: [&str; 2] = ["truncatedBody", "wrongJson"];

/// The injected fault that leaves rows out of a list, if it has any.
const SHORT: &str = "truncatedPage";

/// Refusals that pass by themselves. A caller may try again sooner, with a growing pause of its own.
const TRANSIENT: [&str; 3] = ["Throttling", "ServiceUnavailable", "InternalError"];

/// By which AWS says that there is no such image, with another status than 404.
const ABSENT: [&str; 2] = ["InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"];

/// One request that reached a cloud.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) time: Timestamp,
    principal: String,
    pub(super) region: String,
    pub(super) action: String,
    pub(super) image: Option<String>,
    /// Recipients, answer and flags, as they were asked for.
    parameters: String,
    /// Recipients that were to be added or removed.
    pub(super) moves: Vec<String>,
    status: i64,
    code: String,
    cut: bool,
    /// It had an effect, or started a job.
    changes: bool,
    answer: Answer,
    line: String,
}

/// How much of an answer reached its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Whole,
    /// Rows were left out, if there were any.
    Short,
    Unreadable,
}

impl Asked {
    /// `None` for an entry of the journal that was no request.
    pub(super) fn read(entry: &Value) -> Option<Self> {
        text(entry, "host").filter(|host| !host.is_empty())?;
        let list = |at: &str| entry.pointer(at).and_then(Value::as_array).into_iter().flatten();
        let moves = list("/parameters/add").chain(list("/parameters/remove"));
        let moves = moves.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect();
        let cut = text(entry, "cut").is_some_and(|cut| cut != "none");
        let injected = |kinds: &[&str]| list("/weather").filter_map(Value::as_str).any(|kind| kinds.contains(&kind));
        let answer = match (cut || injected(&UNREADABLE), injected(&[SHORT])) {
            (true, _) => Answer::Unreadable,
            (false, true) => Answer::Short,
            (false, false) => Answer::Whole,
        };
        Some(Self {
            time: text(entry, "time")?.parse().ok()?,
            principal: text(entry, "principal")?,
            region: text(entry, "region").unwrap_or_default(),
            action: text(entry, "action")?,
            image: text(entry, "image"),
            parameters: entry.get("parameters").map(ToString::to_string).unwrap_or_default(),
            moves,
            status: entry.get("status").and_then(Value::as_i64).unwrap_or_default(),
            code: text(entry, "code").unwrap_or_default(),
            cut,
            changes: entry.get("effect").is_some_and(|effect| !effect.is_null()) || text(entry, "job").is_some(),
            answer,
            line: format!("journal {entry}"),
        })
    }

    /// Whether the cloud answered it completely: with what it asked for, which may have been nothing, or that there is no such
    /// thing.
    pub(super) fn answered_completely(&self, nothing: impl FnOnce() -> bool) -> bool {
        let is_whole = match self.answer {
            Answer::Whole => true,
            Answer::Short => nothing(),
            Answer::Unreadable => false,
        };
        is_whole && (self.code == "OK" || self.status == 404 || ABSENT.contains(&self.code.as_str()))
    }

    /// Whether the cloud refused it plainly, and changed nothing.
    pub(super) fn is_refused(&self) -> bool {
        !self.cut && !self.changes && (400..500).contains(&self.status)
    }

    pub(super) fn is_read(&self) -> bool {
        reads(&self.action)
    }

    /// What came of it, where it was in vain: the refusal, or that it changed nothing. What passes by itself is not meant,
    /// nor what started a job: the job's end says what came of it.
    fn in_vain(&self) -> Option<&str> {
        if self.code == "OK" {
            return (!self.is_read() && !self.changes && !self.cut).then_some("no effect");
        }
        let passes = self.status == 429 || TRANSIENT.iter().any(|code| self.code.starts_with(code));
        ((400..500).contains(&self.status) && !passes).then_some(self.code.as_str())
    }
}

impl Auditor {
    /// How often a call may be repeated within a minute with the same outcome: the same operation, image, recipients and
    /// parameters, refused with the same code or accepted without an effect. Without it, [`Invariant::NoCallInVain`] is
    /// not judged: where pauses are shorter than in production, more is allowed.
    #[must_use]
    pub fn patient(mut self, repetitions: usize) -> Self {
        self.repetitions = Some(repetitions);
        self
    }

    /// A call whose outcome is known is not made again and again. A process that was started anew knows less.
    pub(super) fn judge_repetitions(&self, found: &mut Vec<Violation>) {
        let Some(most) = self.repetitions else { return };
        let mut made: BTreeMap<(&str, &str, &str, &str, &str), Vec<&Asked>> = BTreeMap::new();
        for asked in &self.asked {
            let (Some(image), Some(outcome)) = (&asked.image, asked.in_vain()) else { continue };
            let key =
                (asked.principal.as_str(), asked.action.as_str(), image.as_str(), asked.parameters.as_str(), outcome);
            let calls = made.entry(key).or_default();
            let anew = |last: &Asked| {
                self.pace.as_ref().is_some_and(|pace| pace.ended_between(last.time, asked.time).is_some())
            };
            if calls.last().is_some_and(|last| anew(last)) {
                calls.clear();
            }
            calls.retain(|earlier| asked.time.duration_since(earlier.time) < MINUTE);
            calls.push(asked);
            // The first call is no repetition. Each series is told once.
            if calls.len() == most + 2 {
                let what = format!(
                    "{} on {image} was repeated {} times within a minute, each time with the outcome {outcome:?}",
                    asked.action,
                    calls.len() - 1
                );
                let evidence = calls.iter().map(|call| call.line.clone()).collect();
                found.push(Violation { invariant: Invariant::NoCallInVain, at: asked.time, what, evidence });
            }
        }
    }
}
