//! Columns for people.

use std::io::{self, Write};

use super::FAINT;
use anstyle::Style;

/// A table whose columns are as wide as what is in them.
pub struct Table {
    names: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with these columns; those whose name starts with `>` are aligned to the right.
    pub fn new(names: &[&'static str]) -> Self {
        Self {
            names: names
                .iter()
                .map(|name| name.trim_start_matches('>'))
                .collect(),
            right: names.iter().map(|name| name.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.styled(cells.into_iter().map(|cell| (Style::new(), cell)));
    }

    /// Adds a row of cells with styles of their own.
    pub fn styled<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = (Style, T)>) {
        let cells = cells.into_iter().map(|(style, cell)| (style, cell.into()));
        self.rows.push(cells.collect());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes it.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let names = self.names.iter().map(|name| (FAINT, (*name).to_owned()));
        let names: Vec<_> = names.collect();
        let lines = || std::iter::once(&names).chain(&self.rows);
        let width = |column: usize| {
            let cells = lines().filter_map(|row| row.get(column));
            cells
                .map(|(_, cell)| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        for row in lines() {
            let mut blanks = 0;
            // Nothing is written behind the last cell that has something in it.
            let end = row.iter().rposition(|(_, cell)| !cell.is_empty());
            let row = row.get(..end.map_or(0, |end| end + 1)).unwrap_or_default();
            for ((style, cell), (width, right)) in row.iter().zip(widths.iter().zip(&self.right)) {
                let pad = width.saturating_sub(cell.chars().count());
                let before = blanks + if *right { pad } else { 0 };
                write!(out, "{:before$}{style}{cell}{style:#}", "")?;
                blanks = 2 + if *right { 0 } else { pad };
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&[">IF", "NAME", ">MTU"]);
        table.row(["1", "loopback", "65536"]);
        table.row(["12", "nic0", "1500"]);
        table.row(["13", "x", ""]);
        let mut out = anstream::StripStream::new(Vec::new());
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out.into_inner()).unwrap();
        assert_eq!(
            text,
            "IF  NAME        MTU\n 1  loopback  65536\n12  nic0       1500\n13  x\n"
        );
    }
}
