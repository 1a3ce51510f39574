//! Writing to a registry: blobs first, then the manifests that name them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Registry;
use super::session::refusal;
use crate::error::{Error, Result};
use crate::image::http::url::escape;
use crate::image::http::{Body, Response, Url};
use crate::image::source::{Read, Sink};

impl Registry {
    /// Names repositories of the same registry that may have what is to be pushed.
    pub fn mount_from(&mut self, others: Vec<String>) {
        self.others = others;
    }

    /// Makes a blob of another repository of this registry one of this repository too; false where that cannot be.
    pub fn mount(&mut self, digest: &str, from: &str) -> Result<bool> {
        let path = format!("blobs/uploads/?mount={}&from={}", escape(digest), escape(from));
        Ok(self.write("POST", &path, &[], Body::None)?.status == 201)
    }

    fn write(
        &mut self,
        method: &'static str,
        path: &str,
        headers: super::session::Headers,
        mut body: Body,
    ) -> Result<Response> {
        let url = self.session.address(path)?;
        let response = self.session.send(0, method, url, headers, &mut body)?;
        if (200..300).contains(&response.status) { Ok(response) } else { Err(refusal(response)) }
    }
}

/// Where an upload goes on.
fn location(response: &Response, digest: &str) -> Result<Url> {
    let location = response.headers.get("location");
    let location =
        location.ok_or_else(|| Error::new(format_args!("{} names no place for the blob", response.url)))?;
    let mut url = response.url.join(location)?;
    let separator = if url.path.contains('?') { '&' } else { '?' };
    url.path.push_str(&format!("{separator}digest={}", escape(digest)));
    Ok(url)
}

impl Sink for Registry {
    fn has_blob(&mut self, digest: &str) -> Result<bool> {
        let url = self.session.address(&format!("blobs/{digest}"))?;
        let response = self.session.send(0, "HEAD", url, &[], &mut Body::None)?;
        match response.status {
            200..300 => Ok(true),
            404 => Ok(false),
            _ => Err(refusal(response)),
        }
    }

    fn put_blob(&mut self, digest: &str, size: u64, content: &mut dyn Read) -> Result<()> {
        for other in self.others.clone() {
            // Where it may not be read, it is sent.
            let mounted = self.mount(digest, &other).unwrap_or(false);
            if mounted {
                return Ok(());
            }
        }
        let begun = self.write("POST", "blobs/uploads/", &[], Body::None)?;
        let url = location(&begun, digest)?;
        begun.finish();
        let headers = [("Content-Type", String::from("application/octet-stream"))];
        let response = self.session.send(0, "PUT", url, &headers, &mut Body::Stream(size, content))?;
        match response.status {
            200..300 => {
                response.finish();
                Ok(())
            }
            _ => Err(refusal(response)),
        }
    }

    fn put_manifest(&mut self, what: &str, content: &[u8], media_type: &str) -> Result<()> {
        let headers = [("Content-Type", media_type.into())];
        self.write("PUT", &format!("manifests/{what}"), &headers, Body::Bytes(content))?.finish();
        Ok(())
    }
}
