//! The pages in `docs/protocols/` say what the program does: `UPDATE=1` prints them anew, and removes those of protocols
//! that are gone.

use odograph_testkit::pages::pages;
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn the_pages_of_protocols_say_what_the_program_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = root.join("docs/protocols");
    let rewrite = std::env::var_os("UPDATE").is_some_and(|value| value == "1");
    let pages = pages(&root.join("crates/protocols/src/devices")).expect("pages of all protocols");
    let mut stale = Vec::new();
    if rewrite {
        std::fs::create_dir_all(&folder).expect("the folder of pages");
    }
    for page in &pages {
        let path = folder.join(&page.file);
        if std::fs::read_to_string(&path).ok().as_ref() != Some(&page.text) {
            match rewrite {
                true => std::fs::write(&path, &page.text).expect("a page is written"),
                false => stale.push(page.file.clone()),
            }
        }
    }
    let printed: BTreeSet<_> = pages.into_iter().map(|page| page.file).collect();
    for entry in std::fs::read_dir(&folder).expect("the folder of pages") {
        let name = entry.expect("a page").file_name().to_string_lossy().into_owned();
        if !printed.contains(&name) {
            match rewrite {
                true => std::fs::remove_file(folder.join(&name)).expect("a page is removed"),
                false => stale.push(name),
            }
        }
    }
    let command = "UPDATE=1 cargo test -p odograph-testkit --test pages";
    assert!(stale.is_empty(), "{command} prints these anew: {}", stale.join(", "));
}
