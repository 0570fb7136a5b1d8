//! Generates Rust from the protos: messages and services by prost and tonic, the
//! constants of each operation, which `src/operation.rs` interprets, and how its RPC
//! is served, which `src/grpc/unary.rs` includes.
//!
//! protox compiles the protos, so that no `protoc` is needed.

#[path = "build/annotation.rs"]
mod annotation;
#[path = "build/emit.rs"]
mod emit;
#[path = "build/fields.rs"]
mod fields;
#[path = "build/json.rs"]
mod json;
#[path = "build/model.rs"]
mod model;
#[path = "build/rule.rs"]
mod rule;
#[path = "build/services.rs"]
mod services;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const FILES: [&str; 5] = [
    "genesys/presence/v1/presence_service.proto",
    "genesys/presence/v1/presence_stream_service.proto",
    "genesys/presence/v1/presence_watch_service.proto",
    "genesys/presence/v1/legacy_presence_service.proto",
    // Not imported, but clients decode the details of an error with it.
    "google/rpc/error_details.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rustc-env=PRESENCE_GATEWAY_COMMIT={}", commit());

    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(FILES)?;
    // Encoded by the compiler, because prost's own types drop custom options.
    fs::write(
        out.join("descriptors.binpb"),
        compiler.encode_file_descriptor_set(),
    )?;

    let pool = compiler.descriptor_pool();
    let operations = annotation::parse(&pool).map_err(|errors| {
        let lines: String = errors.iter().map(|error| format!("\n  {error}")).collect();
        format!("the proto cannot be mapped:{lines}")
    })?;
    fs::write(out.join("operations.rs"), emit::operations(&operations))?;
    fs::write(out.join("models.rs"), json::models(&pool, &operations))?;
    fs::write(out.join("services.rs"), services::handlers(&operations))?;
    services::servers(&pool, &out)?;

    let builder = tonic_prost_build::configure()
        .build_server(false)
        .extern_path(".google.rpc", "::tonic_types::pb");
    json::attributes(builder, &pool, &operations).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The commit of this build: from `PRESENCE_GATEWAY_BUILD_COMMIT`, as in an image
/// build, or from the checkout.
fn commit() -> String {
    println!("cargo::rerun-if-env-changed=PRESENCE_GATEWAY_BUILD_COMMIT");
    if let Ok(commit) = env::var("PRESENCE_GATEWAY_BUILD_COMMIT") {
        return commit;
    }
    for file in ["HEAD", "logs/HEAD"].map(|file| Path::new(".git").join(file)) {
        if file.exists() {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
    let git = Command::new("git")
        .args(["rev-parse", "--short=12", "HEAD"])
        .output();
    match git {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
