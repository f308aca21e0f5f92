//! Resolves paths to the files that define them, through re-exports.

use std::path::Path;

use crate::source::{Crate, Import, Module, ModulePath};

/// Re-exports can form cycles, too.
const MAX_STEPS: u32 = 16;

impl Crate {
    /// Returns the file that defines a path of a module, or `None` if another crate defines it.
    pub(crate) fn file_of(&self, module: &ModulePath, path: &[String]) -> Option<&Path> {
        let found = self.resolve(module, path, 0)?;
        Some(&self.modules.get(&found)?.file)
    }

    /// Returns the module that defines a path.
    fn resolve(&self, module: &ModulePath, path: &[String], steps: u32) -> Option<ModulePath> {
        let (first, rest) = path.split_first()?;
        if steps > MAX_STEPS {
            return None;
        }
        let here = self.modules.get(module)?;
        match first.as_str() {
            "crate" => self.descend(Vec::new(), rest, steps),
            "self" => self.descend(module.clone(), rest, steps),
            "super" => {
                let (_, parent) = module.split_last()?;
                match rest.first().map(String::as_str) {
                    Some("super") => self.resolve(&parent.to_vec(), rest, steps),
                    _ => self.descend(parent.to_vec(), rest, steps),
                }
            }
            name => {
                let child = child_of(module, name);
                if self.modules.contains_key(&child) {
                    return self.descend(child, rest, steps);
                }
                let imports = here.imports.iter();
                let import = imports.filter(|import| import.name.as_deref() == Some(name));
                import
                    .filter(|import| import.path.as_slice() != path)
                    .find_map(|import| self.follow(module, import, rest, steps))
            }
        }
    }

    /// Resolves the rest of a path within a module.
    fn descend(&self, module: ModulePath, path: &[String], steps: u32) -> Option<ModulePath> {
        let here = self.modules.get(&module)?;
        let Some((name, rest)) = path.split_first() else {
            return Some(module);
        };
        let child = child_of(&module, name);
        if self.modules.contains_key(&child) {
            return self.descend(child, rest, steps);
        }
        if here.items.contains(name) {
            return Some(module);
        }
        let named = |import: &&Import| import.name.as_deref() == Some(name);
        let mut imports = here.imports.iter().filter(named);
        if let Some(found) = imports.find_map(|import| self.follow(&module, import, rest, steps)) {
            return Some(found);
        }
        let globs = here.imports.iter().filter(|import| import.name.is_none());
        let mut globs = globs.filter_map(|import| self.resolve(&module, &import.path, steps + 1));
        let defines = |glob: &ModulePath| self.modules.get(glob).is_some_and(|glob| glob.has(name));
        // A macro of this module may define it.
        Some(globs.find(defines).unwrap_or(module))
    }

    fn follow(
        &self,
        module: &ModulePath,
        import: &Import,
        rest: &[String],
        steps: u32,
    ) -> Option<ModulePath> {
        let path = [import.path.as_slice(), rest].concat();
        self.resolve(module, &path, steps + 1)
    }
}

impl Module {
    fn has(&self, name: &str) -> bool {
        let mut imports = self.imports.iter();
        self.items.contains(name) || imports.any(|import| import.name.as_deref() == Some(name))
    }
}

fn child_of(module: &ModulePath, name: &str) -> ModulePath {
    [module.as_slice(), &[name.to_owned()]].concat()
}
