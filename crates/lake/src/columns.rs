//! Which columns a table of records has, and how a parameter becomes one.
//!
//! Fixed columns come first; a parameter's column appears with its first value. In a column's name the dots of the
//! parameter's name are underscores; the name with dots, the unit and the meaning stand in the column's metadata.

use datafusion::arrow::array::{RecordBatch, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::error::ArrowError;
use odograph_model::{Key, Kind, PARAMETERS};
use std::collections::HashMap;
use std::sync::Arc;

/// Whose record it is.
pub(crate) const DEVICE: &str = "device";
/// When: the event time.
pub(crate) const TIME: &str = "time";
/// When it was received first.
pub(crate) const RECEIVED: &str = "received";
/// What the record is known by: the 64 bits of its id, as a signed number.
pub(crate) const ID: &str = "id";
/// What it came by.
pub(crate) const PROTOCOL: &str = "protocol";
/// The elements outside the dictionary: a map from the device's own names to texts.
pub(crate) const RAW: &str = "raw";
/// The day of the event time, UTC: what tables are partitioned by.
pub(crate) const DAY: &str = "day";

/// The metadata entry of a column that holds its parameter's name.
pub(crate) const PARAMETER: &str = "odograph.parameter";

/// The columns that every table of records has, the partition's behind all that files hold.
pub(crate) fn fixed() -> Vec<Field> {
    vec![
        Field::new(DEVICE, DataType::Utf8, false),
        Field::new(TIME, moment(), false),
        Field::new(RECEIVED, moment(), false),
        Field::new(ID, DataType::Int64, false),
        Field::new(PROTOCOL, DataType::Utf8, false),
        Field::new(DAY, DataType::Date32, false),
    ]
}

/// The column of a parameter.
pub(crate) fn of(key: Key) -> Field {
    let name = key.to_string();
    let mut metadata = HashMap::from([(PARAMETER.to_owned(), name.clone())]);
    if let Some(parameter) = PARAMETERS.iter().find(|parameter| is_of(&name, parameter.name)) {
        let unit = if parameter.unit.is_empty() { String::new() } else { format!(" ({})", parameter.unit) };
        metadata.insert("comment".to_owned(), format!("{}{unit}", parameter.meaning));
    }
    Field::new(name.replace('.', "_"), data_type(key), true).with_metadata(metadata)
}

/// The column of all that the dictionary does not name.
pub(crate) fn raw() -> Field {
    let entries =
        Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)]);
    Field::new(RAW, DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false), true)
}

/// The parameter that a column holds.
pub fn key(field: &Field) -> Option<Key> {
    Key::from_name(field.metadata().get(PARAMETER)?)
}

/// The name of the column that holds a parameter: it says so itself. Somebody else may have made one of the name that it
/// would have; that is the parameter's only if what devices said went there, because the type is the same.
pub(crate) fn find(schema: &Schema, key: Key) -> Option<&str> {
    let own = of(key);
    let mut fields = schema.fields().iter().filter(|field| field.data_type().equals_datatype(own.data_type()));
    let says = fields.clone().find(|field| self::key(field) == Some(key));
    let named = || fields.find(|field| field.name() == own.name() && self::key(field).is_none());
    Some(says.or_else(named)?.name())
}

/// The type of a parameter's column.
pub(crate) fn data_type(key: Key) -> DataType {
    match key.kind() {
        Kind::Float => DataType::Float64,
        Kind::Int => DataType::Int64,
        Kind::Bool => DataType::Boolean,
        Kind::Text => DataType::Utf8,
        Kind::List => DataType::List(Arc::new(Field::new("element", element(key), true))),
    }
}

/// What a list parameter's column holds.
pub(crate) fn element(key: Key) -> DataType {
    match key {
        Key::GsmCells => DataType::Struct(cell_fields()),
        Key::WifiAccessPoints => DataType::Struct(access_point_fields()),
        _ => DataType::Utf8,
    }
}

/// The fields of a cell of a mobile network.
pub(crate) fn cell_fields() -> Fields {
    ["mcc", "mnc", "lac", "cid", "signal"].map(|name| Field::new(name, DataType::Int64, true)).to_vec().into()
}

/// The fields of a Wi-Fi access point.
pub(crate) fn access_point_fields() -> Fields {
    vec![Field::new("mac", DataType::Utf8, true), Field::new("signal", DataType::Int64, true)].into()
}

/// One schema with the columns of both; those of `more` that `schema` lacks come behind its own.
pub(crate) fn merged(schema: &SchemaRef, more: &Schema) -> SchemaRef {
    let missing: Vec<_> =
        more.fields().iter().filter(|field| schema.field_with_name(field.name()).is_err()).cloned().collect();
    if missing.is_empty() {
        return schema.clone();
    }
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(missing).collect::<Vec<_>>()))
}

/// The rows, with other names for columns that `schema` has under the same name and with another type: somebody else
/// changed the table, and what devices said is kept all the same.
pub(crate) fn renamed(rows: RecordBatch, schema: &Schema) -> Result<RecordBatch, ArrowError> {
    let is_other = |field: &Field| {
        schema.field_with_name(field.name()).is_ok_and(|known| !known.data_type().equals_datatype(field.data_type()))
    };
    if !rows.schema().fields().iter().any(|field| is_other(field)) {
        return Ok(rows);
    }
    let name = |field: &Arc<Field>| {
        let mut field = field.clone();
        while is_other(&field) {
            field = Arc::new(field.as_ref().clone().with_name(format!("{}_own", field.name())));
        }
        field
    };
    let fields: Vec<_> = rows.schema().fields().iter().map(name).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), rows.columns().to_vec())
}

/// The rows, with the names that `schema` has for the columns of their parameters, and without those that it has not.
pub(crate) fn renamed_to(rows: &RecordBatch, schema: &Schema) -> Result<RecordBatch, ArrowError> {
    let has = rows.schema();
    let name = |field: &Arc<Field>| match key(field) {
        None => Some(field.clone()),
        Some(key) => Some(Arc::new(field.as_ref().clone().with_name(find(schema, key)?))),
    };
    let (fields, columns): (Vec<_>, Vec<_>) = has
        .fields()
        .iter()
        .zip(rows.columns())
        .filter_map(|(field, column)| Some((name(field)?, column.clone())))
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The rows with exactly the columns of `schema`, in its order: nothing where a column did not occur.
pub(crate) fn fitted(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |field: &Arc<Field>| match rows.column_by_name(field.name()) {
        Some(column) if column.data_type() == field.data_type() => Ok(column.clone()),
        Some(column) => cast(column, field.data_type()),
        None => Ok(new_null_array(field.data_type(), rows.num_rows())),
    };
    let columns = schema.fields().iter().map(column).collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema.clone(), columns)
}

/// A moment: microseconds, UTC.
pub(crate) fn moment() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Whether a parameter's name is of a row of the dictionary, where a number may stand in braces.
fn is_of(name: &str, row: &str) -> bool {
    match row.split_once('{') {
        Some((stem, _)) => {
            name.strip_prefix(stem).is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        }
        None => name == row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_a_column_of_its_own() {
        let mut names: Vec<String> = fixed().iter().map(|field| field.name().clone()).collect();
        names.push(RAW.to_owned());
        for parameter in PARAMETERS {
            let name = match parameter.name.split_once('{') {
                Some((stem, _)) => format!("{stem}1"),
                None => parameter.name.to_owned(),
            };
            let key = Key::from_name(&name).expect("the dictionary knows its own names");
            let column = of(key);
            assert_eq!(super::key(&column), Some(key));
            assert!(column.metadata()["comment"].starts_with(parameter.meaning), "{name}");
            names.push(column.name().clone());
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
