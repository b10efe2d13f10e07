//! `#[plugin_api::dataset]`: serde's `Deserialize` by way of plugin-api, and the `Content` trait.

use crate::data;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Attribute, Error, ExprPath, Fields, Item, LitStr, Result, Token,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    spanned::Spanned,
};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options: Options = syn::parse2(arguments)?;
    let item: Item = syn::parse2(item)?;
    let (ident, generics, attributes) = match &item {
        Item::Struct(item) => (&item.ident, &item.generics, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.generics, &item.attrs),
        other => {
            return Err(Error::new_spanned(
                other,
                "`dataset` goes on a struct or an enum",
            ));
        }
    };
    if !generics.params.is_empty() {
        return Err(Error::new_spanned(
            generics,
            "what is read from a dataset has no type parameters or lifetimes: write the types it is made of",
        ));
    }
    refuse_deserialize(attributes)?;
    let name = &options.name;
    let (derived, form, value) = if options.bytes {
        let made = from_bytes(&item)?;
        (quote!(#item), quote!(Bytes), made)
    } else {
        let parse = quote_spanned! {Span::call_site().located_at(ident.span())=>
            ::plugin_api::__private::from_json::<Self>(content)?
        };
        (derive(&item), quote!(Json), parse)
    };
    let check = options.check.as_ref().map(|check| {
        let span = Span::call_site().located_at(check.span());
        quote_spanned! {span=>
            #check(&value).map_err(|error| ::std::string::ToString::to_string(&error))?;
        }
    });
    Ok(quote! {
        #derived

        #[automatically_derived]
        impl ::plugin_api::Content for #ident {
            const NAME: &'static str = #name;
            const FORM: ::plugin_api::Form = ::plugin_api::Form::#form;

            fn parse(
                content: &[u8],
            ) -> ::core::result::Result<Self, ::std::string::String> {
                let value = #value;
                #check
                ::core::result::Result::Ok(value)
            }
        }
    })
}

/// The item with serde's derive.
fn derive(item: &Item) -> TokenStream {
    let asked = data::ask(item, &quote!(readable));
    quote! {
        #asked

        #[derive(::plugin_api::serde::Deserialize)]
        #[serde(crate = "::plugin_api::serde")]
        #item
    }
}

/// The value of a struct around bytes.
fn from_bytes(item: &Item) -> Result<TokenStream> {
    if let Item::Struct(item) = item
        && let Fields::Unnamed(fields) = &item.fields
        && fields.unnamed.len() == 1
    {
        let span = fields.span();
        return Ok(quote_spanned! {Span::call_site().located_at(span)=>
            Self(::core::convert::From::from(content.to_vec()))
        });
    }
    Err(Error::new_spanned(
        item,
        "what is read as `bytes` is a struct of one field without a name: write `struct Blob(Vec<u8>);`, or implement \
         `plugin_api::Content` by hand",
    ))
}

fn refuse_deserialize(attributes: &[Attribute]) -> Result<()> {
    for derive in attributes {
        if !derive.path().is_ident("derive") {
            continue;
        }
        let paths = derive.parse_args_with(Punctuated::<syn::Path, Token![,]>::parse_terminated)?;
        for path in paths {
            if path
                .segments
                .last()
                .is_some_and(|last| last.ident == "Deserialize")
            {
                return Err(Error::new_spanned(
                    path,
                    "`dataset` derives `Deserialize` itself: remove it here",
                ));
            }
        }
    }
    Ok(())
}

/// What stands in the attribute's brackets.
struct Options {
    name: LitStr,
    check: Option<ExprPath>,
    bytes: bool,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        const WRITE: &str = "write `#[plugin_api::dataset(\"rates\")]`, with the name that the dataset has in host.toml";
        let (mut name, mut check, mut bytes) = (None, None, false);
        while !input.is_empty() {
            if input.peek(LitStr) {
                name = Some(input.parse::<LitStr>()?);
            } else {
                let word: syn::Ident = input.parse()?;
                match word.to_string().as_str() {
                    "name" => {
                        input.parse::<Token![=]>()?;
                        name = Some(input.parse()?);
                    }
                    "check" => {
                        input.parse::<Token![=]>()?;
                        check = Some(input.parse()?);
                    }
                    "bytes" => bytes = true,
                    _ => {
                        return Err(Error::new_spanned(
                            word,
                            "`dataset` takes the dataset's name, `check = path` and `bytes`",
                        ));
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        let name = name.ok_or_else(|| {
            Error::new(Span::call_site(), format!("a dataset has a name: {WRITE}"))
        })?;
        let text = name.value();
        if text.is_empty()
            || text
                .chars()
                .any(|c| c.is_control() || c == '"' || c == '\\')
        {
            return Err(Error::new_spanned(
                name,
                format!("this is no name of a dataset: {WRITE}"),
            ));
        }
        Ok(Options { name, check, bytes })
    }
}
