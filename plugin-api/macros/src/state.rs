//! `#[plugin_api::state]`: serde's derives, and the `State` trait over MessagePack.

use crate::{data, json, types};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Item, LitInt, Path, Result, parse::Parser};

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let options = Options::parse(arguments)?;
    let item = data::struct_or_enum(item, "state")?;
    let (name, generics, attributes) = match &item {
        Item::Struct(item) => (&item.ident, &item.generics, &item.attrs),
        Item::Enum(item) => (&item.ident, &item.generics, &item.attrs),
        _ => return Ok(quote!(#item)),
    };
    if !generics.params.is_empty() {
        return Err(Error::new_spanned(
            generics,
            "a state has no type parameters or lifetimes: write the types it is made of",
        ));
    }
    let schema = &options.schema;
    let doc = json::escape(&types::doc(attributes));
    let older = match &options.downgrade {
        Some(downgrade) => {
            quote!(::plugin_api::__private::save_older::<Self, _>(self, schema, #downgrade))
        }
        None => quote! {
            ::core::result::Result::Err(::plugin_api::__private::no_downgrade::<Self>(schema))
        },
    };
    let newer = match &options.migrate {
        Some(migrate) => {
            quote!(::plugin_api::__private::load_older::<Self, _, _>(schema, snapshot, #migrate))
        }
        None => quote! {
            ::core::result::Result::Err(::plugin_api::__private::no_migrate::<Self>(schema))
        },
    };
    let derived = data::derive(&item);
    Ok(quote! {
        #derived

        #[automatically_derived]
        impl ::plugin_api::State for #name {
            const SCHEMA: u32 = #schema;
            const ENCODING: ::plugin_api::manifest::Encoding =
                ::plugin_api::manifest::Encoding::Messagepack;
            const DOC: &'static str = #doc;

            fn save(
                &self,
                schema: u32,
            ) -> ::core::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                if schema == Self::SCHEMA {
                    ::plugin_api::__private::save_current(self)
                } else {
                    #older
                }
            }

            fn load(
                schema: u32,
                snapshot: &[u8],
            ) -> ::core::result::Result<Self, ::std::string::String> {
                if schema == Self::SCHEMA {
                    ::plugin_api::__private::load_current(snapshot)
                } else {
                    #newer
                }
            }
        }
    })
}

/// What stands in the attribute's brackets.
struct Options {
    schema: LitInt,
    migrate: Option<Path>,
    downgrade: Option<Path>,
}

impl Options {
    fn parse(arguments: TokenStream) -> Result<Self> {
        let (mut schema, mut migrate, mut downgrade) = (None, None, None);
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("schema") {
                let number: LitInt = meta.value()?.parse()?;
                number.base10_parse::<u32>().map_err(|_| {
                    Error::new_spanned(
                        &number,
                        "a schema is a number of 32 bits: write `schema = 1`",
                    )
                })?;
                schema = Some(number);
            } else if meta.path.is_ident("migrate") {
                migrate = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("downgrade") {
                downgrade = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error(
                    "`state` takes `schema = 1`, `migrate = from_v1` and `downgrade = to_v1`",
                ));
            }
            Ok(())
        });
        parser.parse2(arguments)?;
        let schema = schema.ok_or_else(|| {
            Error::new(
                Span::call_site(),
                "a state has a number for its format: write `#[plugin_api::state(schema = 1)]`",
            )
        })?;
        Ok(Options {
            schema: LitInt::new(schema.base10_digits(), schema.span()),
            migrate,
            downgrade,
        })
    }
}
