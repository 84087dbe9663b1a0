//! Typed readers for JSON objects that answer each mistake as OpenAI's server does.

use serde_json::{Map, Value};

use crate::error::{ApiError, excerpt};

/// A JSON object together with the path it was found at.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    /// Takes an object found at `path`; the body itself has the empty path.
    pub(crate) fn new(value: &'a Value, path: &'a str) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { map, path }),
            other => Err(wrong_type(if path.is_empty() { "body" } else { path }, "an object", other)),
        }
    }

    /// Path of a field, as clients are told it.
    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// The field, unless it is absent or null.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The field, which must be there.
    pub(crate) fn need(&self, name: &str) -> Result<&'a Value, ApiError> {
        self.get(name).ok_or_else(|| ApiError::Missing { param: self.path_of(name) })
    }

    /// A string field.
    pub(crate) fn text(&self, name: &str, bytes_max: usize) -> Result<Option<&'a str>, ApiError> {
        self.get(name).map(|value| text(value, || self.path_of(name), bytes_max)).transpose()
    }

    /// A string field that must be there and hold something.
    pub(crate) fn need_text(&self, name: &str, bytes_max: usize) -> Result<&'a str, ApiError> {
        let found = text(self.need(name)?, || self.path_of(name), bytes_max)?;
        if found.is_empty() { Err(ApiError::StringEmpty { param: self.path_of(name) }) } else { Ok(found) }
    }

    /// A true-or-false field.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong_type(self.path_of(name), "a boolean", other)),
        }
    }

    /// A list field.
    pub(crate) fn list(&self, name: &str, count_max: usize) -> Result<Option<&'a [Value]>, ApiError> {
        self.get(name).map(|value| list(value, || self.path_of(name), count_max)).transpose()
    }

    /// A whole number from `min` to `max`.
    pub(crate) fn integer(&self, name: &str, min: i64, max: u64) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|value| integer(value, || self.path_of(name), min, max)).transpose()
    }

    /// A number from `min` to `max`, rounded to the nearest `f32`; negative zero becomes zero.
    pub(crate) fn decimal(&self, name: &str, min: f64, max: f64) -> Result<Option<f32>, ApiError> {
        self.get(name).map(|value| decimal(value, || self.path_of(name), min, max)).transpose()
    }

    /// Names and values in the order sent.
    pub(crate) fn entries(&self) -> impl ExactSizeIterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }
}

/// A string of at most `bytes_max` bytes.
pub(crate) fn text(value: &Value, path: impl Fn() -> String, bytes_max: usize) -> Result<&str, ApiError> {
    let Value::String(found) = value else { return Err(wrong_type(path(), "a string", value)) };
    if found.len() > bytes_max {
        return Err(ApiError::StringTooLong { param: path(), max: bytes_max, found: found.len() });
    }
    Ok(found)
}

/// A list of at most `count_max` entries.
pub(crate) fn list(value: &Value, path: impl Fn() -> String, count_max: usize) -> Result<&[Value], ApiError> {
    let Value::Array(found) = value else { return Err(wrong_type(path(), "an array", value)) };
    if found.len() > count_max {
        return Err(ApiError::ArrayTooLong { param: path(), max: count_max, found: found.len() });
    }
    Ok(found)
}

/// A whole number from `min` to `max`; `max` is cut to what an `i64` holds.
pub(crate) fn integer(value: &Value, path: impl Fn() -> String, min: i64, max: u64) -> Result<i64, ApiError> {
    let Value::Number(number) = value else { return Err(wrong_type(path(), "an integer", value)) };
    let max = max.min(i64::MAX as u64);
    let found = match (number.as_i64(), number.as_u64()) {
        (Some(found), _) => found,
        (None, Some(_)) => return Err(ApiError::IntegerAbove { param: path(), max, found: number.to_string() }),
        // Some clients write every number with a decimal point.
        (None, None) => match number.as_f64() {
            Some(found) if found.fract() == 0.0 && found.abs() < (1_u64 << 53) as f64 => found as i64,
            _ => return Err(ApiError::Type { param: path(), expected: "an integer", found: "a decimal" }),
        },
    };
    if found < min {
        return Err(ApiError::IntegerBelow { param: path(), min, found: found.to_string() });
    }
    if found > max as i64 {
        return Err(ApiError::IntegerAbove { param: path(), max, found: found.to_string() });
    }
    Ok(found)
}

/// A number from `min` to `max`, rounded to the nearest `f32`; negative zero becomes zero.
pub(crate) fn decimal(value: &Value, path: impl Fn() -> String, min: f64, max: f64) -> Result<f32, ApiError> {
    let Some(found) = value.as_f64() else { return Err(wrong_type(path(), "a decimal", value)) };
    if found < min {
        return Err(ApiError::DecimalBelow { param: path(), min, found });
    }
    if found > max {
        return Err(ApiError::DecimalAbove { param: path(), max, found });
    }
    // Adding zero turns negative zero into zero, so that equal requests have equal bits in the receipt.
    Ok(found as f32 + 0.0)
}

/// The error for a value of the wrong JSON type.
pub(crate) fn wrong_type(path: impl Into<String>, expected: &'static str, found: &Value) -> ApiError {
    ApiError::Type { param: path.into(), expected, found: name_of(found) }
}

/// The error for a word that is none of `supported`.
pub(crate) fn wrong_value(path: impl Into<String>, found: &str, supported: &'static str) -> ApiError {
    ApiError::Value { param: path.into(), found: excerpt(found), supported }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
