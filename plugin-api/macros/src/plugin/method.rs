//! A method: a function of the block that can be called from outside.

use super::{
    argument::{self, Argument},
    mistakes::Mistakes,
};
use crate::types;
use proc_macro2::Span;
use syn::{FnArg, Ident, ImplItemFn, Receiver, ReturnType, Type, spanned::Spanned};

/// The most arguments a method takes; the library says so too.
pub(crate) const MOST_ARGUMENTS: usize = 12;
/// Names that mean something in the life of a plugin, or may come to.
const RESERVED: [&str; 4] = ["detach", "drop", "migrate", "retire"];

/// A function that can be called from outside.
pub(super) struct Method {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) exclusive: bool,
    pub(super) takes_context: bool,
    pub(super) arguments: Vec<Argument>,
    pub(super) returns: String,
    pub(super) fallible: bool,
    pub(super) r#async: bool,
    /// Where the type of its result stands.
    pub(super) span: Span,
}

pub(super) fn method(
    function: &ImplItemFn,
    name: String,
    stateless: bool,
    mistakes: &mut Mistakes,
) -> Option<Method> {
    let signature = &function.sig;
    if name.starts_with('_') || RESERVED.contains(&name.as_str()) {
        mistakes.at(
            &signature.ident,
            format!("`{name}` is reserved: give the method another name, or put it into another `impl` block"),
        );
    }
    let mut inputs = signature.inputs.iter();
    let Some(FnArg::Receiver(receiver)) = inputs.next() else {
        mistakes.at(
            &signature.ident,
            format!(
                "a method takes `&self` or `&mut self`: write `fn {name}(&self, ...)`, or put a function without self \
                 into another `impl` block"
            ),
        );
        return None;
    };
    check_receiver(receiver, stateless, mistakes);
    if let (Some(r#async), Some(_)) = (&signature.asyncness, &receiver.mutability) {
        mistakes.at(
            r#async,
            "a method that waits cannot keep all others out: write `async fn` with `&self`, and put what it changes behind a \
             lock; or a plain `fn` with `&mut self`",
        );
    }
    let mut takes_context = false;
    let mut arguments = Vec::new();
    for (position, input) in inputs.enumerate() {
        let FnArg::Typed(input) = input else { continue };
        if position == 0 && types::is_context_reference(&input.ty) {
            takes_context = true;
            continue;
        }
        if let Some(argument) = mistakes.take(argument::argument(&input.pat, &input.ty)) {
            arguments.push(argument);
        }
    }
    if arguments.len() > MOST_ARGUMENTS {
        mistakes.at(
            &signature.inputs,
            format!(
                "a method takes at most {MOST_ARGUMENTS} arguments: put them into a struct with `#[plugin_api::data]`"
            ),
        );
    }
    let (returns, fallible) = returns(&signature.output, mistakes);
    Some(Method {
        ident: signature.ident.clone(),
        name,
        doc: types::doc(&function.attrs),
        exclusive: receiver.mutability.is_some(),
        takes_context,
        arguments,
        returns,
        fallible,
        r#async: signature.asyncness.is_some(),
        span: match &signature.output {
            ReturnType::Default => signature.ident.span(),
            ReturnType::Type(_, r#type) => r#type.span(),
        },
    })
}

/// The text of what is returned, and whether the method can refuse.
fn returns(output: &ReturnType, mistakes: &mut Mistakes) -> (String, bool) {
    match output {
        ReturnType::Default => ("()".to_owned(), false),
        ReturnType::Type(_, r#type) => {
            if let Type::ImplTrait(r#type) = &**r#type {
                mistakes.at(r#type, "a result is data: write its type");
            }
            match types::result(r#type) {
                None => (types::tidy(r#type), false),
                Some(Some(ok)) => (types::tidy(ok), true),
                Some(None) => ("()".to_owned(), true),
            }
        }
    }
}

/// `&self` or `&mut self`.
pub(crate) fn is_plain(receiver: &Receiver) -> bool {
    receiver.reference.is_some() && receiver.colon_token.is_none()
}

fn check_receiver(receiver: &Receiver, stateless: bool, mistakes: &mut Mistakes) {
    if !is_plain(receiver) {
        mistakes.at(
            receiver,
            "the host keeps the plugin: write `&self` (runs concurrently) or `&mut self` (runs alone)",
        );
    } else if receiver.mutability.is_some() && stateless {
        mistakes.at(
            receiver,
            "a stateless plugin has nothing to change: write `&self`, or remove `stateless` and put \
             `#[plugin_api::state(schema = 1)]` on the type",
        );
    }
}
