//! Refusals, and the rules that name them.

/// An answer of refusal, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// The vendor's code, verbatim.
    pub code: String,
    /// What a person reads; the vendor's words where a client reads them, else our own.
    pub message: String,
}

/// One documented refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    status: u16,
    code: &'static str,
    message: &'static str,
}

/// A documented refusal of this status and code.
pub(crate) const fn rule(status: u16, code: &'static str, message: &'static str) -> Rule {
    Rule { status, code, message }
}

impl Rule {
    /// The refusal of this rule.
    pub(crate) fn refuse(self) -> Refusal {
        Refusal { status: self.status, code: self.code.to_owned(), message: self.message.to_owned() }
    }

    /// The refusal of this rule in other words.
    pub(crate) fn saying(self, message: String) -> Refusal {
        Refusal { message, ..self.refuse() }
    }

    /// The refusal of this rule, naming what it is about.
    pub(crate) fn about(self, what: &str) -> Refusal {
        Refusal { message: format!("{} ({what})", self.message), ..self.refuse() }
    }
}

/// The simulator's own: its journal is full, and what it cannot record it does not do.
pub(crate) const JOURNAL_FULL: Rule = rule(500, "SimulatorJournalFull", "the simulator's journal is full");
