//! Parsing: what an author wrote in the trait, and what is wrong with it.

use crate::{
    plugin::{
        argument,
        method::{MOST_ARGUMENTS, is_plain},
        mistakes::Mistakes,
    },
    types,
};
use proc_macro2::{Span, TokenStream};
use syn::{
    Attribute, Error, FnArg, Ident, ItemTrait, Result, ReturnType, TraitItem, TraitItemFn, Type,
    Visibility, ext::IdentExt as _, parse_quote_spanned, spanned::Spanned,
};

/// Names that a handle needs for itself.
const RESERVED: [&str; 3] = ["clone", "deref", "fmt"];

/// A trait that is fit to be an interface.
pub(super) struct Interface {
    pub(super) ident: Ident,
    pub(super) visibility: Visibility,
    pub(super) docs: Vec<Attribute>,
    pub(super) methods: Vec<Method>,
}

/// A method of it.
pub(super) struct Method {
    pub(super) ident: Ident,
    pub(super) name: String,
    pub(super) docs: Vec<Attribute>,
    pub(super) exclusive: bool,
    pub(super) takes_context: bool,
    pub(super) arguments: Vec<Argument>,
    pub(super) returns: Type,
    /// Where the type of its result stands.
    pub(super) span: Span,
}

/// An argument of it.
pub(super) struct Argument {
    pub(super) ident: Ident,
    pub(super) name: String,
    /// As written.
    pub(super) r#type: Type,
    /// What stands behind the `&`, where it is lent.
    pub(super) lent: Option<Type>,
}

pub(super) fn interface(arguments: TokenStream, item: TokenStream) -> Result<Interface> {
    if !arguments.is_empty() {
        return Err(Error::new_spanned(
            arguments,
            "`interface` takes no options: write `#[plugin_api::interface]`",
        ));
    }
    let item: ItemTrait = syn::parse2(item).map_err(|error| {
        Error::new(
            error.span(),
            format!("`interface` goes on a trait: {error}"),
        )
    })?;
    let mut mistakes = Mistakes::default();
    if !item.generics.params.is_empty() {
        mistakes.at(
            &item.generics,
            "an interface has no parameters: write the types",
        );
    }
    if let Some(r#unsafe) = &item.unsafety {
        mistakes.at(
            r#unsafe,
            "an interface can be called by anyone, so it cannot be `unsafe`",
        );
    }
    let mut methods = Vec::new();
    for item in &item.items {
        match item {
            TraitItem::Fn(function) => methods.extend(method(function, &mut mistakes)),
            other => mistakes.at(
                other,
                "an interface has methods only: put this into another trait",
            ),
        }
    }
    mistakes.none()?;
    Ok(Interface {
        ident: item.ident,
        visibility: item.vis,
        docs: docs(&item.attrs),
        methods,
    })
}

fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_doc = |attribute: &&Attribute| attribute.path().is_ident("doc");
    attributes.iter().filter(is_doc).cloned().collect()
}

fn method(function: &TraitItemFn, mistakes: &mut Mistakes) -> Option<Method> {
    let signature = &function.sig;
    let name = signature.ident.unraw().to_string();
    check(function, &name, mistakes);
    let mut inputs = signature.inputs.iter();
    let Some(FnArg::Receiver(receiver)) = inputs.next() else {
        mistakes.at(
            &signature.ident,
            format!("a method takes `&self` or `&mut self`: write `fn {name}(&self, ...)`"),
        );
        return None;
    };
    if !is_plain(receiver) {
        mistakes.at(
            receiver,
            "the host keeps the plugin: write `&self` (runs concurrently) or `&mut self` (runs alone)",
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
        let Some(checked) = mistakes.take(argument::argument(&input.pat, &input.ty)) else {
            continue;
        };
        let syn::Pat::Ident(pattern) = &*input.pat else {
            continue;
        };
        arguments.push(Argument {
            ident: pattern.ident.clone(),
            name: checked.name,
            r#type: (*input.ty).clone(),
            lent: match &*input.ty {
                Type::Reference(reference) => Some((*reference.elem).clone()),
                _ => None,
            },
        });
    }
    if arguments.len() > MOST_ARGUMENTS {
        mistakes.at(
            &signature.inputs,
            format!(
                "a method takes at most {MOST_ARGUMENTS} arguments: put them into a struct with `#[plugin_api::data]`"
            ),
        );
    }
    let (returns, span) = returns(function, mistakes);
    Some(Method {
        ident: signature.ident.clone(),
        docs: docs(&function.attrs),
        exclusive: receiver.mutability.is_some(),
        name,
        takes_context,
        arguments,
        returns,
        span,
    })
}

fn returns(function: &TraitItemFn, mistakes: &mut Mistakes) -> (Type, Span) {
    let span = function.sig.ident.span();
    match &function.sig.output {
        ReturnType::Default => (parse_quote_spanned!(span=> ()), span),
        ReturnType::Type(_, r#type) => {
            match &**r#type {
                Type::ImplTrait(_) => mistakes.at(r#type, "a result is data: write its type"),
                Type::Reference(_) => mistakes.at(
                    r#type,
                    "a result is copied to the caller: write the owned type (`String` for `&str`, `Vec<T>` for `&[T]`)",
                ),
                _ => {}
            }
            ((**r#type).clone(), r#type.span())
        }
    }
}

/// What no method of an interface can have.
fn check(function: &TraitItemFn, name: &str, mistakes: &mut Mistakes) {
    let signature = &function.sig;
    if name.starts_with('_') || RESERVED.contains(&name) {
        mistakes.at(
            &signature.ident,
            format!("`{name}` is reserved: give the method another name"),
        );
    }
    if let Some(r#async) = &signature.asyncness {
        mistakes.at(
            r#async,
            "async methods cannot stand in an interface yet: write a plain `fn` with `&self`",
        );
    }
    if let Some(r#unsafe) = &signature.unsafety {
        mistakes.at(
            r#unsafe,
            "a method can be called by anyone, so it cannot be `unsafe`",
        );
    }
    if let Some(r#extern) = &signature.abi {
        mistakes.at(
            r#extern,
            "a method is a plain `fn`: the attribute does the rest",
        );
    }
    if !signature.generics.params.is_empty() {
        mistakes.at(
            &signature.generics,
            "a method of an interface has no parameters of type or lifetime: write the types",
        );
    }
    let conditional = |attribute: &&Attribute| {
        attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
    };
    if let Some(cfg) = function.attrs.iter().find(conditional) {
        mistakes.at(
            cfg,
            "a method is there or not, whatever the configuration: both sides have to agree",
        );
    }
}
