//! `#[plugin_api::data]`: serde's derives, by way of plugin-api.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Error, Item, Result, Token, punctuated::Punctuated};

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
pub(crate) fn derive(item: &impl ToTokens) -> TokenStream {
    quote! {
        #[derive(::plugin_api::serde::Serialize, ::plugin_api::serde::Deserialize)]
        #[serde(crate = "::plugin_api::serde")]
        #item
    }
}
