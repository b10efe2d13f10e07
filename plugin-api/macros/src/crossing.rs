//! How a struct or enum crosses in an interface: a `repr(C)` mirror of it, and the way there and back.
//!
//! The mirror takes the wire forms of the fields as type parameters, and the `impl` is bound by the fields' own crossing,
//! each bound under a `for<'a>` that has the compiler look at it only where the type is used. So a type with a field that
//! cannot cross still serves by name.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    Field, Fields, GenericParam, Generics, Ident, Index, Item, Type, ext::IdentExt as _,
    spanned::Spanned, visit::Visit,
};

/// One struct, or one variant of an enum.
struct Shape<'a> {
    ident: &'a Ident,
    fields: &'a Fields,
}

/// The `impl` of `Crossing`; nothing for what goes by name only: types with lifetimes or numbers for parameters, types that
/// hold themselves, enums without variants.
pub(crate) fn mirrored(item: &Item) -> TokenStream {
    let (ident, generics, shapes, is_enum) = match item {
        Item::Struct(item) => {
            let shape = Shape {
                ident: &item.ident,
                fields: &item.fields,
            };
            (&item.ident, &item.generics, vec![shape], false)
        }
        Item::Enum(item) => {
            let shapes: Vec<Shape<'_>> = item
                .variants
                .iter()
                .map(|variant| Shape {
                    ident: &variant.ident,
                    fields: &variant.fields,
                })
                .collect();
            (&item.ident, &item.generics, shapes, true)
        }
        _ => return TokenStream::new(),
    };
    let mut holds = Holds {
        ident,
        found: false,
    };
    for shape in &shapes {
        holds.visit_fields(shape.fields);
    }
    let only_types = generics
        .params
        .iter()
        .all(|parameter| matches!(parameter, GenericParam::Type(_)));
    if holds.found || shapes.is_empty() || !only_types {
        return TokenStream::new();
    }
    expand(ident, generics, &shapes, is_enum)
}

/// Looks for the type itself in its own fields.
struct Holds<'a> {
    ident: &'a Ident,
    found: bool,
}

impl<'ast> Visit<'ast> for Holds<'_> {
    fn visit_ident(&mut self, ident: &'ast Ident) {
        self.found |= ident == self.ident || ident == "Self";
    }
}

/// Whether a field stays behind: it has `#[serde(skip)]`.
fn stays(field: &Field) -> bool {
    let mut stays = false;
    for attribute in &field.attrs {
        if attribute.path().is_ident("serde") {
            // What serde cannot read is its own to say.
            let _ = attribute.parse_nested_meta(|meta| {
                stays |= meta.path.is_ident("skip");
                if meta.input.peek(syn::Token![=]) {
                    meta.value()?.parse::<syn::Expr>()?;
                } else if meta.input.peek(syn::token::Paren) {
                    let inside;
                    syn::parenthesized!(inside in meta.input);
                    inside.parse::<TokenStream>()?;
                }
                Ok(())
            });
        }
    }
    stays
}

/// What is made of the fields of a shape.
#[derive(Default)]
struct Made {
    /// The mirror's fields.
    mirror: Vec<TokenStream>,
    /// Patterns that take the type's fields, or the mirror's.
    taken: Vec<TokenStream>,
    taken_wire: Vec<TokenStream>,
    /// The mirror's fields from those, and the other way round.
    there: Vec<TokenStream>,
    back: Vec<TokenStream>,
    /// The rope's pieces.
    rope: Vec<TokenStream>,
}

/// The types that cross, each with its parameter of the mirror.
#[derive(Default)]
struct Crossers {
    types: Vec<Type>,
    parameters: Vec<Ident>,
}

fn made(fields: &Fields, crossers: &mut Crossers) -> Made {
    let mut made = Made::default();
    let mut crossed = 0_usize;
    for (place, field) in fields.iter().enumerate() {
        let variable = format_ident!("__field_{place}");
        let index = Index::from(place);
        let member = field
            .ident
            .as_ref()
            .map_or_else(|| quote!(#index), |ident| quote!(#ident));
        if stays(field) {
            made.taken.push(quote!(#member: _,));
            made.back
                .push(quote!(#member: ::core::default::Default::default(),));
            continue;
        }
        let parameter = format_ident!("__T{}", crossers.types.len());
        let separator = if crossed > 0 { ", " } else { "" };
        let (wire_member, piece) = match &field.ident {
            Some(ident) => (quote!(#ident), format!("{separator}{}: ", ident.unraw())),
            None => {
                let index = Index::from(crossed);
                (quote!(#index), separator.to_owned())
            }
        };
        crossed += 1;
        let r#type = &field.ty;
        made.mirror.push(match &field.ident {
            Some(ident) => quote!(#ident: #parameter,),
            None => quote!(#parameter,),
        });
        made.taken.push(quote!(#member: #variable,));
        made.taken_wire.push(quote!(#wire_member: #variable,));
        made.there
            .push(quote!(#wire_member: <#r#type as ::plugin_api::Crossing>::into_wire(#variable),));
        made.back
            .push(quote!(#member: <#r#type as ::plugin_api::Crossing>::from_wire(#variable),));
        made.rope
            .push(quote!(::plugin_api::__private::Rope::Text(#piece)));
        made.rope
            .push(quote!(<#r#type as ::plugin_api::Crossing>::SHAPE));
        crossers.types.push(r#type.clone());
        crossers.parameters.push(parameter);
    }
    made
}

/// The rope of a struct or variant: `Name{a: u8}`, `Name(u8)` or `Name`.
fn rope(shape: &Shape<'_>, made: &Made, before: &str) -> TokenStream {
    let (open, close) = match shape.fields {
        Fields::Named(_) => ("{", "}"),
        Fields::Unnamed(_) => ("(", ")"),
        Fields::Unit => ("", ""),
    };
    let open = format!("{before}{}{open}", shape.ident.unraw());
    let pieces = &made.rope;
    quote! {
        ::plugin_api::__private::Rope::Text(#open), #(#pieces,)*
        ::plugin_api::__private::Rope::Text(#close)
    }
}

/// The mirror's declaration of a struct or variant.
fn mirror(shape: &Shape<'_>, made: &Made) -> TokenStream {
    let fields = &made.mirror;
    match shape.fields {
        Fields::Named(_) => quote!({ #(#fields)* }),
        Fields::Unnamed(_) => quote!((#(#fields)*)),
        Fields::Unit => TokenStream::new(),
    }
}

fn expand(ident: &Ident, generics: &Generics, shapes: &[Shape<'_>], is_enum: bool) -> TokenStream {
    let mut crossers = Crossers::default();
    let made: Vec<Made> = shapes
        .iter()
        .map(|shape| self::made(shape.fields, &mut crossers))
        .collect();
    let Crossers { types, parameters } = &crossers;
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let existing = bounds.map(|bounds| &bounds.predicates).into_iter();
    let pairs = || shapes.iter().zip(&made);
    let (declared, rope) = if is_enum {
        let variants = pairs().map(|(shape, made)| {
            let (variant, mirror) = (shape.ident, mirror(shape, made));
            quote!(#variant #mirror,)
        });
        let ropes = pairs()
            .enumerate()
            .map(|(place, (shape, made))| rope(shape, made, if place > 0 { ", " } else { "" }));
        let open = format!("{}{{", ident.unraw());
        (
            quote!(pub enum __Wire<#(#parameters),*> { #(#variants)* }),
            quote! {
                ::plugin_api::__private::Rope::Text(#open), #(#ropes,)*
                ::plugin_api::__private::Rope::Text("}")
            },
        )
    } else {
        let (shape, made) = (&shapes[0], &made[0]);
        let mirror = mirror(shape, made);
        let semicolon = (!matches!(shape.fields, Fields::Named(_))).then(|| quote!(;));
        (
            quote!(pub struct __Wire<#(#parameters),*> #mirror #semicolon),
            rope(shape, made, ""),
        )
    };
    let arms = |from: &TokenStream, to: &TokenStream, there: bool| -> TokenStream {
        pairs()
            .map(|(shape, made)| {
                let path = is_enum.then(|| {
                    let variant = shape.ident;
                    quote!(::#variant)
                });
                let (taken, given) = if there {
                    (&made.taken, &made.there)
                } else {
                    (&made.taken_wire, &made.back)
                };
                quote!(#from #path { #(#taken)* } => #to #path { #(#given)* },)
            })
            .collect()
    };
    let there = arms(&quote!(Self), &quote!(__Wire), true);
    let back = arms(&quote!(__Wire), &quote!(Self), false);
    let bounds = types.iter().map(|r#type| {
        let span = Span::call_site().located_at(r#type.span());
        quote_spanned!(span=> for<'__a> #r#type: ::plugin_api::Crossing)
    });
    quote! {
        const _: () = {
            #[repr(C)]
            #declared

            #[automatically_derived]
            impl #impl_generics ::plugin_api::Crossing for #ident #type_generics
            where
                #(#existing,)*
                #(#bounds,)*
            {
                type Wire = __Wire<#(<#types as ::plugin_api::Crossing>::Wire),*>;
                const SHAPE: ::plugin_api::__private::Rope =
                    ::plugin_api::__private::Rope::Parts(&[#rope]);

                fn into_wire(self) -> Self::Wire {
                    match self { #there }
                }

                fn from_wire(wire: Self::Wire) -> Self {
                    match wire { #back }
                }
            }
        };
    }
}

/// The `impl`s for a struct that crosses as it lies in memory.
pub(crate) fn plain(ident: &Ident, fields: &Fields) -> TokenStream {
    let asked = fields.iter().map(|field| {
        let r#type = &field.ty;
        let span = Span::call_site().located_at(r#type.span());
        quote_spanned!(span=> const _: () = ::plugin_api::__private::plain::<#r#type>();)
    });
    let pieces = fields.iter().enumerate().map(|(place, field)| {
        let r#type = &field.ty;
        let separator = if place > 0 { ", " } else { "" };
        let piece = match &field.ident {
            Some(ident) => format!("{separator}{}: ", ident.unraw()),
            None => separator.to_owned(),
        };
        quote! {
            ::plugin_api::__private::Rope::Text(#piece),
            <#r#type as ::plugin_api::Plain>::PLAIN_SHAPE
        }
    });
    let (open, close) = match fields {
        Fields::Named(_) => ("{", "}"),
        Fields::Unnamed(_) => ("(", ")"),
        Fields::Unit => ("", ""),
    };
    let open = format!("{}{open}", ident.unraw());
    quote! {
        #(#asked)*

        #[automatically_derived]
        impl ::plugin_api::Plain for #ident {
            const PLAIN_SHAPE: ::plugin_api::__private::Rope =
                ::plugin_api::__private::Rope::Parts(&[
                    ::plugin_api::__private::Rope::Text(#open), #(#pieces,)*
                    ::plugin_api::__private::Rope::Text(#close),
                ]);
        }

        #[automatically_derived]
        impl ::plugin_api::Crossing for #ident {
            type Wire = Self;
            const SHAPE: ::plugin_api::__private::Rope =
                <Self as ::plugin_api::Plain>::PLAIN_SHAPE;

            #[inline(always)]
            fn into_wire(self) -> Self {
                self
            }

            #[inline(always)]
            fn from_wire(wire: Self) -> Self {
                wire
            }

            fn many_into_wire(many: ::std::vec::Vec<Self>) -> ::plugin_api::__private::RVec<Self> {
                ::core::convert::Into::into(many)
            }

            fn many_from_wire(wire: ::plugin_api::__private::RVec<Self>) -> ::std::vec::Vec<Self> {
                wire.as_slice().to_vec()
            }
        }
    }
}
