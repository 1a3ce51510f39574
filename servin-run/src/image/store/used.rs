//! What the containers of people need of the store. Their bundles below HOME/containers are read for nothing but the
//! image that they were made from, and the layers that their configurations name.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::AsFd;
use rustix::fs::OFlags;

use super::super::copy::{DIRECTORY, open_at};
use super::layers::{LAYERS, names};
use super::{Image, Store};
use crate::error::Result;
use crate::fs::read_to_end;
use crate::gather::Gather as _;
use crate::spec;
use crate::spec::json::object;

object! {
    /// A container, as far as it matters here.
    pub struct User {
        /// Its id.
        "id" => id: String,
        /// Its name.
        "name" => name: Option<String>,
        /// The image's id.
        "imageId" => image_id: Option<String>,
    }
}

impl Store {
    /// The text of one file of every container. One that is being made or removed at this moment may have none.
    fn of_containers(&self, file: &str) -> Vec<String> {
        let Ok(containers) = open_at(self.as_fd(), "containers", DIRECTORY) else { return Vec::new() };
        let read = |id: &String| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = open_at(containers.as_fd(), &format!("{id}/{file}"), flags).ok()?;
            String::from_utf8(read_to_end(&file).ok()?).ok()
        };
        let ids = names(&containers).unwrap_or_default();
        ids.iter().filter(|id| !id.starts_with('.')).filter_map(read).gather()
    }

    /// The containers that were made from an image.
    pub fn users(&self, image: &Image) -> Vec<User> {
        let records = self.of_containers("container.json");
        let users = records.iter().filter_map(|text| spec::parse::<User>(text, "container.json").ok());
        users.filter(|user| user.image_id.as_deref() == Some(image.id.as_str())).gather()
    }

    /// The layers that containers are made of, by their digits.
    pub fn layers_of_containers(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let start = [LAYERS, "/"].concat();
        for config in self.of_containers("config.json") {
            for place in config.split(start.as_str()).skip(1) {
                let digits = place.get(..64).unwrap_or_default().to_string();
                if !digits.is_empty() && !found.contains(&digits) {
                    found.push(digits);
                }
            }
        }
        found
    }

    /// Removes what neither an image nor a container needs. None where images are being added at this moment, and
    /// `wait` does not ask to wait for it.
    pub fn tidy(&self, wait: bool) -> Result<Option<super::Collected>> {
        self.collect(&mut || self.layers_of_containers(), wait)
    }
}
