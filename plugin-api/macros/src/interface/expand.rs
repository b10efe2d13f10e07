//! Expanding: the table, its functions for a plugin, and the client for callers.

use super::{
    describe,
    parse::{Argument, Interface, Method},
};
use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::{format_ident, quote};
use syn::{ext::IdentExt as _, spanned::Spanned};

/// Code of the macro's, whose errors stand at `place` in the author's code.
pub(super) fn located(place: Span) -> Span {
    Span::call_site().located_at(place)
}

/// These tokens, all of them standing at `place`: so that what is wrong there is told once and not by every token.
pub(super) fn placed(tokens: TokenStream, place: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|token| match token {
            TokenTree::Group(group) => {
                let mut group = Group::new(group.delimiter(), placed(group.stream(), place));
                group.set_span(located(place));
                TokenTree::Group(group)
            }
            mut other => {
                other.set_span(located(place));
                other
            }
        })
        .collect()
}

pub(super) fn interface(interface: &Interface) -> TokenStream {
    let ident = &interface.ident;
    let name = ident.unraw().to_string();
    let description = describe::interface(interface);
    let has_exclusive = interface.methods.iter().any(|method| method.exclusive);
    let table = table(interface);
    let functions = functions(interface);
    let client = client(interface);
    let client_ident = client_ident(interface);
    quote! {
        #client

        #[allow(improper_ctypes_definitions, reason = "both sides are compiled from this text")]
        const _: () = {
            #table
            #functions

            #[automatically_derived]
            impl ::plugin_api::Interface for dyn #ident {
                const NAME: &'static str = #name;
                const DESCRIPTION: &'static str = ::plugin_api::__laid_out!(#description);
                const HAS_EXCLUSIVE: bool = #has_exclusive;
                type Table = __Table;
                type Client<__E: ::plugin_api::__private::Entrance<Self>> = #client_ident<__E>;

                fn client<__E: ::plugin_api::__private::Entrance<Self>>(
                    entrance: __E,
                ) -> #client_ident<__E> {
                    #client_ident(entrance)
                }

                fn entrance<__E: ::plugin_api::__private::Entrance<Self>>(
                    client: &#client_ident<__E>,
                ) -> &__E {
                    &client.0
                }
            }
        };
    }
}

fn client_ident(interface: &Interface) -> syn::Ident {
    format_ident!("{}Client", interface.ident.unraw())
}

/// The type that crosses for an argument.
fn wire(argument: &Argument, lifetime: &TokenStream) -> TokenStream {
    let wire = match &argument.lent {
        Some(lent) => quote!(<#lent as ::plugin_api::__private::Lent>::Wire<#lifetime>),
        None => {
            let r#type = &argument.r#type;
            quote!(<#r#type as ::plugin_api::Crossing>::Wire)
        }
    };
    placed(wire, argument.r#type.span())
}

/// The type that crosses for a result.
fn returned(method: &Method) -> TokenStream {
    let returns = &method.returns;
    let returned = quote! {
        ::plugin_api::__private::Answered<<#returns as ::plugin_api::Crossing>::Wire>
    };
    placed(returned, method.span)
}

fn table(interface: &Interface) -> TokenStream {
    let fields = interface.methods.iter().map(|method| {
        let ident = &method.ident;
        let wires = method
            .arguments
            .iter()
            .map(|argument| wire(argument, &quote!('_)));
        let returned = returned(method);
        quote! {
            #ident: extern "C" fn(::plugin_api::__private::Object #(, #wires)*) -> #returned
        }
    });
    quote! {
        #[repr(C)]
        pub struct __Table {
            #(#fields,)*
        }
    }
}

/// The functions of the table, for any plugin that has the trait.
fn functions(interface: &Interface) -> TokenStream {
    let ident = &interface.ident;
    let functions = interface
        .methods
        .iter()
        .map(|method| function(method, ident));
    let names: Vec<_> = interface
        .methods
        .iter()
        .map(|method| &method.ident)
        .collect();
    quote! {
        struct __Functions<__P>(::core::marker::PhantomData<__P>);

        impl<__P: #ident + ::plugin_api::__private::Plugin> __Functions<__P> {
            #(#functions)*
        }

        #[automatically_derived]
        impl<__P: #ident + ::plugin_api::__private::Plugin> ::plugin_api::__private::OfferedBy<__P>
            for dyn #ident
        {
            const TABLE: &'static __Table = &__Table {
                #(#names: __Functions::<__P>::#names::<false>,)*
            };
            const TIMED: &'static __Table = &__Table {
                #(#names: __Functions::<__P>::#names::<true>,)*
            };
        }
    }
}

fn function(method: &Method, interface: &syn::Ident) -> TokenStream {
    let ident = &method.ident;
    let parameters = method.arguments.iter().map(|argument| {
        let (ident, wire) = (&argument.ident, wire(argument, &quote!('_)));
        quote!(#ident: #wire)
    });
    let passed = method.arguments.iter().map(|argument| {
        let ident = &argument.ident;
        let passed = match &argument.lent {
            Some(lent) => quote!(<#lent as ::plugin_api::__private::Lent>::lent(#ident)),
            None => {
                let r#type = &argument.r#type;
                quote!(<#r#type as ::plugin_api::Crossing>::from_wire(#ident))
            }
        };
        placed(passed, argument.r#type.span())
    });
    let (returned, returns) = (returned(method), &method.returns);
    let into_wire = quote!(<#returns as ::plugin_api::Crossing>::into_wire);
    let into_wire = placed(into_wire, method.span);
    let context = method.takes_context.then(|| quote!(__context,));
    let entry = if method.exclusive {
        quote!(::plugin_api::__private::exclusive::<__P, _>)
    } else {
        quote!(::plugin_api::__private::shared::<__TIMED, __P, _>)
    };
    quote! {
        extern "C" fn #ident<const __TIMED: bool>(
            __object: ::plugin_api::__private::Object #(, #parameters)*
        ) -> #returned {
            #entry(__object, move |__plugin, __context| {
                let _ = __context;
                #into_wire(
                    <__P as #interface>::#ident(__plugin, #context #(#passed),*)
                )
            })
        }
    }
}

/// What callers have: the methods, without the context, each with the entrance's error around its result.
fn client(interface: &Interface) -> TokenStream {
    let (ident, visibility, docs) = (&interface.ident, &interface.visibility, &interface.docs);
    let client = client_ident(interface);
    let about = format!(
        " The methods of [`{}`], as callers have them: see [`plugin_api::Handle`].",
        ident.unraw()
    );
    let methods = interface
        .methods
        .iter()
        .zip(0_u32..)
        .map(|(method, number)| client_method(method, number, ident));
    quote! {
        #[doc = #about]
        #[doc = ""]
        #(#docs)*
        #[doc(hidden)]
        #visibility struct #client<__E>(__E);

        #[automatically_derived]
        impl<__E: ::plugin_api::__private::Entrance<dyn #ident>> #client<__E> {
            #(#methods)*
        }
    }
}

fn client_method(method: &Method, number: u32, interface: &syn::Ident) -> TokenStream {
    let (ident, docs, name, exclusive) =
        (&method.ident, &method.docs, &method.name, method.exclusive);
    let parameters = method.arguments.iter().map(|argument| {
        let (ident, r#type) = (&argument.ident, &argument.r#type);
        quote!(#ident: #r#type)
    });
    let passed = method.arguments.iter().map(|argument| {
        let ident = &argument.ident;
        let passed = match &argument.lent {
            Some(lent) => quote!(<#lent as ::plugin_api::__private::Lent>::lend(#ident)),
            None => {
                let r#type = &argument.r#type;
                quote!(<#r#type as ::plugin_api::Crossing>::into_wire(#ident))
            }
        };
        placed(passed, argument.r#type.span())
    });
    let returns = &method.returns;
    quote! {
        #(#docs)*
        #[doc = ""]
        #[doc = " # Errors"]
        #[doc = " Why the call has no result; one that was not let in says so."]
        #[inline]
        pub fn #ident(&self #(, #parameters)*) -> ::core::result::Result<
            #returns,
            <__E as ::plugin_api::__private::Entrance<dyn #interface>>::Error,
        > {
            ::plugin_api::__private::Entrance::<dyn #interface>::enter(
                &self.0,
                ::plugin_api::__private::Called {
                    number: #number,
                    exclusive: #exclusive,
                    name: #name,
                },
                move |__object, __table| (__table.#ident)(__object #(, #passed)*),
            )
        }
    }
}
