//! The modules of a crate without its tests: their items, imports and paths.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Macro, UseTree, Visibility};

use crate::production;

/// The names of a module and its parents, from the root of the crate.
pub(crate) type ModulePath = Vec<String>;

/// A parsed crate.
#[derive(Default)]
pub(crate) struct Crate {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

/// A module, in a file of its own or inline.
#[derive(Default)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// The names of its items other than modules.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// The paths in its code outside of imports.
    pub(crate) paths: BTreeSet<Vec<String>>,
}

/// One name that a `use` brings in.
#[derive(Clone)]
pub(crate) struct Import {
    /// The name in this module, or `None` for a glob import.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    /// Whether it is a re-export.
    pub(crate) is_public: bool,
}

impl Crate {
    /// Parses a crate from its root file.
    pub(crate) fn read(root: &Path) -> Self {
        let mut this = Self::default();
        let folder = root.parent().unwrap().to_owned();
        this.read_file(root, &folder, &[]);
        this
    }

    /// Parses a file of the crate; the files of its modules are in `folder`.
    fn read_file(&mut self, path: &Path, folder: &Path, module: &[String]) {
        let text = fs_err::read_to_string(path).unwrap();
        let file = production::parse(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        self.read_items(&file.items, path, folder, module);
    }

    fn read_items(&mut self, items: &[Item], file: &Path, folder: &Path, module: &[String]) {
        let mut reader = Reader::default();
        for item in items {
            reader.visit_item(item);
        }
        let inner = std::mem::take(&mut reader.inner);
        let mut this = reader.module;
        this.file = file.to_owned();
        self.modules.insert(module.to_vec(), this);
        for inner in inner {
            let name = inner.ident.to_string();
            let path = [module, std::slice::from_ref(&name)].concat();
            let folder_of_inner = folder.join(&name);
            match &inner.content {
                Some((_, items)) => self.read_items(items, file, &folder_of_inner, &path),
                None => {
                    let candidates = [
                        folder.join(format!("{name}.rs")),
                        folder_of_inner.join("mod.rs"),
                    ];
                    let found = candidates.iter().find(|path| path.exists());
                    let found = found.unwrap_or_else(|| panic!("no file of {path:?} in {file:?}"));
                    self.read_file(found, &folder_of_inner, &path);
                }
            }
        }
    }
}

/// Collects the content of one module without its child modules.
#[derive(Default)]
struct Reader {
    module: Module,
    inner: Vec<ItemMod>,
    /// The nesting depth of items: an item inside a function has no path.
    depth: u32,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if self.depth == 0
            && let Some(name) = name_of(item)
        {
            self.module.items.insert(name);
        }
        match item {
            Item::Mod(inner) if self.depth == 0 => self.inner.push(inner.clone()),
            item => {
                self.depth += 1;
                visit::visit_item(self, item);
                self.depth -= 1;
            }
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = self.depth == 1 && !matches!(item.vis, Visibility::Inherited);
        let leading = item.leading_colon.is_some();
        if !leading {
            add_imports(&mut self.module.imports, Vec::new(), &item.tree, is_public);
        }
    }

    fn visit_visibility(&mut self, _: &'ast Visibility) {
        // `pub(super)` names a module but imports nothing from it.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let names = path
                .segments
                .iter()
                .map(|segment| segment.ident.to_string());
            self.module.paths.insert(names.collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast Macro) {
        visit::visit_macro(self, invocation);
        self.add_tokens(invocation.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.add_tokens(list.tokens.clone());
        }
    }
}

impl Reader {
    /// Adds the paths of code that has no syntax tree.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        // A field or method follows a dot, and the rest of another path two colons.
        let mut begins_path = true;
        while let Some(token) = tokens.next() {
            let is_doubled = matches!((&token, tokens.peek()),
                (TokenTree::Punct(one), Some(TokenTree::Punct(two))) if one.as_char() == two.as_char());
            match token {
                TokenTree::Ident(first) => {
                    let mut path = vec![first.to_string()];
                    while is_colon(tokens.peek()) {
                        tokens.next();
                        tokens.next();
                        match tokens.peek() {
                            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                            _ => break,
                        }
                        tokens.next();
                    }
                    if begins_path {
                        self.module.paths.insert(path);
                    }
                    begins_path = true;
                }
                TokenTree::Group(group) => {
                    self.add_tokens(group.stream());
                    begins_path = true;
                }
                TokenTree::Punct(sign) if is_doubled => {
                    tokens.next();
                    begins_path = sign.as_char() != ':';
                }
                TokenTree::Punct(sign) => begins_path = sign.as_char() != '.',
                TokenTree::Literal(_) => begins_path = true,
            }
        }
    }
}

/// Returns whether a token is the first of two colons.
fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(sign)) if sign.as_char() == ':'
        && sign.spacing() == Spacing::Joint)
}

fn add_imports(imports: &mut Vec<Import>, prefix: Vec<String>, tree: &UseTree, is_public: bool) {
    let with = |name: String| [prefix.clone(), vec![name]].concat();
    let mut add = |name: Option<String>, path: Vec<String>| {
        imports.push(Import {
            name,
            path,
            is_public,
        });
    };
    match tree {
        UseTree::Path(path) => {
            let prefix = with(path.ident.to_string());
            add_imports(imports, prefix, &path.tree, is_public);
        }
        UseTree::Name(name) if name.ident == "self" => add(prefix.last().cloned(), prefix),
        UseTree::Name(name) => add(Some(name.ident.to_string()), with(name.ident.to_string())),
        UseTree::Rename(rename) if rename.ident == "self" => {
            add(Some(rename.rename.to_string()), prefix);
        }
        UseTree::Rename(rename) => {
            let path = with(rename.ident.to_string());
            add(Some(rename.rename.to_string()), path);
        }
        UseTree::Glob(_) => add(None, prefix),
        UseTree::Group(group) => {
            for tree in &group.items {
                add_imports(imports, prefix.clone(), tree, is_public);
            }
        }
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
