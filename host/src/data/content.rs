//! Content on its way into a plugin: as what it is given, and what the plugin says of it.

use super::{
    format::{Format, Mistake, Position},
    revision::Revision,
};
use crate::foreign::{
    instance::PluginFault,
    parsed::{Parse, Parsed},
};
use plugin_api::contract::{FORMAT_BYTES, FORMAT_JSON, FaultKind};
use std::borrow::Cow;

/// Parses one value, on this thread.
pub(super) fn parse(parser: &dyn Parse, read: u32, of: &Revision) -> Result<Parsed, Mistake> {
    let (format, content) = crossing(of);
    parser
        .parse(read, format, &content)
        .map_err(|fault| mistake(&fault, of.record.format))
}

/// Content as it is given to plugins, with its format there.
pub(crate) fn crossing(revision: &Revision) -> (u32, Cow<'_, [u8]>) {
    match (&revision.parsed, revision.record.format) {
        (_, Format::Json) => (FORMAT_JSON, Cow::Borrowed(&revision.content)),
        (Some(parsed), _) => {
            let text = parsed.to_string().into_bytes();
            (FORMAT_JSON, Cow::Owned(text))
        }
        (None, _) => (FORMAT_BYTES, Cow::Borrowed(&revision.content)),
    }
}

/// What a plugin said of content in this format. Positions are those of JSON text, which only JSON has.
pub(crate) fn mistake(fault: &PluginFault, format: Format) -> Mistake {
    let message = fault.0.message.as_str();
    if fault.0.kind == FaultKind::PANICKED {
        return Mistake::of_all(format!("reading it panicked: {message}"));
    }
    let place = message.rsplit_once(" at line ").and_then(|(reason, at)| {
        let (line, column) = at.split_once(" column ")?;
        Some((reason, line.parse().ok()?, column.parse().ok()?))
    });
    match place {
        Some((reason, line, column)) if format == Format::Json => {
            Mistake::new(Some(Position::Line { line, column }), reason)
        }
        Some((reason, _, _)) => Mistake::of_all(reason),
        None => Mistake::of_all(message),
    }
}
