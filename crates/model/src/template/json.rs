//! The `tojson` filter as Hugging Face defines it: Python's `json.dumps` without ASCII escapes, key order kept, nothing
//! escaped for HTML.

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};

/// Deepest nesting that is written. Python stops at about 1,000; a client's JSON is parsed to at most 128 levels.
const DEPTH_MAX: usize = 256;

/// How to lay JSON out.
#[derive(Debug, Clone)]
struct Layout {
    item_separator: String,
    key_separator: String,
    indent: Option<String>,
    sort_keys: bool,
    ascii: bool,
}

/// The filter: `value | tojson(indent=None, ensure_ascii=False, separators=None, sort_keys=False)`.
#[expect(clippy::needless_pass_by_value, reason = "the signature that the template engine calls")]
pub(super) fn to_json(value: Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => options.get::<Option<Value>>("indent")?,
    };
    let indent = indent.filter(|indent| !indent.is_none() && !indent.is_undefined()).map(read_indent).transpose()?;
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let (item_separator, key_separator) = match separators.as_deref() {
        None => (if indent.is_some() { "," } else { ", " }, ": "),
        Some([item, key]) => (item.as_str(), key.as_str()),
        Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "separators must be a pair")),
    };
    let layout = Layout {
        item_separator: item_separator.to_owned(),
        key_separator: key_separator.to_owned(),
        indent,
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let json = serde_json::to_value(&value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "value is not JSON").with_source(error))?;
    let mut out = String::new();
    layout.write(&json, 0, &mut out)?;
    Ok(Value::from_safe_string(out))
}

/// A number of spaces, or the text itself.
fn read_indent(indent: Value) -> Result<String, Error> {
    /// More than any template asks for; the limit bounds what one call can write.
    const SPACES_MAX: usize = 64;
    if let Some(text) = indent.as_str() {
        return Ok(text.to_owned());
    }
    let spaces = usize::try_from(indent)?;
    Ok(" ".repeat(spaces.min(SPACES_MAX)))
}

impl Layout {
    fn write(&self, value: &serde_json::Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::new(ErrorKind::InvalidOperation, "value nests too deep for JSON"));
        }
        match value {
            serde_json::Value::Null => out.push_str("null"),
            serde_json::Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            serde_json::Value::Number(number) => out.push_str(&python_number(number)),
            serde_json::Value::String(text) => self.write_string(text, out),
            serde_json::Value::Array(items) => {
                self.write_all(('[', ']'), items.iter(), depth, out, |item, out| self.write(item, depth + 1, out))?;
            }
            serde_json::Value::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.sort_keys {
                    entries.sort_by(|left, right| left.0.cmp(right.0));
                }
                self.write_all(('{', '}'), entries.into_iter(), depth, out, |(key, item), out| {
                    self.write_string(key, out);
                    out.push_str(&self.key_separator);
                    self.write(item, depth + 1, out)
                })?;
            }
        }
        Ok(())
    }

    fn write_all<T>(
        &self,
        (open, close): (char, char),
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        out: &mut String,
        mut write: impl FnMut(T, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        let is_empty = items.len() == 0;
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push_str(&self.item_separator);
            }
            self.break_line(depth + 1, out);
            write(item, out)?;
        }
        if !is_empty {
            self.break_line(depth, out);
        }
        out.push(close);
        Ok(())
    }

    fn break_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            for _ in 0..depth {
                out.push_str(indent);
            }
        }
    }

    fn write_string(&self, text: &str, out: &mut String) {
        out.push('"');
        for character in text.chars() {
            match character {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !c.is_ascii()) || (self.ascii && c == '\u{7f}') => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let digits = [12, 8, 4, 0]
                            .map(|shift| char::from(b"0123456789abcdef"[usize::from(*unit >> shift & 15)]));
                        out.push_str("\\u");
                        out.extend(digits);
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

/// A number as Python writes it: integers as they are, floats by their shortest digits, with an exponent of at least two
/// digits below 1e-4 and from 1e16 on.
fn python_number(number: &serde_json::Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string();
    };
    if float == 0.0 {
        return if float.is_sign_negative() { "-0.0".to_owned() } else { "0.0".to_owned() };
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{float}");
        return if plain.contains('.') { plain } else { format!("{plain}.0") };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
