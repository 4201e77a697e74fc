//! HTML, as far as a report needs it.

/// Text that cannot be taken for markup.
pub(super) fn escaped(text: &str) -> String {
    let each = |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(each).collect()
}

/// A table whose first column is text and whose others are numbers.
pub(super) fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect::<String>()
    };
    let mut out =
        format!("<table>\n<thead><tr>{}</tr></thead>\n<tbody>\n", cells("th", &mut head.iter().copied()));
    for row in rows {
        out += &format!("<tr>{}</tr>\n", cells("td", &mut row.iter().map(String::as_str)));
    }
    out + "</tbody>\n</table>\n"
}
