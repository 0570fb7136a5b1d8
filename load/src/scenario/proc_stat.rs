//! The memory and processor time of a process, from `/proc`.

use std::fs;
use std::time::Duration;

/// The bytes of a megabyte.
const MB: f64 = 1_000_000.0;

/// The kernel's ticks per second in `/proc`, on Linux always 100.
const TICKS: f64 = 100.0;

/// The resident memory of a process, in megabytes.
pub(crate) fn resident(pid: u32) -> Result<f64, String> {
    line(pid, "VmRSS:")
}

/// The peak resident memory of a process, in megabytes.
pub(crate) fn peak_resident(pid: u32) -> Result<f64, String> {
    line(pid, "VmHWM:")
}

/// The processor time of a process.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, String> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    // The name of the program, in parentheses, may hold spaces.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
    let mut fields = fields.unwrap_or_default().split(' ').skip(11);
    let mut next = || fields.next().and_then(|field| field.parse::<f64>().ok());
    let ticks = next().zip(next()).map(|(user, system)| user + system);
    let ticks = ticks.ok_or_else(|| format!("{path} is not understood"))?;
    Ok(Duration::from_secs_f64(ticks / TICKS))
}

/// The number of open files of a process, its connections among them.
pub(crate) fn open_files(pid: u32) -> Result<usize, String> {
    let path = format!("/proc/{pid}/fd");
    let files = fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?;
    Ok(files.count())
}

fn line(pid: u32, name: &str) -> Result<f64, String> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes = kibibytes.and_then(|line| line.parse::<f64>().ok());
    let kibibytes = kibibytes.ok_or_else(|| format!("{path} has no `{name}`"))?;
    Ok(kibibytes * 1024.0 / MB)
}
