//! SQL with its arguments, for both databases: text that was written here, `$1` and on for everything that was not.
//!
//! Text can only be added as `&'static str`: what somebody sent can become an argument, never a part of a statement.

use futures::TryStreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, Arguments as _, AssertSqlSafe, Encode, Executor, Row as _, Type};

use crate::Error;

/// Statements with more arguments are not kept prepared.
const PREPARED_ARGUMENTS_MAX: usize = 120;

/// A statement.
pub(crate) struct Sql {
    text: String,
    arguments: AnyArguments,
    count: usize,
}

impl Sql {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), arguments: AnyArguments::default(), count: 0 }
    }

    /// Adds text.
    pub(crate) fn push(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Adds the next argument, which the text names by its number.
    pub(crate) fn bind<T: for<'q> Encode<'q, Any> + Type<Any>>(mut self, value: T) -> Self {
        // Text and numbers can always be encoded.
        self.arguments.add(value).expect("an argument is text or a number");
        self.count += 1;
        self
    }

    /// Adds the next argument, and its number to the text.
    pub(crate) fn push_bind<T: for<'q> Encode<'q, Any> + Type<Any>>(self, value: T) -> Self {
        let mut sql = self.bind(value);
        let number = sql.count;
        sql.text.push('$');
        sql.text.push_str(&number.to_string());
        sql
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn query(self) -> sqlx::query::Query<'static, Any, AnyArguments> {
        // Statements with a list of many rows differ in length each time: not worth keeping.
        let persistent = self.count <= PREPARED_ARGUMENTS_MAX;
        sqlx::query_with(AssertSqlSafe(self.text), self.arguments).persistent(persistent)
    }

    pub(crate) async fn rows<'e, E: Executor<'e, Database = Any>>(self, on: E) -> Result<Vec<AnyRow>, Error> {
        self.query().fetch_all(on).await.map_err(Error::reading)
    }

    /// The first rows, with so many bytes of text at most, but one in any case. Says whether there are more. What is behind them is not
    /// read into memory.
    pub(crate) async fn rows_within<'e, E: Executor<'e, Database = Any>>(
        self,
        on: E,
        bytes_max: usize,
    ) -> Result<(Vec<AnyRow>, bool), Error> {
        let (mut some, mut bytes) = (Vec::new(), 0);
        let mut rows = self.query().fetch(on);
        while let Some(row) = rows.try_next().await.map_err(Error::reading)? {
            bytes += text_bytes(&row);
            if bytes > bytes_max && !some.is_empty() {
                return Ok((some, true));
            }
            some.push(row);
        }
        Ok((some, false))
    }

    pub(crate) async fn row<'e, E: Executor<'e, Database = Any>>(self, on: E) -> Result<Option<AnyRow>, Error> {
        self.query().fetch_optional(on).await.map_err(Error::reading)
    }

    /// Says how many rows it changed.
    pub(crate) async fn execute<'e, E: Executor<'e, Database = Any>>(self, on: E) -> Result<i64, Error> {
        let done = self.query().execute(on).await.map_err(Error::writing)?;
        Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
    }
}

/// How many bytes of text a row has.
fn text_bytes(row: &AnyRow) -> usize {
    // A number is none, and takes little.
    let texts = (0..row.len()).filter_map(|column| row.try_get::<Option<&str>, _>(column).ok().flatten());
    texts.map(str::len).sum()
}

/// What a row holds.
pub(crate) trait Columns {
    fn text(&self, column: &'static str) -> Result<String, Error>;
    fn text_or_none(&self, column: &'static str) -> Result<Option<String>, Error>;
    fn number(&self, column: &'static str) -> Result<i64, Error>;
    fn number_or_none(&self, column: &'static str) -> Result<Option<i64>, Error>;

    /// A flag, which is written as 0 or 1.
    fn flag(&self, column: &'static str) -> Result<bool, Error> {
        Ok(self.number(column)? != 0)
    }

    /// What was written with [`json`].
    fn parsed<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, Error> {
        parse(column, &self.text(column)?)
    }

    /// What was written with [`json`], or nothing.
    fn parsed_or_none<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, Error> {
        self.text_or_none(column)?.map(|text| parse(column, &text)).transpose()
    }

    /// What has a name.
    fn named<T>(&self, column: &'static str, from_name: impl Fn(&str) -> Option<T>) -> Result<T, Error> {
        let name = self.text(column)?;
        from_name(&name).ok_or_else(|| Error::Damaged { column, reason: format!("{name:?} is unknown") })
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &'static str) -> Result<String, Error> {
        self.try_get(column).map_err(Error::reading)
    }

    fn text_or_none(&self, column: &'static str) -> Result<Option<String>, Error> {
        self.try_get(column).map_err(Error::reading)
    }

    fn number(&self, column: &'static str) -> Result<i64, Error> {
        self.try_get(column).map_err(Error::reading)
    }

    fn number_or_none(&self, column: &'static str) -> Result<Option<i64>, Error> {
        self.try_get(column).map_err(Error::reading)
    }
}

/// A value as a column keeps it.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("our types have keys that are text")
}

fn parse<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Damaged { column, reason: error.to_string() })
}
