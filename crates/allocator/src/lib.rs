//! The program's memory allocator.
//!
//! Many threads take memory in bursts, to sort and encode rows and to answer questions. The C library's own allocator keeps
//! what each of them once had, twenty times what is in use; this one gives it back.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives memory back to the system as soon as it is free; or, as long as somebody takes much again and again, a little later.
///
/// The allocator would wait for a second, and then for the next burst: a server that is idle after one would keep it for good.
/// Taking it again costs page faults, of which there are twice as many, one to two hundredths of the processor's time under load.
/// But a question takes and frees some for every few thousand rows: one that reads a month took a quarter longer.
pub fn give_back_at_once(at_once: bool) {
    if at_once {
        // What is to be given back later, nobody would look for any more.
        give_back();
    }
    // Unless the environment says otherwise.
    set(PURGE_DELAY, if at_once { 0 } else { BETWEEN_ROWS_MS });
}

fn give_back() {
    #[expect(unsafe_code, reason = "a call that takes a flag; the crate `mimalloc` has no safe way to it")]
    // SAFETY: the function may be called by any thread, and frees nothing that is in use.
    unsafe {
        mi_collect(true);
    };
}

fn set(option: c_int, value: c_long) {
    #[expect(
        unsafe_code,
        reason = "a call that takes two numbers and stores one; the crate `mimalloc` has no safe way to it"
    )]
    // SAFETY: it stores a word that others read, and ignores options that it does not know. Who sets it are few, one after the other.
    unsafe {
        mi_option_set_default(option, value);
    };
}

#[expect(unsafe_code, reason = "functions of the allocator, as its header has them")]
unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
    fn mi_collect(force: bool);
    #[cfg(test)]
    fn mi_option_get(option: c_int) -> c_long;
}

/// `mi_option_purge_delay` of `mimalloc.h` (version 3), in milliseconds.
const PURGE_DELAY: c_int = 15;
/// Longer than a question needs from one group of rows to the next.
const BETWEEN_ROWS_MS: c_long = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "as above")]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: as above.
        let now = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(now(), 1000, "what the allocator comes with: another number is another option");
        give_back_at_once(true);
        assert_eq!(now(), 0);
        give_back_at_once(false);
        assert_eq!(now(), BETWEEN_ROWS_MS);
    }
}
