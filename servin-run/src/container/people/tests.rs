use super::*;
use alloc::string::ToString;

/// A store that is removed with the value.
struct Home(std::path::PathBuf);

impl Home {
    fn new(name: &str) -> (Home, Store) {
        Home::below(&std::env::temp_dir(), name)
    }

    fn below(folder: &std::path::Path, name: &str) -> (Home, Store) {
        let path = folder.join(format!("servin-people-{}-{name}", std::process::id()));
        let text = |part: &str| path.join(part).to_str().expect("UTF-8").to_string();
        let store = Store::open(Places { home: text("home"), root: text("root") }).expect("a store");
        (Home(path), store)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).expect("remove");
    }
}

fn record(id: &str, name: &str) -> Record {
    let id = format!("{id:0<64}");
    Record { id, name: name.into(), ..Record::default() }
}

#[test]
fn a_container_is_found_by_its_id_its_name_and_what_nothing_else_begins_with() {
    let (_home, store) = Home::new("find");
    store.create(record("ab1", "one"), "{}", &mut || Ok(())).expect("kept");
    store.create(record("ab2", ""), "{}", &mut || Ok(())).expect("kept");
    for word in ["one", "ab1", &format!("{:0<64}", "ab1")] {
        assert_eq!(store.find(word).expect(word).record.name, "one");
    }
    let second = store.find("ab2").expect("by its id").record.name;
    assert!(second.contains('_'), "{second}");
    for word in ["ab", "", ".", "../ab1", "two", "ab3"] {
        assert!(store.find(word).is_err(), "{word}");
    }
    assert_eq!(store.all().expect("listed").len(), 2);
}

#[test]
fn a_name_belongs_to_one_container_until_that_is_gone_or_has_another() {
    let (_home, store) = Home::new("names");
    let first = store.create(record("a", "one"), "{}", &mut || Ok(())).expect("kept");
    let refused = store.create(record("b", "one"), "{}", &mut || Ok(())).err().expect("refused").to_string();
    assert!(refused.contains("already in use"), "{refused}");
    assert!(store.find("b").is_err(), "nothing is left of it");
    store.rename("one", "two").expect("renamed");
    let second = store.create(record("b", "one"), "{}", &mut || Ok(())).expect("kept");
    assert!(store.rename("two", "one").is_err());
    for entry in [first, second] {
        let entry = store.find(&entry.record.id).expect("there");
        store.remove_locked(&entry).expect("removed");
    }
    store.create(record("c", "two"), "{}", &mut || Ok(())).expect("kept");
    for bad in ["-a", "a", ".names", "a/b", "ä1", "a b"] {
        assert!(store.create(record("d", bad), "{}", &mut || Ok(())).is_err(), "{bad}");
    }
}

#[test]
fn what_killed_commands_have_left_is_no_container_and_goes() {
    let (home, store) = Home::new("killed");
    let place = home.0.join("home/containers");
    std::fs::create_dir(place.join("f".repeat(64))).expect("half made");
    std::os::unix::fs::symlink("e".repeat(64), place.join(".names/gone")).expect("a name");
    assert!(store.find("gone").is_err());
    assert!(store.find("f").is_err() && !place.join("f".repeat(64)).exists());
    std::fs::create_dir(place.join("f".repeat(64))).expect("half made");
    assert!(store.all().expect("listed").is_empty() && !place.join("f".repeat(64)).exists());
    store.create(record("a", "gone"), "{}", &mut || Ok(())).expect("the name is free");
}

#[test]
fn containers_are_made_while_others_look_for_what_is_half_made() {
    let (_home, store) = Home::new("race");
    let done = core::sync::atomic::AtomicBool::new(false);
    let order = core::sync::atomic::Ordering::Relaxed;
    let made = std::thread::scope(|scope| {
        scope.spawn(|| {
            let store = Store::open(store.places.clone()).expect("the same store");
            while !done.load(order) {
                store.all().expect("listed");
            }
        });
        let made = (0..300).try_for_each(|number| {
            let mut entry = store.create(record(&format!("{number:x}"), ""), "{}", &mut || Ok(()))?;
            let _lock = entry.reload()?;
            store.remove_locked(&entry)
        });
        done.store(true, order);
        made
    });
    made.expect("made and removed");
}

#[test]
fn a_record_that_cannot_be_read_can_be_seen_and_removed_and_hides_no_other() {
    let (home, store) = Home::new("broken");
    for (id, name) in [("a", "one"), ("b", "two")] {
        store.create(record(id, name), "{}", &mut || Ok(())).expect("kept");
    }
    let path = home.0.join("home/containers").join(format!("{:0<64}", "a")).join(RECORD);
    std::fs::write(path, "").expect("written");
    let mut names = Vec::new();
    store.records(&mut |record| names.push(record.name.clone())).expect("listed");
    assert_eq!(names, ["", "two"]);
    let broken = store.find("one").expect("found by the name that leads to it");
    assert!(broken.record.is_whole().is_err() && store.rename("one", "three").is_err());
    store.remove_locked(&broken).expect("removed");
    assert_eq!(store.all().expect("listed").len(), 1);
    store.create(record("c", "one"), "{}", &mut || Ok(())).expect("the name is free");
}

#[test]
fn there_is_a_name_for_one_more_container_than_there_are_names() {
    // In memory, for the thousands of files.
    let (_home, store) = Home::below("/dev/shm".as_ref(), "exhausted");
    for name in names::all() {
        symlinkat("0".repeat(64).as_str(), &store.names, name.as_str()).expect("a name");
    }
    assert!(store.free_name().expect("a name").ends_with(|last: char| last.is_ascii_digit()));
}

#[test]
fn a_container_whose_supervisor_is_gone_was_killed() {
    let (_home, store) = Home::new("settled");
    let mut entry = store.create(record("a", "one"), "{}", &mut || Ok(())).expect("kept");
    let lock = entry.supervise().expect("supervised");
    entry.change(|record| record.state.phase = Phase::Running).expect("changed");
    assert_eq!(store.find("one").expect("there").record.state.phase, Phase::Running);
    drop(lock);
    let state = store.find("one").expect("there").record.state;
    assert_eq!((state.phase, state.exit_code), (Phase::Exited, Some(137)));
}
