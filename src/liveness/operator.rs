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
        Self::new(lines)
    }

    fn new(lines: mpsc::UnboundedReceiver<String>) -> Self {
        Self {
            lines: Mutex::new(lines),
        }
    }

    /// Asks, and waits for an answer; a slip of the finger is none, for a check is one of few in an hour. Whoever has
    /// left the terminal shows every code.
    pub async fn ask(&self, question: &str) -> Answer {
        let mut lines = self.lines.lock().await;
        // What was typed before the question is no answer to it.
        while lines.try_recv().is_ok() {}
        loop {
            eprintln!("{question} — Enter shows the code, s skips");
            let Some(line) = lines.recv().await else {
                return Answer::Show;
            };
            match line.trim().to_lowercase().as_str() {
                "" => return Answer::Show,
                "s" | "skip" => {
                    eprintln!("left for later");
                    return Answer::Skip;
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_enter_shows_a_code_and_only_s_skips() {
        let (to, lines) = mpsc::unbounded_channel();
        let operator = Operator::new(lines);
        to.send("s".to_owned()).unwrap();
        let typing = async {
            for line in ["banana", "show", "yes", ""] {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                to.send(line.to_owned()).unwrap();
            }
        };
        let (answer, ()) = tokio::join!(operator.ask("Ada"), typing);
        assert_eq!(answer, Answer::Show);
        // All four were read: none is left to answer the next question.
        let skipping = async {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            to.send(" S ".to_owned()).unwrap();
        };
        let (answer, ()) = tokio::join!(operator.ask("Bo"), skipping);
        assert_eq!(answer, Answer::Skip);
    }
}
