//! Seeing what was read where.

/// What a field was read as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Traced<'a> {
    /// A whole number without sign.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// Takes note of every field that a reader read, in order.
///
/// Readers hold it as an `Option`: when nobody traces, the price is one branch that is always predicted.
pub trait Tracer {
    /// The field `name` took `length` bytes from offset `at` of the frame.
    fn field(&self, name: &'static str, at: usize, length: usize, value: Traced<'_>);
}
