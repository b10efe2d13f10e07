//! An interface in a manifest: what its methods look like, to be compared with what a caller takes them for.

use serde::{Deserialize, Serialize};

/// What an interface looks like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// The trait's name.
    pub name: String,
    /// Its methods; a method's index here is its number.
    pub methods: Vec<InterfaceMethod>,
}

/// A method of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceMethod {
    /// Its name.
    pub name: String,
    /// Whether it is called alone (`&mut self`).
    pub exclusive: bool,
    /// Its arguments, in order; not the context.
    pub arguments: Vec<InterfaceArgument>,
    /// Its result.
    pub returns: Crossed,
}

/// An argument of such a method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceArgument {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(flatten)]
    pub r#type: Crossed,
}

/// A type that crosses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossed {
    /// What it is, with the names, order and types of the fields: `Order{id: u64, note: Option<String>}`.
    pub shape: String,
    /// The bytes that cross; of what is lent, the bytes of one element.
    pub size: usize,
}

impl Interface {
    /// Why a caller that takes the interface for `wanted` cannot use this one; `None` where it can: its methods are those
    /// that this one begins with.
    #[must_use]
    pub fn difference(&self, wanted: &Interface) -> Option<String> {
        let interface = &wanted.name;
        for (number, wanted) in wanted.methods.iter().enumerate() {
            let method = &wanted.name;
            let Some(there) = self.methods.get(number) else {
                return Some(format!(
                    "interface `{interface}`: there is no `{method}` there"
                ));
            };
            if there.name != *method {
                return Some(format!(
                    "interface `{interface}`: method {number} is `{}` there, `{method}` here (new methods go to the end)",
                    there.name
                ));
            }
            if let Some(difference) = there.difference(wanted) {
                return Some(format!("interface `{interface}`: {difference}"));
            }
        }
        None
    }
}

impl InterfaceMethod {
    fn difference(&self, wanted: &InterfaceMethod) -> Option<String> {
        let method = &wanted.name;
        let receiver = |exclusive| if exclusive { "&mut self" } else { "&self" };
        if self.exclusive != wanted.exclusive {
            return Some(format!(
                "`{method}` takes `{}` there, `{}` here",
                receiver(self.exclusive),
                receiver(wanted.exclusive)
            ));
        }
        let names = |of: &InterfaceMethod| -> Vec<String> {
            of.arguments
                .iter()
                .map(|argument| argument.name.clone())
                .collect()
        };
        if names(self) != names(wanted) {
            return Some(format!(
                "`{method}` takes ({}) there, ({}) here",
                names(self).join(", "),
                names(wanted).join(", ")
            ));
        }
        for (there, here) in self.arguments.iter().zip(&wanted.arguments) {
            if there.r#type != here.r#type {
                return Some(format!(
                    "argument `{}` of `{method}` is {}",
                    here.name,
                    there.r#type.beside(&here.r#type)
                ));
            }
        }
        (self.returns != wanted.returns).then(|| {
            format!(
                "the result of `{method}` is {}",
                self.returns.beside(&wanted.returns)
            )
        })
    }
}

impl Crossed {
    fn beside(&self, here: &Crossed) -> String {
        if self.shape == here.shape {
            format!(
                "{} of {} bytes there, of {} here",
                self.shape, self.size, here.size
            )
        } else {
            format!("{} there, {} here", self.shape, here.shape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossed(shape: &str) -> Crossed {
        Crossed {
            shape: shape.to_owned(),
            size: 8,
        }
    }

    fn method(name: &str, argument: &str, shape: &str) -> InterfaceMethod {
        InterfaceMethod {
            name: name.to_owned(),
            exclusive: false,
            arguments: vec![InterfaceArgument {
                name: argument.to_owned(),
                r#type: crossed(shape),
            }],
            returns: crossed("u64"),
        }
    }

    fn interface(methods: &[InterfaceMethod]) -> Interface {
        Interface {
            name: "Arithmetic".to_owned(),
            methods: methods.to_vec(),
        }
    }

    #[test]
    fn methods_may_be_appended_and_nothing_else_may_change() {
        let add = || method("add", "b", "u64");
        let here = interface(&[add()]);
        let difference = |there: &[InterfaceMethod]| interface(there).difference(&here);
        assert_eq!(difference(&[add()]), None);
        assert_eq!(difference(&[add(), method("more", "b", "u64")]), None);
        let say = |there: InterfaceMethod| difference(&[there]).unwrap_or_default();
        assert_eq!(
            say(method("add", "b", "u32")),
            "interface `Arithmetic`: argument `b` of `add` is u32 there, u64 here"
        );
        assert_eq!(
            say(method("add", "c", "u64")),
            "interface `Arithmetic`: `add` takes (c) there, (b) here"
        );
        assert_eq!(
            say(method("sum", "b", "u64")),
            "interface `Arithmetic`: method 0 is `sum` there, `add` here (new methods go to the end)"
        );
        assert_eq!(
            say(InterfaceMethod {
                exclusive: true,
                ..add()
            }),
            "interface `Arithmetic`: `add` takes `&mut self` there, `&self` here"
        );
        assert_eq!(
            say(InterfaceMethod {
                returns: crossed("()"),
                ..add()
            }),
            "interface `Arithmetic`: the result of `add` is () there, u64 here"
        );
        let mut wider = add();
        wider.returns.size = 16;
        assert_eq!(
            say(wider),
            "interface `Arithmetic`: the result of `add` is u64 of 16 bytes there, of 8 here"
        );
        assert_eq!(
            difference(&[]).unwrap_or_default(),
            "interface `Arithmetic`: there is no `add` there"
        );
    }
}
