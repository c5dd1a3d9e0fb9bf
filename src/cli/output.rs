//! How answers are printed: aligned columns for people, JSON and YAML for programs.

use serde::Serialize;

use super::CliError;
use super::arguments::Format;
use crate::domain::foreign_text::plain;

/// Most characters of one cell or line: messages of conditions are longer than any other text.
const CELL_CHARS_MAX: usize = 4096;

/// What an empty cell shows.
const NONE: &str = "-";

/// The answer in a format; `table` makes the one for people.
pub(super) fn print<T: Serialize>(
    format: Format,
    answer: &T,
    table: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    let failed = |error: String| CliError::Output(error);
    match format {
        Format::Table => Ok(table(answer)),
        Format::Json => {
            serde_json::to_string_pretty(answer).map(|json| json + "\n").map_err(|error| failed(error.to_string()))
        }
        Format::Yaml => serde_yaml::to_string(answer).map_err(|error| failed(error.to_string())),
    }
}

/// Text of the cluster or a cloud on one line of a terminal.
pub(super) fn safe(text: &str) -> String {
    plain(text, CELL_CHARS_MAX)
}

/// Columns as wide as their widest cell, three spaces apart, as kubectl prints them. Cells are made safe for a terminal.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cell = |text: &str| if text.is_empty() { NONE.to_owned() } else { safe(text) };
    let rows: Vec<Vec<String>> = std::iter::once(header.iter().map(|name| (*name).to_owned()).collect())
        .chain(rows.iter().map(|row| row.iter().map(|text| cell(text)).collect()))
        .collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count()) + 3));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_text_of_strangers_moves_no_cursor() {
        let rows = [
            vec!["a".to_owned(), "镜像".to_owned(), "x\u{1b}[2Jy".to_owned()],
            vec!["longer".to_owned(), String::new(), "z".to_owned()],
        ];
        let text = table(&["NAME", "IMAGE", "TEXT"], &rows);
        assert_eq!(text, "NAME     IMAGE   TEXT\na        镜像      x\u{FFFD}[2Jy\nlonger   -       z\n");
    }
}
