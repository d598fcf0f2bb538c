//! The modules of `src`: which names each of them defines and imports, and which paths its code contains. A path is
//! resolved through imports and re-exports to the module that defines its item.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::source::{Token, code, starts_with};

/// A module's path within the crate, as in `protocol::topic`; the crate's root is empty.
pub type ModulePath = String;

/// A path as it is written, by its segments.
type Segments = Vec<String>;

#[derive(Debug, Default)]
struct Module {
    /// The names of modules, types, functions and so on, methods included.
    defined: BTreeSet<String>,
    /// The imported paths, by the name that they have in this module.
    imported: BTreeMap<String, Vec<Segments>>,
    globs: Vec<Segments>,
}

/// A path in code or in a `use`.
#[derive(Debug)]
struct Reference {
    module: ModulePath,
    segments: Segments,
    file: PathBuf,
    line: usize,
}

/// An import: from the module that contains a path to the one that defines its item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub from: ModulePath,
    pub to: ModulePath,
    pub file: PathBuf,
    pub line: usize,
    pub path: String,
}

/// All modules of a crate.
#[derive(Debug, Default)]
pub struct Modules {
    modules: BTreeMap<ModulePath, Module>,
    references: Vec<Reference>,
}

/// The maximal length of a chain of imports; a longer one is a circle.
const MAX_IMPORTS: usize = 16;
/// This crate's name in the binary, which is a crate of its own.
const LIBRARY: &str = "actix_gossipsub";

impl Modules {
    /// Reads every Rust file below a folder.
    pub fn read(source: &Path) -> Self {
        let mut all = Self::default();
        all.folder(source, source);
        all
    }

    fn folder(&mut self, folder: &Path, root: &Path) {
        let entries = fs::read_dir(folder).expect("a readable folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.folder(&path, root);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a readable file");
                let file = path.strip_prefix(root).expect("below the root").to_owned();
                self.file(&file, &code(&text));
            }
        }
    }

    /// Reads one file, named as below `src`.
    pub fn file(&mut self, file: &Path, code: &[Token]) {
        let module = module_of(file);
        let parent = parent(&module);
        if module != parent {
            let name = module.rsplit("::").next().unwrap_or_default().to_owned();
            self.modules.entry(parent).or_default().defined.insert(name);
        }
        self.modules.entry(module.clone()).or_default();
        Reader { all: self, file, code, at: 0, modules: vec![(module, 0)], depth: 0 }.read();
    }

    /// The path of every module.
    pub fn paths(&self) -> impl Iterator<Item = &ModulePath> {
        self.modules.keys()
    }

    /// Every path that leads from one module to another.
    pub fn arrows(&self) -> BTreeSet<Arrow> {
        let arrow = |reference: &Reference| {
            let Reference { module, segments, file, line } = reference;
            let to = self.resolve(module, segments, 0)?;
            let path = segments.join("::");
            Some(Arrow { from: module.clone(), to, file: file.clone(), line: *line, path })
        };
        self.references.iter().filter_map(arrow).filter(|arrow| arrow.from != arrow.to).collect()
    }

    /// The module that defines what a path in `module` names; `None` if that is in another crate.
    fn resolve(&self, module: &str, segments: &[String], imports: usize) -> Option<ModulePath> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" | LIBRARY => Some(self.walk("", rest, imports)),
            "self" => Some(self.walk(module, rest, imports)),
            "super" => Some(self.walk(&parent(module), rest, imports)),
            name if self.is_module(&join(module, name)) => Some(self.walk(module, segments, imports)),
            name => self.imported(module, name, rest, imports),
        }
    }

    /// Follows the segments from a module on, as far as they name modules or imports.
    fn walk(&self, module: &str, segments: &[String], imports: usize) -> ModulePath {
        let Some((first, rest)) = segments.split_first() else { return module.to_owned() };
        if first == "super" {
            return self.walk(&parent(module), rest, imports);
        }
        let child = join(module, first);
        if self.is_module(&child) {
            return self.walk(&child, rest, imports);
        }
        self.imported(module, first, rest, imports).unwrap_or_else(|| module.to_owned())
    }

    /// The module that an imported name refers to, also through a glob import.
    fn imported(&self, module: &str, name: &str, rest: &[String], imports: usize) -> Option<ModulePath> {
        let known = self.modules.get(module).filter(|_| imports < MAX_IMPORTS)?;
        let import = known
            .imported
            .get(name)
            .into_iter()
            .flatten()
            .find_map(|import| self.resolve(module, &[import, rest].concat(), imports + 1));
        if import.is_some() || known.defined.contains(name) {
            return import;
        }
        known.globs.iter().find_map(|glob| {
            let target = self.resolve(module, glob, imports + 1)?;
            let imported = self.modules.get(&target)?;
            if imported.defined.contains(name) {
                return Some(self.walk(&target, &[&[name.to_owned()], rest].concat(), imports + 1));
            }
            self.imported(&target, name, rest, imports + 1)
        })
    }

    fn is_module(&self, path: &str) -> bool {
        self.modules.contains_key(path)
    }
}

fn join(module: &str, name: &str) -> ModulePath {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

fn parent(module: &str) -> ModulePath {
    module.rsplit_once("::").map_or("", |(parent, _)| parent).to_owned()
}

fn module_of(file: &Path) -> ModulePath {
    let path = file.with_extension("");
    let mut names: Vec<_> = path.iter().map(|name| name.to_str().expect("a name in UTF-8")).collect();
    if ["mod", "lib"].contains(names.last().expect("a name")) {
        names.pop();
    }
    names.join("::")
}

/// Reads the tokens of a file from front to back.
struct Reader<'a> {
    all: &'a mut Modules,
    file: &'a Path,
    code: &'a [Token],
    at: usize,
    /// The module of the file and the open modules inside it, each with the depth of braces where it begins.
    modules: Vec<(ModulePath, usize)>,
    depth: usize,
}

/// The keywords before the name of a defined item.
const DEFINING: [&str; 9] =
    ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "macro_rules"];

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(token) = self.code.get(self.at) {
            let next = self.code.get(self.at + 1);
            match token.text.as_str() {
                "{" => self.depth += 1,
                "}" => {
                    self.depth -= 1;
                    self.modules.pop_if(|(_, depth)| *depth > self.depth);
                }
                "mod" if starts_with(&self.code[self.at + 2..], &["{"]) => {
                    let name = &self.code[self.at + 1].text;
                    let module = join(self.module(), name);
                    self.define(name.clone());
                    self.all.modules.entry(module.clone()).or_default();
                    self.modules.push((module, self.depth + 1));
                    self.at += 1;
                }
                // The path in `pub(in path)` is not an import.
                "in" if self.at > 1 && starts_with(&self.code[self.at - 2..], &["pub", "("]) => {
                    while !self.code.get(self.at).is_none_or(|token| token.is(")")) {
                        self.at += 1;
                    }
                }
                "use" => {
                    self.at += 1;
                    self.tree(&Vec::new());
                    continue;
                }
                defining if DEFINING.contains(&defining) => {
                    if let Some(next) = next {
                        self.define(next.text.clone());
                    }
                }
                _ if self.is_start_of_path() => {
                    self.path();
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
    }

    fn module(&self) -> &ModulePath {
        &self.modules.last().expect("the file's own").0
    }

    fn this(&mut self) -> &mut Module {
        let module = self.module().clone();
        self.all.modules.entry(module).or_default()
    }

    fn define(&mut self, name: String) {
        self.this().defined.insert(name);
    }

    fn refer(&mut self, segments: Segments, line: usize) {
        let (module, file) = (self.module().clone(), self.file.to_owned());
        self.all.references.push(Reference { module, segments, file, line });
    }

    fn is_start_of_path(&self) -> bool {
        let continues = self.at > 0 && ["::", "."].iter().any(|mark| self.code[self.at - 1].is(mark));
        let token = &self.code[self.at];
        !continues && starts_with(&self.code[self.at + 1..], &["::"]) && is_name(token)
    }

    fn path(&mut self) {
        let line = self.code[self.at].line;
        let mut segments = vec![self.code[self.at].text.clone()];
        self.at += 1;
        while starts_with(&self.code[self.at..], &["::"])
            && let Some(name) = self.code.get(self.at + 1).filter(|name| is_name(name))
        {
            segments.push(name.text.clone());
            self.at += 2;
        }
        self.refer(segments, line);
    }

    /// Reads a tree of a `use` after `prefix`, and stops after the tree.
    fn tree(&mut self, prefix: &Segments) {
        let mut segments = prefix.clone();
        while let Some(token) = self.code.get(self.at) {
            let (text, line) = (token.text.clone(), token.line);
            self.at += 1;
            match text.as_str() {
                "::" => {}
                "{" => {
                    while !self.code.get(self.at).is_none_or(|token| token.is("}")) {
                        self.tree(&segments);
                    }
                    self.at += 1;
                    // The comma or semicolon after the braces.
                    self.at += usize::from(self.code.get(self.at).is_some_and(|t| t.is(",") || t.is(";")));
                    return;
                }
                "*" => {
                    self.refer(segments.clone(), line);
                    self.this().globs.push(segments.clone());
                }
                "as" => {
                    let alias = self.code.get(self.at).map_or_else(String::new, |alias| alias.text.clone());
                    self.at += 1;
                    self.import(alias, &segments, line);
                    segments.clear();
                }
                "," | ";" | "}" => {
                    self.at -= usize::from(text == "}");
                    let glob = self.code[self.at - 1 - usize::from(text != "}")].is("*");
                    if !segments.is_empty() && !glob {
                        let name = segments.last().expect("not empty").clone();
                        self.import(name, &segments, line);
                    }
                    return;
                }
                _ => segments.push(text),
            }
        }
    }

    fn import(&mut self, mut name: String, segments: &Segments, line: usize) {
        let mut segments = segments.clone();
        if segments.last().is_some_and(|last| last == "self") && segments.len() > 1 {
            segments.pop();
            if name == "self" {
                name = segments.last().expect("not empty").clone();
            }
        }
        self.refer(segments.clone(), line);
        self.this().imported.entry(name).or_default().push(segments);
    }
}

fn is_name(token: &Token) -> bool {
    token.text.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

#[test]
fn paths_lead_to_the_module_that_defines_their_item() {
    let files = [
        ("lib.rs", "pub mod a; mod b; pub use a::inner::Deep as Renamed;"),
        (
            "a/mod.rs",
            "pub(in crate::b) mod inner; pub use self::inner::{self, Deep}; struct Own; use super::b;",
        ),
        (
            "a/inner.rs",
            "pub struct Deep; use super::*; fn f() -> Own { b::g::<super::Own>(crate::Renamed::X) }",
        ),
        (
            "b.rs",
            "use std::fmt; use crate::{a::{Deep, inner as i}, Renamed};\nfn g() { i::Deep; libp2p::X; fmt::Y }",
        ),
    ];
    let mut modules = Modules::default();
    for (file, text) in files {
        modules.file(Path::new(file), &code(text));
    }
    let found =
        modules.arrows().into_iter().map(|arrow| format!("{} {} {}", arrow.from, arrow.path, arrow.to));
    let found: BTreeSet<_> = found.collect();
    let expected = [
        " a::inner::Deep a::inner",
        "a self::inner a::inner",
        "a self::inner::Deep a::inner",
        "a super::b b",
        "a::inner super a",
        "a::inner b::g b",
        "a::inner super::Own a",
        "b crate::a::Deep a::inner",
        "b crate::a::inner a::inner",
        "b crate::Renamed a::inner",
        "b i::Deep a::inner",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}
