//! What a process has used, as Linux tells in `/proc`.

use std::fs;

use anyhow::{Context as _, Result};

/// `USER_HZ`, in which Linux tells processor time, on every architecture it runs on here.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time, the kernel's included.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The program's name comes second, in parentheses, and may hold anything.
    let (_, rest) = text.rsplit_once(')').with_context(|| path.clone())?;
    let ticks = rest.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    let ticks: Vec<f64> = ticks.collect::<Result<_, _>>().with_context(|| path.clone())?;
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The same for several processes together; one that has ended counts nothing.
pub(crate) fn cpu_seconds_of_all(pids: &[u32]) -> f64 {
    pids.iter().filter_map(|pid| cpu_seconds(*pid).ok()).sum()
}

/// The most memory that a process has had resident, in megabytes.
pub(crate) fn peak_megabytes(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).with_context(|| path.clone())?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse().with_context(|| path.clone())?;
    Ok(kibibytes * 1024.0 / 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_process_uses_is_told() {
        let pid = std::process::id();
        let before = cpu_seconds(pid).unwrap();
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_millis(100) {
            std::hint::spin_loop();
        }
        assert!(cpu_seconds(pid).unwrap() > before);
        assert!(peak_megabytes(pid).unwrap() > 1.0);
        assert!(cpu_seconds_of_all(&[pid, 0]) > 0.0);
    }
}
