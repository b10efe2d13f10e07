//! `#[plugin_api::data]`: serde's derives, by way of plugin-api, and the way across in an interface.

use crate::crossing;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, Field, Generics, Ident, Item, ItemStruct, Result, Token,
    punctuated::Punctuated, spanned::Spanned,
};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let option = syn::parse2::<Option<Ident>>(arguments.clone())
        .ok()
        .flatten();
    let is = |word: &str| option.as_ref().is_some_and(|option| option == word);
    if !arguments.is_empty() && !is("plain") && !is("by_name") {
        return Err(Error::new_spanned(
            arguments,
            "`data` takes `plain` (a struct that crosses as it lies in memory) or `by_name` (it goes into no \
             interface): write `#[plugin_api::data]` otherwise",
        ));
    }
    let item = struct_or_enum(item, "data")?;
    if is("plain") {
        return plain(item);
    }
    let derived = derive(&item);
    let mirrored = (!is("by_name")).then(|| crossing::mirrored(&item));
    Ok(quote! {
        #derived
        #mirrored
    })
}

/// A struct that crosses as it lies in memory.
fn plain(item: Item) -> Result<TokenStream> {
    let Item::Struct(mut item) = item else {
        return Err(Error::new_spanned(
            item,
            "plain data is a struct: remove `plain` here",
        ));
    };
    if !item.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &item.generics,
            "plain data has no parameters: write the types it is made of",
        ));
    }
    let missing = missing_derives(&item)?;
    item.attrs.extend(missing);
    item.attrs.push(syn::parse_quote!(#[repr(C)]));
    let crossing = crossing::plain(&item.ident, &item.fields);
    let derived = derive(&Item::Struct(item));
    Ok(quote! {
        #crossing
        #derived
    })
}

/// `Clone` and `Copy`, where the author has not derived them.
fn missing_derives(item: &ItemStruct) -> Result<Option<Attribute>> {
    let mut derived = Vec::new();
    for attribute in &item.attrs {
        if attribute.path().is_ident("derive") {
            let paths =
                attribute.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated)?;
            derived.extend(
                paths
                    .iter()
                    .filter_map(|path| Some(path.segments.last()?.ident.to_string())),
            );
        }
        if attribute.path().is_ident("repr") {
            return Err(Error::new_spanned(
                attribute,
                "plain data is `repr(C)` already: remove it here",
            ));
        }
    }
    let missing: Vec<Ident> = ["Clone", "Copy"]
        .into_iter()
        .filter(|name| !derived.iter().any(|derived| derived == name))
        .map(|name| Ident::new(name, Span::call_site()))
        .collect();
    Ok((!missing.is_empty()).then(|| syn::parse_quote!(#[derive(#(#missing),*)])))
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
    let asked = ask(item, &quote!(field));
    quote! {
        #asked

        #[derive(::plugin_api::serde::Serialize, ::plugin_api::serde::Deserialize)]
        #[serde(crate = "::plugin_api::serde")]
        #item
    }
}

/// Asks of each field's type whether it is data, by the `question` of that name, for a short answer when it is not.
///
/// Fields with a serde attribute of their own may be anything, and types with parameters are left to serde.
pub(crate) fn ask(item: &Item, question: &TokenStream) -> TokenStream {
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
            quote_spanned!(span=> const _: () = ::plugin_api::__private::#question::<#r#type>();)
        })
        .collect()
}
