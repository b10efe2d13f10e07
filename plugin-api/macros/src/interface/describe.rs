//! The description: what an interface looks like, as a rope of JSON text.

use super::{
    expand::placed,
    parse::{Interface, Method},
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Type, ext::IdentExt as _, spanned::Spanned};

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
        let r#type = &argument.r#type;
        let described = match &argument.lent {
            Some(lent) => told(
                &quote!(<#lent as ::plugin_api::__private::Lent>::SHAPE),
                &quote!(<#lent as ::plugin_api::__private::Lent>::SIZE),
            ),
            None => owned(r#type),
        };
        parts.push(placed(described, r#type.span()));
        parts.push(text("}".to_owned()));
    }
    parts.push(text("],\"returns\":{".to_owned()));
    parts.push(placed(owned(&method.returns), method.span));
    parts.push(text("}}".to_owned()));
}

/// A type that is moved: its shape and the size of what crosses.
fn owned(r#type: &Type) -> TokenStream {
    told(
        &quote!(<#r#type as ::plugin_api::Crossing>::SHAPE),
        &quote!(::core::mem::size_of::<<#r#type as ::plugin_api::Crossing>::Wire>()),
    )
}

/// Shape and size, as members of an object.
fn told(shape: &TokenStream, size: &TokenStream) -> TokenStream {
    quote! {
        ::plugin_api::__private::Rope::Parts(&[
            ::plugin_api::__private::Rope::Text("\"shape\":\""),
            #shape,
            ::plugin_api::__private::Rope::Text("\",\"size\":"),
            ::plugin_api::__private::Rope::Number(#size),
        ])
    }
}

fn text(text: String) -> TokenStream {
    quote!(::plugin_api::__private::Rope::Text(#text))
}
