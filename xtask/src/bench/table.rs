//! Tables for people: aligned on a terminal, or in Markdown for the README.

/// Rows of text under a head, the first column to the left and the others to the right.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Table { rows: vec![head.iter().map(|title| title.to_string()).collect()] }
    }

    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub fn text(&self, markdown: bool) -> String {
        if markdown { self.markdown() } else { self.aligned() }
    }

    fn aligned(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> = row
                .iter()
                .enumerate()
                .map(|(column, cell)| match column {
                    0 => format!("{cell:<0$}", width(column)),
                    _ => format!("{cell:>0$}", width(column)),
                })
                .collect();
            text += cells.join("  ").trim_end();
            text += "\n";
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            text += &format!("| {} |\n", row.join(" | "));
            if index == 0 {
                text += &format!("|---|{}\n", "---:|".repeat(row.len() - 1));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_or_in_markdown() {
        let mut table = Table::new(&["", "ms", "ratio"]);
        table.row(["servin-run", "2.1", "1.00"].map(str::to_owned).to_vec());
        table.row(["crun", "10.9", "5.19"].map(str::to_owned).to_vec());
        assert_eq!(
            table.text(false),
            "              ms  ratio\nservin-run   2.1   1.00\ncrun        10.9   5.19\n"
        );
        assert_eq!(
            table.text(true),
            "|  | ms | ratio |\n|---|---:|---:|\n| servin-run | 2.1 | 1.00 |\n| crun | 10.9 | 5.19 |\n"
        );
    }
}
