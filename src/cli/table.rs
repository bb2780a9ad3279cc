//! Tables for people: columns held apart by two spaces, no lines.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};

/// How wide a table is at most where its last column can be broken into lines.
const WIDEST: u16 = 118;

/// A table with these headings.
pub(super) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(headings);
    table
}

/// The table as text, without spaces at the ends of lines.
pub(super) fn text(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// As [`text`], with the last column broken into lines where it is too long.
pub(super) fn wrapped(table: &mut Table) -> String {
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDEST);
    let columns = table.column_count();
    for column in table.column_iter_mut().take(columns.saturating_sub(1)) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    text(table)
}
