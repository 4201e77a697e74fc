//! What the disk itself takes: append 4 KiB, `fdatasync`, again and again.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

const APPEND_BYTES: usize = 4_096;

/// The median of so many, in microseconds. The file is made in `folder`, and removed.
pub(super) fn median_us(folder: &Path, count: usize) -> anyhow::Result<f64> {
    let path = folder.join("sync-probe");
    let times = measure(&path, count).with_context(|| path.display().to_string());
    // It lies in a folder that is removed anyway.
    let _ = std::fs::remove_file(&path);
    let mut times = times?;
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or(0.0))
}

fn measure(path: &Path, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut file = File::create(path)?;
    let block = [0x5a; APPEND_BYTES];
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_takes_time_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        assert!(median_us(folder.path(), 3).unwrap() > 0.0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
