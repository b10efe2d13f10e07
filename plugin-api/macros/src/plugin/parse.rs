//! Parsing: what an author wrote in the `impl` block, and what is wrong with it.

use crate::types;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{
    Attribute, Error, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, LitStr, Pat, Receiver, Result,
    ReturnType, Type, ext::IdentExt as _, parse::Parser, spanned::Spanned, visit::Visit,
};

/// The most arguments a method takes; the library says so too.
const MOST_ARGUMENTS: usize = 12;
/// The longest name of a plugin.
const LONGEST_NAME: usize = 64;
/// Names that mean something in the life of a plugin, or may come to.
const RESERVED: [&str; 4] = ["detach", "drop", "migrate", "retire"];

/// An `impl` block that is fit to be a plugin.
pub(super) struct Plugin {
    pub(super) r#type: Type,
    pub(super) doc: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) overlap: bool,
    pub(super) stateless: bool,
    pub(super) exported: bool,
    pub(super) new: Option<Special>,
    pub(super) attach: Option<Special>,
    pub(super) methods: Vec<Method>,
}

/// `new` or `attach`.
pub(super) struct Special {
    pub(super) ident: Ident,
    pub(super) takes_context: bool,
    pub(super) fallible: bool,
}

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
}

/// An argument that the caller gives.
pub(super) struct Argument {
    pub(super) name: String,
    /// As written.
    pub(super) text: String,
    /// The owned type it is read as.
    pub(super) owned: TokenStream,
    /// Whether the method takes a reference to that.
    pub(super) borrowed: bool,
}

/// Mistakes, told all at once.
#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            none => *none = Some(error),
        }
    }

    fn at(&mut self, place: impl ToTokens, message: impl std::fmt::Display) {
        self.add(Error::new_spanned(place, message));
    }

    fn take<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    fn none(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// What stands in the attribute's brackets.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    version: Option<LitStr>,
    mode: Option<LitStr>,
    stateless: bool,
    unexported: bool,
}

impl Options {
    fn parse(arguments: TokenStream) -> Result<Self> {
        let mut options = Options::default();
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("version") {
                options.version = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("mode") {
                options.mode = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("stateless") {
                options.stateless = true;
            } else if meta.path.is_ident("unexported") {
                // For plugin-api's own tests: many plugins in one program.
                options.unexported = true;
            } else {
                return Err(meta.error(
                    "`plugin` takes `name = \"...\"`, `version = \"...\"`, `stateless` and `mode = \"barrier\"` or `\"overlap\"`",
                ));
            }
            Ok(())
        });
        parser.parse2(arguments)?;
        Ok(options)
    }

    /// Its text, or what cargo says of the package.
    fn or_cargo(option: Option<&LitStr>, variable: &str) -> (String, Span) {
        match option {
            Some(literal) => (literal.value(), literal.span()),
            None => (
                std::env::var(variable).unwrap_or_default(),
                Span::call_site(),
            ),
        }
    }

    fn name(&self, mistakes: &mut Mistakes) -> String {
        let (name, span) = Self::or_cargo(self.name.as_ref(), "CARGO_PKG_NAME");
        let fit = name.len() <= LONGEST_NAME
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
        if !fit {
            mistakes.add(Error::new(
                span,
                format!(
                    "`{name}` is no name for a plugin: lower-case letters, digits, `-` and `_`, beginning with a letter, \
                     at most {LONGEST_NAME}; write `#[plugin_api::plugin(name = \"...\")]`"
                ),
            ));
        }
        name
    }

    fn version(&self, mistakes: &mut Mistakes) -> String {
        let (version, span) = Self::or_cargo(self.version.as_ref(), "CARGO_PKG_VERSION");
        let numbers: Vec<&str> = version
            .split(['-', '+'])
            .next()
            .unwrap_or_default()
            .split('.')
            .collect();
        let fit = numbers.len() == 3
            && numbers.iter().all(|number| {
                number
                    .parse::<u64>()
                    .is_ok_and(|value| value.to_string() == *number)
            })
            && version
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
        if !fit {
            mistakes.add(Error::new(
                span,
                format!("`{version}` is no semantic version: write `version = \"1.0.0\"`"),
            ));
        }
        version
    }

    fn overlap(&self, mistakes: &mut Mistakes) -> bool {
        let Some(mode) = &self.mode else {
            return self.stateless;
        };
        match mode.value().as_str() {
            "barrier" => false,
            "overlap" if self.stateless => true,
            "overlap" => {
                mistakes.at(
                    mode,
                    "two generations cannot both hold the state: write `stateless` as well, or leave `mode` out",
                );
                true
            }
            _ => {
                mistakes.at(mode, "a mode is `\"barrier\"` or `\"overlap\"`");
                false
            }
        }
    }
}

/// The plugin that the attribute with these `arguments` makes of `item`.
pub(super) fn plugin(arguments: TokenStream, item: TokenStream) -> Result<Plugin> {
    let options = Options::parse(arguments)?;
    let block: ItemImpl = syn::parse2(item).map_err(|error| {
        Error::new(
            error.span(),
            format!("`plugin` goes on an `impl` block: {error}"),
        )
    })?;
    let mut mistakes = Mistakes::default();
    check_block(&block, &mut mistakes);
    let mut plugin = Plugin {
        doc: types::doc(&block.attrs),
        name: options.name(&mut mistakes),
        version: options.version(&mut mistakes),
        overlap: options.overlap(&mut mistakes),
        stateless: options.stateless,
        exported: !options.unexported,
        new: None,
        attach: None,
        methods: Vec::new(),
        r#type: *block.self_ty,
    };
    for item in &block.items {
        match item {
            ImplItem::Fn(function) => {
                if let Some(found) = mistakes.take(self::function(function, &plugin)) {
                    plugin.keep(found);
                }
            }
            ImplItem::Macro(item) => mistakes.at(
                item,
                "what this macro makes cannot be seen here: write the methods out, or put it into another `impl` block",
            ),
            _ => {}
        }
    }
    mistakes.none()?;
    Ok(plugin)
}

fn check_block(block: &ItemImpl, mistakes: &mut Mistakes) {
    if let Some((_, path, _)) = &block.trait_ {
        mistakes.at(
            path,
            "`plugin` goes on the type's own `impl` block, not on that of a trait",
        );
    }
    if !block.generics.params.is_empty() {
        mistakes.at(
            &block.generics,
            "a plugin is one type, without parameters: write the types it is made of",
        );
    }
    if !matches!(*block.self_ty, Type::Path(_)) {
        mistakes.at(&block.self_ty, "a plugin is a struct or an enum");
    }
}

/// What a function is for.
enum Function {
    New(Special),
    Attach(Special),
    Method(Method),
}

impl Plugin {
    fn keep(&mut self, function: Function) {
        match function {
            Function::New(new) => self.new = Some(new),
            Function::Attach(attach) => self.attach = Some(attach),
            Function::Method(method) => self.methods.push(method),
        }
    }
}

fn function(function: &ImplItemFn, plugin: &Plugin) -> Result<Function> {
    let mut mistakes = Mistakes::default();
    check_function(function, &mut mistakes);
    let name = function.sig.ident.unraw().to_string();
    let found = match name.as_str() {
        "new" => new(function, &mut mistakes).map(Function::New),
        "attach" => attach(function, &mut mistakes).map(Function::Attach),
        _ => method(function, name, plugin, &mut mistakes).map(Function::Method),
    };
    mistakes.none()?;
    found.ok_or_else(|| Error::new_spanned(&function.sig, "not a function of a plugin"))
}

/// What no function of the block can have.
fn check_function(function: &ImplItemFn, mistakes: &mut Mistakes) {
    let signature = &function.sig;
    if let Some(r#async) = &signature.asyncness {
        mistakes.at(
            r#async,
            "async methods are not supported yet: write a plain `fn` with `&self`, which runs concurrently with others",
        );
    }
    if let Some(r#unsafe) = &signature.unsafety {
        mistakes.at(
            r#unsafe,
            "a method can be called by anyone, so it cannot be `unsafe`: put it into another `impl` block",
        );
    }
    if let Some(r#extern) = &signature.abi {
        mistakes.at(
            r#extern,
            "a method is a plain `fn`: put an `extern` function into another `impl` block",
        );
    }
    if !signature.generics.params.is_empty() {
        mistakes.at(
            &signature.generics,
            "a method is called by name, so it has no parameters of type or lifetime: write the types, \
             or put the function into another `impl` block",
        );
    }
    if let Some(cfg) = function
        .attrs
        .iter()
        .find(|attribute| is_conditional(attribute))
    {
        mistakes.at(
            cfg,
            "a method is there or not, whatever the configuration: put the condition inside the function",
        );
    }
}

fn is_conditional(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

fn new(function: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Special> {
    const WRITE: &str =
        "write `fn new() -> Self` or `fn new(ctx: &Context) -> Self`, or with a `Result<Self, _>`";
    let signature = &function.sig;
    let mut inputs = signature.inputs.iter();
    let takes_context = match inputs.next() {
        None => false,
        Some(FnArg::Typed(first)) if is_context_reference(&first.ty) => true,
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

fn attach(function: &ImplItemFn, mistakes: &mut Mistakes) -> Option<Special> {
    const WRITE: &str = "write `fn attach(&mut self, ctx: &Context)`, or with `-> Result<(), _>`";
    let signature = &function.sig;
    let mut inputs = signature.inputs.iter();
    match inputs.next() {
        Some(FnArg::Receiver(receiver)) if is_plain(receiver) => {}
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
        Some(FnArg::Typed(first)) if is_context_reference(&first.ty) => true,
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

fn method(
    function: &ImplItemFn,
    name: String,
    plugin: &Plugin,
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
    if !is_plain(receiver) {
        mistakes.at(
            receiver,
            "the host keeps the plugin: write `&self` (runs concurrently) or `&mut self` (runs alone)",
        );
    } else if receiver.mutability.is_some() && plugin.stateless {
        mistakes.at(
            receiver,
            "a stateless plugin has nothing to change: write `&self`, or remove `stateless` and put \
             `#[plugin_api::state(schema = 1)]` on the type",
        );
    }
    let mut takes_context = false;
    let mut arguments = Vec::new();
    for (position, input) in inputs.enumerate() {
        let FnArg::Typed(input) = input else { continue };
        if position == 0 && is_context_reference(&input.ty) {
            takes_context = true;
            continue;
        }
        if let Some(argument) = mistakes.take(argument(&input.pat, &input.ty)) {
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
fn is_plain(receiver: &Receiver) -> bool {
    receiver.reference.is_some() && receiver.colon_token.is_none()
}

fn is_context_reference(r#type: &Type) -> bool {
    matches!(r#type, Type::Reference(reference) if reference.mutability.is_none())
        && types::is_context(r#type)
}

fn argument(pattern: &Pat, r#type: &Type) -> Result<Argument> {
    let name = match pattern {
        Pat::Ident(ident) if ident.by_ref.is_none() && ident.subpat.is_none() => {
            ident.ident.unraw().to_string()
        }
        other => {
            return Err(Error::new_spanned(
                other,
                "an argument has a name that callers use: write `name: Type`, and take it apart inside the function",
            ));
        }
    };
    if types::is_context(r#type) {
        return Err(Error::new_spanned(
            r#type,
            "the context comes first and by reference: write `ctx: &Context` right after self",
        ));
    }
    let (owned, borrowed) = match r#type {
        Type::Reference(reference) => {
            if let Some(mutability) = &reference.mutability {
                return Err(Error::new_spanned(
                    mutability,
                    "an argument is data, and goes no way back: take it without `mut`, and return what changed",
                ));
            }
            (owned_form(&reference.elem), true)
        }
        other => (other.to_token_stream(), false),
    };
    let inner = match r#type {
        Type::Reference(reference) => &reference.elem,
        other => other,
    };
    let mut borrows = Borrows(None);
    borrows.visit_type(inner);
    if let Some((span, message)) = borrows.0 {
        return Err(Error::new(span, message));
    }
    Ok(Argument {
        name,
        text: types::tidy(r#type),
        owned,
        borrowed,
    })
}

/// The type that an argument behind a reference is read as.
fn owned_form(r#type: &Type) -> TokenStream {
    match r#type {
        Type::Slice(slice) => {
            let element = &slice.elem;
            quote::quote_spanned!(slice.span()=> ::std::vec::Vec<#element>)
        }
        Type::Path(path) => match types::last_segment(r#type) {
            Some(last) if last.ident == "str" => {
                quote::quote_spanned!(path.span()=> ::std::string::String)
            }
            Some(last) if last.ident == "Path" => {
                quote::quote_spanned!(path.span()=> ::std::path::PathBuf)
            }
            _ => path.to_token_stream(),
        },
        other => other.to_token_stream(),
    }
}

/// Looks for what cannot be read from a call: references and lifetimes inside a type, and types without a size.
struct Borrows(Option<(Span, &'static str)>);

impl Borrows {
    const OWN: &'static str = "an argument owns what is inside it: write the owned type (`String` for `&str`, `Vec<T>` for `&[T]`)";
}

impl<'ast> Visit<'ast> for Borrows {
    fn visit_type_reference(&mut self, reference: &'ast syn::TypeReference) {
        self.0.get_or_insert((reference.span(), Self::OWN));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast syn::Lifetime) {
        if lifetime.ident != "static" {
            self.0.get_or_insert((lifetime.span(), Self::OWN));
        }
    }

    fn visit_type_impl_trait(&mut self, r#type: &'ast syn::TypeImplTrait) {
        self.0
            .get_or_insert((r#type.span(), "an argument is data: write its type"));
    }

    fn visit_type_trait_object(&mut self, r#type: &'ast syn::TypeTraitObject) {
        self.0
            .get_or_insert((r#type.span(), "an argument is data: write its type"));
    }
}
