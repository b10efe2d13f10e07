//! Options: what stands in the attribute's brackets, with cargo's answers for what does not.

use super::mistakes::Mistakes;
use proc_macro2::{Span, TokenStream};
use syn::{
    Error, LitStr, Path, Result, Token,
    parse::{ParseStream, Parser},
    punctuated::Punctuated,
};

/// The longest name of a plugin.
const LONGEST_NAME: usize = 64;

/// What stands in the attribute's brackets.
#[derive(Default)]
pub(super) struct Options {
    name: Option<LitStr>,
    version: Option<LitStr>,
    mode: Option<LitStr>,
    pub(super) offers: Vec<Path>,
    pub(super) reads: Vec<Path>,
    pub(super) stateless: bool,
    pub(super) unexported: bool,
}

/// The paths in brackets.
fn paths(input: ParseStream<'_>) -> Result<Punctuated<Path, Token![,]>> {
    let inside;
    syn::parenthesized!(inside in input);
    Punctuated::parse_terminated(&inside)
}

impl Options {
    pub(super) fn parse(arguments: TokenStream) -> Result<Self> {
        let mut options = Options::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("version") {
                options.version = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("mode") {
                options.mode = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("offers") {
                options.offers.extend(paths(meta.input)?);
            } else if meta.path.is_ident("reads") {
                options.reads.extend(paths(meta.input)?);
            } else if meta.path.is_ident("stateless") {
                options.stateless = true;
            } else if meta.path.is_ident("unexported") {
                // For plugin-api's own tests: many plugins in one program.
                options.unexported = true;
            } else {
                return Err(meta.error(
                    "`plugin` takes `name = \"...\"`, `version = \"...\"`, `offers(Interface)`, `reads(Data)`, `stateless` and `mode = \"barrier\"` or `\"overlap\"`",
                ));
            }
            Ok(())
        });
        parser.parse2(arguments)?;
        Ok(options)
    }

    /// Its text, or what cargo says of the package.
    fn or_cargo(option: Option<&LitStr>, variable: &str) -> (String, Span) {
        match option {
            Some(literal) => (literal.value(), literal.span()),
            None => (
                std::env::var(variable).unwrap_or_default(),
                Span::call_site(),
            ),
        }
    }

    pub(super) fn name(&self, mistakes: &mut Mistakes) -> String {
        let (name, span) = Self::or_cargo(self.name.as_ref(), "CARGO_PKG_NAME");
        let fit = name.len() <= LONGEST_NAME
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if !fit {
            mistakes.add(Error::new(
                span,
                format!(
                    "`{name}` is no name for a plugin: lower-case letters, digits, `-` and `_`, beginning with a letter, \
                     at most {LONGEST_NAME}; write `#[plugin_api::plugin(name = \"...\")]`"
                ),
            ));
        }
        name
    }

    pub(super) fn version(&self, mistakes: &mut Mistakes) -> String {
        let (version, span) = Self::or_cargo(self.version.as_ref(), "CARGO_PKG_VERSION");
        let numbers: Vec<&str> = version
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .split('.')
            .collect();
        let fit = numbers.len() == 3
            && numbers.iter().all(|number| {
                number
                    .parse::<u64>()
                    .is_ok_and(|value| value.to_string() == *number)
            })
            && version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
        if !fit {
            mistakes.add(Error::new(
                span,
                format!("`{version}` is no semantic version: write `version = \"1.0.0\"`"),
            ));
        }
        version
    }

    pub(super) fn overlap(&self, mistakes: &mut Mistakes) -> bool {
        let Some(mode) = &self.mode else {
            return self.stateless;
        };
        match mode.value().as_str() {
            "barrier" => false,
            "overlap" if self.stateless => true,
            "overlap" => {
                mistakes.at(
                    mode,
                    "two generations cannot both hold the state: write `stateless` as well, or leave `mode` out",
                );
                true
            }
            _ => {
                mistakes.at(mode, "a mode is `\"barrier\"` or `\"overlap\"`");
                false
            }
        }
    }
}
