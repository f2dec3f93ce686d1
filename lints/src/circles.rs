//! Circles among the modules of a crate, from the paths that its files write out.
//!
//! Modules are compared folder by folder: a folder's children are the nodes, and whatever lies below a child counts as the child.
//! A module may use its own parent, and a parent its children: that is what folders are for.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use crate::sources::{Source, is_test};

type Module = Vec<String>;

/// `blocks: format -> scale -> format`: one line for each circle, its modules in order of name.
pub fn all(sources: &[Source]) -> Vec<String> {
    let mut crates: BTreeMap<&str, Vec<&Source>> = BTreeMap::new();
    for source in sources {
        crates.entry(&source.krate).or_default().push(source);
    }
    let mut circles = Vec::new();
    for (krate, files) in crates {
        let edges = edges(&files);
        let folders: BTreeSet<Module> =
            files.iter().flat_map(|file| (0..file.module.len()).map(|n| file.module[..n].to_vec())).collect();
        for folder in folders {
            for circle in circles_of_children(&folder, &edges) {
                circles.push(format!("{krate}: {}", circle.join(" <-> ")));
            }
        }
    }
    circles
}

/// Which module names which other one in a path.
fn edges(files: &[&Source]) -> BTreeSet<(Module, Module)> {
    let modules: BTreeSet<Module> = files.iter().map(|file| file.module.clone()).collect();
    // What `pub use child::Name` in a module says: (module, Name) is found in the child.
    let mut exported: BTreeMap<(Module, String), Module> = BTreeMap::new();
    let mut paths = Vec::new();
    for file in files {
        let mut found = Paths { uses: Vec::new(), others: Vec::new() };
        found.visit_file(&file.syntax);
        for (path, name, public) in found.uses {
            if public && let Some(path) = absolute(&file.module, &path, &modules) {
                let home = deepest(&path, &modules);
                exported.insert((file.module.clone(), name), home);
            } else if let Some(path) = absolute(&file.module, &path, &modules) {
                paths.push((file.module.clone(), path));
            }
        }
        for path in found.others {
            if let Some(path) = absolute(&file.module, &path, &modules) {
                paths.push((file.module.clone(), path));
            }
        }
    }
    let mut edges = BTreeSet::new();
    for (from, path) in paths {
        let mut to = deepest(&path, &modules);
        // Follow re-exports down to where a name is defined.
        while let Some(name) = path.get(to.len())
            && let Some(home) = exported.get(&(to.clone(), name.clone()))
            && home.len() > to.len()
        {
            to = home.clone();
        }
        if from != to {
            edges.insert((from, to));
        }
    }
    edges
}

/// The longest beginning of a path that is a module.
fn deepest(path: &[String], modules: &BTreeSet<Module>) -> Module {
    (0..=path.len()).rev().map(|n| path[..n].to_vec()).find(|at| modules.contains(at)).unwrap_or_default()
}

/// A path from the root of the crate; `None` for paths into other crates and for local names.
fn absolute(module: &[String], path: &[String], modules: &BTreeSet<Module>) -> Option<Module> {
    let mut at = module.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop()?;
                rest = &rest[1..];
            }
        }
        first => {
            at.push(first.to_owned());
            if !modules.contains(&at) {
                return None;
            }
            at.pop();
        }
    }
    at.extend(rest.iter().cloned());
    Some(at)
}

struct Paths {
    /// The path, the name it gets, and whether others may use that name.
    uses: Vec<(Module, String, bool)>,
    others: Vec<Module>,
}

impl Paths {
    fn tree(&mut self, tree: &syn::UseTree, before: &[String], public: bool) {
        let mut path = before.to_vec();
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.tree(&part.tree, &path, public);
            }
            syn::UseTree::Name(name) => {
                let own = name.ident.to_string();
                if own != "self" {
                    path.push(own.clone());
                }
                self.uses.push((path, own, public));
            }
            syn::UseTree::Rename(name) => {
                path.push(name.ident.to_string());
                self.uses.push((path, name.rename.to_string(), public));
            }
            syn::UseTree::Glob(_) => self.uses.push((path, "*".to_owned(), false)),
            syn::UseTree::Group(group) => {
                for item in &group.items {
                    self.tree(item, before, public);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.tree(&item.tree, &[], public);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.others.push(path.segments.iter().map(|part| part.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }
}

/// Children of a folder that reach each other.
fn circles_of_children(folder: &Module, edges: &BTreeSet<(Module, Module)>) -> Vec<Vec<String>> {
    let child =
        |module: &Module| module.starts_with(folder).then(|| module.get(folder.len()).cloned()).flatten();
    let mut next: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in edges {
        if let (Some(from), Some(to)) = (child(from), child(to))
            && from != to
        {
            next.entry(from).or_default().insert(to);
        }
    }
    let reached = |start: &String| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start.clone()]);
        while let Some(at) = open.pop() {
            for to in next.get(&at).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&String, BTreeSet<String>> = next.keys().map(|at| (at, reached(at))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (at, seen) in &reach {
        if seen.contains(*at) {
            let circle = seen.iter().filter(|to| reach.get(to).is_some_and(|back| back.contains(*at)));
            circles.insert(
                circle
                    .map(|name| folder.iter().chain([name]).cloned().collect::<Vec<_>>().join("::"))
                    .collect(),
            );
        }
    }
    circles.into_iter().collect()
}
