//! Types and docs, as an author wrote them and as a person reads them.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Expr, ExprLit, GenericArgument, Lit, Meta, PathArguments, Type};

/// The text of a type, spaced as rustfmt would: `BTreeMap<String, Vec<u8>>`.
pub(crate) fn tidy(r#type: &impl ToTokens) -> String {
    let mut text = String::new();
    write(r#type.to_token_stream(), &mut text);
    text
}

fn write(tokens: TokenStream, text: &mut String) {
    let mut joined = false;
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{ ", " }"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(group.stream(), text);
                text.push_str(close);
            }
            TokenTree::Punct(punct) => match punct.as_char() {
                ',' => text.push_str(", "),
                ';' => text.push_str("; "),
                '+' => text.push_str(" + "),
                '=' => text.push_str(" = "),
                '-' if punct.spacing() == Spacing::Joint => text.push_str(" -"),
                '>' if joined && text.ends_with(" -") => text.push_str("> "),
                other => text.push(other),
            },
            other => {
                if text.ends_with(|last: char| last.is_alphanumeric() || last == '_') {
                    text.push(' ');
                }
                text.push_str(&other.to_string());
            }
        }
        joined = text.ends_with('-');
    }
    // A trailing comma, of a tuple of one, say.
    if text.ends_with(", ") {
        text.truncate(text.len() - 1);
    }
}

/// The doc comment in these attributes: its lines, without the space that begins them.
pub(crate) fn doc(attributes: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attribute in attributes {
        if let Meta::NameValue(pair) = &attribute.meta
            && pair.path.is_ident("doc")
            && let Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) = &pair.value
        {
            lines.extend(
                text.value()
                    .split('\n')
                    .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()),
            );
        }
    }
    lines.join("\n").trim().to_owned()
}

/// The name of the last segment of a path type: `Result` for `anyhow::Result<u8>`.
pub(crate) fn last_segment(r#type: &Type) -> Option<&syn::PathSegment> {
    match r#type {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Whether it is a `Result`, and the type of its `Ok`.
pub(crate) fn result(r#type: &Type) -> Option<Option<&Type>> {
    let segment = last_segment(r#type).filter(|segment| segment.ident == "Result")?;
    Some(match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::Type(ok) => Some(ok),
                _ => None,
            })
        }
        _ => None,
    })
}

/// Whether it is the context, by value or by reference.
pub(crate) fn is_context(r#type: &Type) -> bool {
    match r#type {
        Type::Reference(reference) => is_context(&reference.elem),
        other => last_segment(other).is_some_and(|segment| segment.ident == "Context"),
    }
}

/// Whether it is `&Context`.
pub(crate) fn is_context_reference(r#type: &Type) -> bool {
    matches!(r#type, Type::Reference(reference) if reference.mutability.is_none())
        && is_context(r#type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn a_type_is_spaced_as_a_person_writes_it() {
        for text in [
            "u64",
            "()",
            "(u8,)",
            "(u8, String)",
            "&str",
            "&[u8]",
            "[u8; 4]",
            "Vec<String>",
            "Option<Vec<(u8, String)>>",
            "BTreeMap<String, Vec<u8>>",
            "std::collections::BTreeMap<String, u8>",
            "fn(u8) -> u8",
            "Box<dyn Fn(u8) -> u8 + Send>",
            "<T as Iterator>::Item",
        ] {
            let r#type: Type = syn::parse_str(text).unwrap();
            assert_eq!(tidy(&r#type), text);
        }
    }

    #[test]
    fn a_doc_comment_is_its_lines() {
        let item: syn::ItemStruct = parse_quote! {
            /// One.
            ///
            ///   * two
            #[derive(Default)]
            struct A;
        };
        assert_eq!(doc(&item.attrs), "One.\n\n  * two");
    }

    #[test]
    fn a_result_is_known_by_its_name() {
        assert!(result(&parse_quote!(anyhow::Result<u8>)).is_some());
        assert!(result(&parse_quote!(Result)).is_some());
        assert!(result(&parse_quote!(Vec<Result<u8, u8>>)).is_none());
    }
}
