//! Whole numbers in JSON as text, where those who have 53 bits for a number would read another one.

use odograph_lake::arrow::array::{Array, ArrowPrimitiveType, AsArray as _, PrimitiveArray};
use odograph_lake::arrow::datatypes::{DataType, FieldRef, Int64Type, UInt64Type};
use odograph_lake::arrow::error::ArrowError;
use odograph_lake::arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};
use std::io::Write as _;

/// Writes whole numbers of 64 bits, wherever they stand, as text where they are beyond ±2⁵³, letter for letter as a query compares
/// them. Those of the column `id` it writes as text whatever they are: most are beyond that, and who reads them is not to be
/// surprised by one of a thousand.
#[derive(Debug)]
pub(super) struct TextBeyond;

impl EncoderFactory for TextBeyond {
    fn make_default_encoder<'a>(
        &self,
        field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let always = field.name() == ID;
        Ok(match array.data_type() {
            DataType::Int64 => Some(encoder(array.as_primitive::<Int64Type>(), always)),
            DataType::UInt64 => Some(encoder(array.as_primitive::<UInt64Type>(), always)),
            _ => None,
        })
    }
}

fn encoder<T: ArrowPrimitiveType<Native: Into<i128>>>(
    numbers: &PrimitiveArray<T>,
    always: bool,
) -> NullableEncoder<'_> {
    NullableEncoder::new(Box::new(Whole { numbers, always }), numbers.nulls().cloned())
}

struct Whole<'a, T: ArrowPrimitiveType> {
    numbers: &'a PrimitiveArray<T>,
    always: bool,
}

impl<T: ArrowPrimitiveType<Native: Into<i128>>> Encoder for Whole<'_, T> {
    fn encode(&mut self, row: usize, out: &mut Vec<u8>) {
        let number: i128 = self.numbers.value(row).into();
        let is_text = self.always || number.unsigned_abs() > EXACT_MAX;
        // Memory takes all that is written.
        let _ = if is_text { write!(out, "\"{number}\"") } else { write!(out, "{number}") };
    }
}

/// The column of what records are known by.
const ID: &str = "id";
/// Up to here, every whole number is a number of JavaScript.
const EXACT_MAX: u128 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;
    use odograph_lake::arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, UInt64Array};
    use odograph_lake::arrow::json::LineDelimitedWriter;
    use odograph_lake::arrow::json::writer::{LineDelimited, WriterBuilder};
    use std::sync::Arc;

    fn written(columns: [(&str, ArrayRef); 2]) -> String {
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        let rows = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let mut writer: LineDelimitedWriter<Vec<u8>> =
            WriterBuilder::new().with_encoder_factory(Arc::new(TextBeyond)).build::<_, LineDelimited>(Vec::new());
        writer.write(&rows).unwrap();
        writer.finish().unwrap();
        String::from_utf8(writer.into_inner()).unwrap()
    }

    #[test]
    fn what_53_bits_do_not_hold_is_text_to_the_last_digit() {
        let numbers = [Some(1 << 53), Some((1 << 53) + 1), Some(-(1 << 53)), Some(i64::MIN), None];
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        let more: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX, 7, 0, 1 << 53, 1]));
        let expected = "{\"a\":9007199254740992,\"b\":\"18446744073709551615\"}\n{\"a\":\"9007199254740993\",\"b\":7}\n\
            {\"a\":-9007199254740992,\"b\":0}\n{\"a\":\"-9223372036854775808\",\"b\":9007199254740992}\n{\"b\":1}\n";
        assert_eq!(written([("a", numbers), ("b", more)]), expected);
    }

    #[test]
    fn ids_are_text_and_what_is_within_lists_too() {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 7]));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(i64::MAX), Some(1)]), None]);
        let expected = "{\"id\":\"9223372036854775807\",\"all\":[\"9223372036854775807\",1]}\n{\"id\":\"7\"}\n";
        assert_eq!(written([("id", ids), ("all", Arc::new(lists))]), expected);
        let own: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        assert_eq!(written([("id", own.clone()), ("b", own)]), "{\"id\":\"a\",\"b\":\"a\"}\n");
    }
}
