//! The parts of the manifest that the `impl` block knows, as JSON text.

use super::{method::Method, parse::Plugin};
use crate::json;

/// Name, version and mode, as members of an object.
pub(super) fn identity(plugin: &Plugin) -> String {
    let mode = if plugin.overlap { "overlap" } else { "barrier" };
    format!(
        "\"name\":{},\"version\":{},\"mode\":\"{mode}\"",
        json::string(&plugin.name),
        json::string(&plugin.version),
    )
}

/// The methods, as an array.
pub(super) fn methods(plugin: &Plugin) -> String {
    let methods: Vec<String> = plugin.methods.iter().map(method).collect();
    format!("[{}]", methods.join(","))
}

fn method(method: &Method) -> String {
    let arguments: Vec<String> = method
        .arguments
        .iter()
        .map(|argument| {
            format!(
                "{{\"name\":{},\"type\":{}}}",
                json::string(&argument.name),
                json::string(&argument.text)
            )
        })
        .collect();
    format!(
        "{{\"name\":{},\"doc\":{},\"exclusive\":{},\"arguments\":[{}],\"returns\":{},\"fallible\":{},\"async\":{}}}",
        json::string(&method.name),
        json::string(&method.doc),
        method.exclusive,
        arguments.join(","),
        json::string(&method.returns),
        method.fallible,
        method.r#async,
    )
}

/// The signature that error messages begin with: `add(by: u64)`.
pub(super) fn signature(method: &Method) -> String {
    let arguments: Vec<String> = method
        .arguments
        .iter()
        .map(|argument| format!("{}: {}", argument.name, argument.text))
        .collect();
    format!("{}({})", method.name, arguments.join(", "))
}
