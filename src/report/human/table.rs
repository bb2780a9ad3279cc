//! Tables and wrapped text for a terminal of a given width.

use crate::report::ink::Ink;

/// One cell: its text and its ink.
pub(super) type Cell = (String, Ink);

/// Between two columns.
const GAP: usize = 2;

/// Breaks a text into lines of at most `width` characters, between words where that is possible.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in words(text) {
        let mut word: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
        } else if used > 0 {
            lines.iter_mut().last().into_iter().for_each(|line| line.push(' '));
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.iter_mut().last().into_iter().for_each(|line| line.extend(&word));
            lines.push(String::new());
            word = rest;
        }
        lines.iter_mut().last().into_iter().for_each(|line| line.extend(&word));
    }
    lines
}

/// The words of a text; a number and its unit are one word.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let unit =
            matches!(word.trim_end_matches([',', ';', ':', '.', ')']), "ms" | "s" | "µs" | "min" | "h" | "bytes")
                || matches!(word.get(1..3), Some("iB"));
        match words.last_mut() {
            Some(last) if unit && last.ends_with(|end: char| end.is_ascii_digit()) => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
    }
    words
}

/// A table without lines, its columns as wide as their texts or narrower where the width asks for it.
pub(super) fn table(rows: &[Vec<Cell>], indent: usize, width: usize, colour: bool) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.0.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let room = width.saturating_sub(indent + GAP * columns.saturating_sub(1)).max(columns * 4);
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max() else { break };
        *widest -= 1;
    }
    let mut out = String::new();
    for row in rows {
        let cells: Vec<(Vec<String>, Ink)> =
            row.iter().zip(&widths).map(|((text, ink), width)| (wrap(text, *width), *ink)).collect();
        let height = cells.iter().map(|(lines, _)| lines.len()).max().unwrap_or(0);
        for line in 0..height {
            let mut text = " ".repeat(indent);
            for ((lines, ink), width) in cells.iter().zip(&widths) {
                let piece = lines.get(line).map_or("", String::as_str);
                text.push_str(&ink.paint(piece, colour));
                text.push_str(&" ".repeat(width - piece.chars().count() + GAP));
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_table_wraps_its_widest_column_first() {
        let cell = |text: &str| (text.to_owned(), Ink::Plain);
        let rows =
            vec![vec![cell("checkout: p99 latency below 300ms"), cell("held")], vec![cell("a"), cell("no data")]];
        insta::assert_snapshot!(table(&rows, 2, 32, false), @r"
          checkout: p99 latency  held
          below 300ms
          a                      no data
        ");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_told_and_no_character_is_lost(text in "[a-z ]{0,120}", width in 12usize..60) {
            let rows = vec![vec![(text.clone(), Ink::Good), ("ok".to_owned(), Ink::Bad)]];
            for line in table(&rows, 2, width, false).lines() {
                prop_assert!(line.chars().count() <= width, "{line:?}");
            }
            let joined: String = wrap(&text, width).concat();
            let bare = |text: &str| text.chars().filter(|character| !character.is_whitespace()).collect::<String>();
            prop_assert_eq!(bare(&joined), bare(&text));
        }
    }
}
