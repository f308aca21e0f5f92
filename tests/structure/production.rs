//! Parses code without what is compiled for tests only.

use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Block, File, ImplItem, Item, ItemImpl, ItemMod, Stmt};

/// Parses a file, and removes the items and methods for tests from it.
pub(crate) fn parse(text: &str) -> syn::Result<File> {
    let mut file = syn::parse_file(text)?;
    Remover.visit_file_mut(&mut file);
    Ok(file)
}

struct Remover;

impl VisitMut for Remover {
    fn visit_file_mut(&mut self, file: &mut File) {
        file.items.retain(is_production);
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_mod_mut(&mut self, module: &mut ItemMod) {
        if let Some((_, items)) = &mut module.content {
            items.retain(is_production);
        }
        visit_mut::visit_item_mod_mut(self, module);
    }

    fn visit_item_impl_mut(&mut self, item: &mut ItemImpl) {
        item.items.retain(|inner| match inner {
            ImplItem::Fn(function) => !is_for_tests(&function.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_block_mut(&mut self, block: &mut Block) {
        block.stmts.retain(|statement| match statement {
            Stmt::Item(item) => is_production(item),
            _ => true,
        });
        visit_mut::visit_block_mut(self, block);
    }
}

fn is_production(item: &Item) -> bool {
    !is_for_tests(attributes(item))
}

/// Returns whether these attributes restrict an item to tests.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let name = attribute.path().segments.last();
        let name = name.map(|segment| segment.ident.to_string());
        match (name.as_deref(), &attribute.meta) {
            (Some("test"), _) => true,
            (Some("cfg"), syn::Meta::List(list)) => {
                let condition = list.tokens.to_string();
                condition == "test" || condition.starts_with("all (test")
            }
            _ => false,
        }
    })
}

/// Returns the attributes of an item.
fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[test]
fn removes_code_for_tests_at_every_level() {
    let text = "
        fn kept() {
            #[test]
            fn removed() {}
            fn kept() {}
        }
        impl Kept {
            #[cfg(test)]
            fn removed() {}
            fn kept() {}
        }
        mod kept {
            #[cfg(all(test, unix))]
            fn removed() {}
            #[cfg(unix)]
            fn kept() {}
        }
        #[cfg(test)]
        mod removed;
    ";
    let functions = crate::sizes::functions(text).unwrap();
    let names: Vec<&str> = functions.iter().map(|found| &*found.name).collect();
    assert_eq!(names, ["kept"; 4]);
    assert_eq!(parse(text).unwrap().items.len(), 3);
}
