//! Tables that fit the width of the terminal, and stay readable in a pipe.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

/// One line under the heading and none between rows, since there are often many.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Alignment of the cells of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words, wrapped if the terminal is narrow.
    Left,
    /// A short name, never wrapped.
    Name,
    /// Numbers.
    Right,
}

/// A table of text cells under a heading line. Cells wrap if the terminal is narrow.
pub(crate) fn table(columns: &[(&str, Align)], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none() {
        table.set_width(110); // not a terminal: what fits a page
    }
    let cell = |text: &str, align: Align| {
        Cell::new(text).set_alignment(if align == Align::Right {
            CellAlignment::Right
        } else {
            CellAlignment::Left
        })
    };
    table.set_header(columns.iter().map(|(name, align)| cell(name, *align)));
    for row in rows {
        table.add_row(row.iter().zip(columns).map(|(text, (_, align))| cell(text, *align)));
    }
    for (column, (_, align)) in table.column_iter_mut().zip(columns) {
        if *align == Align::Name {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.to_string().lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_align_and_no_line_is_wider_than_the_page() {
        let long = "model.layers.0.".repeat(20);
        let text = table(&[("tensor", Align::Left), ("dB", Align::Right)], [vec![long, "20.44".into()]]);
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        assert!(text.contains("20.44"));
    }
}
