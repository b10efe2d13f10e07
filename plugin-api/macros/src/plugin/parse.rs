//! Parsing: what an author wrote in the `impl` block, and what is wrong with it.

use super::{
    method::{self, Method},
    mistakes::Mistakes,
    options::Options,
    special::{self, Special},
};
use crate::types;
use proc_macro2::TokenStream;
use syn::{
    Attribute, Error, ImplItem, ImplItemFn, ItemImpl, Path, Result, Type, ext::IdentExt as _,
};

/// An `impl` block that is fit to be a plugin.
pub(super) struct Plugin {
    pub(super) r#type: Type,
    pub(super) doc: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) overlap: bool,
    pub(super) stateless: bool,
    pub(super) exported: bool,
    pub(super) offers: Vec<Path>,
    pub(super) reads: Vec<Path>,
    pub(super) new: Option<Special>,
    pub(super) attach: Option<Special>,
    pub(super) methods: Vec<Method>,
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
        offers: each_once(
            &options.offers,
            "callers find an interface by its name: two of the same name cannot be offered",
            &mut mistakes,
        ),
        reads: each_once(
            &options.reads,
            "it is read already: one type is named once",
            &mut mistakes,
        ),
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

/// These paths, no two with the same name at their end.
fn each_once(paths: &[Path], twice: &str, mistakes: &mut Mistakes) -> Vec<Path> {
    let name = |path: &Path| path.segments.last().map(|last| last.ident.unraw());
    for (place, path) in paths.iter().enumerate() {
        if paths[..place]
            .iter()
            .any(|before| name(before) == name(path))
        {
            mistakes.at(path, twice);
        }
    }
    paths.to_vec()
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
        "new" => special::new(function, &mut mistakes).map(Function::New),
        "attach" => special::attach(function, &mut mistakes).map(Function::Attach),
        _ => method::method(function, name, plugin.stateless, &mut mistakes).map(Function::Method),
    };
    if let Some(Function::Method(method)) = &found {
        special::check_on_change(method, !plugin.reads.is_empty(), &mut mistakes);
    }
    mistakes.none()?;
    found.ok_or_else(|| Error::new_spanned(&function.sig, "not a function of a plugin"))
}

/// What no function of the block can have.
fn check_function(function: &ImplItemFn, mistakes: &mut Mistakes) {
    let signature = &function.sig;
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
