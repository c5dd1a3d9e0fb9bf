//! Rules: what befalls which requests; and triggers, through which a test learns of it and decides how it goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::sync::watch;
use tokio::time::timeout;

use super::call::{Call, Which};

/// A request is held this long at most, then goes on as if released.
const HELD_AT_MOST: Duration = Duration::from_secs(120);

/// A moment in the life of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It arrived at the proxy; the upstream knows nothing of it.
    BeforeForward,
    /// The upstream answered; the caller does not know.
    AfterApply,
    /// The caller was given the answer. Nothing is left to be held: the trigger only tells.
    AfterAnswer,
}

/// What befalls a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// It is held at this moment until its trigger is released, cut or dropped.
    Hold(Moment),
    /// So many bytes of its body go on, and the rest is held as by `Hold`: cut, the upstream has a part for good.
    HoldBody(usize),
    /// So many bytes of its answer's body, or a few more, are handed over, and the rest is held as by `Hold`.
    HoldAnswer(usize),
    /// Its connection is closed; the upstream never hears of it.
    CutBefore,
    /// The upstream answers, and the connection is closed without that answer.
    CutAfter,
    /// The proxy answers with this status and JSON; the upstream never hears of it.
    Answer(u16, String),
    /// It goes on after this time.
    Delay(Duration),
}

/// What befalls which requests.
#[derive(Debug, Clone)]
pub struct Rule {
    which: Which,
    first: u64,
    times: u64,
    deed: Deed,
}

impl Rule {
    /// A rule for all requests meant.
    pub fn new(which: Which, deed: Deed) -> Self {
        Self { which, first: 1, times: u64::MAX, deed }
    }

    /// From the nth of those meant on, counted from 1 when the rule comes into force.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Self {
        self.first = n.max(1);
        self
    }

    /// For so many requests; then it rests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Wait,
    Release,
    Cut,
}

/// The meeting point of the proxy's tasks and a test.
#[derive(Debug)]
pub(super) struct Meeting {
    hits: watch::Sender<Vec<Call>>,
    word: watch::Sender<Word>,
}

impl Meeting {
    fn new() -> Self {
        Self { hits: watch::Sender::new(Vec::new()), word: watch::Sender::new(Word::Wait) }
    }

    pub(super) fn tell(&self, call: &Call) {
        self.hits.send_modify(|hits| hits.push(call.clone()));
    }

    /// Waits for the test's word; false: the request is to be cut.
    pub(super) async fn hold(&self, call: &Call) -> bool {
        let mut word = self.word.subscribe();
        self.tell(call);
        let spoken = timeout(HELD_AT_MOST, word.wait_for(|word| *word != Word::Wait)).await;
        !matches!(spoken, Ok(Ok(word)) if *word == Word::Cut)
    }
}

#[derive(Debug)]
struct Posted {
    id: u64,
    rule: Rule,
    seen: u64,
    done: u64,
    meeting: Arc<Meeting>,
}

/// The rules in force.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules(Arc<Mutex<(u64, Vec<Posted>)>>);

impl Rules {
    fn lock(&self) -> MutexGuard<'_, (u64, Vec<Posted>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, rule: Rule) -> Trigger {
        let meeting = Arc::new(Meeting::new());
        let mut posted = self.lock();
        posted.0 += 1;
        let id = posted.0;
        posted.1.push(Posted { id, rule, seen: 0, done: 0, meeting: meeting.clone() });
        Trigger { id, meeting, rules: self.clone() }
    }

    /// Counts the request for every rule that means it; gives what befalls it.
    pub(super) fn judge(&self, call: &Call, body: &[u8]) -> Option<(Deed, Arc<Meeting>)> {
        let mut found = None;
        for posted in &mut self.lock().1 {
            if !posted.rule.which.means(call, body) {
                continue;
            }
            posted.seen += 1;
            if found.is_none() && posted.seen >= posted.rule.first && posted.done < posted.rule.times {
                posted.done += 1;
                found = Some((posted.rule.deed.clone(), posted.meeting.clone()));
            }
        }
        found
    }
}

/// A rule in force: dropping it ends the rule, and lets go on what it holds.
#[derive(Debug)]
#[must_use = "a rule is in force only while its trigger lives"]
pub struct Trigger {
    id: u64,
    meeting: Arc<Meeting>,
    rules: Rules,
}

impl Trigger {
    /// Waits until the rule has befallen a request; gives the first. For [`Deed::Hold`], its moment has come.
    pub async fn reached(&self, limit: Duration) -> Result<Call> {
        let mut hits = self.meeting.hits.subscribe();
        let Ok(first) = timeout(limit, hits.wait_for(|hits| !hits.is_empty())).await else {
            bail!("waited {limit:?} in vain for a request that the rule means");
        };
        first?.first().cloned().context("there is one")
    }

    /// The requests the rule has befallen.
    pub fn hits(&self) -> Vec<Call> {
        self.meeting.hits.borrow().clone()
    }

    /// Lets go on what is held, and what would be held later.
    pub fn release(&self) {
        self.meeting.word.send_replace(Word::Release);
    }

    /// Closes the connection of what is held, and of what would be held later: before it was forwarded, nothing is.
    pub fn cut(&self) {
        self.meeting.word.send_replace(Word::Cut);
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        self.rules.lock().1.retain(|posted| posted.id != self.id);
        // A word already spoken stays.
        self.meeting.word.send_if_modified(|word| {
            let silent = *word == Word::Wait;
            if silent {
                *word = Word::Release;
            }
            silent
        });
    }
}
