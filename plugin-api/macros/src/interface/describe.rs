//! The description: what an interface looks like, as a rope of JSON text.

use super::parse::{Interface, Method};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{ext::IdentExt as _, spanned::Spanned};

/// The rope; see `plugin_api::manifest::Interface`.
pub(super) fn interface(interface: &Interface) -> TokenStream {
    let mut parts = vec![text(format!(
        "{{\"name\":\"{}\",\"methods\":[",
        interface.ident.unraw()
    ))];
    for (place, method) in interface.methods.iter().enumerate() {
        if place > 0 {
            parts.push(text(",".to_owned()));
        }
        self::method(method, &mut parts);
    }
    parts.push(text("]}".to_owned()));
    quote!(::plugin_api::__private::Rope::Parts(&[#(#parts),*]))
}

fn method(method: &Method, parts: &mut Vec<TokenStream>) {
    parts.push(text(format!(
        "{{\"name\":\"{}\",\"exclusive\":{},\"arguments\":[",
        method.name, method.exclusive
    )));
    for (place, argument) in method.arguments.iter().enumerate() {
        let comma = if place > 0 { "," } else { "" };
        parts.push(text(format!("{comma}{{\"name\":\"{}\",", argument.name)));
        let span = super::expand::located(argument.r#type.span());
        parts.push(match &argument.lent {
            Some(lent) => {
                quote_spanned!(span=> ::plugin_api::__private::Described::<#lent>::LENT)
            }
            None => {
                let r#type = &argument.r#type;
                quote_spanned!(span=> ::plugin_api::__private::Described::<#r#type>::OWNED)
            }
        });
        parts.push(text("}".to_owned()));
    }
    parts.push(text("],\"returns\":{".to_owned()));
    let returns = &method.returns;
    let span = super::expand::located(method.span);
    parts.push(quote_spanned!(span=> ::plugin_api::__private::Described::<#returns>::OWNED));
    parts.push(text("}}".to_owned()));
}

fn text(text: String) -> TokenStream {
    quote!(::plugin_api::__private::Rope::Text(#text))
}
