//! A dialogue that another one leads: whoever reads the journal is told what each frame gave, and decodes none of them. But of
//! any dialogue there is the next frame may have to be decoded, so this is what that takes, in few bytes.

use crate::{Binding, Decided, Dialogue, Footing, Named, Out, Protocol, Turn};
use odograph_model::Time;
use std::sync::Arc;

/// What it takes to go on with a dialogue.
pub struct Follower {
    /// Most dialogues have it in common with others.
    footing: Arc<Footing>,
    binding: Option<Arc<Binding>>,
    session: Session,
}

enum Session {
    /// What it saved: most have nothing.
    Saved(Box<[u8]>),
    /// Frames were decoded here, and so may be the next.
    Awake(Box<Dialogue>),
}

impl Follower {
    /// Goes on from what a session saved.
    pub fn new(footing: Arc<Footing>, binding: Option<Arc<Binding>>, saved: impl Into<Box<[u8]>>) -> Self {
        Self { footing, binding, session: Session::Saved(saved.into()) }
    }

    /// Goes on behind a frame that another dialogue decoded which was where this one is: with the binding that began with
    /// it, if one did, and with its [`Dialogue::state_after`].
    pub fn follow(&mut self, begun: Option<Arc<Binding>>, state: Option<Box<[u8]>>) {
        if let Session::Awake(dialogue) = &self.session {
            self.binding = dialogue.binding().cloned();
            let mut saved = Vec::new();
            dialogue.save(&mut saved);
            self.session = Session::Saved(saved.into());
        }
        if begun.is_some() {
            self.binding = begun;
        }
        if let Some(state) = state {
            self.session = Session::Saved(state);
        }
    }

    /// Decodes a frame: see [`Dialogue::frame`].
    pub fn frame(
        &mut self,
        frame: &[u8],
        received: Time,
        out: &mut Out<'_>,
        decide: impl FnOnce(&Named<'_>, Option<&Binding>) -> Decided,
    ) -> Turn {
        match &mut self.session {
            Session::Awake(dialogue) => dialogue.frame(frame, received, out, decide),
            Session::Saved(saved) => {
                let mut dialogue = Dialogue::on(self.footing.clone(), self.binding.take(), saved);
                let turn = dialogue.frame(frame, received, out, decide);
                self.session = Session::Awake(Box::new(dialogue));
                turn
            }
        }
    }

    /// The device, once it is known.
    pub fn binding(&self) -> Option<&Arc<Binding>> {
        match &self.session {
            Session::Awake(dialogue) => dialogue.binding(),
            Session::Saved(_) => self.binding.as_ref(),
        }
    }

    /// The protocol.
    pub fn protocol(&self) -> &'static Protocol {
        self.footing.protocol
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_few_bytes() {
        // There is one for each connection.
        assert_eq!(size_of::<Follower>(), 32);
    }
}
