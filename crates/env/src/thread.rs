//! How threads share the processor.

/// Lets other threads go first: for work that can wait while devices cannot. The calling thread keeps this for good.
///
/// Where the system refuses, nothing changes. However busy the machine is, the thread still gets a hundredth of a processor
/// or so, so that what others wait for (a lock within the memory allocator, at the least) is let go before long. Linux's
/// policy for idle time gives a fifth of that; and the journal bounds how far behind such work can fall, not this.
pub fn yield_to_others() {
    // Linux has priorities for each thread, and takes no process for the calling one.
    let _ = rustix::process::setpriority_process(None, BACKGROUND);
}

/// Next to nothing of the processor where all of it is wanted, and all of it where not.
const BACKGROUND: i32 = 19;
