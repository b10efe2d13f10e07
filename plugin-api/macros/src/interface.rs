//! `#[plugin_api::interface]`: from a trait to a table of functions, and a client with its methods.
//!
//! The trait is parsed into an [`parse::Interface`], whose types are told in a description and crossed in the functions;
//! the trait itself stays as it is.

mod describe;
mod expand;
mod parse;

use proc_macro2::TokenStream;
use quote::quote;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expansion = match parse::interface(arguments, item.clone()) {
        Ok(interface) => expand::interface(&interface),
        Err(error) => error.into_compile_error(),
    };
    quote! {
        #item
        #expansion
    }
}
