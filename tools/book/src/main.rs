//! Builds the book from `docs/` into `target/book`, and checks that each link within the book and within the other Markdown files
//! of the repository leads to something.
//!
//! `cargo run --manifest-path tools/book/Cargo.toml`

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use mdbook_driver::MDBook;
use mdbook_markdown::pulldown_cmark::{Event, Parser, Tag};

/// The Markdown files outside of the book. Their links are read as paths from their own folder.
const OTHERS: [&str; 8] = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benches/README.md",
    "benches/method.md",
    "dashboards/README.md",
    "src/recording/recording.md",
];

fn main() -> ExitCode {
    match run() {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            eprintln!("{} links lead to nothing:\n{}", broken.len(), broken.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<String>, Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let book = MDBook::load(root.join("docs"))?;
    book.build()?;
    let built = book.build_dir_for("html");
    let mut broken = chapters_left_out(&root.join("docs"))?;
    for page in files(&built, "html")? {
        broken.extend(broken_links_of_page(&page)?);
    }
    for file in OTHERS {
        broken.extend(broken_links_of_file(&root, file)?);
    }
    println!("the book is in {}", built.display());
    Ok(broken)
}

/// Chapters that the table of contents does not list.
fn chapters_left_out(docs: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let contents = fs::read_to_string(docs.join("SUMMARY.md"))?;
    let listed = |path: &PathBuf| {
        let name = path.strip_prefix(docs).unwrap_or(path).display().to_string();
        name == "SUMMARY.md" || contents.contains(&format!("({name})"))
    };
    let all = files(docs, "md")?;
    let left_out = all.iter().filter(|path| !listed(path));
    Ok(left_out.map(|path| format!("SUMMARY.md does not list {}", path.display())).collect())
}

/// The links of a built page to files that do not exist, or to anchors that their pages do not have.
fn broken_links_of_page(page: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let html = fs::read_to_string(page)?;
    let folder = page.parent().unwrap_or(page);
    let attributes = ["href=\"", "src=\""].into_iter().flat_map(|name| html.split(name).skip(1));
    let links = attributes.filter_map(|rest| rest.split('"').next());
    // The page for missing pages has links that begin at the root of a site.
    let local = links.filter(|link| !link.contains(':') && !link.starts_with('/') && !link.starts_with("{{"));
    let is_broken = |link: &&str| {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let file = file.split('?').next().unwrap_or(file);
        let target = if file.is_empty() { page.to_owned() } else { folder.join(file) };
        let has_anchor =
            || fs::read_to_string(&target).is_ok_and(|text| text.contains(&format!("id=\"{anchor}\"")));
        !target.exists() || !anchor.is_empty() && !has_anchor()
    };
    Ok(local.filter(is_broken).map(|link| format!("{}: {link}", page.display())).collect())
}

/// The links of a Markdown file to files that do not exist.
fn broken_links_of_file(root: &Path, file: &str) -> Result<Vec<String>, Box<dyn Error>> {
    let path = root.join(file);
    let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
    let folder = path.parent().unwrap_or(root);
    let links = Parser::new(&text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.into_string())
        }
        _ => None,
    });
    let local = links.filter(|link| !link.contains(':') && !link.starts_with('#'));
    let is_broken = |link: &String| !folder.join(link.split('#').next().unwrap_or(link)).exists();
    Ok(local.filter(is_broken).map(|link| format!("{file}: {link}")).collect())
}

/// All files with this extension in a folder and its folders.
fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
