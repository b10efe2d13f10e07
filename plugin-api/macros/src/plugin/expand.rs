//! Expanding: the code that answers calls, and the export.

use super::{manifest, method::Method, parse::Plugin, special::Special};
use crate::json;
use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Index, Type, spanned::Spanned};

pub(super) fn plugin(plugin: &Plugin) -> TokenStream {
    let r#type = &plugin.r#type;
    let keeping = keeping(plugin);
    let identity = manifest::identity(plugin);
    let doc = json::escape(&plugin.doc);
    let methods = manifest::methods(plugin);
    let create = create(plugin.new.as_ref(), r#type);
    let attach = plugin
        .attach
        .as_ref()
        .map(|attach| self::attach(attach, r#type));
    let call = arms(plugin, false);
    let call_exclusive = arms(plugin, true);
    let offers = offers(plugin);
    let reads = reads(plugin);
    let asked = asked(plugin);
    let begin = begin(plugin);
    let export = plugin
        .exported
        .then(|| quote!(::plugin_api::__export! { #r#type }));
    quote! {
        #[automatically_derived]
        impl ::plugin_api::__private::Plugin for #r#type {
            type Keeping = #keeping;

            const IDENTITY: &'static str = #identity;
            const PANIC: &'static str = if ::core::cfg!(panic = "abort") {
                ::plugin_api::__private::PANIC_ABORT
            } else {
                ::plugin_api::__private::PANIC_UNWIND
            };
            const DOC: &'static str = #doc;
            const METHODS: &'static str = #methods;
            #offers
            #reads

            #create
            #attach

            fn call(
                &self,
                context: &::plugin_api::Context,
                method: u32,
                arguments: &[u8],
            ) -> ::core::result::Result<::std::vec::Vec<u8>, ::plugin_api::contract::Fault> {
                let _ = (context, arguments);
                match method {
                    #call
                    _ => ::core::result::Result::Err(
                        ::plugin_api::__private::unknown_method(method, false),
                    ),
                }
            }

            fn call_exclusive(
                &mut self,
                context: &::plugin_api::Context,
                method: u32,
                arguments: &[u8],
            ) -> ::core::result::Result<::std::vec::Vec<u8>, ::plugin_api::contract::Fault> {
                let _ = (context, arguments);
                match method {
                    #call_exclusive
                    _ => ::core::result::Result::Err(
                        ::plugin_api::__private::unknown_method(method, true),
                    ),
                }
            }

            #begin
        }

        #asked
        #export
    }
}

/// The interfaces it offers: what the manifest says of them, and their tables.
fn offers(plugin: &Plugin) -> TokenStream {
    if plugin.offers.is_empty() {
        return TokenStream::new();
    }
    let r#type = &plugin.r#type;
    let mut descriptions = Vec::new();
    let mut offers = Vec::new();
    for (place, path) in plugin.offers.iter().enumerate() {
        let span = located(path.span());
        let before = if place > 0 { "," } else { "" };
        descriptions.push(quote_spanned! {span=>
            ::plugin_api::__private::Rope::Text(#before),
            ::plugin_api::__private::Rope::Text(<dyn #path as ::plugin_api::Interface>::DESCRIPTION)
        });
        offers.push(quote_spanned! {span=>
            ::plugin_api::__private::Offer::of::<dyn #path, #r#type>()
        });
    }
    quote! {
        const INTERFACES: &'static str =
            ::plugin_api::__laid_out!(::plugin_api::__private::Rope::Parts(&[
                ::plugin_api::__private::Rope::Text("["),
                #(#descriptions,)*
                ::plugin_api::__private::Rope::Text("]"),
            ]));
        const OFFERS: &'static [::plugin_api::__private::Offer] = &[#(#offers),*];
    }
}

/// The datasets it reads: what the manifest says of them, and their parsers.
fn reads(plugin: &Plugin) -> TokenStream {
    if plugin.reads.is_empty() {
        return TokenStream::new();
    }
    let mut names = Vec::new();
    let mut reads = Vec::new();
    for (place, path) in plugin.reads.iter().enumerate() {
        let span = located(path.span());
        let before = if place > 0 { ",\"" } else { "\"" };
        names.push(quote_spanned! {span=>
            ::plugin_api::__private::Rope::Text(#before),
            ::plugin_api::__private::Rope::Text(<#path as ::plugin_api::Content>::NAME),
            ::plugin_api::__private::Rope::Text("\"")
        });
        reads.push(quote_spanned! {span=> ::plugin_api::__private::Read::of::<#path>() });
    }
    quote! {
        const READ_NAMES: &'static str =
            ::plugin_api::__laid_out!(::plugin_api::__private::Rope::Parts(&[
                ::plugin_api::__private::Rope::Text("["),
                #(#names,)*
                ::plugin_api::__private::Rope::Text("]"),
            ]));
        const READS: &'static [::plugin_api::__private::Read] = &[#(#reads),*];
    }
}

/// Asks whether what a stateless plugin offers changes nothing, and whether datasets have names.
fn asked(plugin: &Plugin) -> TokenStream {
    let names = plugin.reads.iter().map(|path| {
        quote_spanned! {located(path.span())=>
            const _: () = ::core::assert!(
                ::plugin_api::__private::is_name(<#path as ::plugin_api::Content>::NAME),
                "the `NAME` of a dataset is not empty, and has no quotes, backslashes or control characters"
            );
        }
    });
    let offers = plugin.offers.iter().filter(|_| plugin.stateless);
    let offers = offers
        .map(|path| {
            quote_spanned! {located(path.span())=>
                const _: () = ::core::assert!(
                    !<dyn #path as ::plugin_api::Interface>::HAS_EXCLUSIVE,
                    "a stateless plugin has nothing to change: an interface that it offers has `&self` methods only"
                );
            }
        });
    names.chain(offers).collect()
}

/// Code of the macro's, whose errors stand at `place` in the author's code.
fn located(place: Span) -> Span {
    Span::call_site().located_at(place)
}

/// Whether there is state; the span makes a missing `State` an error at the type's name.
fn keeping(plugin: &Plugin) -> TokenStream {
    let span = located(plugin.r#type.span());
    if plugin.stateless {
        quote_spanned!(span=> ::plugin_api::__private::Stateless)
    } else {
        quote_spanned!(span=> ::plugin_api::__private::Stateful)
    }
}

fn create(new: Option<&Special>, r#type: &Type) -> TokenStream {
    let value = match new {
        None => {
            let begin = quote_spanned!(located(r#type.span())=> ::plugin_api::__private::begin);
            quote!(::core::result::Result::Ok(#begin::<#r#type>()))
        }
        Some(new) => {
            let ident = &new.ident;
            let context = new.takes_context.then(|| quote!(context));
            outcome(
                quote!(<#r#type>::#ident(#context)),
                new.fallible,
                ident.span(),
            )
        }
    };
    quote! {
        fn create(
            context: &::plugin_api::Context,
        ) -> ::core::result::Result<Self, ::plugin_api::contract::Fault> {
            let _ = context;
            #value
        }
    }
}

fn attach(attach: &Special, r#type: &Type) -> TokenStream {
    let ident = &attach.ident;
    let context = attach.takes_context.then(|| quote!(, context));
    let value = outcome(
        quote!(<#r#type>::#ident(self #context)),
        attach.fallible,
        ident.span(),
    );
    quote! {
        fn attach(
            &mut self,
            context: &::plugin_api::Context,
        ) -> ::core::result::Result<(), ::plugin_api::contract::Fault> {
            let _ = context;
            #value
        }
    }
}

/// The value of a call of author's code, with its `Err` as a fault.
fn outcome(call: TokenStream, fallible: bool, place: Span) -> TokenStream {
    if fallible {
        let refused = quote_spanned!(located(place)=> ::plugin_api::__private::refused(&error));
        quote! {
            match #call {
                ::core::result::Result::Ok(value) => ::core::result::Result::Ok(value),
                ::core::result::Result::Err(error) => {
                    ::core::result::Result::Err(#refused)
                }
            }
        }
    } else {
        quote!(::core::result::Result::Ok(#call))
    }
}

/// The arms of the methods that are exclusive, or of those that are not.
fn arms(plugin: &Plugin, exclusive: bool) -> TokenStream {
    plugin
        .methods
        .iter()
        .zip(0_u32..)
        .filter(|(method, _)| method.exclusive == exclusive && !method.r#async)
        .map(|(method, number)| {
            let read = read(method);
            let (call, written) = call(method, &plugin.r#type);
            quote!(#number => {
                #read
                let result: ::core::result::Result<_, ::plugin_api::contract::Fault> = #call;
                #written
            })
        })
        .collect()
}

/// The function that begins `async` methods, where there are any.
fn begin(plugin: &Plugin) -> Option<TokenStream> {
    let arms: Vec<TokenStream> = plugin
        .methods
        .iter()
        .zip(0_u32..)
        .filter(|(method, _)| method.r#async)
        .map(|(method, number)| {
            let read = read(method);
            let (call, written) = call(method, &plugin.r#type);
            let work = quote_spanned!(located(method.ident.span())=> ::plugin_api::__private::work);
            quote!(#number => {
                #read
                ::core::result::Result::Ok(#work(async move {
                    let result: ::core::result::Result<_, ::plugin_api::contract::Fault> = #call;
                    #written
                }))
            })
        })
        .collect();
    if arms.is_empty() {
        return None;
    }
    Some(quote! {
        fn begin(
            plugin: ::std::sync::Arc<Self>,
            context: ::plugin_api::Context,
            method: u32,
            arguments: &[u8],
        ) -> ::core::result::Result<::plugin_api::__private::Work, ::plugin_api::contract::Fault> {
            let _ = (&plugin, &context, arguments);
            match method {
                #(#arms)*
                _ => ::core::result::Result::Err(::plugin_api::__private::not_async(method)),
            }
        }
    })
}

/// Reads the arguments.
fn read(method: &Method) -> TokenStream {
    let (ident, signature) = (&method.ident, manifest::signature(method));
    let names = method.arguments.iter().map(|argument| &argument.name);
    let owned = method.arguments.iter().map(|argument| &argument.owned);
    // The error for an argument type stands at it; with several, at the method, since they are read as one.
    let place = match method.arguments.as_slice() {
        [argument] => argument.span,
        _ => ident.span(),
    };
    let read = quote_spanned!(located(place)=> ::plugin_api::__private::read::<(#(#owned,)*)>);
    let list = if method.arguments.is_empty() {
        quote!(())
    } else {
        quote!(list)
    };
    quote! {
        let #list = #read(
            &::plugin_api::__private::Signature {
                names: &[#(#names),*],
                text: #signature,
            },
            arguments,
        )?;
    }
}

/// Calls the method with the arguments that were read, and writes its `result`.
fn call(method: &Method, r#type: &Type) -> (TokenStream, TokenStream) {
    let (ident, name) = (&method.ident, &method.name);
    let passed = method
        .arguments
        .iter()
        .enumerate()
        .map(|(index, argument)| {
            let index = Index::from(index);
            if argument.borrowed {
                quote!(, &list.#index)
            } else {
                quote!(, list.#index)
            }
        });
    // A future owns what a plain method is lent.
    let (receiver, context, awaited) = if method.r#async {
        (quote!(&plugin), quote!(, &context), quote!(.await))
    } else {
        (quote!(self), quote!(, context), TokenStream::new())
    };
    let context = method.takes_context.then_some(context);
    let call = outcome(
        quote!(<#r#type>::#ident(#receiver #context #(#passed)*)#awaited),
        method.fallible,
        method.span,
    );
    let written =
        quote_spanned!(located(method.span)=> ::plugin_api::__private::written(#name, &result?));
    (call, written)
}
