//! The operator at the terminal, who confirms that the next actor is present, so that no link expires unused.

use std::io::BufRead;

use tokio::sync::{Mutex, mpsc};

/// The operator's answer about an actor's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Show the code.
    Show,
    /// Continue with the next actor.
    Skip,
}

/// The operator, who is asked before each code is shown.
#[derive(Debug)]
pub struct Operator {
    lines: Mutex<mpsc::UnboundedReceiver<String>>,
}

impl Operator {
    /// Reads lines from the terminal for the lifetime of the process.
    pub fn at_terminal() -> Self {
        let (to, lines) = mpsc::unbounded_channel();
        // A detached thread: a read from a terminal can't be cancelled.
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

    /// Asks, and waits for a valid answer; other input is ignored, because only a few checks are allowed per hour. When
    /// the terminal is closed, every code is shown.
    pub async fn ask(&self, question: &str) -> Answer {
        let mut lines = self.lines.lock().await;
        // Input typed before the question is not an answer to it.
        while lines.try_recv().is_ok() {}
        loop {
            eprintln!("{question} — press Enter to show the code, or s and Enter to skip");
            let Some(line) = lines.recv().await else {
                return Answer::Show;
            };
            match line.trim().to_lowercase().as_str() {
                "" => return Answer::Show,
                "s" | "skip" => {
                    eprintln!("skipped");
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
        // All four lines were read: none is left to answer the next question.
        let skipping = async {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            to.send(" S ".to_owned()).unwrap();
        };
        let (answer, ()) = tokio::join!(operator.ask("Bo"), skipping);
        assert_eq!(answer, Answer::Skip);
    }
}
