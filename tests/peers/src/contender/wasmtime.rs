//! wasmtime: a typed function, compiled by Cranelift with the default settings, a store for each thread.

use super::{Caller, Contender, Who};
use anyhow::{Result, anyhow};
use wasmtime::{Engine, Instance, Module, Store};

const ADD: &str = r#"
(module
  (func (export "add") (param i64 i64) (result i64)
    local.get 0
    local.get 1
    i64.add))
"#;

/// The contender.
pub(crate) struct Wasmtime {
    engine: Engine,
    module: Module,
}

impl Wasmtime {
    pub(crate) fn new() -> Result<Self> {
        let engine = Engine::default();
        let module = Module::new(&engine, ADD).map_err(told)?;
        Ok(Wasmtime { engine, module })
    }
}

/// Its errors are of a type of its own.
fn told(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:?}")
}

impl Contender for Wasmtime {
    fn who(&self) -> Who {
        Who::Wasmtime
    }

    fn what(&self) -> String {
        format!(
            "wasmtime {}, typed function, a store per thread",
            crate::machine::version_of("wasmtime")
        )
    }

    fn caller(&self) -> Result<Box<dyn Caller + '_>> {
        let mut store = Store::new(&self.engine, ());
        let instance = Instance::new(&mut store, &self.module, &[]).map_err(told)?;
        let add = instance
            .get_typed_func::<(u64, u64), u64>(&mut store, "add")
            .map_err(told)?;
        Ok(Box::new(
            #[inline(always)]
            move |a, b| {
                add.call(&mut store, (a, b))
                    .expect("addition does not trap")
            },
        ))
    }
}
