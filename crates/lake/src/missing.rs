//! Columns that a question names and that no record of its tenant has yet: a column appears with its first value, and until
//! then whoever asks for a parameter of the dictionary sees that there is none.
//!
//! Only where a question cannot be planned without them, so that `SELECT *` shows what there is, and a name that a question
//! itself gives to something stays its own.

use crate::lake::Views;
use crate::query::{register, session};
use crate::{Error, columns, guard};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::common::SchemaError;
use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::error::DataFusionError;
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use odograph_model::Key;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Plans a question over a tenant's tables.
pub(crate) async fn plan(views: Views, sql: &str, memory: usize) -> Result<(SessionContext, DataFrame), Error> {
    let mut more = Schema::empty();
    loop {
        let context = session(memory)?;
        register(&context, views.clone(), &more)?;
        match guard::plan(&context, sql).await {
            Ok(plan) => return Ok((context, plan)),
            Err(error) => {
                let Some(unknown) = unknown(&error) else { return Err(error) };
                let named = if more.fields().is_empty() { named(sql) } else { Schema::empty() };
                if named.fields().is_empty() {
                    return Err(suggested(error, &unknown));
                }
                more = named;
            }
        }
    }
}

/// The name for which there is no column.
fn unknown(error: &Error) -> Option<String> {
    let Error::Query(error) = error else { return None };
    match error.find_root() {
        DataFusionError::SchemaError(error, _) => match &**error {
            SchemaError::FieldNotFound { field, .. } => Some(field.name().to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// The columns of the dictionary that a question names.
fn named(sql: &str) -> Schema {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let names: BTreeSet<String> = tokens.into_iter().filter_map(name).collect();
    let keys = names.iter().filter_map(|name| COLUMNS.get(name)).map(|key| columns::of(*key));
    let raw = names.contains(columns::RAW).then(columns::raw);
    Schema::new(keys.chain(raw).collect::<Vec<Field>>())
}

/// As SQL takes it: without quotes, capitals mean nothing.
fn name(token: Token) -> Option<String> {
    let Token::Word(word) = token else { return None };
    Some(if word.quote_style.is_some() { word.value } else { word.value.to_lowercase() })
}

/// The same error with what may have been meant, where the tables' own columns are no help.
fn suggested(error: Error, unknown: &str) -> Error {
    let text = error.to_string();
    let (line, rest) =
        text.split_once('\n').map_or((&*text, String::new()), |(line, rest)| (line, format!("\n{rest}")));
    let names = like(&unknown.to_lowercase());
    if names.is_empty() || line.contains("Did you mean") {
        return error;
    }
    Error::Refused(format!("{}. Did you mean {}?{rest}", line.trim_end_matches('.'), names.join(" or ")))
}

/// Columns of the dictionary that are called about so, the likeliest first.
fn like(unknown: &str) -> Vec<&'static str> {
    let likeness = |name: &str| {
        let is_part = name.strip_suffix(unknown).is_some_and(|before| before.ends_with('_'));
        if is_part { 1.0 } else { normalized_levenshtein(name, unknown) }
    };
    let of = COLUMNS.keys().map(|name| (likeness(name), name.as_str())).filter(|(likeness, _)| *likeness >= LIKE);
    let mut of: Vec<(f64, &'static str)> = of.collect();
    of.sort_by(|one, other| other.0.total_cmp(&one.0).then_with(|| one.1.len().cmp(&other.1.len())));
    of.into_iter().take(SUGGESTED).map(|(_, name)| name).collect()
}

/// Every parameter by the name of its column.
static COLUMNS: LazyLock<BTreeMap<String, Key>> = LazyLock::new(|| {
    let indices = 0..u16::try_from(Key::COUNT).unwrap_or(u16::MAX);
    indices.filter_map(Key::from_index).map(|key| (columns::of(key).name().clone(), key)).collect()
});

/// A letter in five may be wrong.
const LIKE: f64 = 0.8;
/// More than that is no help.
const SUGGESTED: usize = 3;
