//! Numbers as Redis reads and writes them, byte for byte and without a locale.
//!
//! A file for each family: `integer.rs`, `double.rs`, `long_double.rs`. Under them lie what reading
//! floats has in common (`float.rs`), decimal places (`places.rs`) and the text that is written to
//! (`text.rs`); `short_sum.rs` is the short way of a sum of long doubles.
//!
//! This room knows nothing of keys, replies or error texts: a number that cannot be read is `None`,
//! and the caller knows which error that is.

mod double;
mod float;
mod integer;
mod long_double;
mod places;
mod short_sum;
mod text;

pub(crate) use double::{F64Text, parse_f64, parse_hexadecimal_f64, push_with_four_places};
pub(crate) use integer::{IntText, parse_i64, parse_loose_u64, parse_u64};
pub(crate) use long_double::LongDouble;
pub(crate) use short_sum::short_sum;
