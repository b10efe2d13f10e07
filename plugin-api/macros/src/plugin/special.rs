//! The two functions that are not methods: `new` makes the value, `attach` gets hold of what is not state. And the method
//! that the host calls by itself, `on_change`.

use super::{
    method::{self, Method},
    mistakes::Mistakes,
};
use crate::types;
use syn::{FnArg, Ident, ImplItemFn, ReturnType};

/// `new` or `attach`.
pub(super) struct Special {
    pub(super) ident: Ident,
    pub(super) takes_context: bool,
    pub(super) fallible: bool,
}

/// Neither can be `async`.
fn check_plain(function: &ImplItemFn, write: &str, mistakes: &mut Mistakes) {
    if let Some(r#async) = &function.sig.asyncness {
        mistakes.at(
            r#async,
            format!("what happens before the plugin serves waits for nothing: {write}"),
        );
    }
}

pub(super) fn new(function: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Special> {
    const WRITE: &str =
        "write `fn new() -> Self` or `fn new(ctx: &Context) -> Self`, or with a `Result<Self, _>`";
    check_plain(function, WRITE, mistakes);
    let signature = &function.sig;
    let mut inputs = signature.inputs.iter();
    let takes_context = match inputs.next() {
        None => false,
        Some(FnArg::Typed(first)) if types::is_context_reference(&first.ty) => true,
        Some(other) => {
            mistakes.at(other, format!("`new` makes the plugin: {WRITE}"));
            return None;
        }
    };
    if let Some(other) = inputs.next() {
        mistakes.at(other, format!("`new` takes nothing else: {WRITE}"));
    }
    let fallible = match &signature.output {
        ReturnType::Type(_, r#type) => types::result(r#type).is_some(),
        ReturnType::Default => {
            mistakes.at(&signature.ident, format!("`new` makes the plugin: {WRITE}"));
            false
        }
    };
    Some(Special {
        ident: signature.ident.clone(),
        takes_context,
        fallible,
    })
}

pub(super) fn attach(function: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Special> {
    const WRITE: &str = "write `fn attach(&mut self, ctx: &Context)`, or with `-> Result<(), _>`";
    check_plain(function, WRITE, mistakes);
    let signature = &function.sig;
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) if method::is_plain(receiver) => {}
        _ => {
            mistakes.at(
                &signature.ident,
                format!("`attach` gets hold of what is not state: {WRITE}"),
            );
            return None;
        }
    }
    let takes_context = match inputs.next() {
        None => false,
        Some(FnArg::Typed(first)) if types::is_context_reference(&first.ty) => true,
        Some(other) => {
            mistakes.at(other, format!("`attach` is called by the host: {WRITE}"));
            false
        }
    };
    if let Some(other) = inputs.next() {
        mistakes.at(other, format!("`attach` takes nothing else: {WRITE}"));
    }
    let fallible = match &signature.output {
        ReturnType::Default => false,
        ReturnType::Type(_, r#type) => {
            let fallible = types::result(r#type).is_some();
            if !fallible && types::tidy(r#type) != "()" {
                mistakes.at(r#type, format!("nobody takes this result: {WRITE}"));
            }
            fallible
        }
    };
    Some(Special {
        ident: signature.ident.clone(),
        takes_context,
        fallible,
    })
}

/// The method that is called when a dataset has changed takes its name.
pub(super) fn check_on_change(method: &Method, reads: bool, mistakes: &mut Mistakes) {
    if method.name != "on_change" {
        return;
    }
    const WRITE: &str = "write `fn on_change(&self, dataset: &str)`, or with `&mut self`, a context, or a `Result<(), _>`";
    if !reads {
        mistakes.at(
            &method.ident,
            "`on_change` is called when data has changed that the plugin reads, and this one reads none: write \
             `#[plugin_api::plugin(reads(...))]`, or give the method another name",
        );
    }
    let takes_name = match method.arguments.as_slice() {
        [argument] => matches!(argument.text.as_str(), "&str" | "String"),
        _ => false,
    };
    if !takes_name {
        mistakes.at(
            &method.ident,
            format!("`on_change` is called with the name of the dataset: {WRITE}"),
        );
    }
}
