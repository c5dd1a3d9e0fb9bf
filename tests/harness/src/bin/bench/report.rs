//! The figures: a table for people, JSON for comparing.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// What a figure is to reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Goal {
    /// At most so many times its floor.
    Ratio(f64),
    /// Less than this.
    Below(f64),
    /// At most this.
    AtMost(f64),
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    case: String,
    what: String,
    unit: &'static str,
    value: f64,
    floor: Option<f64>,
    /// What the floor is, where it is no bare client's.
    floor_is: Option<&'static str>,
    goal: Option<Goal>,
}

impl Figure {
    pub(crate) fn new(case: &str, what: &str, unit: &'static str, value: f64) -> Self {
        let (case, what) = (case.to_owned(), what.to_owned());
        Self { case, what, unit, value, floor: None, floor_is: None, goal: None }
    }

    /// A figure that is a count.
    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn count(case: &str, what: &str, count: u64) -> Self {
        Self::new(case, what, "", count as f64)
    }

    /// The same by a bare client.
    pub(crate) fn floor(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    #[allow(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn floor_count(self, floor: u64) -> Self {
        self.floor(floor as f64)
    }

    /// What it is compared with, where that is no bare client.
    pub(crate) fn compared(self, with: &'static str, value: f64) -> Self {
        Self { floor: Some(value), floor_is: Some(with), ..self }
    }

    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal: Some(goal), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.filter(|floor| *floor > 0.0).map(|floor| self.value / floor)
    }

    /// Whether the goal is reached; `None` where there is none.
    fn met(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::Ratio(most) => self.ratio().is_some_and(|ratio| ratio <= most),
            Goal::Below(bound) => self.value < bound,
            Goal::AtMost(most) => self.value <= most,
        })
    }

    fn goal_in_words(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" {}", self.unit) };
        match self.goal {
            None => String::new(),
            Some(Goal::Ratio(most)) => format!("≤ {most} × floor"),
            Some(Goal::Below(bound)) => format!("< {bound}{unit}"),
            Some(Goal::AtMost(most)) => format!("≤ {most}{unit}"),
        }
    }

    fn line(&self) -> String {
        let what = if self.unit.is_empty() { self.what.clone() } else { format!("{}, {}", self.what, self.unit) };
        let floor = self.floor.map(number).unwrap_or_default();
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let met = self.met().map_or("", |met| if met { "met" } else { "MISSED" });
        let row = row([&self.case, &what, &number(self.value), &floor, &ratio, &self.goal_in_words(), met]);
        self.floor_is.map_or(row.clone(), |is| format!("{row}  (beside: {is})")).trim_end().to_owned()
    }

    fn json(&self) -> Value {
        json!({
            "case": self.case, "figure": self.what, "unit": self.unit, "value": self.value, "floor": self.floor,
            "floorIs": self.floor.map(|_| self.floor_is.unwrap_or("a bare client")), "ratio": self.ratio(),
            "goal": self.goal.map(|_| self.goal_in_words()), "met": self.met(),
        })
    }
}

fn row([case, what, value, floor, ratio, goal, met]: [&str; 7]) -> String {
    format!("{case:<16} {what:<52} {value:>10} {floor:>10} {ratio:>7}  {goal:<14} {met}")
}

/// Whole from a hundred on, with three figures below.
fn number(value: f64) -> String {
    match value {
        v if v.fract() == 0.0 || v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

/// All figures so far. They are printed as they come.
#[derive(Debug)]
pub(crate) struct Report {
    scale: f64,
    figures: Vec<Figure>,
    counts: Vec<Value>,
}

impl Report {
    /// Prints the table's head.
    pub(crate) fn begin(scale: f64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        println!("{cores} cores, scale {scale}");
        println!("{}", row(["case", "figure", "measured", "floor", "ratio", "goal", ""]).trim_end());
        Self { scale, figures: Vec::new(), counts: Vec::new() }
    }

    /// Adds a figure and prints it.
    pub(crate) fn add(&mut self, figure: Figure) {
        println!("{}", figure.line());
        self.figures.push(figure);
    }

    /// Adds a count that goes into the JSON only.
    pub(crate) fn note(&mut self, case: &str, what: &str, count: u64) {
        self.counts.push(json!({"case": case, "what": what, "count": count}));
    }

    /// Writes the JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let report = json!({
            "at": jiff::Timestamp::now(),
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "optimised": !cfg!(debug_assertions),
            "scale": self.scale,
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "counts": self.counts,
        });
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    /// How many goals were reached, and missed.
    pub(crate) fn goals(&self) -> (usize, usize) {
        let met = |wanted| self.figures.iter().filter(|figure| figure.met() == Some(wanted)).count();
        (met(true), met(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged_by_the_floor_or_by_the_figure() {
        let figure = |value| Figure::new("case", "what", "s", value).floor(2.0);
        assert_eq!(figure(3.0).goal(Goal::Ratio(1.5)).met(), Some(true));
        assert_eq!(figure(3.1).goal(Goal::Ratio(1.5)).met(), Some(false));
        assert_eq!(figure(3.1).met(), None);
        assert_eq!(figure(1.0).goal(Goal::Below(1.0)).met(), Some(false));
        assert_eq!(figure(1.0).goal(Goal::AtMost(1.0)).met(), Some(true));
        // Without a floor nothing can be within it.
        assert_eq!(Figure::new("case", "what", "s", 3.0).goal(Goal::Ratio(1.5)).met(), Some(false));
    }

    #[test]
    fn a_missed_goal_shows() {
        let line = Figure::new("1x50", "time", "s", 4.0).floor(2.0).goal(Goal::Ratio(1.5)).line();
        assert!(line.contains("2.00") && line.ends_with("MISSED"), "{line}");
    }
}
