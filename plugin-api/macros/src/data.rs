//! `#[plugin_api::data]`: serde's derives, by way of plugin-api.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Field, Generics, Item, Result, Token, punctuated::Punctuated,
    spanned::Spanned,
};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            "`data` takes no options: write `#[plugin_api::data]`",
        ));
    }
    let item = struct_or_enum(item, "data")?;
    Ok(derive(&item))
}

/// The item, when it is a struct or an enum that does not derive serde's traits itself.
pub(crate) fn struct_or_enum(item: TokenStream, attribute: &str) -> Result<Item> {
    let item: Item = syn::parse2(item)?;
    let attributes = match &item {
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        other => {
            return Err(Error::new_spanned(
                other,
                format!("`{attribute}` goes on a struct or an enum"),
            ));
        }
    };
    for derive in attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("derive"))
    {
        refuse_serde(derive, attribute)?;
    }
    Ok(item)
}

fn refuse_serde(derive: &Attribute, attribute: &str) -> Result<()> {
    let paths = derive.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated)?;
    for path in paths {
        if let Some(name) = path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            && (name == "Serialize" || name == "Deserialize")
        {
            return Err(Error::new_spanned(
                path,
                format!("`{attribute}` derives `{name}` itself: remove it here"),
            ));
        }
    }
    Ok(())
}

/// The item with serde's derives.
pub(crate) fn derive(item: &Item) -> TokenStream {
    let asked = ask(item);
    quote! {
        #asked

        #[derive(::plugin_api::serde::Serialize, ::plugin_api::serde::Deserialize)]
        #[serde(crate = "::plugin_api::serde")]
        #item
    }
}

/// Asks of each field's type whether it is data, for a short answer when it is not.
///
/// Fields with a serde attribute of their own may be anything, and types with parameters are left to serde.
fn ask(item: &Item) -> TokenStream {
    let (generics, fields): (&Generics, Vec<&Field>) = match item {
        Item::Struct(item) => (&item.generics, item.fields.iter().collect()),
        Item::Enum(item) => (
            &item.generics,
            item.variants
                .iter()
                .flat_map(|variant| &variant.fields)
                .collect(),
        ),
        _ => return TokenStream::new(),
    };
    if !generics.params.is_empty() {
        return TokenStream::new();
    }
    fields
        .into_iter()
        .filter(|field| {
            !field
                .attrs
                .iter()
                .any(|attribute| attribute.path().is_ident("serde"))
        })
        .map(|field| {
            let r#type = &field.ty;
            let span = Span::call_site().located_at(r#type.span());
            quote_spanned!(span=> const _: () = ::plugin_api::__private::field::<#r#type>();)
        })
        .collect()
}
