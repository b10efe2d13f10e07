//! An argument: what a caller gives to a method, and the owned type it is read as.

use crate::types;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{Error, Pat, Result, Type, ext::IdentExt as _, spanned::Spanned, visit::Visit};

/// An argument that the caller gives.
pub(crate) struct Argument {
    pub(crate) name: String,
    /// As written.
    pub(crate) text: String,
    /// The owned type it is read as.
    pub(crate) owned: TokenStream,
    /// Where its type stands.
    pub(crate) span: Span,
    /// Whether the method takes a reference to that.
    pub(crate) borrowed: bool,
}

pub(crate) fn argument(pattern: &Pat, r#type: &Type) -> Result<Argument> {
    let name = match pattern {
        Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
            ident.ident.unraw().to_string()
        }
        other => {
            return Err(Error::new_spanned(
                other,
                "an argument has a name that callers use: write `name: Type`, and take it apart inside the function",
            ));
        }
    };
    if types::is_context(r#type) {
        return Err(Error::new_spanned(
            r#type,
            "the context comes first and by reference: write `ctx: &Context` right after self",
        ));
    }
    let (owned, borrowed) = match r#type {
        Type::Reference(reference) => {
            if let Some(mutability) = &reference.mutability {
                return Err(Error::new_spanned(
                    mutability,
                    "an argument is data, and goes no way back: take it without `mut`, and return what changed",
                ));
            }
            (owned_form(&reference.elem), true)
        }
        other => (other.to_token_stream(), false),
    };
    let inner = match r#type {
        Type::Reference(reference) => &reference.elem,
        other => other,
    };
    let mut borrows = Borrows(None);
    borrows.visit_type(inner);
    if let Some((span, message)) = borrows.0 {
        return Err(Error::new(span, message));
    }
    Ok(Argument {
        name,
        text: types::tidy(r#type),
        owned,
        span: r#type.span(),
        borrowed,
    })
}

/// The type that an argument behind a reference is read as.
fn owned_form(r#type: &Type) -> TokenStream {
    match r#type {
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote::quote_spanned!(slice.span()=> ::std::vec::Vec<#element>)
        }
        Type::Path(path) => match types::last_segment(r#type) {
            Some(last) if last.ident == "str" => {
                quote::quote_spanned!(path.span()=> ::std::string::String)
            }
            Some(last) if last.ident == "Path" => {
                quote::quote_spanned!(path.span()=> ::std::path::PathBuf)
            }
            _ => path.to_token_stream(),
        },
        other => other.to_token_stream(),
    }
}

/// Looks for what cannot be read from a call: references and lifetimes inside a type, and types without a size.
struct Borrows(Option<(Span, &'static str)>);

impl Borrows {
    const OWN: &'static str = "an argument owns what is inside it: write the owned type (`String` for `&str`, `Vec<T>` for `&[T]`)";
}

impl<'ast> Visit<'ast> for Borrows {
    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        self.0.get_or_insert((reference.span(), Self::OWN));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        if lifetime.ident != "static" {
            self.0.get_or_insert((lifetime.span(), Self::OWN));
        }
    }

    fn visit_type_impl_trait(&mut self, r#type: &'ast syn::TypeImplTrait) {
        self.0
            .get_or_insert((r#type.span(), "an argument is data: write its type"));
    }

    fn visit_type_trait_object(&mut self, r#type: &'ast syn::TypeTraitObject) {
        self.0
            .get_or_insert((r#type.span(), "an argument is data: write its type"));
    }
}
