//! How threads share the processor.

/// Lets other threads go first: for work that can wait while devices cannot. The calling thread keeps this for good.
///
/// Where the system refuses, nothing changes.
pub fn yield_to_others() {
    // Linux has priorities for each thread, and takes no process for the calling one.
    let _ = rustix::process::setpriority_process(None, BACKGROUND);
}

/// Next to nothing of the processor where all of it is wanted, and all of it where not.
const BACKGROUND: i32 = 19;
