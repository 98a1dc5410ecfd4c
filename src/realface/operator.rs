//! Whoever leads the actors, at the terminal: says when the next one is there, so that no link runs out unseen.

use std::io::BufRead;

use tokio::sync::{Mutex, mpsc};

/// What the operator says of an actor's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Show it.
    Show,
    /// It is the next actor's turn.
    Skip,
}

/// Someone who is asked before each code.
#[derive(Debug)]
pub struct Operator {
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Operator {
    /// Listens to what is typed at the terminal, for as long as the process lives.
    pub fn at_terminal() -> Self {
        let (to, lines) = mpsc::unbounded_channel();
        // A thread of its own, which nobody waits for: reading from a terminal can't be given up.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            lines: Mutex::new(lines),
        }
    }

    /// Asks, and waits for an answer. Whoever has left the terminal shows every code.
    pub async fn ask(&self, question: &str) -> Answer {
        let mut lines = self.lines.lock().await;
        // What was typed before the question is no answer to it.
        while lines.try_recv().is_ok() {}
        eprintln!("{question} — Enter shows the code, s skips");
        match lines.recv().await {
            Some(line) if line.trim().to_lowercase().starts_with('s') => Answer::Skip,
            _ => Answer::Show,
        }
    }
}
