//! Tables for people: columns as wide as what stands in them.

/// Rows below a heading.
pub(super) fn headed(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut all = vec![heading.iter().map(|&title| title.to_owned()).collect()];
    all.extend(rows);
    plain(all, "")
}

/// Rows, each after `indent`, with two blanks between columns and none at the end of a line.
pub(super) fn plain(rows: Vec<Vec<String>>, indent: &str) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| visible(cell).chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: Vec<String>| {
        let row = row.into_iter().map(|cell| visible(&cell));
        let cells = row.zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    rows.into_iter().map(line).collect()
}

/// What a device said, without what would steer the terminal or make the text look like another.
pub(crate) fn visible(text: &str) -> String {
    let escaped = |c: char| if c.is_control() || is_unseen(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// The same for JSON, which is the same JSON afterwards: such characters stand within texts alone, and most are escaped anyway.
pub(super) fn visible_json(json: &str) -> String {
    let escaped = |c: char| match c.is_control() || is_unseen(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    json.chars().map(escaped).collect()
}

/// Characters without a width, and those that turn the direction of what follows.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        let table = headed(&["NAME", "PORT"], vec![row(&["gt06", "5023"]), row(&["teltonika", "5027"])]);
        assert_eq!(table, "NAME       PORT\ngt06       5023\nteltonika  5027\n");
        let hostile = headed(&["ID", "N"], vec![row(&["a\x1b[31m\n", "1"])]);
        assert_eq!(visible("a\u{202e}b\u{9b}2J\u{7f}\u{200b}ü"), "a\\u{202e}b\\u{9b}2J\\u{7f}\\u{200b}ü");
        let json = serde_json::json!({"id": "a\u{202e}b\u{9b}2J\u{7f}\nü"});
        let shown = visible_json(&json.to_string());
        assert_eq!(shown, r#"{"id":"a\u202eb\u009b2J\u007f\nü"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), json);
        assert_eq!(hostile, "ID             N\na\\u{1b}[31m\\n  1\n");
    }
}
