//! How much a question asks at once, found before it is parsed: every operator deepens the tree that parser, planner and
//! optimizer walk by calling themselves, and a stack that is used up ends the process.

use crate::Error;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};
use std::collections::HashMap;

/// Refuses a question that would become too deep or too large, written out.
pub(crate) fn check(sql: &str) -> Result<(), Error> {
    // What is no SQL is said by who parses it.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    let tokens: Vec<_> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    if let Some(long) = tokens.iter().filter_map(text).map(str::len).find(|&bytes| bytes > TEXT_BYTES_MAX) {
        return Err(Error::Refused(format!(
            "a text in a question has at most {TEXT_BYTES_MAX} bytes, and one here has {long}"
        )));
    }
    let terms = Count::of(&tokens);
    if terms <= TERMS_MAX {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "a question has at most {TERMS_MAX} operators, joins and sub-queries (a join counts as {JOIN_TERMS}, and each name of a WITH as what it stands for), and this \
         one has {terms}: use IN (…) instead of many ORs, or ask several questions"
    )))
}

fn text(token: &Token) -> Option<&str> {
    use Token::{EscapedStringLiteral, NationalStringLiteral, SingleQuotedString, UnicodeStringLiteral};
    match token {
        SingleQuotedString(text) | NationalStringLiteral(text) => Some(text),
        EscapedStringLiteral(text) | UnicodeStringLiteral(text) | Token::HexStringLiteral(text) => Some(text),
        Token::DollarQuotedString(text) => Some(&text.value),
        Token::SingleQuotedRawStringLiteral(text) | Token::SingleQuotedByteStringLiteral(text) => Some(text),
        Token::TripleSingleQuotedString(text) | Token::TripleDoubleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// What is within a pair of parentheses.
#[derive(Default)]
struct Level {
    /// After FROM, where commas are joins.
    in_from: bool,
    /// The name of a WITH that stands for this.
    defines: Option<String>,
    /// Operators here, where this is such a definition.
    terms: usize,
}

struct Count {
    levels: Vec<Level>,
    /// Operators of what the names of a WITH stand for.
    known: HashMap<String, usize>,
    /// As they are written.
    written: usize,
}

impl Count {
    /// The greater of how many are written, and how many there are with definitions in the place of their names.
    fn of(tokens: &[Token]) -> usize {
        let mut count = Self { levels: vec![Level::default()], known: HashMap::new(), written: 0 };
        let mut greatest = 0;
        for (at, token) in tokens.iter().enumerate() {
            match token {
                Token::LParen => {
                    let defines = defined(&tokens[..at]);
                    count.levels.push(Level { defines, ..Level::default() });
                }
                Token::RParen if count.levels.len() > 1 => greatest = greatest.max(count.close()),
                _ => count.token(token, &tokens[..at]),
            }
        }
        while count.levels.len() > 1 {
            greatest = greatest.max(count.close());
        }
        greatest.max(count.levels[0].terms).max(count.written)
    }

    /// The parentheses end. Returns what they came to.
    fn close(&mut self) -> usize {
        let level = self.levels.pop().expect("it was opened");
        let outer = self.levels.last_mut().expect("the outermost is never closed");
        match level.defines {
            Some(name) => {
                let known = self.known.entry(name).or_default();
                *known = level.terms.max(*known);
            }
            None => outer.terms = outer.terms.saturating_add(level.terms),
        }
        level.terms
    }

    fn token(&mut self, token: &Token, before: &[Token]) {
        let level = self.levels.last_mut().expect("the outermost is never closed");
        let mut stands_for = 0;
        if let Token::Word(word) = token {
            stands_for = self.known.get(&word.value.to_lowercase()).copied().unwrap_or(0);
            match upper(word).as_str() {
                "FROM" => level.in_from = true,
                "SELECT" | "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "OFFSET" | "WINDOW" | "QUALIFY"
                | "UNION" | "INTERSECT" | "EXCEPT" | "MINUS" => level.in_from = false,
                _ => {}
            }
        }
        let own = weight(token, before, level.in_from);
        self.written += own;
        level.terms = level.terms.saturating_add(own).saturating_add(stands_for);
    }
}

/// The name that what follows in parentheses stands for: `name [(columns)] AS [NOT MATERIALIZED] (`.
fn defined(before: &[Token]) -> Option<String> {
    let mut rest = before;
    let word = |token: &Token| match token {
        Token::Word(word) => upper(word),
        _ => String::new(),
    };
    while let Some((last, others)) =
        rest.split_last().filter(|(last, _)| matches!(&*word(last), "MATERIALIZED" | "NOT"))
    {
        let _ = last;
        rest = others;
    }
    let (last, mut rest) = rest.split_last()?;
    if word(last) != "AS" {
        return None;
    }
    if rest.last() == Some(&Token::RParen) {
        let mut open = 0_usize;
        let begin = rest.iter().rposition(|token| {
            match token {
                Token::RParen => open += 1,
                Token::LParen => open -= 1,
                _ => {}
            }
            open == 0
        })?;
        rest = &rest[..begin];
    }
    match rest.last()? {
        Token::Word(name) => Some(name.value.to_lowercase()),
        _ => None,
    }
}

/// How much a token adds by putting one part of a tree into another. Lists do not, long as they are.
fn weight(token: &Token, before: &[Token], in_from: bool) -> usize {
    match token {
        Token::Comma => {
            if in_from {
                JOIN_TERMS
            } else {
                0
            }
        }
        // `a.b` is one name, `a.b.c.d` one part within another.
        Token::Period => usize::from(before.len() >= 2 && before[before.len() - 2] == Token::Period),
        Token::LParen | Token::RParen | Token::SemiColon | Token::EOF | Token::Number(..) => 0,
        Token::Word(word) => match upper(word).as_str() {
            "JOIN" | "APPLY" => JOIN_TERMS,
            word => usize::from(DEEPENING.contains(&word)),
        },
        other => usize::from(text(other).is_none()),
    }
}

/// A word that may be part of the language: a quoted one is a name.
fn upper(word: &Word) -> String {
    if word.quote_style.is_some() { String::new() } else { word.value.to_uppercase() }
}

/// Words that put one part of a tree into another. What is neither a word nor in a list does so, too.
const DEEPENING: &[&str] = &[
    "AND",
    "AT",
    "BETWEEN",
    "CASE",
    "COLLATE",
    "DIV",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "ILIKE",
    "IN",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "ISNULL",
    "LATERAL",
    "LIKE",
    "MATCH",
    "MATCH_RECOGNIZE",
    "MEMBER",
    "MINUS",
    "NOT",
    "NOTNULL",
    "OPERATOR",
    "OR",
    "OVERLAPS",
    "PIVOT",
    "PRIOR",
    "REGEXP",
    "RLIKE",
    "SELECT",
    "SIMILAR",
    "TABLE",
    "UNION",
    "UNPIVOT",
    "VALUES",
    "WHEN",
    "WITH",
    "XOR",
];
/// More than any person writes; each takes some kilobytes of a stack of [`crate::questions::STACK_BYTES`].
pub(crate) const TERMS_MAX: usize = 500;
/// A join counts as so many: planning takes far longer with each.
const JOIN_TERMS: usize = 8;
/// Each row of what is asked for may hold a copy of it.
const TEXT_BYTES_MAX: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(sql: &str) -> usize {
        Count::of(&Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap())
    }

    #[test]
    fn lists_do_not_count_and_what_deepens_does() {
        let list = vec!["'1'"; 5000].join(",");
        check(&format!("SELECT device FROM records WHERE device IN ({list})")).unwrap();
        check(&format!("SELECT {} FROM records r", vec!["r.device"; 2000].join(","))).unwrap();
        check("SELECT 'not SQL").unwrap();
        let counted = |sql: &str| {
            let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap();
            let tokens: Vec<_> = tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
            Count::of(&tokens)
        };
        assert_eq!(terms("1+1+1"), 2);
        assert_eq!(counted("SELECT a, b FROM t, u, v WHERE f(a, b) AND a IN (1, 2)"), 19);
        // a: 2 (SELECT and +), b: 1, a join and twice a; WITH, NOT and the last SELECT.
        assert_eq!(
            counted("WITH a AS (SELECT 1+1), b(x, y) AS NOT MATERIALIZED (SELECT 1 FROM a JOIN a) SELECT 1 FROM B"),
            16
        );
    }

    #[test]
    fn names_that_stand_for_more_and_more_are_refused() {
        let doubled = |n: usize| format!("a{} AS (SELECT 1 FROM a{n} x JOIN a{n} y ON true)", n + 1);
        let all: Vec<_> = (0..20).map(doubled).collect();
        let said =
            check(&format!("WITH a0 AS (SELECT 1), {} SELECT 1 FROM a20", all.join(","))).unwrap_err().to_string();
        assert!(said.starts_with("a question has at most 500 operators, joins and sub-queries"), "{said}");
    }
}
