//! `#[plugin_api::plugin]`: from an `impl` block to a plugin.
//!
//! The block is parsed into a [`parse::Plugin`], which knows what each function is for; that is written down as the
//! manifest, and expanded to the code that answers calls. The block itself stays as it is.

mod parse;

pub(crate) mod argument;
pub(crate) mod method;
pub(crate) mod mistakes;
mod options;
mod special;

mod manifest;

mod expand;

use proc_macro2::TokenStream;
use quote::quote;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let expansion = match parse::plugin(arguments, item.clone()) {
        Ok(plugin) => expand::plugin(&plugin),
        Err(error) => error.into_compile_error(),
    };
    quote! {
        #item
        #expansion
    }
}
