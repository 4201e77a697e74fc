//! A table in plain text: the first column to the left, numbers to the right.

/// See the head of this file.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    left: Vec<usize>,
}

impl Table {
    /// A table with these headings; `left` are the columns that begin at their left side.
    pub(super) fn new(head: &[&str], left: &[usize]) -> Self {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        Self { rows: vec![head], left: left.to_vec() }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    /// Lines of the same width, the second one a rule.
    pub(super) fn write(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let cell_width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(cell_width).collect();
        let mut out = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            out += &self.line(row, &widths);
            if number == 0 {
                out += &"-".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1));
                out.push('\n');
            }
        }
        out
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells = widths.iter().enumerate().map(|(column, &width)| {
            let cell = row.get(column).map_or("", String::as_str);
            if self.left.contains(&column) { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["figure", "measured", ""], &[0, 2]);
        table.row(["CPU, µs".into(), "9".into(), "met".into()]);
        table.row(["rate".into(), "1,000,000,000".into(), String::new()]);
        let wanted = "\
figure        measured
---------------------------
CPU, µs              9  met
rate     1,000,000,000
";
        assert_eq!(table.write(), wanted);
    }
}
