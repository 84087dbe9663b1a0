//! Tools and the choice among them, in the two forms that the endpoints use.

use serde_json::Value;

use super::{Nesting, check_name, check_size};
use crate::error::ApiError;
use crate::fields::{self, Fields};
use crate::limits;
use crate::request::{Tool, ToolChoice};

/// Reads `tools` and `tool_choice`.
pub(super) fn parse(fields: Fields<'_>, nesting: Nesting) -> Result<(Vec<Tool>, ToolChoice), ApiError> {
    let tools = fields
        .list("tools", limits::TOOLS_MAX)?
        .unwrap_or_default()
        .iter()
        .enumerate()
        .map(|(index, value)| tool(value, &format!("tools[{index}]"), nesting))
        .collect::<Result<Vec<_>, _>>()?;
    let choice = choice(fields, &tools, nesting)?;
    Ok((tools, choice))
}

fn tool(value: &Value, path: &str, nesting: Nesting) -> Result<Tool, ApiError> {
    let fields = Fields::new(value, path)?;
    if fields.need_text("type", limits::NAME_BYTES_MAX)? != "function" {
        let reason = "only tools of type 'function' can be called, and the client runs them";
        return Err(ApiError::Unsupported { param: fields.path_of("type"), reason });
    }
    let inner = fields.path_of("function");
    let function = match nesting {
        Nesting::Nested => Fields::new(fields.need("function")?, &inner)?,
        Nesting::Flat => fields,
    };
    let name = function.need_text("name", limits::NAME_BYTES_MAX)?;
    check_name(name, || function.path_of("name"))?;
    let parameters = function.get("parameters");
    if let Some(schema) = parameters {
        let path = function.path_of("parameters");
        Fields::new(schema, &path)?;
        check_size(schema, path)?;
    }
    Ok(Tool {
        name: name.to_owned(),
        description: function.text("description", limits::BODY_BYTES_MAX)?.map(str::to_owned),
        parameters: parameters.cloned(),
        strict: function.flag("strict")?,
    })
}

fn choice(fields: Fields<'_>, tools: &[Tool], nesting: Nesting) -> Result<ToolChoice, ApiError> {
    let asked = match fields.get("tool_choice") {
        None => None,
        Some(Value::String(word)) => Some(match word.as_str() {
            "none" => ToolChoice::None,
            "auto" => ToolChoice::Auto,
            "required" => ToolChoice::Required,
            other => return Err(fields::wrong_value("tool_choice", other, "'none', 'auto', and 'required'")),
        }),
        Some(value @ Value::Object(_)) => Some(ToolChoice::Function(named(value, nesting)?)),
        Some(other) => return Err(fields::wrong_type("tool_choice", "a string or an object", other)),
    };
    match asked {
        None | Some(ToolChoice::None | ToolChoice::Auto) if tools.is_empty() => Ok(ToolChoice::None),
        None => Ok(ToolChoice::Auto),
        Some(ToolChoice::Required | ToolChoice::Function(_)) if tools.is_empty() => Err(ApiError::Conflict {
            param: "tool_choice".to_owned(),
            reason: "'tool_choice' is only allowed when 'tools' are specified",
        }),
        Some(ToolChoice::Function(name)) if !tools.iter().any(|tool| tool.name == name) => {
            Err(ApiError::ToolUnknown { name })
        }
        Some(choice) => Ok(choice),
    }
}

fn named(value: &Value, nesting: Nesting) -> Result<String, ApiError> {
    let fields = Fields::new(value, "tool_choice")?;
    let kind = fields.need_text("type", limits::NAME_BYTES_MAX)?;
    if kind != "function" {
        return Err(fields::wrong_value("tool_choice.type", kind, "'function'"));
    }
    let holder = match nesting {
        Nesting::Nested => Fields::new(fields.need("function")?, "tool_choice.function")?,
        Nesting::Flat => fields,
    };
    Ok(holder.need_text("name", limits::NAME_BYTES_MAX)?.to_owned())
}
