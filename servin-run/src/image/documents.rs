//! The documents that describe an image: the [OCI image specification]'s, and Docker's schema 2, whose properties
//! are the same under other media types.
//!
//! [OCI image specification]: https://github.com/opencontainers/image-spec/blob/v1.1.1/spec.md

use alloc::string::String;
use alloc::vec::Vec;

use crate::spec::json::object;

object! {
    /// What points to a blob.
    pub struct Descriptor {
        /// What the blob is.
        "mediaType" => media_type: String,
        /// The blob's digest.
        "digest" => digest: String,
        /// The blob's length.
        "size" => size: u64,
        /// Where else the blob is: only layers that nobody may distribute have it.
        "urls" => urls: Vec<String>,
        /// Names, in an index.
        "annotations" => annotations: Vec<(String, String)>,
        /// What the image runs on, in an index.
        "platform" => platform: Option<Platform>,
    }

    /// What an image runs on, in the words of Go.
    pub struct Platform {
        /// `amd64`, `arm64`, ….
        "architecture" => architecture: String,
        /// `linux`.
        "os" => os: String,
        /// Of the operating system, where it matters (Windows).
        "os.version" => os_version: Option<String>,
        /// Of the architecture: `v7`.
        "variant" => variant: Option<String>,
    }

    /// The images of several platforms, or all of a layout.
    pub struct Index {
        /// 2.
        "schemaVersion" => schema_version: u32,
        /// What this document is.
        "mediaType" => media_type: Option<String>,
        /// The images.
        "manifests" => manifests: Vec<Descriptor>,
        /// Of the index itself.
        "annotations" => annotations: Vec<(String, String)>,
    }

    /// One image.
    pub struct Manifest {
        /// 2.
        "schemaVersion" => schema_version: u32,
        /// What this document is.
        "mediaType" => media_type: Option<String>,
        /// What the image is when it is something else than a root file system.
        "artifactType" => artifact_type: Option<String>,
        /// The image's configuration.
        "config" => config: Descriptor,
        /// Its layers, the lowest first.
        "layers" => layers: Vec<Descriptor>,
        /// Of the image itself.
        "annotations" => annotations: Vec<(String, String)>,
    }

    /// What two kinds of documents have, to tell them apart.
    pub struct Shape {
        /// 1 or 2.
        "schemaVersion" => schema_version: Option<u32>,
        /// What the document says it is.
        "mediaType" => media_type: Option<String>,
        /// An index has it.
        "manifests" => manifests: Option<Present>,
        /// A manifest has it.
        "layers" => layers: Option<Present>,
        /// A manifest has it.
        "config" => config: Option<Present>,
    }

    /// An image's configuration.
    pub struct ImageConfig {
        /// When it was made, as RFC 3339.
        "created" => created: Option<String>,
        /// Who made it.
        "author" => author: Option<String>,
        /// As in [`Platform`].
        "architecture" => architecture: String,
        /// As in [`Platform`].
        "variant" => variant: Option<String>,
        /// As in [`Platform`].
        "os" => os: String,
        /// How its containers run.
        "config" => config: Option<RunConfig>,
        /// Its layers as they are unpacked.
        "rootfs" => rootfs: RootFs,
        /// How each layer was made.
        "history" => history: Vec<History>,
    }

    /// How an image's containers run.
    pub struct RunConfig {
        /// `USER[:GROUP]`.
        "User" => user: Option<String>,
        /// `PORT[/PROTOCOL]`.
        "ExposedPorts" => exposed_ports: Vec<(String, Empty)>,
        /// `NAME=VALUE`.
        "Env" => env: Vec<String>,
        /// The program.
        "Entrypoint" => entrypoint: Option<Vec<String>>,
        /// Its arguments, or the program where there is no entry point.
        "Cmd" => cmd: Option<Vec<String>>,
        /// Places for volumes.
        "Volumes" => volumes: Vec<(String, Empty)>,
        /// The working directory.
        "WorkingDir" => working_dir: Option<String>,
        /// For people and other programs.
        "Labels" => labels: Vec<(String, String)>,
        /// What ends the program.
        "StopSignal" => stop_signal: Option<String>,
        /// How many seconds it has after that signal (Docker).
        "StopTimeout" => stop_timeout: Option<u64>,
        /// How to see whether it is well (Docker).
        "Healthcheck" => healthcheck: Option<Healthcheck>,
        /// What a Dockerfile's commands are run by (Docker).
        "Shell" => shell: Vec<String>,
        /// For a Dockerfile that builds on this image (Docker).
        "OnBuild" => on_build: Vec<String>,
    }

    /// A value that says nothing: `{}`.
    pub struct Empty {}

    /// How to see whether a container is well; durations in nanoseconds, 0 for the default.
    pub struct Healthcheck {
        /// `NONE`; `CMD` and a program; `CMD-SHELL` and a line for the shell; nothing to inherit it.
        "Test" => test: Vec<String>,
        /// Between two tests.
        "Interval" => interval: Option<u64>,
        /// For one test.
        "Timeout" => timeout: Option<u64>,
        /// After the start, before failures count.
        "StartPeriod" => start_period: Option<u64>,
        /// Between tests in that period.
        "StartInterval" => start_interval: Option<u64>,
        /// Failures in a row.
        "Retries" => retries: Option<u64>,
    }

    /// The layers of an image as they are unpacked.
    pub struct RootFs {
        /// `layers`.
        "type" => kind: String,
        /// The digests of the archives, not compressed; the lowest layer first.
        "diff_ids" => diff_ids: Vec<String>,
    }

    /// How a layer was made.
    pub struct History {
        /// When.
        "created" => created: Option<String>,
        /// By which command.
        "created_by" => created_by: Option<String>,
        /// By whom.
        "author" => author: Option<String>,
        /// Anything.
        "comment" => comment: Option<String>,
        /// There is no layer.
        "empty_layer" => empty_layer: Option<bool>,
    }
}

/// That a property is there, whatever its value; it is not written again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present;

impl crate::spec::json::Decode for Present {
    fn decode(
        &mut self,
        _: &crate::spec::json::Value,
        _: &crate::spec::json::Path,
    ) -> crate::error::Result<()> {
        Ok(())
    }
}

impl crate::spec::json::Encode for Present {
    fn encode(&self, _: &mut crate::spec::json::Writer) {}
}
